import { type Block, type Column, isNoted, type Nulls, unescape, Validity } from "./_block.ts";
import { ESCAPED } from "./_tokenizer.ts";

/** Reads `true` and `false`, also as True and TRUE, and `t` and `f`. */
export function readBoolean(
  { bytes, fields }: Block,
  column: number,
  _exact: boolean,
  misfits?: number[],
): Column | number {
  const { starts, ends, quoted, width, records } = fields;
  const data = new Uint8Array((records + 7) >> 3);
  const valid = new Validity(records);
  let printsBack = true; // as true or false
  for (let r = 0, k = column; r < records; r++, k += width) {
    const start = starts[k]!, end = ends[k]!;
    if (start === end) {
      if (!quoted[k]) valid.clear(r);
      else if (!isNoted(r, misfits)) return r;
      continue;
    }
    const value = truth(bytes, start, end - start);
    if (value === undefined && !isNoted(r, misfits)) return r;
    if (value) data[r >> 3]! |= 1 << (r & 7);
    printsBack &&= end - start > 1 && bytes[start]! >= LOWER_A;
  }
  return { data, ...valid.nulls, printsBack };
}

const LOWER_A = 97;

const TRUTHS = new Map([
  ...["t", "true", "True", "TRUE"].map((text) => [text, true] as const),
  ...["f", "false", "False", "FALSE"].map((text) => [text, false] as const),
]);

function truth(bytes: Uint8Array, start: number, length: number): boolean | undefined {
  if (length > 5) return undefined;
  return TRUTHS.get(String.fromCharCode(...bytes.subarray(start, start + length)));
}

/** The bit that digits and small letters have, and capitals have not. */
const LOWER_CASE = 32;

const HYPHENS = new Set([8, 13, 18, 23]);

/** Reads `8-4-4-4-12` hexadecimal digits (RFC 9562) as 16 bytes. */
export function readUuid(
  { bytes, fields }: Block,
  column: number,
  _exact: boolean,
  misfits?: number[],
): Column | number {
  const { starts, ends, quoted, width, records } = fields;
  const data = new Uint8Array(records * 16);
  const valid = new Validity(records);
  let common = LOWER_CASE;
  for (let r = 0, k = column; r < records; r++, k += width) {
    const start = starts[k]!, end = ends[k]!;
    if (start === end) {
      if (!quoted[k]) valid.clear(r);
      else if (!isNoted(r, misfits)) return r;
      continue;
    }
    const letters = end - start === 36 ? putUuid(bytes, start, data, r * 16) : -1;
    if (letters < 0 && !isNoted(r, misfits)) return r;
    common &= letters;
  }
  return { data, ...valid.nulls, printsBack: common === LOWER_CASE };
}

/** Stores the bytes of a UUID; gives the bits that all of its digits have, or -1 where it is none. */
function putUuid(bytes: Uint8Array, start: number, to: Uint8Array, at: number): number {
  let common = LOWER_CASE;
  for (let i = 0, nibbles = 0; i < 36; i++) {
    const c = bytes[start + i]!;
    if (HYPHENS.has(i)) {
      if (c !== 45) return -1;
      continue;
    }
    const nibble = hex(c);
    if (nibble < 0) return -1;
    common &= c;
    const place = at + (nibbles++ >> 1);
    to[place] = (to[place]! << 4) | nibble;
  }
  return common;
}

function hex(c: number): number {
  if (c >= 48 && c <= 57) return c - 48;
  const letter = c | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/** Below this many bytes a loop copies faster than `set`. */
const SHORT = 24;

/** Reads text: valid UTF-8 without NUL, which Postgres cannot keep. */
export function readText(
  block: Block,
  column: number,
  _exact: boolean,
  misfits?: number[],
): Column | number {
  const { valueOffsets, text, nulls, high, split } = textsOf(block, column);
  const { records } = block.fields;
  // Two halves of a character in neighbouring fields would look whole when only the column is looked at.
  if (split >= 0 || text.includes(0) || (high >= 128 && !isUtf8(text))) {
    for (let r = 0; r < records; r++) {
      const value = text.subarray(valueOffsets[r]!, valueOffsets[r + 1]!);
      if ((value.includes(0) || !isUtf8(value)) && !isNoted(r, misfits)) return r;
    }
  }
  return { data: text, valueOffsets, ...nulls, printsBack: true };
}

/** The texts of a column one behind the other. */
interface Texts {
  readonly text: Uint8Array;
  readonly valueOffsets: Int32Array;
  readonly nulls: Nulls;
  /** All of its bytes, at least 128 where they were not looked at. */
  readonly high: number;
  /** The first record that begins in the middle of a character, or -1. */
  readonly split: number;
}

function textsOf(block: Block, column: number): Texts {
  const { bytes, fields, kernel } = block;
  const { starts, ends, quoted, width, records, dialect } = fields;
  if (kernel) {
    const { run, text, offsets } = kernel.begin(fields);
    run.texts(column, dialect.quote, dialect.escape);
    return {
      text: text.slice(0, run.length.value),
      valueOffsets: offsets.slice(0, records + 1),
      nulls: kernel.nulls,
      high: run.high.value,
      split: run.split.value,
    };
  }
  const valueOffsets = new Int32Array(records + 1);
  const valid = new Validity(records);
  let room = 0;
  for (let k = column, last = records * width; k < last; k += width) room += ends[k]! - starts[k]!;
  const data = new Uint8Array(room);
  let at = 0;
  let high = 0;
  let split = -1; // the first record that begins in the middle of a character
  for (let r = 0, k = column; r < records; r++, k += width) {
    const start = starts[k]!, end = ends[k]!;
    if (start === end) {
      if (!quoted[k]) valid.clear(r);
    } else if (quoted[k] === ESCAPED) {
      at = unescape(bytes, start, end, data, at, fields);
      high = 128;
    } else if (end - start < SHORT) {
      for (let i = start; i < end; i++) {
        const c = bytes[i]!;
        high |= c;
        data[at++] = c;
      }
    } else {
      data.set(bytes.subarray(start, end), at);
      at += end - start;
      high = 128;
    }
    if (split < 0 && (bytes[start]! & 0xc0) === 0x80 && start < end) split = r;
    valueOffsets[r + 1] = at;
  }
  return { text: data.subarray(0, at), valueOffsets, nulls: valid.nulls, high, split };
}

const strict = new TextDecoder("utf-8", { fatal: true });

/** Whether bytes are valid UTF-8 (RFC 3629). */
export function isUtf8(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
