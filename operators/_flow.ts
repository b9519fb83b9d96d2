import { type RecordBatch, type Schema } from "apache-arrow";
import { type Context, GiveUp } from "../engine/mod.ts";
import { sqlType } from "./_canonical.ts";
import type { ColumnType } from "./_column_type.ts";
import { BLANK } from "./_columns.ts";
import type { Column, CopyOptions } from "./_copy_options.ts";
import { wider } from "./_lattice.ts";
import type { Refusals } from "./_refusals.ts";
import { FOREIGN } from "./_spelling.ts";
import { named } from "./_table.ts";
import { readAgain, type Widening, widenings } from "./_widening.ts";

/** The batches of one load, in sections whose columns have the same types. */
export class Flow implements AsyncIterable<RecordBatch> {
  /** The columns of this section. */
  columns: readonly Column[];
  readonly #reader: ReadableStreamDefaultReader<RecordBatch>;
  readonly #signal: AbortSignal;
  readonly #refusals: Refusals;
  #schema: Schema;
  #next: RecordBatch | undefined;

  private constructor(
    reader: ReadableStreamDefaultReader<RecordBatch>,
    signal: AbortSignal,
    refusals: Refusals,
    first: RecordBatch,
  ) {
    this.#reader = reader;
    this.#signal = signal;
    this.#refusals = refusals;
    this.#next = first;
    this.#schema = first.schema;
    this.columns = columnsOf(first.schema);
  }

  /** Waits for the first row, or the end. @throws {GiveUp} when not even the columns come */
  static async open(
    reader: ReadableStreamDefaultReader<RecordBatch>,
    { signal }: Context,
    options: CopyOptions,
    refusals: Refusals,
  ): Promise<Flow> {
    const first = await next(reader, signal, refusals);
    if (!first) {
      throw new GiveUp(`Cannot load into ${named(options)}: nothing tells the columns`);
    }
    const flow = new Flow(reader, signal, refusals, first);
    while (flow.#next?.numRows === 0) flow.#next = await flow.#read();
    return flow;
  }

  /** Whether there is more: at first, whether there is a row at all, then, whether there is another section. */
  get more(): boolean {
    return this.#next !== undefined;
  }

  /** By which steps the columns got their types, where those that were inferred did not hold. */
  get widened(): readonly Widening[] {
    return widenings(this.#schema);
  }

  /** The columns of text whose numbers are not written as Postgres would read them. */
  get foreign(): readonly string[] {
    return this.#schema.fields.filter((field) => field.metadata.has(FOREIGN)).map(({ name }) =>
      name
    );
  }

  /** The columns that are text only because no value was seen when their types were chosen. */
  get blank(): readonly string[] {
    return this.#schema.fields.filter((field) => field.metadata.has(BLANK)).map(({ name }) => name);
  }

  /** The batches of this section. */
  async *[Symbol.asyncIterator](): AsyncGenerator<RecordBatch> {
    for (; this.#next; this.#next = await this.#read()) {
      if (this.#isOther(this.#next.schema)) return;
      yield* this.#refusals.sift(this.#next);
    }
  }

  /** Goes to the next section. */
  turn(): void {
    this.#schema = this.#next!.schema;
    this.columns = columnsOf(this.#schema);
  }

  /** Reads the rest for what it shows of the types, and begins anew with those. */
  async again(why: string): Promise<never> {
    while (this.#next) {
      this.#schema = this.#next.schema;
      this.#next = await this.#read();
    }
    throw readAgain(this.widened, why);
  }

  #read(): Promise<RecordBatch | undefined> {
    return next(this.#reader, this.#signal, this.#refusals);
  }

  /** Whether a column has become wider; what is narrower is taken as it was announced. */
  #isOther(schema: Schema): boolean {
    if (schema === this.#schema) return false;
    return schema.fields.some((field, i) => {
      const was = this.columns[i]?.type;
      return was && was !== "bytea" && wider(was).includes(sqlType(field) as ColumnType);
    });
  }
}

/** The next batch, or undefined at the end; what was refused of it is kept. */
async function next(
  reader: ReadableStreamDefaultReader<RecordBatch>,
  signal: AbortSignal,
  refusals: Refusals,
): Promise<RecordBatch | undefined> {
  const { value } = await reader.read();
  signal.throwIfAborted(); // a source that was stopped looks like one that has ended
  if (value) await refusals.take(value);
  return value;
}

function columnsOf({ fields }: Schema): Column[] {
  return fields.map((field) => ({ name: field.name, type: sqlType(field) }));
}
