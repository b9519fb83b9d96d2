import { Cron } from "croner";

const FIELDS = ["second", "minute", "hour", "day of month", "month", "day of week"];
const DAY = 86_400;

/** Ticks in whole seconds since 1970: the first one later than `after`, if there ever is one. */
export type Ticks = (after: number) => number | undefined;

/** A stretch of time in which a zone keeps one offset. All in seconds. */
interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly offset: number;
  /** The offsets of the stretches on either side. */
  readonly before: number;
  readonly after: number;
}

/**
 * Reads a cron expression: 5 fields, or 6 with seconds first.
 *
 * croner matches wall-clock times only. A schedule whose hour field covers all 24 hours fires at every instant whose
 * wall clock matches. For any other, a time that the clocks skip moves forward by as much as they do, and one that they
 * show twice is the second of the two, as with Temporal's disambiguation "later".
 *
 * @throws {TypeError} naming the field that cannot be read, or the fields that no date satisfies
 */
export function cron(expression: string, zone: string): Ticks {
  const fields = expression.trim().split(/\s+/);
  const fail = (why: string, cause?: unknown): TypeError =>
    new TypeError(`Cannot read the schedule "${expression}": ${why}`, { cause });
  if (fields.length !== 5 && fields.length !== 6) {
    throw fail(
      `a cron expression has 5 fields (minute, hour, day of month, month, day of week), ` +
        `or 6 with seconds first; this one has ${fields.length}`,
    );
  }
  if (fields.length === 5) fields.unshift("0");
  fields.forEach((field, index) => {
    try {
      wall(FIELDS.map((_, other) => other === index ? field : "*"));
    } catch (cause) {
      const why = (cause as Error).message.replace(/^CronPattern: /, "");
      throw fail(`its ${FIELDS[index]} "${field}" is not valid (${why})`, cause);
    }
  });
  const match = wall(fields);
  if (match(0) === undefined) {
    throw fail(`no date has day of month "${fields[3]}" in month "${fields[4]}"`);
  }
  const hours = wall(["0", "0", fields[2]!, "*", "*", "*"]);
  let count = 0;
  for (let hour = hours(-1)!; hour < DAY; hour = hours(hour)!) count++;
  return instants(match, count === 24, zone);
}

/** Ticks on the wall clock, counted as if it were UTC. */
function wall(fields: readonly string[]): Ticks {
  // An offset as a number keeps croner off its own rules for time zones, and off Intl.
  const pattern = new Cron(fields.join(" "), { utcOffset: 0, mode: "6-part" });
  return (after) => {
    const next = pattern.nextRun(new Date(after * 1000));
    return next ? next.getTime() / 1000 : undefined;
  };
}

/** Maps wall-clock ticks to instants, one stretch of constant offset after the other. */
function instants(match: Ticks, everyHour: boolean, zone: string): Ticks {
  let known: Stretch | undefined;
  return (after) => {
    for (let at = after + 1;;) {
      const stretch = known && known.start <= at && at < known.end ? known : find(zone, at);
      known = stretch;
      const { start, end, offset, before, after: next } = stretch;
      const found = match(at + offset - 1);
      if (found === undefined) return undefined;
      let tick = found - offset;
      // The wall-clock times from `start + before` to `start + offset` never were.
      if (!everyHour && at < start + offset - before) {
        const skipped = match(at + before - 1)! - before;
        if (skipped < start + offset - before) tick = Math.min(tick, skipped);
      }
      // Those of the last `offset - next` seconds come again.
      if (tick < (everyHour ? end : end - Math.max(0, offset - next))) return tick;
      // No two offsets are two days apart: what lies before that cannot match, but for what is shown again.
      at = end + next < at + offset ? end : Math.max(end, found - 2 * DAY);
    }
  };
}

function find(zone: string, at: number): Stretch {
  const moment = Temporal.Instant.fromEpochMilliseconds(at * 1000).toZonedDateTimeISO(zone);
  const start = moment.add({ seconds: 1 }).getTimeZoneTransition("previous");
  const end = moment.getTimeZoneTransition("next");
  const offset = seconds(moment);
  return {
    start: start ? start.epochMilliseconds / 1000 : -Infinity,
    end: end ? end.epochMilliseconds / 1000 : Infinity,
    offset,
    before: start ? seconds(start.subtract({ seconds: 1 })) : offset,
    after: end ? seconds(end) : offset,
  };
}

function seconds(moment: Temporal.ZonedDateTime): number {
  return moment.offsetNanoseconds / 1e9;
}
