import { type Data, DataType, makeData } from "apache-arrow";

/** A column without some rows, given in ascending order; its buffers, which must begin at its first row, are written over. */
export function dropRows(column: Data, rows: readonly number[]): Data {
  if (rows.length === 0) return column;
  const { type, length } = column;
  const nulls = column.nullCount > 0
    ? { nullBitmap: dropBits(column.nullBitmap, rows, length), nullCount: -1 }
    : { nullCount: 0 };
  return makeData(
    { type, length: length - rows.length, ...nulls, ...dropValues(column, rows) } as never,
  );
}

function dropValues(
  { type, length, values, valueOffsets }: Data,
  rows: readonly number[],
): Record<string, unknown> {
  if (DataType.isBool(type)) return { data: dropBits(values, rows, length) };
  if (!DataType.isUtf8(type)) {
    const stride = DataType.isFixedSizeBinary(type) ? type.byteWidth : 1;
    let at = rows[0]! * stride;
    for (const [from, to] of stretches(rows, length)) {
      values.copyWithin(at, from * stride, to * stride);
      at += (to - from) * stride;
    }
    return { data: values.subarray(0, at) };
  }
  let n = rows[0]!;
  for (const [from, to] of stretches(rows, length)) {
    const start = valueOffsets[from]!, at = valueOffsets[n]!;
    values.copyWithin(at, start, valueOffsets[to]!);
    for (let r = from; r < to; r++) valueOffsets[++n] = at + valueOffsets[r + 1]! - start;
  }
  return {
    data: values.subarray(0, valueOffsets[n]!),
    valueOffsets: valueOffsets.subarray(0, n + 1),
  };
}

/** What is kept behind the first row that goes. */
function* stretches(
  rows: readonly number[],
  length: number,
): Generator<[from: number, to: number]> {
  for (const [i, row] of rows.entries()) yield [row + 1, rows[i + 1] ?? length];
}

function dropBits(bits: Uint8Array, rows: readonly number[], length: number): Uint8Array {
  let n = rows[0]!;
  for (const [from, to] of stretches(rows, length)) {
    for (let r = from; r < to; r++, n++) {
      const mask = 1 << (n & 7);
      if ((bits[r >> 3]! >> (r & 7)) & 1) bits[n >> 3]! |= mask;
      else bits[n >> 3]! &= ~mask;
    }
  }
  return bits;
}
