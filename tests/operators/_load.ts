import assert from "node:assert/strict";
import {
  type Copied,
  copy,
  type CopyOptions,
  csv,
  type CsvOptions,
  type OnReject,
} from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import type { TestDatabase } from "../_postgres.ts";
import { chunked } from "./_read_csv.ts";

/** Options of {@linkcode load}. */
export type Load = Omit<CopyOptions, "table"> & {
  table?: string;
  types?: Record<string, string>;
  onReject?: OnReject;
};

/** Loads CSV into `t`; each time it is another load, unless it is given a key. */
export async function load(
  database: TestDatabase,
  text: string,
  { types = {}, onReject, ...options }: Load = {},
): Promise<Copied> {
  const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
  const batches = await perform(
    csv({ types, ...onReject && { onReject } } as CsvOptions),
    ctx,
    chunked(text),
  );
  return await perform(
    copy({ table: "t", key: crypto.randomUUID(), ...options } as CopyOptions),
    ctx,
    batches,
  );
}

/** The rows of a table, each as Postgres writes it. */
export async function rows(database: TestDatabase, table = "t"): Promise<string[]> {
  const all = await database.query<{ row: string }>(
    `SELECT whole::text AS row FROM ${table} AS whole`,
  );
  return all.map(({ row }) => row);
}

/** Checks that nothing of Sluice is left: no table, no session. */
export async function nothingLeft(database: TestDatabase): Promise<void> {
  const tables = await database.query("SELECT relname FROM pg_class WHERE relname LIKE 'sluice%'");
  assert.deepEqual(tables, []);
  let sessions: unknown[] = [];
  for (let tries = 0; tries < 500; tries++) {
    sessions = await database.query(
      "SELECT state, query FROM pg_stat_activity WHERE application_name LIKE 'sluice%' AND datname = current_database()",
    );
    if (sessions.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(sessions, []);
}
