import { type Data, makeData, Utf8 } from "apache-arrow";

const POSITIVE = 0x0000, NEGATIVE = 0x4000, NOT_A_NUMBER = 0xc000;

/** Encodes a column of decimals, given as their text, as Postgres' binary numerics. */
export function encodeNumerics(column: Data): Data {
  const { length } = column;
  const text = column.values as Uint8Array, offsets = column.valueOffsets as Int32Array;
  const decoder = new TextDecoder();
  const valueOffsets = new Int32Array(length + 1);
  const values: Uint8Array[] = [];
  for (let r = 0; r < length; r++) {
    valueOffsets[r + 1] = valueOffsets[r]!;
    if (!column.getValid(r)) continue;
    const value = encodeNumeric(decoder.decode(text.subarray(offsets[r]!, offsets[r + 1]!)));
    values.push(value);
    valueOffsets[r + 1]! += value.length;
  }
  const data = new Uint8Array(valueOffsets[length]!);
  let at = 0;
  for (const value of values) {
    data.set(value, at);
    at += value.length;
  }
  const valid = column.nullCount > 0
    ? { nullBitmap: column.nullBitmap, nullCount: column.nullCount, offset: column.offset }
    : { nullCount: 0 };
  return makeData({ type: new Utf8(), length, valueOffsets, data, ...valid } as never);
}

/**
 * One decimal as Postgres sends a numeric (numeric_recv in its utils/adt/numeric.c): the number of base-10,000
 * digits, the weight of the first, the sign, the decimals shown, then the digits, each in 16 bits.
 *
 * @throws {RangeError} for what is no decimal
 */
export function encodeNumeric(text: string): Uint8Array {
  if (text === "NaN") return pack(0, NOT_A_NUMBER, 0, []);
  const match = /^([-+]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text);
  if (!match || (match[2] === "" && match[3] === "")) {
    throw new RangeError(`Cannot send ${JSON.stringify(text)} as numeric: it is no decimal`);
  }
  const [, sign, whole = "", fraction = "", exponent = "0"] = match;
  const shift = Number(exponent);
  const scale = Math.max(0, fraction.length - shift);
  // The digits without their point, which stands `point` digits behind the first.
  let digits = whole + fraction;
  let point = whole.length + shift;
  if (digits.length < point) digits = digits.padEnd(point, "0");
  if (point < 0) {
    digits = "0".repeat(-point) + digits;
    point = 0;
  }
  // Groups of four, aligned at the point.
  const lead = (4 - point % 4) % 4;
  digits = "0".repeat(lead) + digits;
  digits = digits.padEnd(Math.ceil(digits.length / 4) * 4, "0");
  let weight = (point + lead) / 4 - 1;
  const groups = Array.from(
    { length: digits.length / 4 },
    (_, i) => Number(digits.slice(i * 4, i * 4 + 4)),
  );
  while (groups[0] === 0) {
    groups.shift();
    weight--;
  }
  while (groups.at(-1) === 0) groups.pop();
  if (groups.length === 0) weight = 0;
  return pack(weight, sign === "-" && groups.length > 0 ? NEGATIVE : POSITIVE, scale, groups);
}

function pack(weight: number, sign: number, scale: number, groups: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(8 + groups.length * 2);
  const view = new DataView(bytes.buffer);
  view.setInt16(0, groups.length);
  view.setInt16(2, weight);
  view.setUint16(4, sign);
  view.setUint16(6, scale);
  groups.forEach((group, i) => view.setInt16(8 + i * 2, group));
  return bytes;
}
