import {
  type Block,
  type Column,
  fieldText,
  isNoted,
  kept,
  Validity,
  validityOf,
} from "./_block.ts";

const MINUS = 45, DOT = 46, ZERO = 48;

/** Reads whole numbers of 32 bits. `exact` refuses a leading zero or plus sign, which a number does not keep. */
export function readInteger(
  block: Block,
  column: number,
  exact: boolean,
  misfits?: number[],
): Column | number {
  const { bytes, fields: { starts, ends, quoted, width, records }, kernel } = block;
  const data = kernel?.ints ?? new Int32Array(records);
  const valid = validityOf(block);
  for (let r = 0; r < records; r++) {
    if (kernel && (r = kernel.run.integers(column, r)) === records) break;
    const k = r * width + column;
    const start = starts[k]!, end = ends[k]!;
    if (start === end) {
      if (!quoted[k]) valid.clear(r);
      else if (!isNoted(r, misfits)) return r;
      continue;
    }
    let value = plainInteger(bytes, start, end);
    if (value !== value) value = Number(wholeNumber(fieldText(block, k), exact) ?? NaN);
    if (value >= -2147483648 && value <= 2147483647) data[r] = value;
    else if (!isNoted(r, misfits)) return r;
  }
  return { data: kept(block, data), ...valid.nulls, printsBack: exact };
}

/** Reads whole numbers of 64 bits, as {@linkcode readInteger} those of 32. */
export function readBigint(
  block: Block,
  column: number,
  exact: boolean,
  misfits?: number[],
): Column | number {
  const { bytes, fields: { starts, ends, quoted, width, records }, kernel } = block;
  const data = kernel?.bigints ?? new BigInt64Array(records);
  const words = new Int32Array(data.buffer, data.byteOffset);
  const valid = validityOf(block);
  for (let r = 0; r < records; r++) {
    if (kernel && (r = kernel.run.bigints(column, r)) === records) break;
    const k = r * width + column;
    const start = starts[k]!, end = ends[k]!;
    if (start === end) {
      if (!quoted[k]) valid.clear(r);
      else if (!isNoted(r, misfits)) return r;
      continue;
    }
    const value = plainInteger(bytes, start, end);
    if (value === value) putInt64(words, r, value);
    else {
      const whole = wholeNumber(fieldText(block, k), exact);
      if (whole !== undefined && whole === BigInt.asIntN(64, whole)) data[r] = whole;
      else if (!isNoted(r, misfits)) return r;
    }
  }
  return { data: kept(block, data), ...valid.nulls, printsBack: exact };
}

/** A whole number of at most 15 digits without a leading zero; NaN for anything else. */
function plainInteger(bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  const negative = bytes[i] === MINUS;
  if (negative) i++;
  const digits = end - i;
  if (digits < 1 || digits > 15 || (bytes[i] === ZERO && (digits > 1 || negative))) return NaN;
  let value = 0;
  for (; i < end; i++) {
    const digit = bytes[i]! - ZERO;
    if (!(digit >= 0 && digit <= 9)) return NaN;
    value = value * 10 + digit;
  }
  return negative ? -value : value;
}

/** A whole number of any length; undefined for anything else. */
function wholeNumber(text: string, exact: boolean): bigint | undefined {
  return (exact ? /^-?[1-9]\d*$/ : /^[+-]?\d+$/).test(text) ? BigInt(text) : undefined;
}

/** Stores a whole number of at most 53 bits as the 64-bit element `index`, given as 32-bit words. */
export function putInt64(words: Int32Array, index: number, value: number): void {
  const high = Math.floor(value / 4294967296);
  words[index * 2] = value - high * 4294967296;
  words[index * 2 + 1] = high;
}

const POWERS = Float64Array.from({ length: 23 }, (_, n) => 10 ** n);

// Most decimals of a table are short and come again and again: what up to four bytes stand for is remembered.
const keys = new Int32Array(4096), lengths = new Uint8Array(4096), values = new Float64Array(4096);
const plain = new Uint8Array(4096);

/** Where {@linkcode plainDouble} of one to four bytes is, and {@linkcode isPlain}. */
function shortDouble(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  let key = bytes[start]!;
  if (length > 1) key |= bytes[start + 1]! << 8;
  if (length > 2) key |= bytes[start + 2]! << 16;
  if (length > 3) key |= bytes[start + 3]! << 24;
  const slot = Math.imul(key, 0x9e3779b1) >>> 20; // multiplicative hashing (Knuth)
  if (keys[slot] === key && lengths[slot] === length) return slot;
  keys[slot] = key;
  lengths[slot] = length;
  plainDouble(bytes, start, end, values, slot);
  plain[slot] = Number(isPlain(bytes, start, end));
  return slot;
}

/**
 * Stores a decimal of at most 15 digits without a leading zero or an exponent; NaN for anything else.
 *
 * Stored, not returned: a double that a function returns is an object for the collector, one per value.
 */
function plainDouble(
  bytes: Uint8Array,
  start: number,
  end: number,
  to: Float64Array,
  at: number,
): void {
  let i = start;
  const negative = bytes[i] === MINUS;
  if (negative) i++;
  const from = i;
  let mantissa = 0, point = -1;
  for (; i < end; i++) {
    const digit = bytes[i]! - ZERO;
    if (digit >= 0 && digit <= 9) mantissa = mantissa * 10 + digit;
    else if (bytes[i] === DOT && point < 0) point = i;
    else {
      to[at] = NaN;
      return;
    }
  }
  const fraction = point < 0 ? 0 : i - point - 1;
  const digits = i - from - (point < 0 ? 0 : 1);
  // Up to 15 digits the mantissa and the power are exact, so their quotient is rounded once (Clinger, 1990).
  if (digits < 1 || digits > 15 || (bytes[from] === ZERO && digits - fraction > 1)) to[at] = NaN;
  else to[at] = (negative ? -mantissa : mantissa) / POWERS[fraction]!;
}

/**
 * Reads decimals as correctly rounded doubles. `exact` refuses a value that does not print back with all its
 * digits.
 */
export function readDouble(
  block: Block,
  column: number,
  exact: boolean,
  misfits?: number[],
): Column | number {
  const { bytes, fields: { starts, ends, quoted, width, records }, kernel } = block;
  const data = kernel?.doubles ?? new Float64Array(records);
  const valid = validityOf(block);
  let allPlain = 1;
  for (let r = 0; r < records; r++) {
    if (kernel && (r = kernel.run.doubles(column, r)) === records) break;
    const k = r * width + column;
    const start = starts[k]!, end = ends[k]!;
    if (start === end) {
      if (!quoted[k]) valid.clear(r);
      else if (!isNoted(r, misfits)) return r;
      continue;
    }
    if (end - start <= 4) {
      const slot = shortDouble(bytes, start, end);
      data[r] = values[slot]!;
      allPlain &= plain[slot]!;
    } else {
      plainDouble(bytes, start, end, data, r);
      if (allPlain && !isPlain(bytes, start, end)) allPlain = 0;
    }
    if (data[r] === data[r]) continue;
    const value = slowDouble(fieldText(block, k), exact);
    allPlain = 0;
    if (value !== undefined) data[r] = value;
    else if (!isNoted(r, misfits)) return r;
  }
  const printsBack = allPlain === 1 && kernel?.run.plain.value !== 0;
  return { data: kept(block, data), ...valid.nulls, printsBack };
}

/** Whether Postgres prints a decimal of {@linkcode plainDouble} as it is written. */
function isPlain(bytes: Uint8Array, start: number, end: number): boolean {
  const last = bytes[end - 1]!;
  if (bytes[start]! > ZERO && last > ZERO) return true;
  const from = bytes[start] === MINUS ? start + 1 : start;
  if (bytes[from] === DOT || last === DOT) return false;
  if (bytes[from] === ZERO) {
    if (end - from === 1) return from === start; // as numeric there is no -0
    if (last === ZERO) return false;
    // What is less than 0.0001 gets an exponent.
    for (let i = from + 2; i < end && i < from + 6; i++) if (bytes[i] !== ZERO) return true;
    return false;
  }
  // A fraction does not end in zeros.
  if (last === ZERO) { for (let i = from; i < end; i++) if (bytes[i] === DOT) return false; }
  return true;
}

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
/** The same without what a number does not keep: a plus sign, a leading zero. */
const EXACT_DECIMAL = /^-?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const SPECIAL: Readonly<Record<string, number>> = {
  "NaN": NaN,
  "Infinity": Infinity,
  "inf": Infinity,
  "-Infinity": -Infinity,
  "-inf": -Infinity,
};

/** A whole number of more digits than every double keeps: it stays one, in a numeric. */
const LONG_WHOLE = /^-?\d{16,}$/;

/**
 * A double from any notation; undefined for what is none, is out of range, or, if `exact`, loses digits, also in how
 * Postgres prints it.
 */
function slowDouble(text: string, exact: boolean): number | undefined {
  if (!(exact ? EXACT_DECIMAL : DECIMAL).test(text)) {
    return Object.hasOwn(SPECIAL, text) ? SPECIAL[text] : undefined;
  }
  const value = Number(text);
  const { digits } = parts(text);
  if (!Number.isFinite(value) || (value === 0 && digits !== "")) return undefined;
  // Every decimal of 15 digits survives, except among the subnormals, which have fewer.
  const sure = digits.length <= 15 && Math.abs(value) >= 2 ** -1022;
  if (exact && !sure && parts(String(value)).digits !== digits) return undefined;
  if (exact && (LONG_WHOLE.test(text) || isTie(text, value))) return undefined;
  return value;
}

/**
 * Whether a decimal lies in the very middle between its double and the next one: JavaScript prints it as it is, and
 * Postgres as one that lies nearer, 2e23 as 1.9999999999999998e+23. Of decimals as short as a double keeps them that is so
 * only where the middle is a whole number.
 */
function isTie(text: string, value: number): boolean {
  if (Math.abs(value) < 2 ** 54) return false;
  const [mantissa = "", exponent = "0"] = text.split(/[eE]/);
  const [whole = "", fraction = ""] = mantissa.split(".");
  const all = whole + fraction, kept = all.replace(/0+$/, "");
  const shift = Number(exponent) - fraction.length + all.length - kept.length;
  if (shift < 0) return false;
  const decimal = BigInt(kept) * 10n ** BigInt(shift), off = decimal - BigInt(value);
  return off !== 0n && Number(decimal + (off > 0n ? 1n : -1n)) !== value;
}

/** The significant digits of a decimal, without zeros at either end. */
function parts(text: string): { digits: string } {
  const [mantissa = ""] = text.split(/[eE]/);
  return { digits: mantissa.replace(/[-+.]/g, "").replace(/^0+|0+$/g, "") };
}

/** A decimal as Postgres prints a numeric, to which a negative zero is none. */
const PLAIN_DECIMAL = /^(?:-(?=.*[1-9]))?(?:0|[1-9]\d*)(?:\.\d+)?$/;

/** Postgres' numeric: at most so many digits before and behind the point (its manual, table 8.2). */
const MAX_WHOLE = 131072, MAX_FRACTION = 16383;

/** Reads decimals of any length as their text, for a type that keeps every digit. */
export function readNumeric(
  block: Block,
  column: number,
  exact: boolean,
  misfits?: number[],
): Column | number {
  const { bytes, fields: { starts, ends, quoted, width, records } } = block;
  const valueOffsets = new Int32Array(records + 1);
  const valid = new Validity(records);
  let length = 0;
  let printsBack = true;
  for (let r = 0, k = column; r < records; r++, k += width) {
    const start = starts[k]!, end = ends[k]!;
    if (start === end) {
      if (!quoted[k]) valid.clear(r);
      else if (!isNoted(r, misfits)) return r;
    } else {
      const text = fieldText(block, k);
      const plain = PLAIN_DECIMAL.test(text);
      const isFit = (plain && text.length < MAX_FRACTION) || isNumeric(text, exact);
      if (!isFit && !isNoted(r, misfits)) return r;
      printsBack &&= plain;
    }
    length += end - start;
    valueOffsets[r + 1] = length;
  }
  const data = new Uint8Array(length);
  for (let r = 0, k = column; r < records; r++, k += width) {
    data.set(bytes.subarray(starts[k]!, ends[k]!), valueOffsets[r]!);
  }
  return { data, valueOffsets, ...valid.nulls, printsBack };
}

function isNumeric(text: string, exact: boolean): boolean {
  if (text === "NaN") return true;
  if (!(exact ? EXACT_DECIMAL : DECIMAL).test(text)) return false;
  const [mantissa = "", exponent = "0"] = text.split(/[eE]/);
  const [whole = "", fraction = ""] = mantissa.replace(/^[-+]/, "").split(".");
  const shift = Number(exponent);
  return whole.length + shift <= MAX_WHOLE && fraction.length - shift <= MAX_FRACTION;
}
