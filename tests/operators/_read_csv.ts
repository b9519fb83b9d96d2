import { DataType, type RecordBatch } from "apache-arrow";
import type { Bytes } from "../../engine/mod.ts";
import { sqlType } from "../../operators/_canonical.ts";
import { type Batches, csv, type CsvOptions } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";

/** What a CSV file was read as. */
export interface Table {
  readonly names: string[];
  readonly types: string[];
  /** Numbers, texts, booleans; bigints for times, in microseconds; null. */
  readonly rows: unknown[][];
}

/** A stream of `bytes`, in chunks that end where `cuts` say. */
export function chunked(bytes: Uint8Array | string, cuts: Iterable<number> = []): Bytes {
  const whole = (typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes) as Uint8Array<
    ArrayBuffer
  >;
  const ends = [...cuts, whole.length];
  let from = 0;
  return new ReadableStream({
    pull(controller) {
      const to = ends.shift();
      if (to === undefined) return controller.close();
      // A copy: what lies behind a chunk is nobody's business.
      controller.enqueue(whole.slice(from, to));
      from = to;
    },
  }, { highWaterMark: 0 });
}

/** The cuts of chunks of `size` bytes. */
export function every(size: number, length: number): number[] {
  return Array.from(
    { length: Math.max(0, Math.ceil(length / size) - 1) },
    (_, i) => (i + 1) * size,
  );
}

/** Opens CSV as a stream of batches. */
export function batchesOf(
  input: Uint8Array | string | Bytes,
  options: CsvOptions = {},
): Promise<Batches> {
  const bytes = input instanceof ReadableStream ? input : chunked(input);
  return perform(csv(options as never), testContext(), bytes);
}

/** Reads CSV to its end. */
export async function readCsv(
  input: Uint8Array | string | Bytes,
  options: CsvOptions = {},
): Promise<Table> {
  let names: string[] = [];
  let types: string[] = [];
  const rows: unknown[][] = [];
  for await (const batch of await batchesOf(input, options)) {
    names = batch.schema.fields.map((field) => field.name);
    types = batch.schema.fields.map(sqlType);
    for (const row of rowsOf(batch)) rows.push(row);
  }
  return { names, types, rows };
}

// Arrow's own would drop a byte order mark at the start of a text.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A batch row by row. */
export function rowsOf(batch: RecordBatch): unknown[][] {
  const columns = batch.schema.fields.map(({ type }, i) => {
    const data = batch.data.children[i]!, vector = batch.getChildAt(i)!;
    return (r: number) => {
      if (!data.getValid(r)) return null;
      if (DataType.isTimestamp(type)) return data.values[r];
      if (!DataType.isUtf8(type)) return vector.get(r);
      return decoder.decode(data.values.subarray(data.valueOffsets[r], data.valueOffsets[r + 1]));
    };
  });
  return Array.from({ length: batch.numRows }, (_, r) => columns.map((value) => value(r)));
}
