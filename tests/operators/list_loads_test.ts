import assert from "node:assert/strict";
import { copy, listLoads } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { batchesOf } from "./_read_csv.ts";

await sharedPostgres();

/** Loads a row into a table as a task of a DAG does. */
async function loadAs(database: TestDatabase, dag: string, run: string, table: string) {
  const connection = () => Promise.resolve({ url: database.url });
  const ctx = { ...testContext({ connection }), dag, run, task: "load", attempt: 2 };
  const url = "https://me:hidden@example.com/a.csv?token=hidden";
  const source = { url, validator: '"v1"', sha256: "ab" };
  await perform(copy({ table, key: run, source }), ctx, await batchesOf("a,b\n1,x\n"));
}

Deno.test("loads are listed as the ledger has them, the latest first", async () => {
  await using database = await freshDatabase();
  assert.deepEqual(await listLoads(database), []);
  await loadAs(database, "taxi", "run1", "trips");
  await loadAs(database, "taxi", "run2", 'odd "one"');
  await loadAs(database, "other", "run3", "trips");
  const all = await listLoads(database);
  assert.deepEqual(all.map(({ run }) => run), ["run3", "run2", "run1"]);
  const { id, began, committed, ...last } = all[1]!;
  assert.deepEqual(last, {
    ...{ target: '"public"."odd ""one"""', key: "run2", mode: "replace" },
    ...{ dag: "taxi", run: "run2", task: "load", attempt: 2, rows: 1, bytes: 0 },
    ...{ validator: '"v1"', sha256: "ab", unverified: false },
    rejected: 0,
    source: "https://example.com/a.csv?token=%E2%80%A6",
    columns: [{ name: "a", type: "integer" }, { name: "b", type: "text" }],
  });
  assert.match(id, /^\d+$/);
  assert.ok(began <= committed && committed <= new Date().toISOString());

  const runs = async (options: Parameters<typeof listLoads>[1]) =>
    (await listLoads(database, options)).map(({ run }) => run).join();
  assert.equal(await runs({ target: '"public"."trips"' }), "run3,run1");
  assert.equal(await runs({ dag: "taxi" }), "run2,run1");
  assert.equal(await runs({ run: "run2" }), "run2");
  assert.equal(await runs({ limit: 1 }), "run3");
  assert.equal(await runs({ before: id }), "run1");
  assert.equal(await runs({ target: "'; DROP TABLE trips; --" }), "");
});

Deno.test("a load without a DAG is nobody's", async () => {
  await using database = await freshDatabase();
  const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
  await perform(
    copy({ table: "t" }),
    { ...ctx, dag: "load", run: "load", task: "load" },
    await batchesOf("a\n1\n"),
  );
  const [{ dag, run, task, attempt, rows }] = await listLoads(database) as [
    Awaited<ReturnType<typeof listLoads>>[number],
  ];
  assert.deepEqual([dag, run, task, attempt, rows], [null, null, null, null, 1]);
});

Deno.test("a database that cannot be reached is told", async () => {
  const url = "postgres://nobody@127.0.0.1:1/none";
  await assert.rejects(listLoads({ url }, { signal: AbortSignal.timeout(200) }));
});
