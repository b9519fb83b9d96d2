// @ts-types="@types/pg"
import type pg from "pg";
import { GiveUp } from "../engine/mod.ts";
import type { CopyOptions } from "./_copy_options.ts";
import type { Reason } from "./_reject.ts";
import type { Refusals } from "./_refusals.ts";
import { isBroken, RECORD, refuse, type Refused, refuseWhere } from "./_refuse.ts";
import type { Session } from "./_session.ts";
import type { Staging } from "./_stage.ts";
import { option } from "./_option.ts";
import { quoteName } from "./_table.ts";

/** A table of the session: rows that later ones of their keys took the place of, as long as those may be refused. */
export const BEATEN = "pg_temp.sluice_beaten";

/**
 * Leaves one row of each key in the staging table, the last; gives how many went, which {@linkcode revive} can bring back
 * where that is `tolerant`.
 *
 * @throws {GiveUp} where a key is NULL, or there twice when that is a fault
 */
export async function dedupe(
  client: pg.Client,
  staging: string,
  tolerant: boolean,
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
        `mend it, or let the last one win: ${option("duplicates", "last")}`,
    );
  }
  // Rows lie as they came: a COPY into a heap made in the same transaction fills page after page.
  const beaten =
    `DELETE FROM ${staging} AS s USING (SELECT ${keys}, max(ctid) AS last FROM ${staging}
       GROUP BY ${keys} HAVING count(*) > 1) AS d
     WHERE ${keys.map((key) => `s.${key} = d.${key}`).join(" AND ")} AND s.ctid <> d.last`;
  if (!tolerant) return (await client.query(beaten)).rowCount!;
  await client.query(`CREATE TEMPORARY TABLE sluice_beaten (LIKE ${staging}) ON COMMIT DROP`);
  const kept = await client.query(
    `WITH gone AS (${beaten} RETURNING s.*) INSERT INTO ${BEATEN} SELECT * FROM gone`,
  );
  return kept.rowCount!;
}

/** A query for the rows that those took the place of whose records are in the array "sluice:gone": for each the last first. */
export function heirsOf(staging: string, { on = [] }: CopyOptions): string {
  const same = on.map((name) => quoteName(name, "column")).map((key) => `s.${key} = b.${key}`);
  return `SELECT s.${RECORD} AS lost, b.${RECORD} AS record FROM ${staging} AS s JOIN ${BEATEN} AS b
    ON ${same.join(" AND ")} WHERE s.${RECORD} = ANY ("sluice:gone") ORDER BY 1, 2 DESC`;
}

/**
 * Brings back, of each key whose row was refused, the last one before it for which there is no reason to refuse it, too,
 * and that was not `tried` in vain; gives how many are not beaten any more.
 */
export async function revive(
  session: Session,
  staging: Staging,
  broken: readonly Reason[],
  tried: readonly Refused[],
  refusals: Refusals,
  { on = [] }: CopyOptions,
): Promise<number> {
  const keys = on.map((name) => quoteName(name, "column"));
  const same = (other: string) => keys.map((key) => `${other}.${key} = b.${key}`).join(" AND ");
  const good = broken.length === 0 ? "true" : `NOT coalesce(${isBroken(broken)}, false)`;
  const orphans = `(SELECT b.* FROM ${BEATEN} AS b JOIN (
      SELECT ${keys}, max(${RECORD}) FILTER (WHERE ${good}) AS last FROM ${BEATEN} GROUP BY ${keys}) AS k ON ${
    same("k")
  } WHERE b.${RECORD} >= coalesce(k.last, 0)
      AND NOT EXISTS (SELECT FROM ${staging.table} AS s WHERE ${same("s")}))`;
  const before = refusals.rejected;
  await refuse(session, { ...staging, table: BEATEN }, { by: RECORD }, tried, refusals);
  await refusals.takeOut(session, BEATEN, RECORD);
  if (broken.length > 0) {
    await refuseWhere(session, { ...staging, table: orphans }, broken, refusals);
    await refusals.takeOut(session, BEATEN, RECORD);
  }
  const back = await session.all(
    `WITH back AS (DELETE FROM ${BEATEN} WHERE ${RECORD} IN (SELECT ${RECORD} FROM ${orphans} AS orphans) RETURNING *)
     INSERT INTO ${staging.table} SELECT * FROM back`,
  );
  return refusals.rejected - before + back[0]!.rowCount!;
}
