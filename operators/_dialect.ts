import type { Block } from "./_block.ts";
import { inferType } from "./_read_column.ts";
import { type Dialect, Malformed, type Tokenizer } from "./_tokenizer.ts";

/** The first bytes of a file, `bytes[from, to)`; one byte behind them is free. */
export interface Sample {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  /** Whether they are the whole file. */
  readonly last: boolean;
  /** The line on which they begin. */
  readonly line: number;
  /** Makes what finds the records; the next one writes over what it found, unless that is to lie apart. */
  tokenizer(dialect: Dialect, apart?: boolean): Tokenizer;
}

/** How a file turned out to be written. */
export interface Marks {
  readonly dialect: Dialect;
  /** Lines before the table. */
  readonly skip: number;
}

const RFC: Dialect = { delimiter: 44, quote: 34, escape: 34 };
const BACKSLASH = 92, APOSTROPHE = 39;
const byte = (text: string) => text.charCodeAt(0);
const COMMON = [";", "\t", "|"].map(byte), RARE = ["^", "~", "\x01", "\x1f"].map(byte);

/** How many lines before a table are looked at. */
const MOST_PREAMBLE = 20;

/**
 * Finds delimiter, quote, escape and what stands before the table. What reads well as RFC 4180 with commas is read so,
 * unless another common delimiter splits all of its records alike, too; any other way to read it must give at least two
 * fields in each of at least two records, and be the only one that does.
 *
 * @throws {Malformed} where there are two such ways, or more than one table
 */
export function findMarks(sample: Sample): Marks {
  const marks = likely(sample);
  if (marks.dialect.escape === marks.dialect.quote) refuseEscapes(sample, marks.dialect);
  return marks;
}

function likely(sample: Sample): Marks {
  const of = (change: Partial<Dialect>, delimiters = COMMON) =>
    delimiters.map((delimiter) => ({ ...RFC, ...change, delimiter }));
  const all = [RFC.delimiter, ...COMMON];
  // First of all: `sep=,` above two columns reads well as RFC 4180, too, and would be taken for their names.
  const told = excel(sample);
  if (told) return told;
  const plain = fit(sample, RFC);
  if (plain && plain.width > 1) {
    only(sample, of({}, all));
    return { dialect: RFC, skip: 0 };
  }
  const dialect = only(sample, of({})) ?? only(sample, of({}, RARE)) ??
    (plain ? undefined : only(
      sample,
      of({ escape: BACKSLASH }, all),
      (fields) => fields.some((text) => /\\["\\]/.test(text)),
    ) ?? only(
      sample,
      of({ quote: APOSTROPHE, escape: APOSTROPHE }, all),
      // Each apostrophe must be where a quote would be, and no quotes be there.
      (fields) =>
        fields.filter((text) => /^'[^]*'$/.test(text)).length > 1 &&
        fields.every((text) => /^'(?:[^']|'')*'$|^[^'"]*$/.test(text)),
    ));
  if (dialect) return { dialect, skip: 0 };
  const delimiters = plain ? COMMON : all;
  const behind = delimiters.map((delimiter) => preamble(sample, { ...RFC, delimiter }))
    .filter((found) => found !== undefined);
  if (behind.length === 1) return behind[0]!;
  if (!plain) refuseTables(sample);
  return { dialect: RFC, skip: 0 };
}

/** The one dialect of these that fits. @throws {Malformed} for two */
function only(
  sample: Sample,
  dialects: readonly Dialect[],
  shows?: (fields: string[]) => boolean,
): Dialect | undefined {
  const bytes = sample.bytes.subarray(sample.from, sample.to);
  const fits = dialects.filter((dialect) => {
    if (!bytes.includes(dialect.delimiter)) return false;
    const found = fit(sample, dialect);
    return found && found.width > 1 && found.records > 1 &&
      (!shows || shows(raw(sample, found.fields)));
  });
  if (fits.length < 2) return fits[0];
  const names = fits.map(({ delimiter }) => JSON.stringify(String.fromCharCode(delimiter)));
  throw new Malformed(
    `its fields may be split by ${
      names.join(" or by ")
    }; say by which (--delimiter, in code delimiter)`,
  );
}

/** @throws {Malformed} where a quote behind a backslash may as well be a part of its field as end it */
function refuseEscapes(sample: Sample, dialect: Dialect): void {
  if (!sample.bytes.subarray(sample.from, sample.to).includes(BACKSLASH)) return;
  const other = fit(sample, { ...dialect, escape: BACKSLASH }, true);
  if (!other || other.width < 2) return;
  const ours = fit(sample, dialect);
  if (!ours || ours.width < 2) return;
  const fields = ours.width * ours.records;
  const same = fields === other.width * other.records &&
    ours.fields.ends.subarray(0, fields).every((end, k) => end === other.fields.ends[k]);
  if (same) return;
  throw new Malformed(
    "its quotes may be escaped by doubling them or by a backslash, and its fields differ by which; " +
      "say by which (--escape, in code escape)",
  );
}

/** What the records of a sample are in a dialect; undefined where they are not of one width, or not well quoted. */
function fit(
  sample: Sample,
  dialect: Dialect,
  apart?: boolean,
): { width: number; records: number; fields: Tokenizer } | undefined {
  const fields = sample.tokenizer(dialect, apart);
  try {
    fields.scan(sample.bytes, sample.from, sample.to, sample.last);
    // Where some may be refused, they must be few: in the wrong dialect all are strange.
    if (fields.records < 10 * (fields.faults?.length ?? 0)) return undefined;
    return { width: fields.width, records: fields.records, fields };
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** Fields as they are written, quotes and all. */
function raw({ bytes }: Sample, fields: Tokenizer): string[] {
  const { starts, ends, quoted, width, records } = fields;
  const decoder = new TextDecoder();
  return Array.from({ length: width * records }, (_, k) => {
    const beyond = quoted[k] ? 1 : 0;
    return decoder.decode(bytes.subarray(starts[k]! - beyond, ends[k]! + beyond));
  });
}

/** The line `sep=;`, by which spreadsheets tell the delimiter. */
function excel({ bytes, from, to }: Sample): Marks | undefined {
  const head = String.fromCharCode(...bytes.subarray(from, Math.min(to, from + 6)));
  const [, delimiter] = /^sep=([^\w\r\n"])[\r\n]/i.exec(head) ?? [];
  return delimiter === undefined || byte(delimiter) > 127
    ? undefined
    : { dialect: { ...RFC, delimiter: byte(delimiter) }, skip: 1 };
}

/** A record on its own. */
interface Row {
  readonly line: number;
  readonly width: number;
  readonly from: number;
}

/** The records of a sample one by one, whatever their widths, up to one that cannot be read. */
function rows(sample: Sample, dialect: Dialect): Row[] {
  const found: Row[] = [];
  const fields = sample.tokenizer(dialect);
  let from = sample.from;
  try {
    while (from < sample.to) {
      fields.width = 0;
      const next = fields.scan(sample.bytes, from, sample.to, sample.last, 1);
      if (fields.records === 0) break;
      found.push({ line: fields.line - 1, width: fields.width, from });
      from = next;
    }
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
  }
  return found;
}

/**
 * Lines of one field before a table: its first record must be names, those behind it all as wide, and some column
 * below a name must not be text.
 */
function preamble(sample: Sample, dialect: Dialect): Marks | undefined {
  const found = rows(sample, dialect);
  const at = found.findIndex(({ width }) => width > 1);
  if (at < 1 || at > MOST_PREAMBLE || found.length - at < 3) return undefined;
  const { from, width } = found[at]!;
  // A bare word alone may as well be a header that lost its other names.
  const above = new TextDecoder().decode(sample.bytes.subarray(sample.from, from)).trim();
  if (/^\w*$/.test(above)) return undefined;
  if (isTable(sample, from, dialect)) return undefined;
  if (found.some((row, i) => i > at && row.width !== width)) return undefined;
  const table = { ...sample, from };
  const { names, types } = shape(table, dialect);
  const isName = (type: string, i: number) => type === "text" && names.texts[i] !== "";
  if (!names.types.every(isName) || new Set(names.texts).size < names.texts.length) {
    return undefined;
  }
  if (types.every((type) => type === "text")) return undefined;
  return { dialect, skip: found[at - 1]!.line };
}

/** Whether what stands before `end` is a table of one column itself, of two values or more: nobody's to leave out. */
function isTable({ bytes, from, tokenizer }: Sample, end: number, dialect: Dialect): boolean {
  // As copied: whoever looks for records writes behind them.
  const own = bytes.slice(from, end + 1), to = end - from;
  const fields = tokenizer(dialect, true);
  const next = fields.scan(own, 0, to, true, 1);
  fields.scan(own, next, to, true);
  const { starts, ends, records } = fields;
  const values = starts.subarray(0, records).reduce((n, at, r) => n + Number(at < ends[r]!), 0);
  return values > 1 && inferType({ bytes: own, fields }, 0) !== "text";
}

/** @throws {Malformed} where records of one width are followed by as good ones of another, up to the end */
function refuseTables(sample: Sample): void {
  const found = rows(sample, RFC);
  const width = found[0]?.width ?? 0;
  const at = found.findIndex((row) => row.width !== width);
  const rest = found.slice(at);
  const other = rest[0]?.width ?? 0;
  if (width < 2 || other < 2 || at < 2 || rest.length < 2) return;
  if (rest.some((row) => row.width !== other)) return;
  throw new Malformed(
    `line ${
      rest[0]!.line + sample.line - 1
    } has ${other} fields, expected ${width}, and so have the ` +
      `${rest.length - 1} records behind it: it seems to hold more than one table; split it`,
  );
}

/** How many records tell whether the first is one of them. */
const SOME_RECORDS = 200;

/** The texts and types of the first record, and the types of the columns below it. */
function shape(sample: Sample, dialect: Dialect): {
  names: { texts: string[]; types: string[] };
  types: string[];
} {
  const { bytes, from, to, last } = sample;
  const fields = sample.tokenizer(dialect);
  const block: Block = { bytes, fields };
  const infer = () => Array.from({ length: fields.width }, (_, i) => inferType(block, i));
  const next = fields.scan(bytes, from, to, last, 1);
  const names = { texts: fields.records === 0 ? [] : raw(sample, fields), types: infer() };
  fields.scan(bytes, next, to, last, SOME_RECORDS);
  return { names, types: fields.records < 1 ? [] : infer() };
}

/** Types of which no name is. */
const NEVER_NAMES: readonly string[] = ["date", "timestamp", "timestamptz", "uuid"];

/** Whether the first record names the columns: `"maybe"` where it looks like one of the others. */
export function findHeader(sample: Sample, dialect: Dialect): boolean | "maybe" {
  let known: ReturnType<typeof shape>;
  try {
    known = shape(sample, dialect);
  } catch (error) {
    if (error instanceof Malformed) return true; // whoever reads on will say so
    throw error;
  }
  const { names, types } = known;
  if (types.length === 0 || types.length !== names.types.length) return true;
  const alike = types.every((type, i) =>
    type === "text" || names.texts[i] === "" || takes(type, names.types[i]!)
  );
  if (!alike) return true;
  const is = (type: string, i: number) => type === names.types[i] && names.texts[i] !== "";
  if (types.some((type, i) => is(type, i) && NEVER_NAMES.includes(type))) return false;
  return types.every((type) => type !== "text") ? "maybe" : true;
}

const NUMBERS: readonly string[] = ["integer", "bigint", "double precision", "numeric"];

/** Whether a column's type takes a field of another. */
function takes(type: string, field: string): boolean {
  return type === field || (NUMBERS.includes(field) && NUMBERS.includes(type));
}
