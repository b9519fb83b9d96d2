import { GiveUp } from "../engine/mod.ts";
import { type Block, fieldText } from "./_block.ts";
import type { Misfit, Plan } from "./_columns.ts";
import { option } from "./_option.ts";
import { isUtf8 } from "./_read_text.ts";
import type { Fault } from "./_tokenizer.ts";

/** What to do about text that is no UTF-8. */
export const ENCODING_HINT = `; if the file is in another encoding, name it, e.g. ${
  option("encoding", "windows-1252")
}`;

/** What to do about records that are no good, as far as an option helps; nothing where it is not for a rule. */
export function wayOut(rule: Fault["rule"] | undefined, { pads }: { pads: boolean }): string {
  if (rule === undefined) return "";
  const aside = `${option("onReject", "keep")} keeps such records aside`;
  return rule === "fields" && !pads
    ? `; ${option("ragged", "pad")} fills up those that are short, ${aside}`
    : `; ${aside}`;
}

/** Where a block lies in its file. */
export interface Place {
  /** The line on which the block's records begin, at the byte `from`. */
  readonly line: number;
  readonly from: number;
  /** Where a byte of it lies in the file; undefined where bytes were changed so that this is not known. */
  readonly offsetOf: ((at: number) => number) | undefined;
}

/** Says which value is not of its column's type, and where. */
export function misfit(
  { columns }: Plan,
  { column, record }: Misfit,
  block: Block,
  place: Place,
): GiveUp {
  const { offsetOf } = place;
  const { name, type, declared } = columns[column]!;
  const { bytes, fields: { width, starts, ends } } = block;
  const index = record * width + column;
  const start = starts[index]!;
  const text = fieldText(block, index);
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  const where = `in column ${JSON.stringify(name)}, line ${
    lineOf({ column, record }, block, place)
  }`;
  // What is inferred becomes text rather than refuse a value that can be text.
  if (type === "text" || !declared) {
    const field = bytes.subarray(start, ends[index]!);
    const fault = isUtf8(field)
      ? `it holds a NUL byte, which Postgres cannot keep; ${
        option("nul", "remove")
      } leaves such bytes out`
      : `it is not valid UTF-8${
        offsetOf ? ` (byte ${offsetOf(start + firstBad(field))} of the file, from 0)` : ""
      }${ENCODING_HINT}`;
    return new GiveUp(`Cannot read ${JSON.stringify(shown)} as text ${where}: ${fault}`);
  }
  return new GiveUp(
    `Cannot parse ${JSON.stringify(shown)} as ${type} ${where}: ` +
      `that type was declared; declare another, mend the file, or keep such records aside: ${
        option("onReject", "keep")
      }`,
  );
}

/** The line of a field. */
export function lineOf(
  { column, record }: Misfit,
  { bytes, fields: { width, starts } }: Block,
  { line, from }: Place,
): number {
  return line + countLines(bytes, from, starts[record * width + column]!);
}

/** Where the first character that is no UTF-8 begins. */
function firstBad(bytes: Uint8Array): number {
  let good = 0, bad = bytes.length;
  // A longer beginning is not valid where a shorter one is not, but for the character it may end within.
  const decoder = () => new TextDecoder("utf-8", { fatal: true });
  const isGood = (length: number) => {
    try {
      decoder().decode(bytes.subarray(0, length), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  while (good < bad) {
    const middle = (good + bad + 1) >> 1;
    if (isGood(middle)) good = middle;
    else bad = middle - 1;
  }
  while (good > 0 && !isUtf8(bytes.subarray(0, good))) good--;
  return good;
}

function countLines(bytes: Uint8Array, from: number, to: number): number {
  let lines = 0;
  for (let i = from; i < to; i++) {
    if (bytes[i] === 13 || (bytes[i] === 10 && (i === from || bytes[i - 1] !== 13))) lines++;
  }
  return lines;
}
