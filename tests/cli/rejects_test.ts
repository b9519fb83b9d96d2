import assert from "node:assert/strict";
import { freshDatabase } from "../_postgres.ts";
import { document, refusal, Sluice } from "./_sluice.ts";

const PEOPLE = 'name,age\nAda,36\n"Bob",old\nEve\nZoë,7\n';

Deno.test("what a load keeps aside is listed, shown, corrected and replayed once", async () => {
  await using database = await freshDatabase();
  await using sluice = new Sluice();
  const env = { DATABASE_URL: database.url };
  const run = (...args: string[]) => sluice.run(args, { env });
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
  assert.match(loaded.stderr, /keeps aside what cannot be loaded, the first on line 3/);
  assert.match(await Deno.readTextFile(file), /"line":3,.*"line":4,/s);

  const listed = await run("rejects", "list");
  assert.match(
    listed.stdout,
    /public\.people +2 +0 +1 .* 1 type, 1 fields|public\.people +2 +0 +1 .* 1 fields, 1 type/,
  );
  const shown = await run("rejects", "show", "people");
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
  const counts = { table: "people", replayed: 1, rejected: 0, skipped: 0 };
  assert.deepEqual(document(await replay()), counts);
  assert.deepEqual(document(await replay()), { ...counts, replayed: 0, skipped: 1 });
  const stdin = `{"__reject":2,"name":"Eve","age":9007199254740993}\n`;
  const again = await sluice.run(["rejects", "replay", "people", "-"], { env, stdin });
  assert.match(again.stdout, /0 replayed, 1 rejected again, 0 skipped/);
  await sluice.run(["rejects", "replay", "people", "-"], {
    env,
    stdin: stdin.replace(/90+\d+/, "5"),
  });
  const { tables } = document(await run("rejects", "list", "--json"));
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
    const { code, stderr } = await sluice.run([...load, ...flags], { env });
    assert.equal(code, 2);
    assert.match(stderr, why);
  }
  assert.equal((await sluice.run([...load, "--on-reject", "keep"], { env })).code, 0);
  const strange = sluice.file("strange.csv", "name\nAda\n");
  const said = refusal(await sluice.run(["rejects", "replay", "people", strange], { env }), 1);
  assert.match(said, /it needs a column "__reject"/);
});
