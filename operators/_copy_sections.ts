import type { Hash } from "node:crypto";
import type { RecordBatch } from "apache-arrow";
// @ts-types="@types/pg"
import type pg from "pg";
import type { Meter } from "../engine/mod.ts";
import { copyRows, type Way } from "./_copy_rows.ts";
import { alterTypes, type Fit } from "./_evolve.ts";
import type { Flow } from "./_flow.ts";
import { PLACE_COLUMNS, type SiftedBatch } from "./_reject.ts";
import { nameList } from "./_table.ts";

/** How columns go where they belong. */
export interface Fitting {
  readonly fit: Fit | undefined;
  /** Whether {@linkcode PLACE_COLUMNS} go with them, so that each row can be refused by itself. */
  readonly placed: boolean;
}

/** Where a flow goes. */
export interface Bed {
  /** The table, as SQL has it. */
  readonly table: string;
  /** The sessions to share the rows. */
  readonly clients: readonly pg.Client[];
  /** Whether this transaction made the table, for its own rows alone. */
  readonly freeze: boolean;
  /** Takes the bytes of the rows, in their order. */
  readonly digest: Hash | undefined;
  readonly meter: Meter;
  /** How the columns of the flow, as they are now, go where they belong. @throws {GiveUp} where they do not */
  fit(): Promise<Fitting>;
  /** Changes the table; undefined where it is not ours alone. */
  readonly alter: ((clauses: string) => Promise<void>) | undefined;
}

/** Each cast writes anew what is there: a source of which many columns become wider is sooner read again. */
const MOST_CASTS = 5;

/**
 * Copies a flow, and returns how many rows it had. Where a column becomes wider, the COPY under way ends, Postgres casts
 * what it has, and another COPY begins.
 *
 * @throws {ReadAgain} where the rows that were sent cannot be cast any more
 */
export async function copySections(flow: Flow, bed: Bed): Promise<number> {
  const { table, clients, digest, alter } = bed;
  // What is cast is not frozen any more: a reader in an old snapshot would see what comes then, and not what was.
  for (let rows = 0, casts = 0, way = wayOf(flow, await bed.fit(), bed);; casts++) {
    const form = `(FORMAT binary${bed.freeze && casts === 0 ? ", FREEZE" : ""})`;
    const sql = `COPY ${table} (${nameList(way.columns)}) FROM STDIN ${form}`;
    rows += await copyRows(flow, { ...way, sql, clients });
    if (!flow.more) return rows;
    flow.turn();
    const wide = wayOf(flow, await bed.fit(), bed);
    if (digest) return await flow.again("the rows before it are hashed already");
    if (casts === MOST_CASTS) return await flow.again("the rows before it were cast often enough");
    if (!alter) return await flow.again("the rows before it are in the table already");
    await alter(alterTypes(way.columns, wide.columns));
    way = wide;
  }
}

/** Hashes the rows of a flow as they would be copied. @throws {ReadAgain} where the types do not hold for all of it */
export async function hashRows(
  flow: Flow,
  bed: Pick<Bed, "fit" | "digest" | "meter">,
): Promise<void> {
  await copyRows(flow, { ...wayOf(flow, await bed.fit(), bed), sql: "", clients: [] });
  if (flow.more) await flow.again("the rows before it are hashed already");
}

/** How the columns of a flow, as they are now, go where they belong. */
export function wayOf(
  flow: Flow,
  { fit, placed }: Fitting,
  { digest, meter }: Pick<Bed, "digest" | "meter">,
): Omit<Way, "sql" | "clients"> {
  const columns = fit?.columns ?? flow.columns;
  const names = flow.columns.map(({ name }) => name);
  const pick = columns.map(({ name }) => names.indexOf(name));
  if (placed) {
    const all = [...pick, ...PLACE_COLUMNS.keys().map((i) => names.length + i)];
    const shape = (batch: RecordBatch) => (batch as SiftedBatch).sifting.placed().selectAt(all);
    return { columns: [...columns, ...PLACE_COLUMNS], digest, meter, shape };
  }
  const shape = (batch: RecordBatch) => batch.selectAt(pick);
  return { columns, digest, meter, shape: pick.length < names.length ? shape : undefined };
}
