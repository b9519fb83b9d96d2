import type { Data } from "apache-arrow";
import type { Block, Reader } from "./_block.ts";
import { arrowType, COLUMN_TYPES, type ColumnType } from "./_column_type.ts";
import { plainData } from "./_plain_data.ts";
import { readBigint, readDouble, readInteger, readNumeric } from "./_read_numbers.ts";
import { readBoolean, readText, readUuid } from "./_read_text.ts";
import { readDate, readTimestamp, readTimestamptz } from "./_read_times.ts";

const READERS: Readonly<Record<ColumnType, Reader>> = {
  "boolean": readBoolean,
  "integer": readInteger,
  "bigint": readBigint,
  "double precision": readDouble,
  "numeric": readNumeric,
  "date": readDate,
  "timestamp": readTimestamp,
  "timestamptz": readTimestamptz,
  "uuid": readUuid,
  "text": readText,
};

/** A column that was read. */
export interface Read {
  readonly data: Data;
  /** Whether Postgres prints each value as it was written; false where that is not sure. */
  readonly printsBack: boolean;
}

/**
 * Reads a column of a block as Arrow data, or returns the number of the first record whose field is not of the
 * type, as a {@linkcode Reader} does.
 */
export function readColumn(
  type: ColumnType,
  block: Block,
  column: number,
  exact: boolean,
  misfits?: number[],
): Read | number {
  const read = READERS[type](block, column, exact, misfits);
  if (typeof read === "number") return read;
  const data = plainData(arrowType(type), block.fields.records, read);
  return { data, printsBack: read.printsBack };
}

/** The narrowest of `types` that takes every field of a column; text where none does, or none has a value. */
export function inferType(
  block: Block,
  column: number,
  types: readonly ColumnType[] = COLUMN_TYPES,
): ColumnType {
  if (isBlank(block, column)) return "text";
  return types.find((type) => typeof READERS[type](block, column, true) === "object") ??
    "text";
}

/** Whether no field of a column has a value. */
export function isBlank({ fields }: Block, column: number): boolean {
  const { starts, ends, quoted, width, records } = fields;
  for (let r = 0, k = column; r < records; r++, k += width) {
    if (starts[k] !== ends[k] || quoted[k] !== 0) return false;
  }
  return true;
}
