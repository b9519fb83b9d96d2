import type { RecordBatch } from "apache-arrow";
import { type Bytes, type Context, GiveUp, type Operator, operator } from "../engine/mod.ts";
import { endsAt } from "./_batch_end.ts";
import { type Block, fieldText } from "./_block.ts";
import { type Misfit, type Plan, type PlannedColumn, planOf } from "./_columns.ts";
import { type ColumnType, parseColumnType } from "./_column_type.ts";
import { encodingOf, parseEncoding, spanOf, toUtf8 } from "./_encoding.ts";
import { JsonFields, NUMBER, STRING, TRUTH } from "./_json_fields.ts";
import { ENCODING_HINT, wayOut } from "./_misfit.ts";
import { option } from "./_option.ts";
import { inferType } from "./_read_column.ts";
import { isUtf8 } from "./_read_text.ts";
import { checkOnReject, type OnReject } from "./_reject.ts";
import { type Layout, Sieve } from "./_sieve.ts";
import { Malformed } from "./_tokenizer.ts";
import { learntTypes } from "./_widening.ts";
import { WideningColumns } from "./_widening_columns.ts";
import { Window } from "./_window.ts";
import type { Batches } from "./csv.ts";

/** Options for {@linkcode jsonLines}. */
export interface JsonLinesOptions {
  /** The types of columns by key; those not listed are inferred. A key that no line of the sample has becomes a column, too. */
  types?: Readonly<Record<string, string>>;
  /**
   * What a key is that first comes behind the sample: a column, for which the source is read again; an error, or a reject;
   * or left out.
   *
   * @default {"column", but "error" where the types of all keys of the sample are declared}
   */
  unknownKeys?: "column" | "error" | "ignore";
  /** The encoding, as for `csv`. @default what a byte order mark says, or UTF-8 */
  encoding?: string;
  /** Bytes to take the keys and their types from, at least 512. @default {1048576} */
  sampleBytes?: number;
  /** Whether a line that cannot be read ends the load, or how many may be refused, as for `csv`. @default {"fail"} */
  onReject?: OnReject;
  /** The longest line to expect. @default {16777216} */
  maxLineBytes?: number;
}

/**
 * Reads JSON lines, one object to a line (jsonlines.org), as the same batches that `csv` makes.
 *
 * The columns are the keys in the order in which they first come; a key that a line has not is NULL, as null is. For
 * those that first come behind the sample the source is read again, once for all of them. Numbers keep all their digits: integer, bigint, double precision, or numeric where a double would lose
 * some. Strings are text, unless all of the sample are dates, timestamps or uuids as ISO 8601 and RFC 9562 write them.
 * Objects and lists are their JSON, as written, in text; so is all in a column that has values of more than one kind.
 *
 * @throws {GiveUp} naming line and reason, for a line that is no object, has a key twice or one that is not known, or
 * a value not of the type declared for its column
 * @throws {ReadAgain} as `csv` does, which says how columns become wider, and for columns that were not there before
 */
export const jsonLines: Operator<JsonLinesOptions, Batches, Bytes> = operator(
  "jsonLines",
  (options, ctx, bytes) => {
    const parser = new Parser(bytes, options, ctx);
    return new ReadableStream<RecordBatch>({
      async pull(controller) {
        const batch = await parser.next();
        if (batch) controller.enqueue(batch);
        else controller.close();
      },
      cancel: (reason) => parser.cancel(reason),
    }, { highWaterMark: 0 });
  },
  {
    rereads: true,
    options: {
      types: true,
      unknownKeys: true,
      encoding: true,
      sampleBytes: true,
      onReject: true,
      maxLineBytes: true,
    },
  },
);

const BLOCK_BYTES = 1 << 18;

/** What the values of one kind may be. */
const TYPES: ReadonlyMap<number, readonly ColumnType[]> = new Map([
  [STRING, ["date", "timestamp", "timestamptz", "uuid"]],
  [NUMBER, ["integer", "bigint", "double precision", "numeric"]],
  [TRUTH, ["boolean"]],
]);

/** The kind of the values of each type, but for text, which takes all. */
const KINDS: ReadonlyMap<ColumnType, number> = new Map(
  [...TYPES].flatMap(([kind, types]) => types.map((type) => [type, kind])),
);

class Parser {
  readonly #options: JsonLinesOptions;
  readonly #log: Context["log"];
  readonly #window: Window;
  readonly #fields: JsonFields;
  readonly #sampleBytes: number;
  readonly #learnt: unknown;
  /** Keeps back what is refused, where that does not end the reading. */
  readonly #sieve: Sieve | undefined;
  #columns: WideningColumns | undefined;

  constructor(bytes: Bytes, options: JsonLinesOptions, { log, learnt }: Context) {
    const { types = {}, encoding, sampleBytes = 1 << 20 } = options;
    const { maxLineBytes = 1 << 24 } = options;
    for (const type of Object.values(types)) parseColumnType(type);
    if (encoding !== undefined) parseEncoding(encoding);
    this.#options = options;
    this.#log = log;
    this.#learnt = learnt;
    this.#sampleBytes = Math.max(sampleBytes, 512);
    this.#fields = new JsonFields(maxLineBytes);
    const tolerance = checkOnReject(options.onReject);
    this.#sieve = tolerance && new Sieve(tolerance);
    if (this.#sieve) this.#fields.faults = [];
    this.#window = new Window(
      bytes,
      new Uint8Array(Math.max(this.#sampleBytes, BLOCK_BYTES) + 1),
    );
  }

  cancel(reason: unknown): Promise<void> {
    return this.#window.cancel(reason);
  }

  /** The next batch, or undefined at the end. */
  async next(): Promise<RecordBatch | undefined> {
    const window = this.#window;
    try {
      const columns = this.#columns;
      if (!columns) return await this.#first();
      for (let want = BLOCK_BYTES; !window.empty;) {
        await window.fill(want);
        if (this.#scan() > 0 || this.#fields.faults?.length) {
          const batch = this.#batch(columns);
          if (!columns.stale) return batch;
          want = BLOCK_BYTES;
        } else want = window.more(BLOCK_BYTES);
      }
      if (columns.stale) throw columns.again();
      return undefined;
    } catch (error) {
      this.cancel(error).catch(() => {});
      if (!(error instanceof Malformed)) throw error;
      const help = wayOut(error.rule, { pads: false });
      throw new GiveUp(`Cannot read JSON lines: ${error.message}${help}`, { cause: error });
    }
  }

  async #first(): Promise<RecordBatch> {
    const window = this.#window, fields = this.#fields;
    await window.fill(4);
    const told = this.#options.encoding;
    const { encoding, mark } = encodingOf(window.bytes.subarray(window.from, window.to), told);
    window.from += mark;
    if (encoding !== "utf-8") {
      const lenient = this.#sieve !== undefined;
      const span = lenient ? spanOf(encoding) : undefined;
      window.through((chunks) => toUtf8(chunks, encoding, mark, lenient), span);
    }
    await window.fill(this.#sampleBytes);
    while (this.#scan() === 0 && !window.empty && !fields.faults?.length) {
      await window.fill(window.more(this.#sampleBytes));
    }
    if (fields.records === 0) {
      throw new Malformed(fields.faults?.[0]?.message ?? "the file is empty");
    }
    if (fields.keys.length === 0) throw new Malformed("its objects have no keys");
    const seen = fields.keys.map((key, i) => this.#column(key, i));
    // Those that only the declaration knows, or an earlier reading, come behind those that were seen.
    const later = this.#later().filter(({ name }) => !fields.keys.includes(name));
    fields.append(later.map(({ name }) => name));
    const isDeclared = seen.every(({ declared }) => declared);
    fields.expect(this.#options.unknownKeys ?? (isDeclared ? "error" : "column"));
    this.#columns = new WideningColumns(planOf([...seen, ...later]), this.#learnt, this.#log);
    this.#log.info(`reads JSON lines: ${encoding}`, { dialect: { format: "jsonl", encoding } });
    return this.#batch(this.#columns);
  }

  /** The columns that are known of without having been seen. */
  #later(): PlannedColumn[] {
    const { types = {} } = this.#options;
    const declared = Object.keys(types).map((name) => this.#column(name, -1));
    const learnt = learntTypes(this.#learnt).filter(({ from }) => from === null)
      .map(({ column: name, to: type }) => ({ name, type, declared: false, spelling: undefined }));
    return [...declared, ...learnt];
  }

  /** A column as it is declared, or by what is there of it. */
  #column(name: string, i: number): PlannedColumn {
    const { types = {} } = this.#options;
    if (Object.hasOwn(types, name)) {
      return { name, type: parseColumnType(types[name]!), declared: true, spelling: undefined };
    }
    const { quoted, width, records } = this.#fields;
    let kinds = 0;
    for (let k = i; k < records * width; k += width) kinds |= quoted[k]!;
    const type = inferType(this.#block(), i, TYPES.get(kinds) ?? []);
    return { name, type, declared: false, spelling: undefined, blank: kinds === 0 };
  }

  #block(): Block {
    return { bytes: this.#fields.bytes, fields: this.#fields };
  }

  #scan(): number {
    const window = this.#window;
    window.from = this.#fields.scan(window.bytes, window.from, window.to, window.ended);
    return this.#fields.records;
  }

  #batch(columns: WideningColumns): RecordBatch {
    const fields = this.#fields, { quoted, width, records, lines } = fields;
    const lineOf = ({ record }: Misfit): number => lines[record]!;
    const known = columns.plan.columns.length;
    const news = fields.keys.slice(known);
    columns.append(
      news.map((key, i) => this.#column(key, known + i)),
      news.map((_, i) => fields.firstLines[known + i]!),
    );
    for (const [column, { type, declared }] of columns.plan.columns.entries()) {
      const kind = KINDS.get(type);
      if (kind === undefined || declared) continue;
      for (let r = 0, k = column; r < records; r++, k += width) {
        if (quoted[k] === 0 || quoted[k] === kind) continue;
        columns.become("text", { column, record: r }, lineOf);
        break;
      }
    }
    const end = this.#window.offset;
    if (this.#sieve) return endsAt(this.#sieve.batch(columns, this.#block(), this.#layout()), end);
    const batch = columns.read(this.#block(), lineOf);
    if ("record" in batch) throw this.#misfit(columns.plan, batch.column, batch.record);
    return endsAt(batch, end);
  }

  #layout(): Layout {
    const { bytes, lines, froms, tos, faults = [] } = this.#fields;
    const [from, to, line] = [froms, tos, lines].map((all) => (r: number) => all[r]!);
    return { bytes, offsetOf: this.#window.offsetOf, from: from!, to: to!, line: line!, faults };
  }

  #misfit({ columns }: Plan, column: number, record: number): GiveUp {
    const { name, type, declared } = columns[column]!;
    const { starts, ends, quoted, width, lines, bytes } = this.#fields;
    const k = record * width + column;
    const text = fieldText(this.#block(), k);
    const cut = text.length > 80 ? `${text.slice(0, 80)}…` : text;
    const shown = quoted[k] === STRING ? JSON.stringify(cut) : cut;
    const where = `in column ${JSON.stringify(name)}, line ${lines[record]}`;
    if (type === "text" || !declared) {
      const whole = isUtf8(bytes.subarray(starts[k]!, ends[k]!));
      return new GiveUp(
        `Cannot read ${shown} as text ${where}: ` +
          (whole
            ? "it holds a NUL character, which Postgres cannot keep"
            : `it is not valid UTF-8${ENCODING_HINT}`),
      );
    }
    return new GiveUp(
      `Cannot take ${shown} as ${type} ${where}: ` +
        `that type was declared; declare another, mend the file, or keep such records aside: ${
          option("onReject", "keep")
        }`,
    );
  }
}
