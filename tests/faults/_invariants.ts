import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestDatabase } from "../_postgres.ts";
import type { Made } from "./_made.ts";

/** What may be found after a fault. */
export interface State {
  /** The files whose rows are in the table, each of them whole; undefined where there is to be no table. */
  readonly table: readonly Made[] | undefined;
  /** The loads that the ledger has, in the order of their fences. */
  readonly ledger: readonly Made[];
}

/** What else to look at. */
export interface Look {
  /** @default {"t"} */
  readonly table?: string;
  /** Whether what a dead process had committed may still be there, until the next load. @default {false} */
  readonly leftovers?: boolean;
}

/**
 * Checks what must hold after any fault: the table is in one of these states, whole, with as many rows as the ledger says
 * and the files have; nobody is left at work, and nothing is left behind. Returns which of the states it is.
 */
export async function invariants(
  database: TestDatabase,
  states: readonly State[],
  { table = "t", leftovers = false }: Look = {},
): Promise<number> {
  const { made, kept, staging } = await over(database, table);
  const [found] = await database.query<{ table: unknown; ledger: unknown; staging: string[] }>(
    `SELECT ${made ? contents(table) : "NULL"} AS table, ${kept ? ledger(table) : "'[]'"} AS ledger,
       ${kept ? "(SELECT json_agg(name) FROM sluice.staging)" : "NULL"} AS staging`,
  );
  const wanted = states.map(({ table, ledger }) => ({
    table: table?.map(({ version, rows, md5 }) => ({ version, rows, md5 })) ?? null,
    ledger: ledger.map(({ key, rows }) => ({ key, rows })),
  }));
  const { staging: written, ...state } = found!;
  const which = wanted.findIndex((one) => same(one, state));
  if (which < 0) assert.deepEqual(state, wanted.length === 1 ? wanted[0] : wanted);
  if (!leftovers) {
    assert.deepEqual({ staging, written }, { staging: null, written: null }, "was left behind");
  }
  return which;
}

interface Overview {
  readonly sessions: unknown[] | null;
  readonly made: boolean;
  readonly kept: boolean;
  /** Staging tables that there are. */
  readonly staging: string[] | null;
}

/** Waits until no session of ours is at work any more; gives what there is then. */
async function over(database: TestDatabase, table: string): Promise<Overview> {
  let found: Overview | undefined;
  for (const end = performance.now() + 60_000; performance.now() < end;) {
    [found] = await database.query<Overview>(
      `SELECT to_regclass($1) IS NOT NULL AS made, to_regclass('sluice.loads') IS NOT NULL AS kept,
         (SELECT json_agg(oid::regclass) FROM pg_class WHERE relkind IN ('r', 'p') AND relname LIKE 'sluice\\_%') AS staging,
         (SELECT json_agg(query) FROM pg_stat_activity
          WHERE application_name LIKE 'sluice%' AND datname = current_database()) AS sessions`,
      [table],
    );
    if (found!.sessions === null) return found!;
    await sleep(20);
  }
  return assert.fail(`sessions are still there: ${JSON.stringify(found)}`);
}

function contents(table: string): string {
  return `(SELECT coalesce(json_agg(one ORDER BY version), '[]') FROM
    (SELECT v AS version, count(*) AS rows, md5(string_agg(note, ',' ORDER BY n)) AS md5 FROM ${table} GROUP BY v) AS one)`;
}

function ledger(table: string): string {
  return `(SELECT coalesce(json_agg(one), '[]') FROM
    (SELECT load_key AS key, rows FROM sluice.loads WHERE target = '"public"."${table}"' ORDER BY fence) AS one)`;
}

function same(a: unknown, b: unknown): boolean {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch {
    return false;
  }
}
