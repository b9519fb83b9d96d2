// @ts-types="@types/pg"
import type pg from "pg";
import { GiveUp } from "../engine/mod.ts";
import type { CopyOptions } from "./_copy_options.ts";
import type { Fit } from "./_evolve.ts";
import type { Reason } from "./_reject.ts";
import { quoted, quoteName, typeName } from "./_table.ts";
import { rowsOf, type Target } from "./_target.ts";

/** Refuses keys the source lacks. @throws {GiveUp} naming the column */
export function checkKey(
  columns: readonly { name: string }[],
  { table, on = [] }: CopyOptions,
): void {
  const names = columns.map(({ name }) => name);
  const missing = on.find((name) => !names.includes(name));
  if (missing === undefined) return;
  throw new GiveUp(
    `Cannot merge into ${JSON.stringify(table)} on column ${
      JSON.stringify(missing)
    }: the source has ` +
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

/**
 * Leaves one row of each key in the staging table, the last; gives how many went.
 *
 * @throws {GiveUp} where a key is NULL, or there twice when that is a fault
 */
export async function dedupe(
  client: pg.Client,
  staging: string,
  { table, on = [], duplicates = "last" }: CopyOptions,
): Promise<number> {
  const keys = on.map((name) => quoteName(name, "column"));
  const shown = on.map((name) => JSON.stringify(name)).join(", ");
  const { rows: [nulls] } = await client.query(
    `ANALYZE ${staging}; SELECT count(*)::pg_catalog.int4 AS n FROM ${staging}
     WHERE ${keys.map((key) => `${key} IS NULL`).join(" OR ")}`,
  ).then((results) => (results as unknown as pg.QueryResult[])[1]!);
  if (nulls.n > 0) {
    throw new GiveUp(
      `Cannot merge into ${
        JSON.stringify(table)
      } on ${shown}: ${nulls.n} rows of the source have NULL there, ` +
        `which is equal to nothing`,
    );
  }
  if (duplicates === "fail") {
    const { rows: [twice] } = await client.query(
      `SELECT pg_catalog.json_build_array(${keys})::pg_catalog.text AS key, count(*)::pg_catalog.int4 AS n
       FROM ${staging} GROUP BY ${keys} HAVING count(*) > 1 LIMIT 1`,
    );
    if (!twice) return 0;
    throw new GiveUp(
      `Cannot merge into ${
        JSON.stringify(table)
      } on ${shown}: the source has ${twice.key} ${twice.n} times; ` +
        `mend it, or let the last one win (duplicates)`,
    );
  }
  // Rows lie as they came: a COPY into a heap made in the same transaction fills page after page.
  const { rowCount } = await client.query(
    `DELETE FROM ${staging} AS s USING (SELECT ${keys}, max(ctid) AS last FROM ${staging}
       GROUP BY ${keys} HAVING count(*) > 1) AS d
     WHERE ${keys.map((key) => `s.${key} = d.${key}`).join(" AND ")} AND s.ctid <> d.last`,
  );
  return rowCount ?? 0;
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
