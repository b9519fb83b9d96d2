import type { Field, Schema } from "apache-arrow";
import { ReadAgain } from "../engine/mod.ts";
import type { ColumnType } from "./_column_type.ts";

/** A column whose inferred type did not hold for the whole source, or that was not there from its start. */
export interface Widening {
  /** Its name. */
  readonly column: string;
  /** The type it had; null for a column that nothing before had. */
  readonly from: ColumnType | null;
  /** The type it has from then on, and so the values before. */
  readonly to: ColumnType;
  /** The line of the value that was not of the type, or the first that has the column. */
  readonly line: number;
  /** Whether the source was read again from its start, since what was written could not be had from the values. */
  readonly reread: boolean;
}

/** Where a field says by which steps it got its type. */
const KEY = "sluice.widened";

/** The metadata of a field that got its type by these steps. */
export function toMetadata(widened: readonly Widening[]): [string, string][] {
  return widened.length > 0 ? [[KEY, JSON.stringify(widened)]] : [];
}

/** The steps by which the columns of a batch got their types. */
export function widenings({ fields }: Schema): readonly Widening[] {
  return fields.flatMap(({ metadata }: Field) => JSON.parse(metadata.get(KEY) ?? "[]"));
}

/** What an earlier reading of the source showed. */
export function learntTypes(learnt: unknown): readonly Widening[] {
  return Array.isArray(learnt) ? learnt : [];
}

/** How many of them a load tells at most: what a task puts out is short. */
export const MOST_TOLD = 100;

/** How many an error shows. */
const SHOWN = 3;

/** Asks for the source again, with the types known that its columns turned out to have. */
export function readAgain(widened: readonly Widening[], why: string): ReadAgain {
  const more = widened.length > SHOWN ? `; and ${widened.length - SHOWN} more` : "";
  const told = widened.slice(0, SHOWN).map(tellWidening).join("; ") + more;
  return new ReadAgain(
    `Cannot go on without reading the source again: ${told}; ${why}. Where it can be read only once, declare the types ` +
      `(--type, in code types)`,
    widened.map((widening) => ({ ...widening, reread: true })),
  );
}

/** A widening in words. */
export function tellWidening({ column, from, to, line }: Widening): string {
  const shown = JSON.stringify(column);
  if (from === null) return `column ${shown}, which is ${to}, is new on line ${line}`;
  return `column ${shown} is ${to}, not ${from}, as line ${line} shows`;
}
