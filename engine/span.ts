import type { Interval } from "./work.ts";

/**
 * The first and the last moment that a date stands for, or a date with a time, in a zone; `what` it is, for the error.
 *
 * @throws {TypeError} when it cannot be read
 */
export function span(what: string, date: string, timezone: string): Interval {
  try {
    if (/^\d{4}-\d\d-\d\d$/.test(date)) {
      const day = Temporal.PlainDate.from(date);
      const start = day.toZonedDateTime(timezone);
      return {
        start,
        end: day.add({ days: 1 }).toZonedDateTime(timezone).subtract({ nanoseconds: 1 }),
      };
    }
    const moment = date.endsWith("]")
      ? Temporal.ZonedDateTime.from(date).withTimeZone(timezone)
      : /T.*(Z|[+-][\d:]+)$/i.test(date)
      ? Temporal.Instant.from(date).toZonedDateTimeISO(timezone)
      : Temporal.PlainDateTime.from(date).toZonedDateTime(timezone);
    return { start: moment, end: moment };
  } catch (cause) {
    throw new TypeError(
      `Cannot read the ${what} "${date}": write a date like 2021-01-31, or one with a time like ` +
        `2021-01-31T06:00, 2021-01-31T06:00Z or 2021-01-31T06:00+02:00`,
      { cause },
    );
  }
}
