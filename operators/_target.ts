import { GiveUp } from "../engine/mod.ts";
import { literal, named, quoted, quoteName } from "./_table.ts";

/** A column of a table. */
export interface TableColumn {
  readonly name: string;
  readonly type: string;
  /** Whether a row without it is refused. */
  readonly needed: boolean;
  /** Whether Postgres computes it. */
  readonly generated: boolean;
  /** Whether Postgres numbers it. */
  readonly identity: boolean;
}

/** Another table whose rows refer to those of the target. */
export interface Reference {
  readonly table: string;
  readonly constraint: string;
  /** What happens to its rows when those they refer to are deleted, as SQL says it. */
  readonly onDelete: "NO ACTION" | "RESTRICT" | "CASCADE" | "SET NULL" | "SET DEFAULT";
}

/** What stands under a table's name now. */
export interface Target {
  readonly schema: string;
  readonly name: string;
  /** Undefined where there is no such table yet. */
  readonly existing: {
    readonly oid: string;
    /** Whether others hold on to it, or the user has added to it, so that it must stay the same table. */
    readonly kept: boolean;
    readonly columns: readonly TableColumn[];
    readonly references: readonly Reference[];
    /** Whether we may TRUNCATE it. */
    readonly truncates: boolean;
    /** Whether policies hide rows from us, or refuse some. */
    readonly policed: boolean;
    /** Whether triggers may change rows on their way into it. */
    readonly mends: boolean;
    /** Whether its rows are those of its partitions. */
    readonly partitioned: boolean;
    /** The column by whose ranges it is partitioned. */
    readonly partitionedBy: string | null;
  } | undefined;
}

/** The rows of a table, as SQL names them: not those of tables that inherit from it, which are others' own. */
export function rowsOf(target: Target): string {
  return target.existing?.partitioned ? quoted(target) : `ONLY ${quoted(target)}`;
}

const KINDS: Readonly<Record<string, string>> = {
  v: "a view",
  m: "a materialized view",
  f: "a foreign table",
  i: "an index",
  I: "an index",
  S: "a sequence",
  c: "a type",
};

/** A query for {@linkcode readTarget}. @throws {GiveUp} for names that Postgres would cut or refuse */
export function targetQuery(name: string, schema: string | undefined): string {
  const path = schema === undefined
    ? quoteName(name, "table")
    : `${quoteName(schema, "schema")}.${quoteName(name, "table")}`;
  return FIND.replaceAll(/\$[12]/g, (p) => literal(p === "$1" ? path : schema ?? null));
}

/**
 * Reads what a table's name stands for from the row that {@linkcode targetQuery} gave: along the search path when no
 * schema was named.
 *
 * @throws {GiveUp} when it is no table, or there is no such schema
 */
// deno-lint-ignore no-explicit-any -- it is as the query says
export function readTarget(row: any, name: string, schema: string | undefined): Target {
  const shown = named({ table: name, schema });
  if (row.schema === null) {
    throw new GiveUp(
      schema === undefined
        ? `Cannot make table ${shown}: no schema of the search path exists`
        : `Cannot make table ${shown}: schema ${JSON.stringify(schema)} does not exist; make it ` +
          `(CREATE SCHEMA ${quoteName(schema, "schema")}), or name another`,
    );
  }
  if (row.kind === null) return { schema: row.schema, name, existing: undefined };
  if (row.kind !== "r" && row.kind !== "p") {
    throw new GiveUp(
      `Cannot load into ${shown}: it is ${KINDS[row.kind] ?? "no table"}; name a table`,
    );
  }
  const { schema: found, ...existing } = row;
  return { schema: found, name, existing };
}

/** What a table would lose if another took its place, whose name in the query is c. Used for partitions, too. */
export const HELD = `(c.relacl IS NOT NULL OR c.relrowsecurity OR c.reloptions IS NOT NULL
  OR c.relpersistence <> 'p' OR c.reltablespace <> 0 OR c.relhasrules OR c.relreplident <> 'd' OR c.reloftype <> 0
  OR c.relam <> (SELECT oid FROM pg_catalog.pg_am WHERE amname = pg_catalog.current_setting('default_table_access_method'))
  OR c.relowner <> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
  OR EXISTS (SELECT FROM pg_catalog.pg_publication_tables p JOIN pg_catalog.pg_namespace s ON s.nspname = p.schemaname
             WHERE s.oid = c.relnamespace AND p.tablename = c.relname)
  OR EXISTS (SELECT FROM pg_catalog.pg_statistic_ext WHERE stxrelid = c.oid)
  OR EXISTS (SELECT FROM pg_catalog.pg_policy WHERE polrelid = c.oid)
  OR EXISTS (SELECT FROM pg_catalog.pg_description
             WHERE classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objoid = c.oid)
  OR EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
             AND refobjid = c.oid AND deptype = 'n' AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
               WHERE classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = objid AND k.conrelid = c.oid))
  OR EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_type t ON t.typrelid = c.oid
             WHERE d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid IN (t.oid, t.typarray)
               AND d.deptype = 'n'))`;

/** What a column, whose name in the query is a, would lose in a table that is made like another: also of partitions. */
export const TUNED =
  `(a.attacl IS NOT NULL OR a.attoptions IS NOT NULL OR coalesce(a.attstattarget, -1) >= 0)`;

/**
 * Where a table is made: in the first schema of the search path, but never in the ledger's, which a user of that name has
 * in front of all others.
 */
const FIRST =
  `(SELECT schema FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS p (schema, n)
  WHERE schema <> 'sluice' ORDER BY n LIMIT 1)`;

// Kept are tables that something else refers to (a view, a foreign key, a publication), or that carry what a new
// table would not: grants, policies, triggers, constraints, indexes, defaults, comments, another owner, how columns are
// stored, compared and counted.
const FIND = `
SELECT coalesce(n.nspname, f.schema) AS schema, c.relkind AS kind, c.oid::pg_catalog.text AS oid,
  c.relkind = 'p' OR ${HELD} OR c.relhasindex OR c.relhastriggers OR c.relispartition OR c.relhassubclass
  OR NOT pg_catalog.has_schema_privilege(n.oid, 'CREATE')
  OR EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = c.oid OR confrelid = c.oid)
  OR EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = c.oid OR inhparent = c.oid)
  OR EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
             AND refobjid = c.oid AND deptype = 'a')
  OR EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = atttypid
             WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND (attnotnull OR atthasdef OR attidentity <> ''
               OR ${TUNED} OR attstorage <> typstorage OR attcollation <> typcollation
               OR pg_catalog.to_jsonb(a) ->> 'attcompression' <> '')) AS kept,
  (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', attname,
     'type', CASE WHEN y.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
       THEN pg_catalog.regexp_replace(pg_catalog.format_type(atttypid, atttypmod), '^pg_catalog[.]', '')
       ELSE pg_catalog.format('%s.%I', y.typnamespace::pg_catalog.regnamespace, y.typname) END, 'generated', attgenerated <> '',
     'identity', attidentity <> '', 'needed', attnotnull AND NOT atthasdef AND attidentity = '') ORDER BY attnum), '[]')
   FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_type y ON y.oid = atttypid
   WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns,
  (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('table', r.relname, 'constraint', conname,
     'onDelete', CASE confdeltype WHEN 'a' THEN 'NO ACTION' WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE'
                 WHEN 'n' THEN 'SET NULL' ELSE 'SET DEFAULT' END)), '[]')
   FROM pg_catalog.pg_constraint JOIN pg_catalog.pg_class r ON r.oid = conrelid
   WHERE contype = 'f' AND confrelid = c.oid AND conrelid <> c.oid) AS references,
  pg_catalog.has_table_privilege(c.oid, 'TRUNCATE') AS truncates,
  pg_catalog.row_security_active(c.oid) AS policed, c.relkind = 'p' AS partitioned,
  EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal AND tgtype & 2 > 0) AS mends,
  (SELECT attname FROM pg_catalog.pg_partitioned_table JOIN pg_catalog.pg_attribute
   ON attrelid = partrelid AND attnum = partattrs[0]
   WHERE partrelid = c.oid AND partstrat = 'r' AND partnatts = 1) AS "partitionedBy"
FROM (SELECT coalesce((SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = $2),
                      CASE WHEN $2 IS NULL THEN ${FIRST} END) AS schema) f
LEFT JOIN pg_catalog.pg_class c ON c.oid = CASE WHEN f.schema IS NOT NULL THEN pg_catalog.to_regclass($1) END
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`;
