import type { Logger, OptionNames } from "../engine/mod.ts";
import { parseColumnType } from "./_column_type.ts";
import { parseEncoding } from "./_encoding.ts";
import { checkOnReject, type OnReject } from "./_reject.ts";
import { type SpellingOptions, spellings } from "./_spelling.ts";
import type { Dialect } from "./_tokenizer.ts";

/**
 * Options for `csv`. Where none of delimiter, quote and escape is given they are found in the first bytes;
 * where one is, the others have their defaults.
 */
export interface CsvOptions extends SpellingOptions {
  /** The byte between fields. @default what is found, or {","} */
  delimiter?: string;
  /** The byte around fields; `""` when nothing is quoted. @default what is found, or {'"'} */
  quote?: string;
  /** The byte that makes a quote within quotes literal. @default what is found, or the quote itself, doubled (RFC 4180) */
  escape?: string;
  /** Whether the first record names the columns, or their names. @default {true}, unless it is plainly none */
  header?: boolean | readonly string[];
  /** The encoding, by its name on the web: `latin1`, `windows-1252`, `utf-16le`, … @default what a byte order mark says, or UTF-8 */
  encoding?: string;
  /** Lines before the table. @default what is found, or {0} */
  skipLines?: number;
  /** Lines behind the table, empty ones not counted. @default {0} */
  skipFooter?: number;
  /** The byte that begins a line to skip. @default none */
  comment?: string;
  /** Whether a record of another width than the first is an error, or is filled up with NULL. @default {"error"} */
  ragged?: "error" | "pad";
  /** Whether a NUL byte is an error, or left out. @default {"error"} */
  nul?: "error" | "remove";
  /**
   * Whether a name that comes twice is an error, or made another: `a`, `a_2`; then names of more than 63 bytes, which
   * Postgres would cut, are cut, too.
   *
   * @default {"strict"}
   */
  names?: "strict" | "mend";
  /** How NULL is written, where it is not quoted. @default {[""]} */
  nulls?: readonly string[];
  /** The types of columns by name; those not listed are inferred. */
  types?: Readonly<Record<string, string>>;
  /** Bytes to infer types from, at least 512. @default {1048576} */
  sampleBytes?: number;
  /**
   * Whether a record that cannot be read ends the load, or how many may be refused: of another width, wrongly quoted, too
   * long, not of the encoding, with a value not of the type declared for its column. `copy` keeps them, and refuses what
   * the table does in the same way.
   *
   * @default {"fail"}
   */
  onReject?: OnReject;
  /** The longest field to expect, so that a quote never closed cannot fill the memory. @default {16777216} */
  maxFieldBytes?: number;
}

/** The names of the options. */
export const CSV_OPTIONS: OptionNames<CsvOptions> = {
  delimiter: true,
  quote: true,
  escape: true,
  header: true,
  encoding: true,
  skipLines: true,
  skipFooter: true,
  comment: true,
  ragged: true,
  nul: true,
  names: true,
  nulls: true,
  types: true,
  sampleBytes: true,
  onReject: true,
  maxFieldBytes: true,
  decimal: true,
  thousands: true,
  signs: true,
  dateOrder: true,
};

/** How a file was read. */
export interface ReadAs {
  /** What it was read as. */
  readonly format: "csv";
  /** The encoding it is in. */
  readonly encoding: string;
  /** The character between fields. */
  readonly delimiter: string;
  /** The character around fields; empty when nothing is quoted. */
  readonly quote: string;
  /** The character that makes a quote literal. */
  readonly escape: string;
  /** Whether the first record named the columns. */
  readonly header: boolean;
  /** Lines that were skipped before the table. */
  readonly skipped_lines: number;
}

/** How most CSV is written; only what is read otherwise is told. */
export const PLAIN_CSV: ReadAs = {
  format: "csv",
  encoding: "utf-8",
  delimiter: ",",
  quote: '"',
  escape: '"',
  header: true,
  skipped_lines: 0,
};

/** Says how a file is read, where that is not how most are. */
export function tellReadAs(
  { delimiter, quote, escape }: Dialect,
  { encoding, header, skipped }: { encoding: string; header: boolean; skipped: number },
  log: Logger,
): void {
  const char = (code: number) => code < 0 ? "" : String.fromCharCode(code);
  const dialect: ReadAs = {
    format: "csv",
    encoding,
    delimiter: char(delimiter),
    quote: char(quote),
    escape: char(escape),
    header,
    skipped_lines: skipped,
  };
  if (JSON.stringify(dialect) === JSON.stringify(PLAIN_CSV)) return;
  const told = [
    encoding,
    `fields split by ${JSON.stringify(dialect.delimiter)}`,
    quote < 0 ? "nothing quoted" : `quoted by ${dialect.quote}`,
    ...escape === quote ? [] : [`escaped by ${dialect.escape}`],
    header ? "with a header" : "without a header",
    ...skipped === 0
      ? []
      : [`behind ${skipped === 1 ? "1 line that was" : `${skipped} lines that were`} skipped`],
  ];
  log.info(`reads CSV: ${told.join(", ")}`, { dialect });
}

/** Looks at the options alone. @throws {TypeError} for one that cannot be used */
export function checkCsvOptions(options: CsvOptions): Dialect {
  const { delimiter = ",", quote = '"', escape = quote, types = {}, encoding, comment } = options;
  for (const type of Object.values(types)) parseColumnType(type);
  if (encoding !== undefined) parseEncoding(encoding);
  spellings(options);
  checkOnReject(options.onReject);
  const dialect = {
    delimiter: byteOf("delimiter", delimiter),
    quote: quote === "" ? -1 : byteOf("quote", quote),
    escape: quote === "" ? -1 : byteOf("escape", escape),
  };
  const mark = comment === undefined ? -1 : byteOf("comment", comment);
  for (const name of ["skipLines", "skipFooter"] as const) {
    const { [name]: lines = 0 } = options;
    if (Number.isSafeInteger(lines) && lines >= 0) continue;
    throw new TypeError(`Cannot skip ${lines} lines (${name}): it must be a whole number from 0`);
  }
  if (dialect.delimiter === dialect.quote || dialect.delimiter === dialect.escape) {
    throw new TypeError(
      `Cannot use ${JSON.stringify(delimiter)} both as the delimiter and for quotes`,
    );
  }
  if (mark < 0 || (mark !== dialect.delimiter && mark !== dialect.quote)) return dialect;
  throw new TypeError(`Cannot use ${JSON.stringify(comment)} for comments and for fields`);
}

/** The byte that begins a comment, or -1. */
export function commentOf({ comment }: CsvOptions): number {
  return comment === undefined ? -1 : byteOf("comment", comment);
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
