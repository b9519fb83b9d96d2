import type { CsvOptions, OnReject, RecordFormat, RecordsOptions } from "../operators/mod.ts";
import * as flags from "./flags.ts";
import { fromUser, UsageError } from "./world.ts";

/** How the source is to be read. */
export interface ReadingFlags {
  readonly format?: RecordFormat;
  readonly encoding?: string;
  readonly delimiter?: string;
  readonly quote?: string;
  readonly escape?: string;
  readonly header?: boolean;
  readonly skipLines?: number;
  readonly skipFooter?: number;
  readonly comment?: string;
  readonly ragged?: "error" | "pad";
  readonly nul?: "error" | "remove";
  readonly names?: "strict" | "mend";
  readonly decimal?: "." | ",";
  readonly thousands?: string;
  readonly sign?: readonly string[];
  readonly dateOrder?: "dmy" | "mdy" | "ymd";
  readonly unknownKeys?: "column" | "error" | "ignore";
  readonly null?: readonly string[];
  readonly type?: readonly (readonly [string, string])[];
}

/** Flags for {@linkcode ReadingFlags}, as stricli wants them. */
export const readingFlags = {
  format: {
    kind: "enum",
    values: ["csv", "jsonl", "arrow"],
    optional: true,
    brief: "The format [what the first bytes show]",
  },
  encoding: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "NAME",
    brief: "The encoding, e.g. latin1 or windows-1252 [what a mark says, or utf-8]",
  },
  delimiter: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "C",
    brief: "The character between fields, or tab [what is found, or ,]",
  },
  quote: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "C",
    brief: 'The character around fields, or none [what is found, or "]',
  },
  escape: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "C",
    brief: "What makes a quote within quotes literal [what is found, or the quote, doubled]",
  },
  header: {
    kind: "boolean",
    optional: true,
    brief: "The first record names the columns [it does, unless it is plainly data]",
  },
  skipLines: {
    kind: "parsed",
    parse: wholeNumber,
    optional: true,
    placeholder: "N",
    brief: "Lines before the table [what is found, or 0]",
  },
  skipFooter: {
    kind: "parsed",
    parse: wholeNumber,
    optional: true,
    placeholder: "N",
    brief: "Lines behind the table, empty ones not counted [0]",
  },
  comment: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "C",
    brief: "The character that begins a line to skip",
  },
  ragged: {
    kind: "enum",
    values: ["error", "pad"],
    optional: true,
    brief: "What a row that is too short is: an error, or filled up with NULL [error]",
  },
  nul: {
    kind: "enum",
    values: ["error", "remove"],
    optional: true,
    brief: "What a NUL byte is: an error, or left out [error]",
  },
  names: {
    kind: "enum",
    values: ["strict", "mend"],
    optional: true,
    brief: "What names are that come twice or are too long: an error, or made others [strict]",
  },
  decimal: {
    kind: "enum",
    values: [".", ","],
    optional: true,
    brief: "What stands before the fraction of a number [.]",
  },
  thousands: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "C",
    brief: "What stands between the thousands of a number",
  },
  sign: {
    kind: "parsed",
    parse: String,
    variadic: true,
    optional: true,
    placeholder: "TEXT",
    brief: "What may stand at a number and is left out, e.g. % or EUR; may be given again",
  },
  dateOrder: {
    kind: "enum",
    values: ["dmy", "mdy", "ymd"],
    optional: true,
    brief: "In which order dates like 1/2/2021 are written",
  },
  unknownKeys: {
    kind: "enum",
    values: ["column", "error", "ignore"],
    optional: true,
    brief:
      "What a key is that JSON lines have only later: a column, an error, or left out [column]",
  },
  null: {
    kind: "parsed",
    parse: String,
    variadic: true,
    optional: true,
    placeholder: "TEXT",
    brief: 'How NULL is written, unquoted; may be given again [""]',
  },
  type: {
    kind: "parsed",
    parse: flags.pair,
    variadic: true,
    optional: true,
    placeholder: "COLUMN=TYPE",
    brief: "A column's type, where it shall not be inferred; may be given again",
  },
} as const;

function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new SyntaxError("write it as a whole number");
}

/** Flags that only CSV has. */
const CSV_FLAGS = [
  "escape",
  "header",
  "skipLines",
  "skipFooter",
  "comment",
  "ragged",
  "nul",
  "names",
  "decimal",
  "thousands",
  "dateOrder",
] as const;

/** The options that flags stand for. @throws {UsageError} for those that cannot be used */
export async function readingOptions(
  options: ReadingFlags,
  onReject: OnReject = "fail",
): Promise<RecordsOptions> {
  const { checkCsvOptions } = await import("../operators/mod.ts");
  const { format, encoding, delimiter, quote, null: nulls, sign, type = [], unknownKeys } = options;
  const own: CsvOptions = {
    ...Object.fromEntries(CSV_FLAGS.flatMap((name) => {
      return options[name] === undefined ? [] : [[name, options[name]]];
    })),
    ...delimiter === undefined
      ? {}
      : { delimiter: delimiter === "tab" || delimiter === "\\t" ? "\t" : delimiter },
    ...quote === undefined ? {} : { quote: quote === "none" ? "" : quote },
    ...nulls === undefined ? {} : { nulls },
    ...sign === undefined ? {} : { signs: sign },
  };
  const arrow = {
    types: Object.fromEntries(type),
    ...onReject === "fail" ? {} : { onReject },
  };
  const shared = { ...arrow, ...encoding === undefined ? {} : { encoding } };
  const csv = { ...own, ...shared };
  fromUser(() => checkCsvOptions(csv));
  const known = [...CSV_FLAGS, "delimiter", "quote", "null", "sign"] as const;
  const given = known.find((name) => options[name] !== undefined);
  const by = given && `--${given.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
  if (by && format !== undefined && format !== "csv") {
    throw new UsageError(`${by} is for CSV, but --format is ${format}`);
  }
  return {
    ...format ? { format } : by ? { meant: { format: "csv", by } } : {},
    csv,
    jsonl: { ...shared, ...unknownKeys ? { unknownKeys } : {} },
    arrow,
  };
}
