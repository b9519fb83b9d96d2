import {
  type Data,
  DataType,
  DateUnit,
  makeData,
  type Time,
  TimeUnit,
  Utf8,
  Vector,
} from "apache-arrow";
import { GiveUp } from "../engine/mod.ts";
import { decimalText, entryAt, textAt } from "./_canonical.ts";
import { Malformed } from "./_tokenizer.ts";

/** The text of a value; null for NULL. */
export type TextOf = (i: number) => string | null;

/** How the values of a column are written so that Postgres reads them; text that is no UTF-8 shows U+FFFD. */
export function textsOf(data: Data): TextOf {
  const { type } = data;
  if (DataType.isNull(type)) return () => null;
  const text = plain(data);
  return (i) => data.getValid(i) ? text(i) : null;
}

/** A column of the text of each value. */
export function textColumn({ length }: Data, text: TextOf): Data {
  const encoder = new TextEncoder();
  const valueOffsets = new Int32Array(length + 1);
  const nullBitmap = new Uint8Array((length + 7) >> 3);
  const parts = Array.from({ length }, (_, i) => {
    const value = text(i);
    if (value !== null) nullBitmap[i >> 3]! |= 1 << (i & 7);
    const part = encoder.encode(value ?? "");
    valueOffsets[i + 1] = valueOffsets[i]! + part.length;
    return part;
  });
  const bytes = new Uint8Array(valueOffsets[length]!);
  parts.forEach((part, i) => bytes.set(part, valueOffsets[i]));
  return makeData({
    type: new Utf8(),
    length,
    nullBitmap,
    nullCount: -1,
    valueOffsets,
    data: bytes,
  });
}

function plain(data: Data): TextOf {
  const { type, values } = data, vector = new Vector([data]);
  if (DataType.isDictionary(type)) {
    const texts = new Map(data.dictionary!.data.map((part) => [part, textsOf(part)]));
    return (i) => {
      const [part, at] = entryAt(data, i);
      return texts.get(part)!(at);
    };
  }
  // Arrow's own would drop a byte order mark that a text begins with.
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) {
    return (i) => lenient.decode(textAt(data, i)!);
  }
  if (DataType.isFloat(type)) {
    return (i) => Object.is(vector.get(i), -0) ? "-0" : `${vector.get(i)}`;
  }
  if (DataType.isDecimal(type)) return (i) => decimalText(vector.get(i) as Uint32Array, type.scale);
  if (DataType.isTimestamp(type)) {
    const zone = type.timezone ? "+00" : "";
    return (i) => moment(values[i] as bigint, DIGITS[type.unit], zone);
  }
  if (DataType.isDate(type)) {
    const ms = type.unit === DateUnit.MILLISECOND;
    return (i) => day(ms ? Number(BigInt(values[i]) / 86_400_000n) : values[i]).join("");
  }
  if (
    DataType.isBinary(type) || DataType.isLargeBinary(type) || DataType.isFixedSizeBinary(type)
  ) return (i) => `\\x${Array.from(vector.get(i) as Uint8Array, hex).join("")}`;
  return (i) => String(vector.get(i));
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** Fractional digits by unit. */
const DIGITS: Readonly<Record<TimeUnit, number>> = {
  [TimeUnit.SECOND]: 0,
  [TimeUnit.MILLISECOND]: 3,
  [TimeUnit.MICROSECOND]: 6,
  [TimeUnit.NANOSECOND]: 9,
};

/** A time of day, or of more than one. */
export function time({ type, values }: Data, i: number): string {
  return clock(BigInt(values[i] as number | bigint), DIGITS[(type as Time).unit]);
}

function clock(value: bigint, digits: number): string {
  const one = 10n ** BigInt(digits);
  const pad = (n: bigint, length = 2) => String(n).padStart(length, "0");
  const seconds = value / one;
  const clock = [seconds / 3600n, seconds / 60n % 60n, seconds % 60n].map((n) => pad(n)).join(":");
  return digits === 0 ? clock : `${clock}.${pad(value % one, digits)}`;
}

/** A timestamp as Postgres writes it. */
function moment(value: bigint, digits: number, zone: string): string {
  const whole = 86_400n * 10n ** BigInt(digits);
  const rest = (value % whole + whole) % whole;
  const [date, era] = day(Number((value - rest) / whole));
  const time = clock(rest, digits);
  return `${date} ${digits === 0 ? time : time.replace(/\.?0+$/, "")}${zone}${era}`;
}

const DAYS_OF_400 = 146_097;

/** A day from 1970 as Postgres writes it, and what it says of those before our era. */
function day(days: number): [date: string, era: string] {
  // After 400 years it is all the same; a Date knows fewer of them than Postgres.
  const times = Math.floor(days / DAYS_OF_400);
  const date = new Date((days - times * DAYS_OF_400) * 86_400_000).toISOString();
  const year = Number(date.slice(0, 4)) + times * 400;
  const shown = `${year > 0 ? year : 1 - year}`.padStart(4, "0") + date.slice(4, 10);
  return [shown, year > 0 ? "" : " BC"];
}

const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** One value as JSON, all digits kept. */
export function json(data: Data, i: number, name: string): string {
  const { type } = data;
  if (!data.getValid(i) || DataType.isNull(type)) return "null";
  const child = (n: number) => data.children[n]!;
  if (DataType.isList(type) || DataType.isMap(type)) {
    const from = data.valueOffsets[i]!, to = data.valueOffsets[i + 1]!;
    const places = Array.from({ length: to - from }, (_, n) => from + n);
    if (DataType.isList(type)) return `[${places.map((at) => json(child(0), at, name))}]`;
    const [keys, values] = child(0).children as [Data, Data];
    if (!DataType.isUtf8(keys.type)) throw formless(name, keys.type);
    return `{${places.map((at) => `${json(keys, at, name)}:${json(values, at, name)}`)}}`;
  }
  if (DataType.isFixedSizeList(type)) {
    const from = (data.offset + i) * type.listSize - data.offset * type.listSize;
    return `[${Array.from({ length: type.listSize }, (_, n) => json(child(0), from + n, name))}]`;
  }
  if (DataType.isStruct(type)) {
    const parts = type.children.map((field, n) =>
      `${JSON.stringify(field.name)}:${json(child(n), i, name)}`
    );
    return `{${parts}}`;
  }
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) {
    try {
      return JSON.stringify(strict.decode(textAt(data, i)!));
    } catch (cause) {
      const why = `column ${JSON.stringify(name)} holds text that is not valid UTF-8`;
      throw new Malformed(why, { cause });
    }
  }
  if (DataType.isBool(type) || DataType.isInt(type) || DataType.isFloat(type)) {
    const value = new Vector([data]).get(i) as boolean | number | bigint;
    if (typeof value === "bigint") return String(value);
    // JSON has no such numbers; null would not be the same.
    if (typeof value === "number" && !Number.isFinite(value)) return JSON.stringify(String(value));
    return JSON.stringify(value);
  }
  throw formless(name, type);
}

function formless(name: string, type: DataType): GiveUp {
  return new GiveUp(
    `Cannot read Arrow IPC: column ${JSON.stringify(name)} nests ${type}, which has no form in ` +
      `JSON here; make it text or a number first`,
  );
}
