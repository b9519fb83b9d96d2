// @ts-types="@types/pg"
import type pg from "pg";
import type { Connection } from "../engine/mod.ts";
import { connect, disconnect } from "./_connect.ts";
import type { Column } from "./_copy_options.ts";

/** Which loads to list. */
export interface ListLoadsOptions {
  /** Only those into this table, quoted as SQL has it: `"public"."trips"`. */
  readonly target?: string;
  /** Only those of a DAG. */
  readonly dag?: string;
  /** Only those of a run. */
  readonly run?: string;
  /** Only those that began before the one of this id. */
  readonly before?: string;
  /** At most so many. @default {100} */
  readonly limit?: number;
  /** Gives up. */
  readonly signal?: AbortSignal;
}

/** A load as the ledger has it. Moments are ISO strings in UTC. */
export interface ListedLoad {
  /** Grows from load to load: its fence. */
  readonly id: string;
  /** The table, quoted as SQL has it. */
  readonly target: string;
  /** Names the load: of those of one key into one table, the latest attempt counts. */
  readonly key: string;
  /** replace, append, merge or partition. */
  readonly mode: string;
  /** Whose it is; null for a load without a DAG. */
  readonly dag: string | null;
  /** Of which run. */
  readonly run: string | null;
  /** Of which task. */
  readonly task: string | null;
  /** In which attempt. */
  readonly attempt: number | null;
  /** Rows that are in the table by it. */
  readonly rows: number;
  /** Records of its source that were refused. */
  readonly rejected: number;
  /** Bytes that its source gave. */
  readonly bytes: number;
  /** Where the rows came from, without secrets. */
  readonly source: string | null;
  /** Tells versions of the source apart: its ETag, or its time. */
  readonly validator: string | null;
  /** Of the source. */
  readonly sha256: string | null;
  /** Whether nothing told where the source ends: it may have been cut. */
  readonly unverified: boolean;
  /** The columns as they arrived. */
  readonly columns: readonly Column[];
  /** When the attempt began. */
  readonly began: string;
  /** When it was there for all to see. */
  readonly committed: string;
}

/**
 * Lists what `copy` has loaded into the tables of a database, the latest attempts first; nothing where nothing was.
 *
 * @throws {Error} when the database cannot be reached, or its ledger not be read
 */
export async function listLoads(
  connection: Connection,
  options: ListLoadsOptions = {},
): Promise<ListedLoad[]> {
  const { target, dag, run, before, limit = 100, signal = new AbortController().signal } = options;
  const client = await connect(connection, { signal });
  try {
    const { rows: [ledger] } = await client.query(
      "SELECT pg_catalog.to_regclass('sluice.loads') IS NOT NULL AS there",
    );
    if (!ledger.there) return [];
    const { rows } = await client.query(LOADS, [target, dag, run, before, limit]);
    return rows.map(toLoad);
  } finally {
    await disconnect(client);
  }
}

const LOADS =
  `SELECT fence::pg_catalog.text AS id, target, load_key AS key, mode, attempt, rows, bytes,
  coalesce(pg_catalog.to_jsonb(loads) ->> 'rejected', '0') AS rejected, -- an older ledger has none
  coalesce(pg_catalog.to_jsonb(loads) ->> 'unverified', 'false') AS unverified,
  source_url AS source, validator, sha256, columns, began, committed
FROM sluice.loads WHERE ($1::pg_catalog.text IS NULL OR target = $1)
  AND ($2::pg_catalog.text IS NULL OR pg_catalog.split_part(attempt, '/', 1) = $2)
  AND ($3::pg_catalog.text IS NULL OR pg_catalog.split_part(attempt, '/', 2) = $3)
  AND ($4::bigint IS NULL OR fence < $4)
ORDER BY fence DESC LIMIT $5`;

function toLoad(
  { attempt, rows, rejected, bytes, unverified, began, committed, ...load }: pg.QueryResultRow,
): ListedLoad {
  return {
    ...load as Pick<
      ListedLoad,
      "id" | "target" | "key" | "mode" | "source" | "validator" | "sha256" | "columns"
    >,
    ...placeOf(attempt),
    rows: Number(rows),
    rejected: Number(rejected),
    bytes: Number(bytes),
    unverified: unverified === "true",
    began: began.toISOString(),
    committed: committed.toISOString(),
  };
}

/** Whose attempt it was; work that was performed alone is nobody's. */
function placeOf(text: string): Pick<ListedLoad, "dag" | "run" | "task" | "attempt"> {
  const [dag, run, task, attempt] = text.split("/") as [string, string, string, string];
  if (dag === run && dag === task) return { dag: null, run: null, task: null, attempt: null };
  return { dag, run, task, attempt: Number(attempt) };
}
