// @ts-types="@types/pg"
import type pg from "pg";
import { type Connection, GiveUp, type Json } from "../engine/mod.ts";
import { connect, disconnect } from "./_connect.ts";
import { REJECTS_COMMENT, rejectsComment, rejectsName } from "./_reject_table.ts";
import type { RejectRule } from "./_reject.ts";
import { literal, quoted } from "./_table.ts";
import { readTarget, type Target, targetQuery } from "./_target.ts";

/** A table that has rejects, and how many. */
export interface RejectTable {
  /** Its schema. */
  readonly schema: string;
  /** Its name. */
  readonly table: string;
  /** The table that has them, in the same schema. */
  readonly rejects: string;
  /** How many wait to be replayed. */
  readonly waiting: number;
  /** How many were. */
  readonly replayed: number;
  /** How many of those that wait broke each rule. */
  readonly rules: Readonly<Partial<Record<RejectRule, number>>>;
  /** Of how many loads they are. */
  readonly loads: number;
  /** When the last one was refused: an ISO string in UTC. */
  readonly last: string | null;
}

/** Who waits for the database. */
export interface RejectsOptions {
  /** Gives up. */
  readonly signal?: AbortSignal;
}

/** Lists the tables of a database that have rejects we may see. @throws {Error} when it cannot be reached */
export async function listRejectTables(
  connection: Connection,
  { signal = new AbortController().signal }: RejectsOptions = {},
): Promise<RejectTable[]> {
  const client = await connect(connection, { signal });
  try {
    const { rows: tables } = await client.query(TABLES);
    const found: RejectTable[] = [];
    for (const { schema, rejects, comment } of tables) {
      const table = await ownerOf(client, schema, rejects, comment);
      if (table === undefined) continue;
      const { rows: [counts] } = await client.query(COUNTS(quoted({ schema, name: rejects })));
      found.push({ schema, table, rejects, ...counts });
    }
    return found;
  } finally {
    await disconnect(client);
  }
}

const TABLES = `
SELECT n.nspname AS schema, c.relname AS rejects, d.description AS comment
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_description d
  ON d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0
WHERE c.relkind = 'r' AND pg_catalog.starts_with(d.description, ${literal(REJECTS_COMMENT)})
  AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
ORDER BY 1, 2`;

const COUNTS = (table: string) => `
SELECT coalesce(pg_catalog.sum(n) FILTER (WHERE NOT done), 0)::pg_catalog.float8 AS waiting,
  coalesce(pg_catalog.sum(n) FILTER (WHERE done), 0)::pg_catalog.float8 AS replayed,
  coalesce(pg_catalog.json_object_agg(rule, n) FILTER (WHERE NOT done), '{}') AS rules,
  (SELECT pg_catalog.count(DISTINCT load)::pg_catalog.float8 FROM ${table}) AS loads,
  (SELECT ${iso("pg_catalog.max(refused)")} FROM ${table}) AS last
FROM (SELECT rule, replayed IS NOT NULL AS done, pg_catalog.count(*) AS n FROM ${table} GROUP BY 1, 2) AS r`;

/** The table whose rejects another one has, if its comment is ours. */
async function ownerOf(
  client: pg.Client,
  schema: string,
  rejects: string,
  comment: string,
): Promise<string | undefined> {
  const { rows: [{ parts }] } = await client.query(
    `SELECT pg_catalog.parse_ident($1, false) AS parts`,
    [comment.slice(REJECTS_COMMENT.length)],
  ).catch(() => ({ rows: [{ parts: [] }] }));
  const [of, table] = parts as string[];
  if (of === undefined || table === undefined) return undefined;
  const ours = rejectsName(table) === rejects &&
    rejectsComment({ schema: of, name: table }) === comment;
  return ours && of === schema ? table : undefined;
}

/** Which rejects to list. */
export interface ListRejectsOptions extends RejectsOptions {
  /** Of this table. */
  readonly table: string;
  /** Its schema. @default the first of the search path that has it */
  readonly schema?: string;
  /** Only those behind the one of this id. */
  readonly after?: string;
  /** At most so many. @default {100} */
  readonly limit?: number;
  /** Those that were replayed, too. @default {false} */
  readonly all?: boolean;
}

/** A record that was refused. Moments are ISO strings in UTC. */
export interface ListedReject {
  /** Grows from one to the next. */
  readonly id: string;
  /** The key of the load that refused it. */
  readonly load: string;
  /** Whose attempt that was: DAG, run, task and attempt. */
  readonly run: string;
  /** Where it came from, without secrets. */
  readonly source: string | null;
  /** Which record of the source it was, from 1. */
  readonly record: number;
  /** The line on which it begins. */
  readonly line: number | null;
  /** The byte at which it begins … */
  readonly from: number | null;
  /** … and the one behind it. */
  readonly to: number | null;
  /** The column that was at fault. */
  readonly column: string | null;
  /** What it broke. */
  readonly rule: RejectRule;
  /** Why, in a sentence. */
  readonly message: string;
  /** As it stood in the source. */
  readonly raw: string;
  /** The same in base64, where text cannot hold it. */
  readonly bytes: string | null;
  /** Its values by column, as far as they could be told apart. */
  readonly row: Readonly<Record<string, Json>> | null;
  /** When it was refused. */
  readonly refused: string;
  /** When it was replayed. */
  readonly replayed: string | null;
}

/**
 * Lists the rejects of a table, the oldest first; none where none were ever kept.
 *
 * @throws {GiveUp} when there is no such table
 */
export async function listRejects(
  connection: Connection,
  options: ListRejectsOptions,
): Promise<ListedReject[]> {
  const { after = "0", limit = 100, all = false, signal = new AbortController().signal } = options;
  const client = await connect(connection, { signal });
  try {
    const table = await rejectsOf(client, await findTable(client, options));
    if (table === undefined) return [];
    const { rows } = await client.query(
      `SELECT id::pg_catalog.text, load, run, source, record::pg_catalog.float8, line::pg_catalog.float8,
         from_byte::pg_catalog.float8 AS "from", to_byte::pg_catalog.float8 AS "to", column_name AS "column",
         rule, message, raw, pg_catalog.replace(pg_catalog.encode(bytes, 'base64'), E'\\n', '') AS bytes, "row",
         ${iso("refused")} AS refused, ${iso("replayed")} AS replayed
       FROM ${table} WHERE id > $1 AND ($2 OR replayed IS NULL) ORDER BY ${table}.id LIMIT $3`,
      [after, all, limit],
    );
    return rows;
  } finally {
    await disconnect(client);
  }
}

/** The names of a table's columns: what a corrected row can have. @throws {GiveUp} when there is no such table */
export async function columnsOf(
  connection: Connection,
  options: Pick<ListRejectsOptions, "table" | "schema" | "signal">,
): Promise<string[]> {
  const { signal = new AbortController().signal } = options;
  const client = await connect(connection, { signal });
  try {
    const { existing } = await findTable(client, options);
    return existing!.columns.filter(({ generated }) => !generated).map(({ name }) => name);
  } finally {
    await disconnect(client);
  }
}

/** Finds a table, and refuses what is none. @throws {GiveUp} */
export async function findTable(
  client: pg.Client,
  { table, schema }: { table: string; schema?: string | undefined },
): Promise<Target> {
  const { rows: [row] } = await client.query(targetQuery(table, schema));
  const target = readTarget(row, table, schema);
  if (target.existing) return target;
  throw new GiveUp(`Cannot find the rejects of ${JSON.stringify(table)}: there is no such table`);
}

/** The table that has the rejects of a table, quoted; undefined where there is none. */
export async function rejectsOf(client: pg.Client, target: Target): Promise<string | undefined> {
  const table = quoted({ schema: target.schema, name: rejectsName(target.name) });
  const { rows: [{ comment }] } = await client.query(
    `SELECT pg_catalog.obj_description(pg_catalog.to_regclass($1), 'pg_class') AS comment`,
    [table],
  );
  return comment === rejectsComment(target) ? table : undefined;
}

/** A moment as JavaScript writes it. */
function iso(moment: string): string {
  return `pg_catalog.to_char(${moment} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}
