import type { Data, RecordBatch } from "apache-arrow";
import { canonical, type SqlType } from "./_canonical.ts";
import { encodeNumerics } from "./_numeric.ts";

/** What a binary COPY begins with: the signature, no flags, no header extension (Postgres manual, COPY). */
export const PREAMBLE: Uint8Array<ArrayBuffer> = new Uint8Array([
  ...[0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00], // PGCOPY\\n\\377\\r\\n\\0
  ...[0, 0, 0, 0],
  ...[0, 0, 0, 0],
]);

/** What a binary COPY ends with. */
export const TRAILER: Uint8Array<ArrayBuffer> = new Uint8Array([0xff, 0xff]);

/** Days, and microseconds, from 1970, where Arrow counts from, to 2000, where Postgres does. */
const EPOCH_DAYS = 10957;
const EPOCH_MICROS = 946_684_800_000_000;
const EPOCH_HIGH = Math.floor(EPOCH_MICROS / 4294967296);
const EPOCH_LOW = EPOCH_MICROS % 4294967296;

/** Bytes of a value; those of the types not listed vary. */
const SIZES: Readonly<Partial<Record<SqlType, number>>> = {
  "boolean": 1,
  "integer": 4,
  "bigint": 8,
  "double precision": 8,
  "date": 4,
  "timestamp": 8,
  "timestamptz": 8,
  "uuid": 16,
};

/**
 * Encodes record batches as rows of Postgres' binary COPY: per row the number of fields, per field its length (-1
 * for NULL) and value, all big-endian.
 *
 * Works column by column: a loop over one type at a time is what an engine compiles well.
 */
export class Encoder {
  readonly #names: readonly string[];
  readonly #types: readonly SqlType[];
  /** Where the next field of each row goes. */
  #at = new Int32Array(0);

  constructor(names: readonly string[], types: readonly SqlType[]) {
    this.#names = names;
    this.#types = types;
  }

  /** Encodes a batch into `buffer`, or into a larger one when it does not fit; returns the part that was filled. */
  encode(batch: RecordBatch, buffer: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const rows = batch.numRows;
    if (this.#at.length < rows) this.#at = new Int32Array(rows);
    const at = this.#at;
    const columns = this.#types.map((type, i) => {
      const data = canonical(batch.data.children[i]!, type, this.#names[i]!);
      return type === "numeric" ? encodeNumerics(data) : data;
    });
    const length = this.#layOut(columns, rows, at);
    if (length > buffer.length) buffer = new Uint8Array(length + (length >> 2));
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    for (let r = 0; r < rows; r++) {
      view.setInt16(at[r]!, columns.length);
      at[r]! += 2;
    }
    for (const [i, type] of this.#types.entries()) WRITE[type](columns[i]!, rows, at, view, buffer);
    return buffer.subarray(0, length);
  }

  /** Sets where each row begins; returns where the last one ends. */
  #layOut(columns: readonly Data[], rows: number, at: Int32Array): number {
    let fixed = 2;
    for (const type of this.#types) fixed += 4 + (SIZES[type] ?? 0);
    at.fill(fixed, 0, rows);
    for (const [i, column] of columns.entries()) {
      const size = SIZES[this.#types[i]!];
      if (size === undefined) {
        const offsets = column.valueOffsets as Int32Array;
        const { offset } = column, nulls = nullsOf(column);
        for (let r = 0; r < rows; r++) {
          if (!nulls || bit(nulls, offset + r)) at[r]! += offsets[r + 1]! - offsets[r]!;
        }
      } else if (column.nullCount > 0) {
        const { nullBitmap, offset } = column;
        for (let r = 0; r < rows; r++) if (!bit(nullBitmap, offset + r)) at[r]! -= size;
      }
    }
    let end = 0;
    for (let r = 0; r < rows; r++) {
      const size = at[r]!;
      at[r] = end;
      end += size;
    }
    return end;
  }
}

function bit(bitmap: Uint8Array, index: number): boolean {
  return ((bitmap[index >> 3]! >> (index & 7)) & 1) === 1;
}

type Write = (
  column: Data,
  rows: number,
  at: Int32Array,
  view: DataView,
  bytes: Uint8Array,
) => void;

const WRITE: Readonly<Record<SqlType, Write>> = {
  "boolean": (column, rows, at, view, bytes) => {
    const values = column.values as Uint8Array, { offset } = column, nulls = nullsOf(column);
    for (let r = 0; r < rows; r++) {
      const p = at[r]!;
      if (nulls && !bit(nulls, offset + r)) at[r] = putNull(view, p);
      else {
        view.setInt32(p, 1);
        bytes[p + 4] = bit(values, offset + r) ? 1 : 0;
        at[r] = p + 5;
      }
    }
  },
  "integer": (column, rows, at, view) => writeInt32(column, rows, at, view, 0),
  "date": (column, rows, at, view) => writeInt32(column, rows, at, view, EPOCH_DAYS),
  "bigint": (column, rows, at, view) => writeInt64(column, rows, at, view, 0, 0),
  "timestamp": (column, rows, at, view) =>
    writeInt64(column, rows, at, view, EPOCH_LOW, EPOCH_HIGH),
  "timestamptz": (column, rows, at, view) =>
    writeInt64(column, rows, at, view, EPOCH_LOW, EPOCH_HIGH),
  "double precision": (column, rows, at, view) => {
    const values = column.values as Float64Array, { offset } = column, nulls = nullsOf(column);
    for (let r = 0; r < rows; r++) {
      const p = at[r]!;
      if (nulls && !bit(nulls, offset + r)) at[r] = putNull(view, p);
      else {
        view.setInt32(p, 8);
        view.setFloat64(p + 4, values[r]!);
        at[r] = p + 12;
      }
    }
  },
  "uuid": (column, rows, at, view, bytes) => {
    const values = column.values as Uint8Array, { offset } = column, nulls = nullsOf(column);
    for (let r = 0; r < rows; r++) {
      const p = at[r]!;
      if (nulls && !bit(nulls, offset + r)) at[r] = putNull(view, p);
      else {
        view.setInt32(p, 16);
        bytes.set(values.subarray(r * 16, r * 16 + 16), p + 4);
        at[r] = p + 20;
      }
    }
  },
  "numeric": writeBytes,
  "text": writeBytes,
  "bytea": writeBytes,
};

function nullsOf(column: Data): Uint8Array | undefined {
  return column.nullCount > 0 ? column.nullBitmap : undefined;
}

function putNull(view: DataView, p: number): number {
  view.setInt32(p, -1);
  return p + 4;
}

function writeInt32(
  column: Data,
  rows: number,
  at: Int32Array,
  view: DataView,
  epoch: number,
): void {
  const values = column.values as Int32Array, { offset } = column, nulls = nullsOf(column);
  for (let r = 0; r < rows; r++) {
    const p = at[r]!;
    if (nulls && !bit(nulls, offset + r)) at[r] = putNull(view, p);
    else {
      view.setInt32(p, 4);
      view.setInt32(p + 4, values[r]! - epoch);
      at[r] = p + 8;
    }
  }
}

/** Writes 64-bit values less an epoch, as halves of 32 bits: a BigInt per value would cost more than all the rest. */
function writeInt64(
  column: Data,
  rows: number,
  at: Int32Array,
  view: DataView,
  epochLow: number,
  epochHigh: number,
): void {
  const { values, offset } = column as Data & { values: BigInt64Array };
  const lows = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  const highs = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
  const nulls = nullsOf(column);
  for (let r = 0; r < rows; r++) {
    const p = at[r]!;
    if (nulls && !bit(nulls, offset + r)) at[r] = putNull(view, p);
    else {
      const low = lows[r * 2]! - epochLow;
      const high = highs[r * 2 + 1]! - epochHigh - (low < 0 ? 1 : 0);
      // It would come out at the other end of time.
      if (high < -0x80000000) {
        throw new RangeError(
          "Cannot copy a timestamp before 4713 BC, the first year Postgres keeps",
        );
      }
      view.setInt32(p, 8);
      view.setInt32(p + 4, high);
      view.setInt32(p + 8, low);
      at[r] = p + 12;
    }
  }
}

/** Below this many bytes a loop copies faster than `set`. */
const SHORT = 24;

function writeBytes(
  column: Data,
  rows: number,
  at: Int32Array,
  view: DataView,
  bytes: Uint8Array,
): void {
  const values = column.values as Uint8Array, offsets = column.valueOffsets as Int32Array;
  const { offset } = column, nulls = nullsOf(column);
  for (let r = 0; r < rows; r++) {
    const p = at[r]!;
    if (nulls && !bit(nulls, offset + r)) {
      at[r] = putNull(view, p);
      continue;
    }
    const start = offsets[r]!, length = offsets[r + 1]! - start;
    view.setInt32(p, length);
    if (length < SHORT) { for (let i = 0; i < length; i++) bytes[p + 4 + i] = values[start + i]!; }
    else bytes.set(values.subarray(start, start + length), p + 4);
    at[r] = p + 4 + length;
  }
}
