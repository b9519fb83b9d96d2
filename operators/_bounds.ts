/** A bound of a slice. */
type Bound = string | number;

const TIME =
  /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d(?::?\d\d(?::?\d\d(?:[.,]\d+)?)?)?) ?(Z|[+-]\d\d(?::?\d\d)?)?)?$/i;

/** A date in an order that a setting of the server decides. */
const UNSURE = /^\d{1,2}([./-])\d{1,2}\1\d{2,4}\b|^\d{4}([./])\d{1,2}\2\d{1,2}\b/;

const NUMBERS = ["smallint", "integer", "bigint", "numeric", "real", "double precision"];

/**
 * What is wrong with the bounds of a slice, for a column of a type as far as that is known; undefined where nothing is.
 * Postgres would read 01.02.2021 by its DateStyle, and takes bounds the wrong way round for a slice without rows.
 */
export function faultOfBounds(from: Bound, to: Bound, type?: string): string | undefined {
  const base = type?.replace(/\(.*?\)/, "");
  const isTime = base !== undefined && /^(date|timestamp)/.test(base);
  const isNumber = base !== undefined && NUMBERS.includes(base);
  for (const bound of [from, to]) {
    const shown = JSON.stringify(bound);
    if (isTime ? !isEndless(bound) && timeOf(bound) === undefined : UNSURE.test(String(bound))) {
      return `the bound ${shown} is not a date as in ISO 8601: write it as 2021-01-31 or 2021-01-31T12:00:00Z`;
    }
    if (isNumber && !isNumeric(bound)) {
      return `the bound ${shown} is not a number`;
    }
  }
  const [first, last] = isNumber ? [Number(from), Number(to)] : [timeOf(from), timeOf(to)];
  const wrong = first !== undefined && last !== undefined && first > last;
  if (!wrong && from !== to) return undefined;
  return `no row is from ${from} on and before ${to}: the first bound must be the lower one`;
}

function isEndless(bound: Bound): boolean {
  return /^-?infinity$/i.test(String(bound));
}

function isNumeric(bound: Bound): boolean {
  return String(bound).trim() !== "" && !Number.isNaN(Number(bound));
}

/** The moment of a date or time as ISO 8601 has them, one without an offset taken as UTC; undefined for another text. */
function timeOf(bound: Bound): bigint | undefined {
  const [, date, time = "00", offset = "Z"] = TIME.exec(String(bound)) ?? [];
  if (date === undefined) return undefined;
  try {
    return Temporal.Instant.from(`${date}T${time}${offset}`).epochNanoseconds;
  } catch {
    return undefined; // no such day
  }
}
