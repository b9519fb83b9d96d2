import type { Reason } from "./_reject.ts";
import { literal, quoteName } from "./_table.ts";

/** The least and the most that whole numbers of a type can be. */
const RANGES: Readonly<Record<string, readonly [least: string, most: string]>> = {
  "smallint": ["-32768", "32767"],
  "integer": ["-2147483648", "2147483647"],
  "bigint": ["-9223372036854775808", "9223372036854775807"],
};

const DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}";
const TIME = "[ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?";
const WHOLE = "(0|-?[1-9][0-9]*)";
/** Without what a number does not keep: a plus sign, a leading zero. */
const DECIMAL = "-?((0|[1-9][0-9]*)([.][0-9]*)?|[.][0-9]+)([eE][+-]?0*[0-9]{1,9})?";

/**
 * How text is written that is a value of a type and nothing more: as a column of that type alone would have been read. What
 * else Postgres would make one of (`007`, a day with a time, a time without its zone) would lose a part, or be made up.
 */
const WRITTEN: Readonly<Record<string, string>> = {
  "smallint": WHOLE,
  "integer": WHOLE,
  "bigint": WHOLE,
  "double precision": `(${DECIMAL}|NaN|-?inf|-?Infinity)`,
  "numeric": `(${DECIMAL}|NaN)`,
  "date": DAY,
  "timestamp without time zone": `${DAY}(${TIME})?`,
  "timestamp with time zone": `${DAY}${TIME}(Z|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)`,
  "uuid": "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
};

/** Postgres' numeric: at most so many digits before and behind the point (its manual, table 8.2). */
const MAX_WHOLE = 131072, MAX_FRACTION = 16383;

/** The largest double, and about the smallest, and the smallest that has all digits, as decimals. */
const MOST = "1.7976931348623157e308", LEAST = "4.9e-324", NORMAL = "2.2250738585072014e-308";
/** From here on, 2⁵⁴, a decimal of few digits may be in the middle of two doubles, which Postgres does not print as it. */
const TIES = "18014398509481984";

/** Whether text can be read as a type without a loss, where {@linkcode lossesOf} is asked of each value. */
export function isReadOfText(type: string): boolean {
  return type in WRITTEN;
}

/**
 * Why a value that arrives would not be the same in a column of a table: it would be rounded, cut, made of text that says
 * something else or more, or is beyond what the type can be. None where no value is. Of text whose numbers are written in
 * `foreign` ways, a point may be one between thousands.
 */
export function lossesOf(
  name: string,
  arrives: string,
  type: string,
  foreign = false,
): Reason[] {
  const column = quoteName(name, "column");
  const base = baseOf(type);
  const losses: Reason[] = [];
  const lose = (condition: string, state: string, what: string): void => {
    const said = `a value of column ${JSON.stringify(name)} ${what}`;
    losses.push({ condition, state, said, field: name });
  };
  const ofText = arrives === "text" && isReadOfText(base);
  const written = isWritten(column, base);
  if (ofText) lose(`NOT (${written})`, "22P02", `is not of type ${base} as it is written`);
  if (ofText && foreign && isNumber(base)) {
    const said = `column ${
      JSON.stringify(name)
    } has a point, and its numbers are written otherwise`;
    const condition = `${column} ~ '[.]'`;
    losses.unshift({ condition, state: "22P02", said, field: name, untold: true });
  }
  const text = ofText
    ? `CASE WHEN ${written} THEN ${column} END`
    // The cast of a double to numeric rounds; its text brings it back.
    : arrives === "double precision"
    ? `CAST(${column} AS pg_catalog.text)`
    : column;
  const number = `CAST(${text} AS numeric)`;
  const range = RANGES[base];
  if (range && arrives !== base && !(base === "bigint" && arrives === "integer")) {
    const value = ofText ? number : column;
    lose(`${value} NOT BETWEEN ${range.join(" AND ")}`, "22003", `is out of range for ${base}`);
  }
  if (base === "double precision" && ofText) {
    const size = `pg_catalog.abs(${number})`;
    const digits =
      `pg_catalog.ltrim(pg_catalog.translate(pg_catalog.regexp_replace(${text}, '[eE].*', ''), '-.', ''), '0')`;
    lose(
      `CASE WHEN ${column} ~ '[nN]' OR ${number} = 0 THEN false
       WHEN ${size} > ${MOST} OR ${size} < ${LEAST} OR ${column} ~ '^-?[0-9]{16,}$' THEN true
       WHEN pg_catalog.length(pg_catalog.rtrim(${digits}, '0')) <= 15
         AND ${size} > ${NORMAL} AND ${size} < ${TIES} THEN false
       ELSE CAST(CAST(CAST(${text} AS double precision) AS pg_catalog.text) AS numeric) <> ${number} END`,
      "22003",
      `has more digits than ${base} keeps, or is out of its range`,
    );
  }
  const [first, second = 0] = /\((.*?)\)/.exec(type)?.[1]?.split(",").map(Number) ?? [];
  if (first === undefined) return losses;
  if (base === "numeric") {
    const most = `1e${first - second}`;
    lose(
      `pg_catalog.round(${number}, ${second}) <> ${number}`,
      "22003",
      `would be rounded by ${type}`,
    );
    lose(
      `pg_catalog.abs(${number}) >= ${most} AND ${number} <> 'NaN'`,
      "22003",
      `is too large for ${type}`,
    );
  } else if (base.startsWith("timestamp") && arrives !== "date") {
    const rounded = ofText
      ? `${column} ~ '[.][0-9]{${first}}[0-9]*[1-9]'`
      : `CAST(${column} AS ${type}) <> ${column}`;
    lose(rounded, "22008", `would be rounded by ${type}`);
  } else if (base === "character varying") {
    lose(`pg_catalog.length(${column}) > ${first}`, "22001", `is longer than ${type}`);
  }
  return losses;
}

/** A type without what limits its length or digits: `numeric` of `numeric(10,2)`. */
export function baseOf(type: string): string {
  return type.replace(/\(.*?\)/, "");
}

function isNumber(type: string): boolean {
  return /int|num|double/.test(type);
}

/** Whether text is written as a type is; a number so that it can be a numeric, which holds all of every other kind. */
function isWritten(column: string, type: string): string {
  const written = `${column} ~ ${literal(`^${WRITTEN[type]}$`)}`;
  if (!isNumber(type)) return written;
  const part = (pattern: string) => `pg_catalog.substring(${column}, ${literal(pattern)})`;
  const exponent = `CAST(coalesce(${part("[eE](.*)$")}, '0') AS integer)`;
  const whole = `coalesce(pg_catalog.length(${part("^-?([0-9]*)")}), 0) + ${exponent}`;
  const fraction = `coalesce(pg_catalog.length(${part("[.]([0-9]*)")}), 0) - ${exponent}`;
  return `CASE WHEN ${written} THEN ${whole} <= ${MAX_WHOLE} AND ${fraction} <= ${MAX_FRACTION} ELSE ${column} IS NULL END`;
}
