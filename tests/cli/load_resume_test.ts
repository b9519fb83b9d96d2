import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { random, soak } from "../faults/_soak.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { arrived, MOST_LOST, type RangedServer, rangedServer } from "./_ranged_server.ts";
import { document, refusal, Sluice, until } from "./_sluice.ts";

await sharedPostgres();

/** In full: 200 kills of loads of 200 MB. */
const MB = soak ? 200 : 20;
const CHAINS = soak ? 34 : 4;
/** How often one load is killed before it is let go on to its end. */
const KILLS = soak ? 6 : 5;
const SEED = Number(Deno.env.get("SEED") ?? 20210102);
/** Bytes of rows that are committed together. */
const CHUNK = 8 * 2 ** 20;

const ROW = 400;
const ROWS = MB * 1e6 / ROW;
/** Rows of the files for which it is enough that some of them are committed before others come. */
const FEW = 40_000;

/** Rows of some 400 bytes that compress to half. */
function csvOf(version: string, rows: number): Uint8Array<ArrayBuffer> {
  const next = random(SEED);
  const digits = Array.from({ length: 1 << 20 }, () => Math.floor(next() * 16).toString(16)).join(
    "",
  );
  const lines = ["n,at,price,note"];
  for (let n = 0; n < rows; n++) {
    const at = Math.floor(next() * (digits.length - 360));
    lines.push(`${n},2021-01-02 03:04:05,${n / 4},${version} ${digits.slice(at, at + 360)}`);
  }
  return new TextEncoder().encode(lines.join("\n") + "\n");
}

/** Rows that one table has and another one has not, each as often as it has it more. */
async function differences(database: TestDatabase, one: string, other: string): Promise<unknown[]> {
  return await database.query(
    `(SELECT * FROM ${one} EXCEPT ALL SELECT * FROM ${other}) UNION ALL
     (SELECT * FROM ${other} EXCEPT ALL SELECT * FROM ${one}) LIMIT 5`,
  );
}

/** How many rows the server was sent for a table, those that were rolled back among them. */
async function inserted(database: TestDatabase, table: string): Promise<number> {
  for (;;) {
    const [{ n }] = await database.query<{ n: number }>(
      "SELECT n_tup_ins::int AS n FROM pg_stat_user_tables WHERE relname = $1",
      [table],
    ) as [{ n: number }];
    if (n >= ROWS) return n;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const little = csvOf("one", FEW);

Deno.test("a load that is killed at random points goes on, and nothing is fetched or copied twice", async () => {
  const next = random(SEED);
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const plain = csvOf("one", ROWS), packed = new Uint8Array(gzipSync(plain, { level: 1 }));
  const whole = sluice.file("whole.csv", plain);
  const at = ["--database", db.url, "--json"];
  assert.equal((await sluice.run(["load", whole, "--into", "whole", ...at])).code, 0);
  for (let chain = 0; chain < CHAINS; chain++) {
    const body = chain % 2 === 0 ? packed : plain;
    await using server = rangedServer(body, { arrived: () => arrived(sluice) });
    await db.query("DROP TABLE IF EXISTS t; CREATE TABLE t AS SELECT -1 AS old");
    const load = ["load", `${server.url}/file`, "--into", "t", "--resume", ...at];
    const points = Array.from({ length: KILLS }, next).sort((a, b) => a - b);
    for (const point of points) {
      const killed = sluice.start(load, { patience: 120_000 });
      await Promise.race([server.reaches(point * body.length), killed.ended]);
      killed.kill("SIGKILL");
      await killed.ended;
      const old = await db.query("SELECT * FROM t LIMIT 2");
      assert.deepEqual(old, [{ old: -1 }], "the table is as it was");
    }
    const done = await sluice.run(load, { patience: 120_000 });
    assert.equal(done.code, 0, done.stderr);
    const { rows, resumed } = document(done);
    assert.equal(rows, ROWS);
    // What was killed last had a chunk committed, unless it was killed early.
    if (points.at(-1)! * plain.length > 4 * CHUNK) assert.ok(resumed.record > 1);
    assert.deepEqual(await differences(db, "t", "whole"), []);
    const twice = server.sent - body.length;
    assert.ok(twice <= KILLS * MOST_LOST, `${twice} of ${body.length} bytes came twice`);
    const again = await inserted(db, "t") - ROWS;
    assert.ok(again <= KILLS * CHUNK / (ROW - 20), `${again} rows were copied twice`);
    assert.deepEqual(await db.query("SELECT * FROM sluice.staging"), []);
    assert.deepEqual([...Deno.readDirSync(`${sluice.home}/loads`)], []);
  }
});

/** Starts a load that commits rows before the end, and kills it when some are and not all of the source was sent. */
async function kill(
  sluice: Sluice,
  db: TestDatabase,
  server: RangedServer,
  load: readonly string[],
): Promise<void> {
  server.limit = server.sent + server.body.length * 0.8;
  const killed = sluice.start(load);
  // Where there are several connections, each has its own share of the rows, and none says how many.
  await committed(db, load.includes("--parallel") ? "true" : "rows > 0");
  killed.kill("SIGKILL");
  await killed.ended;
  server.limit = Infinity;
}

/** Resolves when a load has committed rows, or whatever else says that it has begun to. */
async function committed(db: TestDatabase, what = "rows > 0"): Promise<void> {
  const rows = `SELECT FROM sluice.staging WHERE ${what}`;
  await until(() => db.query(rows).then((found) => found.length > 0, () => false));
}

Deno.test("a load begins anew when the source or the options are others, and downloads no more than it must", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await using server = rangedServer(little, { arrived: () => arrived(sluice) });
  const load = ["load", `${server.url}/file`, "--into", "t", "--resume", "--json"];
  load.push("--database", db.url);
  await kill(sluice, db, server, load);
  const [kept] = await db.query<{ name: string }>("SELECT name FROM sluice.staging");
  // Other options: the rows are copied anew, and the download goes on all the same.
  const first = server.sent;
  const other = [...load, "--type", "price=text"];
  const [, answer] = await Promise.all([
    server.reaches(first + 0.05 * little.length),
    sluice.run(other),
  ]);
  const told = document(answer);
  assert.deepEqual([told.rows, told.resumed], [FEW, undefined]);
  assert.ok(server.sent - little.length < 0.05 * little.length);
  assert.deepEqual(await db.query("SELECT to_regclass($1) AS there", [kept!.name]), [{
    there: null,
  }]);
  // Another version: all of it is downloaded and copied anew.
  await kill(sluice, db, server, load);
  server.body = csvOf("two", FEW);
  server.etag = '"v2"';
  const anew = document(await sluice.run(load));
  assert.deepEqual([anew.rows, anew.resumed], [FEW, undefined]);
  assert.equal(server.starts.at(-1), 0);
  assert.deepEqual(
    await db.query(
      "SELECT count(*)::int AS rows, count(DISTINCT n)::int AS ns, bool_and(note LIKE 'two %') AS good FROM t",
    ),
    [{ rows: FEW, ns: FEW, good: true }],
  );
  assert.deepEqual(await db.query("SELECT * FROM sluice.staging"), []);
});

Deno.test("a file goes on where it was killed, and begins anew when it was changed where it was read", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const file = sluice.file("file.csv", little);
  const load = ["load", file, "--into", "t", "--resume", "--database", db.url];
  const killed = async (): Promise<void> => {
    const command = sluice.start(load);
    await committed(db);
    command.kill("SIGKILL");
    await command.ended;
  };
  await killed();
  const done = await sluice.run(load);
  assert.match(done.stdout, /^ {2}went on at record [\d,]+, byte [\d,]+$/m);
  assert.match(
    done.stderr,
    /^goes on at record \d+, byte \d+: the rows before it are there already$/m,
  );
  await killed();
  // Its size and time stay: only the rows tell.
  const { mtime, atime } = await Deno.stat(file);
  const other = little.slice();
  other[other.indexOf(10) + 1000]! ^= 1;
  await Deno.writeFile(file, other);
  await Deno.utime(file, atime!, mtime!);
  const again = await sluice.run([...load, "--json"]);
  assert.match(
    again.stderr,
    /are not those that an attempt before this one has copied.*trying again/,
  );
  const { rows, resumed } = document(again);
  assert.deepEqual([rows, resumed], [FEW, undefined]);
});

/** Ways to load that commit rows before the end. */
const COMMITTING: readonly (readonly string[])[] = [
  ["--resume"],
  ["--resume", "--mode", "append"],
  ["--resume", "--mode", "merge", "--on", "n", "--duplicates", "fail"],
  ["--resume", "--mode", "merge", "--on", "n", "--duplicates", "fail", "--on-reject", "keep"],
  ["--parallel", "2", "--mode", "append", "--key", "the load"],
];

Deno.test("a column that turns out wider behind what is committed is right in the end, killed or not", async () => {
  const text = new TextDecoder().decode(little).replace(
    /\n[^\n]+\n$/,
    "\nN/A,2021-01-02 03:04:05,,\n",
  );
  for (const way of COMMITTING) {
    await using sluice = new Sluice();
    await using db = await freshDatabase();
    await using server = rangedServer(new TextEncoder().encode(text));
    const load = ["load", `${server.url}/file`, "--into", "t", ...way, "--json"];
    load.push("--database", db.url);
    await kill(sluice, db, server, load);
    assert.equal((await db.query("SELECT FROM sluice.staging")).length, 1, "rows were committed");
    const there = await db.query("SELECT to_regclass('t') AS there");
    assert.deepEqual(there, [{ there: null }], "no table is seen before it has its rows");
    const { rows, columns, rejected } = document(await sluice.run(load));
    assert.deepEqual([rows, rejected], [FEW, 0], way.join(" "));
    assert.deepEqual(columns[0], { name: "n", type: "text" });
    const [sum] = await db.query(
      "SELECT count(*)::int AS rows, count(DISTINCT n)::int AS ns, max(n) AS last FROM t",
    );
    assert.deepEqual(sum, { rows: FEW, ns: FEW, last: "N/A" });
    assert.deepEqual(await db.query("SELECT * FROM sluice.staging"), []);
  }
});

Deno.test("load --resume refuses what it could not go on with", async () => {
  await using sluice = new Sluice();
  for (
    const [flags, why] of [
      [["-", "--resume"], /--resume needs a source that can be read again/],
      [["a.csv", "--resume", "--staging", "transaction"], /leave --staging transaction out/],
      [["a.csv", "--resume", "--parallel", "2"], /staging is for one connection/],
      [["a.csv", "--staging", "committed", "--mode", "merge", "--on", "a"], /--duplicates fail/],
    ] as const
  ) {
    const outcome = await sluice.here(["load", ...flags, "--into", "t"]);
    assert.match(refusal(outcome, 2), why);
  }
});

Deno.test("two processes do not load the same source into the same table at once with --resume", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await using server = rangedServer(little, { pause: 20 });
  const load = ["load", `${server.url}/file`, "--into", "t", "--resume", "--database", db.url];
  const first = sluice.start(load);
  await server.reaches(1);
  const second = await sluice.run(load);
  assert.match(refusal(second, 1), /^Cannot load into "t": another process loads this source/);
  first.kill("SIGKILL");
  await first.ended;
});
