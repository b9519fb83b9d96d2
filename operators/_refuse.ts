import { GiveUp } from "../engine/mod.ts";
import type { CopyOptions } from "./_copy_options.ts";
import { option } from "./_option.ts";
import { PLACE_COLUMNS, type Reason, type RejectRule } from "./_reject.ts";
import type { Refusals } from "./_refusals.ts";
import type { Session } from "./_session.ts";
import type { Staging } from "./_stage.ts";
import { literal, named, quoteName } from "./_table.ts";

/** What a row of a staging table is known by. */
export const RECORD: string = `"${PLACE_COLUMNS[0].name}"`;

/** What a staging table is called where reasons are asked. */
export const STAGED = `"sluice:staged"`;

/** A row that is refused, or a reason why rows are: known by `of`, told as Postgres tells it. */
export interface Refused {
  readonly of: string | number;
  readonly state: string;
  readonly said: string;
  readonly field: string;
  /** Whether the values of the row are not told by column. */
  readonly untold?: boolean;
}

/** Refuses the rows for which there are reasons, without taking them out; gives how many. */
export async function refuseWhere(
  session: Session,
  staging: Staging,
  reasons: readonly Reason[],
  refusals: Refusals,
): Promise<number> {
  const join = await look(session, staging.table, reasons);
  return await refuse(session, staging, { by: firstOf(reasons), join }, told(reasons), refusals);
}

/**
 * The rows of a staging table for which there are no reasons, to be read once. The others are noted when they are passed
 * over, and then {@linkcode refuseNoted} finds them without looking at all rows.
 */
export async function noting(
  session: Session,
  table: string,
  reasons: readonly Reason[],
): Promise<string> {
  const join = await look(session, table, reasons);
  await session.all(
    `CREATE TEMPORARY TABLE sluice_noted (at tid, why bigint) ON COMMIT DROP;
     CREATE FUNCTION pg_temp.sluice_note(tid, bigint) RETURNS boolean LANGUAGE plpgsql AS
       'BEGIN INSERT INTO pg_temp.sluice_noted VALUES ($1, $2); RETURN false; END'`,
  );
  const note = (why: number) => `pg_temp.sluice_note(${STAGED}.ctid, ${why})`;
  const kept = firstOf(reasons, note, "true");
  return `(SELECT ${STAGED}.* FROM ${table} AS ${STAGED} ${join} WHERE ${kept}) AS kept`;
}

/** Refuses the rows that were noted; gives how many. */
export async function refuseNoted(
  session: Session,
  staging: Staging,
  reasons: readonly Reason[],
  refusals: Refusals,
): Promise<number> {
  // They lie one behind the other, not anywhere.
  await session.all("SET LOCAL random_page_cost = 1");
  const join = `JOIN pg_temp.sluice_noted AS "sluice:noted" ON ${STAGED}.ctid = "sluice:noted".at`;
  const by = { by: `"sluice:noted".why`, join };
  const count = await refuse(session, staging, by, told(reasons), refusals);
  await session.all(
    "DROP FUNCTION pg_temp.sluice_note(tid, bigint); DROP TABLE pg_temp.sluice_noted",
  );
  return count;
}

/** Whether there is one of some reasons for which a row is refused, as SQL. */
export function isBroken(reasons: readonly Reason[]): string {
  return reasons.map(({ condition }) => `(${condition})`).join(" OR ");
}

/** What to do for the first of some reasons that a row has, and for a row that has none, as SQL. */
function firstOf(
  reasons: readonly Reason[],
  done: (why: number) => string = String,
  otherwise = "NULL",
): string {
  const whens = reasons.map(({ condition }, i) => `WHEN ${condition} THEN ${done(i)}`);
  return `CASE ${whens.join(" ")} ELSE ${otherwise} END`;
}

function told(reasons: readonly Reason[]): Refused[] {
  return reasons.map(({ condition: _, twice: __, ...reason }, of) => ({ of, ...reason }));
}

/** Finds out what the last of some reasons needs, where others decide of a row; gives what joins it. */
async function look(
  session: Session,
  table: string,
  reasons: readonly Reason[],
): Promise<string> {
  const at = reasons.findIndex(({ twice }) => twice);
  if (at < 0) return "";
  const records = reasons[at]!.twice!(table, isBroken(reasons.slice(0, at)) || "false");
  // As a table it can be looked at for how few they are, which the join then goes by.
  await session.all(
    `CREATE TEMPORARY TABLE sluice_twice ("sluice:twice") ON COMMIT DROP AS ${records}; ANALYZE pg_temp.sluice_twice`,
  );
  return `LEFT JOIN pg_temp.sluice_twice ON ${RECORD} = "sluice:twice"`;
}

/** Refuses the rows of which an expression (`by`) gives what one of `refused` is known by; gives how many. */
export async function refuse(
  session: Session,
  { table, columns }: Staging,
  { by, join = "" }: { readonly by: string; readonly join?: string },
  refused: readonly Refused[],
  refusals: Refusals,
): Promise<number> {
  if (refused.length === 0) return 0;
  const whys = refused.map(({ of, state, said, field, untold = false }) => ({
    "sluice:of": of,
    "sluice:rule": ruleOf(state),
    "sluice:message": `${said} (${state})`,
    "sluice:field": field || null,
    "sluice:untold": untold,
  }));
  const names = columns.map(({ name }) => literal(name));
  const texts = columns.map(({ name }) => text(name));
  // Twice as fast as a row that is made for it and put into JSON.
  const row = `pg_catalog.json_object(ARRAY[${names.join(", ")}]::pg_catalog.text[], ARRAY[${
    texts.join(", ")
  }]::pg_catalog.text[])`;
  const values = columns.map(({ name }, i) => `${texts[i]} AS ${quoteName(name, "column")}`);
  const shown = `(SELECT pg_catalog.row_to_json("sluice:values")::pg_catalog.text
    FROM (SELECT ${values.join(", ")}) AS "sluice:values")`;
  // What has no text of its own is told by its values.
  const places = PLACE_COLUMNS.map(({ name }) => `"${name}"`), raw = places.pop();
  return await refusals.hold(
    session,
    `SELECT ${places.join(", ")}, "sluice:field", "sluice:rule", "sluice:message",
       coalesce(${raw}, ${shown}), NULL, CASE WHEN NOT "sluice:untold" THEN ${row} END
     FROM (SELECT ${STAGED}.*, ${by} AS "sluice:why" FROM ${table} AS ${STAGED} ${join}) AS "sluice:row"
     JOIN pg_catalog.jsonb_to_recordset(${literal(JSON.stringify(whys))}) AS "sluice:refused" (
       "sluice:of" bigint, "sluice:field" pg_catalog.text, "sluice:rule" pg_catalog.text,
       "sluice:message" pg_catalog.text, "sluice:untold" boolean) ON "sluice:why" = "sluice:of"
     WHERE "sluice:why" IS NOT NULL ORDER BY ${RECORD}`,
  );
}

/** Ends a load of which no row may be refused, where there are reasons for one. @throws {GiveUp} telling the first */
export async function failWhere(
  session: Session,
  { table: staging }: Staging,
  reasons: readonly Reason[],
  options: CopyOptions,
): Promise<void> {
  const values = reasons.map(({ field }, i) => `WHEN ${i} THEN ${text(field)}`).join(" ");
  const found = await session.row<{ why: number; value: string; record: string } | undefined>(
    `SELECT "sluice:why" AS why, CASE "sluice:why" ${values} END AS value,
       (SELECT pg_catalog.count(*) FROM ${staging} WHERE ctid <= "sluice:at") AS record
     FROM (SELECT *, ctid AS "sluice:at", ${
      firstOf(reasons)
    } AS "sluice:why" FROM ${staging}) AS "sluice:row"
     WHERE "sluice:why" IS NOT NULL ORDER BY "sluice:at" LIMIT 1`,
  );
  if (!found) return;
  const { mode, parallel = 1 } = options;
  // Rows lie as they came, but over several connections, and where of those with one key the last was left.
  const where = mode === "merge" || parallel > 1 ? "" : ` in record ${found.record}`;
  throw new GiveUp(
    `Cannot load into ${named(options)}: ${reasons[found.why]!.said}: ${
      JSON.stringify(shortened(found.value))
    }${where}. All was rolled back: the table is as it was. Change the column's type or mend the source, or let such ` +
      `rows be kept aside: ${option("onReject", "keep")}`,
  );
}

function text(column: string): string {
  return `CAST(${quoteName(column, "column")} AS pg_catalog.text)`;
}

function shortened(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
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
