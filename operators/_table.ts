// @ts-types="@types/pg"
import type pg from "pg";
import { GiveUp } from "../engine/mod.ts";
import type { SqlType } from "./_canonical.ts";

/** A column of a table. */
export interface TableColumn {
  readonly name: string;
  readonly type: string;
}

/** The most bytes a name may have, and columns a table (Postgres manual, appendix K). */
const MAX_NAME_BYTES = 63, MAX_COLUMNS = 1600;

/** Quotes a name so that it is nothing but a name. @throws {GiveUp} for one that Postgres would cut or refuse */
export function quoteName(name: string, what: string): string {
  const shown = JSON.stringify(name);
  if (name === "") throw new GiveUp(`Cannot use "" as the name of a ${what}: it is empty`);
  if (name.includes("\0")) throw new GiveUp(`Cannot name a ${what} ${shown}: it holds a NUL byte`);
  const bytes = new TextEncoder().encode(name).length;
  if (bytes > MAX_NAME_BYTES) {
    throw new GiveUp(
      `Cannot name a ${what} ${shown}: it has ${bytes} bytes, and Postgres keeps ${MAX_NAME_BYTES}; ` +
        `give it a shorter name`,
    );
  }
  return `"${name.replaceAll('"', '""')}"`;
}

/** The list of columns for CREATE TABLE. @throws {GiveUp} for names or a number of them that Postgres would not take */
export function columnList(columns: readonly { name: string; type: SqlType }[]): string {
  if (columns.length > MAX_COLUMNS) {
    throw new GiveUp(
      `Cannot make a table of ${columns.length} columns: Postgres has at most ${MAX_COLUMNS}`,
    );
  }
  return columns.map(({ name, type }) => `${quoteName(name, "column")} ${type}`).join(", ");
}

/** What stands under a table's name now. */
export interface Target {
  readonly schema: string;
  readonly name: string;
  /** Undefined where there is no such table yet. */
  readonly existing: {
    /** Whether others hold on to it, or the user has added to it, so that it must stay the same table. */
    readonly kept: boolean;
    readonly columns: readonly TableColumn[];
  } | undefined;
}

/** The target's name, quoted. */
export function quoted({ schema, name }: Pick<Target, "schema" | "name">): string {
  return `${quoteName(schema, "schema")}.${quoteName(name, "table")}`;
}

const KINDS: Readonly<Record<string, string>> = {
  v: "a view",
  m: "a materialized view",
  f: "a foreign table",
  i: "an index",
  S: "a sequence",
  c: "a type",
};

/**
 * Looks up what a table's name stands for, along the search path when no schema is given.
 *
 * @throws {GiveUp} when it is no table, or there is no such schema
 */
export async function findTarget(
  client: pg.Client,
  name: string,
  schema: string | undefined,
): Promise<Target> {
  const path = schema === undefined
    ? quoteName(name, "table")
    : `${quoteName(schema, "schema")}.${quoteName(name, "table")}`;
  const { rows: [row] } = await client.query(FIND, [path, schema ?? null]);
  if (row.schema === null) {
    throw new GiveUp(
      schema === undefined
        ? `Cannot make table ${JSON.stringify(name)}: no schema of the search path exists`
        : `Cannot make table ${JSON.stringify(name)}: schema ${
          JSON.stringify(schema)
        } does not exist`,
    );
  }
  if (row.kind === null) return { schema: row.schema, name, existing: undefined };
  if (row.kind !== "r" && row.kind !== "p") {
    throw new GiveUp(
      `Cannot load into ${JSON.stringify(name)}: it is ${KINDS[row.kind] ?? "no table"}`,
    );
  }
  return { schema: row.schema, name, existing: { kept: row.kept, columns: row.columns } };
}

// Kept are tables that something else refers to (a view, a foreign key, a publication), or that carry what a new
// table would not: grants, policies, triggers, constraints, indexes, defaults, comments, another owner.
const FIND = `
SELECT coalesce(n.nspname, f.schema) AS schema, c.relkind AS kind,
  c.relkind = 'p' OR c.relacl IS NOT NULL OR c.relrowsecurity OR c.reloptions IS NOT NULL
  OR c.relpersistence <> 'p' OR c.reltablespace <> 0 OR c.relhasindex OR c.relhastriggers OR c.relhasrules
  OR c.relispartition OR c.relhassubclass OR NOT pg_has_role(c.relowner, 'MEMBER')
  OR c.relowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user)
  OR EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid OR confrelid = c.oid)
  OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid OR inhparent = c.oid)
  OR EXISTS (SELECT FROM pg_publication_rel WHERE prrelid = c.oid)
  OR EXISTS (SELECT FROM pg_statistic_ext WHERE stxrelid = c.oid)
  OR EXISTS (SELECT FROM pg_description WHERE classoid = 'pg_class'::regclass AND objoid = c.oid)
  OR EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_class'::regclass AND refobjid = c.oid
             AND deptype IN ('n', 'a'))
  OR EXISTS (SELECT FROM pg_depend d JOIN pg_type t ON t.typrelid = c.oid
             WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid = t.oid AND d.deptype = 'n')
  OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
             AND (attnotnull OR atthasdef OR attacl IS NOT NULL OR attidentity <> '')) AS kept,
  (SELECT coalesce(json_agg(json_build_object('name', attname, 'type', format_type(atttypid, atttypmod)) ORDER BY attnum), '[]')
   FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns
FROM (SELECT coalesce((SELECT nspname FROM pg_namespace WHERE nspname = $2::text),
                      CASE WHEN $2::text IS NULL THEN current_schema() END) AS schema) f
LEFT JOIN pg_class c ON c.oid = CASE WHEN f.schema IS NOT NULL THEN to_regclass($1) END
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace`;

/** Types, beside its own, that take every value of a type as it is, or refuse it. */
const TAKEN_BY: Readonly<Partial<Record<SqlType, readonly string[]>>> = {
  "integer": ["smallint", "bigint", "numeric", "double precision", "text"],
  "bigint": ["integer", "smallint", "numeric", "text"],
  "date": ["timestamp without time zone", "text"],
  "text": ["character varying"],
};

/** What Postgres' format_type calls a type, where that is longer. */
const LONG_NAMES: Readonly<Partial<Record<SqlType, string>>> = {
  "timestamp": "timestamp without time zone",
  "timestamptz": "timestamp with time zone",
};

/**
 * Whether rows can be copied into a table as they are (`"same"`), or must be cast on the way (`"cast"`).
 *
 * @throws {GiveUp} naming the column that the table lacks, or whose type would change its values
 */
export function compareColumns(
  columns: readonly { name: string; type: SqlType }[],
  { name: table, existing }: Target,
): "same" | "cast" {
  const types = new Map(existing!.columns.map(({ name, type }) => [name, type]));
  let cast = false;
  for (const { name, type } of columns) {
    const has = types.get(name);
    if (has === undefined) {
      throw new GiveUp(
        `Cannot load into table ${JSON.stringify(table)}: it has no column ${
          JSON.stringify(name)
        }; its columns ` +
          `are ${[...types.keys()].map((known) => JSON.stringify(known)).join(", ")}`,
      );
    }
    const base = has.replace(/\(.*?\)/, "");
    if (base === (LONG_NAMES[type] ?? type)) continue;
    cast = true;
    if (TAKEN_BY[type]?.includes(base)) continue;
    throw new GiveUp(
      `Cannot load into table ${JSON.stringify(table)}: its column ${
        JSON.stringify(name)
      } is ${has}, what ` +
        `arrives is ${type}; declare the column's type, or change the table`,
    );
  }
  return cast ? "cast" : "same";
}
