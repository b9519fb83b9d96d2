import { type Data, makeData, RecordBatch, Schema, Struct } from "apache-arrow";
import { type Bytes, GiveUp, type Operator, operator } from "../engine/mod.ts";
import { type Block, fieldText } from "./_block.ts";
import { arrowField, type ColumnType, parseColumnType } from "./_column_type.ts";
import { inferType, readColumn } from "./_read_column.ts";
import { isUtf8 } from "./_read_text.ts";
import { type Dialect, Malformed, Tokenizer } from "./_tokenizer.ts";

/** Rows on their way from one stage to the next, thousands at a time. */
export type Batches = ReadableStream<RecordBatch>;

/** Options for {@linkcode csv}. */
export interface CsvOptions {
  /** The byte between fields. @default {","} */
  delimiter?: string;
  /** The byte around fields; `""` when nothing is quoted. @default {'"'} */
  quote?: string;
  /** The byte that makes a quote within quotes literal. @default the quote itself, doubled (RFC 4180) */
  escape?: string;
  /** Whether the first record names the columns, or their names. @default {true} */
  header?: boolean | readonly string[];
  /** How NULL is written, where it is not quoted. @default {[""]} */
  nulls?: readonly string[];
  /** The types of columns by name; those not listed are inferred. */
  types?: Readonly<Record<string, string>>;
  /** Bytes to infer types from, at least 512. @default {1048576} */
  sampleBytes?: number;
  /** The longest field to expect, so that a quote never closed cannot fill the memory. @default {16777216} */
  maxFieldBytes?: number;
}

/**
 * Reads CSV (RFC 4180, in UTF-8) as Arrow record batches, without a string or an object per field.
 *
 * A column gets the narrowest type that takes all of its values in the sample: boolean, integer, bigint, double
 * precision, numeric, date, timestamp, timestamptz, uuid, text. A number with a leading zero or plus sign is text,
 * one whose digits a double would lose is numeric. An empty field is NULL, a quoted empty one empty text. Records
 * end with LF, CRLF or CR; empty lines are skipped, except in a file of one column, where they are NULL.
 *
 * @throws {GiveUp} naming line and reason, where the file is not CSV or a value not of its column's type
 */
export const csv: Operator<CsvOptions, Batches, Bytes> = operator(
  "csv",
  (options, _ctx, bytes) => {
    const parser = new Parser(bytes, options);
    return new ReadableStream<RecordBatch>({
      async pull(controller) {
        const batch = await parser.next();
        if (batch) controller.enqueue(batch);
        else controller.close();
      },
      cancel: (reason) => parser.cancel(reason),
    }, { highWaterMark: 0 });
  },
);

/** Looks at the options alone. @throws {TypeError} for one that cannot be used */
export function checkCsvOptions(options: CsvOptions): Dialect {
  const { delimiter = ",", quote = '"', escape = quote, types = {} } = options;
  for (const type of Object.values(types)) parseColumnType(type);
  const dialect = {
    delimiter: byteOf("delimiter", delimiter),
    quote: quote === "" ? -1 : byteOf("quote", quote),
    escape: quote === "" ? -1 : byteOf("escape", escape),
  };
  if (dialect.delimiter !== dialect.quote && dialect.delimiter !== dialect.escape) return dialect;
  throw new TypeError(
    `Cannot use ${JSON.stringify(delimiter)} both as the delimiter and for quotes`,
  );
}

/** How much is parsed at once: what the field offsets and columns of it need fits a processor's cache. */
const BLOCK_BYTES = 1 << 18;

/** Bytes that tell a web page and UTF-16 from CSV. */
const HEAD_BYTES = 512;

/** What is known of the columns once the sample was read. */
interface Columns {
  readonly schema: Schema;
  readonly types: readonly ColumnType[];
  /** Whether a column's type was given, not inferred. */
  readonly declared: readonly boolean[];
}

class Parser {
  readonly #source: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  readonly #options: CsvOptions;
  readonly #fields: Tokenizer;
  readonly #sampleBytes: number;
  readonly #nulls: readonly Uint8Array[] | undefined;
  #bytes: Uint8Array;
  #from = 0;
  #to = 0;
  #ended = false;
  /** What did not fit of the last chunk. */
  #rest: Uint8Array | undefined;
  #columns: Columns | undefined;

  constructor(bytes: Bytes, options: CsvOptions) {
    const { sampleBytes = 1 << 20, maxFieldBytes = 1 << 24 } = options;
    this.#options = options;
    this.#nulls = isPlain(options.nulls)
      ? undefined
      : options.nulls!.map((text) => new TextEncoder().encode(text));
    this.#fields = new Tokenizer(checkCsvOptions(options), maxFieldBytes);
    this.#sampleBytes = Math.max(sampleBytes, HEAD_BYTES);
    // One byte more than is ever filled, for the tokenizer's sentinel.
    this.#bytes = new Uint8Array(Math.max(this.#sampleBytes, BLOCK_BYTES) + 1);
    this.#source = bytes.getReader();
  }

  cancel(reason: unknown): Promise<void> {
    return this.#source.cancel(reason);
  }

  /** The next batch, or undefined at the end. */
  async next(): Promise<RecordBatch | undefined> {
    try {
      if (!this.#columns) return await this.#first();
      for (let want = BLOCK_BYTES;; want = this.#more(BLOCK_BYTES)) {
        await this.#fill(want);
        if (this.#scan() > 0) {
          if (this.#nulls) this.#markNulls(this.#nulls);
          return this.#batch(this.#columns);
        }
        // All was read, or a record is longer than the block.
        if (this.#ended && this.#from === this.#to) return undefined;
      }
    } catch (error) {
      this.#source.cancel(error).catch(() => {});
      if (!(error instanceof Malformed)) throw error;
      throw new GiveUp(`Cannot read CSV: ${error.message}`, { cause: error });
    }
  }

  /** Reads the header, infers the types from the sample, and returns the sample as the first batch. */
  async #first(): Promise<RecordBatch> {
    await this.#fill(this.#sampleBytes);
    this.#skipMark();
    const { header = true } = this.#options;
    let names: string[] | undefined = typeof header === "boolean" ? undefined : [...header];
    if (header === true) {
      while (this.#scan(1) === 0) {
        if (this.#ended && this.#from === this.#to) {
          throw new Malformed("the file is empty, not even a header is there");
        }
        await this.#fill(this.#more(this.#sampleBytes));
      }
      names = this.#header();
    }
    while (this.#scan() === 0 && !(this.#ended && this.#from === this.#to)) {
      await this.#fill(this.#more(this.#sampleBytes));
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
    this.#columns = this.#define(names);
    return this.#batch(this.#columns); // without rows it still tells the columns
  }

  #define(names: readonly string[]): Columns {
    const seen = new Map<string, number>();
    for (const [k, name] of names.entries()) {
      const twin = seen.get(name);
      if (twin !== undefined) {
        throw new Malformed(
          `columns ${twin} and ${k + 1} are both named ${JSON.stringify(name)}; ` +
            `give them names of their own in the file or by the option header`,
        );
      }
      seen.set(name, k + 1);
    }
    const { types: wanted = {} } = this.#options;
    const unknown = Object.keys(wanted).filter((name) => !names.includes(name));
    if (unknown.length > 0) {
      throw new Malformed(
        `it has no column ${
          JSON.stringify(unknown[0])
        }, for which a type was declared; its columns ` +
          `are ${names.map((name) => JSON.stringify(name)).join(", ")}`,
      );
    }
    const declared = names.map((name) => Object.hasOwn(wanted, name));
    const block = this.#block();
    const types = names.map((name, column) => {
      return declared[column] ? parseColumnType(wanted[name]!) : inferType(block, column);
    });
    const schema = new Schema(names.map((name, i) => arrowField(name, types[i]!)));
    return { schema, types, declared };
  }

  #batch({ schema, types, declared }: Columns): RecordBatch {
    const block = this.#block();
    const { records } = this.#fields;
    const children: Data[] = [];
    for (const [column, type] of types.entries()) {
      const field = schema.fields[column]!;
      const data = readColumn(type, field, block, column, !declared[column]);
      if (typeof data === "number") this.#mismatch(field.name, type, column, data);
      children.push(data);
    }
    const struct = new Struct(schema.fields);
    return new RecordBatch(
      schema,
      makeData({ type: struct, length: records, nullCount: 0, children }),
    );
  }

  #block(): Block {
    return { bytes: this.#bytes, fields: this.#fields };
  }

  /** The line on which the block of the last scan begins. */
  #line = 1;
  #blockFrom = 0;

  #scan(limit?: number): number {
    this.#line = this.#fields.line;
    this.#blockFrom = this.#from;
    this.#from = this.#fields.scan(this.#bytes, this.#from, this.#to, this.#ended, limit);
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
    for (let i = 0; i < length; i++) if (this.#bytes[start + i] !== text[i]) return false;
    return true;
  }

  #header(): string[] {
    const { width, starts, ends } = this.#fields;
    const names: string[] = [];
    for (let k = 0; k < width; k++) {
      if (!isUtf8(this.#bytes.subarray(starts[k]!, ends[k]!))) {
        throw new Malformed(`the name of column ${k + 1} is not valid UTF-8`);
      }
      names.push(fieldText(this.#block(), k) || `column_${k + 1}`);
    }
    return names;
  }

  /** Skips a byte order mark, and refuses what is plainly no CSV in UTF-8. */
  #skipMark(): void {
    const head = this.#bytes.subarray(this.#from, Math.min(this.#to, this.#from + HEAD_BYTES));
    if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) this.#from += 3;
    if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff)) {
      throw new Malformed("it is in UTF-16, which is not read; convert it to UTF-8");
    }
    const text = new TextDecoder().decode(head);
    if (/^\s*<(!doctype html|html|head|body)\b/i.test(text)) {
      const line = text.trimStart().split(/[\r\n]/, 1)[0]!.slice(0, 60);
      throw new Malformed(
        `it begins with ${
          JSON.stringify(line)
        }, so it is a web page and no table; check the address`,
      );
    }
  }

  /** How many bytes to hold to have more than now: twice those of a record too long, at least one block. */
  #more(block: number): number {
    return Math.max(block, (this.#to - this.#from) * 2);
  }

  /** Reads until at least `want` bytes lie ready, or the source has ended. */
  async #fill(want: number): Promise<void> {
    const left = this.#to - this.#from;
    if (want >= this.#bytes.length) {
      const wider = new Uint8Array(want + 1);
      wider.set(this.#bytes.subarray(this.#from, this.#to));
      this.#bytes = wider;
    } else this.#bytes.copyWithin(0, this.#from, this.#to);
    this.#from = 0;
    this.#to = left;
    while (this.#to < want) {
      let chunk = this.#rest;
      if (!chunk) {
        if (this.#ended) return;
        const { done, value } = await this.#source.read();
        if (done) {
          this.#ended = true;
          return;
        }
        chunk = value;
      }
      const room = Math.min(chunk.length, want - this.#to);
      this.#bytes.set(room < chunk.length ? chunk.subarray(0, room) : chunk, this.#to);
      this.#rest = room < chunk.length ? chunk.subarray(room) : undefined;
      this.#to += room;
    }
  }

  #mismatch(name: string, type: ColumnType, column: number, record: number): never {
    const { width, starts } = this.#fields;
    const index = record * width + column;
    const text = fieldText(this.#block(), index);
    const line = this.#line + countLines(this.#bytes, this.#blockFrom, starts[index]!);
    const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
    const where = `in column ${JSON.stringify(name)}, line ${line}`;
    if (type === "text") {
      throw new GiveUp(`Cannot read ${JSON.stringify(shown)} as text ${where}: ${textFault(text)}`);
    }
    throw new GiveUp(
      `Cannot parse ${JSON.stringify(shown)} as ${type} ${where}: ` +
        (this.#columns!.declared[column]
          ? `that type was declared; declare another or mend the file`
          : `the first rows gave that type; declare the column's type, e.g. ` +
            `types: { ${JSON.stringify(name)}: "text" }`),
    );
  }
}

function textFault(text: string): string {
  return text.includes("\0")
    ? "it holds a NUL byte, which Postgres cannot keep"
    : "it is not valid UTF-8";
}

function countLines(bytes: Uint8Array, from: number, to: number): number {
  let lines = 0;
  for (let i = from; i < to; i++) {
    if (bytes[i] === 13 || (bytes[i] === 10 && (i === from || bytes[i - 1] !== 13))) lines++;
  }
  return lines;
}

function isPlain(nulls: readonly string[] | undefined): boolean {
  return nulls === undefined || (nulls.length === 1 && nulls[0] === "");
}

function byteOf(what: string, text: string): number {
  const code = text.charCodeAt(0);
  if (text.length === 1 && code < 128 && code !== 10 && code !== 13) return code;
  throw new TypeError(
    `Cannot use ${
      JSON.stringify(text)
    } as the ${what}: it must be one ASCII character, not a line end`,
  );
}
