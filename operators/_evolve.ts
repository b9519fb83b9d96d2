import { GiveUp } from "../engine/mod.ts";
import type { SqlType } from "./_canonical.ts";
import type { Column, Copied, CopyOptions } from "./_copy_options.ts";
import type { Flow } from "./_flow.ts";
import { baseOf, isReadOfText, lossesOf } from "./_losses.ts";
import type { Reason } from "./_reject.ts";
import { option } from "./_option.ts";
import { quoteName, typeName } from "./_table.ts";
import type { Target } from "./_target.ts";

/** How the columns that arrive go into a table that stays. */
export interface Fit {
  /** Those that go in: all, or without those the table lacks. */
  readonly columns: readonly Column[];
  /** Whether the types are the same, so that rows can be copied in as they are. */
  readonly direct: boolean;
  /** What is to be done to the table before, in the clauses of ALTER TABLE. */
  readonly alter: readonly string[];
  /** Each column as the table has it, without its length: to compare with. */
  readonly types: readonly string[];
  /** Each column of a staging table, as an expression that the table's type takes without changing a value. */
  readonly values: readonly string[];
  /** Why rows of a staging table would not be the same in the table: to be asked before they go there. */
  readonly losses: readonly Reason[];
}

/** What Postgres' format_type calls a type, where that is longer. */
const LONG_NAMES: Readonly<Partial<Record<SqlType, string>>> = {
  "timestamp": "timestamp without time zone",
  "timestamptz": "timestamp with time zone",
};

/** Types, beside its own, that take every value of a type as it is, or refuse it. */
const TAKEN_BY: Readonly<Record<string, readonly string[]>> = {
  "integer": ["smallint", "bigint", "numeric", "double precision", "text"],
  "bigint": ["integer", "smallint", "numeric", "text"],
  "double precision": ["numeric"],
  "date": ["timestamp without time zone", "text"],
  "text": ["character varying"],
};

/** Types that hold every value of a type, the narrower first; text, which all can be, is the last. */
const HELD_BY: Readonly<Record<string, readonly string[]>> = {
  "smallint": ["integer", "bigint", "double precision", "numeric"],
  "integer": ["bigint", "double precision", "numeric"],
  "bigint": ["numeric"],
  "real": ["double precision", "numeric"],
  "double precision": ["numeric"],
  "date": ["timestamp without time zone"],
};

/** Types that text is made of and back without a loss that its spelling could be: what arrives may become text so. */
const SPELLED = ["integer", "bigint", "date", "text"];

/** Which of the columns that arrive are loaded, and which were left out as the table lacks them. */
export function takenOf(
  columns: readonly Column[],
  fit: Fit | undefined,
): Pick<Copied, "columns" | "discarded"> {
  const taken = new Set((fit?.columns ?? columns).map(({ name }) => name));
  const discarded = columns.filter(({ name }) => !taken.has(name)).map(({ name }) => name);
  if (discarded.length === 0) return { columns };
  return { columns: columns.filter(({ name }) => taken.has(name)), discarded };
}

/**
 * Fits columns to those of a table, by their names. Of those that `widened` names a value is known that needs the type; of
 * those that are `blank` none was seen, and they take the table's.
 * Where rows may be refused (`tolerant`), text is read as what the table has: one value makes text of a column.
 *
 * @throws {GiveUp} listing all the differences, where they may not be or cannot be mended
 */
export function fitColumns(
  { columns, widened, foreign, blank }: Pick<Flow, "columns" | "widened" | "foreign" | "blank">,
  { name: table, existing }: Target,
  evolution: NonNullable<CopyOptions["evolution"]> = "freeze",
  tolerant = false,
): Fit {
  const has = new Map(existing!.columns.map((column) => [column.name, column]));
  const faults: string[] = [];
  const alter: string[] = [];
  const fitting: Column[] = [], types: string[] = [], values: string[] = [], losses: Reason[] = [];
  let direct = true, frozen = false;
  const put = (column: Column, type: string, limited = type): void => {
    const arrives = longName(column.type);
    const unread = blank.includes(column.name) && arrives !== type && !isTaken(arrives, type);
    const lossy = unread
      ? [unreadable(column.name, limited)]
      : lossesOf(column.name, arrives, limited, foreign.includes(column.name));
    if (arrives !== type || lossy.length > 0) direct = false;
    // What is not told by its values comes first, lest something else that is wrong with it tell them.
    for (const loss of lossy) {
      if (loss.untold) losses.unshift(loss);
      else losses.push(loss);
    }
    fitting.push(column);
    types.push(type);
    const value = quoteName(column.name, "column");
    values.push(unread ? `CAST(${value} AS ${limited})` : cast(value, arrives, type));
  };
  for (const column of columns) {
    const { name, type } = column;
    const there = has.get(name);
    const since = widened.findLast(({ column }) => column === name);
    const shown = JSON.stringify(name);
    if (there === undefined) {
      if (evolution === "discard") continue;
      if (evolution === "evolve") {
        alter.push(`ADD COLUMN ${quoteName(name, "column")} ${typeName(type)}`);
        direct = false;
        put(column, longName(type));
      } else {
        const known = [...has.keys()].map((known) => JSON.stringify(known)).join(", ");
        frozen = true;
        const news = since?.from === null ? `, which is new on line ${since.line}` : "";
        faults.push(`it has no column ${shown}${news}; its columns are ${known || "none"}`);
      }
      continue;
    }
    const base = baseOf(there.type), arrives = longName(type);
    const overflows = since && type === "bigint" && ["integer", "smallint"].includes(base);
    const isBlank = blank.includes(name) && !there.generated;
    const wider = evolution === "evolve" && !isBlank ? widen(base, arrives) : undefined;
    if (there.generated) {
      faults.push(`its column ${shown} is computed by Postgres, and the source has one, too`);
    } else if (wider !== undefined && wider !== base) {
      const column = quoteName(name, "column");
      alter.push(
        `ALTER COLUMN ${column} TYPE ${typeName(wider)} USING ${cast(column, base, wider)}`,
      );
      direct = false;
      put({ name, type }, wider);
    } else if (
      wider !== undefined || base === arrives || isBlank ||
      (TAKEN_BY[arrives]?.includes(base) && (tolerant || !overflows)) ||
      (tolerant && arrives === "text" && isReadOfText(base))
    ) {
      put(column, base, there.type);
    } else {
      frozen = evolution === "freeze";
      faults.push(
        `its column ${shown} is ${there.type}, what arrives is ${type}${
          since ? ` from line ${since.line} on` : ""
        }; ${
          isSpelled(base)
            ? "declare the column as text, so that it is kept as it is written"
            : "declare the column's type, or change the table" +
              (evolution === "evolve" ? ": no type holds both as they are" : "")
        }`,
      );
    }
  }
  if (fitting.length === 0 && faults.length === 0) {
    const known = columns.map(({ name }) => JSON.stringify(name)).join(", ");
    faults.push(
      `it has none of the columns that arrive, ${known}, and to discard all leaves nothing`,
    );
  }
  const arriving = new Set(columns.map(({ name }) => name));
  for (const { name, needed } of existing!.columns) {
    if (needed && !arriving.has(name)) {
      faults.push(`its column ${JSON.stringify(name)} must not be NULL, and the source has none`);
    }
  }
  if (faults.length > 0) {
    const hint = frozen
      ? `. Columns are frozen: ${option("evolution", "evolve")} adds and widens them, ${
        option("evolution", "discard")
      } leaves out those the table lacks`
      : "";
    throw new GiveUp(
      `Cannot load into table ${JSON.stringify(table)}: ${faults.join("; and ")}${hint}`,
    );
  }
  return { columns: fitting, direct, alter, types, values, losses };
}

function isSpelled(type: string): boolean {
  return type === "text" || type === "character varying";
}

/** Whether text that arrives is taken by a type as it is, or read as one. */
function isTaken(arrives: string, type: string): boolean {
  return TAKEN_BY[arrives]!.includes(type) || isReadOfText(type);
}

/** What is refused of a column that was blank at first: text that comes later, for a type that none is read as. */
function unreadable(name: string, type: string): Reason {
  return {
    condition: `${quoteName(name, "column")} IS NOT NULL`,
    state: "22P02",
    said:
      `a value of column ${JSON.stringify(name)} came behind those by which its type was told, ` +
      `which were all NULL, and no text is read as ${type}`,
    field: name,
  };
}

/** The clauses of ALTER TABLE that make columns of others, of the same names and narrower types. */
export function alterTypes(from: readonly Column[], to: readonly Column[]): string {
  const clauses = to.flatMap(({ name, type }, i) => {
    const was = from[i]!.type;
    if (was === type) return [];
    const column = quoteName(name, "column");
    const value = cast(column, longName(was), longName(type));
    return [`ALTER COLUMN ${column} TYPE ${typeName(type)} USING ${value}`];
  });
  return clauses.join(", ");
}

function longName(type: SqlType): string {
  return LONG_NAMES[type] ?? type;
}

/** The narrowest type that holds what a column has and what arrives; undefined where there is none. */
function widen(has: string, arrives: string): string | undefined {
  if (has === arrives) return has;
  const above = (type: string): string[] => [type, ...HELD_BY[type] ?? []];
  const both = above(arrives).filter((type) => above(has).includes(type));
  if (both.length > 0) return both[0];
  if (has === "character varying" && arrives === "text") return has;
  return SPELLED.includes(arrives) ? "text" : undefined;
}

/** Of a type into another: a float by way of the text that brings it back, since a cast rounds or respells it. */
function cast(value: string, from: string, to: string): string {
  if (from === to) return value;
  if (from === "text" && isReadOfText(to)) return `CAST(${value} AS ${typeName(to)})`;
  const viaText = ["numeric", "double precision"].includes(to) &&
    ["double precision", "real"].includes(from);
  if (viaText) return `CAST(CAST(${value} AS pg_catalog.text) AS ${to})`;
  return to === "text" ? `CAST(${value} AS pg_catalog.text)` : value;
}
