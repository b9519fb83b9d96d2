import { GiveUp } from "../engine/mod.ts";
import type { CopyOptions } from "./_copy_options.ts";
import { option } from "./_option.ts";
import { named, quoteName } from "./_table.ts";

/** Says in a sentence what the server refused a role, or how the connection was `lost`, what is left behind, what to do. */
export function explain(
  error: unknown,
  options: CopyOptions,
  role: string | undefined,
  lost: Error | undefined,
): unknown {
  if (error instanceof GiveUp || !(error instanceof Error)) return error;
  const what = `Cannot load into ${named(options)}`;
  if (!("severity" in error)) {
    if (!lost) return error;
    return new Error(
      `${what}: the connection with Postgres was lost (${lost.message}). The server rolls back what was not ` +
        `committed; try again`,
      { cause: error },
    );
  }
  const { message, detail, hint, code, where } = error as
    & Error
    & Record<string, string | undefined>;
  const more = [detail, hint].filter(Boolean).map((text) => ` ${text}`).join("");
  // A COPY tells where it was: "COPY t, line 2, column b".
  const [, column] = /^COPY .*, column ([^\n:]+)/.exec(where ?? "") ?? [];
  const place = column === undefined ? "" : `, in column ${JSON.stringify(column)}`;
  const grant = code === "42501" && role !== undefined && grantFor(message, options, role);
  const next = code === "22P05"
    ? `. Load into a database in UTF8, or let such rows be kept aside: ${
      option("onReject", "keep")
    }`
    : grant
    ? `. What is missing: ${grant}`
    : "";
  return new Error(
    `${what}: Postgres says: ${message} (${code})${place}.${more} All was rolled back: the table is as it was${next}`,
    { cause: error },
  );
}

/** What each mode takes of a table that is there. */
const RIGHTS: Readonly<Record<NonNullable<CopyOptions["mode"]>, string>> = {
  replace: "SELECT, INSERT, DELETE",
  append: "SELECT, INSERT",
  merge: "SELECT, INSERT, UPDATE",
  partition: "SELECT, INSERT, DELETE",
};

/** The GRANT without which the server said no, where what it said names the table or a schema. */
function grantFor(
  message: string,
  { table, schema, mode = "replace", deleteMissing }: CopyOptions,
  role: string,
): string | undefined {
  const [, kind, name] = /^permission denied for (table|schema) (.+)$/.exec(message) ?? [];
  const to = `TO ${quoteName(role, "role")}`;
  if (kind === "schema") {
    return `GRANT USAGE, CREATE ON SCHEMA ${quoteName(name!, "schema")} ${to}`;
  }
  if (kind === undefined || name !== table) return undefined;
  const path = schema === undefined ? "" : `${quoteName(schema, "schema")}.`;
  const rights = `${RIGHTS[mode]}${mode === "merge" && deleteMissing ? ", DELETE" : ""}`;
  return `GRANT ${rights} ON ${path}${quoteName(table, "table")} ${to}`;
}
