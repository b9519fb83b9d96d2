import type { GivenParams } from "./params.ts";
import type { AnyDag } from "./dag.ts";
import { due, on, type Timetable } from "./schedule.ts";
import type { Interval } from "./work.ts";

/** Options for {@linkcode Engine.trigger}. */
export interface TriggerOptions<P> {
  /**
   * The run whose interval starts on that day, or at that moment: `"2021-01-02"`, `"2021-01-02T06:00"`. Without a schedule
   * that is the moment the run is for.
   */
  date?: string;
  /** The slice of time the run is for. @default {the last complete one of the schedule; without one, now} */
  interval?: Interval;
  /** Set the DAG's params; those left out have their defaults. */
  params?: Partial<GivenParams<P>>;
  /** Who makes it: somebody, or another program. @default {"manual"} */
  kind?: "manual" | "webhook";
}

/** The slice of time that a triggered run is for. */
export function chooseInterval(
  dag: AnyDag,
  timetable: Timetable,
  { date, interval }: TriggerOptions<unknown>,
  now: Temporal.Instant,
): Interval {
  const present = now.toZonedDateTimeISO(timetable.timezone);
  if (interval) {
    if (date === undefined) return interval;
    throw new TypeError(`Cannot trigger "${dag.id}": give a date or an interval, not both`);
  }
  if (date === undefined) {
    const [last] = due(timetable, { now: present, catchup: "latest" });
    return last ?? { start: present, end: present };
  }
  if (dag.options.schedule !== undefined) return on(timetable, date);
  const start = moment(dag, date, timetable.timezone);
  return { start, end: start };
}

function moment(dag: AnyDag, date: string, zone: string): Temporal.ZonedDateTime {
  try {
    return /(Z|[+-]\d\d(:?\d\d)?)(\[.*\])?$/.test(date) && date.includes(":")
      ? Temporal.Instant.from(date).toZonedDateTimeISO(zone)
      : Temporal.PlainDateTime.from(date).toZonedDateTime(zone);
  } catch (cause) {
    throw new TypeError(
      `Cannot trigger "${dag.id}": "${date}" is no date; write it as 2021-01-02 or 2021-01-02T06:00`,
      { cause },
    );
  }
}
