// @ts-types="@types/pg"
import type pg from "pg";
import { type Connection, GiveUp, type Json } from "../engine/mod.ts";
import { connect, disconnect } from "./_connect.ts";
import { isAboutRows } from "./_isolate.ts";
import { lockKey } from "./_ledger.ts";
import { lossesOf } from "./_losses.ts";
import { ruleOf } from "./_refuse.ts";
import { BEGIN } from "./_session.ts";
import { literal, quoted, quoteName } from "./_table.ts";
import { rowsOf, type TableColumn, type Target } from "./_target.ts";
import { findTable, rejectsOf, type RejectsOptions } from "./list_rejects.ts";

/** A row that was corrected. */
export interface Correction {
  /** The id of the reject that it was. */
  readonly id: string;
  /**
   * Its values by column, in text as Postgres reads it, or in JSON. Columns left out keep the values of the record, and get
   * their defaults where it has none.
   */
  readonly row: Readonly<Record<string, Json>>;
  /**
   * Other columns, of which a table of corrections cannot tell whether they are NULL or left out: NULL are those that the
   * record had.
   */
  readonly empty?: readonly string[];
}

/** Which rejects to replay. */
export interface ReplayOptions extends RejectsOptions {
  /** Of this table. */
  readonly table: string;
  /** Its schema. @default the first of the search path that has it */
  readonly schema?: string;
  /** Only these. @default {all that can be tried as they are} */
  readonly ids?: readonly string[];
  /** Corrected ones, and no others. */
  readonly rows?: readonly Correction[];
}

/** What became of a replay. */
export interface Replayed {
  /** The table's name, as it was given. */
  readonly table: string;
  /** How many rows are in it by this. */
  readonly replayed: number;
  /** How many were refused again. */
  readonly rejected: number;
  /** How many had been replayed before, or cannot be tried before they are corrected. */
  readonly skipped: number;
}

type Row = Readonly<Record<string, Json>>;

/** A column's name, and the text of its value. */
type Cell = readonly [name: string, text: string | null];

/** A reject that is to be tried. */
interface Waiting {
  readonly id: string;
  readonly row: Row | null;
  readonly replayed: boolean;
  /** The columns by which it was to be merged, where it was. */
  readonly on: readonly string[] | null;
}

/**
 * Puts rejects into their table, as they are or corrected, in one transaction, in which each of them is marked: what was
 * replayed is not replayed again. Those that Postgres refuses stay rejects, with what it says now. What was to be merged
 * takes the place of the row that has its key, and is added where none has.
 *
 * Values are read as those of a load are: what Postgres would round, cut, or take for another (`007` for 7, a date in
 * another order than ISO 8601 has) is refused.
 *
 * @throws {GiveUp} when there is no such table, no such reject, or no such column, or where one is corrected twice
 */
export async function replayRejects(
  connection: Connection,
  options: ReplayOptions,
): Promise<Replayed> {
  const { table, rows, signal = new AbortController().signal } = options;
  const corrected = new Map(rows?.map((one) => [one.id, one]));
  const twice = rows?.find((one) => corrected.get(one.id) !== one);
  if (twice) {
    throw new GiveUp(
      `Cannot replay reject ${twice.id}: it is corrected more than once; leave one of the corrections`,
    );
  }
  const client = await connect(connection, { signal });
  try {
    await client.query(
      `${BEGIN}; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL lock_timeout = '10s'; SET CONSTRAINTS ALL IMMEDIATE`,
    );
    const target = await findTable(client, options);
    const names = target.existing!.columns.map(({ name }) => name);
    const rejects = await rejectsOf(client, target);
    if (!rejects) {
      if (rows?.length) throw unknown(table, rows[0]!.id);
      return { table, replayed: 0, rejected: 0, skipped: 0 };
    }
    // As loads do: the table, their turn, and what was refused.
    await client.query(`LOCK TABLE ${rowsOf(target)} IN ROW EXCLUSIVE MODE;
      SELECT pg_catalog.pg_advisory_xact_lock(${lockKey(quoted(target))})`);
    const waiting = await hold(client, rejects, options);
    for (const { id, row, empty = [] } of corrected.values()) {
      if (!waiting.some((one) => one.id === id)) throw unknown(table, id);
      checkColumns(table, id, [...Object.keys(row), ...empty], names);
    }
    let replayed = 0, rejected = 0, skipped = 0;
    for (const one of waiting) {
      const correction = corrected.get(one.id);
      const row = correction ? rowOf(correction, one.row) : one.row;
      if (one.replayed || !row) skipped++;
      else {
        const into = { ...one, target, rejects };
        if (await tryRow(client, into, row, target.existing!.columns)) replayed++;
        else rejected++;
      }
    }
    await client.query("COMMIT");
    return { table, replayed, rejected, skipped };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof GiveUp || !(error instanceof Error) || !("severity" in error)) throw error;
    throw new Error(
      `Cannot replay rejects of ${JSON.stringify(table)}: Postgres says: ${error.message}. ` +
        `All was rolled back`,
      { cause: error },
    );
  } finally {
    // A session that ends within a transaction rolls it back.
    await disconnect(client);
  }
}

/** Locks the rejects that are meant, so that nobody else replays them meanwhile. */
async function hold(
  client: pg.Client,
  rejects: string,
  { ids, rows }: ReplayOptions,
): Promise<Waiting[]> {
  const wanted = rows ? rows.map(({ id }) => id) : ids;
  // A table of rejects of an earlier version has no place.
  const found = await client.query<Waiting>(
    `SELECT id::pg_catalog.text, "row", replayed IS NOT NULL AS replayed,
       pg_catalog.to_jsonb(r) #> '{place,on}' AS "on" FROM ${rejects} AS r
     WHERE CASE WHEN $1::bigint[] IS NULL THEN replayed IS NULL ELSE id = ANY ($1) END
     ORDER BY r.id FOR UPDATE`,
    [wanted],
  );
  return found.rows;
}

/** What a correction makes of a record; null where it corrects nothing of one that could not be told apart. */
function rowOf({ row, empty = [] }: Correction, record: Row | null): Row | null {
  if (!record) return Object.keys(row).length > 0 ? row : null;
  const nulls = empty.filter((name) => Object.hasOwn(record, name)).map((name) => [name, null]);
  return { ...record, ...row, ...Object.fromEntries(nulls) };
}

/** Tries to put a row into the table, and writes down what came of it. */
async function tryRow(
  client: pg.Client,
  { target, rejects, id, on }: Pick<Waiting, "id" | "on"> & { target: Target; rejects: string },
  row: Row,
  columns: readonly TableColumn[],
): Promise<boolean> {
  const names = columns.map(({ name }) => name);
  // What a load left out, as the table has no such column, is left out here, too.
  const values = Object.entries(row).filter(([name]) => names.includes(name))
    .map(([name, value]): Cell => [name, textOf(value)]);
  await client.query("SAVEPOINT replay");
  try {
    await checkLosses(client, columns, values);
    if (!(on && await update(client, rowsOf(target), on, values))) {
      await insert(client, quoted(target), values);
    }
  } catch (error) {
    if (!isAboutRows(error)) throw error;
    const { message, code = "", column = null } = error as Error & Record<string, string>;
    await client.query("ROLLBACK TO SAVEPOINT replay");
    await client.query(
      `UPDATE ${rejects} SET rule = $2, message = $3, column_name = $4, "row" = $5,
         refused = pg_catalog.clock_timestamp() WHERE id = $1`,
      [id, ruleOf(code), `${message} (${code})`, column, JSON.stringify(row)],
    );
    return false;
  }
  await client.query(
    `UPDATE ${rejects} SET replayed = pg_catalog.clock_timestamp(), "row" = $2 WHERE id = $1`,
    [id, JSON.stringify(row)],
  );
  return true;
}

/** Refuses values that Postgres would take for others, as a load does. */
async function checkLosses(
  client: pg.Client,
  columns: readonly TableColumn[],
  values: readonly Cell[],
): Promise<void> {
  const losses = values.flatMap(([name]) =>
    lossesOf(name, "text", columns.find((column) => column.name === name)!.type)
  );
  if (losses.length === 0) return;
  const row = values.map(([name, text]) =>
    `CAST(${literal(text)} AS pg_catalog.text) AS ${quoteName(name, "column")}`
  );
  const { rows: [{ why }] } = await client.query(
    `SELECT CASE ${
      losses.map(({ condition }, i) => `WHEN ${condition} THEN ${i}`).join(" ")
    } END AS why FROM (SELECT ${row}) AS r`,
  );
  if (why === null) return;
  const { state, said, field } = losses[why]!;
  throw ofRow(state, said, field);
}

async function insert(client: pg.Client, table: string, values: readonly Cell[]): Promise<void> {
  const columns = values.map(([name]) => quoteName(name, "column"));
  const texts = values.map(([, text]) => literal(text));
  const { rowCount } = await client.query(
    values.length === 0
      ? `INSERT INTO ${table} DEFAULT VALUES`
      : `INSERT INTO ${table} (${columns}) OVERRIDING SYSTEM VALUE VALUES (${texts})`,
  );
  if (rowCount !== 1) throw leftOut();
}

/** Puts a row in the place of the one that has its key; false where none has. */
async function update(
  client: pg.Client,
  table: string,
  on: readonly string[],
  values: readonly Cell[],
): Promise<boolean> {
  const keyless = on.find((key) => !values.some(([name, text]) => name === key && text !== null));
  if (keyless !== undefined) {
    throw ofRow(
      "23502",
      `null value in column ${JSON.stringify(keyless)}, by which rows are merged`,
      keyless,
    );
  }
  const equal = ([name, text]: Cell) => `${quoteName(name, "column")} = ${literal(text)}`;
  const same = values.filter(([name]) => on.includes(name)).map(equal).join(" AND ");
  const others = values.filter(([name]) => !on.includes(name)).map(equal).join(", ");
  const { rowCount: there } = await client.query(`SELECT FROM ${table} WHERE ${same} FOR UPDATE`);
  if (there === 0 || others === "") return there !== 0;
  const { rowCount } = await client.query(`UPDATE ${table} SET ${others} WHERE ${same}`);
  if (rowCount !== there) throw leftOut();
  return true;
}

/** An error as Postgres would raise it for a row. */
function ofRow(code: string, message: string, column?: string): Error {
  return Object.assign(new Error(message), { code, ...column !== undefined && { column } });
}

function leftOut(): Error {
  return ofRow("P0001", "a trigger or rule of the table left the row out");
}

/** A value in the text that Postgres reads. @throws {TypeError} for a number that JSON could not keep */
function textOf(value: Json): string | null {
  if (value === null || typeof value === "string") return value;
  if (typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    throw new TypeError(`Cannot be sure of the digits of ${value}: write it as text, in quotes`);
  }
  return JSON.stringify(value);
}

function checkColumns(
  table: string,
  id: string,
  given: readonly string[],
  names: readonly string[],
): void {
  const strange = given.find((name) => !names.includes(name));
  if (strange === undefined) return;
  throw new GiveUp(
    `Cannot replay reject ${id}: table ${JSON.stringify(table)} has no column ${
      JSON.stringify(strange)
    }; its columns are ${names.map((name) => JSON.stringify(name)).join(", ")}`,
  );
}

function unknown(table: string, id: string): GiveUp {
  return new GiveUp(`Cannot replay reject ${id}: ${JSON.stringify(table)} has none of that id`);
}
