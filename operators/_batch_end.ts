import type { RecordBatch } from "apache-arrow";

const ends = new WeakMap<RecordBatch, number>();

/** Notes where the records of a batch end in what they were read from, in bytes; gives the batch. */
export function endsAt(batch: RecordBatch, bytes: number | undefined): RecordBatch {
  if (bytes !== undefined) ends.set(batch, bytes);
  return batch;
}

/** Where the records of a batch end in what they were read from; undefined where nobody noted it. */
export function endOf(batch: RecordBatch): number | undefined {
  return ends.get(batch);
}
