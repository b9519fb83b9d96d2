import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { RecordBatch } from "apache-arrow";
// @ts-types="@types/pg"
import pg from "pg";
import { makeLedger } from "../../operators/_ledger.ts";
import { type Copied, copy, type CopyOptions } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { load, nothingLeft, rows } from "./_load.ts";
import { batchesOf } from "./_read_csv.ts";

await sharedPostgres();

const SLICE = { slice: { column: "a", from: 0, to: 9 } };

/** Loads CSV into `t` as the task of a DAG. */
async function loadTask(
  database: TestDatabase,
  text: string | ReadableStream<RecordBatch>,
  options: Partial<CopyOptions> = {},
  said: string[] = [],
  url = database.url,
): Promise<Copied> {
  const say = (message: string): void => void said.push(message);
  const ctx = testContext({
    connection: () => Promise.resolve({ url }),
    log: { info: say, warn: say, error: say },
  });
  const batches = typeof text === "string" ? await batchesOf(text) : text;
  return await perform(copy({ table: "t", ...options }), ctx, batches);
}

/** Rows whose end comes when it is let. */
function held(text: string) {
  const end = Promise.withResolvers<void>();
  let batches: ReadableStreamDefaultReader<RecordBatch> | undefined;
  const stream = new ReadableStream<RecordBatch>({
    async pull(controller) {
      batches ??= (await batchesOf(text)).getReader();
      const { done, value } = await batches.read();
      if (!done) return controller.enqueue(value);
      await end.promise;
      controller.close();
    },
  }, { highWaterMark: 0 });
  return { stream, end: end.resolve };
}

async function until(true_: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (await true_()) return;
    await sleep(20);
  }
  assert.fail(`never: ${true_}`);
}

Deno.test("a load is written down by the transaction that makes it visible", async () => {
  await using database = await freshDatabase();
  const source = {
    url: "https://me:secret@example.com/a.csv?token=hidden#x",
    validator: '"v1"',
    sha256: "ab",
  };
  await loadTask(database, "a,b\n1,x\n2,y\n", { source });
  const [row] = await database.query(
    `SELECT *, committed > began AS later, (SELECT xmin::text FROM pg_class WHERE relname = 't') = xmin::text AS together
     FROM sluice.loads`,
  ) as [Record<string, unknown>];
  const { began: _, committed: __, way, table_oid, ...rest } = row;
  assert.match(`${way}`, /^[0-9a-f]{64}$/);
  assert.deepEqual(await database.query("SELECT 't'::regclass::oid AS oid"), [{ oid: table_oid }]);
  assert.deepEqual(rest, {
    target: '"public"."t"',
    load_key: "test/test/2021-01-01T00:00:00Z",
    fence: "1",
    mode: "replace",
    rejected: "0",
    attempt: "test/manual__20210101T000000Z/test/1",
    rows: "2",
    bytes: "0",
    source_url: "https://example.com/a.csv?token=%E2%80%A6",
    validator: '"v1"',
    sha256: "ab",
    unverified: false,
    digest: null,
    columns: [{ name: "a", type: "integer" }, { name: "b", type: "text" }],
    later: true,
    together: true,
  });
  await loadTask(database, "a\n1\n");
  assert.deepEqual(await database.query("SELECT fence, rows FROM sluice.loads"), [
    { fence: "2", rows: "1" },
  ]);
});

Deno.test("a load that fails is not written down", async () => {
  await using database = await freshDatabase();
  await loadTask(database, "a\n1\n");
  await database.query("CREATE UNIQUE INDEX ON t (a)");
  await assert.rejects(loadTask(database, "a\n2\n2\n"), /duplicate key/);
  assert.deepEqual(await database.query("SELECT fence FROM sluice.loads"), [{ fence: "1" }]);
});

for (const mode of ["replace", "append", "merge", "partition"] as const) {
  Deno.test(`of two attempts the older one comes too late: ${mode}`, async () => {
    await using database = await freshDatabase();
    const options: Partial<CopyOptions> = {
      mode,
      ...mode === "merge" ? { on: ["a"] } : {},
      ...mode === "partition" ? { slice: { column: "a", from: 0, to: 10 } } : {},
    };
    await database.query("CREATE TABLE t (a int)");
    const older = held("a\n1\n");
    const loading = loadTask(database, older.stream, options);
    loading.catch(() => {});
    // It has its fence, and stands before its end.
    await until(async () => {
      const [row] = await database.query(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE 'COPY%' AND datname = current_database()",
      ) as [{ n: number }];
      return row.n > 0;
    });
    await loadTask(database, "a\n2\n", options);
    older.end();
    await assert.rejects(
      loading,
      mode === "append"
        ? /^GiveUp: Cannot append to "t": load "test\/test\/2021-01-01T00:00:00Z" has appended 1 rows/
        : /^GiveUp: Cannot load into "t": a later attempt at the same load, test\/test\/.*fence 2\); this one is too late \(fence 1\)/,
    );
    assert.deepEqual(await rows(database), ["(2)"]);
    assert.deepEqual(await database.query("SELECT fence FROM sluice.loads"), [{ fence: "2" }]);
    await nothingLeft(database);
  });
}

Deno.test("what is appended is appended once", async () => {
  await using database = await freshDatabase();
  const said: string[] = [];
  assert.equal((await loadTask(database, "a\n1\n", { mode: "append" })).unchanged, undefined);
  const again = await loadTask(database, "a\n1\n", { mode: "append" }, said);
  assert.deepEqual([again.unchanged, again.rows], [true, 1]);
  assert.match(
    said[0]!,
    /^nothing to load into "t": the source is as it was when it was loaded, at 20/,
  );
  await assert.rejects(
    loadTask(database, "a\n2\n", { mode: "append" }),
    /its source is not what it was; appended rows are not found again\. Use mode merge or partition/,
  );
  assert.deepEqual(await rows(database), ["(1)"]);
  await loadTask(database, "a\n2\n", { mode: "append", key: "other" });
  await Promise.allSettled(
    [1, 2, 3].map(() => loadTask(database, "a\n3\n", { mode: "append", key: "at once" })),
  ).then((all) => assert.deepEqual(all.map(({ status }) => status), Array(3).fill("fulfilled")));
  assert.deepEqual(await rows(database), ["(1)", "(2)", "(3)"]);
  await nothingLeft(database);
});

Deno.test("a hash or a version of the source tells after the first rows", async () => {
  await using database = await freshDatabase();
  for (const source of [{ sha256: "11" }, { validator: '"1"' }]) {
    const key = JSON.stringify(source);
    await loadTask(database, "a\n1\n", { mode: "append", key, source });
    const { stream } = held("a\n2\n"); // has no end: would never be over if it were read
    const again = await loadTask(database, stream, { mode: "append", key, source });
    assert.equal(again.unchanged, true);
  }
  await assert.rejects(
    loadTask(database, held("a\n1\n").stream, {
      mode: "append",
      key: '{"sha256":"11"}',
      source: { sha256: "22" },
    }),
    /is not what it was/,
  );
  assert.deepEqual(await rows(database), ["(1)", "(1)"]);
});

Deno.test("a source that has not changed is left out when that is asked for", async () => {
  await using database = await freshDatabase();
  const skip = { ifUnchanged: "skip" } as const;
  const oid = () => database.query("SELECT 't'::regclass::oid");
  assert.equal((await loadTask(database, "a\n1\n", skip)).unchanged, undefined);
  const before = await oid();
  assert.equal((await loadTask(database, "a\n1\n", skip)).unchanged, true);
  // Whatever the name of the load: the table is what the source is.
  assert.equal((await load(database, "a\n1\n", skip)).unchanged, true);
  assert.deepEqual(await oid(), before);
  assert.equal((await loadTask(database, "a\n2\n", skip)).unchanged, undefined);
  assert.deepEqual(await rows(database), ["(2)"]);
  // The first one again is not what the table is now.
  assert.equal((await loadTask(database, "a\n1\n", skip)).unchanged, undefined);
  assert.deepEqual(await rows(database), ["(1)"]);
  await database.query("DROP TABLE t");
  assert.equal((await loadTask(database, "a\n1\n", skip)).unchanged, undefined);
  assert.deepEqual(await rows(database), ["(1)"]);
  await nothingLeft(database);
});

Deno.test("what another load has changed since, is not there already", async () => {
  await using database = await freshDatabase();
  const skip = { ifUnchanged: "skip" } as const;
  const merge = { ...skip, mode: "merge", on: ["a"], key: "merge" } as const;
  await load(database, "a\n1\n", { ...skip });
  await load(database, "a\n1\n", { ...skip, mode: "append" });
  assert.equal((await load(database, "a\n1\n", skip)).unchanged, undefined, "it was added to");
  assert.deepEqual(await rows(database), ["(1)"]);
  assert.equal((await load(database, "a\n2\n", merge)).unchanged, undefined);
  assert.equal((await load(database, "a\n2\n", merge)).unchanged, true);
  await load(database, "a\n3\n");
  assert.equal((await load(database, "a\n2\n", merge)).unchanged, undefined, "it was replaced");
  assert.deepEqual(await rows(database), ["(3)", "(2)"]);
});

Deno.test("to leave out what has not changed needs a key where a load has no other name", async () => {
  const ctx = { ...testContext(), dag: "copy", task: "copy", run: "copy" };
  for (
    const [mode, options] of [["append", {}], ["merge", { on: ["a"] }], [
      "partition",
      SLICE,
    ]] as const
  ) {
    const skip = copy({ table: "t", mode, ...options, ifUnchanged: "skip" });
    await assert.rejects(perform(skip, ctx, await batchesOf("a\n1\n")), {
      name: "TypeError",
      message:
        `Cannot load into "t": --if-unchanged skip (in code ifUnchanged: "skip") in mode ${mode} needs a key ` +
        `by which the load before is found: add --key NAME (in code key: "NAME")`,
    });
  }
});

/** What is done to a table that a load has filled, and whether the load counts as there. */
const THEN: readonly (readonly [sql: string, there: boolean])[] = [
  ["DROP TABLE t", false],
  ["DROP TABLE t; CREATE TABLE t (a integer PRIMARY KEY)", false],
  ["ALTER TABLE t RENAME TO u; CREATE TABLE t (LIKE u INCLUDING ALL)", false],
  // A reader takes the rows out of a table that stays the same.
  ["DELETE FROM t", true],
  ["TRUNCATE t", true],
  // As after a dump and a restore.
  [
    "CREATE TABLE u (LIKE t INCLUDING ALL); INSERT INTO u TABLE t; DROP TABLE t; ALTER TABLE u RENAME TO t",
    true,
  ],
  ["UPDATE sluice.loads SET table_oid = NULL; TRUNCATE t", true], // of an older version
];

const SKIPPING: readonly Partial<CopyOptions>[] = [
  { mode: "append" },
  { mode: "replace", ifUnchanged: "skip" },
  { mode: "merge", on: ["a"], ifUnchanged: "skip" },
  { mode: "partition", ...SLICE, ifUnchanged: "skip" },
];

for (const options of SKIPPING) {
  Deno.test(`a load whose table is gone, or another one without rows, is made anew: ${options.mode}`, async () => {
    await using database = await freshDatabase();
    for (const [sql, there] of THEN) {
      await database.query("DROP TABLE IF EXISTS t, u; DROP SCHEMA IF EXISTS sluice CASCADE");
      await loadTask(database, "a\n1\n2\n", options);
      await database.query(sql);
      const again = await loadTask(database, "a\n1\n2\n", options);
      assert.deepEqual([again.rows, again.unchanged], [2, there || undefined], sql);
      if (there) continue;
      assert.deepEqual(await rows(database), ["(1)", "(2)"], sql);
      const third = await loadTask(database, "a\n1\n2\n", options);
      assert.equal(third.unchanged, true, `${sql}, once it was made anew`);
    }
    await nothingLeft(database);
  });
}

Deno.test("of several attempts at what is to be appended anew, one does it", async () => {
  await using database = await freshDatabase();
  const append = { mode: "append" } as const;
  await loadTask(database, "a\n1\n", append);
  await database.query("DROP TABLE t; CREATE TABLE t (a integer)");
  const all = await Promise.all([1, 2, 3].map(() => loadTask(database, "a\n1\n", append)));
  assert.deepEqual(all.map(({ unchanged = false }) => unchanged).sort(), [false, true, true]);
  assert.deepEqual(await rows(database), ["(1)"]);
});

Deno.test("who finds no ledger, and then one that a load reads, does not wait for that load", async () => {
  await using database = await freshDatabase();
  const { stream, end } = held("a\n1\n");
  const reading = loadTask(database, stream);
  await until(async () =>
    (await database.query("SELECT FROM pg_stat_progress_copy WHERE relid <> 0")).length > 0
  );
  const late = new pg.Client(database.url);
  await late.connect();
  await late.query("SET statement_timeout = '10s'");
  await makeLedger(late);
  await late.end();
  end();
  assert.equal((await reading).rows, 1);
});

Deno.test("without rights, replace and append go without a ledger, and all else is refused", async () => {
  await using database = await freshDatabase();
  const role = `poor_${crypto.randomUUID().slice(0, 8)}`;
  const [{ name }] = await database.query<{ name: string }>(
    "SELECT current_database() AS name",
  ) as [
    { name: string },
  ];
  await database.query(`CREATE ROLE ${role} LOGIN; GRANT CREATE ON SCHEMA public TO ${role}`);
  const url = database.url.replace("tester@", `${role}@`);
  const task = (options: Partial<CopyOptions>, said: string[] = []) =>
    loadTask(database, "a\n1\n", options, said, url);
  try {
    const said: string[] = [];
    await task({ mode: "replace" }, said);
    await task({ mode: "append" }, said);
    await task({ mode: "append" }, said);
    assert.equal(
      said[0],
      'loading into "t" without a ledger, so that a load made twice is not noticed; missing are the rights for a ledger ' +
        `in schema sluice: GRANT CREATE ON DATABASE "${name}" TO "${role}"`,
    );
    assert.deepEqual(await rows(database), ["(1)", "(1)", "(1)"]);
    const refused: [Partial<CopyOptions>, string][] = [
      [{ mode: "merge", on: ["a"] }, "mode merge needs"],
      [{ mode: "partition", slice: { column: "a", from: 0, to: 2 } }, "mode partition needs"],
      [{ mode: "append", key: "k" }, "a key needs"],
      [{ ifUnchanged: "skip" }, "to skip what has not changed needs"],
      [{ parallel: 2 }, "more than one connection needs"],
    ];
    for (const [options, needs] of refused) {
      await assert.rejects(task(options), {
        name: "GiveUp",
        message: `Cannot load into "t": ${needs} the rights for a ledger in schema sluice: ` +
          `GRANT CREATE ON DATABASE "${name}" TO "${role}"`,
      });
    }
    // Somebody else has made the ledger: what is missing then is told, until it is enough.
    await load(database, "a\n1\n", { table: "other" });
    const grant = async (): Promise<string[]> => {
      const error = await task({ mode: "merge", on: ["a"] }).then(() => undefined, (e: Error) => e);
      return error?.message.split("schema sluice: ")[1]?.split("; ") ?? [];
    };
    const missing = await grant();
    assert.deepEqual(missing, [
      `GRANT USAGE ON SCHEMA sluice TO "${role}"`,
      `GRANT USAGE ON SEQUENCE sluice.fence TO "${role}"`,
      `GRANT SELECT, INSERT, UPDATE, DELETE ON sluice.loads, sluice.staging TO "${role}"`,
    ]);
    await database.query(missing.join("; "));
    assert.deepEqual(await grant(), []);
    assert.deepEqual(
      await database.query("SELECT mode FROM sluice.loads WHERE target LIKE '%\"t\"'"),
      [
        { mode: "merge" },
      ],
    );
  } finally {
    await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});
