// @ts-types="@types/pg"
import type pg from "pg";
import { type Context, GiveUp } from "../engine/mod.ts";
import type { Column, CopyOptions } from "./_copy_options.ts";
import { baseOf } from "./_losses.ts";
import { faultOfBounds } from "./_bounds.ts";
import { literal, quoted, quoteName } from "./_table.ts";
import { HELD, type Target, TUNED } from "./_target.ts";

/** The rows that a load replaces: those from `from` on, and before `to`. */
export interface Slice {
  readonly column: string;
  readonly from: string | number;
  readonly to: string | number;
}

/** Where the rows of a slice are, in a partitioned table. */
export interface Partition {
  /** The partition that has exactly these bounds; undefined where nothing has any part of them. */
  readonly current: { readonly schema: string; readonly name: string } | undefined;
  /** The bounds, as clauses of ATTACH PARTITION. */
  readonly bounds: string;
}

const TIMES: Readonly<Record<string, (at: Temporal.ZonedDateTime) => string>> = {
  "date": (at) => at.toPlainDate().toString(),
  "timestamp without time zone": (at) => at.toPlainDateTime().toString(),
  "timestamp": (at) => at.toPlainDateTime().toString(),
  "timestamp with time zone": (at) => at.toInstant().toString(),
  "timestamptz": (at) => at.toInstant().toString(),
};

/**
 * The bounds of a slice: as given, or those of the run's interval, on the clock of its time zone. Where there is no table
 * yet, it will have the columns that arrive.
 *
 * @throws {GiveUp} where there are none or they are no range, or table or source have no such column
 */
export function sliceOf(
  { name: table, existing }: Target,
  arriving: readonly Column[],
  { slice }: CopyOptions,
  { interval }: Context,
): Slice {
  const { column, from, to } = slice!;
  const what = `Cannot replace a slice of table ${JSON.stringify(table)}`;
  const columns: readonly { name: string; type: string }[] = existing?.columns ?? arriving;
  const type = columns.find(({ name }) => name === column)?.type;
  if (type === undefined) {
    throw new GiveUp(`${what}: it has no column ${JSON.stringify(column)}`);
  }
  if (!arriving.some(({ name }) => name === column)) {
    const known = arriving.map(({ name }) => JSON.stringify(name)).join(", ");
    throw new GiveUp(
      `${what}: the source has no column ${
        JSON.stringify(column)
      }, which tells the rows of the slice; ` +
        `its columns are ${known}`,
    );
  }
  if (from !== undefined && to !== undefined) {
    const fault = faultOfBounds(from, to, type);
    if (fault) throw new GiveUp(`${what} by ${JSON.stringify(column)}, which is ${type}: ${fault}`);
    return { column, from, to };
  }
  const { start, end } = interval;
  const text = TIMES[baseOf(type)];
  if (!text) {
    throw new GiveUp(
      `${what} by the run's interval: its column ${
        JSON.stringify(column)
      } is ${type}, neither a date nor a ` +
        `timestamp; give the slice its from and to`,
    );
  }
  if (Temporal.ZonedDateTime.compare(start, end) >= 0) {
    throw new GiveUp(`${what}: no interval is being run; give the slice its from and to`);
  }
  const midnight = (at: Temporal.ZonedDateTime) => at.equals(at.startOfDay());
  if (type === "date" && !(midnight(start) && midnight(end))) {
    throw new GiveUp(
      `${what}: its column ${JSON.stringify(column)} is a date, and the run's interval ` +
        `${start} to ${end} is not one of whole days`,
    );
  }
  return { column, from: text(start), to: text(end) };
}

/** What is true of the rows of a slice. */
export function isWithin({ column, from, to }: Slice): string {
  const name = quoteName(column, "column");
  return `${name} >= ${literal(String(from))} AND ${name} < ${literal(String(to))}`; // of the column's type, whatever it is
}

/** Refuses rows that the next load of the slice would not take away again. @throws {GiveUp} saying how many there are */
export async function checkSlice(
  client: pg.Client,
  { table: staging, kind }: { table: string; kind: string },
  slice: Slice,
  { table }: CopyOptions,
): Promise<void> {
  const name = quoteName(slice.column, "column");
  const { rows: [row] } = await client.query(
    `SELECT count(*)::pg_catalog.int4 AS n, min(${name})::pg_catalog.text AS example
     FROM ${staging} WHERE (${isWithin(slice)}) IS NOT TRUE`,
  );
  if (row.n > 0) {
    throw new GiveUp(
      `Cannot replace a slice of table ${
        JSON.stringify(table)
      }: ${row.n} rows of the source are not in it, since ` +
        `their ${
          JSON.stringify(slice.column)
        } is not from ${slice.from} on and before ${slice.to} but, e.g., ` +
        `${row.example ?? "NULL"}; filter the source, or use mode merge`,
    );
  }
  if (kind !== "like") return;
  // Spares ATTACH PARTITION, for which others wait, its look at each row.
  await client.query(
    `ALTER TABLE ${staging} ADD CONSTRAINT sluice_slice CHECK (${name} IS NOT NULL AND ${
      isWithin(slice)
    })`,
  );
}

/** What a partition has that one made like its table would not, beside what a table that is made would lack. */
const OWN =
  `(EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = c.oid AND coninhcount = 0)
  OR EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal)
  OR EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = c.oid
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = indexrelid))
  OR EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attribute b
               ON b.attrelid = inhparent AND b.attname = a.attname
             LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             LEFT JOIN pg_catalog.pg_attrdef e ON e.adrelid = b.attrelid AND e.adnum = b.attnum
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND (${TUNED}
               OR (a.attnotnull, a.attstorage, pg_catalog.to_jsonb(a) ->> 'attcompression',
                   pg_catalog.pg_get_expr(d.adbin, d.adrelid)) IS DISTINCT FROM
                  (b.attnotnull, b.attstorage, pg_catalog.to_jsonb(b) ->> 'attcompression',
                   pg_catalog.pg_get_expr(e.adbin, e.adrelid)))))`;

/**
 * Finds the partition that can be exchanged for a new one; undefined where rows are to be deleted and inserted: the
 * table has other partitions, or they carry something of their own.
 */
export async function findPartition(
  client: pg.Client,
  target: Target,
  { column, from, to }: Slice,
): Promise<Partition | undefined> {
  const { partitionedBy, columns, references, oid, policed } = target.existing!;
  const type = columns.find(({ name }) => name === column)?.type;
  const numbered = columns.some(({ identity }) => identity);
  if (partitionedBy !== column || references.length > 0 || policed || numbered) return undefined;
  if (!type || !(type in TIMES)) return undefined;
  const bound = (at: string | number) => `CAST(${literal(at)} AS ${type})`;
  const edge = (word: string) =>
    `CAST(substring(b.bounds FROM '${word} \\(''([^'']*)''\\)') AS ${type})`;
  const { rows } = await client.query(
    `SELECT n.nspname AS schema, c.relname AS name, b.bounds, w.wanted, c.relkind = 'r' AND NOT ${HELD}
       AND NOT ${OWN} AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE confrelid = c.oid) AS free, p.own
     FROM (SELECT pg_catalog.format('FOR VALUES FROM (%L) TO (%L)', ${bound(from)}, ${
      bound(to)
    }) AS wanted) AS w
     CROSS JOIN (SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = ${oid} AND NOT tgisinternal)
       OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel WHERE prrelid = ${oid}) AS own) AS p
     LEFT JOIN (pg_catalog.pg_inherits JOIN pg_catalog.pg_class c ON c.oid = inhrelid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bounds) AS b)
     ON inhparent = ${oid} AND (b.bounds = w.wanted OR b.bounds = 'DEFAULT'
       OR (${edge("FROM")} < ${bound(to)}) IS NOT FALSE AND (${edge("TO")} > ${
      bound(from)
    }) IS NOT FALSE)`,
  );
  const [{ wanted, own }] = rows;
  if (own) return undefined; // rows that come by way of a new partition fire no triggers, and are not published
  const exact = rows.find((row) => row.bounds === wanted);
  if (exact) return exact.free ? { current: exact, bounds: wanted } : undefined;
  return rows.every((row) => row.name === null)
    ? { current: undefined, bounds: wanted }
    : undefined;
}

/** What puts a staging table, made like the target, in a partition's place. */
export function attachSteps(
  target: Target,
  staging: string,
  { current, bounds }: Partition,
  slice: Slice,
): string[] {
  const table = quoted(target);
  const place = current ?? newPartition(target, slice);
  const [schema, name] = [quoteName(place.schema, "schema"), quoteName(place.name, "table")];
  return [
    ...current
      ? [
        `ALTER TABLE ${table} DETACH PARTITION ${quoted(current)}`,
        `DROP TABLE ${quoted(current)}`,
      ]
      : [],
    `ALTER TABLE ${staging} RENAME TO ${name}`,
    ...place.schema === target.schema
      ? []
      : [`ALTER TABLE ${quoted({ ...target, name: place.name })} SET SCHEMA ${schema}`],
    `ALTER TABLE ${table} ATTACH PARTITION ${quoted(place)} ${bounds}`,
    `ALTER TABLE ${quoted(place)} DROP CONSTRAINT sluice_slice`,
    renameIndexes(staging, place),
  ];
}

/** Names the indexes that were made with a staging table as those of the table that it became. */
function renameIndexes(staging: string, place: { schema: string; name: string }): string {
  const old = literal(staging.slice(staging.lastIndexOf(".") + 2, -1));
  return `DO ${
    literal(`
    DECLARE i record;
    BEGIN
      FOR i IN SELECT n.nspname, c.relname, pg_catalog.replace(c.relname, ${old}, ${
      literal(place.name)
    }) AS fresh
        FROM pg_catalog.pg_index JOIN pg_catalog.pg_class c ON c.oid = indexrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE indrelid = ${literal(quoted(place))}::pg_catalog.regclass
      LOOP
        CONTINUE WHEN pg_catalog.to_regclass(pg_catalog.format('%I.%I', i.nspname, i.fresh)) IS NOT NULL;
        EXECUTE pg_catalog.format('ALTER INDEX %I.%I RENAME TO %I', i.nspname, i.relname, i.fresh);
      END LOOP;
    END`)
  }`;
}

/** What makes an empty partition. */
export function partitionSteps(target: Target, { bounds }: Partition, slice: Slice): string[] {
  const place = quoted(newPartition(target, slice));
  return [
    `CREATE TABLE ${place} (${likeTarget(target)})`,
    `ALTER TABLE ${quoted(target)} ATTACH PARTITION ${place} ${bounds}`,
  ];
}

/** The definition of a table that can become a partition of the target, for CREATE TABLE. */
export function likeTarget(target: Target): string {
  return `LIKE ${
    quoted(target)
  } INCLUDING ALL EXCLUDING IDENTITY EXCLUDING COMMENTS EXCLUDING STATISTICS`;
}

/** Names a partition by the target and its first moment: trips_20210101. */
function newPartition({ schema, name }: Target, { from }: Slice): { schema: string; name: string } {
  const digits = String(from).replace(/[^0-9]/g, "").replace(/^(\d{8})0+$/, "$1");
  return { schema, name: `${name}_${digits}` };
}
