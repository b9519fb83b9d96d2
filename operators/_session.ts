import { setTimeout as sleep } from "node:timers/promises";
// @ts-types="@types/pg"
import type pg from "pg";
import type { Context } from "../engine/mod.ts";

/** How long one try waits for those who hold the table, in milliseconds. */
const LOCK_TIMEOUT = 2000;

/**
 * What each transaction is like, whatever the database's or the role's settings: they are set again here because behind
 * a pooler each transaction may have another session.
 */
export const BEGIN =
  `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL client_encoding = 'UTF8';
  SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL TimeZone = 'UTC'; SET LOCAL standard_conforming_strings = on;
  SET LOCAL extra_float_digits = 1;
  SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = 0`;

/** Ends what {@linkcode Session.turn} began. */
export const PATIENT =
  "SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

/** While others wait for us, a process of ours that stands still is not waited for. */
const IMPATIENT =
  `SET LOCAL lock_timeout = ${LOCK_TIMEOUT}; SET LOCAL idle_in_transaction_session_timeout = 30000`;

/** Thrown to begin a turn again, because the target is not what it was. */
export class Again extends Error {}

/** A session whose statements count as waiting for the database. */
export class Session {
  readonly client: pg.Client;
  readonly #ctx: Context;

  constructor(client: pg.Client, ctx: Context) {
    this.client = client;
    this.#ctx = ctx;
  }

  /** Runs one statement, or several without parameters; gives the result of each. */
  async all<T extends pg.QueryResultRow>(
    sql: string,
    params?: readonly string[],
  ): Promise<pg.QueryResult<T>[]> {
    const ran = this.client.query(sql, params as string[]);
    return [await this.#ctx.meter.wait("the database", ran)].flat() as never;
  }

  /** The first row of the last of the statements. */
  async row<T>(sql: string): Promise<T> {
    return (await this.all(sql)).at(-1)!.rows[0] as T;
  }

  /** Begins a turn: a savepoint, in which nobody is waited for longer than a short while. */
  turn(statements: readonly string[]): Promise<pg.QueryResult[]> {
    return this.all(["SAVEPOINT turn", IMPATIENT, ...statements].join(";\n"));
  }

  /**
   * Takes turns while others hold what is needed, for `patience` in all; before each but the first the last one is rolled
   * back, and `again` looks at what changed.
   */
  async takeTurns<T>(
    work: () => Promise<T>,
    { table, patience, again }: {
      table: string;
      patience: Temporal.DurationLike;
      again: () => Promise<void>;
    },
  ): Promise<T> {
    const limit = Temporal.Duration.from(patience).total("milliseconds");
    for (let waited = 0, tries = 1, moves = 0;; tries++) {
      try {
        return await work();
      } catch (error) {
        const { code = "" } = error as { code?: string };
        const locked = ["55P03", "40P01", "40001"].includes(code);
        const moved = error instanceof Again || isTaken(error) || code === "42P01";
        if (!locked && !(moved && ++moves <= 3)) throw error;
        await this.all("ROLLBACK TO SAVEPOINT turn");
        const pause = locked ? Math.min(100 * tries, 1000) : 0;
        if (locked) {
          waited += LOCK_TIMEOUT + pause;
          if (waited > limit) throw held(table, waited, error);
          this.#ctx.log.info(`waiting for those who use table ${table}`);
        }
        await sleep(pause, undefined, { signal: this.#ctx.signal });
        await again();
      }
    }
  }
}

function held(table: string, waited: number, cause: unknown): Error {
  return new Error(
    `Cannot load into ${table}: others have held the table for ${
      Math.round(waited / 1000)
    } s (pg_locks tells who), which is all the patience there was. All was rolled back: the table is as it was; try again`,
    { cause },
  );
}

/** Whether another session has just made what was to be made: seen before its commit, it is a key of the catalog. */
export function isTaken(error: unknown): boolean {
  const { code, schema } = error as { code?: string; schema?: string };
  return code === "42P07" || code === "42710" || (code === "23505" && schema === "pg_catalog");
}
