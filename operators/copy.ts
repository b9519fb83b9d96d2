import type { RecordBatch } from "apache-arrow";
// @ts-types="@types/pg"
import type pg from "pg";
import { type Bytes, type Context, GiveUp, type Operator, operator } from "../engine/mod.ts";
import { type SqlType, sqlType } from "./_canonical.ts";
import { connect, disconnect } from "./_connect.ts";
import { CopyIn } from "./_copy_in.ts";
import { Encoder, PREAMBLE, TRAILER } from "./_encoder.ts";
import {
  columnList,
  compareColumns,
  findTarget,
  quoted,
  quoteName,
  type Target,
} from "./_table.ts";
import { type Batches, csv } from "./csv.ts";

/** Options for {@linkcode copy}. */
export interface CopyOptions {
  /** The table's name, taken as it is: a dot in it is part of the name. */
  table: string;
  /** The schema the table is in. @default the first of the search path that has it, else where it would be made */
  schema?: string;
  /**
   * `replace` puts the rows in place of all that the table had, making it anew; `append` adds them.
   * @default {"replace"}
   */
  mode?: "replace" | "append";
  /** Whether no rows at all may replace a table that has some. @default {false} */
  allowEmpty?: boolean;
  /** The connection to use, by its name in the engine's `connections`. @default {"database"} */
  connection?: string;
}

/** What {@linkcode copy} puts out. */
export interface Copied {
  /** The table's name, as it was given. */
  readonly table: string;
  /** Rows that are in the table by this load. */
  readonly rows: number;
  /** Rows that were refused. */
  readonly rejected: number;
  /** The columns, as they arrived. */
  readonly columns: readonly { readonly name: string; readonly type: SqlType }[];
}

/**
 * Loads record batches into a Postgres table by binary COPY, in one transaction: readers see the table as it was
 * or as it will be, never half, never none. Bytes are taken, too, and read as CSV with the defaults of `csv`.
 *
 * Replacing copies into a new table (with FREEZE, which under wal_level=minimal writes no WAL), checks that the
 * server counted as many rows as were read, and puts it in the old one's place. A table that others hold on to
 * (views, grants, indexes, …) stays the same table: it is emptied and filled from the new one.
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
      // Both at once: neither a slow source nor a slow database hides the other's fault.
      const connecting = ctx.connection(options.connection)
        .then((connection) => connect(connection, { signal: ctx.signal }));
      try {
        const [client, batches] = await Promise.all([connecting, toBatches(source, ctx)]);
        return await new Load(client, options, ctx).run(batches.getReader());
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
);

/** How many rows are encoded at once, so that a large batch needs no large buffer. */
const ROWS_AT_ONCE = 1 << 14;

/** How long the swap waits for those who hold the table, and how often it tries again. */
const LOCK_TIMEOUT = "2s", LOCK_TRIES = 30;

class Load {
  readonly #client: pg.Client;
  readonly #options: CopyOptions;
  readonly #ctx: Context;
  /** How the connection ended, when it did not by us. */
  #lost: Error | undefined;

  constructor(client: pg.Client, options: CopyOptions, ctx: Context) {
    this.#client = client;
    this.#options = options;
    this.#ctx = ctx;
    client.once("error", (error) => this.#lost = error);
  }

  async run(batches: ReadableStreamDefaultReader<RecordBatch>): Promise<Copied> {
    const { table, schema, mode = "replace" } = this.#options;
    let first = await this.#next(batches);
    if (!first) {
      throw new GiveUp(`Cannot load into ${JSON.stringify(table)}: nothing tells the columns`);
    }
    const { fields } = first.schema;
    while (first?.numRows === 0) first = await this.#next(batches);
    const columns = fields.map((field) => ({
      name: field.name,
      type: sqlType(field),
    }));
    const list = columnList(columns);
    const names = columns.map(({ name }) => quoteName(name, "column")).join(", ");
    try {
      await this.#query("BEGIN");
      let target = await findTarget(this.#client, table, schema);
      if (mode === "append" && !target.existing) target = await this.#make(target, list);
      const stays = target.existing && (mode === "append" || target.existing.kept);
      // Without rows there are no values that a type could change.
      const fits = stays && first ? compareColumns(columns, target) : "same";
      const direct = mode === "append" && fits !== "cast";
      const into = direct ? quoted(target) : quoted({ ...target, name: stagingName() });
      if (!direct) await this.#query(`CREATE TABLE ${into} (${list})`);
      const how = direct ? "FORMAT binary" : "FORMAT binary, FREEZE";
      const sql = `COPY ${into} (${names}) FROM STDIN (${how})`;
      const rows = await this.#copy(sql, columns, first, batches);
      if (mode === "replace" && rows === 0 && target.existing) await this.#guard(target);
      if (!direct) await this.#move(into, rows > 0 ? names : undefined, target, mode);
      await this.#query("COMMIT");
      return { table, rows, rejected: 0, columns };
    } catch (error) {
      // Where the session still stands, the rollback is over before the failure is told.
      await this.#client.query("ROLLBACK").catch(() => {});
      throw explain(error, table, this.#lost);
    }
  }

  /** The next batch, or undefined at the end. */
  async #next(batches: ReadableStreamDefaultReader<RecordBatch>): Promise<RecordBatch | undefined> {
    const { value } = await batches.read();
    this.#ctx.signal.throwIfAborted(); // a source that was stopped looks like one that has ended
    return value;
  }

  /** Makes the table; where another load was faster, looks at the one it made. */
  async #make(target: Target, list: string): Promise<Target> {
    await this.#query("SAVEPOINT make");
    try {
      await this.#query(`CREATE TABLE ${quoted(target)} (${list})`);
      return target;
    } catch (error) {
      if (!isTaken(error)) throw error;
      await this.#query("ROLLBACK TO SAVEPOINT make");
      const made = await findTarget(this.#client, target.name, target.schema);
      if (!made.existing) throw error; // it is a type of that name that stands there
      return made;
    }
  }

  async #copy(
    sql: string,
    columns: Copied["columns"],
    first: RecordBatch | undefined,
    batches: ReadableStreamDefaultReader<RecordBatch>,
  ): Promise<number> {
    const encoder = new Encoder(columns.map(({ name }) => name), columns.map(({ type }) => type));
    const copyIn = new CopyIn(this.#client, sql);
    const { meter } = this.#ctx;
    // One buffer is filled while the other is written.
    let filling: Uint8Array<ArrayBuffer> = new Uint8Array(0), writing = filling;
    let written = Promise.resolve();
    let rows = 0;
    try {
      await copyIn.write(PREAMBLE);
      for (let batch = first; batch; batch = await this.#next(batches)) {
        for (let from = 0; from < batch.numRows; from += ROWS_AT_ONCE) {
          const part = batch.numRows <= ROWS_AT_ONCE
            ? batch
            : batch.slice(from, from + ROWS_AT_ONCE);
          const encoded = encoder.encode(part, filling);
          await meter.wait("the database", written);
          written = copyIn.write(encoded);
          written.catch(() => {}); // told at the next wait
          filling = writing;
          writing = new Uint8Array(encoded.buffer);
          rows += part.numRows;
          meter.rows = rows;
          meter.bytes += encoded.length;
        }
      }
      await meter.wait("the database", written);
      await copyIn.write(TRAILER);
      const counted = await meter.wait("the database", copyIn.finish());
      if (counted !== rows) {
        throw new Error(`Postgres counted ${counted} rows where ${rows} were sent`);
      }
      return rows;
    } catch (error) {
      await copyIn.fail(error);
      throw error;
    }
  }

  /** Refuses to replace rows by none: an empty file is more often a fault than a wish. */
  async #guard(target: Target): Promise<void> {
    if (this.#options.allowEmpty) return;
    const { rows: [row] } = await this.#query(
      `SELECT EXISTS (SELECT FROM ${quoted(target)}) AS filled`,
    );
    if (row.filled) {
      throw new GiveUp(
        `Cannot replace table ${
          JSON.stringify(target.name)
        }, which has rows, by none: the source has only a ` +
          `header; if that is meant, allow it (allowEmpty, --allow-empty)`,
      );
    }
  }

  /** Puts the rows, if there are any, where they belong, waiting a short while at a time for those who hold the table. */
  async #move(
    staging: string,
    names: string | undefined,
    target: Target,
    mode: NonNullable<CopyOptions["mode"]>,
  ): Promise<void> {
    const table = quoted(target);
    const insert = [
      ...names ? [`INSERT INTO ${table} (${names}) SELECT ${names} FROM ${staging}`] : [],
      `DROP TABLE ${staging}`,
    ];
    const steps = mode === "append"
      ? insert
      : target.existing?.kept
      ? [`TRUNCATE ${table}`, ...insert]
      : [
        `DROP TABLE IF EXISTS ${table}`,
        `ALTER TABLE ${staging} RENAME TO ${quoteName(target.name, "table")}`,
      ];
    await this.#query(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
    for (let tries = 1;; tries++) {
      await this.#query("SAVEPOINT move");
      try {
        for (const sql of steps) await this.#query(sql);
        return;
      } catch (error) {
        // 55P03: the lock was not to be had; new readers must not queue behind us for long.
        const locked = (error as { code?: string }).code === "55P03";
        if (!locked && !(isTaken(error) && tries < 3) || tries === LOCK_TRIES) throw error;
        await this.#query("ROLLBACK TO SAVEPOINT move");
        this.#ctx.log.info(`waiting for those who use table ${JSON.stringify(target.name)}`);
        await new Promise((resolve) => setTimeout(resolve, Math.min(100 * tries, 1000)));
      }
    }
  }

  #query(sql: string): Promise<pg.QueryResult> {
    return this.#ctx.meter.wait("the database", this.#client.query(sql));
  }
}

function stagingName(): string {
  return `sluice_${crypto.randomUUID().replaceAll("-", "")}`;
}

/** Whether another session has just made what was to be made: seen before its commit, it is a key of the catalog. */
function isTaken(error: unknown): boolean {
  const { code, schema } = error as { code?: string; schema?: string };
  return code === "42P07" || code === "42710" || (code === "23505" && schema === "pg_catalog");
}

/** Says in a sentence what the server refused, and what is left behind. */
function explain(error: unknown, table: string, lost: Error | undefined): unknown {
  if (error instanceof GiveUp || !(error instanceof Error)) return error;
  const what = `Cannot load into ${JSON.stringify(table)}`;
  if (!("severity" in error)) {
    if (!lost) return error;
    return new Error(
      `${what}: the connection with Postgres was lost (${lost.message}). The server rolls back what was not ` +
        `committed; try again`,
      { cause: error },
    );
  }
  const { message, detail, hint, code } = error as Error & Record<string, string | undefined>;
  const more = [detail, hint].filter(Boolean).map((text) => ` ${text}`).join("");
  return new Error(
    `${what}: Postgres says: ${message} (${code}).${more} All was rolled back: the table is as it was`,
    { cause: error },
  );
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
  }, { highWaterMark: 0 });
  if (!(first.value instanceof Uint8Array)) return whole as Batches;
  return await csv().run({ output: () => undefined }, ctx, whole as Bytes);
}
