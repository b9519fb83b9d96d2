import type { Kernel } from "./_kernel.ts";
import { type Dialect, ESCAPED } from "./_tokenizer.ts";

/** Where the fields of records lie: field `f` of record `r` at index `r * width + f`. */
export interface Fields {
  /** The offset of each field's first byte. */
  readonly starts: Int32Array;
  /** The offset behind each field's last byte. */
  readonly ends: Int32Array;
  /** 0 for what is not quoted, so that it is NULL where it is empty. */
  readonly quoted: Uint8Array;
  readonly width: number;
  readonly records: number;
  readonly dialect: Dialect;
}

/** Bytes whose records have been found. */
export interface Block {
  readonly bytes: Uint8Array;
  readonly fields: Fields;
  /** Where all of it lies in the memory of one. */
  readonly kernel?: Kernel | undefined;
}

/** The buffers of a column that was read from a block, laid out as Arrow has them. */
export interface Column {
  readonly data: Uint8Array | Int32Array | Float64Array | BigInt64Array;
  /** One bit a record, 1 where there is a value; undefined where all have one. */
  readonly nullBitmap: Uint8Array | undefined;
  readonly nullCount: number;
  readonly valueOffsets?: Int32Array;
  /** Whether Postgres prints each value as it was written; false where that is not sure. */
  readonly printsBack: boolean;
}

/**
 * Reads one column of a block, or returns the number of the first record whose field is not of the type. `exact`
 * refuses, too, what would lose digits. With a list of misfits all of them are added to it instead, and what the column
 * has in their place is nothing to go by.
 *
 * Each reader has a loop of its own, the few lines for NULL included: with the value's parser as a parameter of one
 * shared loop, the engine would call it through a pointer, for each field.
 */
export type Reader = (
  block: Block,
  column: number,
  exact: boolean,
  misfits?: number[],
) => Column | number;

/** Adds a record to the misfits; whether there is such a list. */
export function isNoted(record: number, misfits: number[] | undefined): boolean {
  misfits?.push(record);
  return misfits !== undefined;
}

/** Which records of a column have a value. */
export type Nulls = Pick<Column, "nullBitmap" | "nullCount">;

/** Marks which records have a value; allocated at the first that has none. */
export class Validity {
  #bitmap: Uint8Array | undefined;
  #count = 0;
  readonly #records: number;

  constructor(records: number) {
    this.#records = records;
  }

  /** Says that a record has no value. */
  clear(record: number): void {
    const bitmap = this.#bitmap ??= new Uint8Array((this.#records + 7) >> 3).fill(255);
    bitmap[record >> 3]! &= ~(1 << (record & 7));
    this.#count++;
  }

  get nulls(): Nulls {
    return { nullBitmap: this.#bitmap, nullCount: this.#count };
  }
}

/** Begins a column: its kernel marks what has no value, where it has one. */
export function validityOf({ fields, kernel }: Block): Pick<Validity, "nulls" | "clear"> {
  return kernel?.begin(fields) ?? new Validity(fields.records);
}

/** The values of a column to be kept: those of a kernel are written over by the next. */
export function kept<T extends Column["data"]>({ fields, kernel }: Block, data: T): T {
  return kernel ? data.slice(0, fields.records) as T : data;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A field's text with quotes and escapes resolved; invalid bytes show as U+FFFD. */
export function fieldText({ bytes, fields }: Block, index: number): string {
  const start = fields.starts[index]!, end = fields.ends[index]!;
  if (fields.quoted[index] !== ESCAPED) return decoder.decode(bytes.subarray(start, end));
  const plain = new Uint8Array(end - start);
  return decoder.decode(plain.subarray(0, unescape(bytes, start, end, plain, 0, fields)));
}

/** Copies a field without its escapes to `to[at…]`; returns where the copy ends. */
export function unescape(
  from: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  at: number,
  { dialect: { quote, escape } }: Fields,
): number {
  for (let i = start; i < end; i++) {
    const next = from[i + 1];
    // An escape before anything else stands for itself.
    if (from[i] === escape && i + 1 < end && (next === quote || next === escape)) i++;
    to[at++] = from[i]!;
  }
  return at;
}
