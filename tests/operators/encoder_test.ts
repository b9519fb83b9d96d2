import assert from "node:assert/strict";
import {
  Binary,
  Bool,
  type Data,
  type DataType,
  DateDay,
  Decimal,
  Dictionary,
  Field,
  FixedSizeBinary,
  Float64,
  Int32,
  Int64,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  TimestampMicrosecond,
  TimestampNanosecond,
  TimestampSecond,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { sqlType } from "../../operators/_canonical.ts";
import { TYPE_KEY } from "../../operators/_column_type.ts";
import { Encoder, Page } from "../../operators/_encoder.ts";
import { encodeNumeric } from "../../operators/_numeric.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";

await sharedPostgres();

type Buffers = { data?: unknown; nullBitmap?: Uint8Array; valueOffsets?: Int32Array };

/** A batch of one column. */
function batchOf(type: DataType, length: number, buffers: Buffers, mark?: string): RecordBatch {
  const field = new Field("v", type, true, mark ? new Map([[TYPE_KEY, mark]]) : undefined);
  const nulls = buffers.nullBitmap ? { nullCount: -1 } : { nullCount: 0 };
  const child = makeData({ type, length, ...nulls, ...buffers } as never) as Data;
  const struct = new Struct([field]);
  return new RecordBatch(
    new Schema([field]),
    makeData({ type: struct, length, nullCount: 0, children: [child] }),
  );
}

function encode(batch: RecordBatch, page = Page.open()): string {
  const names = batch.schema.fields.map((field) => field.name);
  const encoder = new Encoder(names, batch.schema.fields.map(sqlType));
  const bytes = encoder.encode(batch, page);
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const NULL = "0001ffffffff";
const utf8 = (text: string) => new TextEncoder().encode(text);
/** The middle one of three is NULL. */
const nullBitmap = Uint8Array.of(0b101);

/** A batch and its rows as Postgres reads them: number of fields, then of each its length and value. */
const LAYOUTS: readonly (readonly [what: string, batch: RecordBatch, rows: string[]])[] = [
  ["booleans", batchOf(new Bool(), 3, { data: Uint8Array.of(0b001), nullBitmap }), [
    "00010000000101",
    NULL,
    "00010000000100",
  ]],
  ["integers", batchOf(new Int32(), 3, { data: Int32Array.of(1, 0, -2147483648), nullBitmap }), [
    "00010000000400000001",
    NULL,
    "00010000000480000000",
  ]],
  [
    "bigints",
    batchOf(new Int64(), 3, {
      data: BigInt64Array.of(258n, 0n, -9223372036854775808n),
      nullBitmap,
    }),
    ["0001000000080000000000000102", NULL, "0001000000088000000000000000"],
  ],
  ["doubles", batchOf(new Float64(), 3, { data: Float64Array.of(1.5, 0, -0), nullBitmap }), [
    "0001000000083ff8000000000000",
    NULL,
    "0001000000088000000000000000",
  ]],
  // Days, and microseconds, from 2000.
  ["dates", batchOf(new DateDay(), 3, { data: Int32Array.of(10957, 0, 10956), nullBitmap }), [
    "00010000000400000000",
    NULL,
    "000100000004ffffffff",
  ]],
  [
    "timestamps",
    batchOf(new TimestampMicrosecond(), 3, {
      data: BigInt64Array.of(946684800000001n, 0n, 0n),
      nullBitmap,
    }),
    ["0001000000080000000000000001", NULL, "000100000008fffca2fec4c82000"],
  ],
  [
    "timestamps with a zone",
    batchOf(new TimestampMicrosecond("UTC"), 1, { data: BigInt64Array.of(946684799999999n) }),
    ["000100000008ffffffffffffffff"],
  ],
  [
    "uuids",
    batchOf(
      new FixedSizeBinary(16),
      2,
      { data: Uint8Array.from({ length: 32 }, (_, i) => i), nullBitmap: Uint8Array.of(0b10) },
      "uuid",
    ),
    [NULL, "000100000010101112131415161718191a1b1c1d1e1f"],
  ],
  [
    "text",
    batchOf(new Utf8(), 3, {
      data: utf8("aé"),
      valueOffsets: Int32Array.of(0, 3, 3, 3),
      nullBitmap,
    }),
    ["00010000000361c3a9", NULL, "000100000000"],
  ],
  [
    "text of a NULL that has bytes",
    batchOf(new Utf8(), 3, {
      data: utf8("xyz"),
      valueOffsets: Int32Array.of(0, 1, 2, 3),
      nullBitmap,
    }),
    ["00010000000178", NULL, "0001000000017a"],
  ],
  [
    "bytes",
    batchOf(new Binary(), 1, { data: Uint8Array.of(0, 255), valueOffsets: Int32Array.of(0, 2) }),
    ["00010000000200ff"],
  ],
  [
    "numerics",
    batchOf(
      new Utf8(),
      3,
      { data: utf8("-1.5?0"), valueOffsets: Int32Array.of(0, 4, 5, 6), nullBitmap },
      "numeric",
    ),
    ["00010000000c00020000400000010001" + "1388", NULL, "0001000000080000000000000000"],
  ],
];

const used = Page.open();

for (const [what, batch, rows] of LAYOUTS) {
  Deno.test(`the encoder lays out ${what}`, () => {
    assert.equal(encode(batch), rows.join(""));
    assert.equal(encode(batch, used), rows.join(""), "on a page that was used");
    for (let from = 0; from < rows.length; from++) {
      assert.equal(encode(batch.slice(from)), rows.slice(from).join(""), `from row ${from}`);
    }
  });
}

Deno.test("a column of NULLs alone needs no values", () => {
  const nullBitmap = new Uint8Array(1);
  assert.equal(encode(batchOf(new Int64(), 2, { nullBitmap })), NULL + NULL);
  const valueOffsets = new Int32Array(3);
  assert.equal(encode(batchOf(new Utf8(), 2, { nullBitmap, valueOffsets })), NULL + NULL);
  const without = batchOf(new Utf8(), 2, { nullBitmap });
  assert.equal(encode(without), NULL + NULL);
  assert.equal(new Encoder(["v"], ["text"]).most(without), 16_384);
});

Deno.test("pages are used again, but for large ones, which nobody keeps", () => {
  const page = Page.open(), other = Page.open();
  assert.notEqual(page, other);
  page.close();
  assert.equal(Page.open(), page);
  page.reach(1 << 26);
  page.close();
  assert.notEqual(Page.open(), page);
});

Deno.test("a large batch is encoded in parts, whatever makes it large", () => {
  const long = batchOf(new Utf8(), 1000, {
    data: new Uint8Array(32 << 20),
    valueOffsets: Int32Array.from({ length: 1001 }, (_, i) => i * (32 << 20) / 1000),
  });
  const many = batchOf(new Int32(), 100_000, { data: new Int32Array(100_000) });
  const named = dictionaryOf(new Utf8(), ["x".repeat(33_000)]);
  const types = [[long, "text"], [many, "integer"], [named, "text"]] as const;
  const parts = types.map(([batch, type]) => new Encoder(["v"], [type]).most(batch));
  assert.deepEqual(parts, [124, 16_384, 127]);
});

Deno.test("the encoder joins columns to rows, NULLs and long texts among them", () => {
  const long = "x".repeat(100);
  const fields = [new Field("n", new Int32(), true), new Field("t", new Utf8(), true)];
  const children = [
    makeData({ type: new Int32(), length: 2, nullCount: 0, data: Int32Array.of(1, 2) }),
    makeData(
      {
        type: new Utf8(),
        length: 2,
        nullCount: -1,
        nullBitmap: Uint8Array.of(0b01),
        data: utf8(long),
        valueOffsets: Int32Array.of(0, 100, 100),
      } as never,
    ),
  ];
  const batch = new RecordBatch(
    new Schema(fields),
    makeData({ type: new Struct(fields), length: 2, nullCount: 0, children }),
  );
  assert.equal(
    encode(batch),
    `00020000000400000001${"00000064"}${"78".repeat(100)}00020000000400000002ffffffff`,
  );
});

Deno.test("the encoder refuses a timestamp that would come out at the other end of time", () => {
  const data = BigInt64Array.of(-9223372036854775808n);
  assert.throws(() => encode(batchOf(new TimestampMicrosecond(), 1, { data })), {
    name: "RangeError",
    message: "Cannot copy a timestamp before 4713 BC, the first year Postgres keeps",
  });
});

/** What numerics are written as, and how Postgres shows them where that is otherwise. */
const NUMERICS: readonly (readonly [text: string, shown?: string])[] = [
  ["0"],
  ["-0", "0"],
  ["0.00"],
  ["-0.00", "0.00"],
  ["1"],
  ["-1"],
  ["9"],
  ["10"],
  ["9999"],
  ["10000"],
  ["10001"],
  ["100000000"],
  ["12345678"],
  ["123456789"],
  ["0.1"],
  ["0.0001"],
  ["0.00001"],
  ["0.00010"],
  ["-0.00012345"],
  ["1.500"],
  ["1.0"],
  ["10000.0001"],
  ["123456789.987654321"],
  ["99999999999999999999999999.99999999999"],
  ["12345678901234567890"],
  [".5", "0.5"],
  ["5.", "5"],
  ["-.5", "-0.5"],
  ["007", "7"],
  ["1e0", "1"],
  ["1e5", "100000"],
  ["1E+2", "100"],
  ["1.5e3", "1500"],
  ["1.2345e2", "123.45"],
  ["1.5e-3", "0.0015"],
  ["15e-1", "1.5"],
  ["123e-10", "0.0000000123"],
  ["0e5", "0"],
  ["0e-5", "0.00000"],
  ["NaN"],
  ["1e100", `1${"0".repeat(100)}`],
  ["1e-16383", `0.${"0".repeat(16382)}1`],
  ["1e131071", `1${"0".repeat(131071)}`],
  ["9".repeat(131072)],
  [`${"9".repeat(131072)}.${"9".repeat(16383)}`],
];

Deno.test("numerics are what they were written as, digit by digit and with their scale", async () => {
  await using database = await freshDatabase();
  for (const [text, shown = text] of NUMERICS) {
    const data = utf8(text);
    const batch = batchOf(
      new Utf8(),
      1,
      { data, valueOffsets: Int32Array.of(0, data.length) },
      "numeric",
    );
    // As the server's own receiving function reads it.
    const hex = encode(batch).slice(12);
    const expected = await database.query<{ bytes: string }>(
      "SELECT encode(numeric_send($1::text::numeric), 'hex') AS bytes",
      [text],
    );
    assert.equal(hex, expected[0]!.bytes, shown.slice(0, 50));
    const [row] = await database.query<{ text: string }>("SELECT $1::text::numeric::text", [text]);
    assert.equal(row!.text, shown);
  }
});

Deno.test("what is no decimal is not sent as numeric", () => {
  for (const text of ["", "x", ".", "-", "1e", "+-1", "1 ", "Infinity", "0x1"]) {
    assert.throws(() => encodeNumeric(text), {
      name: "RangeError",
      message: `Cannot send ${JSON.stringify(text)} as numeric: it is no decimal`,
    });
  }
});

/** Batches that have no place in Postgres, or would lose something there. */
const REFUSED: readonly (readonly [what: string, batch: () => RecordBatch, message: string])[] = [
  [
    "lists",
    () => batchOf(new List(new Field("item", new Int32())), 0, { valueOffsets: Int32Array.of(0) }),
    "Arrow's List<Int32> has no Postgres type here; make it text, a number, a date, a timestamp or bytes first",
  ],
  [
    "nanoseconds",
    () => batchOf(new TimestampNanosecond(), 1, { data: BigInt64Array.of(1001n) }),
    "a timestamp has nanoseconds, of which Postgres keeps none; round the column to microseconds first",
  ],
  [
    "seconds out of all time",
    () => batchOf(new TimestampSecond(), 1, { data: BigInt64Array.of(10n ** 13n) }),
    "a timestamp lies beyond the years that Postgres keeps, 4713 BC to 294276",
  ],
  [
    "a dictionary of timestamps",
    () => dictionaryOf(new TimestampMicrosecond(), [new Date(0)]),
    "a dictionary of timestamps is not read; cast it first",
  ],
  [
    "a dictionary of truths",
    () => dictionaryOf(new Bool(), [true]),
    "Dictionary<Int32, Bool> is no boolean",
  ],
];

function dictionaryOf(type: DataType, values: unknown[]): RecordBatch {
  const dictionary = vectorFromArray(values, type);
  const buffers = { data: Int32Array.of(0), dictionary };
  return batchOf(new Dictionary(type, new Int32()), 1, buffers);
}

for (const [what, batch, message] of REFUSED) {
  Deno.test(`the encoder refuses ${what}`, () => {
    assert.throws(() => encode(batch()), {
      name: "TypeError",
      message: `Cannot copy column "v": ${message}`,
    });
  });
}

Deno.test("decimals of a negative scale are written out", () => {
  const data = Uint32Array.of(12, 0, 0, 0);
  assert.equal(
    encode(batchOf(new Decimal(-3, 38), 1, { data })).slice(12),
    "0002000100000000000107d0",
  );
});
