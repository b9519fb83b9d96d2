import type { RecordBatch } from "apache-arrow";
import { endOf } from "./_batch_end.ts";

/** Batches that are taken in several goes. */
export class BatchQueue {
  /** Where what was taken ends in the source; undefined where that is not known. */
  end: number | undefined;
  readonly #batches: AsyncIterator<RecordBatch>;
  #next: RecordBatch | undefined;

  constructor(batches: AsyncIterable<RecordBatch>) {
    this.#batches = batches[Symbol.asyncIterator]();
  }

  /** Whether there is a row left, once it is known. */
  async more(): Promise<boolean> {
    while (!this.#next?.numRows) {
      const { done, value } = await this.#batches.next();
      if (done) return false;
      this.#next = value;
    }
    return true;
  }

  /** So many rows, or those that are left if they are fewer. */
  async *rows(count: number): AsyncGenerator<RecordBatch> {
    for (let left = count; left > 0 && await this.more();) {
      const batch = this.#next!;
      this.#next = batch.numRows > left ? batch.slice(left) : undefined;
      yield this.#next ? batch.slice(0, left) : batch;
      left -= batch.numRows;
    }
  }

  /** Batches until so many bytes stand on a meter. */
  async *until(bytes: number, meter: { readonly bytes: number }): AsyncGenerator<RecordBatch> {
    while (meter.bytes < bytes && await this.more()) {
      const batch = this.#next!;
      this.#next = undefined;
      this.end = endOf(batch);
      yield batch;
    }
  }
}
