import assert from "node:assert/strict";
import { tableFromArrays, tableToIPC } from "apache-arrow";
import { freshDatabase } from "../_postgres.ts";
import { document, refusal, Sluice } from "./_sluice.ts";

const PEOPLE = 'name,age\nAda,36\n"Bob",old\nEve\nZoë,7\n';

Deno.test("what a load keeps aside is listed, shown, corrected and replayed once", async () => {
  await using database = await freshDatabase();
  await using sluice = new Sluice();
  const env = { DATABASE_URL: database.url };
  const run = (...args: string[]) => sluice.run(args, { env });
  const look = (...args: string[]) => sluice.here(args, env);
  const source = sluice.file("people.csv", PEOPLE);
  const load = ["load", source, "--into", "people", "--type", "age=integer"];

  assert.equal((await run(...load)).code, 1);
  const tooMany = refusal(await run(...load, "--max-rejects", "1"), 1);
  assert.match(tooMany, /2 of 4 records were refused, and the limit is 1\./);
  const [, left] = /The rejects are in (\S+\/home\/rejects\/people-\w+\.jsonl);/.exec(tooMany)!;
  assert.equal((await Deno.readTextFile(left!)).split("\n").length, 3);

  const file = `${sluice.folder}/bad.jsonl`;
  const loaded = await run(...load, "--max-rejects", "50%", "--rejects", "bad.jsonl", "--json");
  assert.equal(loaded.code, 0, loaded.stderr);
  const { rows, rejected, rejects } = document(loaded);
  assert.deepEqual({ rows, rejected, rejects }, {
    rows: 2,
    rejected: 2,
    rejects: { table: "people__rejects", rules: { type: 1, fields: 1 }, file },
  });
  assert.match(
    loaded.stderr,
    /keeps aside what cannot be loaded in "\S+\/bad\.jsonl", the first is record 2, line 3/,
  );
  assert.match(await Deno.readTextFile(file), /"line":3,.*"line":4,/s);

  const listed = await look("rejects", "list");
  assert.match(
    listed.stdout,
    /public\.people +2 +0 +1 .* 1 type, 1 fields|public\.people +2 +0 +1 .* 1 fields, 1 type/,
  );
  assert.ok(listed.stdout.includes(left!), "the file of the load that failed is told of, too");
  const shown = await look("rejects", "show", "people");
  assert.match(
    shown.stdout,
    /^1 {2}type: "old" is not of type integer\n {4}line 3, record 2, column age, \S+people.csv\n {4}\| "Bob",old\n2 {2}fields: /,
  );
  const csv = await run("rejects", "show", "people", "--csv");
  assert.equal(
    csv.stdout,
    `__reject,"name","age",__why,__raw\n` +
      `1,"Bob","old","""old"" is not of type integer","""Bob"",old"\n` +
      `2,,,"line 4 has 1 field, expected 2","Eve"\n`,
  );
  // Only the first is mended: the other one is passed over.
  const fixed = sluice.file("fix.csv", csv.stdout.replace('"old"', "40"));
  const replay = () => run("rejects", "replay", "people", fixed, "--json");
  const counts = { table: "people", replayed: 1, rejected: 0, skipped: 1 };
  assert.deepEqual(document(await replay()), counts);
  assert.deepEqual(document(await replay()), { ...counts, replayed: 0, skipped: 2 });
  const stdin = `{"__reject":2,"name":"Eve","age":9007199254740993}\n`;
  const again = await sluice.run(["rejects", "replay", "people", "-"], { env, stdin });
  assert.match(again.stdout, /0 replayed, 1 rejected again, 0 skipped/);
  await sluice.run(["rejects", "replay", "people", "-"], {
    env,
    stdin: stdin.replace(/90+\d+/, "5"),
  });
  const { tables } = document(await look("rejects", "list", "--json"));
  assert.deepEqual(
    tables.map(({ waiting, replayed }: Record<string, number>) => [waiting, replayed]),
    [[0, 2]],
  );
  assert.deepEqual(await database.query("SELECT * FROM people ORDER BY age"), [
    { name: "Eve", age: 5 },
    { name: "Zoë", age: 7 },
    { name: "Ada", age: 36 },
    { name: "Bob", age: 40 },
  ]);
});

/** Corrections of records that leave columns out. */
const PARTIAL: readonly (readonly [what: string, file: string, encode?: typeof utf16])[] = [
  ["a column of CSV", "__reject,age\n1,20\n2,\n"],
  ["keys of JSON lines", '{"__reject":1,"age":20}\n\n{"__reject":2,"age":null}\n'],
  [
    "keys of JSON lines, others in each line, in UTF-16",
    '{"age":20,"__reject":1}\r\n{"__reject":2,"city":"Bonn","age":null}',
    utf16,
  ],
];

function utf16(text: string): Uint8Array {
  return new Uint8Array(Uint16Array.from(`\ufeff${text}`, (c) => c.charCodeAt(0)).buffer);
}

for (const [what, file, encode = String] of PARTIAL) {
  Deno.test(`what a correction leaves out stays as the record has it: ${what}`, async () => {
    await using database = await freshDatabase();
    await using sluice = new Sluice();
    await database.query(
      "CREATE TABLE people (id integer, name text, age integer CHECK (age < 99), city text)",
    );
    const run = (...args: string[]) => sluice.run(args, { env: { DATABASE_URL: database.url } });
    const source = sluice.file("people.csv", "id,name,age,city\n1,Ada,200,Rome\n2,Bob,300,Bonn\n");
    await run("load", source, "--into", "people", "--mode", "append", "--on-reject", "keep");
    const said = await run("rejects", "replay", "people", sluice.file("fix", encode(file)));
    assert.match(said.stdout, /2 replayed, 0 rejected again, 0 skipped/, said.stderr);
    assert.deepEqual(await database.query("SELECT * FROM people ORDER BY id"), [
      { id: 1, name: "Ada", age: 20, city: "Rome" },
      { id: 2, name: "Bob", age: null, city: "Bonn" },
    ]);
  });
}

Deno.test("what is shown as CSV can be replayed as it is: defaults count, and names like ours are the table's", async () => {
  await using database = await freshDatabase();
  await using sluice = new Sluice();
  await database.query(
    `CREATE TABLE people (id integer GENERATED ALWAYS AS IDENTITY, no serial, __typename text, name text,
       age integer CHECK (age < 200), st text DEFAULT 'new')`,
  );
  const env = { DATABASE_URL: database.url };
  const run = (...args: string[]) => sluice.run(args, { env });
  const look = (...args: string[]) => sluice.here(args, env);
  const source = sluice.file("people.csv", '__typename,name,age\nA,"",999\nB,,888\nC\n');
  const load = ["load", source, "--into", "people", "--mode", "append", "--on-reject", "keep"];
  assert.equal(document(await run(...load, "--json")).rejected, 3);
  const replay = async (csv: string) => {
    const said = await run("rejects", "replay", "people", sluice.file("fix.csv", csv), "--json");
    assert.equal(said.code, 0, said.stderr);
    const { replayed, rejected, skipped } = document(said);
    return [replayed, rejected, skipped];
  };
  const { stdout: csv } = await look("rejects", "show", "people", "--csv");
  // The first is the one that cannot be told apart, and nobody has filled it in.
  assert.deepEqual(await replay(csv), [0, 2, 1]);
  await database.query("ALTER TABLE people DROP CONSTRAINT people_age_check");
  assert.deepEqual(await replay(csv), [2, 0, 1]);
  assert.deepEqual(await replay(csv), [0, 0, 3]);
  const rows =
    "SELECT id > 0 AS id, no > 0 AS no, __typename, name, age, st FROM people ORDER BY age";
  const numbered = { id: true, no: true, st: "new" };
  assert.deepEqual(await database.query(rows), [
    { ...numbered, __typename: "B", name: null, age: 888 },
    { ...numbered, __typename: "A", name: "", age: 999 },
  ]);

  // Where the table has a column that is called like ours, nobody could tell whose it is.
  const { stdout: why } = await look("rejects", "show", "people", "--csv");
  assert.match(
    why,
    /^__reject,"id","no","__typename","name","age","st",__why,__raw\n1,,,,,,,"line 4/,
  );
  await database.query("ALTER TABLE people RENAME st TO __why");
  const said =
    /Cannot tell column "__why" of table "people" from the one of that name that corrections have/;
  assert.match(refusal(await look("rejects", "show", "people", "--csv"), 1), said);
  const fixed = sluice.file("fix.csv", "__reject,name,__why\n1,Eve,x\n");
  assert.match(refusal(await look("rejects", "replay", "people", fixed), 1), said);
  assert.deepEqual(await replay("__reject,name,age\n1,Eve,7\n"), [1, 0, 0]);
  const strange = sluice.file("fix.csv", "__reject,name,__note\n1,Eve,x\n");
  assert.match(
    refusal(await look("rejects", "replay", "people", strange), 1),
    /has no column "__note"/,
  );
  const twice = sluice.file("fix.csv", "__reject,name\n1,Eve\n1,Eva\n");
  assert.match(
    refusal(await look("rejects", "replay", "people", twice), 1),
    /Cannot replay reject 1: it is corrected more than once/,
  );
});

Deno.test("rejects are never written over the source, by whatever name, nor over anything but rejects", async () => {
  await using database = await freshDatabase();
  await using sluice = new Sluice();
  const env = { DATABASE_URL: database.url };
  const source = sluice.file("people.csv", PEOPLE), notes = sluice.file("notes.txt", "mine\n");
  Deno.symlinkSync(source, `${sluice.folder}/link.csv`);
  Deno.linkSync(source, `${sluice.folder}/hard.csv`);
  Deno.mkdirSync(`${sluice.folder}/empty`);
  assert.ok(
    (await new Deno.Command("mkfifo", { args: [`${sluice.folder}/fifo`] }).output()).success,
  );
  const line = (source: string, file: string) =>
    ["load", source, "--into", "p", "--type", "age=integer"].concat("--rejects", file);
  const load = (source: string, file: string) => sluice.run(line(source, file), { env });
  const first = await load(source, "old.jsonl");
  assert.equal(first.code, 0, first.stderr);
  for (
    const [file, why] of [
      ["people.csv", /it is the source itself, which would be lost; name another file/],
      ["./link.csv", /the source itself/],
      ["hard.csv", /the source itself/],
      [`${sluice.folder}/empty`, /it is a folder/],
      ["fifo", /no regular file/],
      ["notes.txt", /there is a file that has no rejects, and would be lost/],
    ] as const
  ) {
    assert.match(refusal(await sluice.here(line(source, file), env), 2), why);
  }
  // Rejects that are a source, too, are not overwritten while they are read; those of an earlier load are.
  const old = `${sluice.folder}/old.jsonl`;
  const again = await sluice.here(line(`file://${old}`, "old.jsonl"), env);
  assert.match(refusal(again, 2), /the source itself/);
  assert.equal((await load(source, "old.jsonl")).code, 0);
  assert.equal((await Deno.readTextFile(old)).split("\n").length, 3);
  assert.deepEqual([source, notes].map((path) => Deno.readTextFileSync(path)), [PEOPLE, "mine\n"]);
  assert.ok(Deno.statSync(`${sluice.folder}/empty`).isDirectory);
});

Deno.test("flags that cannot be followed are refused, and so is a file that tells no reject", async () => {
  await using database = await freshDatabase();
  await using sluice = new Sluice();
  const env = { DATABASE_URL: database.url };
  const load = ["load", sluice.file("people.csv", PEOPLE), "--into", "people"];
  for (
    const [flags, why] of [
      [["--max-rejects", "1.5"], /whole number of records, or a share/],
      [["--max-rejects", "100%"], /whole number of records, or a share/],
      [["--on-reject", "fail", "--max-rejects", "3"], /--max-rejects needs --on-reject keep/],
    ] as const
  ) {
    const { code, stderr } = await sluice.here([...load, ...flags], env);
    assert.equal(code, 2);
    assert.match(stderr, why);
  }
  assert.equal((await sluice.run([...load, "--on-reject", "keep"], { env })).code, 0);
  const strange = sluice.file("strange.csv", "name\nAda\n");
  const said = refusal(await sluice.here(["rejects", "replay", "people", strange], env), 1);
  assert.match(said, /it needs a column "__reject"/);
});

Deno.test("what the loads of a DAG refuse is in the home folder, too, by run and task, also where they fail", async () => {
  await using database = await freshDatabase();
  await using sluice = new Sluice();
  const source = sluice.file("people.csv", PEOPLE);
  sluice.file(
    "dags/people.ts",
    `import { copy, csv, dag, http, pipe } from "sluice";
const people = dag("people", { params: { limit: 2, url: "" } });
people.task("load", pipe(
  http({ url: (run) => run.params.url }),
  csv({ types: { age: "integer" }, onReject: (run) => ({ limit: run.params.limit }) }),
  copy({ table: "people/all" }),
));
export default people;
`,
  );
  const env = { DATABASE_URL: database.url };
  const run = (...args: string[]) =>
    sluice.run(["run", "people", "--param", `url=${source}`, ...args], { env });
  const fileOf = (run: string) =>
    `${sluice.folder}/home/rejects/people/${run}/load/1/people%2Fall.jsonl`;
  const good = await run("--json");
  assert.equal(good.code, 0, good.stderr);
  const [{ run_id: first, tasks: [{ output }] }] = document(good).runs;
  assert.deepEqual([output.rows, output.rejected, output.rejects.file], [2, 2, fileOf(first)]);
  assert.match(good.stderr, /load: keeps aside what cannot be loaded in "\S+all.jsonl", the first/);
  assert.match(await Deno.readTextFile(fileOf(first)), /"line":3,.*"line":4,/s);
  const said = await run();
  assert.match(said.stderr, /people\/all: 2 rows, 2 rejected \(\S+all\.jsonl\)/);

  const bad = await run("--param", "limit=1", "--json");
  assert.equal(bad.code, 1);
  const [{ run_id: last, tasks: [{ error }] }] = document(bad).runs;
  assert.ok(error.includes(`The rejects are in ${fileOf(last)};`), error);
  const { files } = document(await sluice.here(["rejects", "list", "--json"], env));
  assert.deepEqual(
    files.slice(0, 1).map((
      { path, name, attempt }: Record<string, unknown>,
    ) => [path, name, attempt]),
    [[fileOf(last), "people/all", ["people", last, "load", "1"]]],
  );
  assert.equal(files.length, 3);
});

Deno.test("how many were refused is told while more come, by load and by run", async () => {
  await using database = await freshDatabase();
  await using sluice = new Sluice();
  const told = Promise.withResolvers<void>();
  const records = new TextEncoder().encode(
    `n,s\n${Array.from({ length: 2e5 }, (_, i) => `${i % 1e5 === 7 ? "x" : i},text\n`).join("")}`,
  );
  // The rest comes when somebody has said how many of the first were refused.
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () =>
      new Response(ReadableStream.from((async function* () {
        yield records;
        await told.promise;
        yield new TextEncoder().encode("x,the last\n");
      })())),
  );
  const url = `http://127.0.0.1:${server.addr.port}/n.csv`;
  sluice.file(
    "dags/n.ts",
    `import { copy, csv, dag, http, pipe } from "sluice";
const n = dag("n");
const read = csv({ types: { n: "integer" }, onReject: { limit: 3 } });
n.task("load", pipe(http({ url: "${url}" }), read, copy({ table: "n" })));
export default n;
`,
  );
  const env = { DATABASE_URL: database.url };
  const load = sluice.start(
    ["load", url, "--into", "t", "--type", "n=integer", "--max-rejects", "3", "--json"],
    { env },
  );
  const run = sluice.start(["run", "n", "--json"], { env });
  await load.says(/^t: [\d,]+ rows, 2 rejected, .* read/m);
  await run.says(/: load [\d,]+ rows, 2 rejected, pace set by/);
  told.resolve();
  const [loaded, ran] = await Promise.all([load.ended, run.ended]);
  assert.deepEqual([document(loaded).rejected, document(ran).runs[0].tasks[0].output.rejected], [
    3,
    3,
  ]);
});
Deno.test("rows of Arrow that are kept aside are shown, corrected and replayed as others are", async () => {
  await using database = await freshDatabase();
  await using sluice = new Sluice();
  await database.query("CREATE TABLE people (name text, age integer CHECK (age > 0))");
  const run = (...args: string[]) => sluice.run(args, { env: { DATABASE_URL: database.url } });
  const table = tableFromArrays({ name: ["Ada", "Bob", "Eve"], age: ["36", "old", "-1"] });
  const source = `${sluice.folder}/people.arrow`;
  Deno.writeFileSync(source, tableToIPC(table, "file"));
  const load = ["load", source, "--into", "people", "--mode", "append", "--type", "age=integer"];
  assert.match(
    refusal(await run(...load), 1),
    /Cannot read Arrow IPC: in column "age", record 2, "old" is not of type integer/,
  );
  const { rows, rejects } = document(await run(...load, "--max-rejects", "2", "--json"));
  assert.deepEqual([rows, rejects.rules], [1, { type: 1, check: 1 }]);
  const { stdout } = await run("rejects", "show", "people");
  assert.match(stdout, /"old" is not of type integer\n {4}record 2, column age, .*people\.arrow\n/);
  assert.match(stdout, / {4}record 3, .*people\.arrow\n {4}\| {"name":"Eve","age":"-1"}\n/);
  const shown = await run("rejects", "show", "people", "--csv");
  const fixed = sluice.file("fix.csv", shown.stdout.replace('"old"', "40").replace('"-1"', "7"));
  const replayed = document(await run("rejects", "replay", "people", fixed, "--json"));
  assert.deepEqual(replayed, { table: "people", replayed: 2, rejected: 0, skipped: 0 });
  assert.deepEqual(await database.query("SELECT name, age FROM people ORDER BY age"), [
    { name: "Eve", age: 7 },
    { name: "Ada", age: 36 },
    { name: "Bob", age: 40 },
  ]);
});
