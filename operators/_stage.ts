import { type Context, GiveUp } from "../engine/mod.ts";
import type { Attempt } from "./_attempt.ts";
import { CommittedStaging, planOf } from "./_committed_staging.ts";
import type { Column, CopyOptions } from "./_copy_options.ts";
import { likeTarget } from "./_partition.ts";
import type { Placement } from "./_placement.ts";
import { PLACE_COLUMNS } from "./_reject.ts";
import { BEGIN, type Session } from "./_session.ts";
import { registerStaging, stagingTable } from "./_staging.ts";
import { columnList, MAX_COLUMNS } from "./_table.ts";
import type { Target } from "./_target.ts";

/** A table that has the rows before they are where they belong. */
export interface Staging {
  readonly table: string;
  readonly kind: Placement["staging"];
  /** Those of the source. */
  readonly columns: readonly Column[];
  /** Where the next attempt may go on with it. */
  readonly resumable?: CommittedStaging;
}

/** What a staging table is made for. */
export interface Stage {
  readonly kind: Placement["staging"];
  readonly columns: readonly Column[];
  /** Whether it has columns that say where each row comes from, too. */
  readonly placed: boolean;
  readonly target: Target;
  /** Whether it is committed before it has all rows; that ends the transaction. */
  readonly committed: boolean;
  readonly options: CopyOptions;
  readonly ctx: Context;
}

/** Makes the table that the rows are copied to first, or finds the one that a dead attempt has left. */
export async function stage(
  session: Session,
  attempt: Attempt,
  { kind, columns, placed, target, committed, options, ctx }: Stage,
): Promise<Staging> {
  const { ledger, fence, resumable } = attempt;
  const like = kind === "like" ? target.existing!.columns : [];
  const all = placed ? [...columns, ...PLACE_COLUMNS] : columns;
  if (placed && all.length > MAX_COLUMNS) {
    throw new GiveUp(
      `Cannot keep aside what is refused of ${columns.length} columns: to tell where each row comes from takes ` +
        `${PLACE_COLUMNS.length} more, and Postgres has at most ${MAX_COLUMNS}; leave columns out, or let rejects fail`,
    );
  }
  const plan = resumable ? planOf(kind, all, like, options, ctx) : undefined;
  if (plan !== undefined) {
    await session.all("COMMIT");
    const adopted = await CommittedStaging.adopt(session, attempt, plan);
    if (adopted) return { table: adopted.table, kind, columns, resumable: adopted };
    await session.all(BEGIN);
  }
  const table = stagingTable(kind === "temporary" ? undefined : target.schema);
  const create = kind === "like"
    ? `TABLE ${table} (${likeTarget(target)})`
    : kind === "temporary"
    ? `TEMPORARY TABLE ${table} (${columnList(all)}) USING heap`
    : `TABLE ${table} (${columnList(all)})`;
  await session.all(`CREATE ${create}`);
  if (!committed) return { table, kind, columns };
  await session.all(`${registerStaging(table, ledger!, fence, plan)}; COMMIT`);
  if (!resumable) return { table, kind, columns };
  return { table, kind, columns, resumable: new CommittedStaging(session, attempt, table) };
}
