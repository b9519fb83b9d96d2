import { type Block, fieldText, isNoted } from "./_block.ts";
import type { ColumnType } from "./_column_type.ts";

/** How numbers and dates are written, where it is not as computers do. */
export interface SpellingOptions {
  /** What stands before the fraction of a number. @default {"."} */
  decimal?: "." | ",";
  /** What stands between the thousands of a number: one of `. , ' _`, a space, or a narrow or no-break one. */
  thousands?: string;
  /** What may stand before or behind a number and is left out: with `["%"]`, `12 %` is 12. */
  signs?: readonly string[];
  /** In which order dates have day, month and year, with `/`, `.` or `-` between: with `"dmy"`, `1.2.2021` is in February. */
  dateOrder?: "dmy" | "mdy" | "ymd";
}

/** Writes a field as the readers of columns take it; undefined for one that is not spelled so. */
export type Spelling = (text: string) => string | undefined;

/** The types that may be spelled otherwise. */
export type Spelled = "number" | "date";

/** The spellings that were declared. @throws {TypeError} for what cannot be told apart */
export function spellings(
  { decimal = ".", thousands, signs = [], dateOrder }: SpellingOptions,
): ReadonlyMap<Spelled, Spelling> {
  const found = new Map<Spelled, Spelling>();
  if (decimal !== "." && decimal !== ",") {
    throw new TypeError(`Cannot use ${JSON.stringify(decimal)} as the decimal sign: use . or ,`);
  }
  if (thousands !== undefined && !/^[.,'’_ \u00a0\u202f]$/.test(thousands)) {
    throw new TypeError(
      `Cannot use ${JSON.stringify(thousands)} between thousands: use one of . , ' _ or a space`,
    );
  }
  if (thousands === decimal) {
    throw new TypeError(
      `Cannot use ${JSON.stringify(decimal)} both as the decimal sign and between thousands`,
    );
  }
  if (signs.some((sign) => sign === "" || /[-+\d.,]/.test(sign))) {
    throw new TypeError(`Cannot leave out a sign that is empty or part of numbers`);
  }
  if (decimal !== "." || thousands !== undefined || signs.length > 0) {
    found.set("number", numbers(decimal, thousands, signs));
  }
  if (dateOrder !== undefined) {
    if (!["dmy", "mdy", "ymd"].includes(dateOrder)) {
      throw new TypeError(
        `Cannot use ${JSON.stringify(dateOrder)} as the order of dates: use dmy, mdy or ymd`,
      );
    }
    found.set("date", dates(dateOrder));
  }
  return found;
}

const escape = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

function numbers(
  decimal: string,
  thousands: string | undefined,
  signs: readonly string[],
): Spelling {
  const d = escape(decimal);
  const grouped = thousands === undefined ? "" : `\\d{1,3}(?:${escape(thousands)}\\d{3})+|`;
  const sign = signs.length === 0 ? "" : `(?:${signs.map(escape).join("|")})?`;
  const gap = signs.length === 0 ? "" : "[ \\u00a0\\u202f]?";
  const pattern = new RegExp(
    `^(?:([-+]?)${sign}${gap}|${sign}${gap}([-+]?))` +
      `((?:${grouped}\\d+))(?:${d}(\\d*))?([eE][-+]?\\d+)?${gap}${sign}$`,
    "u",
  );
  return (text) => {
    const match = pattern.exec(text);
    if (!match) return undefined;
    const [, before = "", behind = "", whole = "", fraction, exponent = ""] = match;
    const digits = thousands === undefined ? whole : whole.replaceAll(thousands, "");
    return (before || behind) + digits + (fraction ? `.${fraction}` : "") + exponent;
  };
}

function dates(order: string): Spelling {
  const part: Record<string, string> = {
    d: "(?<d>\\d{1,2})",
    m: "(?<m>\\d{1,2})",
    y: "(?<y>\\d{4})",
  };
  const [a, b, c] = [...order].map((letter) => part[letter]!);
  const pattern = new RegExp(`^${a}(?<between>[./-])${b}\\k<between>${c}(?<time>[ T].*)?$`);
  return (text) => {
    const { d, m, y, time = "" } = pattern.exec(text)?.groups ?? {};
    if (d === undefined) return undefined;
    // An hour of one digit is common where dates are written so.
    const hour = time.replace(/^([ T])(\d:)/, "$10$2");
    return `${y}-${m!.padStart(2, "0")}-${d.padStart(2, "0")}${hour}`;
  };
}

/** Where a field of text says that numbers in it are not written as Postgres would read them. */
export const FOREIGN = "sluice.foreign";

/** Which types a spelling may make. */
export const SPELLED_TYPES: Readonly<Record<Spelled, readonly ColumnType[]>> = {
  number: ["integer", "bigint", "double precision", "numeric"],
  date: ["date", "timestamp", "timestamptz"],
};

/**
 * One column of a block as a block of its own, spelled anew; or the number of the first record that is not spelled so.
 * With a list of misfits all such are added to it, and are NULL.
 */
export function respell(
  block: Block,
  column: number,
  spelling: Spelling,
  misfits?: number[],
): Block | number {
  const { starts, ends, quoted, width, records, dialect } = block.fields;
  const texts: string[] = [];
  let room = 0;
  for (let r = 0, k = column; r < records; r++, k += width) {
    let text: string | undefined = "";
    if (starts[k] !== ends[k]) text = spelling(fieldText(block, k));
    else if (quoted[k]) text = undefined;
    if (text === undefined) {
      if (!isNoted(r, misfits)) return r;
      text = "";
    }
    texts.push(text);
    room += text.length;
  }
  const fields = {
    starts: new Int32Array(records),
    ends: new Int32Array(records),
    quoted: new Uint8Array(records),
    width: 1,
    records,
    dialect,
  };
  const bytes = new Uint8Array(room);
  const encoder = new TextEncoder();
  let at = 0;
  texts.forEach((text, r) => {
    fields.starts[r] = at;
    at += encoder.encodeInto(text, bytes.subarray(at)).written;
    fields.ends[r] = at;
  });
  return { bytes, fields };
}
