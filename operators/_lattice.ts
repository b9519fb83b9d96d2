import type { ColumnType } from "./_column_type.ts";

/**
 * The types that a column may become when a value is not of the one it has, the narrowest first:
 *
 * ```
 * integer → bigint → numeric → text        boolean, uuid, timestamptz → text
 * double precision → numeric → text        date → timestamp → text
 * ```
 *
 * A whole number never becomes a double, which would lose digits of some; so whatever the order of its values, a column
 * that began with one type ends with the same. Text takes all.
 */
const WIDER: Readonly<Record<ColumnType, readonly ColumnType[]>> = {
  "boolean": ["text"],
  "integer": ["bigint", "numeric", "text"],
  "bigint": ["numeric", "text"],
  "double precision": ["numeric", "text"],
  "numeric": ["text"],
  "date": ["timestamp", "text"],
  "timestamp": ["text"],
  "timestamptz": ["text"],
  "uuid": ["text"],
  "text": [],
};

/** The types that a column of a type may become, the narrowest first. */
export function wider(type: ColumnType): readonly ColumnType[] {
  return WIDER[type];
}

/** The narrowest type that takes what both take. */
export function joined(a: ColumnType, b: ColumnType): ColumnType {
  const above = [b, ...WIDER[b]];
  return [a, ...WIDER[a]].find((type) => above.includes(type))!;
}

/** Pairs whose values stay the same, however they were written. */
const KEPT = ["integer bigint", "integer numeric", "bigint numeric", "date timestamp"];

/**
 * Whether Postgres can make a wider type of values it has already: always where only values matter, else where each of
 * them prints back as it was written.
 */
export function isCastable(from: ColumnType, to: ColumnType, printsBack: boolean): boolean {
  return printsBack || KEPT.includes(`${from} ${to}`);
}

/** Whether what prints back as it was written does so, too, once it is of the wider type. */
export function staysWritten(from: ColumnType, to: ColumnType): boolean {
  return !(from === "date" && to === "timestamp");
}
