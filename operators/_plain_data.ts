import { BufferType, Data, type DataType } from "apache-arrow";
import type { Column } from "./_block.ts";

const NONE = new Uint8Array(0);

/**
 * A column of Arrow that begins at the first of its values. `makeData` looks through all that it might be given, and
 * takes as long for it as to read a column of some types.
 */
export function plainData(
  type: DataType,
  length: number,
  { data, valueOffsets, nullBitmap = NONE, nullCount }: Omit<Column, "printsBack">,
): Data {
  const buffers = {
    [BufferType.OFFSET]: valueOffsets,
    [BufferType.DATA]: data,
    [BufferType.VALIDITY]: nullBitmap,
  };
  return new Data(type, 0, length, nullCount, buffers as never);
}
