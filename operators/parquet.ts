import { type RecordBatch, Table, tableToIPC, util } from "apache-arrow";
import { type Bytes, type Context, GiveUp, type Operator, operator } from "../engine/mod.ts";
import type { Batches } from "./csv.ts";
import { readAgain, widenings } from "./_widening.ts";
import { type File, save } from "./file.ts";
import { type Reject, SiftedBatch, whereIs } from "./_reject.ts";

/** Options for {@linkcode parquet}. */
export interface ParquetOptions {
  /** A path or a file URL; its folder must exist. What stands there is replaced. */
  path: string;
  /** How the pages are compressed. @default {"zstd"} */
  compression?: "zstd" | "snappy" | "gzip" | "none";
}

/** What {@linkcode parquet} puts out. */
export interface ParquetFile extends File {
  /** Rows in it. */
  readonly rows: number;
}

/**
 * Writes record batches to a Parquet file, which appears when it is whole, as that of `save` does.
 *
 * A row group has 131,072 rows; only what one needs is in memory. Types are those of the batches: numeric is text, as
 * Arrow has one scale for a whole column, and a uuid 16 bytes. Without rows the file has the columns alone.
 *
 * @throws {GiveUp} when nothing tells the columns
 */
export const parquet: Operator<ParquetOptions, ParquetFile, Batches> = operator(
  "parquet",
  async (options, ctx, batches) => {
    const { path, compression = "zstd" } = options;
    const source = new Groups(batches, ctx);
    const stop = () => void source.cancel(ctx.signal.reason);
    ctx.signal.addEventListener("abort", stop, { once: true });
    try {
      ctx.signal.throwIfAborted();
      const bytes = await source.encode(compression);
      const file = await save({ path }).run({ output: () => undefined }, ctx, bytes);
      return { ...file, rows: source.rows };
    } catch (error) {
      await source.cancel(error);
      throw ctx.signal.aborted ? ctx.signal.reason : error;
    } finally {
      ctx.signal.removeEventListener("abort", stop);
    }
  },
  { rereads: true, options: { path: true, compression: true } },
);

/** Rows of a row group: without it, a million are gathered before any is written. */
const GROUP_ROWS = 1 << 17;

/** Batches on their way through the encoder. */
class Groups {
  readonly #batches: ReadableStreamDefaultReader<RecordBatch>;
  readonly #ctx: Context;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  rows = 0;

  constructor(batches: Batches, ctx: Context) {
    this.#batches = batches.getReader();
    this.#ctx = ctx;
  }

  async cancel(reason: unknown): Promise<void> {
    await this.#batches.cancel(reason).catch(() => {});
  }

  /** The file, as it is asked for. */
  async encode(compression: NonNullable<ParquetOptions["compression"]>): Promise<Bytes> {
    const first = await this.#batches.read();
    this.#ctx.signal.throwIfAborted();
    if (first.done) throw new GiveUp("Cannot write a Parquet file: nothing tells the columns");
    // Loaded when it is first needed: it is large.
    const wasm = await import("parquet-wasm");
    const codecs = {
      zstd: wasm.Compression.ZSTD,
      snappy: wasm.Compression.SNAPPY,
      gzip: wasm.Compression.GZIP,
      none: wasm.Compression.UNCOMPRESSED,
    };
    const properties = new wasm.WriterPropertiesBuilder()
      .setMaxRowGroupSize(GROUP_ROWS)
      .setCompression(codecs[compression])
      .build();
    let next: typeof first | undefined = first;
    const input = new ReadableStream({
      pull: async (controller) => {
        try {
          const { done, value } = next ?? await this.#batches.read();
          next = undefined;
          // A source that was stopped looks like one that has ended.
          this.#ctx.signal.throwIfAborted();
          this.#ended = done;
          if (done) return controller.close();
          if (value instanceof SiftedBatch && value.sifting.rejects.length > 0) {
            const [reject] = value.sifting.rejects as [Reject];
            throw new GiveUp(
              `Cannot write a Parquet file: it has no place for records that are refused, as ` +
                `${whereIs(reject)} is: ${reject.message}`,
            );
          }
          // The encoder would leave it out without a word.
          if (!util.compareSchemas(first.value.schema, value.schema)) {
            await this.#learn(value);
            throw new GiveUp(
              `Cannot write a Parquet file: after ${this.rows} rows come other columns (${value.schema})`,
            );
          }
          const table = wasm.Table.fromIPCStream(tableToIPC(new Table([value]), "stream"));
          for (const batch of table.recordBatches()) controller.enqueue(batch);
          table.free();
          this.#ctx.meter.rows = this.rows += value.numRows;
        } catch (error) {
          this.#failure = { error };
          throw error;
        }
      },
    }, { highWaterMark: 0 });
    const output = await wasm.transformParquetStream(input, properties).catch((error) => {
      throw this.#failure?.error ?? error;
    });
    return this.#checked(output);
  }

  /** Reads the rest for the types that the columns turn out to have, where these have become wider. */
  async #learn(batch: RecordBatch): Promise<void> {
    let { schema } = batch;
    if (widenings(schema).length === 0) return;
    for (let next = await this.#batches.read(); !next.done; next = await this.#batches.read()) {
      schema = next.value.schema;
    }
    this.#ctx.signal.throwIfAborted();
    throw readAgain(widenings(schema), "the rows before it are in the file already");
  }

  /** Passes the bytes on, and fails where the encoder takes a source that failed for one that has ended. */
  #checked(output: Bytes): Bytes {
    const reader = output.getReader();
    return new ReadableStream({
      pull: async (controller) => {
        const { done, value } = await reader.read().catch((error) => {
          throw this.#failure?.error ?? error;
        });
        if (this.#failure) throw this.#failure.error;
        if (!done) return controller.enqueue(value);
        if (!this.#ended) {
          throw new Error(
            `Cannot write a Parquet file: the encoder stopped after ${this.rows} rows`,
          );
        }
        controller.close();
      },
      cancel: async (reason) => {
        await this.cancel(reason);
        await reader.cancel(reason).catch(() => {});
      },
    }, { highWaterMark: 0 });
  }
}
