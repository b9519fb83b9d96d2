import { RecordBatch } from "apache-arrow";

/** Why records are refused: the first six by who reads them, the others by Postgres. */
export const REJECT_RULES = {
  fields: "it has not as many fields as the others",
  quotes: "its quotes cannot be trusted: text behind a closing one, or one that is never closed",
  length: "it has a field, or is a line, that is too long",
  json: "it is no JSON object, or one with a key twice or not known",
  encoding:
    "it has bytes that are not of the encoding, a NUL byte, or characters that the database lacks",
  type: "a value is not of the type that was declared",
  not_null: "a value is missing where there must be one",
  unique: "another row has its key, or excludes it",
  foreign_key: "the row that it refers to is not there",
  check: "a check of the table, or the view or policy of it, does not hold",
  value: "a value does not fit into its column: out of range, too long, not to be cast",
  other: "something else in the database, such as a trigger, refuses it",
} as const;

/** One of {@linkcode REJECT_RULES}. */
export type RejectRule = keyof typeof REJECT_RULES;

/** What to do about records that cannot be loaded: end the load at the first one, or put up with some. */
export type OnReject = "fail" | Tolerance;

/** How many records may be refused, and where they go beside the table of rejects. */
export interface Tolerance {
  /** A share of all records where it is below 1 (`0.01` is one in a hundred), else a number of them. */
  readonly limit: number;
  /**
   * A file to write the refused records to, one JSON object to a line, in place of those of an earlier load; what else
   * stands there is left alone, and fails the load.
   *
   * @default {in a DAG one in the home folder, below `rejects/`; else none, but where the load fails: then one in the folder
   * for temporary files is left}
   */
  readonly file?: string;
}

/** A record that was refused while it was read. */
export interface Reject {
  /** Which one of the source's records it is, from 1. */
  readonly record: number;
  /** The line on which it begins, from 1; null where there are no lines. */
  readonly line: number | null;
  /** Where it lies in the bytes of the source, decompressed; null where that is not known. */
  readonly from_byte: number | null;
  /** The byte behind its last one. */
  readonly to_byte: number | null;
  /** The column that refused it, where one did. */
  readonly column_name: string | null;
  /** What it broke. */
  readonly rule: RejectRule;
  /** What is wrong with it, in a sentence. */
  readonly message: string;
  /** As it is written, up to 64 KiB; what is no text shows as U+FFFD, and then `bytes` has it in base64. */
  readonly raw: string;
  /** The same in base64, where it is no text. */
  readonly bytes: string | null;
  /** Its values by column, as far as they could be told apart, as a JSON object. */
  readonly row: string | null;
}

/** A reject as a JSON object. */
export function jsonOf(reject: Reject): string {
  const { record, line, from_byte, to_byte, column_name, rule, message, raw, bytes, row } = reject;
  // The row is JSON already; as an object it would be made for this alone.
  return `{"record":${record},"line":${line},"from_byte":${from_byte},"to_byte":${to_byte},"column_name":${
    JSON.stringify(column_name)
  },"rule":"${rule}","message":${JSON.stringify(message)},"raw":${JSON.stringify(raw)},"bytes":${
    JSON.stringify(bytes)
  },"row":${row}}`;
}

/** What was found out about the records that a batch was made of. */
export interface Sifting {
  /** How many may be refused. */
  readonly tolerance: Tolerance;
  /** Those that were refused among the records of the batch. */
  readonly rejects: readonly Reject[];
  /** How many records of the source have been read so far. */
  readonly records: number;
  /**
   * The batch with columns behind its own that say where each row comes from: {@linkcode PLACE_COLUMNS}. To be asked for
   * before the next batch is, whose bytes take the place of these.
   */
  placed(): RecordBatch;
}

/** A batch of the records that were not refused; whoever takes it must keep the others. */
export class SiftedBatch extends RecordBatch {
  /** What was found out about its records. */
  readonly sifting: Sifting;

  /** Of a batch that has only the records that were not refused. */
  constructor({ schema, data }: Pick<RecordBatch, "schema" | "data">, sifting: Sifting) {
    super(schema, data);
    this.sifting = sifting;
  }

  /** Some of its rows, which still tell where they come from. */
  override slice(begin?: number, end?: number): RecordBatch {
    const { sifting } = this;
    return new SiftedBatch(super.slice(begin, end), {
      ...sifting,
      placed: () => sifting.placed().slice(begin, end),
    });
  }
}

/** The columns of {@linkcode Sifting.placed}, in their order, named as no column of a table is. */
export const PLACE_COLUMNS = [
  { name: "sluice:record", type: "bigint" },
  { name: "sluice:line", type: "bigint" },
  { name: "sluice:from", type: "bigint" },
  { name: "sluice:to", type: "bigint" },
  { name: "sluice:raw", type: "text" },
] as const;

/** Looks at the option alone. @throws {TypeError} for a limit that is none */
export function checkOnReject(onReject: OnReject | undefined): Tolerance | undefined {
  if (onReject === undefined || onReject === "fail") return undefined;
  const { limit } = onReject;
  if (limit >= 0 && (limit < 1 || limit === Infinity || Number.isInteger(limit))) return onReject;
  throw new TypeError(
    `Cannot take ${limit} as the limit of rejects: give a whole number of records, or a share below 1`,
  );
}

/** Where a record is, in words. */
export function whereIs({ record, line }: Pick<Reject, "record" | "line">): string {
  return `record ${record}${line === null ? "" : `, line ${line}`}`;
}

/** Whether so many refused records are too many. */
export function isBeyond({ limit }: Tolerance, rejected: number, records: number): boolean {
  return limit > 0 && limit < 1 ? rejected / Math.max(records, 1) > limit : rejected > limit;
}

/** Why rows of a staging table are refused, as Postgres would say it. */
export interface Reason {
  /** What holds of them. */
  readonly condition: string;
  /**
   * Where others of them decide (one reason at most, and the last): a query that gives, as `record`, which of a staging table are too many, without those for
   * which `refused` holds.
   */
  readonly twice?: (staging: string, refused: string) => string;
  readonly state: string;
  readonly said: string;
  readonly field: string;
  /** Whether what the record has by column would be taken for something else, and is not told. */
  readonly untold?: boolean;
}
