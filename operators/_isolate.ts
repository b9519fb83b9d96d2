// @ts-types="@types/pg"
import type pg from "pg";
import { PLACE_COLUMNS, type Reason, type Reject, type RejectRule } from "./_reject.ts";
import type { Filling, Placement } from "./_placement.ts";
import type { Refusals } from "./_refusals.ts";
import type { Session } from "./_session.ts";
import { literal, nameList } from "./_table.ts";

/** What Postgres says of rows, not of itself: data, integrity, a check option, and what triggers raise. */
const OF_ROWS = /^(22|23|44000$|P0001$)/;

/** Whether an error is about a row that was to go into a table. */
export function isAboutRows(error: unknown): boolean {
  return OF_ROWS.test((error as { code?: string }).code ?? "");
}

/**
 * Puts rows of a staging table where they belong, but for those that the database refuses where that is put up with;
 * gives what came of each statement.
 */
export async function putRows(
  session: Session,
  { staging, placement: { steps, filling }, after, reasons }: {
    readonly staging: string;
    readonly placement: Pick<Placement, "steps" | "filling">;
    readonly after: readonly string[];
    /** What can be asked of all rows at once, which is cheap, before they are told one by one. */
    reasons(): Promise<readonly Reason[]>;
  },
  refusals: Refusals,
): Promise<pg.QueryResult[]> {
  const put = () => session.all([...steps(staging), ...after].join(";\n"));
  if (!refusals.tolerant || !filling) return await put();
  // What is deferred would be found at the COMMIT only, when no row can be refused by itself any more.
  await session.all("SAVEPOINT put; SET CONSTRAINTS ALL IMMEDIATE");
  const undo = async (error: unknown): Promise<void> => {
    if (!isAboutRows(error)) throw error;
    await session.all("ROLLBACK TO SAVEPOINT put; SET CONSTRAINTS ALL IMMEDIATE");
  };
  try {
    return await put();
  } catch (error) {
    await undo(error);
  }
  const mark = await refusals.mark();
  let asked = false;
  try {
    const found = await refuseWhere(session, staging, await reasons(), refusals);
    await refusals.check();
    await session.all("SAVEPOINT put");
    asked = true;
    if (found > 0) return await put();
  } catch (error) {
    await undo(error);
    // A check may fail itself, of a row that something else would have kept from it.
    if (!asked) await refusals.rewind(mark);
  }
  await refusals.add(await isolate(session, staging, filling));
  await refusals.check();
  return await put();
}

const [RECORD] = PLACE_COLUMNS.map(({ name }) => `"${name}"`);

/**
 * Takes the rows out of a staging table that Postgres refuses, and gives them; the tables they are to go into are as
 * before.
 *
 * More and more rows at once are put where they belong, fewer after one was refused, and all of it is undone: a row is
 * told by itself, whatever refuses it. Of two rows with one key the first stays. A row whose foreign key is missing is
 * tried again at the end, as it may refer to one of the others.
 */
async function isolate(
  session: Session,
  staging: string,
  { before, fill }: Filling,
): Promise<Reject[]> {
  const chunk = `(SELECT * FROM ${staging} WHERE ${RECORD} > $1 AND ${RECORD} <= $2) AS chunk`;
  const attempt = fill(chunk).map((sql) => `EXECUTE ${literal(sql)} USING low, high;`).join("\n");
  await session.all(`CREATE UNIQUE INDEX ON ${staging} (${RECORD}); ANALYZE ${staging};
    CREATE OR REPLACE FUNCTION pg_temp.sluice_isolate() RETURNS TABLE (
      record bigint, state pg_catalog.text, said pg_catalog.text, field pg_catalog.text)
    LANGUAGE plpgsql AS ${literal(isolating(staging, attempt))};
    SAVEPOINT isolate; SET CONSTRAINTS ALL IMMEDIATE; ${before.join(";\n")}`);
  const refused = (await session.all<Refused>("SELECT * FROM pg_temp.sluice_isolate()")).at(-1)!;
  await session.all("ROLLBACK TO SAVEPOINT isolate");
  return await takeOut(session, staging, refused.rows);
}

interface Refused {
  readonly record: string;
  readonly state: string;
  readonly said: string;
  readonly field: string;
}

/** The body of a function that gives the records that are refused. */
function isolating(staging: string, attempt: string): string {
  return `
DECLARE
  low bigint := 0; high bigint; last bigint; step bigint := 256; moved boolean := true;
  waiting bigint[] := '{}'; again bigint[];
BEGIN
  SELECT pg_catalog.max(${RECORD}) INTO last FROM ${staging};
  WHILE low < last LOOP
    high := least(low + step, last);
    BEGIN
      ${attempt}
      low := high; step := least(step * 2, 65536);
    EXCEPTION WHEN OTHERS THEN
      IF SQLSTATE !~ ${literal(OF_ROWS.source)} THEN RAISE; END IF;
      IF high > low + 1 THEN step := greatest((high - low) / 4, 1); CONTINUE; END IF;
      IF SQLSTATE = '23503' THEN waiting := waiting || high;
      ELSE
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT, field = COLUMN_NAME;
        record := high; RETURN NEXT;
      END IF;
      low := high; step := 8;
    END;
  END LOOP;
  WHILE moved LOOP
    moved := false; again := '{}';
    FOREACH high IN ARRAY waiting LOOP
      low := high - 1;
      BEGIN
        ${attempt}
        moved := true;
      EXCEPTION WHEN OTHERS THEN
        IF SQLSTATE !~ ${literal(OF_ROWS.source)} THEN RAISE; END IF;
        again := again || high;
      END;
    END LOOP;
    waiting := again;
  END LOOP;
  FOREACH high IN ARRAY waiting LOOP
    low := high - 1;
    BEGIN
      ${attempt}
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT, field = COLUMN_NAME;
      record := high; RETURN NEXT;
    END;
  END LOOP;
END`;
}

/** Refuses the rows for which there are reasons; gives how many. */
export async function refuseWhere(
  session: Session,
  staging: string,
  reasons: readonly Reason[],
  refusals: Refusals,
): Promise<number> {
  const before = refusals.rejected;
  for (const { condition, ...reason } of reasons) {
    const { rows } = (await session.all<Row>(
      `DELETE FROM ${staging} AS "sluice:row" WHERE ${condition} RETURNING ${RETURNED}`,
    )).at(-1)!;
    await refusals.add(rows.map((row) => toReject(row, { record: row.record, ...reason })));
  }
  return refusals.rejected - before;
}

const RETURNED = `${nameList(PLACE_COLUMNS)}, (SELECT pg_catalog.jsonb_object_agg(key, value)
  FROM pg_catalog.jsonb_each_text(pg_catalog.to_jsonb("sluice:row")) WHERE NOT key LIKE 'sluice:%') AS "row"`
  .replace(`"sluice:record"`, `"sluice:record" AS record`)
  .replace(`"sluice:line"`, `"sluice:line" AS line`)
  .replace(`"sluice:from"`, `"sluice:from" AS from_byte`)
  .replace(`"sluice:to"`, `"sluice:to" AS to_byte`)
  .replace(`"sluice:raw"`, `"sluice:raw" AS raw`);

interface Row {
  readonly record: string;
  readonly line: string;
  readonly from_byte: string | null;
  readonly to_byte: string | null;
  readonly raw: string;
  readonly row: NonNullable<Reject["row"]>;
}

async function takeOut(
  session: Session,
  staging: string,
  refused: readonly Refused[],
): Promise<Reject[]> {
  const why = new Map(refused.map((one) => [one.record, one]));
  const { rows } = (await session.all<Row>(
    `DELETE FROM ${staging} AS "sluice:row" WHERE ${RECORD} = ANY ('{${[...why.keys()]}}'::bigint[])
     RETURNING ${RETURNED}`,
  )).at(-1)!;
  return rows.map((row) => toReject(row, why.get(row.record)!))
    .sort((a, b) => a.record - b.record);
}

function toReject(row: Row, { state, said, field }: Refused): Reject {
  const number = (text: string | null) => text === null ? null : Number(text);
  return {
    record: Number(row.record),
    line: Number(row.line),
    from_byte: number(row.from_byte),
    to_byte: number(row.to_byte),
    column_name: field || null,
    rule: ruleOf(state),
    message: `${said} (${state})`,
    raw: row.raw,
    bytes: null,
    row: row.row,
  };
}

const RULES: Readonly<Record<string, RejectRule>> = {
  "23502": "not_null",
  "23503": "foreign_key",
  "23505": "unique",
  "23P01": "unique",
  "23514": "check",
  "44000": "check",
};

/** The rule that an SQLSTATE stands for. */
export function ruleOf(state: string): RejectRule {
  return RULES[state] ?? (state.startsWith("22") ? "value" : "other");
}
