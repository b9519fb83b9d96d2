import type { Bytes } from "../../engine/mod.ts";
import { csv, type CsvOptions, type Reject, SiftedBatch } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { chunked, every, rowsOf } from "./_read_csv.ts";

/** What came of reading a source some of whose records were refused. */
export interface Sifted {
  readonly rows: unknown[][];
  readonly rejects: Reject[];
  /** Records that were counted. */
  readonly records: number;
}

/** Gathers batches, and checks that each row tells where it is from. */
export async function sift(batches: ReadableStream<unknown>): Promise<Sifted> {
  const rows: unknown[][] = [], rejects: Reject[] = [];
  let records = 0;
  for await (const batch of batches) {
    if (!(batch instanceof SiftedBatch)) throw new Error("a batch does not tell what was refused");
    for (const row of rowsOf(batch)) rows.push(row);
    rejects.push(...batch.sifting.rejects);
    records = batch.sifting.records;
  }
  return { rows, rejects, records };
}

/** Reads CSV, with any number of records refused. */
export async function siftCsv(
  input: Bytes | Uint8Array | string,
  options: CsvOptions = {},
): Promise<Sifted> {
  const bytes = input instanceof ReadableStream ? input : chunked(input);
  const tolerant = { onReject: { limit: Infinity }, ...options };
  return await sift(await perform(csv(tolerant as never), testContext(), bytes));
}

/** The sizes of chunks that files are fed in: whole, tiny, and around the border that many readers have. */
export const CHUNKS = [Infinity, 1, 2, 3, 7, 65535, 65536, 65537];

/** A source in chunks of a size. */
export function fed(text: string | Uint8Array, size: number): Bytes {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  return chunked(bytes, size === Infinity ? [] : every(size, bytes.length));
}
