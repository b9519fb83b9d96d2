import type { AnyDag } from "./dag.ts";
import { type Json, toJson } from "./json.ts";
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
  /** Set some of the DAG's params; the others have their defaults. */
  params?: Partial<P>;
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

/** All params of a run: those given, and the defaults. */
export function chooseParams(dag: AnyDag, given: object = {}): Record<string, Json> {
  const defaults: Record<string, unknown> = dag.options.params ?? {};
  const known = Object.keys(defaults).map((name) => `"${name}"`).join(", ");
  const chosen: Record<string, unknown> = { ...defaults };
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(defaults, name)) {
      throw new TypeError(
        `Cannot trigger "${dag.id}": it has no param "${name}"; ` +
          (known ? `its params are ${known}` : "it has none"),
      );
    }
    const type = kind(defaults[name]);
    if (type !== "null" && kind(value) !== type) {
      throw new TypeError(
        `Cannot trigger "${dag.id}": param "${name}" is to be of type ${type}, like its default ` +
          `${JSON.stringify(defaults[name])}, but it is ${JSON.stringify(value)}`,
      );
    }
    chosen[name] = value;
  }
  return toJson(chosen, "params") as Record<string, Json>;
}

function kind(value: unknown): string {
  if (value === null || value === undefined) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
