import type { Schedule } from "./dag.ts";
import { datasetsOf } from "./dataset.ts";

/** What a schedule is read with. */
export interface WordsOptions {
  /** The zone in which it is read. @default {"UTC"} */
  timezone?: string | undefined;
  /** The first moment it counts from, as the DAG has it. */
  start?: string | undefined;
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

const MONTHS = [
  ...["January", "February", "March", "April", "May", "June", "July", "August", "September"],
  ...["October", "November", "December"],
];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/** More times of day than that are not told one by one. */
const TIMES = 6;

/**
 * A schedule for people: `"at 06:00 on the 2nd of each month, UTC"`. What has no plain words is quoted as it is. That it can
 * be read is for `parseSchedule` to say.
 */
export function scheduleInWords(
  schedule: Schedule | undefined,
  { timezone = "UTC", start }: WordsOptions = {},
): string {
  if (schedule === undefined) return "only when triggered";
  if (typeof schedule === "function") return `as a function of its own says, ${timezone}`;
  const from = start === undefined ? "" : ` from ${start} on`;
  if (schedule === "@once") return `once${start === undefined ? "" : `, at ${start}`}`;
  if (schedule === "@continuous") return `one run after the other${from}`;
  if (typeof schedule === "string") {
    const expression = PRESETS[schedule] ?? schedule;
    return `${cronInWords(expression) ?? `by the cron expression "${expression}"`}, ${timezone}`;
  }
  const datasets = datasetsOf(schedule)?.map(({ name }) => `"${name}"`);
  if (datasets) return `when ${list(datasets)} ${datasets.length > 1 ? "are" : "is"} written`;
  return `every ${durationInWords(schedule as Temporal.DurationLike)}${from}`;
}

/** `{ hours: 1, minutes: 30 }` is "1 hour and 30 minutes"; of one of a unit only that unit is said: "minute". */
function durationInWords(duration: Temporal.DurationLike): string {
  const given = Temporal.Duration.from(duration);
  const units = ["years", "months", "weeks", "days", "hours", "minutes", "seconds"] as const;
  const parts = units.filter((unit) => given[unit] !== 0)
    .map((unit) => given[unit] === 1 ? `1 ${unit.slice(0, -1)}` : `${given[unit]} ${unit}`);
  return parts.length === 1 ? parts[0]!.replace(/^1 /, "") : list(parts);
}

/** A field of a cron expression. */
interface Field {
  /** The values it allows, in order. */
  readonly values: readonly number[];
  /** Whether it allows all there are. */
  readonly all: boolean;
  /** n, where it is every nth of all there are, evenly. */
  readonly step: number | undefined;
}

function cronInWords(expression: string): string | undefined {
  const fields = expression.trim().split(/\s+/);
  if (fields.length === 5) fields.unshift("0");
  const [second, minute, hour, day, month, weekday] = [
    readField(fields[0], 0, 59),
    readField(fields[1], 0, 59),
    readField(fields[2], 0, 23),
    readField(fields[3], 1, 31),
    readField(fields[4], 1, 12, MONTHS),
    readField(fields[5], 0, 7, DAYS),
  ];
  if (!second || !minute || !hour || !day || !month || !weekday || fields.length !== 6) {
    return undefined;
  }
  const date = dateInWords(day, month, weekday);
  const time = timeInWords(minute, hour);
  const { values: [at] } = second;
  const exact = second.values.length > 1
    ? `${second.all ? "every second" : `at seconds ${list(second.values)}`} of the minute, `
    : at === 0
    ? ""
    : `${at} s later than `;
  // A time of day needs its day said; what comes several times an hour does not.
  const each = date === "" && /^at \d\d:/.test(time) ? " each day" : "";
  return `${exact}${time}${each}${date}`;
}

function readField(
  text: string | undefined,
  low: number,
  high: number,
  names: readonly string[] = [],
): Field | undefined {
  const values = new Set<number>();
  for (const part of text?.split(",") ?? []) {
    const [, range, step] = /^([^/]+)(?:\/(\d+))?$/.exec(part) ?? [];
    const [from, to, more] = range === "*" || range === "?"
      ? [low, high]
      : range?.split("-").map((one) => readValue(one, low, names)) ?? [];
    if (from === undefined || more !== undefined || Number.isNaN(from + (to ?? 0))) {
      return undefined;
    }
    const last = to ?? (step === undefined ? from : high);
    if (from < low || last > high || Number(step ?? 1) < 1) return undefined;
    for (let value = from; value <= last; value += Number(step ?? 1)) values.add(value);
  }
  // Sunday has two numbers.
  if (names === DAYS && values.delete(7)) values.add(0);
  const size = names === DAYS ? 7 : high - low + 1;
  const sorted = [...values].sort((a, b) => a - b);
  const step = Number(/^\*\/(\d+)$/.exec(text ?? "")?.[1] ?? NaN);
  return {
    values: sorted,
    all: sorted.length === size,
    step: size % step === 0 ? step : undefined,
  };
}

function readValue(text: string, low: number, names: readonly string[]): number {
  if (/^\d+$/.test(text)) return Number(text);
  const short = text.toLowerCase();
  const index = names.findIndex((name) => name.slice(0, 3).toLowerCase() === short);
  return index < 0 ? NaN : index + low;
}

function timeInWords(minute: Field, hour: Field): string {
  const { values: [at = 0] } = minute;
  const one = minute.values.length === 1;
  if (one && (hour.all || hour.step)) {
    const every = hour.all || hour.step === 1 ? "every hour" : `every ${hour.step} hours`;
    return at === 0 ? every : `${every}, ${at} min past`;
  }
  if (minute.values.length * hour.values.length <= TIMES) {
    const times = hour.values.flatMap((h) => minute.values.map((m) => `${two(h)}:${two(m)}`));
    return `at ${list(times)}`;
  }
  const minutes = minute.all
    ? "every minute"
    : minute.step
    ? `every ${minute.step} minutes`
    : one
    ? `every hour${at === 0 ? "" : `, ${at} min past,`}`
    : `at minutes ${list(minute.values)}`;
  if (hour.all) return /^at/.test(minutes) ? `${minutes} of every hour` : minutes;
  const runs = ranges(hour.values).map(([from, to]) => {
    const last = minute.values.at(-1)!;
    return `from ${two(from)}:${two(at)} to ${two(to)}:${two(last)}`;
  });
  return `${minutes} ${list(runs)}`;
}

function dateInWords(day: Field, month: Field, weekday: Field): string {
  const months = month.all ? undefined : list(month.values.map((value) => MONTHS[value - 1]!));
  const days = day.all ? undefined : `the ${
    list(
      ranges(day.values).flatMap(([from, to]) =>
        to - from > 1
          ? [`${ordinal(from)} to ${ordinal(to)}`]
          : [...new Set([ordinal(from), ordinal(to)])]
      ),
    )
  } of ${months ?? "each month"}`;
  const weekdays = weekday.all ? undefined : list(
    ranges(weekday.values).flatMap(([from, to]) =>
      to - from > 1
        ? [`${DAYS[from]} to ${DAYS[to]}`]
        : [...new Set([`${DAYS[from]}s`, `${DAYS[to]}s`])]
    ),
  );
  const either = [days, weekdays].filter((words) => words !== undefined);
  const on = either.length > 0 ? ` on ${either.join(" or on ")}` : "";
  return months !== undefined && days === undefined ? `${on} in ${months}` : on;
}

/** Values as runs without a gap: first and last of each. */
function ranges(values: readonly number[]): [number, number][] {
  const found: [number, number][] = [];
  for (const value of values) {
    const last = found.at(-1);
    if (last?.[1] === value - 1) last[1] = value;
    else found.push([value, value]);
  }
  return found;
}

function ordinal(n: number): string {
  const ending = n > 10 && n < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th";
  return `${n}${ending}`;
}

function two(n: number): string {
  return String(n).padStart(2, "0");
}

/** `a`, `a and b`, `a, b and c`. */
function list(items: readonly (string | number)[]): string {
  const head = items.slice(0, -1).join(", ");
  return head === "" ? String(items.at(-1) ?? "") : `${head} and ${items.at(-1)}`;
}
