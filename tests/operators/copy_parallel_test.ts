import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { RecordBatch } from "apache-arrow";
// @ts-types="@types/pg"
import pg from "pg";
import { type Copied, copy, type CopyOptions } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { load, nothingLeft, rows } from "./_load.ts";
import { batchesOf } from "./_read_csv.ts";

await sharedPostgres();

const ROWS = 60_000;
const TEXT = `n,s\n${Array.from({ length: ROWS }, (_, i) => `${i},text ${i}`).join("\n")}\n`;

/** Loads batches into `t` over three connections. */
async function loadParallel(
  database: TestDatabase,
  batches: ReadableStream<RecordBatch>,
  options: Partial<CopyOptions> = {},
  said: string[] = [],
): Promise<Copied> {
  const say = (message: string): void => void said.push(message);
  const ctx = testContext({
    connection: () => Promise.resolve({ url: database.url }),
    log: { info: say, warn: say, error: say },
  });
  return await perform(copy({ table: "t", parallel: 3, ...options }), ctx, batches);
}

/** Rows, after which something happens. */
function andThen(text: string, then: () => void | Promise<void>): ReadableStream<RecordBatch> {
  let batches: ReadableStreamDefaultReader<RecordBatch> | undefined;
  return new ReadableStream({
    async pull(controller) {
      batches ??= (await batchesOf(text)).getReader();
      const { done, value } = await batches.read();
      if (!done) return controller.enqueue(value);
      await then();
      controller.close();
    },
  }, { highWaterMark: 0 });
}

/** The sessions that copy, once there are three. */
async function copying(database: TestDatabase): Promise<number[]> {
  for (let tries = 0;; tries++) {
    const all = await database.query<{ pid: number }>(
      "SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active' AND datname = current_database()",
    );
    if (all.length >= 3) return all.map(({ pid }) => pid);
    assert.ok(tries < 1000, `${all.length} sessions copy`);
    await sleep(20);
  }
}

const MODES: readonly Partial<CopyOptions>[] = [
  { mode: "replace" },
  { mode: "append" },
  { mode: "merge", on: ["n"], duplicates: "fail" },
  { mode: "partition", slice: { column: "n", from: 0, to: ROWS } },
];

for (const options of MODES) {
  Deno.test(`one file over several connections is in the table at once, and once: ${options.mode}`, async () => {
    await using database = await freshDatabase();
    let seen: unknown[] = [];
    const batches = andThen(TEXT, async () => {
      seen = await copying(database);
    });
    const copied = await loadParallel(database, batches, options);
    assert.equal(copied.rows, ROWS);
    assert.equal(seen.length, 3);
    const sum = () =>
      database.query(
        "SELECT count(*)::int AS rows, count(DISTINCT n)::int AS ns, bool_and(s = 'text ' || n) AS good FROM t",
      );
    assert.deepEqual(await sum(), [{ rows: ROWS, ns: ROWS, good: true }]);
    await loadParallel(database, await batchesOf(TEXT), {
      ...options,
      key: "again",
      ...options.mode === "append" ? { mode: "replace" } : {},
    });
    assert.deepEqual(await sum(), [{ rows: ROWS, ns: ROWS, good: true }]);
    assert.deepEqual(await database.query("SELECT FROM sluice.staging"), []);
    await nothingLeft(database);
  });
}

Deno.test("a parallel load that fails leaves nothing behind", async () => {
  await using database = await freshDatabase();
  await load(database, "n,s\n1,old\n");
  const failing = andThen(TEXT, () => {
    throw new Error("the line was cut");
  });
  await assert.rejects(loadParallel(database, failing), new Error("the line was cut"));
  // One of several sessions is lost.
  const killed = andThen(TEXT, async () => {
    const [pid] = await copying(database);
    await database.query("SELECT pg_terminate_backend($1)", [pid]);
    await sleep(100);
  });
  await assert.rejects(loadParallel(database, killed));
  await database.query("CREATE UNIQUE INDEX ON t (n)");
  await assert.rejects(loadParallel(database, await batchesOf("n,s\n7,x\n7,y\n")), /duplicate key/);
  assert.deepEqual(await rows(database), ["(1,old)"]);
  assert.deepEqual(await database.query("SELECT FROM sluice.staging"), []);
  await nothingLeft(database);
});

Deno.test("what a dead load has left is dropped by the next one, what a living one has is not", async () => {
  await using database = await freshDatabase();
  await load(database, "n,s\n1,old\n");
  const control =
    "SELECT pid FROM pg_stat_activity WHERE query LIKE '%sluice.staging%COMMIT' AND datname = current_database()";
  const leftovers = async () => (await database.query("SELECT FROM sluice.staging")).length;
  let release = () => {};
  const held = new Promise<void>((resolve) => release = resolve);
  const living = loadParallel(database, andThen("n,s\n2,living\n", () => held), { table: "u" });
  living.catch(() => {});
  while (
    !(await database.query("SELECT to_regclass('sluice.staging') AS t"))[0] || await leftovers() < 1
  ) await sleep(20);
  const [{ pid: alive }] = await database.query<{ pid: number }>(control) as [{ pid: number }];
  const killed = andThen("n,s\n3,dead\n", async () => {
    // The session that would clear up.
    await database.query(
      `SELECT pg_terminate_backend(pid) FROM (${control}) AS c WHERE pid <> ${alive}`,
    );
    await sleep(100);
  });
  await assert.rejects(loadParallel(database, killed), /the connection with Postgres was lost/);
  assert.equal(await leftovers(), 2);
  const said: string[] = [];
  await loadParallel(database, await batchesOf("n,s\n4,new\n"), {}, said);
  assert.match(said[0]!, /^dropped "public"\."sluice_[0-9a-f]{32}", left by a load that died$/);
  assert.equal(await leftovers(), 1);
  release();
  await living;
  assert.deepEqual([await rows(database), await rows(database, "u")], [["(4,new)"], [
    "(2,living)",
  ]]);
  assert.equal(await leftovers(), 0);
  await nothingLeft(database);
});

const JANUARY = { column: "b", from: "2021-01-01", to: "2021-02-01" };
const PARTITIONED = `ALTER TABLE t RENAME TO old; CREATE TABLE t (LIKE old) PARTITION BY RANGE (b);
  ALTER TABLE t ATTACH PARTITION old FOR VALUES FROM ('2021-01-01') TO ('2021-02-01')`;

/** What a transaction that began before a load, and looks at the table after it, finds there. */
const SNAPSHOTS: readonly (readonly [
  what: string,
  options: Partial<CopyOptions>,
  sql: string,
  found: number[],
])[] = [
  ["a plain table", {}, "", [2]],
  ["a plain table, in parallel", { parallel: 2 }, "", []],
  ["a plain table, in committed staging", { staging: "committed" }, "", []],
  ["a table with an index", {}, "CREATE INDEX ON t (a)", []],
  ["by deletes and inserts", { isolation: "mvcc" }, "", [1]],
  [
    "a table that others refer to",
    {},
    "ALTER TABLE t ADD UNIQUE (b); CREATE TABLE o (b date REFERENCES t (b))",
    [1],
  ],
  ["by a merge", { mode: "merge", on: ["b"] }, "", [1]],
  ["a slice", { mode: "partition", slice: JANUARY }, "", [1]],
  ["a partition", { mode: "partition", slice: JANUARY }, PARTITIONED, [2]],
  ["a partition, in parallel", { mode: "partition", slice: JANUARY, parallel: 2 }, PARTITIONED, []],
  ["by appending", { mode: "append" }, "", [1]],
  ["by appending with a cast", { mode: "append" }, "ALTER TABLE t ALTER a TYPE bigint", [1]],
];

Deno.test("a reader whose snapshot is older than the load finds what the README says", async () => {
  for (const [what, options, sql, found] of SNAPSHOTS) {
    await using database = await freshDatabase();
    await load(database, "a,b\n1,2021-01-05\n");
    if (sql) await database.query(sql);
    const reader = new pg.Client(database.url);
    await reader.connect();
    try {
      await reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
      await load(database, "a,b\n2,2021-01-05\n", options as never);
      const { rows } = await reader.query("SELECT a FROM t");
      assert.deepEqual(rows.map(({ a }) => Number(a)), found, what);
    } finally {
      await reader.end();
    }
    const now = await database.query("SELECT FROM t WHERE a = 2");
    assert.equal(now.length, 1, what);
  }
});
