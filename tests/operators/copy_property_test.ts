import assert from "node:assert/strict";
import {
  DataType,
  DateDay,
  Dictionary,
  Field,
  Float64,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import fc from "fast-check";
import { TYPE_KEY } from "../../operators/_column_type.ts";
import { copy } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { type Kind, KINDS } from "./_arrow_kinds.ts";

await sharedPostgres();

/** A batch of all kinds, and what each of its rows must look like. */
function batchOf(columns: readonly { kind: Kind; values: unknown[] }[], rows: number): RecordBatch {
  const fields = columns.map(({ kind }, i) =>
    new Field(`c${i}`, kind.type, true, kind.mark ? new Map([[TYPE_KEY, kind.mark]]) : undefined)
  );
  const children = columns.map(({ kind, values }) => {
    const nullBitmap = new Uint8Array((rows + 7) >> 3);
    values.forEach((value, i) => value !== null && (nullBitmap[i >> 3]! |= 1 << (i & 7)));
    const nulls = values.includes(null) ? { nullBitmap, nullCount: -1 } : { nullCount: 0 };
    const shape = { type: kind.type, length: rows, ...DataType.isNull(kind.type) ? {} : nulls };
    return makeData({ ...shape, ...kind.buffers(values) } as never);
  });
  const struct = new Struct(fields);
  return new RecordBatch(
    new Schema(fields),
    makeData({ type: struct, length: rows, nullCount: 0, children: children as never }),
  );
}

const SQL = `SELECT ${
  KINDS.map(({ sql }, i) => {
    const value = sql.includes("$") ? sql.replace("$", `c${i}`) : `c${i}${sql}`;
    const binary = /send|^\$$/.test(sql) && KINDS[i]!.column !== "text";
    return `${binary ? `encode(${value}, 'hex')` : value} AS c${i}`;
  }).join(", ")
} FROM t`;

const batches = fc.array(
  fc.integer({ min: 0, max: 12 }).chain((rows) =>
    fc.record({
      columns: fc.tuple(...KINDS.map(({ value }) =>
        fc.array(fc.option(value, { freq: 5 }), { minLength: rows, maxLength: rows })
      )),
      slice: fc.option(fc.tuple(fc.nat(rows), fc.nat(rows)), { freq: 2 }),
    })
  ),
  { minLength: 1, maxLength: 4 },
);

Deno.test("what is copied in any types, is what is selected", async () => {
  await using database = await freshDatabase();
  const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
  await fc.assert(
    fc.asyncProperty(batches, async (all) => {
      const expected: (string | null)[][] = [];
      const stream = ReadableStream.from(all.map(({ columns, slice }) => {
        const rows = columns[0]!.length;
        const batch = batchOf(columns.map((values, i) => ({ kind: KINDS[i]!, values })), rows);
        const [from, to] = slice ? [Math.min(...slice), Math.max(...slice)] : [0, rows];
        for (let r = from; r < to; r++) {
          expected.push(columns.map((values, i) => {
            return values[r] === null ? null : KINDS[i]!.shown(values[r] as never);
          }));
        }
        return slice ? batch.slice(from, to) : batch;
      }));
      const copied = await perform(copy({ table: "t", allowEmpty: true }), ctx, stream);
      assert.equal(copied.rows, expected.length);
      const rows = await database.query<Record<string, string | null>>(SQL);
      assert.deepEqual(rows.map((row) => Object.values(row)), expected);
    }),
    { numRuns: 100 },
  );
  const types = await database.query<{ type: string }>(
    `SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum`,
  );
  assert.deepEqual(types.map(({ type }) => type), KINDS.map(({ column }) => column));
});

Deno.test("a dictionary is copied as what it holds, a NULL in it as NULL", async () => {
  await using database = await freshDatabase();
  const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
  const dictionary = (values: unknown[], type: DataType, keys: number[]) => {
    const words = vectorFromArray(values, type);
    return makeData(
      {
        type: new Dictionary(type, new Int32()),
        length: keys.length,
        nullCount: -1,
        nullBitmap: Uint8Array.of(0b11011),
        data: Int32Array.from(keys),
        dictionary: words,
      } as never,
    );
  };
  const keys = [2, 0, 0, 1, 2];
  const children = [
    dictionary(["é", null, ""], new Utf8(), keys),
    dictionary([7n, null, -1n], new Int64(), keys),
    dictionary([7, null, -1], new Int32(), keys),
    dictionary([0.5, null, -0.25], new Float64(), keys),
    dictionary([new Date("2021-01-31"), null, new Date("1969-12-31")], new DateDay(), keys),
  ];
  const fields = children.map(({ type }, i) => new Field(`c${i}`, type, true));
  const batch = new RecordBatch(
    new Schema(fields),
    makeData({ type: new Struct(fields), length: 5, nullCount: 0, children: children as never }),
  );
  await perform(copy({ table: "t" }), ctx, ReadableStream.from([batch, batch.slice(1, 3)]));
  const rows = await database.query("SELECT c0, c1::text, c2, c3, c4::text FROM t");
  const first = ["é", "7", 7, 0.5, "2021-01-31"], last = ["", "-1", -1, -0.25, "1969-12-31"];
  const none = [null, null, null, null, null];
  assert.deepEqual(rows.map((row) => Object.values(row)), [
    last,
    first,
    none,
    none,
    last,
    first,
    none,
  ]);
});
