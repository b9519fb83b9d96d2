import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  DateMillisecond,
  Decimal,
  FixedSizeBinary,
  Float16,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  Int8,
  LargeBinary,
  LargeUtf8,
  Null,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  Uint16,
  Uint32,
  Uint64,
  Uint8,
  Utf8,
} from "apache-arrow";
import fc from "fast-check";

/** A type, its values, how they are laid out for Arrow, and what Postgres must show of each in SQL. */
export interface Kind {
  readonly name: string;
  readonly type: DataType;
  readonly value: fc.Arbitrary<unknown>;
  readonly buffers: (values: unknown[]) => object;
  readonly sql: string;
  readonly shown: (value: never) => string;
  readonly mark?: string;
  /** The type of the column in Postgres. */
  readonly column: string;
}

// deno-lint-ignore no-explicit-any -- the arrays have nothing else in common.
const array = (make: { from(values: any[]): unknown }, zero: unknown) => (values: unknown[]) => ({
  data: make.from(values.map((value) => value ?? zero)),
});

const parts = (encode: (value: unknown) => Uint8Array, big = false) => (values: unknown[]) => {
  // Below a NULL may lie anything.
  const all = values.map((value) => value === null ? Uint8Array.of(120) : encode(value));
  const offsets = [0];
  for (const part of all) offsets.push(offsets.at(-1)! + part.length);
  const data = new Uint8Array(offsets.at(-1)!);
  all.forEach((part, i) => data.set(part, offsets[i]));
  return {
    data,
    valueOffsets: big ? BigInt64Array.from(offsets.map(BigInt)) : Int32Array.from(offsets),
  };
};

const fixed = (size: number, encode: (value: unknown) => Uint8Array) => (values: unknown[]) => {
  const data = new Uint8Array(values.length * size);
  values.forEach((value, i) => value === null || data.set(encode(value), i * size));
  return { data };
};

const encoder = new TextEncoder();
const utf8 = (value: unknown) => encoder.encode(value as string);
const asBytes = (value: unknown) => value as Uint8Array;
const hex = (value: Uint8Array) => [...value].map((b) => b.toString(16).padStart(2, "0")).join("");

function bits(value: number): string {
  const view = new DataView(new ArrayBuffer(8));
  // Postgres keeps the one NaN it is sent; which one, is the runtime's affair.
  view.setFloat64(0, value);
  return hex(new Uint8Array(view.buffer));
}

const int64 = (value: bigint) => BigInt.asUintN(64, value).toString(16).padStart(16, "0");
const EPOCH = 946_684_800_000_000n;
// 4713 BC to 294276: what Postgres keeps.
const MICROS = { min: -210_866_803_200_000_000n, max: 9_224_318_015_999_999_999n - EPOCH };
const SECONDS = { min: MICROS.min / 1_000_000n, max: 9_000_000_000_000n };

const whole = (type: DataType, make: never, min: number, max: number): Kind => ({
  name: String(type),
  type,
  value: fc.oneof(fc.integer({ min, max }), fc.constantFrom(min, max, 0)),
  buffers: array(make, 0),
  sql: "::text",
  shown: String,
  column: max > 2147483647 ? "bigint" : "integer",
});

const float = (type: DataType, make: never, value: fc.Arbitrary<number>): Kind => ({
  name: String(type),
  type,
  value: fc.oneof(value, fc.constantFrom(0, -0, NaN, Infinity, -Infinity)),
  buffers: array(make, 0),
  sql: "float8send($)",
  shown: bits,
  column: "double precision",
});

const time = (
  type: DataType,
  min: bigint,
  max: bigint,
  toMicros: (value: bigint) => bigint,
  step = 1n,
): Kind => ({
  name: String(type),
  type,
  value: fc.oneof(
    fc.bigInt({ min: min / step, max: max / step }),
    fc.constantFrom(min / step, max / step, 0n, -1n, 1n),
    fc.bigInt({ min: -100_000_000_000n, max: 100_000_000_000n }),
  ).map((value) => value * step),
  buffers: array(BigInt64Array, 0n),
  sql: (type as TimestampSecond).timezone ? "timestamptz_send($)" : "timestamp_send($)",
  shown: (value: bigint) => int64(toMicros(value) - EPOCH),
  column: (type as TimestampSecond).timezone
    ? "timestamp with time zone"
    : "timestamp without time zone",
});

const day = fc.oneof(
  fc.integer({ min: -2_440_588, max: 2_145_042_905 }),
  fc.constantFrom(0, -1, 10957),
);

/** A decimal's four words, the lowest first. */
function words(value: bigint): Uint8Array {
  const bytes = new BigUint64Array([BigInt.asUintN(64, value), BigInt.asUintN(64, value >> 64n)]);
  return new Uint8Array(bytes.buffer);
}

function scaled(value: bigint, scale: number): string {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  return (value < 0n ? "-" : "") +
    (scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`);
}

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }).map((s) => s.replaceAll("\0", "")),
  fc.constantFrom(
    "",
    "NULL",
    "\\N",
    "\\.",
    "a\tb\n",
    "x".repeat(23),
    "é".repeat(12),
    "𝄞".repeat(3000),
  ),
);
const uuid = fc.uint8Array({ minLength: 16, maxLength: 16 });
const blob = fc.uint8Array({ maxLength: 40 });

const decimal = (scale: number): Kind => ({
  name: `Decimal of scale ${scale}`,
  type: new Decimal(scale, 38),
  value: fc.oneof(
    fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }),
    fc.constantFrom(0n, 1n, -1n),
  ),
  buffers: (values) => ({
    data: new Uint32Array(fixed(16, (value) => words(value as bigint))(values).data.buffer),
  }),
  sql: "::text",
  shown: (value: bigint) => scaled(value, scale),
  column: "numeric",
});

/** All kinds of columns there are. */
export const KINDS: readonly Kind[] = [
  {
    name: "Bool",
    type: new Bool(),
    value: fc.boolean(),
    buffers: (values) => {
      const data = new Uint8Array((values.length + 7) >> 3);
      values.forEach((value, i) => value && (data[i >> 3]! |= 1 << (i & 7)));
      return { data };
    },
    sql: "::text",
    shown: String,
    column: "boolean",
  },
  whole(new Int8(), Int8Array as never, -128, 127),
  whole(new Int16(), Int16Array as never, -32768, 32767),
  whole(new Int32(), Int32Array as never, -2147483648, 2147483647),
  whole(new Uint8(), Uint8Array as never, 0, 255),
  whole(new Uint16(), Uint16Array as never, 0, 65535),
  whole(new Uint32(), Uint32Array as never, 0, 4294967295),
  {
    name: "Int64",
    type: new Int64(),
    value: fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 32n, -(2n ** 32n)),
    ),
    buffers: array(BigInt64Array, 0n),
    sql: "::text",
    shown: String,
    column: "bigint",
  },
  {
    name: "Uint64",
    type: new Uint64(),
    value: fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.constant(2n ** 64n - 1n)),
    buffers: array(BigUint64Array, 0n),
    sql: "::text",
    shown: String,
    column: "numeric",
  },
  float(
    new Float64(),
    Float64Array as never,
    fc.oneof(fc.double(), fc.constantFrom(5e-324, Number.MAX_VALUE)),
  ),
  float(new Float32(), Float32Array as never, fc.oneof(fc.float(), fc.constant(2 ** -149))),
  {
    ...float(new Float16(), Uint16Array as never, fc.constantFrom(1, -2, 0.5)),
    buffers: (values) => ({
      data: Uint16Array.from(
        values.map((value) =>
          new Map<unknown, number>([
            [1, 0x3c00],
            [-2, 0xc000],
            [0.5, 0x3800],
            [-0, 0x8000],
            [
              NaN,
              0x7e00,
            ],
            [Infinity, 0x7c00],
            [-Infinity, 0xfc00],
          ]).get(Object.is(value, -0) ? -0 : value) ?? 0
        ),
      ),
    }),
    value: fc.constantFrom(1, -2, 0.5, NaN, Infinity, -Infinity),
  },
  decimal(0),
  decimal(3),
  decimal(38),
  {
    name: "DateDay",
    type: new DateDay(),
    value: day,
    buffers: array(Int32Array, 0),
    sql: "date_send($)",
    shown: (value: number) => int64(BigInt(value) - 10957n).slice(8),
    column: "date",
  },
  {
    name: "DateMillisecond",
    type: new DateMillisecond(),
    value: fc.integer({ min: -2_440_588, max: 100_000_000 }),
    buffers: (values) => ({
      data: BigInt64Array.from(
        values.map((value) => BigInt((value as number | null) ?? 0) * 86_400_000n),
      ),
    }),
    sql: "date_send($)",
    shown: (value: number) => int64(BigInt(value) - 10957n).slice(8),
    column: "date",
  },
  time(new TimestampSecond(), SECONDS.min, SECONDS.max, (value) => value * 1_000_000n),
  time(
    new TimestampMillisecond("UTC"),
    SECONDS.min * 1000n,
    SECONDS.max * 1000n,
    (value) => value * 1000n,
  ),
  time(new TimestampMicrosecond(), MICROS.min, 9_222_000_000_000_000_000n, (value) => value),
  time(new TimestampMicrosecond("Europe/Berlin"), MICROS.min, 9_222_000_000_000_000_000n, (v) => v),
  time(
    new TimestampNanosecond(),
    -9_223_372_036_854_775_000n,
    9_223_372_036_854_775_000n,
    (value) => value / 1000n,
    1000n,
  ),
  {
    name: "uuid",
    type: new FixedSizeBinary(16),
    value: uuid,
    buffers: fixed(16, asBytes),
    sql: "replace($::text, '-', '')",
    shown: hex,
    mark: "uuid",
    column: "uuid",
  },
  {
    name: "FixedSizeBinary",
    type: new FixedSizeBinary(16),
    value: uuid,
    buffers: fixed(16, asBytes),
    sql: "$",
    shown: hex,
    column: "bytea",
  },
  {
    name: "Binary",
    type: new Binary(),
    value: blob,
    buffers: parts(asBytes),
    sql: "$",
    shown: hex,
    column: "bytea",
  },
  {
    name: "LargeBinary",
    type: new LargeBinary(),
    value: blob,
    buffers: parts(asBytes, true),
    sql: "$",
    shown: hex,
    column: "bytea",
  },
  {
    name: "Utf8",
    type: new Utf8(),
    value: text,
    buffers: parts(utf8),
    sql: "$",
    shown: String,
    column: "text",
  },
  {
    name: "LargeUtf8",
    type: new LargeUtf8(),
    value: text.filter((value) => !value.startsWith("\ufeff")), // Arrow's reader drops it
    buffers: parts(utf8, true),
    sql: "$",
    shown: String,
    column: "text",
  },
  {
    name: "numeric",
    type: new Utf8(),
    value: fc.tuple(fc.bigInt({ min: -(10n ** 60n), max: 10n ** 60n }), fc.nat(40)).map((
      [value, scale],
    ) => scaled(value, scale)),
    buffers: parts(utf8),
    sql: "::text",
    shown: String,
    mark: "numeric",
    column: "numeric",
  },
  {
    name: "Null",
    type: new Null(),
    value: fc.constant(null),
    buffers: () => ({}),
    sql: "$",
    shown: String,
    column: "text",
  },
];
