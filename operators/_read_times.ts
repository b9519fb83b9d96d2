import { type Block, type Column, isNoted, kept, Validity, validityOf } from "./_block.ts";
import { putInt64 } from "./_read_numbers.ts";

const ZERO = 48, DASH = 45, PLUS = 43, COLON = 58, DOT = 46, SPACE = 32, UPPER_T = 84, UPPER_Z = 90;
const NO_TIME = NaN;

/** Reads dates as ISO 8601 writes them, `2021-01-31`, as days since 1970. */
export function readDate(
  { bytes, fields }: Block,
  column: number,
  _exact: boolean,
  misfits?: number[],
): Column | number {
  const { starts, ends, quoted, width, records } = fields;
  const data = new Int32Array(records);
  const valid = new Validity(records);
  for (let r = 0, k = column; r < records; r++, k += width) {
    const start = starts[k]!, end = ends[k]!;
    if (start === end) {
      if (!quoted[k]) valid.clear(r);
      else if (!isNoted(r, misfits)) return r;
      continue;
    }
    const day = end - start === 10 ? days(bytes, start) : NO_TIME;
    if (day === day) data[r] = day;
    else if (!isNoted(r, misfits)) return r;
  }
  return { data, ...valid.nulls, printsBack: true };
}

/** Reads `2021-01-31 23:59[:59[.999999]]`, with a space or T, without a zone, as microseconds since 1970. */
export function readTimestamp(
  block: Block,
  column: number,
  _exact: boolean,
  misfits?: number[],
): Column | number {
  return readTimes(block, column, false, misfits);
}

/** Reads a timestamp followed by `Z`, `±HH`, `±HHMM` or `±HH:MM`, as microseconds since 1970 in UTC. */
export function readTimestamptz(
  { bytes, fields }: Block,
  column: number,
  _exact: boolean,
  misfits?: number[],
): Column | number {
  // No kernel knows zones.
  return readTimes({ bytes, fields }, column, true, misfits);
}

function readTimes(
  block: Block,
  column: number,
  zoned: boolean,
  misfits: number[] | undefined,
): Column | number {
  const { bytes, fields: { starts, ends, quoted, width, records }, kernel } = block;
  const data = kernel?.bigints ?? new BigInt64Array(records);
  const words = new Int32Array(data.buffer, data.byteOffset);
  const valid = validityOf(block);
  // Zones are not kept; what is, is printed with a space, seconds, and a fraction that does not end in zeros.
  let printsBack = !zoned;
  for (let r = 0; r < records; r++) {
    if (kernel && (r = kernel.run.timestamps(column, r)) === records) break;
    const k = r * width + column;
    const start = starts[k]!;
    let end = ends[k]!;
    if (start === end) {
      if (!quoted[k]) valid.clear(r);
      else if (!isNoted(r, misfits)) return r;
      continue;
    }
    let offset = 0;
    if (zoned) {
      const zone = zoneStart(bytes, start, end);
      if (zone < 0) {
        if (isNoted(r, misfits)) continue;
        return r;
      }
      offset = zoneOffset(bytes, zone, end);
      end = zone;
    }
    const day = end - start < 10 ? NO_TIME : days(bytes, start);
    const time = secondsOfDay(bytes, start + 10, end, zoned);
    const seconds = day * 86400 + time - offset;
    const fraction = end - start > 19 ? micros(bytes, start + 19, end) : 0;
    if (!(seconds === seconds) || fraction < 0) {
      if (isNoted(r, misfits)) continue;
      return r;
    }
    // Beyond the year 2255 microseconds need more than the 53 bits of a double.
    if (Math.abs(seconds) < 9e9) putInt64(words, r, seconds * 1e6 + fraction);
    else data[r] = BigInt(seconds) * 1000000n + BigInt(fraction);
    printsBack &&= bytes[start + 10] === SPACE && (end - start === 19 ||
      end - start > 19 && bytes[end - 1] !== ZERO);
  }
  printsBack &&= kernel?.run.plain.value !== 0;
  return { data: kept(block, data), ...valid.nulls, printsBack };
}

/** Two digits as a number, or NaN. */
function pair(bytes: Uint8Array, at: number): number {
  const tens = bytes[at]! - ZERO, ones = bytes[at + 1]! - ZERO;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NO_TIME;
}

const MONTH_DAYS = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Days since 1970 of `YYYY-MM-DD`, or NaN: no month 13, no 30th of February, no year 0. */
function days(bytes: Uint8Array, at: number): number {
  if (bytes[at + 4] !== DASH || bytes[at + 7] !== DASH) return NO_TIME;
  const year = pair(bytes, at) * 100 + pair(bytes, at + 2);
  const month = pair(bytes, at + 5), day = pair(bytes, at + 8);
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1)) return NO_TIME;
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  if (day > MONTH_DAYS[month]! + (leap ? 1 : 0)) return NO_TIME;
  // Days of the proleptic Gregorian calendar, years counted from March (Hinnant, chrono-compatible date algorithms).
  const y = month <= 2 ? year - 1 : year;
  const m = month <= 2 ? month + 9 : month - 3;
  return 365 * y + (y >> 2) - ((y / 100) | 0) + ((y / 400) | 0) + (((153 * m + 2) / 5) | 0) + day -
    719469;
}

/** Seconds of `[ T]HH:MM[:SS[.…]]`; a date alone is its midnight, except where a zone follows. NaN for others. */
function secondsOfDay(bytes: Uint8Array, at: number, end: number, zoned: boolean): number {
  if (at === end) return zoned ? NO_TIME : 0;
  const length = end - at;
  if (length < 6 || (bytes[at] !== SPACE && bytes[at] !== UPPER_T)) return NO_TIME;
  const hour = pair(bytes, at + 1), minute = pair(bytes, at + 4);
  let second = 0;
  if (length > 6) {
    if (length < 9 || bytes[at + 6] !== COLON) return NO_TIME;
    second = pair(bytes, at + 7);
  }
  if (bytes[at + 3] !== COLON || !(hour <= 23 && minute <= 59 && second <= 59)) return NO_TIME;
  return hour * 3600 + minute * 60 + second;
}

/** Microseconds of `.9` to `.999999`, -1 for anything else: a seventh digit would be lost. */
function micros(bytes: Uint8Array, at: number, end: number): number {
  const digits = end - at - 1;
  if (bytes[at] !== DOT || digits < 1 || digits > 6) return -1;
  let value = 0;
  for (let i = 1; i <= 6; i++) {
    const digit = i <= digits ? bytes[at + i]! - ZERO : 0;
    if (!(digit >= 0 && digit <= 9)) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** Where the zone of a timestamp begins, or -1. */
function zoneStart(bytes: Uint8Array, start: number, end: number): number {
  if (bytes[end - 1] === UPPER_Z) return end - 1;
  for (const length of [6, 5, 3]) {
    const at = end - length;
    if (at > start + 10 && (bytes[at] === PLUS || bytes[at] === DASH)) return at;
  }
  return -1;
}

/** Seconds east of UTC of `Z`, `±HH`, `±HHMM` or `±HH:MM`, or NaN; Postgres takes less than 16 hours. */
function zoneOffset(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] === UPPER_Z) return 0;
  const length = end - at;
  const hours = pair(bytes, at + 1);
  const minutes = length === 3 ? 0 : pair(bytes, end - 2);
  if (length === 6 && bytes[at + 3] !== COLON) return NO_TIME;
  if (!(hours <= 15 && minutes <= 59)) return NO_TIME;
  return (bytes[at] === DASH ? -1 : 1) * (hours * 3600 + minutes * 60);
}
