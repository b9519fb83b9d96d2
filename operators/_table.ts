import { GiveUp } from "../engine/mod.ts";
import type { SqlType } from "./_canonical.ts";
import { option } from "./_option.ts";

/** The most bytes a name may have (Postgres manual, appendix K). */
const MAX_NAME_BYTES = 63;

/** The most columns a table may have (the same). */
export const MAX_COLUMNS = 1600;

/** Quotes a name so that it is nothing but a name. @throws {GiveUp} for one that Postgres would cut or refuse */
export function quoteName(name: string, what: string): string {
  const shown = JSON.stringify(name);
  if (name === "") throw new GiveUp(`Cannot use "" as the name of a ${what}: it is empty`);
  if (name.includes("\0")) throw new GiveUp(`Cannot name a ${what} ${shown}: it holds a NUL byte`);
  const bytes = new TextEncoder().encode(name).length;
  if (bytes > MAX_NAME_BYTES) {
    throw new GiveUp(
      `Cannot name a ${what} ${shown}: it has ${bytes} bytes, and Postgres keeps ${MAX_NAME_BYTES}; ` +
        `give it a shorter name${
          what === "column" ? `, or have it cut: ${option("names", "mend")}` : ""
        }`,
    );
  }
  return `"${name.replaceAll('"', '""')}"`;
}

/** A table as people are told of it: with the schema that it was given with. */
export function named({ table, schema }: { table: string; schema?: string | undefined }): string {
  return JSON.stringify(schema === undefined ? table : `${schema}.${table}`);
}

/** The name of a table, quoted. */
export function quoted({ schema, name }: { schema: string; name: string }): string {
  return `${quoteName(schema, "schema")}.${quoteName(name, "table")}`;
}

/** The names of columns, quoted, in a list. */
export function nameList(columns: readonly { name: string }[]): string {
  return columns.map(({ name }) => quoteName(name, "column")).join(", ");
}

/** The list of columns for CREATE TABLE. @throws {GiveUp} for names or a number of them that Postgres would not take */
export function columnList(columns: readonly { name: string; type: SqlType }[]): string {
  if (columns.length > MAX_COLUMNS) {
    throw new GiveUp(
      `Cannot make a table of ${columns.length} columns: Postgres has at most ${MAX_COLUMNS}`,
    );
  }
  return columns.map(({ name, type }) => `${quoteName(name, "column")} ${typeName(type)}`)
    .join(", ");
}

/** The CREATE TABLE of a table with some columns, of which some may be its primary key. */
export function creating(
  table: { schema: string; name: string },
  columns: readonly { name: string; type: SqlType }[],
  key?: readonly string[],
): string {
  const primary = key ? `, PRIMARY KEY (${nameList(key.map((name) => ({ name })))})` : "";
  return `CREATE TABLE ${quoted(table)} (${columnList(columns)}${primary})`;
}

/** Types whose names are keywords of SQL; others are looked up along the search path, where anything may stand. */
const KEYWORDS = [
  "boolean",
  "character varying",
  "integer",
  "bigint",
  "smallint",
  "double precision",
  "numeric",
  "real",
];

/** How a type is written so that it is Postgres' own. */
export function typeName(type: string): string {
  return KEYWORDS.includes(type) || type.startsWith("timestamp ") ? type : `pg_catalog.${type}`;
}

/** A text as SQL, or NULL. Backslashes mean nothing: standard_conforming_strings is on in our sessions. */
export function literal(text: string | number | null | undefined): string {
  if (text === null || text === undefined) return "NULL";
  return typeof text === "number" ? String(text) : `'${text.replaceAll("'", "''")}'`;
}
