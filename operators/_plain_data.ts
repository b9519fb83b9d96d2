import { BufferType, Data, type DataType } from "apache-arrow";
import type { Column } from "./_block.ts";

const NONE = new Uint8Array(0);

/** A column of Arrow that begins at the first of its values, without the objects that `makeData` makes on the way. */
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
