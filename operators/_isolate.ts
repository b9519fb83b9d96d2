// @ts-types="@types/pg"
import type pg from "pg";
import type { CopyOptions } from "./_copy_options.ts";
import { BEATEN, heirsOf } from "./_dedupe.ts";
import type { Filling, Placement } from "./_placement.ts";
import type { Reason } from "./_reject.ts";
import type { Refusals } from "./_refusals.ts";
import {
  failWhere,
  noting,
  RECORD,
  refuse,
  type Refused,
  refuseNoted,
  refuseWhere,
} from "./_refuse.ts";
import type { Session } from "./_session.ts";
import type { Staging } from "./_stage.ts";
import { literal } from "./_table.ts";

/** What Postgres says of rows, not of itself: data, integrity, a check option, and what triggers raise. */
const OF_ROWS = /^(22|23|44000$|P0001$)/;

/** Whether an error is about a row that was to go into a table. */
export function isAboutRows(error: unknown): boolean {
  return OF_ROWS.test((error as { code?: string }).code ?? "");
}

/** What is to be done with the rows of a staging table. */
export interface Putting {
  readonly staging: Staging;
  readonly placement: Pick<Placement, "steps" | "filling">;
  readonly after: readonly string[];
  /** Why rows would not be the same in the table, which Postgres would not say. */
  readonly losses: readonly Reason[];
  /** What is to be asked of all rows at once, which is cheap, after these errors. */
  reasons(errors: readonly unknown[]): Promise<readonly Reason[]>;
  /** Whether what is left when rows were refused is enough. @throws {GiveUp} when it is not */
  check(): Promise<void>;
  /** Brings back rows that those took the place of which were refused; where there may be such. */
  readonly revive:
    | ((broken: readonly Reason[], tried: readonly Refused[]) => Promise<void>)
    | false;
  readonly options: CopyOptions;
}

/**
 * Puts rows of a staging table where they belong, but for those that the database refuses where that is put up with;
 * gives what came of each statement.
 */
export async function putRows(
  session: Session,
  work: Putting,
  refusals: Refusals,
): Promise<pg.QueryResult[]> {
  const { staging, placement: { steps, filling }, after, losses, reasons, check, revive } = work;
  const { table } = staging;
  const put = () => session.all([...steps(table), ...after].join(";\n"));
  // How few rows are refused no planner can tell: for what it expects it would compile expressions, at great length.
  const asking = () => session.all("SET LOCAL jit = off");
  if (!refusals.tolerant || !filling) {
    if (losses.length > 0) {
      await asking();
      await failWhere(session, staging, losses, work.options);
    }
    return await put();
  }
  if (losses.length > 0) {
    await asking();
    if (await refuseWhere(session, staging, losses, refusals) > 0) {
      await refusals.takeOut(session, table, RECORD);
      if (revive) await revive(losses, []);
      await check();
    }
  }
  // What is deferred would be found at the COMMIT only, when no row can be refused by itself any more.
  await session.all("SAVEPOINT put; SET CONSTRAINTS ALL IMMEDIATE");
  const mark = await refusals.mark();
  const errors: unknown[] = [];
  const undo = async (error: unknown): Promise<void> => {
    if (!isAboutRows(error)) throw error;
    errors.push(error);
    await session.all("ROLLBACK TO SAVEPOINT put; SET CONSTRAINTS ALL IMMEDIATE");
    await asking();
    await refusals.rewind(mark);
  };
  let asked = await reasons(errors), found = 0, refused: readonly Refused[] = [];
  for (;;) {
    try {
      if (asked.length > 0 && work.options.mode !== "merge") {
        const done = await session.all(
          steps(table, await noting(session, table, asked)).join(";\n"),
        );
        // Whether a table may become empty is asked while it is not.
        if (done.some(({ command, rowCount }) => command === "INSERT" && rowCount! > 0)) {
          if (await refuseNoted(session, staging, asked, refusals) > 0) await check();
          return [...done, ...await session.all([`DROP TABLE ${table}`, ...after].join(";\n"))];
        }
        await session.all("ROLLBACK TO SAVEPOINT put; SET CONSTRAINTS ALL IMMEDIATE");
        await asking();
      }
      found = await refuseWhere(session, staging, asked, refusals);
      if (found === 0) return await put();
      await check();
      break;
    } catch (error) {
      await undo(error);
      found = 0;
      const more = await reasons(errors);
      if (more.length <= asked.length) break;
      asked = more;
    }
  }
  if (found === 0) {
    // Which of two rows with one key is refused depends on what else is: only what is told one by one is sure now.
    asked = asked.filter(({ twice }) => !twice);
    try {
      if (await refuseWhere(session, staging, asked, refusals) > 0) {
        await refusals.takeOut(session, table, RECORD);
      }
    } catch (error) {
      // A check may fail itself, of a row that something else would have kept from it.
      await undo(error);
      asked = [];
    }
    refused = await isolate(session, table, filling, revive ? heirsOf(table, work.options) : "");
    await refuse(session, staging, { by: RECORD }, refused, refusals);
  }
  await refusals.takeOut(session, table, RECORD);
  if (revive && refusals.rejected > mark.rejected) {
    await revive(asked, refused);
    await check();
    return await putRows(session, work, refusals);
  }
  await check();
  return await put();
}

/**
 * Finds the rows of a staging table that Postgres refuses; the tables they are to go into are as before.
 *
 * More and more rows at once are put where they belong, fewer after one was refused, and all of it is undone: a row is
 * told by itself, whatever refuses it. Of two rows with one key the first stays. A row whose foreign key is missing is
 * tried again at the end, as it may refer to one of the others. For one that is refused those that it took the place of
 * are tried (`heirs`), up to the first that is not.
 */
async function isolate(
  session: Session,
  staging: string,
  { before, fill }: Filling,
  heirs: string,
): Promise<Refused[]> {
  const attempt = (table: string) =>
    fill(
      `(SELECT * FROM ${table} WHERE ${RECORD} > "sluice:low" AND ${RECORD} <= "sluice:high") AS chunk`,
    ).map((sql) => `${sql};`).join("\n");
  // One plan does for all chunks where rows are only read and put; where they are joined, few need another than many.
  const plans = fill(staging).length === 1 ? "SET plan_cache_mode = force_generic_plan" : "";
  const tables = heirs === "" ? [staging] : [staging, BEATEN];
  const indexes = tables.map((table) =>
    `CREATE UNIQUE INDEX ON ${table} (${RECORD}); ANALYZE ${table};`
  );
  const inheriting = heirs && trying(heirs, attempt(BEATEN));
  await session.all(`${indexes.join("\n")}
    CREATE OR REPLACE FUNCTION pg_temp.sluice_isolate() RETURNS TABLE (
      "of" bigint, state pg_catalog.text, said pg_catalog.text, field pg_catalog.text)
    LANGUAGE plpgsql ${plans} AS ${literal(isolating(staging, attempt(staging), inheriting))};
    SAVEPOINT isolate; SET CONSTRAINTS ALL IMMEDIATE; ${before.join(";\n")}`);
  const refused = (await session.all<Refused>("SELECT * FROM pg_temp.sluice_isolate()")).at(-1)!;
  await session.all("ROLLBACK TO SAVEPOINT isolate");
  return refused.rows;
}

/** The body of a function that gives the records that are refused. */
function isolating(staging: string, attempt: string, inheriting: string): string {
  return `
#variable_conflict use_column
DECLARE
  "sluice:low" bigint := 0; "sluice:high" bigint; last bigint; step bigint := 256; moved boolean := true;
  waiting bigint[] := '{}'; again bigint[];
  "sluice:gone" bigint[] := '{}'; heir record; heired bigint := 0;
BEGIN
  SELECT pg_catalog.max(${RECORD}) INTO last FROM ${staging};
  WHILE "sluice:low" < last LOOP
    "sluice:high" := least("sluice:low" + step, last);
    BEGIN
      ${attempt}
      "sluice:low" := "sluice:high"; step := least(step * 2, 65536);
    EXCEPTION WHEN OTHERS THEN
      IF SQLSTATE !~ ${literal(OF_ROWS.source)} THEN RAISE; END IF;
      IF "sluice:high" > "sluice:low" + 1 THEN step := greatest(("sluice:high" - "sluice:low") / 4, 1); CONTINUE; END IF;
      IF SQLSTATE = '23503' THEN waiting := waiting || "sluice:high";
      ELSE
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT, field = COLUMN_NAME;
        "of" := "sluice:high"; "sluice:gone" := "sluice:gone" || "of"; RETURN NEXT;
      END IF;
      "sluice:low" := "sluice:high"; step := 8;
    END;
  END LOOP;
  WHILE moved LOOP
    moved := false; again := '{}';
    FOREACH "sluice:high" IN ARRAY waiting LOOP
      "sluice:low" := "sluice:high" - 1;
      BEGIN
        ${attempt}
        moved := true;
      EXCEPTION WHEN OTHERS THEN
        IF SQLSTATE !~ ${literal(OF_ROWS.source)} THEN RAISE; END IF;
        again := again || "sluice:high";
      END;
    END LOOP;
    waiting := again;
  END LOOP;
  FOREACH "sluice:high" IN ARRAY waiting LOOP
    "sluice:low" := "sluice:high" - 1;
    BEGIN
      ${attempt}
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT, field = COLUMN_NAME;
      "of" := "sluice:high"; "sluice:gone" := "sluice:gone" || "of"; RETURN NEXT;
    END;
  END LOOP;
  ${inheriting}
END`;
}

/** What tries one after the other the rows that a query gives with those that they would come for. */
function trying(heirs: string, attempt: string): string {
  return `
  FOR heir IN ${heirs} LOOP
    CONTINUE WHEN heir.lost = heired;
    "sluice:low" := heir.record - 1; "sluice:high" := heir.record;
    BEGIN
      ${attempt}
      heired := heir.lost;
    EXCEPTION WHEN OTHERS THEN
      IF SQLSTATE !~ ${literal(OF_ROWS.source)} THEN RAISE; END IF;
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT, field = COLUMN_NAME;
      "of" := "sluice:high"; RETURN NEXT;
    END;
  END LOOP;`;
}
