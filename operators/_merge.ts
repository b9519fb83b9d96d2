import { GiveUp } from "../engine/mod.ts";
import type { CopyOptions } from "./_copy_options.ts";
import type { Fit } from "./_evolve.ts";
import type { Reason } from "./_reject.ts";
import { named, quoted, quoteName, typeName } from "./_table.ts";
import { rowsOf, type Target } from "./_target.ts";

/** Refuses keys the source lacks. @throws {GiveUp} naming the column */
export function checkKey(
  columns: readonly { name: string }[],
  options: CopyOptions,
  who = "the source has",
): void {
  const { on = [] } = options, names = columns.map(({ name }) => name);
  const missing = on.find((name) => !names.includes(name));
  if (missing === undefined) return;
  throw new GiveUp(
    `Cannot merge into ${named(options)} on column ${JSON.stringify(missing)}: ${who} ` +
      `${names.map((name) => JSON.stringify(name)).join(", ")}`,
  );
}

/** Rows that a merge cannot take: their keys are equal to nothing. */
export function keyless({ on = [] }: CopyOptions): Reason[] {
  return on.map((name) => ({
    condition: `${quoteName(name, "column")} IS NULL`,
    state: "23502",
    said: `null value in column ${JSON.stringify(name)}, by which rows are merged`,
    field: name,
  }));
}

/** What merges a staging table into a table: only rows that change are touched, and columns the source lacks stay. */
export function mergeSteps(
  target: Target,
  staging: string,
  { columns, values, types }: Fit,
  { on = [], deleteMissing = false }: CopyOptions,
): string[] {
  const names = columns.map(({ name }) => quoteName(name, "column"));
  const keys = columns.flatMap(({ name }, i) => on.includes(name) ? [i] : []);
  const others = columns.flatMap(({ name }, i) => on.includes(name) ? [] : [i]);
  const same = keys.map((i) => `t.${names[i]} = s.${names[i]}`).join(" AND ");
  const cast = names.map((name, i) => `CAST(${values[i]} AS ${typeName(types[i]!)}) AS ${name}`)
    .join(", ");
  const source = `(SELECT ${cast} FROM ${staging}) AS s`;
  const table = `${rowsOf(target)} AS t`;
  return [
    ...others.length === 0 ? [] : [
      `UPDATE ${table} SET ${others.map((i) => `${names[i]} = s.${names[i]}`).join(", ")}
       FROM ${source} WHERE ${same}
       AND (${others.map((i) => `t.${names[i]} IS DISTINCT FROM s.${names[i]}`).join(" OR ")})`,
    ],
    `INSERT INTO ${quoted(target)} (${names.join(", ")}) OVERRIDING SYSTEM VALUE
     SELECT ${names.map((name) => `s.${name}`).join(", ")} FROM ${source}
     WHERE NOT EXISTS (SELECT FROM ${table} WHERE ${same})`,
    ...deleteMissing
      ? [`DELETE FROM ${table} WHERE NOT EXISTS (SELECT FROM ${source} WHERE ${same})`]
      : [],
  ];
}
