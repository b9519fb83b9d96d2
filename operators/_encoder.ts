import type { Data, RecordBatch } from "apache-arrow";
import { canonical, type SqlType } from "./_canonical.ts";
import { aligned, BASE, GrowingMemory } from "./_growing_memory.ts";
import { Idle } from "./_idle.ts";
import { ROWS } from "./kernel/_built.ts";
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
const EPOCH_DAYS = 10957n, EPOCH_MICROS = 946_684_800_000_000n;

/** How values lie, as kernel/rows.as has it. */
const BITS = 0, INTS = 1, LONGS = 2, UUIDS = 3, BYTES = 4;

interface Layout {
  readonly kind: number;
  /** Bytes of a value in a row; undefined where they vary. */
  readonly size?: number;
  /** Where Postgres counts from. */
  readonly epoch?: bigint;
}

const MICROS: Layout = { kind: LONGS, size: 8, epoch: EPOCH_MICROS };

const LAYOUTS: Readonly<Record<SqlType, Layout>> = {
  "boolean": { kind: BITS, size: 1 },
  "integer": { kind: INTS, size: 4 },
  "bigint": { kind: LONGS, size: 8 },
  "double precision": { kind: LONGS, size: 8 },
  "date": { kind: INTS, size: 4, epoch: EPOCH_DAYS },
  "timestamp": MICROS,
  "timestamptz": MICROS,
  "uuid": { kind: UUIDS, size: 16 },
  "numeric": { kind: BYTES },
  "text": { kind: BYTES },
  "bytea": { kind: BYTES },
};

/** The least of 64 bits: what is below it less an epoch has none. */
const LEAST = -(2n ** 63n);

/** What kernel/rows.as is told of a column, in bytes. */
const COLUMN = 40;

interface Exports {
  rows(columns: number, width: number, count: number, at: number): number;
}

const idle = new Idle<Page>();
/** Larger ones nobody keeps. */
const MOST_KEPT = 1 << 24;

/** Memory that has the rows of a batch; it is filled again when they are gone. */
export class Page extends GrowingMemory<Exports> {
  private constructor() {
    super(ROWS);
  }

  /** One that nobody uses. */
  static open(): Page {
    return idle.take() ?? new Page();
  }

  /** Leaves it to whoever opens one next; for when its rows are gone. */
  close(): void {
    if (this.bytes.length <= MOST_KEPT) idle.leave(this);
  }
}

/** How many rows are encoded at once, and about how many bytes. */
const MOST_ROWS = 1 << 14, MOST_BYTES = 1 << 22;

/**
 * Encodes record batches as rows of Postgres' binary COPY: per row the number of fields, per field its length (-1
 * for NULL) and value, all big-endian.
 */
export class Encoder {
  readonly #names: readonly string[];
  readonly #types: readonly SqlType[];
  /** How long a row is without what varies, if nothing is NULL. */
  readonly #width: number;

  constructor(names: readonly string[], types: readonly SqlType[]) {
    this.#names = names;
    this.#types = types;
    this.#width = types.reduce((sum, type) => sum + 4 + (LAYOUTS[type].size ?? 0), 2);
  }

  /** How many rows of a batch to encode at once, if they are about as long, so that a large one needs no large page. */
  most({ data }: RecordBatch): number {
    const bytes = data.children.reduce((sum, column) => sum + meanOf(column), this.#width);
    return Math.max(1, Math.min(MOST_ROWS, Math.floor(MOST_BYTES / bytes)));
  }

  /**
   * Encodes a batch on a page; returns what of it has the rows, until the page is filled again.
   *
   * @throws {RangeError} for a timestamp that Postgres does not keep, or where there is no such memory
   */
  encode(batch: RecordBatch, page: Page): Uint8Array<ArrayBuffer> {
    const { numRows } = batch;
    // Plain loops: they run once a batch, so that the engine hardly ever comes to compile what iterators would make of them.
    const columns: Column[] = [], count = this.#types.length;
    let at = BASE + count * COLUMN, end = at, most = numRows * this.#width;
    for (let i = 0; i < count; i++) {
      const column = columnOf(this.#types[i]!, batch.data.children[i]!, this.#names[i]!, numRows);
      const { layout, values, offsets, valid } = column;
      end += aligned(values.length) + aligned(offsets.length) + aligned(valid.length);
      if (layout.kind === BYTES) most += values.length;
      columns.push(column);
    }
    page.reach(end + most);
    const { bytes } = page, view = new DataView(bytes.buffer);
    const put = (part: Uint8Array): number => {
      const place = at;
      bytes.set(part, place);
      at += aligned(part.length);
      return part.length > 0 ? place : 0;
    };
    for (let i = 0; i < count; i++) {
      const { layout: { kind, epoch = 0n }, values, offsets, valid, skipped, first } = columns[i]!;
      const column = BASE + i * COLUMN;
      view.setUint32(column, kind, true);
      view.setUint32(column + 4, put(values) - skipped, true);
      view.setUint32(column + 8, put(offsets), true);
      view.setUint32(column + 12, put(valid), true);
      view.setUint32(column + 16, first, true);
      view.setBigInt64(column + 24, epoch, true);
      view.setBigInt64(column + 32, LEAST + epoch, true);
    }
    const behind = page.run.rows(BASE, columns.length, numRows, end) >>> 0;
    // It would come out at the other end of time.
    if (behind === 0) {
      throw new RangeError("Cannot copy a timestamp before 4713 BC, the first year Postgres keeps");
    }
    return bytes.subarray(end, behind);
  }
}

/** A column as kernel/rows.as reads it. */
interface Column {
  readonly layout: Layout;
  readonly values: Uint8Array;
  /** Where each of the values begins and the last one ends, if they vary. */
  readonly offsets: Uint8Array;
  /** The bits of those that are not NULL; none where all are not. */
  readonly valid: Uint8Array;
  /** How many bytes of the values are left out, which the offsets count. */
  readonly skipped: number;
  /** Which bit is the first. */
  readonly first: number;
}

const NONE = new Uint8Array(0);

/** The bytes of a column of so many values. */
function columnOf(type: SqlType, given: Data, name: string, rows: number): Column {
  const layout = LAYOUTS[type], { kind, size = 0 } = layout;
  const plain = canonical(given, type, name);
  const data = type === "numeric" ? encodeNumerics(plain) : plain;
  const { offset, valueOffsets } = data, first = offset & 7;
  const valid = data.nullCount > 0 ? bitsOf(data.nullBitmap, offset, rows) : NONE;
  if (kind !== BYTES) {
    const values = kind === BITS
      ? bitsOf(data.values, offset, rows)
      : bytesOf(data.values, rows * size);
    return { layout, values, offsets: NONE, valid, skipped: 0, first };
  }
  const skipped: number = valueOffsets[0] ?? 0;
  const values = data.values.subarray(skipped, valueOffsets[rows]);
  return { layout, values, offsets: bytesOf(valueOffsets, (rows + 1) * 4), valid, skipped, first };
}

function bitsOf(bitmap: Uint8Array, offset: number, rows: number): Uint8Array {
  return bitmap.subarray(offset >> 3, (offset + rows + 7) >> 3);
}

/** How long the values of a column are on average, beside what is the same for each. */
function meanOf({ dictionary, valueOffsets, length }: Data): number {
  if (dictionary) {
    return dictionary.data.reduce((most, part) => Math.max(most, meanOf(part)), 0);
  }
  if (!valueOffsets || length === 0) return 0;
  return (Number(valueOffsets[length] ?? 0) - Number(valueOffsets[0] ?? 0)) / length;
}

/** Of values of which none is there, there may be no bytes. */
function bytesOf(
  { buffer, byteOffset, byteLength }: ArrayBufferView,
  length: number,
): Uint8Array {
  return new Uint8Array(buffer, byteOffset, Math.min(length, byteLength));
}
