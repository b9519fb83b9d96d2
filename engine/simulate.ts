import type { AnyDag } from "./dag.ts";
import { datasetsOf } from "./dataset.ts";
import { activate, owed, type Policy } from "./owed.ts";
import { parseSchedule, type Timetable } from "./schedule.ts";
import { span } from "./span.ts";
import { scheduleInWords } from "./words.ts";
import type { Interval } from "./work.ts";

type Moment = Temporal.ZonedDateTime;

/** Options for {@linkcode simulate}. A date without a time is that whole day in the DAG's zone, as a moment its begin. */
export interface SimulateOptions {
  /** The first logical date; in mode `trigger`, the first moment a run is for. */
  readonly from: string;
  /** The last one, inclusive. */
  readonly to: string;
  /**
   * The moment at which the clock stands, and the DAG is activated: only what is due by then is made.
   *
   * @default {the clock goes on from `from` until all runs are made, and the DAG is active all the while}
   */
  readonly now?: string | undefined;
  /** Which of the missed intervals to make up for. @default {as the DAG says} */
  readonly catchup?: boolean | "all" | "latest" | "none" | undefined;
  /** The DAG is paused until then. */
  readonly pausedUntil?: string | undefined;
}

/** A run that would be made. Moments are ISO strings in UTC. */
export interface SimulatedRun {
  /** Where its interval starts. */
  readonly logical_date: string;
  /** The slice of time it is for. */
  readonly interval: { readonly start: string; readonly end: string };
  /** When it is due. */
  readonly run_after: string;
  /** It is for a day on which the clocks go forward, so that an hour is missing, or back, so that one comes twice. */
  readonly dst?: Shift;
}

/** What the clocks do when daylight saving begins or ends. */
export type Shift = "gap" | "overlap";

/** The runs a DAG would make by itself. */
export interface Simulation {
  /** The oldest first. */
  readonly runs: readonly SimulatedRun[];
  /** What is worth knowing of them, in sentences. */
  readonly notes: readonly string[];
}

const CONTINUOUS =
  "With @continuous a run starts when the one before has ended, for the time since";

/**
 * Tells which runs a DAG would make by itself in a range of time, by the rules that make them, on a clock of its own.
 *
 * @throws {TypeError} when the schedule or a date cannot be read, or all is to be made up for but nothing says since when
 * @throws {RangeError} when `to` comes before `from`
 */
export function simulate(dag: AnyDag, options: SimulateOptions): Simulation {
  const { from, to, pausedUntil } = options;
  const { schedule, timezone } = dag.options;
  const whole = parseSchedule(schedule, dag.options);
  const read = (what: string, date: string): Interval => span(what, date, timezone ?? "UTC");
  const first = read("begin of the range", from).start;
  const last = read("end of the range", to).end;
  if (isAfter(first, last)) {
    throw new RangeError(
      `Cannot simulate the time from ${from} to ${to}: it ends before it starts`,
    );
  }
  if (schedule === undefined) {
    return { runs: [], notes: [`DAG "${dag.id}" has no schedule: it runs when it is triggered`] };
  }
  if (schedule === "@continuous" && options.now === undefined) {
    return { runs: [], notes: [`${CONTINUOUS}; give the time it is now to see the first`] };
  }
  if (datasetsOf(schedule)) {
    const when = scheduleInWords(schedule);
    return {
      runs: [],
      notes: [`DAG "${dag.id}" runs ${when}: when that will be cannot be told beforehand`],
    };
  }
  const timetable = narrow(whole, first, last);
  const policy: Policy = {
    ...dag.options,
    catchup: options.catchup ?? dag.options.catchup ?? false,
    maxActiveRuns: Infinity,
  };
  const now = options.now === undefined ? undefined : read("now", options.now).start;
  const unpaused = pausedUntil === undefined
    ? undefined
    : read("end of the pause", pausedUntil).start;
  if (now && unpaused && isAfter(unpaused, now)) {
    return { runs: [], notes: [`DAG "${dag.id}" is still paused at ${now.toInstant()}`] };
  }
  // What is due in the first moment is not missed yet.
  const begin = first.subtract({ nanoseconds: 1 });
  const active = unpaused && isAfter(unpaused, begin) ? unpaused : unpaused ? begin : now ?? begin;
  const notes: string[] = [];
  const activation = activate(policy, timetable, { now: active.toInstant() });
  if (activation.held) notes.push(activation.held);
  let { cursor } = activation;
  const intervals: Interval[] = [];
  let clock = (now ?? later(active, last)).toInstant();
  for (;;) {
    const record = { paused: false, ...cursor === undefined ? {} : { cursor } };
    const { create, next } = owed(policy, timetable, { now: clock, record, active: 0 });
    intervals.push(...create);
    cursor = create.at(-1)?.end.toInstant().toString() ?? cursor;
    if (!next || now) break;
    clock = next;
  }
  if (schedule === "@continuous") {
    notes.push(
      "With @continuous a run starts when the one before ends: only the first is foreseen",
    );
  }
  const { edge } = timetable;
  const within = intervals.filter((interval) =>
    !isAfter(first, interval[edge]) && !isAfter(interval[edge], last)
  );
  const shifts = shiftsIn(within, edge);
  const seen = new Set<string>();
  const runs = within.map((interval): SimulatedRun => {
    const [start, end] = [interval.start, interval.end].map((at) => at.toInstant().toString());
    const day = interval[edge].toPlainDate().toString();
    const shift = shifts.get(day);
    if (shift && !seen.has(day)) notes.push(shift.note);
    if (shift) seen.add(day);
    return {
      logical_date: start!,
      interval: { start: start!, end: end! },
      run_after: end!,
      ...shift ? { dst: shift.kind } : {},
    };
  });
  return { runs, notes };
}

/** The schedule within a range. One that cannot look back must still count from its own start. */
function narrow(timetable: Timetable, first: Moment, last: Moment): Timetable {
  const { start, end } = timetable;
  return {
    ...timetable,
    start: start && (!timetable.last || isAfter(start, first)) ? start : first,
    end: end && isAfter(last, end) ? end : last,
  };
}

/** The days on which the clocks are changed. */
function shiftsIn(
  intervals: readonly Interval[],
  edge: "start" | "end",
): Map<string, { readonly kind: Shift; readonly note: string }> {
  const days = new Map<string, { kind: Shift; note: string }>();
  const [from, to] = [intervals[0]?.[edge], intervals.at(-1)?.[edge].add({ days: 1 })];
  if (!from || !to) return days;
  let at = from.startOfDay().getTimeZoneTransition("next");
  for (; at && isAfter(to, at); at = at.getTimeZoneTransition("next")) {
    const before = at.subtract({ nanoseconds: 1 }).offsetNanoseconds;
    const kind = at.offsetNanoseconds > before ? "gap" : "overlap";
    const shown = at.toPlainDateTime().subtract({ nanoseconds: at.offsetNanoseconds - before });
    const [old, next] = [shown, at].map((time) => time.toPlainTime().toString().slice(0, 5));
    const way = kind === "gap" ? "forward" : "back";
    const day = at.toPlainDate().toString();
    const note = `On ${day} the clocks of ${at.timeZoneId} go ${way} from ${old} to ${next}`;
    days.set(day, { kind, note });
  }
  return days;
}

function later(a: Moment, b: Moment): Moment {
  return isAfter(a, b) ? a : b;
}

function isAfter(a: Moment, b: Moment): boolean {
  return Temporal.ZonedDateTime.compare(a, b) > 0;
}
