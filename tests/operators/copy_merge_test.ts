import assert from "node:assert/strict";
import { copy, type CopyOptions } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { type Load, load, nothingLeft, rows } from "./_load.ts";
import { batchesOf } from "./_read_csv.ts";

await sharedPostgres();

const MERGE = { mode: "merge", on: ["id"] } as const;

Deno.test("merge makes a table with a key, updates the rows it has, and adds the others", async () => {
  await using database = await freshDatabase();
  const first = await load(database, "id,v\n1,a\n2,b\n", MERGE);
  assert.deepEqual(first.merged, { inserted: 2, updated: 0, deleted: 0, duplicates: 0 });
  const keys = await database.query(
    "SELECT pg_get_constraintdef(oid) AS def FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'p'",
  );
  assert.deepEqual(keys, [{ def: "PRIMARY KEY (id)" }]);
  const second = await load(database, "v,id\nB,2\na,1\nc,3\n", MERGE);
  assert.deepEqual(second.merged, { inserted: 1, updated: 1, deleted: 0, duplicates: 0 });
  assert.equal(second.rows, 3);
  const all = () => database.query("SELECT id, v FROM t ORDER BY id");
  const expected = [{ id: 1, v: "a" }, { id: 2, v: "B" }, { id: 3, v: "c" }];
  assert.deepEqual(await all(), expected);
  // Again, it changes nothing: not even a row is written anew.
  const places = () => database.query("SELECT ctid::text, xmin::text FROM t ORDER BY id");
  const before = await places();
  const third = await load(database, "v,id\nB,2\na,1\nc,3\n", MERGE);
  assert.deepEqual(third.merged, { inserted: 0, updated: 0, deleted: 0, duplicates: 0 });
  assert.deepEqual(await places(), before);
  await nothingLeft(database);
});

Deno.test("merge deletes what the source does not have, when that is asked for", async () => {
  await using database = await freshDatabase();
  await load(database, "id,v\n1,a\n2,b\n3,c\n", MERGE);
  const options = { ...MERGE, deleteMissing: true };
  const { merged } = await load(database, "id,v\n2,b\n4,d\n", options);
  assert.deepEqual(merged, { inserted: 1, updated: 0, deleted: 2, duplicates: 0 });
  assert.deepEqual(await rows(database), ["(2,b)", "(4,d)"]);
  await assert.rejects(load(database, "id,v\n", options), /which has rows, by none: .*allowEmpty/);
  assert.deepEqual(await rows(database), ["(2,b)", "(4,d)"]);
  assert.equal((await load(database, "id,v\n", { ...options, allowEmpty: true })).rows, 0);
  assert.deepEqual(await rows(database), []);
});

Deno.test("of rows that come twice the last one wins, or they are a fault", async () => {
  await using database = await freshDatabase();
  // Rows of many sizes, so that they would not lie one behind the other if gaps were filled.
  const lines = Array.from(
    { length: 20_000 },
    (_, i) => `${i % 3000},${i},${"x".repeat(i % 37 === 0 ? 3000 : i % 11)}`,
  );
  const text = `id,n,filling\n${lines.join("\n")}\n`;
  const { merged } = await load(database, text, MERGE);
  assert.deepEqual(merged, { inserted: 3000, updated: 0, deleted: 0, duplicates: 17_000 });
  const [wrong] = await database.query(
    "SELECT count(*)::int AS n FROM t WHERE n <> id + 3000 * ((20000 - 1 - id) / 3000)",
  );
  assert.deepEqual(wrong, { n: 0 });
  await assert.rejects(
    load(database, "id,v\n7,a\n8,b\n7,c\n", { ...MERGE, table: "u", duplicates: "fail" }),
    {
      name: "GiveUp",
      message:
        'Cannot merge into "u" on "id": the source has [7] 2 times; mend it, or let the last one win: --duplicates last (in code duplicates: "last")',
    },
  );
  assert.deepEqual(await database.query("SELECT to_regclass('u')::text AS u"), [{ u: null }]);
});

/** Merges that are refused, and why. */
const REFUSED: readonly (readonly [text: string, options: Partial<CopyOptions>, why: RegExp])[] = [
  [
    "id,v\n1,a\n,b\n,c\n",
    MERGE,
    /^GiveUp: Cannot merge into "t" on "id": 2 rows of the source have NULL there/,
  ],
  ["v\na\n", MERGE, /^GiveUp: Cannot merge into "t" on column "id": the source has "v"/],
  ["id\n1\n", { mode: "merge" }, /^TypeError: Cannot load into "t": mode merge needs the columns/],
  ["id\n1\n", { mode: "merge", on: [] }, /mode merge needs the columns/],
  ["id\n1\n", { on: ["id"] }, /^TypeError: .*belong to mode merge/],
  ["id\n1\n", { ...MERGE, parallel: 2 }, /no row is the last: add --duplicates fail/],
];

Deno.test("a merge that could not be told apart is refused", async () => {
  await using database = await freshDatabase();
  await load(database, "id,v\n1,old\n", MERGE);
  for (const [text, options, why] of REFUSED) {
    const context = testContext({ connection: () => Promise.resolve({ url: database.url }) });
    const work = copy({ table: "t", ...options });
    await assert.rejects(perform(work, context, await batchesOf(text)), why);
    assert.deepEqual(await rows(database), ["(1,old)"]);
  }
  await nothingLeft(database);
});

Deno.test("merge goes by several columns, casts, and leaves what the source does not have", async () => {
  await using database = await freshDatabase();
  await database.query(
    `CREATE TABLE t (y smallint, m text, v bigint, d timestamp, note text DEFAULT 'new', PRIMARY KEY (y, m));
     INSERT INTO t VALUES (2021, '1', 1, '2021-01-01', 'mine'), (2021, '2', 2, '2021-01-01', 'mine')`,
  );
  const options: Load = { mode: "merge", on: ["m", "y"] };
  const { merged } = await load(
    database,
    "y,m,v,d\n2021,2,20,2021-02-02\n2021,3,30,\n2021,1,1,2021-01-01\n",
    options,
  );
  assert.deepEqual(merged, { inserted: 1, updated: 1, deleted: 0, duplicates: 0 });
  assert.deepEqual(await database.query("SELECT y, m, v::int, d::text, note FROM t ORDER BY m"), [
    { y: 2021, m: "1", v: 1, d: "2021-01-01 00:00:00", note: "mine" },
    { y: 2021, m: "2", v: 20, d: "2021-02-02 00:00:00", note: "mine" },
    { y: 2021, m: "3", v: 30, d: null, note: "new" },
  ]);
  await load(database, "y,m\n2021,4\n2021,1\n", options);
  assert.deepEqual(await database.query("SELECT count(*)::int AS n FROM t"), [{ n: 4 }]);
});

Deno.test("rows of other tables that refer to merged ones stay as long as those do", async () => {
  await using database = await freshDatabase();
  await load(database, "id,v\n1,a\n2,b\n", MERGE);
  await database.query(
    "CREATE TABLE o (id int REFERENCES t ON DELETE CASCADE); INSERT INTO o VALUES (1), (2)",
  );
  await load(database, "id,v\n1,A\n2,B\n3,C\n", MERGE);
  assert.deepEqual(await rows(database, "o"), ["(1)", "(2)"]);
  // What is gone for good takes along what was declared to go with it.
  await load(database, "id,v\n2,B\n", { ...MERGE, deleteMissing: true });
  assert.deepEqual(await rows(database, "o"), ["(2)"]);
});

Deno.test("merges into one table at once, all count", async () => {
  await using database = await freshDatabase();
  const texts = [0, 1, 2, 3].map((k) =>
    `id,v\n${Array.from({ length: 500 }, (_, i) => `${i + k * 250},${k}`).join("\n")}\n`
  );
  await Promise.all(texts.map((text) => load(database, text, MERGE)));
  const [row] = await database.query(
    "SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids, max(id) AS last FROM t",
  );
  assert.deepEqual(row, { n: 1250, ids: 1250, last: 1249 });
  await nothingLeft(database);
});
