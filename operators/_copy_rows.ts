import type { Hash } from "node:crypto";
import type { RecordBatch } from "apache-arrow";
// @ts-types="@types/pg"
import type pg from "pg";
import type { Meter } from "../engine/mod.ts";
import type { Column } from "./_copy_options.ts";
import { CopyIn } from "./_copy_in.ts";
import { Encoder, Page, PREAMBLE, TRAILER } from "./_encoder.ts";

/** Where rows go, and who counts them. */
export interface Way {
  /** The sessions to share the rows; with none they are only counted and hashed. */
  readonly clients: readonly pg.Client[];
  /** The COPY that each of them runs. */
  readonly sql: string;
  readonly columns: readonly Column[];
  /** Makes of each batch one of these columns; without it they are. */
  readonly shape?: ((batch: RecordBatch) => RecordBatch) | undefined;
  /** Takes the bytes of the rows, in their order. */
  readonly digest?: Hash | undefined;
  readonly meter: Meter;
}

/** Copies batches, and returns how many rows they had; on any failure each COPY fails, too, and keeps nothing. */
export async function copyRows(batches: AsyncIterable<RecordBatch>, way: Way): Promise<number> {
  const { clients, sql, columns, shape, digest, meter } = way;
  const encoder = new Encoder(columns.map(({ name }) => name), columns.map(({ type }) => type));
  // One page is filled while the others are written.
  let filling = Page.open();
  const lanes = clients.map((client) => new Lane(new CopyIn(client, sql)));
  let rows = 0;
  try {
    await Promise.all(lanes.map(({ copy }) => copy.write(PREAMBLE)));
    for await (const whole of batches) {
      const batch = shape ? shape(whole) : whole;
      const { numRows } = batch, most = encoder.most(batch);
      for (let from = 0; from < numRows; from += most) {
        const part = numRows <= most ? batch : batch.slice(from, from + most);
        const encoded = encoder.encode(part, filling);
        digest?.update(encoded);
        const lane = lanes.length > 0 ? await meter.wait("the database", free(lanes)) : undefined;
        if (lane) filling = lane.write(filling, encoded);
        rows += part.numRows;
        meter.rows += part.numRows;
        meter.bytes += encoded.length;
      }
    }
    const counts = await meter.wait(
      "the database",
      Promise.all(lanes.map((lane) => lane.finish())),
    );
    const counted = counts.reduce((sum, count) => sum + count, 0);
    if (lanes.length > 0 && counted !== rows) {
      throw new Error(
        `Postgres counted ${counted} rows where ${rows} were sent; a trigger of the table may have left some out`,
      );
    }
    filling.close();
    return rows;
  } catch (error) {
    await Promise.all(lanes.map((lane) => lane.fail(error)));
    throw error;
  }
}

/** One COPY, and the page whose rows are on their way there. */
class Lane {
  readonly copy: CopyIn;
  #finished = false;
  written: Promise<void> = Promise.resolve();
  #page: Page | undefined;

  constructor(copy: CopyIn) {
    this.copy = copy;
  }

  /** Begins to send the rows of a page; gives one whose rows were sent, or none. */
  write(page: Page, rows: Uint8Array): Page {
    const before = this.#page ?? Page.open();
    this.#page = page;
    this.written = this.copy.write(rows);
    this.written.catch(() => {}); // told at the next wait
    return before;
  }

  async finish(): Promise<number> {
    await this.written;
    await this.copy.write(TRAILER);
    const count = await this.copy.finish();
    this.#finished = true;
    this.#page?.close();
    return count;
  }

  async fail(reason: unknown): Promise<void> {
    if (!this.#finished) await this.copy.fail(reason);
  }
}

/** The first lane that has room. */
async function free(lanes: readonly Lane[]): Promise<Lane> {
  return await Promise.race(lanes.map(async (lane) => {
    await lane.written;
    return lane;
  }));
}
