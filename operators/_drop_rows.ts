import { type Data, DataType } from "apache-arrow";
import type { Block, Column, Nulls } from "./_block.ts";
import { plainData } from "./_plain_data.ts";

/** Rows from one on, and before another. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** A block without the records before each of some stretches; where its fields lie is written over. */
export function dropRecords(block: Block, stretches: readonly Stretch[]): Block {
  const { starts, ends, quoted, width, records, dialect } = block.fields;
  for (const each of [starts, ends, quoted]) dropNumbers(each, stretches, width);
  const left = records - stretches.length;
  return { ...block, fields: { starts, ends, quoted, width, records: left, dialect } };
}

/** A column without the rows before each of some stretches; its buffers, which must begin at its first row, are written over. */
export function dropRows(column: Data, stretches: readonly Stretch[]): Data {
  const buffers = { ...valuesOf(column, stretches), ...nullsOf(column, stretches) };
  return plainData(column.type, column.length - stretches.length, buffers);
}

function nullsOf({ nullCount, nullBitmap }: Data, stretches: readonly Stretch[]): Nulls {
  let left = nullCount;
  if (left > 0) {
    for (const { from } of stretches) {
      const row = from - 1;
      left -= 1 - ((nullBitmap[row >> 3]! >> (row & 7)) & 1);
    }
  }
  return { nullCount: left, nullBitmap: left > 0 ? dropBits(nullBitmap, stretches) : undefined };
}

function valuesOf(
  { type, values, valueOffsets }: Data,
  stretches: readonly Stretch[],
): Pick<Column, "data" | "valueOffsets"> {
  if (DataType.isBool(type)) return { data: dropBits(values, stretches) };
  if (!DataType.isUtf8(type)) {
    const stride = DataType.isFixedSizeBinary(type) ? type.byteWidth : 1;
    return { data: dropNumbers(values, stretches, stride) };
  }
  let n = stretches[0]!.from - 1;
  for (const { from, to } of stretches) {
    const start = valueOffsets[from]!, at = valueOffsets[n]!;
    values.copyWithin(at, start, valueOffsets[to]!);
    for (let r = from; r < to; r++) valueOffsets[++n] = at + valueOffsets[r + 1]! - start;
  }
  return {
    data: values.subarray(0, valueOffsets[n]!),
    valueOffsets: valueOffsets.subarray(0, n + 1),
  };
}

/** Numbers, so many to a row, without the rows before each of some stretches; they are written over. */
export function dropNumbers<T extends Int32Array | Uint8Array>(
  numbers: T,
  stretches: readonly Stretch[],
  stride = 1,
): T {
  let at = (stretches[0]!.from - 1) * stride;
  for (const { from, to } of stretches) {
    numbers.copyWithin(at, from * stride, to * stride);
    at += (to - from) * stride;
  }
  return numbers.subarray(0, at) as T;
}

/** What is kept behind the first row that goes. */
export function stretchesOf(rows: ArrayLike<number>, length: number): Stretch[] {
  return Array.from(rows, (row, i) => ({ from: row + 1, to: rows[i + 1] ?? length }));
}

function dropBits(bits: Uint8Array, stretches: readonly Stretch[]): Uint8Array {
  let n = stretches[0]!.from - 1;
  for (const { from, to } of stretches) n = moveBits(bits, from, to, n);
  return bits;
}

/** Moves bits down to `n`, those of whole bytes at once; returns where they end. */
function moveBits(bits: Uint8Array, from: number, to: number, n: number): number {
  let r = from;
  const one = () => {
    const mask = 1 << (n & 7);
    if ((bits[r >> 3]! >> (r & 7)) & 1) bits[n >> 3]! |= mask;
    else bits[n >> 3]! &= ~mask;
    r++;
    n++;
  };
  while (r < to && (n & 7) !== 0) one();
  for (; r + 8 <= to; r += 8, n += 8) {
    const shift = r & 7, at = r >> 3;
    bits[n >> 3] = (bits[at]! >> shift) | (shift === 0 ? 0 : bits[at + 1]! << (8 - shift));
  }
  while (r < to) one();
  return n;
}
