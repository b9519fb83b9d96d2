import { countBefore, isEnd, type Tokenizer } from "./_tokenizer.ts";
import type { Layout } from "./_sieve.ts";

/** Where a block of CSV lies. */
export interface CsvPlace {
  /** Its first byte, and the one behind its last. */
  readonly from: number;
  readonly to: number;
  /** The lines on which it begins, and the next one does. */
  readonly line: number;
  readonly next: number;
  /** Where a byte lies in the source. */
  readonly offsetOf: Layout["offsetOf"];
}

/** Where the records of a block of CSV lie, found by their fields. */
export function csvLayout(bytes: Uint8Array, fields: Tokenizer, place: CsvPlace): Layout {
  const { starts, width, records, dialect: { quote }, faults = [] } = fields;
  const { offsetOf } = place;
  const isQuoted = (k: number) =>
    starts[k]! > place.from && bytes[starts[k]! - 1] === quote && fields.quoted[k] !== 0;
  const from = (_: number, row: number) => starts[row * width]! - (isQuoted(row * width) ? 1 : 0);
  const to = (_: number, row: number) => {
    const k = row * width + width - 1;
    let i = isQuoted(k) ? fields.ends[k]! + 1 : starts[k]!;
    while (i < place.to && !isEnd(bytes[i]!)) i++;
    return i;
  };
  let lines: Int32Array | undefined;
  // Where each record has a line of its own, and no other line is there, none has to be counted.
  const single = place.next - place.line === records + faults.length;
  return {
    bytes,
    offsetOf,
    faults,
    from,
    to,
    line(r) {
      if (single) return place.line + r + countBefore(faults, r);
      // The first one to be refused asks for it while all are there.
      lines ??= linesOf(bytes, place, records, (row) => from(row, row));
      return lines[r]!;
    },
  };
}

/** The line of each record. */
function linesOf(
  bytes: Uint8Array,
  { from, line }: CsvPlace,
  records: number,
  begin: (record: number) => number,
): Int32Array {
  const lines = new Int32Array(records);
  for (let r = 0, i = from, n = line; r < records; r++) {
    for (const at = begin(r); i < at; i++) {
      if (bytes[i] === 13 || (bytes[i] === 10 && (i === from || bytes[i - 1] !== 13))) n++;
    }
    lines[r] = n;
  }
  return lines;
}
