import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { document, refusal, serve, Sluice, until } from "./_sluice.ts";

const postgres = await sharedPostgres();

/** Long enough to be read in several blocks. */
const lines = (row: (i: number) => string, n = 200_000): string =>
  Array.from({ length: n }, (_, i) => `${row(i)}\n`).join("");
const good = `a,b\n${lines((i) => `${i},x${i}`)}`;
const zipped = new Uint8Array(gzipSync(good, { level: 1 }));

const files: Record<string, string | Uint8Array<ArrayBuffer>> = {
  "/page": "<!DOCTYPE html>\n<html><body>Sign in, please</body></html>\n",
  "/truncated.csv.gz": zipped.slice(0, zipped.length - 5),
  "/corrupt.csv.gz": zipped.with(zipped.length >> 1, zipped[zipped.length >> 1]! ^ 0xff),
  "/bad_sum.csv.gz": zipped.with(zipped.length - 6, zipped[zipped.length - 6]! ^ 0xff),
  "/empty": "",
  "/header_only": "a,b\n",
  "/ragged": `a,b\n${lines((i) => i === 150_000 ? "1,2,3" : `${i},x`)}`,
  "/unclosed": `a,b\n${lines((i) => i === 100_000 ? '1,"never' : `${i},x`)}`,
  "/twins": "a,b,a\n1,2,3\n",
  "/long_name": `a,${"ü".repeat(32)}\n1,2\n`,
  "/wide": `${Array.from({ length: 1601 }, (_, i) => `c${i}`)}\n${Array(1601).fill(1)}\n`,
  "/late": `a,b\n${lines((i) => i === 180_000 ? "12.5,x" : `${i},x`)}`,
  "/good": good,
};

const web = () =>
  serve(({ url }) => {
    const file = files[new URL(url).pathname];
    return file === undefined ? new Response("no", { status: 404 }) : new Response(file);
  });

/** A table with rows that a load shall not touch. */
async function keep(db: TestDatabase): Promise<void> {
  await db.query(`CREATE TABLE kept AS SELECT i AS a, 'old' AS b FROM generate_series(1, 3) i`);
}

/** The table is as it was, and nothing of ours is left. */
async function assertUntouched(db: TestDatabase): Promise<void> {
  const rows = await db.query("SELECT a, b FROM kept ORDER BY a");
  assert.deepEqual(rows, [1, 2, 3].map((a) => ({ a, b: "old" })));
  await until(async () => (await sessions(db)) === 0);
  assert.deepEqual(await staging(db), []);
}

async function sessions(db: TestDatabase): Promise<number> {
  const [row] = await db.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_stat_activity
     WHERE application_name = 'sluice' AND datname = current_database()`,
  );
  return row!.n;
}

async function staging(db: TestDatabase): Promise<unknown[]> {
  return await db.query("SELECT relname FROM pg_class WHERE relname LIKE 'sluice\\_%'");
}

const faults: [what: string, path: string, says: RegExp[], flags?: string[]][] = [
  ["a file that is not there", "/nowhere", [/\/nowhere/, /404/]],
  ["a web page", "/page", [/<!DOCTYPE html>/, /web page/]],
  ["a truncated gzip file", "/truncated.csv.gz", [/gzip/, /ends|truncated/]],
  // What damaged bytes turn into may be noticed as CSV first.
  ["a corrupt gzip file", "/corrupt.csv.gz", [/gzip|CSV/]],
  ["a gzip file with a wrong checksum", "/bad_sum.csv.gz", [/gzip/, /check/]],
  ["an empty file", "/empty", [/empty/]],
  ["a header alone, in place of rows", "/header_only", [/"kept"/, /header/, /--allow-empty/]],
  ["a ragged row", "/ragged", [/line 150002\b/, /3 fields/, /expected 2/]],
  ["a quote never closed", "/unclosed", [/line 100002\b/, /quote/]],
  ["columns of the same name", "/twins", [/columns 1 and 3/, /"a"/]],
  ["a name of more than 63 bytes", "/long_name", [/üüü/, /64 bytes/, /63/]],
  ["more than 1600 columns", "/wide", [/1601/, /1600/]],
  [
    "a value not of the type that was declared",
    "/late",
    [/"12\.5"/, /integer/, /"a"/, /line 180002\b/],
    ["--type", "a=integer"],
  ],
];

for (const [what, path, says, flags = []] of faults) {
  Deno.test(`${what} ends a load with one sentence, and the table as it was`, async () => {
    await using sluice = new Sluice();
    await using db = await freshDatabase();
    await using server = web();
    await keep(db);
    const outcome = await sluice.run(
      ["load", server.url + path, "--into", "kept", "--database", db.url, "--json", ...flags],
    );
    const sentence = refusal(outcome, 1);
    for (const part of says) assert.match(sentence, part);
    assert.match(outcome.stdout, /^{"error":/);
    assert.equal(outcome.stderr.trimEnd().split("\n").length, 1, outcome.stderr);
    await assertUntouched(db);
  });
}

Deno.test("a host that cannot be reached is asked for a while, and named", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await keep(db);
  using nobody = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${nobody.addr.port}/x.csv`;
  nobody.close();
  const outcome = await sluice.run(["load", url, "--into", "kept", "--database", db.url, "--json"]);
  const sentence = refusal(outcome, 1);
  assert.match(sentence, /refused/i);
  assert.ok(sentence.includes(url), sentence);
  assert.match(outcome.stderr, /trying again in/);
  await assertUntouched(db);
});

Deno.test("wrong credentials and a database that is not there are told without the password", async () => {
  await using sluice = new Sluice();
  const file = sluice.file("x.csv", "a\n1\n");
  const load = ["load", file, "--into", "kept", "--json", "--database"];
  const missing = refusal(await sluice.run([...load, `${postgres.url}_nowhere`]), 1);
  assert.match(missing, /database "tester_nowhere" does not exist/);
  const socket = `postgres://nobody:hush@localhost:${postgres.port}/tester?host=${postgres.folder}`;
  const outcome = await sluice.run([...load, socket]);
  assert.match(refusal(outcome, 1), /role "nobody" does not exist/);
  assert.doesNotMatch(outcome.stderr + outcome.stdout, /hush/);
  assert.equal(await Deno.stat(sluice.home).catch(() => undefined), undefined);
});

Deno.test("a header alone makes an empty table, and with --allow-empty replaces one", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await keep(db);
  const file = sluice.file("x.csv", "a,b\n");
  const load = ["load", file, "--database", db.url, "--json", "--into"];
  assert.equal(document(await sluice.run([...load, "fresh"])).rows, 0);
  assert.equal(document(await sluice.run([...load, "kept", "--allow-empty"])).rows, 0);
  assert.deepEqual(await db.query("SELECT * FROM kept UNION ALL SELECT * FROM fresh"), []);
});

Deno.test("a load that is killed leaves the table as it was, and the next one works", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await keep(db);
  const bytes = new TextEncoder().encode(good);
  const half = bytes.subarray(0, bytes.length >> 1);
  const gone = Promise.withResolvers<void>();
  let slow = true;
  await using server = serve(() => {
    if (!slow) return new Response(bytes);
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(half),
      cancel: () => gone.resolve(),
    });
    return new Response(body);
  });
  const load = ["load", server.url, "--into", "kept", "--database", db.url, "--json"];
  const command = sluice.start(load);
  await until(async () => {
    const [row] = await db.query(`SELECT FROM pg_stat_progress_copy WHERE tuples_processed > 0`);
    return row !== undefined;
  });
  command.kill("SIGKILL");
  assert.equal((await command.ended).code, 137);
  await gone.promise;
  await assertUntouched(db);
  slow = false;
  assert.equal(document(await sluice.run(load)).rows, 200_000);
  assert.deepEqual(await staging(db), []);
  assert.deepEqual(await db.query("SELECT count(*)::int FROM kept"), [{ count: 200_000 }]);
});

const misuses: [what: string, args: string[], says: RegExp][] = [
  ["no source", ["load", "--into", "t"], /SOURCE/],
  ["no table", ["load", "URL"], /--into/],
  ["an unknown flag", ["load", "URL", "--into", "t", "--frob"], /--frob/],
  ["an unknown verb", ["laod"], /"laod".*load/],
  ["a mode that is none", ["load", "URL", "--into", "t", "--mode", "x"], /--mode.*replace, append/],
  ["a delimiter too long", ["load", "URL", "--into", "t", "--delimiter", ";;"], /";;"/],
  ["a type that is none", ["load", "URL", "--into", "t", "--type", "a=frob"], /"frob".*boolean/],
  ["a type without a column", ["load", "URL", "--into", "t", "--type", "x"], /"x" for --type/],
  ["an empty table name", ["load", "URL", "--into", ""], /--into/],
  ["a DSN that is none", ["load", "URL", "--into", "t", "--database", "frob"], /database/],
  [
    "a DSN with a port that is none",
    ["load", "URL", "--into", "t", "--database", "postgres://u:hush@h:port/x"],
    /port/,
  ],
  ["an unknown DAG", ["run", "nope"], /"nope".*"yellow_taxi"/],
  ["an unknown param", ["run", "yellow_taxi", "--param", "x=1"], /"x".*"base"/],
  ["half a range", ["run", "yellow_taxi", "--from", "2021-01-01"], /--to is missing/],
  ["the other half", ["run", "yellow_taxi", "--to", "2021-01-01"], /--from is missing/],
  [
    "a range that ends first",
    ["run", "yellow_taxi", "--from", "2021-03-01", "--to", "2021-01-01"],
    /2021-03-01.*2021-01-01/,
  ],
  [
    "a range and a date",
    ["run", "yellow_taxi", "--from", "2021-01-01", "--to", "2021-03-01", "--date", "2021-01-02"],
    /--date/,
  ],
  [
    "a date without a run",
    ["run", "yellow_taxi", "--date", "2021-01-05"],
    /2021-01-05.*2021-01-02T06:00.*2021-02-02T06:00/,
  ],
  ["a date that is none", ["run", "yellow_taxi", "--date", "2021-02-30"], /2021-02-30/],
  ["a folder that is not there", ["run", "x", "--dags", "nowhere"], /"nowhere"/],
  ["a port that is none", ["serve", "--port", "99999"], /"99999" for --port/],
  ["a duration that is none", ["serve", "--keep", "long"], /"long" for --keep.*90d/],
  ["a number of rows that is none", ["demo", "--rows", "some"], /"some" for --rows/],
  ["an empty number of rows", ["demo", "--rows", ""], /"" for --rows.*a whole number/],
  ["an empty name in quotes", ["load", "URL", "--into", '""'], /name of a table: "" is empty/],
  ["an empty schema", ["load", "URL", "--into", '"".t'], /name of a table: "" is empty/],
  ["an empty table", ["load", "URL", "--into", 's.""'], /name of a table: "" is empty/],
];

Deno.test("bad usage ends with exit code 2 before anything is tried", async (t) => {
  await using sluice = new Sluice();
  let asked = 0;
  await using server = serve(() => {
    asked++;
    return new Response("a\n1\n");
  });
  using database = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const called = (async () => {
    for await (const connection of database) {
      asked++;
      connection.close();
    }
  })();
  const dsn = `postgres://u:hush@127.0.0.1:${database.addr.port}/x`;
  for (const [what, args, says] of misuses) {
    await t.step(what, async () => {
      const line = args.map((arg) => arg === "URL" ? server.url : arg);
      if (args[0] !== "serve") line.push("--json");
      const outcome = await sluice.here(line, { DATABASE_URL: dsn });
      assert.match(refusal(outcome, 2), says);
      if (args[0] !== "serve") assert.match(outcome.stdout, /^{"error":/);
      assert.doesNotMatch(outcome.stdout + outcome.stderr, /hush/);
    });
  }
  database.close();
  await called;
  assert.equal(asked, 0);
});
