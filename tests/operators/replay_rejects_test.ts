import assert from "node:assert/strict";
import { type Copied, copy, type CopyOptions, csv, listRejects } from "../../operators/mod.ts";
import { type Correction, replayRejects } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, type TestDatabase } from "../_postgres.ts";
import { rows } from "./_load.ts";
import { chunked } from "./_read_csv.ts";

/** Loads CSV into `t`, whatever is refused of it; each time it is another load, unless it is given a key. */
async function load(
  { url }: TestDatabase,
  text: string,
  options: Omit<CopyOptions, "table">,
): Promise<Copied> {
  const ctx = testContext({ connection: () => Promise.resolve({ url }) });
  const batches = await perform(csv({ onReject: { limit: Infinity } }), ctx, chunked(text));
  return await perform(copy({ table: "t", key: crypto.randomUUID(), ...options }), ctx, batches);
}

/** The rejects of `t`: id, text, and whether they were replayed. */
async function rejects(database: TestDatabase): Promise<unknown[][]> {
  const found = await listRejects(database, { table: "t", all: true });
  return found.map(({ id, raw, replayed }) => [id, raw, replayed !== null]);
}

const TABLE = "CREATE TABLE t (id integer, v integer CHECK (v < 10))";
const MERGE = { mode: "merge", on: ["id"] } as const;

Deno.test("a merge that is made again leaves what was replayed as it is, and lets the rest wait", async () => {
  await using database = await freshDatabase();
  await database.query(TABLE);
  const replay = (id: string, row: Correction["row"]) =>
    replayRejects(database, { table: "t", rows: [{ id, row }] });
  const merge = (text: string) => load(database, text, { ...MERGE, key: "k" });
  await merge("id,v\n1,2\n7,99\n8,88\n");
  assert.equal((await replay("1", { id: "7", v: "9" })).replayed, 1);
  assert.equal((await merge("id,v\n1,3\n7,99\n8,88\n")).rejected, 2);
  assert.deepEqual(await rejects(database), [["1", "7,99", true], ["4", "8,88", false]]);
  assert.equal((await replay("1", { id: "7", v: "8" })).skipped, 1);
  assert.deepEqual(await rows(database), ["(7,9)", "(1,3)"]);
  // The same record with another text is another one.
  await merge("id,v\n1,3\n7,98\n");
  assert.deepEqual(await rejects(database), [["1", "7,99", true], ["5", "7,98", false]]);
  assert.equal((await replay("5", { id: "7", v: "8" })).replayed, 1);
  assert.deepEqual(await rows(database), ["(1,3)", "(7,8)"]);
});

Deno.test("what was to be merged takes the place of the row that has its key, whichever load it is of", async () => {
  await using database = await freshDatabase();
  await database.query(`${TABLE}; ALTER TABLE t ADD kept text DEFAULT 'new';
    INSERT INTO t VALUES (7, 1, 'old'); CREATE TABLE heir () INHERITS (t);
    INSERT INTO heir VALUES (7, 1, 'another''s')`);
  for (let n = 0; n < 2; n++) await load(database, "id,v\n7,99\n8,88\n", MERGE);
  const row = (id: string, v: string) => ({ id, v });
  const corrected = [row("7", "2"), row("8", "3"), row("7", "4"), row("8", "5")];
  const outcome = await replayRejects(database, {
    table: "t",
    rows: corrected.map((row, i) => ({ id: `${i + 1}`, row })),
  });
  assert.equal(outcome.replayed, 4);
  assert.deepEqual(await rows(database, "ONLY t"), ["(7,4,old)", "(8,5,new)"]);
  assert.deepEqual(await rows(database, "heir"), ["(7,1,another's)"]);
});

Deno.test("a row without the key by which it was to be merged stays a reject", async () => {
  await using database = await freshDatabase();
  await database.query(TABLE);
  await load(database, "id,v\n7,99\n8,88\n", MERGE);
  const keyless = [
    { id: "1", row: { v: "1" }, empty: ["id"] },
    { id: "2", row: { id: null, v: "1" } },
  ];
  const { rejected } = await replayRejects(database, { table: "t", rows: keyless });
  assert.equal(rejected, 2);
  for (const { rule, column, message } of await listRejects(database, { table: "t" })) {
    assert.deepEqual([rule, column], ["not_null", "id"]);
    assert.match(message, /null value in column "id", by which rows are merged/);
  }
  assert.deepEqual(await rows(database), []);
});

Deno.test("rejects that an earlier version has kept are replayed, and others come beside them", async () => {
  await using database = await freshDatabase();
  await database.query(TABLE);
  await load(database, "id,v\n7,99\n", { mode: "append" });
  await database.query(
    `ALTER TABLE t__rejects DROP place, ALTER "row" TYPE jsonb USING "row"::jsonb`,
  );
  const replay = (id: string) =>
    replayRejects(database, { table: "t", rows: [{ id, row: { id: "7", v: id } }] });
  assert.equal((await replay("1")).replayed, 1);
  await load(database, "id,v\n7,99\n", MERGE);
  assert.deepEqual(await rejects(database), [["1", "7,99", true], ["2", "7,99", false]]);
  assert.equal((await replay("2")).replayed, 1);
  assert.deepEqual(await rows(database), ["(7,2)"]);
});

Deno.test("two replays at once of one key make one row of it", async () => {
  await using database = await freshDatabase();
  await database.query(TABLE);
  for (let n = 0; n < 8; n++) await load(database, "id,v\n7,99\n", MERGE);
  await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      replayRejects(database, {
        table: "t",
        rows: [{ id: `${i + 1}`, row: { id: "7", v: `${i}` } }],
      })),
  );
  assert.equal((await rows(database)).length, 1);
});

Deno.test("what replaces rows takes the rejects of these along, replayed or not", async () => {
  await using database = await freshDatabase();
  await database.query(TABLE);
  const slice = (from: number) =>
    ({ mode: "partition", slice: { column: "id", from, to: from + 10 } }) as const;
  const text = "id,v\n1,2\n2,99\n";
  await load(database, text, slice(0));
  await load(database, "id,v\n11,99\n", slice(10));
  await replayRejects(database, { table: "t", rows: [{ id: "1", row: { id: "2", v: "3" } }] });
  await load(database, text, slice(0));
  assert.deepEqual(await rows(database), ["(1,2)"]);
  assert.deepEqual(await rejects(database), [["2", "11,99", false], ["3", "2,99", false]]);
});

Deno.test("a reject that is corrected twice is refused, and nothing is done", async () => {
  await using database = await freshDatabase();
  await database.query(TABLE);
  await load(database, "id,v\n7,99\n8,88\n", { mode: "append" });
  const corrections = [["1", "1"], ["2", "2"], ["1", "3"]].map(([id, v]) => ({
    id: id!,
    row: { id: "7", v: v! },
  }));
  await assert.rejects(
    replayRejects(database, { table: "t", rows: corrections }),
    /Cannot replay reject 1: it is corrected more than once/,
  );
  assert.deepEqual(await rows(database), []);
});

Deno.test("an empty column that the record did not have gets its default, one that it had is NULL", async () => {
  await using database = await freshDatabase();
  await database.query(
    `CREATE TABLE t (id integer GENERATED ALWAYS AS IDENTITY, name text DEFAULT 'nobody',
       v integer CHECK (v < 10), st text DEFAULT 'new')`,
  );
  await load(database, "name,v\na,99\nb\nc,88\n", { mode: "append" });
  const empty = ["id", "name", "st"];
  const outcome = await replayRejects(database, {
    table: "t",
    rows: [
      { id: "1", row: { v: "1" }, empty }, // could not be told apart
      { id: "2", row: { v: "2" }, empty },
      { id: "3", row: { v: "3", st: null }, empty: ["id", "name"] },
    ],
  });
  assert.equal(outcome.replayed, 3);
  const found = await database.query("SELECT * FROM t ORDER BY v");
  assert.deepEqual(found.map(({ name, v, st }) => [v, name, st]), [
    [1, "nobody", "new"],
    [2, null, "new"],
    [3, null, null],
  ]);
  await assert.rejects(
    replayRejects(database, { table: "t", rows: [{ id: "1", row: {}, empty: ["w"] }] }),
    /has no column "w"/,
  );
});

Deno.test("a correction keeps what it leaves out of the record, and makes up nothing where that has no values", async () => {
  await using database = await freshDatabase();
  await database.query(
    "CREATE TABLE t (id integer, name text, v integer CHECK (v < 10), st text DEFAULT 'new')",
  );
  await load(database, "id,name,v\n1,a,99\n2,b,88\n3,c,77\n4\n5\n", { mode: "append" });
  const replay = async (...rows: Correction[]) => {
    const { replayed, rejected, skipped } = await replayRejects(database, { table: "t", rows });
    return [replayed, rejected, skipped];
  };
  // What cannot be told apart is refused first: 1 and 2 are the last two.
  assert.deepEqual(await replay({ id: "3", row: { v: 66 } }), [0, 1, 0]);
  const found = await listRejects(database, { table: "t" });
  assert.deepEqual(found.map(({ row }) => row), [
    null,
    null,
    { id: "1", name: "a", v: 66 },
    { id: "2", name: "b", v: "88" },
    { id: "3", name: "c", v: "77" },
  ]);
  const outcome = await replay(
    { id: "1", row: { v: "4" } },
    { id: "2", row: {}, empty: ["id", "v"] },
    { id: "3", row: { v: "1" } },
    { id: "4", row: { v: null, name: null } },
    { id: "5", row: {}, empty: ["v", "st"] },
  );
  assert.deepEqual(outcome, [4, 0, 1]);
  assert.deepEqual(await rows(database), ["(,,4,new)", "(1,a,1,new)", "(2,,,new)", "(3,c,,new)"]);
});
