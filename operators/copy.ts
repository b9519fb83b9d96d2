import type { RecordBatch } from "apache-arrow";
import { type Bytes, type Context, type Operator, operator } from "../engine/mod.ts";
import { connect, disconnect } from "./_connect.ts";
import { checkCopyOptions, type Copied, COPY_OPTIONS, type CopyOptions } from "./_copy_options.ts";
import { keyOf } from "./_ledger.ts";
import { Load } from "./_load.ts";
import { type Batches, csv } from "./csv.ts";

export type { Copied, CopyOptions } from "./_copy_options.ts";

/**
 * Loads record batches into a Postgres table by binary COPY, in one transaction: readers see the table as it was
 * or as it will be, never half, never none. Bytes are taken, too, and read as CSV with the defaults of `csv`.
 *
 * Replacing copies into a new table (with FREEZE, which under wal_level=minimal writes no WAL), checks that the
 * server counted as many rows as were read, and puts it in the old one's place. A table that others hold on to
 * (views, grants, indexes, …) stays the same table: it is emptied and filled from the new one.
 *
 * Where inferred types turn out too narrow, Postgres casts the rows that it has got, in the same transaction; where that
 * would not give what the source says, the source is read again. Only a table that stays, and may not evolve, refuses.
 * Rows that were cast are not frozen: whoever reads in a snapshot older than the load then sees an empty table.
 *
 * Where the rows are committed as they come (`staging: "committed"`), that is in a table of their own which takes part in
 * the same single step at the end; the next attempt at a load whose process died goes on with it.
 *
 * What was loaded is written down in `sluice.loads` by the same transaction, so that of several attempts at one load
 * the youngest counts, what is appended is appended once, and a COMMIT whose answer was lost is known to have happened.
 *
 * @throws {Error} when the server refuses; whatever the failure, all is rolled back and the old table untouched
 */
export const copy: Operator<CopyOptions, Copied, Batches | Bytes> = operator(
  "copy",
  async (options, ctx, input) => {
    const source = (input as ReadableStream<RecordBatch | Uint8Array<ArrayBuffer>>).getReader();
    const stop = () => void source.cancel(ctx.signal.reason).catch(() => {});
    ctx.signal.addEventListener("abort", stop, { once: true });
    try {
      ctx.signal.throwIfAborted();
      checkCopyOptions(options, keyOf(ctx) !== undefined);
      // Both at once: neither a slow source nor a slow database hides the other's fault.
      const connecting = ctx.connection(options.connection)
        .then((connection) => connect(connection, { signal: ctx.signal }));
      try {
        const [client, batches] = await Promise.all([connecting, toBatches(source, ctx)]);
        const reader = batches.getReader();
        const copied = await new Load(client, options, ctx).run(reader);
        if (copied.unchanged) await reader.cancel();
        return inShort(copied);
      } finally {
        await connecting.then(disconnect, () => {});
      }
    } catch (error) {
      source.cancel(error).catch(() => {});
      throw ctx.signal.aborted ? ctx.signal.reason : error;
    } finally {
      ctx.signal.removeEventListener("abort", stop);
    }
  },
  { rereads: true, options: COPY_OPTIONS },
);

/** How many bytes of JSON columns may take, of the 64 KiB that a task may put out: the load is committed by then. */
const MOST_COLUMNS = 40 * 1024;

function inShort(copied: Copied): Copied {
  const { columns } = copied, encoder = new TextEncoder();
  let bytes = 0, fit = 0;
  for (; fit < columns.length && bytes <= MOST_COLUMNS; fit++) {
    bytes += encoder.encode(JSON.stringify(columns[fit])).length + 1;
  }
  if (bytes <= MOST_COLUMNS) return copied;
  return { ...copied, columns: columns.slice(0, fit - 1), columnsInAll: columns.length };
}

/** What flows in as batches: bytes are read as CSV. */
async function toBatches(
  reader: ReadableStreamDefaultReader<RecordBatch | Uint8Array<ArrayBuffer>>,
  ctx: Context,
): Promise<Batches> {
  const first = await reader.read();
  let held: typeof first | undefined = first;
  const whole = new ReadableStream({
    async pull(controller) {
      const { done, value } = held ?? await reader.read();
      held = undefined;
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
  if (!(first.value instanceof Uint8Array)) return whole as Batches;
  return await csv().run({ output: () => undefined }, ctx, whole as Bytes);
}
