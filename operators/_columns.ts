import { Field, type Schema } from "apache-arrow";
import type { Block } from "./_block.ts";
import { arrowField, type ColumnType, parseColumnType } from "./_column_type.ts";
import { option } from "./_option.ts";
import { inferType, isBlank, type Read, readColumn } from "./_read_column.ts";
import { FOREIGN, respell, type Spelled, SPELLED_TYPES, type Spelling } from "./_spelling.ts";
import { SteadySchema } from "./_steady_schema.ts";
import { Malformed } from "./_tokenizer.ts";
import { toMetadata, type Widening } from "./_widening.ts";

/** A column, once the sample was read. */
export interface PlannedColumn {
  readonly name: string;
  readonly type: ColumnType;
  /** Whether its type was given, not inferred. */
  readonly declared: boolean;
  /** How its fields are written, where that is not as the readers take them. */
  readonly spelling: Spelling | undefined;
  /** Whether its numbers are written as was told, which is not how Postgres would read them. */
  readonly foreign?: boolean;
  /** Whether no value told its type. */
  readonly blank?: boolean;
  /** By which steps it got its type, when it is not the one that was inferred. */
  readonly widened?: readonly Widening[];
}

/** What columns there are. */
export interface Plan {
  readonly schema: Schema;
  readonly columns: readonly PlannedColumn[];
}

/** Key of the metadata of a field that is text only because no value of its column was seen when its type was chosen. */
export const BLANK = "sluice.blank";

/** A field that is not of its column's type. */
export interface Misfit {
  readonly column: number;
  readonly record: number;
}

/** Makes a plan of columns. */
export function planOf(columns: readonly PlannedColumn[]): Plan {
  const fields = columns.map(({ name, type, foreign, blank, widened = [] }) => {
    const { type: arrow, metadata } = arrowField(name, type);
    const told = [...foreign && type === "text" ? [FOREIGN] : [], ...blank ? [BLANK] : []]
      .map((key) => [key, ""] as const);
    return new Field(name, arrow, true, new Map([...metadata, ...told, ...toMetadata(widened)]));
  });
  return { columns, schema: new SteadySchema(fields) };
}

/** Chooses type and spelling of a column by a sample of it. */
export function planColumn(
  name: string,
  declared: string | undefined,
  spellings: ReadonlyMap<Spelled, Spelling>,
  block: Block,
  column: number,
): PlannedColumn {
  const type = declared === undefined ? undefined : parseColumnType(declared);
  const decision = { name, declared: type !== undefined, foreign: spellings.has("number") };
  for (const [kind, spelling] of spellings) {
    const types = SPELLED_TYPES[kind];
    if (type !== undefined && !types.includes(type)) continue;
    const block_ = respell(block, column, spelling);
    if (typeof block_ === "number") {
      // 1.234 is another number where the dot is between thousands: what is declared is read as it was told.
      if (type !== undefined && kind === "number") return { ...decision, type, spelling };
      continue;
    }
    const inferred = type ?? inferType(block_, 0, types);
    if (inferred !== "text") return { ...decision, type: inferred, spelling };
  }
  if (type === undefined && isBlank(block, column)) {
    return { ...decision, type: "text", spelling: undefined, blank: true };
  }
  const plain = type ?? inferType(block, column);
  // A point is not what was told to stand before a fraction.
  const foreign = type === undefined && spellings.has("number") &&
    SPELLED_TYPES.number.includes(plain);
  return { ...decision, type: foreign ? "text" : plain, spelling: undefined };
}

/**
 * Reads a column of a block, or returns the number of the first record whose field is not of its type; with a list of
 * misfits all such are added to it.
 */
export function readPlanned(
  { type, declared, spelling }: PlannedColumn,
  block: Block,
  column: number,
  misfits?: number[],
): Read | number {
  if (!spelling) return readColumn(type, block, column, !declared, misfits);
  const own = respell(block, column, spelling, misfits);
  if (typeof own === "number") return own;
  const read = readColumn(type, own, 0, !declared, misfits);
  return typeof read === "number" ? read : { ...read, printsBack: false };
}

/** @throws {Malformed} for a name that comes twice */
export function checkNames(names: readonly string[]): void {
  const seen = new Map<string, number>();
  for (const [k, name] of names.entries()) {
    const twin = seen.get(name);
    if (twin !== undefined) {
      throw new Malformed(
        `columns ${twin} and ${k + 1} are both named ${JSON.stringify(name)}; ` +
          `give them names of their own in the file, or have them mended: ${
            option("names", "mend")
          }`,
      );
    }
    seen.set(name, k + 1);
  }
}

/** The most bytes a name may have in Postgres. */
const MAX_NAME_BYTES = 63;

/** Names of at most 63 bytes, each there once: the second `a` becomes `a_2`, what is cut is cut between characters. */
export function mendNames(names: readonly string[]): string[] {
  const short = names.map((name) => cut(name, MAX_NAME_BYTES));
  const taken = new Set(short);
  const seen = new Set<string>();
  return short.map((name) => {
    let mended = name;
    for (let n = 2; seen.has(mended) || (mended !== name && taken.has(mended)); n++) {
      mended = `${cut(name, MAX_NAME_BYTES - `_${n}`.length)}_${n}`;
    }
    seen.add(mended);
    return mended;
  });
}

function cut(name: string, bytes: number): string {
  const into = new Uint8Array(bytes);
  return name.slice(0, new TextEncoder().encodeInto(name, into).read);
}
