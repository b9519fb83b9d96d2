import { cron, type Ticks } from "./_cron.ts";
import type { Schedule } from "./dag.ts";
import { datasetsOf } from "./dataset.ts";
import { span } from "./span.ts";
import type { Interval } from "./work.ts";

type Moment = Temporal.ZonedDateTime;

/** A schedule made ready: the intervals it cuts time into, and the bounds it holds within. */
export interface Timetable {
  /** The zone in which it is read. */
  readonly timezone: string;
  /** The first moment it counts from. */
  readonly start: Temporal.ZonedDateTime | undefined;
  /** The last one, inclusive. */
  readonly end: Temporal.ZonedDateTime | undefined;
  /** The edge of an interval that `start` and `end` are held against: its start in mode `interval`, else its end. */
  readonly edge: "start" | "end";
  /**
   * The first interval that starts at `after` or later, whatever `start` and `end` say; `now` is for a schedule that has
   * no ticks of its own.
   */
  next(after: Temporal.ZonedDateTime, now?: Temporal.ZonedDateTime): Interval | undefined;
  /** The last interval that starts at `by` or sooner. Not every schedule can look back. */
  last?(by: Temporal.ZonedDateTime): Interval | undefined;
}

/** Options for {@linkcode parseSchedule}, as a DAG has them. */
export interface ScheduleOptions {
  /** The zone in which it is read. @default {"UTC"} */
  timezone?: string | undefined;
  /** The first moment the schedule counts from: a date, or a date with a time and maybe a zone. */
  start?: string | undefined;
  /** The last one, inclusive; a date means that whole day. */
  end?: string | undefined;
  /**
   * In mode `interval` a run is for the time between two ticks, and belongs to the first; in mode `trigger` it belongs to
   * the second. It starts at the second in both: `start` and `end` are what tells them apart.
   *
   * @default {"interval"}
   */
  mode?: "interval" | "trigger" | undefined;
}

/** What a DAG's schedule did so far, and the clock. */
export interface Progress {
  /** The time. */
  readonly now: Temporal.ZonedDateTime;
  /** The end of the last interval that the schedule ran; without one it never did. */
  readonly lastEnd?: Temporal.ZonedDateTime | undefined;
  /** Which of the missed intervals to make up for; `true` means all, `false` the latest. @default {false} */
  readonly catchup?: boolean | "all" | "latest" | "none" | undefined;
}

const PRESETS: Readonly<Record<string, string>> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@quarterly": "0 0 1 */3 *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};

/** Nothing looks further back: 0001-01-03, in seconds; croner knows the years from 1 on. */
const EARLIEST = -62_135_424_000;

/**
 * Reads a schedule: a cron expression, a name like `@daily`, a duration, or a function from one interval's end to the next.
 *
 * A duration is aligned to `start`, or without one to the first day of 1970. `@once` is one run at `start`, `@continuous`
 * one after the other from `start` on. Without a schedule, and on datasets, there are no intervals.
 *
 * @throws {TypeError} when the schedule, the zone, `start` or `end` cannot be read
 */
export function parseSchedule(
  schedule: Schedule | undefined,
  options: ScheduleOptions = {},
): Timetable {
  const timezone = zone(options.timezone ?? "UTC");
  const start = options.start === undefined
    ? undefined
    : span("start", options.start, timezone).start;
  const end = options.end === undefined ? undefined : span("end", options.end, timezone).end;
  const edge = options.mode === "trigger" ? "end" : "start";
  const bounds = { timezone, start, end, edge } as const;

  if (schedule === undefined || datasetsOf(schedule)) return { ...bounds, next: () => undefined };
  if (typeof schedule === "function") {
    return { ...bounds, next: forward(schedule as (after: Moment) => Interval | undefined) };
  }
  if (typeof schedule === "object") {
    const origin = start ?? Temporal.PlainDate.from("1970-01-01").toZonedDateTime(timezone);
    return { ...bounds, ...ticking(steps(schedule as Temporal.DurationLike, origin), timezone) };
  }
  if (schedule === "@once" || schedule === "@continuous") {
    if (!start) {
      throw new TypeError(
        `Cannot read the schedule "${schedule}": it counts from the DAG's start, give one`,
      );
    }
    const once = (after: Moment): Interval | undefined =>
      isAfter(after, start) ? undefined : { start, end: start };
    const on = (after: Moment, now?: Moment): Interval | undefined =>
      now && isAfter(now, after) ? { start: after, end: now } : undefined;
    return { ...bounds, next: schedule === "@once" ? once : on };
  }
  const expression = PRESETS[schedule] ?? schedule;
  if (expression.startsWith("@")) {
    const known = [...Object.keys(PRESETS), "@once", "@continuous"].join(", ");
    throw new TypeError(`Cannot read the schedule "${schedule}": the names are ${known}`);
  }
  return { ...bounds, ...ticking(cron(expression, timezone), timezone) };
}

/**
 * The intervals that are to run by `now`, oldest first, made as they are asked for.
 *
 * After a change of schedule the first one starts where the last interval ended, or at the tick before that.
 *
 * @throws {TypeError} when all are to be made up for, but nothing says since when
 */
export function* due(timetable: Timetable, progress: Progress): Generator<Interval, void> {
  const { now, lastEnd } = progress;
  const all = progress.catchup === true || progress.catchup === "all";
  if (progress.catchup === "none") return;
  if (all && !timetable.start && !lastEnd) {
    throw new TypeError(`Cannot make up for all missed intervals: the DAG has no start`);
  }
  const current = timetable.last?.(now);
  const complete = all || !current ? undefined : timetable.last?.(justBefore(current.start));
  let latest: Interval | undefined;
  for (const interval of walk(timetable, begin(timetable, lastEnd, complete) ?? now, now)) {
    if (isAfter(interval.end, now)) break;
    if (lastEnd && !isAfter(interval.end, lastEnd)) continue;
    if (!all) latest = interval;
    else if (isPast(timetable, interval)) return;
    else if (isWithin(timetable, interval)) yield interval;
  }
  if (latest && isWithin(timetable, latest)) yield latest;
}

/** The interval that is to run next once all that is {@linkcode due} has: it starts when its end comes. */
export function next(timetable: Timetable, progress: Progress): Interval | undefined {
  const { now, lastEnd } = progress;
  const from = begin(timetable, lastEnd, timetable.last?.(now)) ?? now;
  for (const interval of walk(timetable, from, now)) {
    if (isPast(timetable, interval)) return undefined;
    if (!isAfter(interval.end, now) || lastEnd && !isAfter(interval.end, lastEnd)) continue;
    if (isWithin(timetable, interval)) return interval;
  }
  return undefined;
}

/**
 * The schedule's intervals that start from `from` to `to`, both inclusive, oldest first, made as they are asked for. Each
 * is a date, which means that whole day in the DAG's zone, or a date with a time.
 *
 * @throws {TypeError} when `from` or `to` cannot be read
 * @throws {RangeError} when `to` comes before `from`, or nothing is scheduled
 */
export function between(timetable: Timetable, from: string, to: string): Generator<Interval, void> {
  const { start } = span("date", from, timetable.timezone);
  const { end } = span("date", to, timetable.timezone);
  if (isAfter(start, end)) {
    throw new RangeError(`Cannot take the intervals from ${from} to ${to}: the range ends first`);
  }
  return starting(timetable, start, end);
}

/**
 * The one interval that starts on a day, or at a moment.
 *
 * @throws {TypeError} when `date` cannot be read
 * @throws {RangeError} when none or several do, naming the neighbours
 */
export function on(timetable: Timetable, date: string): Interval {
  const { start, end } = span("date", date, timetable.timezone);
  const [first, second] = starting(timetable, start, end);
  if (first && !second) return first;
  if (first && second) {
    throw new RangeError(
      `Cannot tell which run "${date}" means: intervals start at ${text(first.start)}, ` +
        `${text(second.start)} and maybe later; give the time as well`,
    );
  }
  const { last, end: bound } = timetable;
  // Two steps back from where the neighbour must start at the latest: one of them is within the bounds.
  const near = last?.(bound && isAfter(start, bound) ? bound : start);
  const known = near && last?.(justBefore(near.start));
  let before: Interval | undefined;
  let after: Interval | undefined;
  for (const interval of walk(timetable, begin(timetable, undefined, known) ?? start)) {
    if (isPast(timetable, interval)) break;
    if (!isWithin(timetable, interval)) continue;
    if (isAfter(interval.start, end)) {
      after = interval;
      break;
    }
    before = interval;
  }
  const sentences = [
    before && `the one before starts at ${text(before.start)}`,
    after && `the one after at ${text(after.start)}`,
  ].filter((sentence) => sentence !== undefined);
  throw new RangeError(
    `Cannot find a run for "${date}": no interval of the schedule starts then; ` +
      (sentences.join(", ") || "it has none at all"),
  );
}

/** The intervals that start within a range and the schedule's own bounds. */
function* starting(timetable: Timetable, start: Moment, end: Moment): Generator<Interval, void> {
  const from = timetable.last ? start : begin(timetable, undefined, undefined) ?? start;
  for (const interval of walk(timetable, from)) {
    if (isAfter(interval.start, end) || isPast(timetable, interval)) return;
    if (!isAfter(start, interval.start) && isWithin(timetable, interval)) yield interval;
  }
}

/** One interval after the other, without regard to the schedule's bounds. */
function* walk(timetable: Timetable, from: Moment, now?: Moment): Generator<Interval, void> {
  let interval = timetable.next(from, now);
  while (interval) {
    yield interval;
    const { end } = interval;
    interval = timetable.next(end, now);
    // What is over at once, as @once is, would come again for ever.
    if (interval && !isAfter(interval.end, end)) return;
  }
}

/** Where to begin to look: where the schedule left off or starts, or later, at an interval known to be early enough. */
function begin(
  timetable: Timetable,
  lastEnd: Moment | undefined,
  known: Interval | undefined,
): Moment | undefined {
  const { start, edge } = timetable;
  const back = (by: Moment): Moment => timetable.last?.(by)?.start ?? by;
  const from = lastEnd
    ? back(lastEnd)
    : start && (edge === "end" && timetable.last ? back(justBefore(start)) : start);
  return !from || known && isAfter(known.start, from) ? known?.start : from;
}

function isPast({ end, edge }: Timetable, interval: Interval): boolean {
  return end !== undefined && isAfter(interval[edge], end);
}

function isWithin(timetable: Timetable, interval: Interval): boolean {
  const { start, edge } = timetable;
  return !(start && isAfter(start, interval[edge])) && !isPast(timetable, interval);
}

function isAfter(a: Moment, b: Moment): boolean {
  return Temporal.ZonedDateTime.compare(a, b) > 0;
}

function justBefore(moment: Moment): Moment {
  return moment.subtract({ nanoseconds: 1 });
}

function text(moment: Moment): string {
  return moment.toString({ timeZoneName: "never" });
}

/** Intervals from tick to tick. */
function ticking(ticks: Ticks, timezone: string): Pick<Required<Timetable>, "next" | "last"> {
  const at = (tick: number): Moment =>
    Temporal.Instant.fromEpochMilliseconds(tick * 1000).toZonedDateTimeISO(timezone);
  const from = (start: number | undefined): Interval | undefined => {
    const end = start === undefined ? undefined : ticks(start);
    if (start === undefined || end === undefined) return undefined;
    return { start: at(start), end: at(end) };
  };
  return {
    next: (after) => from(ticks(seconds(after, "ceil") - 1)),
    last(by) {
      // Looking forward alone knows the clock's rules: the last tick follows the last second that still has one by then.
      const limit = seconds(by, "floor");
      const none = (second: number): boolean => !(ticks(second)! <= limit);
      let step = 1;
      while (none(limit - step)) {
        step *= 2;
        if (limit - step < EARLIEST) return undefined;
      }
      return from(ticks(firstWhere(none, limit - step, limit) - 1));
    },
  };
}

/** The ticks of a duration, counted from an origin: no error adds up, be it months or days of 23 hours. */
function steps(duration: Temporal.DurationLike, start: Moment): Ticks {
  const step = readDuration(duration, start);
  const fields = ["years", "months", "weeks", "days", "hours", "minutes", "seconds"] as const;
  const origin = start.toInstant().round({ smallestUnit: "second", roundingMode: "ceil" })
    .toZonedDateTimeISO(start.timeZoneId);
  if (!step.years && !step.months && !step.weeks && !step.days) {
    // The same on any calendar and with any clock.
    const [first, length] = [seconds(origin, "floor"), step.total("seconds")];
    return (after) => first + (Math.floor((after - first) / length) + 1) * length;
  }
  const tick = (index: number): number => {
    const whole = fields.map((field) => [field, index * step[field]] as const);
    return seconds(origin.add(Object.fromEntries(whole)), "floor");
  };
  return (after) => {
    const isLater = (index: number): boolean => tick(index) > after;
    let reach = 1;
    while (isLater(-reach) || !isLater(reach)) reach *= 2;
    return tick(firstWhere(isLater, -reach, reach));
  };
}

function readDuration(duration: Temporal.DurationLike, start: Moment): Temporal.Duration {
  const fail = (why: string, cause?: unknown): TypeError =>
    new TypeError(`Cannot read the schedule ${JSON.stringify(duration)}: ${why}`, { cause });
  let step: Temporal.Duration;
  try {
    step = Temporal.Duration.from(duration);
    // Throws when it leads out of the years there are.
    start.add(step);
  } catch (cause) {
    throw fail("it is not a duration like { minutes: 5 }", cause);
  }
  if (step.sign <= 0 || step.milliseconds || step.microseconds || step.nanoseconds) {
    throw fail("a duration is at least one second, and whole ones");
  }
  return step;
}

/** The intervals of a function, which must get somewhere. */
function forward(
  schedule: (after: Moment) => Interval | undefined,
): (after: Moment) => Interval | undefined {
  return (after) => {
    const interval = schedule(after);
    if (!interval) return undefined;
    if (!isAfter(interval.end, after) || isAfter(interval.start, interval.end)) {
      throw new RangeError(
        `Cannot go on from ${
          text(after)
        }: the schedule's function answers with the interval from ` +
          `${text(interval.start)} to ${text(interval.end)}; it must end later than both`,
      );
    }
    return interval;
  };
}

/** The smallest whole number in (low, high] for which something holds, that holds for all larger ones and for `high`. */
function firstWhere(holds: (n: number) => boolean, low: number, high: number): number {
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

function seconds(moment: Moment, roundingMode: "ceil" | "floor"): number {
  return moment.toInstant().round({ smallestUnit: "second", roundingMode }).epochMilliseconds /
    1000;
}

function zone(timezone: string): string {
  try {
    return Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(timezone).timeZoneId;
  } catch (cause) {
    throw new TypeError(
      `Cannot read the schedule in the time zone "${timezone}": there is none of that name; ` +
        `zones are named like "Europe/Paris", "UTC" or "+02:00"`,
      { cause },
    );
  }
}
