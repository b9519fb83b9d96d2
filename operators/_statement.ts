// @ts-types="@types/pg"
import pg from "pg";
import { type Context, GiveUp, type Json } from "../engine/mod.ts";
import { connect, disconnect } from "./_connect.ts";

/** What can be a parameter: an object goes as JSON, an array as Postgres' own, a moment as what it is in UTC. */
export type SqlValue =
  | Json
  | bigint
  | Uint8Array
  | Temporal.Instant
  | Temporal.ZonedDateTime
  | Temporal.PlainDateTime
  | Temporal.PlainDate
  | Temporal.PlainTime;

/** What is to be run, and where. */
export interface Statement {
  readonly text: string;
  /** With some, the text is one statement. */
  readonly values: readonly SqlValue[];
  /** The name of the connection. */
  readonly connection?: string | undefined;
}

/** What came of the last of the statements. */
export interface Ran {
  /** Rows that it returned or changed. */
  readonly rows: number;
  /** The rows that it returned, from the first on, as many as 48 KiB of JSON hold. */
  readonly result: readonly { readonly [column: string]: Json }[];
}

/** Bytes of JSON that are kept of a result. */
const MAX_RESULT = 48 * 1024;

/** Runs statements in one transaction; what the server remarks goes to the log. */
export async function runStatement(statement: Statement, ctx: Context): Promise<Ran> {
  const { signal, meter, log } = ctx;
  const connection = await ctx.connection(statement.connection);
  const client = await meter.wait("the database", connect(connection, { signal }));
  client.on("notice", ({ message }) => log.info(message ?? "")); // RAISE NOTICE and the like
  let committing = false;
  try {
    await client.query("BEGIN");
    const ran = await meter.wait("the database", ask(client, statement));
    if (statusOf(client) !== "T") {
      throw new GiveUp(
        "Cannot run SQL in one transaction: it has a COMMIT or ROLLBACK of its own, and what stands before " +
          "that has taken effect; leave them out",
      );
    }
    committing = true;
    await meter.wait("the database", client.query("COMMIT"));
    meter.rows = ran.rows;
    return ran;
  } catch (error) {
    signal.throwIfAborted();
    throw explain(error, statement.text, committing);
  } finally {
    // A session that ends within a transaction rolls it back.
    await disconnect(client);
  }
}

/** Runs it without keeping more rows than are handed on. */
async function ask(client: pg.Client, { text, values }: Statement): Promise<Ran> {
  const { promise, resolve, reject } = Promise.withResolvers<Ran>();
  const config: pg.QueryArrayConfig = {
    text,
    values: values.map(toParameter),
    types: { getTypeParser },
    rowMode: "array",
  };
  const query = new pg.Query<Json[]>(config);
  let current: unknown;
  let result: Ran["result"][number][] = [];
  let room = MAX_RESULT;
  const encoder = new TextEncoder();
  query.on("row", (values, of) => {
    if (of !== current) {
      current = of;
      result = [];
      room = MAX_RESULT;
    }
    if (room <= 0) return;
    const row = named(of!.fields, values as unknown as Json[]);
    room -= encoder.encode(JSON.stringify(row)).length + 1;
    if (room > 0) result.push(row);
  });
  query.on("error", reject);
  query.on("end", (ended) => {
    const last = [ended].flat().at(-1)!;
    resolve({ rows: last.rowCount ?? 0, result: last === current ? result : [] });
  });
  client.query(query);
  return await promise;
}

/** A row by its columns' names; of those of one name the first counts. */
function named(fields: readonly pg.FieldDef[], values: readonly Json[]): Record<string, Json> {
  const row = new Map<string, Json>();
  fields.forEach(({ name }, i) => {
    if (!row.has(name)) row.set(name, values[i]!);
  });
  return Object.fromEntries(row);
}

/** Where the session stands: idle, in a transaction, or in one that failed. */
function statusOf(client: pg.Client): "I" | "T" | "E" {
  return (client as unknown as { getTransactionStatus(): "I" | "T" | "E" }).getTransactionStatus();
}

function toParameter(value: SqlValue): unknown {
  if (value instanceof Temporal.ZonedDateTime) return value.toInstant().toString();
  const { [Symbol.toStringTag]: tag } = Object(value);
  return typeof tag === "string" && tag.startsWith("Temporal.") ? String(value) : value;
}

/** Types that JSON has, by their ids in pg_type: booleans, integers, floats, and JSON itself. */
const BOOL = 16, INTEGERS = [20, 21, 23, 26], FLOATS = [700, 701], JSONS = [114, 3802];

/** What JSON has no type for, and a number it would change, stays the text that Postgres gives. */
function getTypeParser(type: number): (text: string) => Json {
  if (type === BOOL) return (text) => text === "t";
  if (JSONS.includes(type)) return JSON.parse;
  if (FLOATS.includes(type)) {
    return (text) => Number.isFinite(Number(text)) ? Number(text) : text;
  }
  if (INTEGERS.includes(type)) {
    return (text) => Number.isSafeInteger(Number(text)) ? Number(text) : text;
  }
  return (text) => text;
}

/** Says in a sentence what the server refused, and what is left behind. */
function explain(error: unknown, text: string, committing: boolean): unknown {
  if (error instanceof GiveUp || !(error instanceof Error)) return error;
  if (!("severity" in error)) {
    const left = committing
      ? "whether the transaction took effect is not known"
      : "the server rolls back what was done";
    return new Error(
      `Cannot run SQL: the connection with Postgres was lost (${error.message}); ${left}`,
      { cause: error },
    );
  }
  const { message, detail, hint, code, position } = error as
    & Error
    & Record<string, string | undefined>;
  const line = position === undefined ? "" : ` in line ${lineOf(text, Number(position))}`;
  const more = [detail, hint].filter(Boolean).map((text) => ` ${text}`).join("");
  return new Error(
    `Cannot run SQL: Postgres says: ${message} (${code})${line}.${more} All was rolled back`,
    { cause: error },
  );
}

/** The line of a character, both counted from 1. */
function lineOf(text: string, position: number): number {
  return [...text].slice(0, position - 1).join("").split("\n").length;
}
