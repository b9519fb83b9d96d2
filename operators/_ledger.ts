import { createHash } from "node:crypto";
// @ts-types="@types/pg"
import type pg from "pg";
import type { Context } from "../engine/mod.ts";
import type { Column, CopyOptions } from "./_copy_options.ts";
import { BEGIN, type Session } from "./_session.ts";
import { literal, quoted, quoteName } from "./_table.ts";
import { rowsOf, type Target } from "./_target.ts";

/** What the ledger says of a load. */
export interface Entry {
  readonly fence: string;
  readonly rows: number;
  readonly rejected: number;
  readonly validator: string | null;
  readonly sha256: string | null;
  /** A hash of how the rows were made of the source; null where that was not known. */
  readonly way: string | null;
  /** The table that they went into; null where an older version has written it. */
  readonly oid: string | null;
  /** SHA-256 of the rows as they were copied. */
  readonly digest: string | null;
  readonly committed: string;
}

/** What is to be written of a load. */
export interface Loaded extends Pick<Entry, "rows" | "rejected" | "digest"> {
  readonly fence: string;
  readonly columns: readonly Column[];
  /** The table that has its rows, as SQL has it. */
  readonly table: string;
  /** The entry of this load that does not count any more, as its rows are gone. */
  readonly instead: Entry | null;
}

/**
 * A query for what stands in the way of the ledger, the tables of schema `sluice`: its columns are what
 * {@linkcode grants} takes.
 */
export const LOOK = `
SELECT pg_catalog.current_database() AS database, current_user AS role,
  pg_catalog.current_setting('server_encoding') AS encoding,
  pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS "createsSchema",
  n.oid IS NOT NULL AS schema, pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS "usesSchema",
  pg_catalog.has_schema_privilege(n.oid, 'CREATE') AS "createsTables",
  count(c.oid) = 3 AND pg_catalog.bool_or(EXISTS (SELECT FROM pg_catalog.pg_attribute
    WHERE attrelid = c.oid AND attname = 'kept_until')) AND pg_catalog.bool_or(EXISTS (SELECT FROM pg_catalog.pg_attribute
    WHERE attrelid = c.oid AND c.relname = 'loads' AND attname = 'way')) AS made,
  coalesce(pg_catalog.bool_and(pg_catalog.has_sequence_privilege(c.oid, 'USAGE')) FILTER (WHERE c.relkind = 'S'), true)
    AS draws,
  coalesce(pg_catalog.bool_and(pg_catalog.has_table_privilege(c.oid, 'SELECT')
    AND pg_catalog.has_table_privilege(c.oid, 'INSERT') AND pg_catalog.has_table_privilege(c.oid, 'UPDATE')
    AND (c.relname = 'loads' OR pg_catalog.has_table_privilege(c.oid, 'DELETE'))) FILTER (WHERE c.relkind = 'r'), true)
    AS writes
FROM (VALUES (1)) AS one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'sluice'
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname IN ('loads', 'fence', 'staging')
GROUP BY n.oid`;

/** The answer to {@linkcode LOOK}. */
export interface Look {
  readonly database: string;
  readonly role: string;
  readonly encoding: string;
  readonly createsSchema: boolean;
  readonly schema: boolean;
  readonly usesSchema: boolean;
  readonly createsTables: boolean;
  readonly made: boolean;
  readonly draws: boolean;
  readonly writes: boolean;
}

/** The GRANTs without which there is no ledger; none where there is one or can be. */
export function grants(look: Look): string[] {
  const to = ` TO ${quoteName(look.role, "role")}`;
  if (!look.schema) {
    return look.createsSchema
      ? []
      : [`GRANT CREATE ON DATABASE ${quoteName(look.database, "database")}${to}`];
  }
  return [
    ...look.usesSchema ? [] : [`GRANT USAGE ON SCHEMA sluice${to}`],
    ...look.made || look.createsTables ? [] : [`GRANT CREATE ON SCHEMA sluice${to}`],
    ...look.draws ? [] : [`GRANT USAGE ON SEQUENCE sluice.fence${to}`],
    ...look.writes
      ? []
      : [`GRANT SELECT, INSERT, UPDATE, DELETE ON sluice.loads, sluice.staging${to}`],
  ];
}

/** Makes what is missing of the ledger, in a transaction of its own. */
export async function makeLedger(client: pg.Client): Promise<void> {
  try {
    await client.query(`${BEGIN}; SET LOCAL lock_timeout = '90s';
      SELECT pg_catalog.pg_advisory_xact_lock(${lockKey("sluice")})`);
    // Somebody may just have made it, whose load reads it now: to change it would be to wait for that load's end.
    const [look] = (await client.query<Look>(LOOK)).rows;
    if (!look!.made) {
      await client.query(`${look!.schema ? "" : "CREATE SCHEMA IF NOT EXISTS sluice;"} ${TABLES}`);
    }
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    throw error;
  }
}

const TABLES = `
CREATE SEQUENCE IF NOT EXISTS sluice.fence;
CREATE TABLE IF NOT EXISTS sluice.loads (
  target pg_catalog.text NOT NULL, load_key pg_catalog.text NOT NULL,
  fence bigint NOT NULL, mode pg_catalog.text NOT NULL, attempt pg_catalog.text NOT NULL,
  rows bigint NOT NULL, bytes bigint NOT NULL,
  source_url pg_catalog.text, validator pg_catalog.text, sha256 pg_catalog.text, digest pg_catalog.text,
  columns pg_catalog.jsonb NOT NULL,
  began pg_catalog.timestamptz NOT NULL, committed pg_catalog.timestamptz NOT NULL,
  PRIMARY KEY (target, load_key));
ALTER TABLE sluice.loads ADD COLUMN IF NOT EXISTS rejected bigint NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS table_oid pg_catalog.oid, ADD COLUMN IF NOT EXISTS way pg_catalog.text,
  ADD COLUMN IF NOT EXISTS unverified boolean NOT NULL DEFAULT false;
CREATE TABLE IF NOT EXISTS sluice.staging (
  name pg_catalog.text PRIMARY KEY, target pg_catalog.text NOT NULL, fence bigint NOT NULL,
  began pg_catalog.timestamptz NOT NULL);
ALTER TABLE sluice.staging ADD COLUMN IF NOT EXISTS load_key pg_catalog.text, ADD COLUMN IF NOT EXISTS plan pg_catalog.text,
  ADD COLUMN IF NOT EXISTS rows bigint, ADD COLUMN IF NOT EXISTS bytes bigint,
  ADD COLUMN IF NOT EXISTS digest pg_catalog.text, ADD COLUMN IF NOT EXISTS kept_until pg_catalog.timestamptz`;

/** The number of an advisory lock, made of what it is for. */
export function lockKey(what: string): string {
  return `pg_catalog.hashtextextended(${literal(what)}, 7253)`;
}

const ENTRY =
  `pg_catalog.json_build_object('fence', fence::pg_catalog.text, 'rows', rows, 'rejected', rejected,
  'validator', validator, 'sha256', sha256, 'way', way, 'oid', table_oid::pg_catalog.text,
  'digest', digest, 'committed', committed)`;

/** The lines of one load in the ledger: of a key, in a table. */
export class Ledger {
  readonly target: string;
  readonly key: string;
  /** Whether the next attempt at the load has the same key. */
  readonly recurs: boolean;
  readonly #options: CopyOptions;
  readonly #ctx: Context;

  constructor(target: { schema: string; name: string }, options: CopyOptions, ctx: Context) {
    this.target = quoted(target);
    const place = keyOf(ctx);
    this.recurs = options.key !== undefined || place !== undefined;
    this.key = options.key ?? place ?? crypto.randomUUID();
    this.#options = options;
    this.#ctx = ctx;
  }

  /** Begins an attempt: draws its fence, and looks for what is there of its load. */
  get begin(): string {
    const { mode = "replace", ifUnchanged } = this.#options;
    const mine = `target = ${literal(this.target)}`;
    const last = (what: string) =>
      `${what} = (SELECT max(${what}) FROM sluice.loads WHERE ${mine})`;
    const named = `WHERE ${mine} AND load_key = ${literal(this.key)}`;
    // Another load may have changed what this one made of the table: then it is not there already.
    const prior = mode === "append"
      ? named
      : ifUnchanged !== "skip"
      ? "WHERE false"
      : mode === "replace"
      ? `WHERE ${mine} AND mode = 'replace' AND ${last("fence")} AND ${last("committed")}`
      : `${named} AND mode = ${literal(mode)}
         AND NOT EXISTS (SELECT FROM sluice.loads AS o WHERE o.${mine} AND o.mode = 'replace'
           AND (o.committed > loads.committed OR o.fence > loads.fence))`;
    return `SELECT pg_catalog.nextval('sluice.fence')::pg_catalog.text AS fence,
      (SELECT ${ENTRY} FROM sluice.loads ${prior}) AS prior,
      EXISTS (SELECT FROM sluice.staging) AS leftovers, pg_catalog.clock_timestamp()::pg_catalog.text AS began`;
  }

  /** Waits for other loads into the table that are about to commit. */
  get turn(): string {
    return `SELECT pg_catalog.pg_advisory_xact_lock(${lockKey(this.target)})`;
  }

  /** Writes the load down, unless a younger attempt has done so, or it is appended and somebody has. */
  record(
    { fence, rows, rejected, digest, columns, table, instead }: Loaded,
    began: string,
  ): string {
    const { mode = "replace" } = this.#options;
    const { dag, run, task, attempt } = this.#ctx;
    const { url, validator, sha256, way, bytes, unverified } = sourceOf(this.#options, this.#ctx);
    const values = [
      ...[this.target, this.key].map(literal),
      fence,
      ...[mode, `${dag}/${run}/${task}/${attempt}`].map(literal),
      rows,
      rejected,
      bytes,
      ...[url, validator, sha256, way].map(literal),
      unverified,
      `pg_catalog.to_regclass(${literal(table)})::pg_catalog.oid`,
      ...[digest, JSON.stringify(columns), began].map(literal),
      "pg_catalog.clock_timestamp()",
    ];
    const names =
      "fence, mode, attempt, rows, rejected, bytes, source_url, validator, sha256, way, unverified, " +
      "table_oid, digest, columns, began, committed";
    const update = names.split(", ").map((name) => `${name} = excluded.${name}`).join(", ");
    const older = mode !== "append"
      ? "l.fence < excluded.fence"
      : instead
      ? `l.fence = ${instead.fence}`
      : "false";
    return `INSERT INTO sluice.loads AS l (target, load_key, ${names}) VALUES (${values.join(", ")})
      ON CONFLICT (target, load_key) DO UPDATE SET ${update} WHERE ${older}`;
  }

  /** Puts the record right where the database refused rows. */
  mend({ rows, rejected }: Pick<Loaded, "rows" | "rejected">): string {
    return `UPDATE sluice.loads SET rows = ${rows}, rejected = ${rejected}
      WHERE target = ${literal(this.target)} AND load_key = ${literal(this.key)}`;
  }

  /** What is written now. */
  get read(): string {
    return `SELECT ${ENTRY} AS entry FROM sluice.loads
      WHERE target = ${literal(this.target)} AND load_key = ${literal(this.key)}`;
  }
}

/** Names the load of a task by its place in a DAG; undefined outside of one. */
export function keyOf(ctx: Context & { index?: number | undefined }): string | undefined {
  const { dag, run, task, date, index } = ctx;
  if (dag === task && run === task) return undefined; // work performed alone has one name for all
  return `${dag}/${task}/${date.toInstant()}${index === undefined ? "" : `/${index}`}`;
}

/**
 * Whether what an earlier load has brought counts as there: in its table, whatever became of the rows since, as a reader
 * may take them out; or in another one that has rows, as after a dump and a restore. In none, or in another one that is
 * empty, it is not.
 */
export async function isThere(
  session: Session,
  target: Target,
  { oid }: Entry,
): Promise<boolean> {
  const { existing } = target;
  if (!existing || oid === null || oid === existing.oid) return existing !== undefined;
  const { looks } = await session.row<{ looks: boolean }>(
    `SELECT pg_catalog.has_table_privilege(CAST(${existing.oid} AS pg_catalog.oid), 'SELECT') AS looks`,
  );
  if (!looks || existing.policed) return true;
  const sql = `SELECT EXISTS (SELECT FROM ${rowsOf(target)}) AS filled`;
  return (await session.row<{ filled: boolean }>(sql)).filled;
}

/** What is known of where rows come from: as the options say, else as the pipe has found. */
export function sourceOf(
  { source = {}, ...options }: CopyOptions,
  { source: read, meters }: Context,
): {
  readonly url: string | undefined;
  readonly validator: string | undefined;
  /** The same, where it is sure that all that has it is the same. */
  readonly version: string | undefined;
  readonly sha256: string | undefined;
  /** A hash of how rows are made of it, and get into the table. */
  readonly way: string;
  readonly bytes: number;
  readonly unverified: boolean;
} {
  const { evolution, on, deleteMissing, duplicates, slice } = options;
  // The time of a file may be set by hand.
  const weak = read?.validator?.startsWith("W/") || read?.url?.startsWith("file:");
  return {
    url: withoutSecrets(source.url ?? read?.url),
    validator: source.validator ?? read?.validator,
    version: source.validator ?? (weak ? undefined : read?.validator),
    sha256: source.sha256 ?? read?.sha256,
    get way(): string {
      const how = [read?.way, source.url, evolution, on, deleteMissing, duplicates, slice];
      return createHash("sha256").update(JSON.stringify(how)).digest("hex");
    },
    bytes: read?.bytes ?? meters.read()[0]?.bytes ?? 0,
    unverified: read?.unverified ?? false,
  };
}

/** An address without user, password, and what may be a signature. */
export function withoutSecrets(url: string | undefined): string | undefined {
  if (url === undefined || !URL.canParse(url)) return url;
  const plain = new URL(url);
  plain.username = plain.password = plain.hash = "";
  for (const name of plain.searchParams.keys()) plain.searchParams.set(name, "…");
  return plain.protocol === "data:" ? "data:" : plain.href;
}
