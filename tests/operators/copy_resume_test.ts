import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { RecordBatch } from "apache-arrow";
import { SourceChanged } from "../../engine/mod.ts";
import {
  type Batches,
  type Copied,
  copy,
  type CopyOptions,
  jsonLines,
} from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { nothingLeft } from "./_load.ts";
import { batchesOf, chunked } from "./_read_csv.ts";

await sharedPostgres();

/** Some 13 MB as they are copied, so that there is a checkpoint. */
const ROWS = 32_000;
const TEXT = csvOf(ROWS);

function csvOf(rows: number, text = "text"): string {
  return `n,s\n${
    Array.from({ length: rows }, (_, i) => `${i},${text} ${i} ${"x".repeat(400)}`).join("\n")
  }\n`;
}

const BROKEN = new Error("the line was cut");

/** What of a source comes before it breaks. */
function broken(source: Batches, rows = ROWS * 0.8): ReadableStream<RecordBatch> {
  const batches = source.getReader();
  let left = rows;
  return new ReadableStream({
    async pull(controller) {
      const { value } = await batches.read();
      if (!value || (left -= value.numRows) < 0) {
        await batches.cancel();
        throw BROKEN;
      }
      controller.enqueue(value);
    },
  }, { highWaterMark: 0 });
}

/** Tries to load batches into `t`. */
function attempt(
  database: TestDatabase,
  batches: ReadableStream<RecordBatch>,
  options: Partial<CopyOptions> = {},
  length?: number,
): { readonly said: string[]; readonly copied: Promise<Copied> } {
  const said: string[] = [];
  const say = (message: string): void => void said.push(message);
  const ctx = testContext({
    connection: () => Promise.resolve({ url: database.url }),
    log: { info: say, warn: say, error: say },
  });
  ctx.meter.length = length ?? null;
  const all = { table: "t", key: "the load", staging: "committed", ...options } as CopyOptions;
  return { said, copied: perform(copy(all), ctx, batches) };
}

async function staged(database: TestDatabase): Promise<{ name: string; rows: number }[]> {
  return await database.query("SELECT name, rows::int FROM sluice.staging ORDER BY began");
}

/** Checks that a table has each row once. */
async function complete(database: TestDatabase, text = "text"): Promise<void> {
  const [sum] = await database.query(
    `SELECT count(*)::int AS rows, count(DISTINCT n)::int AS ns, min(n)::int AS least, max(n)::int AS most,
     bool_and(s = $1 || ' ' || n || ' ' || repeat('x', 400)) AS good FROM t`,
    [text],
  );
  assert.deepEqual(sum, { rows: ROWS, ns: ROWS, least: 0, most: ROWS - 1, good: true });
}

const MODES: readonly (readonly [what: string, options: Partial<CopyOptions>, sql?: string])[] = [
  ["a new table", {}],
  ["a table in its place", {}, "CREATE TABLE t AS SELECT 7 AS n"],
  [
    "a table that views hold on to",
    {},
    "CREATE TABLE t (n bigint, s text); CREATE VIEW v AS TABLE t",
  ],
  ["rows that are added", { mode: "append" }],
  ["rows that are merged", { mode: "merge", on: ["n"], duplicates: "fail" }],
  ["a slice", { mode: "partition", slice: { column: "n", from: 0, to: ROWS } }],
  [
    "a partition",
    { mode: "partition", slice: { column: "n", from: 0, to: ROWS } },
    `CREATE TABLE t (n integer, s text) PARTITION BY RANGE (n);
     CREATE TABLE p PARTITION OF t FOR VALUES FROM (0) TO (${ROWS})`,
  ],
];

for (const [what, options, sql] of MODES) {
  Deno.test(`a load goes on where an attempt before it has died: ${what}`, async () => {
    await using database = await freshDatabase();
    if (sql) await database.query(sql);
    await assert.rejects(attempt(database, broken(await batchesOf(TEXT)), options).copied, BROKEN);
    const [{ there }] = await database.query("SELECT to_regclass('t') IS NOT NULL AS there") as [
      { there: boolean },
    ];
    assert.equal(there, sql !== undefined, "no table is seen before it has its rows");
    const [kept] = await staged(database);
    assert.ok(kept!.rows > ROWS / 3 && kept!.rows < ROWS, `${kept!.rows} rows are kept`);
    const oid = "SELECT $1::regclass::oid::int AS oid";
    const before = await database.query(oid, [kept!.name]);
    const { copied, said } = attempt(database, await batchesOf(TEXT), options);
    const { rows, resumed } = await copied;
    assert.equal(rows, ROWS);
    assert.equal(resumed!.record, kept!.rows + 1);
    // The byte is where that record begins.
    const line = TEXT.slice(resumed!.byte!).split("\n", 1)[0];
    assert.match(line!, new RegExp(`^${kept!.rows},text ${kept!.rows} x+$`));
    assert.match(
      said[0]!,
      /^goes on at record \d+, byte \d+: the rows before it are there already$/,
    );
    await complete(database);
    if (what.includes("new table") || what.includes("in its place")) {
      assert.deepEqual(await database.query(oid, ["t"]), before, "it is the table that was kept");
    }
    const [entry] = await database.query("SELECT rows::int FROM sluice.loads");
    assert.deepEqual(entry, { rows: ROWS });
    assert.deepEqual(await staged(database), []);
    await nothingLeft(database);
  });
}

Deno.test("JSON lines go on, too", async () => {
  await using database = await freshDatabase();
  const text = Array.from(
    { length: ROWS },
    (_, i) => JSON.stringify({ n: i, s: `text ${i} ${"x".repeat(400)}` }) + "\n",
  ).join("");
  const read = () => perform(jsonLines(), testContext(), chunked(text));
  await assert.rejects(attempt(database, broken(await read())).copied, BROKEN);
  const { resumed } = await attempt(database, await read()).copied;
  const line = JSON.parse(text.slice(resumed!.byte!).split("\n", 1)[0]!);
  assert.equal(line.n, resumed!.record - 1);
  await complete(database);
});

Deno.test("rejects are told and kept as if the load had not died", async () => {
  await using database = await freshDatabase();
  const refused = [7, 20_000, ROWS - 3];
  const text = TEXT.split("\n").map((line, i) => refused.includes(i) ? `bad${line}` : line).join(
    "\n",
  );
  const read = () => batchesOf(text, { types: { n: "integer" }, onReject: { limit: 10 } });
  await assert.rejects(attempt(database, broken(await read())).copied, BROKEN);
  const { rows, rejected, resumed } = await attempt(database, await read()).copied;
  assert.deepEqual([rows, rejected], [ROWS - 3, 3]);
  assert.ok(resumed!.record > 20_000);
  const records = await database.query("SELECT record::int FROM t__rejects ORDER BY record");
  assert.deepEqual(records.map(({ record }) => record), refused);
  const [sum] = await database.query(
    "SELECT count(*)::int AS rows, count(DISTINCT n)::int AS ns FROM t",
  );
  assert.deepEqual(sum, { rows: ROWS - 3, ns: ROWS - 3 });
  await nothingLeft(database);
});

/** How many rows the server was sent, those that were rolled back among them. */
async function sent(database: TestDatabase): Promise<number> {
  for (;;) {
    const [{ n }] = await database.query<{ n: number }>(
      "SELECT n_tup_ins::int AS n FROM pg_stat_user_tables WHERE relname = 't'",
    ) as [{ n: number }];
    if (n >= ROWS) return n;
    await sleep(50);
  }
}

Deno.test("what is committed is sent once, however often a load dies", async () => {
  await using database = await freshDatabase();
  for (const share of [0.1, 0.5, 0.7, 0.95]) {
    await assert.rejects(
      attempt(database, broken(await batchesOf(TEXT), ROWS * share)).copied,
      BROKEN,
    );
  }
  const { resumed } = await attempt(database, await batchesOf(TEXT)).copied;
  assert.ok(resumed!.record > ROWS * 0.5);
  await complete(database);
  // A chunk of 8 MiB is rolled back each time, at most.
  const chunk = 8 * 2 ** 20 / 400;
  assert.ok(await sent(database) < ROWS + 4 * chunk, `${await sent(database)} rows were sent`);
});

const OTHERS: readonly (readonly [what: string, then: Partial<CopyOptions>, text?: string])[] = [
  ["another version of the source", { source: { validator: '"v2"' } }],
  ["another mode", { mode: "append" }],
  ["other columns", {}, TEXT.replace("n,s", "n,t")],
];

for (const [what, options, text = TEXT] of OTHERS) {
  Deno.test(`a load begins anew, and drops what was kept: ${what}`, async () => {
    await using database = await freshDatabase();
    const source = { validator: '"v1"' };
    await assert.rejects(
      attempt(database, broken(await batchesOf(TEXT)), { source }).copied,
      BROKEN,
    );
    const batches = await batchesOf(text);
    const { copied } = attempt(database, batches, { source, ...options });
    const { rows, resumed } = await copied;
    assert.deepEqual([rows, resumed], [ROWS, undefined]);
    assert.deepEqual(await staged(database), []);
    await nothingLeft(database);
  });
}

Deno.test("rows that are not those that were copied are noticed, and the next attempt begins anew", async () => {
  await using database = await freshDatabase();
  await assert.rejects(attempt(database, broken(await batchesOf(TEXT))).copied, BROKEN);
  const other = csvOf(ROWS, "other");
  await assert.rejects(
    attempt(database, await batchesOf(other)).copied,
    (error) =>
      error instanceof SourceChanged && /the next attempt begins anew$/.test(error.message),
  );
  assert.deepEqual(await staged(database), []);
  const { resumed } = await attempt(database, await batchesOf(other)).copied;
  assert.equal(resumed, undefined);
  await complete(database, "other");
  // A source that has become shorter is another one, too.
  await assert.rejects(attempt(database, broken(await batchesOf(TEXT))).copied, BROKEN);
  await assert.rejects(attempt(database, await batchesOf(csvOf(10))).copied, SourceChanged);
  await complete(database, "other");
  await nothingLeft(database);
});

Deno.test("the rows of an attempt that lives are not taken from it", async () => {
  await using database = await freshDatabase();
  let release = (): void => {};
  const held = new Promise<void>((resolve) => release = resolve);
  const batches = (await batchesOf(TEXT)).getReader();
  let left = ROWS * 0.8;
  const slow = new ReadableStream<RecordBatch>({
    async pull(controller) {
      const { value } = await batches.read();
      if (!value) return controller.close();
      if (left > 0 && (left -= value.numRows) <= 0) await held;
      controller.enqueue(value);
    },
  }, { highWaterMark: 0 });
  const living = attempt(database, slow).copied;
  living.catch(() => {});
  while ((await staged(database).catch(() => []))[0]?.rows === undefined) await sleep(20);
  const { resumed } = await attempt(database, await batchesOf(TEXT)).copied;
  assert.equal(resumed, undefined);
  release();
  await assert.rejects(living, /a later attempt at the same load, the load, was committed/);
  await complete(database);
  assert.deepEqual(await staged(database), []);
  await nothingLeft(database);
});

Deno.test("a load whose session was ended by the server goes on with another one", async () => {
  await using database = await freshDatabase();
  let cut = async (): Promise<void> => {
    await database.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND datname = current_database()",
    );
  };
  const batches = (await batchesOf(TEXT)).getReader();
  let left = ROWS * 0.9;
  const source = new ReadableStream<RecordBatch>({
    async pull(controller) {
      const { value } = await batches.read();
      if (!value) return controller.close();
      if ((left -= value.numRows) < 0) await cut();
      if (left < 0) cut = () => Promise.resolve();
      controller.enqueue(value);
    },
  }, { highWaterMark: 0 });
  await assert.rejects(attempt(database, source).copied, /terminating connection/);
  const { resumed } = await attempt(database, await batchesOf(TEXT)).copied;
  assert.ok(resumed!.record > ROWS / 3);
  await complete(database);
  await nothingLeft(database);
});

Deno.test("what nobody goes on with is dropped after a day, by any load", async () => {
  await using database = await freshDatabase();
  await assert.rejects(attempt(database, broken(await batchesOf(TEXT))).copied, BROKEN);
  const other = async () => {
    const { said, copied } = attempt(database, await batchesOf("a\n1\n"), {
      table: "u",
      key: "another load",
    });
    await copied;
    return said;
  };
  assert.deepEqual(await other(), []);
  const [kept] = await database.query(
    "SELECT kept_until - clock_timestamp() BETWEEN '23:59:00' AND '24:00:00' AS good FROM sluice.staging",
  );
  assert.deepEqual(kept, { good: true });
  await database.query("UPDATE sluice.staging SET kept_until = kept_until - interval '1 day'");
  assert.match((await other())[0]!, /^dropped .*, left by a load that died$/);
  assert.deepEqual(await staged(database), []);
  await nothingLeft(database);
});

Deno.test("a load of more than 10 GB whose key comes again commits its rows as they come", async () => {
  for (
    const [length, options, kept] of [
      [11e9, {}, 1],
      [9e9, {}, 0],
      [undefined, {}, 0],
      [11e9, { staging: "transaction" }, 0],
      [11e9, { mode: "merge", on: ["n"] }, 0],
    ] as const
  ) {
    await using database = await freshDatabase();
    const all = { staging: undefined, ...options } as Partial<CopyOptions>;
    await assert.rejects(
      attempt(database, broken(await batchesOf(TEXT)), all, length).copied,
      BROKEN,
    );
    assert.equal((await staged(database)).length, kept, JSON.stringify([length, options]));
  }
});

Deno.test("options that cannot go together with committed staging are refused", async () => {
  await using database = await freshDatabase();
  for (
    const [options, why] of [
      [{ parallel: 2 }, /staging is for one connection/],
      [{ mode: "merge", on: ["n"] }, /add --duplicates fail/],
    ] as const
  ) {
    await assert.rejects(attempt(database, await batchesOf("n\n1\n"), options).copied, why);
  }
});

Deno.test("a ledger of an earlier version is brought up to date", async () => {
  await using database = await freshDatabase();
  await attempt(database, await batchesOf("n\n1\n")).copied;
  await database.query(
    `ALTER TABLE sluice.staging DROP load_key, DROP plan, DROP rows, DROP bytes, DROP digest,
     DROP kept_until;
     ALTER TABLE sluice.loads DROP rejected, DROP table_oid, DROP way, DROP unverified`,
  );
  const again = { mode: "append", key: "another load", staging: "transaction" } as const;
  await attempt(database, await batchesOf("n\n1\n")).copied;
  await attempt(database, await batchesOf("n\n1\n"), again).copied;
  assert.equal((await attempt(database, await batchesOf("n\n1\n"), again).copied).unchanged, true);
});
