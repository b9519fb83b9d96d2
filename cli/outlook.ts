import {
  type AnyDag,
  type DagRecord,
  type Interval,
  parseSchedule,
  scheduleInWords,
  upcoming,
} from "../engine/mod.ts";

/** When a DAG is to run. */
export interface Outlook {
  /** Its schedule in words. */
  readonly schedule: string;
  /** The runs to come, the one that is next first; due already where the interval is over. */
  readonly next: readonly Interval[];
}

/** Looks ahead, by so many runs at most. */
export function lookAhead(
  { options }: AnyDag,
  record: DagRecord | undefined,
  now: Temporal.Instant,
  runs: number,
): Outlook {
  const schedule = scheduleInWords(options.schedule, options);
  const timetable = parseSchedule(options.schedule, options);
  const at = (moment: Temporal.Instant) => moment.toZonedDateTimeISO(timetable.timezone);
  const lastEnd = record?.cursor === undefined
    ? undefined
    : at(Temporal.Instant.from(record.cursor));
  const progress = { now: at(now), lastEnd, catchup: options.catchup };
  return { schedule, next: [...upcoming(timetable, progress).take(runs)] };
}

/** A run to come as JSON. */
export interface NextRun {
  readonly logical_date: string;
  readonly interval: { readonly start: string; readonly end: string };
  readonly run_after: string;
}

/** Tells of a run to come; instants are in UTC. */
export function nextRun({ start, end }: Interval): NextRun {
  const [from, to] = [start, end].map((moment) => moment.toInstant().toString()) as [
    string,
    string,
  ];
  return { logical_date: from, interval: { start: from, end: to }, run_after: to };
}

const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/** A moment in its own zone: `Wed 2021-03-02 06:00`. */
export function momentInWords(moment: Temporal.ZonedDateTime): string {
  const seconds = moment.second === 0 ? "minute" : "second";
  const time = moment.toPlainTime().toString({ smallestUnit: seconds });
  return `${DAYS[moment.dayOfWeek - 1]} ${moment.toPlainDate()} ${time}`;
}

const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]] as const;

/** How long it is until a moment, in one unit: `in 11 days`; `due` when it has come. */
export function fromNow(moment: Temporal.Instant, now: Temporal.Instant): string {
  const seconds = Math.ceil(now.until(moment).total("seconds"));
  if (seconds <= 0) return "due";
  const [unit, size] = UNITS.find(([, size]) => seconds >= 2 * size) ?? ["second", 1];
  const amount = Math.round(seconds / size);
  return `in ${amount} ${unit}${amount === 1 ? "" : "s"}`;
}
