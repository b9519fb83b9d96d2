import assert from "node:assert/strict";
import {
  type Data,
  type DataType,
  DateDay,
  Dictionary,
  Field,
  Int32,
  LargeUtf8,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableToIPC,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  Utf8,
  Vector,
} from "apache-arrow";
import fc from "fast-check";
import { TYPE_KEY } from "../../operators/_column_type.ts";
import {
  arrowIpc,
  type ArrowIpcOptions,
  type Copied,
  copy,
  type CopyOptions,
  listRejects,
  replayRejects,
} from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { KINDS } from "./_arrow_kinds.ts";
import { nothingLeft, rows } from "./_load.ts";
import { batchesOf, chunked } from "./_read_csv.ts";
import { sift } from "./_sifted.ts";

await sharedPostgres();

/** CSV as Arrow IPC, in batches of a few rows. */
async function arrowOf(text: string, types: Record<string, string> = {}): Promise<Uint8Array> {
  const [batch] = await Array.fromAsync(await batchesOf(text, { types }));
  const batches = Array.from(
    { length: Math.ceil(batch!.numRows / 5) },
    (_, i) => batch!.slice(i * 5, i * 5 + 5),
  );
  return tableToIPC(new Table(batches));
}

type Options = Partial<CopyOptions> & ArrowIpcOptions;

async function load(
  { url }: TestDatabase,
  file: Uint8Array,
  { types = {}, onReject = { limit: Infinity }, ...options }: Options = {},
): Promise<Copied> {
  const ctx = testContext({ connection: () => Promise.resolve({ url }) });
  const batches = await perform(arrowIpc({ types, onReject } as never), ctx, chunked(file));
  return await perform(copy({ table: "t", key: "k", ...options } as never), ctx, batches);
}

const TABLE = `CREATE TABLE parent (id integer PRIMARY KEY);
  INSERT INTO parent VALUES (1), (2);
  CREATE TABLE t (id integer PRIMARY KEY, day date NOT NULL, b text CHECK (b <> 'bad'),
    p integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED, self integer REFERENCES t, n smallint, s varchar(3))`;
const SOURCE = `id,day,b,p,self,n,s
1,2021-01-01,x,1,,1,abc
1,2021-01-02,y,1,,1,abc
2,,x,1,,1,abc
3,2021-01-01,bad,1,,1,abc
4,2021-01-01,"x ""é""",3,,1,abc
5,2021-01-01,x,1,99,1,abc
7,2021-01-01,x,1,,70000,abc
8,2021-01-01,x,1,,1,abcd
12,2021-01-01,x,1,9,1,abc
9,2021-01-01,x,2,1,1,ab
`;
const REFUSED = [
  [2, "unique", null],
  [3, "not_null", "day"],
  [4, "check", null],
  [5, "foreign_key", null],
  [6, "foreign_key", null],
  [7, "value", "n"],
  [8, "value", "s"],
];
const MODES: { name: string; options: Options }[] = [
  { name: "append", options: { mode: "append" } },
  { name: "replace", options: { mode: "replace", isolation: "mvcc" } },
  { name: "merge", options: { mode: "merge", on: ["id"] } },
  { name: "append over two connections", options: { mode: "append", parallel: 2 } },
  { name: "append, committed as it comes", options: { mode: "append", staging: "committed" } },
];

for (const { name, options } of MODES) {
  Deno.test(`rows of Arrow that Postgres refuses are rejects, with their values as JSON: ${name}`, async () => {
    await using database = await freshDatabase();
    await database.query(TABLE);
    const file = await Deno.makeTempFile();
    const arrow = await arrowOf(SOURCE, { day: "date", self: "integer" });
    const onReject = { limit: 7, file };
    const { rows: kept, rejected } = await load(database, arrow, { ...options, onReject });
    // Of two rows with one key, a merge keeps the last.
    const merges = name === "merge", expected = merges ? REFUSED.slice(1) : REFUSED;
    const found = (await listRejects(database, { table: "t" })).sort((a, b) => a.record - b.record);
    assert.deepEqual(found.map(({ record, rule, column }) => [record, rule, column]), expected);
    assert.deepEqual([kept, rejected], [merges ? 4 : 3, expected.length]);
    for (const { line, from, to, raw, row } of found) {
      assert.deepEqual([line, from, to, JSON.parse(raw)], [null, null, null, row]);
    }
    const fifth = found.find(({ record }) => record === 5)!;
    const row = { id: "4", day: "2021-01-01", b: 'x "é"', p: "3", self: null, n: "1", s: "abc" };
    assert.deepEqual(fifth.row, row);
    const lines = (await Deno.readTextFile(file)).trimEnd().split("\n");
    assert.equal(lines.length, expected.length);
    assert.deepEqual(JSON.parse(lines.find((line) => line.includes('"record":5,'))!).row, row);
    // What was missing is there: the row goes in as it is. Another goes in corrected.
    await database.query("INSERT INTO parent VALUES (3)");
    const again = await replayRejects(database, { table: "t", ids: [fifth.id] });
    assert.deepEqual([again.replayed, again.rejected], [1, 0]);
    const eighth = found.find(({ record }) => record === 8)!;
    const corrected = [{ id: eighth.id, row: { ...eighth.row, s: "abc" } }];
    assert.equal((await replayRejects(database, { table: "t", rows: corrected })).replayed, 1);
    const ids = await database.query<{ id: number }>("SELECT id FROM t ORDER BY id");
    assert.deepEqual(ids.map(({ id }) => id), [1, 4, 8, 9, 12]);
    await nothingLeft(database);
    const more = options.mode === "append" ? { ...options, key: "other" } : options;
    await assert.rejects(load(database, arrow, { ...more, onReject: { limit: 2 } }), (error) => {
      const { message } = error as Error;
      assert.match(message, /refused, and the limit is 2.*\n {2}record \d+: /s);
      Deno.removeSync(/in (\/\S+\.jsonl);/.exec(message)![1]!);
      return true;
    });
  });
}

function column(type: DataType, length: number, buffers: object): Data {
  return makeData({ type, length, nullCount: 0, ...buffers } as never);
}

/** Texts of bytes, of which 32-bit or 64-bit offsets tell where they are. */
function textColumn(type: DataType, values: Uint8Array[]): Data {
  const offsets = [0];
  for (const value of values) offsets.push(offsets.at(-1)! + value.length);
  const data = Uint8Array.from(values.flatMap((value) => [...value]));
  const big = type instanceof LargeUtf8;
  const valueOffsets = big ? BigInt64Array.from(offsets.map(BigInt)) : Int32Array.from(offsets);
  return column(type, values.length, { data, valueOffsets });
}

const TEXTS = ["é", "a\0b", "plain", "\xff\xfe", "", "x"].map((text) =>
  /\xff/.test(text) ? Uint8Array.of(0xff, 0xfe) : new TextEncoder().encode(text)
);
/** The two halves of a character. */
const HALVES = [Uint8Array.of(0x78, 0xc3), Uint8Array.of(0xa9)];
const ENTRIES = new Dictionary(new Utf8(), new Int32());

/** What no column of Postgres keeps: a column, and what is refused of it by record. */
const LOST: readonly (readonly [what: string, column: Data, refused: [number, string][]])[] = [
  ["text", textColumn(new Utf8(), TEXTS), [[2, "encoding"], [4, "encoding"]]],
  ["halves of characters", textColumn(new Utf8(), HALVES), [[1, "encoding"], [2, "encoding"]]],
  ["long text", textColumn(new LargeUtf8(), TEXTS), [[2, "encoding"], [4, "encoding"]]],
  [
    "texts of a dictionary",
    column(ENTRIES, 4, {
      data: Int32Array.of(1, 0, 3, 5),
      dictionary: new Vector([textColumn(new Utf8(), TEXTS)]),
    }),
    [[1, "encoding"], [3, "encoding"]],
  ],
  [
    "dates",
    column(new DateDay(), 4, {
      data: Int32Array.of(-2_440_589, -2_440_588, 2_145_042_905, 2_145_042_906),
    }),
    [[1, "value"], [4, "value"]],
  ],
  [
    "timestamps",
    column(new TimestampMicrosecond(), 3, {
      data: BigInt64Array.of(-210_866_803_200_000_001n, -210_866_803_200_000_000n, 0n),
    }),
    [[1, "value"]],
  ],
  [
    "timestamps of milliseconds",
    column(new TimestampMillisecond(), 3, {
      data: BigInt64Array.of(-210_866_803_200_001n, -210_866_803_200_000n, 2n ** 62n),
    }),
    [[1, "value"], [3, "value"]],
  ],
  [
    "nanoseconds",
    column(new TimestampNanosecond(), 3, { data: BigInt64Array.of(1000n, 1001n, -2000n) }),
    [[2, "value"]],
  ],
];

function fileOf(data: Data): Uint8Array {
  const schema = new Schema([new Field("v", data.type, true)]);
  const type = new Struct(schema.fields), { length } = data;
  const batch = new RecordBatch(
    schema,
    makeData({ type, length, nullCount: 0, children: [data] }),
  );
  return tableToIPC(new Table([batch]));
}

for (const [what, data, expected] of LOST) {
  Deno.test(`what Postgres cannot keep of ${what} is refused, each value by itself`, async () => {
    await using database = await freshDatabase();
    const { rows: kept, rejected } = await load(database, fileOf(data));
    assert.deepEqual([kept, rejected], [data.length - expected.length, expected.length]);
    const found = await listRejects(database, { table: "t" });
    assert.deepEqual(
      found.map(({ record, rule, column, line }) => [record, rule, column, line]),
      expected.map(([record, rule]) => [record, rule, "v", null]),
    );
    for (const { raw, row } of found) assert.deepEqual(JSON.parse(raw), row);
    await assert.rejects(load(database, fileOf(data), { onReject: "fail" }), (error: Error) => {
      const where = `in column "v", record ${expected[0]![0]}, "`;
      // The others are the database's to refuse.
      if (/long|dictionary/.test(what)) assert.ok(error.message.includes(where), error.message);
      return true;
    });
    assert.equal((await rows(database)).length, kept);
    await nothingLeft(database);
  });
}

Deno.test("declared types are read of what is there, and what is not of them is refused", async () => {
  await using database = await freshDatabase();
  const arrow = await arrowOf("a,b,c\n1,x,1.5\n2,7,2\n,,\n3,08,2.5\n");
  const types = { a: "text", b: "integer", c: "numeric" };
  const { columns, rejected } = await load(database, arrow, { types });
  assert.deepEqual(columns.map(({ type }) => type), ["text", "integer", "numeric"]);
  assert.equal(rejected, 1);
  assert.deepEqual(await rows(database), ["(2,7,2)", "(,,)", "(3,8,2.5)"]);
  const [reject] = await listRejects(database, { table: "t" });
  assert.equal(reject!.message, '"x" is not of type integer');
  assert.deepEqual(reject!.row, { a: "1", b: "x", c: "1.5" });
  await assert.rejects(
    load(database, arrow, { types, onReject: "fail" }),
    /in column "b", record 1, "x" is not of type integer$/,
  );
  await assert.rejects(load(database, arrow, { types: { z: "text" } }), /it has no column "z"/);
  await assert.rejects(load(database, arrow, { types: { a: "blob" } }), TypeError);
});

Deno.test("values of all kinds are the same by way of their text", async () => {
  await using database = await freshDatabase();
  const length = 40;
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(
        ...KINDS.map(({ value }) =>
          fc.array(fc.option(value, { freq: 9 }), { minLength: length, maxLength: length })
        ),
      ),
      async (columns) => {
        const fields = KINDS.map(({ type, mark }, i) =>
          new Field(`c${i}`, type, true, mark ? new Map([[TYPE_KEY, mark]]) : undefined)
        );
        const children = KINDS.map(({ type, buffers }, i) => {
          const values = columns[i]!;
          const nullBitmap = new Uint8Array((length + 7) >> 3);
          values.forEach((value, r) => value !== null && (nullBitmap[r >> 3]! |= 1 << (r & 7)));
          return makeData({ type, length, nullCount: -1, nullBitmap, ...buffers(values) } as never);
        }) as Data[];
        const schema = new Schema(fields);
        const batch = new RecordBatch(
          schema,
          makeData({ type: new Struct(fields), length, nullCount: 0, children }),
        );
        const file = tableToIPC(new Table([batch]));
        await load(database, file, { table: "plain" });
        const types = Object.fromEntries(
          KINDS.flatMap(({ mark }, i) => mark ? [] : [[`c${i}`, "text"]]),
        );
        await load(database, file, { table: "texts", types });
        for (const [i, { name, column }] of KINDS.entries()) {
          const all = (of: string) => `(SELECT array_agg(c${i}::${column}) FROM ${of})`;
          const [{ same }] = await database.query<{ same: boolean }>(
            `SELECT ${all("plain")} IS NOT DISTINCT FROM ${all("texts")} AS same`,
          ) as [{ same: boolean }];
          assert.ok(same, name);
        }
      },
    ),
    { numRuns: 4, endOnFailure: true },
  );
});

Deno.test("whatever rows are refused of whatever batches, the others come, and all are counted", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.option(fc.nat(1000), { freq: 4 }), { maxLength: 20 }), { minLength: 1 }),
      async (parts) => {
        const schema = new Schema([new Field("v", new Utf8(), true)]);
        const batches = parts.map((values) => {
          const data = textColumn(
            new Utf8(),
            values.map((value) => new TextEncoder().encode(value === null ? "x" : String(value))),
          );
          const type = new Struct(schema.fields);
          return new RecordBatch(
            schema,
            makeData({ type, length: values.length, nullCount: 0, children: [data] }),
          );
        });
        const file = tableToIPC(new Table(schema, batches));
        const options = { types: { v: "integer" }, onReject: { limit: Infinity } };
        const read = await perform(arrowIpc(options as never), testContext(), chunked(file));
        const { rows, rejects, records } = await sift(read);
        const all = parts.flat();
        assert.deepEqual(rows.flat(), all.filter((value) => value !== null));
        assert.deepEqual(
          rejects.map(({ record, raw }) => [record, raw]),
          all.flatMap((value, i) => value === null ? [[i + 1, '{"v":"x"}']] : []),
        );
        assert.equal(records, all.length);
      },
    ),
  );
});
