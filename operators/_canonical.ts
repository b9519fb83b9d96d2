import {
  type Data,
  DataType,
  DateUnit,
  type Field,
  makeData,
  TimeUnit,
  Utf8,
  Vector,
} from "apache-arrow";
import { arrowField, COLUMN_TYPES, type ColumnType, TYPE_KEY } from "./_column_type.ts";

/** The Postgres type a column is copied as. */
export type SqlType = ColumnType | "bytea";

/**
 * The Postgres type for an Arrow field: one that holds every value. Small integers become integer, unsigned ones
 * the next wider, floats double precision; a dictionary counts as what it holds.
 *
 * @throws {TypeError} naming the column, for what has no such type
 */
export function sqlType(field: Field): SqlType {
  const marked = COLUMN_TYPES.find((name) => name === field.metadata.get(TYPE_KEY));
  return marked ?? typeOf(field.type, field.name);
}

function typeOf(type: DataType, name: string): SqlType {
  if (DataType.isDictionary(type)) return typeOf(type.dictionary, name);
  if (DataType.isBool(type)) return "boolean";
  if (DataType.isInt(type)) {
    const bits = type.bitWidth + (type.isSigned ? 0 : 1);
    return bits <= 32 ? "integer" : bits <= 64 ? "bigint" : "numeric";
  }
  if (DataType.isFloat(type)) return "double precision";
  if (DataType.isDecimal(type)) return "numeric";
  if (DataType.isDate(type)) return "date";
  if (DataType.isTimestamp(type)) return type.timezone ? "timestamptz" : "timestamp";
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isNull(type)) return "text";
  if (DataType.isBinary(type) || DataType.isLargeBinary(type) || DataType.isFixedSizeBinary(type)) {
    return "bytea";
  }
  throw new TypeError(
    `Cannot copy column ${JSON.stringify(name)}: Arrow's ${type} has no Postgres type here; ` +
      `make it text, a number, a date, a timestamp or bytes first`,
  );
}

/** Whether a column's buffers are laid out as the encoder reads them; others are rewritten value by value. */
function isCanonical(type: DataType, sql: SqlType): boolean {
  switch (sql) {
    case "boolean":
      return DataType.isBool(type);
    case "integer":
      return DataType.isInt(type) && type.bitWidth === 32 && type.isSigned;
    case "bigint":
      return DataType.isInt(type) && type.bitWidth === 64 && type.isSigned;
    case "double precision":
      return DataType.isFloat(type) && type.ArrayType === Float64Array;
    case "date":
      return DataType.isDate(type) && type.unit === DateUnit.DAY;
    case "timestamp":
    case "timestamptz":
      return DataType.isTimestamp(type) && type.unit === TimeUnit.MICROSECOND;
    case "uuid":
      return DataType.isFixedSizeBinary(type) && type.byteWidth === 16;
    case "numeric":
    case "text":
      return DataType.isUtf8(type);
    case "bytea":
      return DataType.isBinary(type);
  }
}

/** The column with its values laid out as the encoder reads them; the same one where they are already. */
export function canonical(data: Data, sql: SqlType, name: string): Data {
  if (isCanonical(data.type, sql)) return data;
  const { length } = data;
  const vector = new Vector([data]);
  const nullBitmap = new Uint8Array((length + 7) >> 3);
  const values: unknown[] = [];
  for (let i = 0; i < length; i++) {
    const value = data.getValid(i) ? convert(vector, i, data.type, sql, name) : null;
    if (value !== null) nullBitmap[i >> 3]! |= 1 << (i & 7);
    values.push(value);
  }
  const shape = { length, nullCount: -1, nullBitmap };
  if (sql === "text" || sql === "numeric" || sql === "bytea") {
    const encoder = new TextEncoder();
    const parts = values.map((value) => {
      return value instanceof Uint8Array ? value : encoder.encode(String(value ?? ""));
    });
    const valueOffsets = new Int32Array(length + 1);
    parts.forEach((part, i) => valueOffsets[i + 1] = valueOffsets[i]! + part.length);
    const bytes = new Uint8Array(valueOffsets[length]!);
    parts.forEach((part, i) => bytes.set(part, valueOffsets[i]!));
    return makeData({ ...shape, type: new Utf8(), valueOffsets, data: bytes } as never);
  }
  if (sql === "boolean" || sql === "uuid") {
    throw new TypeError(`Cannot copy column ${JSON.stringify(name)}: ${data.type} is no ${sql}`);
  }
  const { type } = arrowField(name, sql);
  const zero = type.ArrayType === BigInt64Array ? 0n : 0;
  const array = type.ArrayType as unknown as { from(values: unknown[]): Int32Array };
  return makeData(
    { ...shape, type, data: array.from(values.map((value) => value ?? zero)) } as never,
  );
}

/** One value in the form its Postgres type is built from. */
function convert(vector: Vector, i: number, from: DataType, sql: SqlType, name: string): unknown {
  if (DataType.isTimestamp(from)) {
    return micros(vector.data[0]!.values[i] as bigint, from.unit, name);
  }
  const inner = DataType.isDictionary(from) ? from.dictionary as DataType : from;
  if (DataType.isUtf8(inner) || DataType.isLargeUtf8(inner)) return textAt(vector.data[0]!, i);
  const value = vector.get(i) as unknown;
  if (value === null) return null; // a dictionary may hold one
  if (DataType.isDecimal(inner)) return decimalText(value as Uint32Array, inner.scale);
  if (sql === "date") return Math.floor(Number(value) / 86_400_000);
  if (sql === "timestamp" || sql === "timestamptz") {
    throw new TypeError(
      `Cannot copy column ${
        JSON.stringify(name)
      }: a dictionary of timestamps is not read; cast it first`,
    );
  }
  return sql === "bigint" ? BigInt(value as number) : value;
}

/** The bytes of a text, or of the dictionary's entry that stands for it; null where that is NULL. */
export function textAt(data: Data, i: number): Uint8Array | null {
  if (!data.getValid(i)) return null;
  const { values, valueOffsets, dictionary } = data;
  if (!dictionary) return values.subarray(Number(valueOffsets[i]), Number(valueOffsets[i + 1]));
  const [part, at] = entryAt(data, i);
  return textAt(part, at);
}

/** Where the entry of a dictionary is that stands for a value. */
export function entryAt({ dictionary, values }: Data, i: number): [part: Data, at: number] {
  let at = Number(values[i]);
  for (const part of dictionary!.data) {
    if (at < part.length) return [part, at];
    at -= part.length;
  }
  throw new RangeError(`A dictionary has no entry ${values[i]}`);
}

/** Microseconds, which is what Postgres keeps; refuses a nanosecond that would be lost. */
function micros(value: bigint, unit: TimeUnit, name: string): bigint {
  if (unit !== TimeUnit.NANOSECOND) {
    const wide = value * (unit === TimeUnit.SECOND ? 1_000_000n : 1_000n);
    if (wide === BigInt.asIntN(64, wide)) return wide;
    throw new TypeError(
      `Cannot copy column ${
        JSON.stringify(name)
      }: a timestamp lies beyond the years that Postgres keeps, ` +
        `4713 BC to 294276`,
    );
  }
  if (value % 1_000n === 0n) return value / 1_000n;
  throw new TypeError(
    `Cannot copy column ${
      JSON.stringify(name)
    }: a timestamp has nanoseconds, of which Postgres keeps ` +
      `none; round the column to microseconds first`,
  );
}

/** A decimal from its words, the lowest first, in two's complement. */
export function decimalText(words: Uint32Array, scale: number): string {
  let value = 0n;
  for (let i = words.length - 1; i >= 0; i--) value = (value << 32n) | BigInt(words[i]!);
  value = BigInt.asIntN(words.length * 32, value);
  const digits = String(value < 0n ? -value : value);
  const sign = value < 0n ? "-" : "";
  if (scale <= 0) return sign + digits + "0".repeat(-scale);
  const padded = digits.padStart(scale + 1, "0");
  return `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
}
