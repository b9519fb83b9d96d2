// @ts-types="@types/pg"
import type pg from "pg";
import { type Ledger, lockKey } from "./_ledger.ts";
import { literal, quoted } from "./_table.ts";

/** A name that no other load has. */
export function stagingName(): string {
  return `sluice_${crypto.randomUUID().replaceAll("-", "")}`;
}

/**
 * Writes down a staging table that is to be committed, so that it can be cleared up when this session is no more: it
 * holds a lock of its name as long as it lives.
 */
export function registerStaging(
  staging: string,
  { target, key }: Ledger,
  fence: string,
  plan?: string,
): string {
  const texts = [staging, target, key, plan].map(literal);
  return `SELECT pg_catalog.pg_advisory_lock(${lockKey(staging)});
    INSERT INTO sluice.staging (name, target, load_key, plan, fence, began)
    VALUES (${texts.join(", ")}, ${fence}, pg_catalog.clock_timestamp())`;
}

/** How long the rows of a dead attempt are kept for the next one at its load. */
export const KEPT = "1 day";

/** Drops a staging table, and strikes it off. */
export function dropStaging(staging: string): string {
  return `DROP TABLE IF EXISTS ${staging}; ${unregisterStaging(staging)}`;
}

/** Strikes a staging table off, in the transaction in which it goes. */
export function unregisterStaging(staging: string): string {
  return `DELETE FROM sluice.staging WHERE name = ${literal(staging)}`;
}

/**
 * Drops the committed staging tables of attempts that are dead, as far as that can be done at once; not those yet that
 * another attempt may go on with. Returns their names.
 */
export async function dropLeftovers(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query(
    `SELECT s.name, pg_catalog.to_regclass(s.name) IS NOT NULL AS there FROM sluice.staging AS s
     WHERE s.kept_until IS NULL OR s.kept_until < pg_catalog.clock_timestamp()`,
  );
  const dropped: string[] = [];
  for (const { name, there } of rows as { name: string; there: boolean }[]) {
    try {
      await client.query("BEGIN; SET LOCAL lock_timeout = '100ms'");
      const { rows: [dead] } = await client.query(
        `SELECT pg_catalog.pg_try_advisory_xact_lock(${lockKey(name)}) AS sure`,
      );
      if (dead.sure) {
        await client.query(
          `${there ? `DROP TABLE IF EXISTS ${name};` : ""} ${unregisterStaging(name)}`,
        );
      }
      await client.query("COMMIT");
      if (dead.sure) dropped.push(name);
    } catch (error) {
      if (!("severity" in (error as Error))) throw error;
      await client.query("ROLLBACK"); // another's, or in use after all: the next load tries again
    }
  }
  return dropped;
}

/** The name of a staging table, quoted, in the target's schema or among the temporary ones. */
export function stagingTable(schema: string | undefined): string {
  return quoted({ schema: schema ?? "pg_temp", name: stagingName() });
}
