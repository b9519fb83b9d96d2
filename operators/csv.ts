import type { RecordBatch } from "apache-arrow";
import { type Bytes, type Context, GiveUp, type Operator, operator } from "../engine/mod.ts";
import { endsAt } from "./_batch_end.ts";
import { type Block, fieldText } from "./_block.ts";
import { checkNames, mendNames, type Plan, planColumn, planOf } from "./_columns.ts";
import {
  checkCsvOptions,
  commentOf,
  CSV_OPTIONS,
  type CsvOptions,
  tellReadAs,
} from "./_csv_options.ts";
import { findHeader, findMarks, type Sample } from "./_dialect.ts";
import { encodingOf, spanOf, toUtf8 } from "./_encoding.ts";
import { withoutFooter, withoutNuls } from "./_footer.ts";
import { HEAD_BYTES, refuseBinary, refuseForeign } from "./_foreign.ts";
import { type Looseness, LooseTokenizer } from "./_loose_tokenizer.ts";
import { Kernel } from "./_kernel.ts";
import { csvLayout } from "./_layout.ts";
import { ENCODING_HINT, lineOf, misfit, wayOut } from "./_misfit.ts";
import { option } from "./_option.ts";
import { isUtf8 } from "./_read_text.ts";
import { checkOnReject } from "./_reject.ts";
import { type Layout, Sieve } from "./_sieve.ts";
import { type Spelled, type Spelling, spellings } from "./_spelling.ts";
import { spellingHints } from "./_spelling_hint.ts";
import { type Dialect, Malformed, Tokenizer } from "./_tokenizer.ts";
import { WideningColumns } from "./_widening_columns.ts";
import { type Chunks, Window } from "./_window.ts";

/** Rows on their way from one stage to the next, thousands at a time. */
export type Batches = ReadableStream<RecordBatch>;

/**
 * Reads CSV as Arrow record batches, without a string or an object per field.
 *
 * The first bytes tell how it is written, and the log says what they told: encoding (by a byte order mark), delimiter,
 * quote, escape, lines before the table, whether there is a header. What reads well as RFC 4180 in UTF-8 is read so,
 * and nothing is said.
 *
 * A column gets the narrowest type that takes all of its values in the sample: boolean, integer, bigint, double
 * precision, numeric, date, timestamp, timestamptz, uuid, text. A number with a leading zero or plus sign is text,
 * one whose digits a double would lose is numeric. An empty field is NULL, a quoted empty one empty text. Records
 * end with LF, CRLF or CR; empty lines are skipped, except in a file of one column, where they are NULL.
 *
 * A later value that is not of the type makes the column wider, in the end text, and from then on the batches have
 * another schema: the batches before it may be cast to it. Where such a cast would not give what was written, csv reads
 * on to learn all of the types, and then asks for its source again.
 *
 * @throws {GiveUp} naming line and reason, where the file is not CSV or a value not of the type declared for its column
 * @throws {ReadAgain} at the end, where the batches before are not what was written
 */
export const csv: Operator<CsvOptions, Batches, Bytes> = operator(
  "csv",
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
  { rereads: true, options: CSV_OPTIONS },
);

/** How much is parsed at once: what the field offsets and columns of it need fits a processor's cache. */
const BLOCK_BYTES = 1 << 18;

/** For larger samples there is no kernel. */
const KERNEL_BYTES = 1 << 24;

/** Bytes that tell the dialect. */
const DIALECT_BYTES = 1 << 18;

class Parser {
  readonly #options: CsvOptions;
  readonly #log: Context["log"];
  readonly #window: Window;
  readonly #sampleBytes: number;
  readonly #maxFieldBytes: number;
  readonly #nulls: readonly Uint8Array[] | undefined;
  readonly #spellings: ReadonlyMap<Spelled, Spelling>;
  /** The dialect that the options tell. */
  readonly #told: Dialect;
  #fields: Tokenizer;
  readonly #learnt: unknown;
  #columns: WideningColumns | undefined;
  #kernel: Kernel | undefined;
  /** Whether there is nothing more to read, and whether somebody still reads. */
  #over = false;
  #busy = false;
  /** Keeps back what is refused, where that does not end the reading. */
  readonly #sieve: Sieve | undefined;

  constructor(bytes: Bytes, options: CsvOptions, { log, learnt }: Context) {
    const { sampleBytes = 1 << 20, maxFieldBytes = 1 << 24 } = options;
    this.#options = options;
    this.#log = log;
    this.#learnt = learnt;
    this.#nulls = isPlain(options.nulls)
      ? undefined
      : options.nulls!.map((text) => new TextEncoder().encode(text));
    this.#told = checkCsvOptions(options);
    const tolerance = checkOnReject(options.onReject);
    this.#sieve = tolerance && new Sieve(tolerance);
    this.#spellings = spellings(options);
    this.#maxFieldBytes = maxFieldBytes;
    this.#sampleBytes = Math.max(sampleBytes, HEAD_BYTES);
    const room = Math.max(this.#sampleBytes, BLOCK_BYTES) + 1;
    this.#kernel = room < KERNEL_BYTES ? Kernel.open(room) : undefined;
    this.#fields = this.#tokenizer(this.#told);
    this.#window = new Window(bytes, this.#kernel?.bytes ?? new Uint8Array(room));
  }

  cancel(reason: unknown): Promise<void> {
    this.#end();
    return this.#window.cancel(reason);
  }

  /** Gives the kernel back, once nobody writes to it any more. */
  #end(): void {
    this.#over = true;
    if (this.#busy) return;
    this.#kernel?.close();
    this.#kernel = undefined;
  }

  /** The next batch, or undefined at the end. */
  async next(): Promise<RecordBatch | undefined> {
    this.#busy = true;
    try {
      const batch = await this.#next();
      if (!batch) this.#over = true;
      return batch;
    } finally {
      this.#busy = false;
      if (this.#over) this.#end();
    }
  }

  async #next(): Promise<RecordBatch | undefined> {
    const window = this.#window;
    try {
      const columns = this.#columns;
      if (!columns) return await this.#first();
      for (let want = BLOCK_BYTES;; want = window.more(BLOCK_BYTES)) {
        await window.fill(want);
        if (this.#scan() > 0 || this.#fields.faults?.length) {
          if (this.#nulls) this.#markNulls(this.#nulls);
          const batch = this.#batch(columns);
          if (!columns.stale) return batch;
        }
        // All was read, or a record is longer than the block.
        if (window.empty) break;
      }
      if (columns.stale) throw columns.again();
      return undefined;
    } catch (error) {
      this.cancel(error).catch(() => {});
      if (!(error instanceof Malformed)) throw error;
      const help = wayOut(error.rule, { pads: this.#options.ragged === "pad" });
      throw new GiveUp(`Cannot read CSV: ${error.message}${help}`, { cause: error });
    }
  }

  /** Finds out how the file is written, and returns the sample as the first batch. */
  async #first(): Promise<RecordBatch> {
    const window = this.#window;
    const encoding = await this.#decode();
    await window.fill(this.#sampleBytes);
    const { header, skipped } = await this.#recognize();
    let names = typeof header === "boolean" ? undefined : [...header];
    if (header === true) {
      while (this.#scan(1) === 0) {
        if (window.empty) throw new Malformed("the file is empty, not even a header is there");
        await window.fill(window.more(this.#sampleBytes));
      }
      names = this.#header();
    }
    if (this.#sieve) this.#fields.faults = [];
    while (this.#scan() === 0 && !window.empty && !this.#fields.faults?.length) {
      await window.fill(window.more(this.#sampleBytes));
    }
    if (this.#nulls) this.#markNulls(this.#nulls);
    const { width } = this.#fields;
    if (names && width > 0 && names.length !== width) {
      throw new Malformed(
        `its first record has ${width} fields, but ${names.length} names were given`,
      );
    }
    if (!names && width === 0) throw new Malformed("the file is empty");
    names ??= Array.from({ length: width }, (_, i) => `column_${i + 1}`);
    const plan = this.#define(this.#options.names === "mend" ? mendNames(names) : names);
    this.#columns = new WideningColumns(plan, this.#learnt, this.#log);
    tellReadAs(this.#fields.dialect, { encoding, header: header === true, skipped }, this.#log);
    const { decimal, thousands, dateOrder } = this.#options;
    if (decimal === undefined && thousands === undefined && dateOrder === undefined) {
      for (const hint of spellingHints(plan, this.#block())) this.#log.info(hint);
    }
    return this.#batch(this.#columns); // without rows it still tells the columns
  }

  /** Makes UTF-8 without a mark of what is in another encoding, and puts what else changes the bytes in their way. */
  async #decode(): Promise<string> {
    const window = this.#window;
    const { encoding: told, nul, skipFooter = 0 } = this.#options;
    await window.fill(HEAD_BYTES);
    refuseBinary(window);
    const { encoding, mark } = encodingOf(window.bytes.subarray(window.from, window.to), told);
    window.from += mark;
    if (encoding !== "utf-8") {
      const lenient = this.#sieve !== undefined;
      const span = lenient ? spanOf(encoding) : undefined;
      window.through((chunks) => toUtf8(chunks, encoding, mark, lenient), span);
    }
    if (nul === "remove") window.through(withoutNuls);
    if (skipFooter > 0) {
      const stage = (chunks: Chunks) => withoutFooter(chunks, skipFooter, this.#maxFieldBytes);
      window.through(stage, window.span);
    }
    return encoding;
  }

  /** Finds what of the dialect was not told, and goes to the first line of the table. */
  async #recognize(): Promise<{ header: NonNullable<CsvOptions["header"]>; skipped: number }> {
    const { delimiter, quote, escape, skipLines, header } = this.#options;
    await this.#skip(skipLines ?? 0);
    refuseForeign(this.#window);
    let skipped = skipLines ?? 0;
    if (delimiter === undefined && quote === undefined && escape === undefined) {
      const { dialect, skip } = this.#sampled(false, findMarks);
      // What was told to be skipped is all there is to skip.
      if (skipLines === undefined) await this.#skip(skipped = skip);
      this.#fields = this.#tokenizer(dialect);
    }
    this.#fields.line = skipped + 1;
    if (header !== undefined) return { header, skipped };
    const pads = this.#options.ragged === "pad", { dialect } = this.#fields;
    const found = this.#sampled(pads, (sample) => findHeader(sample, dialect));
    if (found === "maybe") {
      this.#log.warn(
        "the first record looks like all others, but is taken for the header; " +
          `if it is none, say so: ${option("header", false)}`,
      );
    }
    return { header: found !== false, skipped };
  }

  /** Looks at the bytes that tell the dialect, as copied: who does may write behind them. */
  #sampled<T>(pad: boolean, look: (sample: Sample) => T): T {
    const { bytes, from, to, ended } = this.#window, end = Math.min(to, from + DIALECT_BYTES);
    const comment = commentOf(this.#options), { skipLines = 0 } = this.#options;
    const kernel = this.#kernel && Kernel.open(DIALECT_BYTES + 1);
    kernel?.bytes.set(bytes.subarray(from, end));
    try {
      return look({
        bytes: kernel?.bytes ?? bytes.slice(from, end + 1),
        from: 0,
        to: end - from,
        last: ended && end === to,
        line: skipLines + 1,
        tokenizer: (dialect, apart) => {
          const fields = tokenizer(dialect, Infinity, { comment, pad }, apart ? undefined : kernel);
          return Object.assign(fields, this.#sieve && { faults: [] });
        },
      });
    } finally {
      kernel?.close();
    }
  }

  #tokenizer(dialect: Dialect): Tokenizer {
    const loose = { comment: commentOf(this.#options), pad: this.#options.ragged === "pad" };
    return tokenizer(dialect, this.#maxFieldBytes, loose, this.#kernel);
  }

  /** Passes over lines, whatever is on them. */
  async #skip(lines: number): Promise<void> {
    const window = this.#window;
    for (let n = 0, i = window.from; n < lines; i++) {
      if (i + 1 >= window.to && !window.ended) {
        const read = i - window.from;
        await window.fill(window.more(this.#sampleBytes));
        i = window.from + read;
      }
      if (i >= window.to) {
        throw new Malformed(`the file is empty: it has no more than the ${lines} lines to skip`);
      }
      const c = window.bytes[i];
      if (c !== 10 && (c !== 13 || (window.bytes[i + 1] === 10 && i + 1 < window.to))) continue;
      n++;
      window.from = i + 1;
    }
    if (lines > 0) await window.fill(this.#sampleBytes);
  }

  #define(names: readonly string[]): Plan {
    checkNames(names);
    const { types: wanted = {} } = this.#options;
    const unknown = Object.keys(wanted).find((name) => !names.includes(name));
    if (unknown !== undefined) {
      throw new Malformed(
        `it has no column ${JSON.stringify(unknown)}, for which a type was declared; its columns ` +
          `are ${names.map((name) => JSON.stringify(name)).join(", ")}`,
      );
    }
    const block = this.#block();
    return planOf(names.map((name, column) => {
      const declared = Object.hasOwn(wanted, name) ? wanted[name] : undefined;
      return planColumn(name, declared, this.#spellings, block, column);
    }));
  }

  #batch(columns: WideningColumns): RecordBatch {
    const block = this.#block();
    if (this.#sieve) {
      return endsAt(this.#sieve.batch(columns, block, this.#layout()), this.#window.offset);
    }
    const place = { line: this.#line, from: this.#blockFrom, offsetOf: this.#window.offsetOf };
    const batch = columns.read(block, (misfit) => lineOf(misfit, block, place));
    if (!("record" in batch)) return endsAt(batch, this.#window.offset);
    throw misfit(columns.plan, batch, block, place);
  }

  #layout(): Layout {
    const { from: to, offsetOf } = this.#window;
    const place = { from: this.#blockFrom, to, line: this.#line, next: this.#fields.line };
    return csvLayout(this.#window.bytes, this.#fields, { ...place, offsetOf });
  }

  #block(): Block {
    const { bytes } = this.#window, fields = this.#fields, kernel = this.#kernel;
    const inside = bytes === kernel?.bytes && fields.starts === kernel.starts;
    return { bytes, fields, kernel: inside ? kernel : undefined };
  }

  /** The line on which the block of the last scan begins. */
  #line = 1;
  #blockFrom = 0;

  #scan(limit?: number): number {
    const window = this.#window;
    this.#line = this.#fields.line;
    this.#blockFrom = window.from;
    window.from = this.#fields.scan(window.bytes, window.from, window.to, window.ended, limit);
    return this.#fields.records;
  }

  /** Makes fields that spell NULL look empty, and empty ones, where that is no NULL, look quoted. */
  #markNulls(nulls: readonly Uint8Array[]): void {
    const { starts, ends, quoted, records, width } = this.#fields;
    const emptyIsNull = nulls.some((text) => text.length === 0);
    for (let k = 0; k < records * width; k++) {
      if (quoted[k]) continue;
      const start = starts[k]!, length = ends[k]! - start;
      if (length === 0) {
        if (!emptyIsNull) this.#fields.markQuoted(k);
      } else if (nulls.some((text) => this.#equals(text, start, length))) ends[k] = start;
    }
  }

  #equals(text: Uint8Array, start: number, length: number): boolean {
    if (text.length !== length) return false;
    const { bytes } = this.#window;
    for (let i = 0; i < length; i++) if (bytes[start + i] !== text[i]) return false;
    return true;
  }

  #header(): string[] {
    const { width, starts, ends } = this.#fields;
    const names: string[] = [];
    for (let k = 0; k < width; k++) {
      if (!isUtf8(this.#window.bytes.subarray(starts[k]!, ends[k]!))) {
        throw new Malformed(`the name of column ${k + 1} is not valid UTF-8${ENCODING_HINT}`);
      }
      names.push(fieldText(this.#block(), k) || `column_${k + 1}`);
    }
    return names;
  }
}

function isPlain(nulls: readonly string[] | undefined): boolean {
  return nulls === undefined || (nulls.length === 1 && nulls[0] === "");
}

function tokenizer(
  dialect: Dialect,
  maxFieldBytes: number,
  loose: Looseness,
  kernel?: Kernel,
): Tokenizer {
  return loose.comment < 0 && !loose.pad
    ? new Tokenizer(dialect, maxFieldBytes, kernel)
    : new LooseTokenizer(dialect, maxFieldBytes, loose);
}
