import type { Json } from "../engine/mod.ts";

/** A table that has rejects, and how many. */
export interface RefusedTable {
  /** Its schema. */
  readonly schema: string;
  /** Its name. */
  readonly table: string;
  /** The table that has them. */
  readonly rejects: string;
  /** How many wait to be replayed. */
  readonly waiting: number;
  /** How many were. */
  readonly replayed: number;
  /** How many of those that wait broke each rule. */
  readonly rules: Readonly<Record<string, number>>;
  /** Of how many loads they are. */
  readonly loads: number;
  /** When the last one was refused: an ISO string in UTC. */
  readonly last: string | null;
}

/** Which rejects to list. */
export interface RejectsQuery {
  /** Of this table. */
  readonly table: string;
  /** Its schema. */
  readonly schema?: string;
  /** Only those behind the one of this id. */
  readonly after?: string;
  /** At most so many. */
  readonly limit: number;
  /** Those that were replayed, too. */
  readonly all: boolean;
}

/** A row that was refused. Moments are ISO strings in UTC. */
export interface RefusedRow {
  /** Grows from one to the next. */
  readonly id: string;
  /** The key of the load that it was refused by. */
  readonly load: string;
  /** Whose attempt that was. */
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
  readonly rule: string;
  /** Why, in a sentence. */
  readonly message: string;
  /** As it stood in the source. */
  readonly raw: string;
  /** The same in base64, where text cannot hold it. */
  readonly bytes: string | null;
  /** As far as it could be read: values by column. */
  readonly row: Readonly<Record<string, Json>> | null;
  /** When it was refused. */
  readonly refused: string;
  /** When it was replayed. */
  readonly replayed: string | null;
}

/** Rejects to be put into their table. */
export interface ReplayOrder {
  /** The table. */
  readonly table: string;
  /** Its schema. */
  readonly schema?: string;
  /** Only these. @default {all that can be tried as they are} */
  readonly ids?: readonly string[];
  /** Corrected, by id: values by column; those left out stay the record's. */
  readonly rows?: readonly { readonly id: string; readonly row: Readonly<Record<string, Json>> }[];
}

/** What became of a replay. */
export interface ReplayOutcome {
  /** The table. */
  readonly table: string;
  /** How many rows are in it now. */
  readonly replayed: number;
  /** How many were refused again. */
  readonly rejected: number;
  /** How many had been replayed before, or had nothing to try. */
  readonly skipped: number;
}

/** What a database keeps of rows that were refused. */
export interface Rejects {
  /** The tables that have some. */
  tables(): Promise<readonly RefusedTable[]>;
  /** Those of a table, the oldest first. */
  rows(query: RejectsQuery): Promise<readonly RefusedRow[]>;
  /** Puts some into their table, once, in one transaction. @throws {TypeError} when there is no such table */
  replay(order: ReplayOrder): Promise<ReplayOutcome>;
}
