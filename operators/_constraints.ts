import type { CopyOptions } from "./_copy_options.ts";
import type { Fit } from "./_evolve.ts";
import type { Reason } from "./_reject.ts";
import { RECORD, STAGED } from "./_refuse.ts";
import type { Session } from "./_session.ts";
import { literal, nameList, quoted, quoteName } from "./_table.ts";
import { rowsOf, type Target } from "./_target.ts";

/** A constraint of a table, as the queries below give it. */
interface Constraint {
  readonly name: string;
  readonly columns: readonly string[];
}

/** What must hold; NULL for that of a column not to be NULL. */
interface Check extends Constraint {
  readonly expression: string | null;
}

/** What rows refer to: columns of another table, in the order of `columns`. */
interface ForeignKey extends Constraint {
  readonly schema: string;
  readonly table: string;
  readonly far: readonly string[];
  readonly partitioned: boolean;
}

/** What is known beside the table. */
export interface Asked {
  /** What Postgres has said so far. */
  readonly errors: readonly unknown[];
  readonly mode: CopyOptions["mode"];
}

/**
 * What of a table's constraints is to be asked of all rows of a staging table at once: which are NULL where they must not
 * be, for which a check does not hold, which refer to a row that is not there, and where an error tells of it, which have
 * a key that another one has. Only where the answer is sure to be that of an insert: no trigger comes before it, and the
 * columns have the very types of the table's.
 *
 * Before there is any error that is nothing, as most often there will be none; but for foreign keys, which Postgres looks
 * at when all rows are in.
 */
export async function reasonsOf(
  session: Session,
  target: Target,
  { columns, values, types }: Fit,
  { errors, mode = "replace" }: Asked,
): Promise<Reason[]> {
  const { name: table, existing } = target;
  const same = new Set(columns.flatMap(({ name }, i) => {
    const there = existing!.columns.find((column) => column.name === name);
    return there?.type === types[i] && values[i] === quoteName(name, "column") ? [name] : [];
  }));
  const all = async <C extends Constraint>(query: string): Promise<C[]> => {
    const found = (await session.all<C & Record<string, unknown>>(query)).at(-1)!.rows;
    return found.filter(({ columns: [first, ...rest] }) =>
      first !== undefined && [first, ...rest].every((column) => same.has(column))
    );
  };
  const faults = errors as readonly { code?: string; constraint?: string; table?: string }[];
  const twice = faults.findLast(({ code, table }) => code === "23505" && table === target.name);
  // Of a merge other rows may take the place of those that are refused: what is asked of them is of one row alone.
  const refers = mode === "merge" ? [] : await all<ForeignKey>(FOREIGN_KEYS(existing!.oid));
  if (errors.length === 0 && refers.length === 0) return [];
  const reasons = (await all<Check>(CHECKS(existing!.oid))).map((check) => ofCheck(table, check));
  reasons.push(...refers.map((key) => ofForeignKey(table, key)));
  if (twice && (mode === "append" || mode === "replace")) {
    const keys = await all(UNIQUE(existing!.oid, twice.constraint ?? ""));
    // What is replaced is gone by then.
    reasons.push(
      ...keys.map((key) => ofUnique(key, mode === "append" ? rowsOf(target) : undefined)),
    );
  }
  return reasons;
}

function ofCheck(table: string, { name, columns: [field], expression }: Check): Reason {
  if (expression === null) {
    const said =
      `null value in column "${field}" of relation "${table}" violates not-null constraint`;
    const condition = `${quoteName(field!, "column")} IS NULL`;
    return { condition, state: "23502", said, field: field! };
  }
  const said = `new row for relation "${table}" violates check constraint "${name}"`;
  return { condition: `(${expression}) IS FALSE`, state: "23514", said, field: "" };
}

function ofForeignKey(table: string, { name, columns, far, ...there }: ForeignKey): Reason {
  const own = columns.map((column) => `${STAGED}.${quoteName(column, "column")}`);
  const same = far.map((column, i) => `far.${quoteName(column, "column")} = ${own[i]}`);
  const other = quoted({ schema: there.schema, name: there.table });
  const rows = there.partitioned ? other : `ONLY ${other}`;
  const given = own.map((column) => `${column} IS NOT NULL`).join(" AND ");
  const said = `insert or update on table "${table}" violates foreign key constraint "${name}"`;
  return {
    condition: `${given} AND NOT EXISTS (SELECT FROM ${rows} AS far WHERE ${same.join(" AND ")})`,
    ...{ state: "23503", said, field: "" },
  };
}

/** Of two rows with one key the first stays; none where the key is there already, in a table that keeps its rows. */
function ofUnique({ name, columns }: Constraint, kept: string | undefined): Reason {
  const named = columns.map((name) => ({ name }));
  const keys = columns.map((column) => quoteName(column, "column"));
  return {
    condition: `"sluice:twice" IS NOT NULL`,
    twice: (staging, refused) => {
      const given = keys.map((key) => `${key} IS NOT NULL`).join(" AND ");
      const others = `SELECT ${RECORD} AS record FROM (
        SELECT ${RECORD}, pg_catalog.row_number() OVER (PARTITION BY ${
        nameList(named)
      } ORDER BY ${RECORD}) AS n
        FROM ${staging} AS ${STAGED} WHERE ${given} AND NOT coalesce(${refused}, false)) AS keys WHERE n > 1`;
      const same = keys.map((key) => `t.${key} = ${STAGED}.${key}`).join(" AND ");
      return kept === undefined
        ? others
        : `${others} UNION SELECT ${RECORD} FROM ${staging} AS ${STAGED} JOIN ${kept} AS t ON ${same}`;
    },
    state: "23505",
    said: `duplicate key value violates unique constraint "${name}"`,
    field: "",
  };
}

const CHECKS = (oid: string) => `
SELECT * FROM (
  SELECT NULL AS expression, attname::pg_catalog.text AS name, ARRAY[attname::pg_catalog.text] AS columns
  FROM pg_catalog.pg_attribute WHERE attrelid = ${oid} AND attnum > 0 AND attnotnull AND NOT attisdropped
  UNION ALL
  SELECT pg_catalog.pg_get_expr(conbin, conrelid), conname::pg_catalog.text,
    (SELECT pg_catalog.array_agg(coalesce(attname::pg_catalog.text, ''))
     FROM pg_catalog.unnest(conkey) AS k LEFT JOIN pg_catalog.pg_attribute ON attrelid = conrelid AND attnum = k
       AND attnum > 0)
  FROM pg_catalog.pg_constraint AS c WHERE conrelid = ${oid} AND contype = 'c' AND conkey IS NOT NULL
    AND coalesce(pg_catalog.to_jsonb(c) ->> 'conenforced', 'true') = 'true'
) AS constraints
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = ${oid} AND NOT tgisinternal AND tgtype & 2 > 0)
  AND ${PLAIN(oid)}`;

const PLAIN = (oid: string) =>
  `NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = ${oid} AND (relhasrules OR relkind = 'p'))`;

/** Triggers that come behind a row, too, may make what it refers to. */
const UNTOUCHED = (oid: string) =>
  `NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = ${oid} AND NOT tgisinternal) AND ${
    PLAIN(oid)
  }`;

/** Of other tables alone, that we may look at, and whose values compare as ours do: by no collation but the database's. */
const FOREIGN_KEYS = (oid: string) => `
SELECT conname::pg_catalog.text AS name, n.nspname::pg_catalog.text AS schema, f.relname::pg_catalog.text AS table,
  f.relkind = 'p' AS partitioned, k.columns, k.far
FROM pg_catalog.pg_constraint AS c
JOIN pg_catalog.pg_class AS f ON f.oid = confrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = f.relnamespace
CROSS JOIN LATERAL (
  SELECT pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY i) AS columns,
    pg_catalog.array_agg(b.attname::pg_catalog.text ORDER BY i) AS far,
    pg_catalog.bool_and(a.atttypid = b.atttypid AND a.attcollation IN (0, 100) AND b.attcollation IN (0, 100)) AS alike
  FROM ROWS FROM (pg_catalog.unnest(conkey), pg_catalog.unnest(confkey)) WITH ORDINALITY AS u (near, far, i)
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = conrelid AND a.attnum = u.near
  JOIN pg_catalog.pg_attribute AS b ON b.attrelid = confrelid AND b.attnum = u.far) AS k
WHERE conrelid = ${oid} AND contype = 'f' AND confrelid <> conrelid AND convalidated AND confmatchtype = 's'
  AND coalesce(pg_catalog.to_jsonb(c) ->> 'conenforced', 'true') = 'true'
  AND coalesce(pg_catalog.to_jsonb(c) ->> 'conperiod', 'false') = 'false'
  AND pg_catalog.current_setting('session_replication_role') <> 'replica'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgconstraint = c.oid AND tgenabled IN ('D', 'R'))
  AND k.alike AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(f.oid, 'SELECT')
  AND NOT pg_catalog.row_security_active(f.oid) AND ${UNTOUCHED(oid)}`;

/** Of plain columns, by the equality that is their types' own; NULLs are no keys. */
const UNIQUE = (oid: string, name: string) => `
SELECT c.relname::pg_catalog.text AS name, k.columns
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = indexrelid
CROSS JOIN LATERAL (
  SELECT pg_catalog.array_agg(attname::pg_catalog.text ORDER BY n) AS columns,
    pg_catalog.bool_and(opcdefault AND u.collated IN (0, 100)) AS plain
  FROM ROWS FROM (pg_catalog.unnest(indkey::pg_catalog.int2[]), pg_catalog.unnest(indclass::pg_catalog.oid[]),
    pg_catalog.unnest(indcollation::pg_catalog.oid[])) WITH ORDINALITY AS u (attribute, class, collated, n)
  JOIN pg_catalog.pg_attribute ON attrelid = indrelid AND attnum = attribute
  JOIN pg_catalog.pg_opclass AS o ON o.oid = class
  WHERE n <= indnkeyatts) AS k
WHERE indrelid = ${oid} AND c.relname = ${
  literal(name)
} AND indisunique AND indimmediate AND indisvalid
  AND indpred IS NULL AND indexprs IS NULL AND k.plain
  AND coalesce(pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct', 'false') = 'false'
  AND pg_catalog.has_table_privilege(indrelid, 'SELECT') AND ${UNTOUCHED(oid)}`;
