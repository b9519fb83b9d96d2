import type { Fit } from "./_evolve.ts";
import type { Reason } from "./_reject.ts";
import type { Session } from "./_session.ts";
import { quoteName } from "./_table.ts";
import type { Target } from "./_target.ts";

/** A constraint of a table, as {@linkcode QUERY} gives it. */
interface Constraint {
  /** What must hold; NULL for that of a column not to be NULL. */
  readonly expression: string | null;
  readonly name: string;
  readonly columns: readonly string[];
}

/**
 * What of a table's constraints can be asked of all rows of a staging table at once: which are NULL where they must not
 * be, and for which a check does not hold. Only where the answer is sure to be that of an insert: no trigger comes before
 * it, and the columns have the very types of the table's.
 */
export async function reasonsOf(
  session: Session,
  { name: table, existing }: Target,
  { columns, values, types }: Fit,
): Promise<Reason[]> {
  const same = new Set(columns.flatMap(({ name }, i) => {
    const there = existing!.columns.find((column) => column.name === name);
    return there?.type === types[i] && values[i] === quoteName(name, "column") ? [name] : [];
  }));
  const found = await session.all<Constraint>(QUERY(existing!.oid));
  return found.at(-1)!.rows.flatMap(({ expression, name, columns: of }): Reason[] => {
    const [field] = of;
    if (field === undefined || !of.every((column) => same.has(column))) return [];
    if (expression === null) {
      const said =
        `null value in column "${field}" of relation "${table}" violates not-null constraint`;
      return [{ condition: `${quoteName(field, "column")} IS NULL`, state: "23502", said, field }];
    }
    const said = `new row for relation "${table}" violates check constraint "${name}"`;
    return [{ condition: `(${expression}) IS FALSE`, state: "23514", said, field: "" }];
  });
}

const QUERY = (oid: string) => `
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
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = ${oid} AND (relhasrules OR relkind = 'p'))`;
