import type { Block } from "./_block.ts";
import { type Plan, planColumn } from "./_columns.ts";
import { type SpellingOptions, spellings } from "./_spelling.ts";

/** How numbers and dates are often written, and the flags that say so. */
const USUAL: readonly (readonly [spelling: SpellingOptions, flags: string])[] = [
  [{ decimal: ",", thousands: "." }, "--decimal , --thousands ."],
  [{ thousands: "," }, "--thousands ,"],
  [{ dateOrder: "dmy" }, "--date-order dmy"],
  [{ dateOrder: "mdy" }, "--date-order mdy"],
];

/** Tells of columns of text which all of the sample would let be numbers or dates, if a spelling were declared. */
export function spellingHints({ columns }: Plan, block: Block): string[] {
  const { starts, ends, width, records } = block.fields;
  const isFilled = (column: number) =>
    Array.from({ length: records }, (_, r) => r * width + column).some((k) =>
      ends[k]! > starts[k]!
    );
  const found = columns.flatMap(({ name, type, declared }, column) => {
    if (type !== "text" || declared || !isFilled(column)) return [];
    const fits = USUAL.flatMap(([spelling, flags]) => {
      const planned = planColumn(name, undefined, spellings(spelling), block, column);
      return planned.spelling ? [flags] : [];
    });
    return fits.length > 0 ? [{ name, how: fits.join(" or ") }] : [];
  });
  return [...Map.groupBy(found, ({ how }) => how)].map(([how, some]) => {
    const names = some.map(({ name }) => JSON.stringify(name)).join(", ");
    return `${names} ${
      some.length === 1 ? "is" : "are"
    } read as text; the first values look like ${how}`;
  });
}
