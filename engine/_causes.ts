import type { Cause } from "./state.ts";

/** What came of the datasets that a DAG is scheduled on. */
export interface Writes {
  /** The number of the last event that is known of. */
  readonly seen: number;
  /** By the dataset's name, what was written since the last run that is due to that. */
  readonly since: Readonly<Record<string, Cause>>;
  /** The causes of each run that is still to be made, the oldest first. */
  readonly due: readonly (readonly Cause[])[];
}

/** Takes note of what was written by one event. What was written several times is one cause, which spans all of them. */
export function note(writes: Writes, causes: readonly Cause[]): Writes {
  const seen = Math.max(writes.seen, ...causes.map(({ seq }) => seq));
  const since = { ...writes.since };
  for (const cause of causes) since[cause.dataset] = span(cause, since[cause.dataset]);
  return { ...writes, seen, since };
}

/** Makes a run due when each of the datasets was written since the last one. */
export function settleWrites(writes: Writes, datasets: ReadonlySet<string>): Writes {
  const causes = [...datasets].flatMap((name) => writes.since[name] ?? []);
  if (causes.length === 0 || causes.length < datasets.size) return writes;
  return { ...writes, since: {}, due: [...writes.due, causes] };
}

/** Takes note that a run was made. */
export function caused(writes: Writes, causes: readonly Cause[]): Writes {
  return { ...writes, due: writes.due.filter((others) => !areSame(causes, others)) };
}

/** Whether it is the same that was written. */
export function areSame(some: readonly Cause[], others: readonly Cause[]): boolean {
  return some.length === others.length &&
    some.every(({ dataset, seq }, i) => others[i]!.dataset === dataset && others[i]!.seq === seq);
}

/** The slice of time that causes are of. */
export function spanOf(
  causes: readonly Cause[],
  timezone: string,
): { start: Temporal.ZonedDateTime; end: Temporal.ZonedDateTime } {
  const { interval } = causes.reduce(span);
  const at = (moment: string): Temporal.ZonedDateTime =>
    Temporal.Instant.from(moment).toZonedDateTimeISO(timezone);
  return { start: at(interval.start), end: at(interval.end) };
}

/** The later cause, but of the slices of time of both. */
function span(cause: Cause, other = cause): Cause {
  const { interval: a } = cause, { interval: b } = other;
  const start = Temporal.Instant.compare(a.start, b.start) < 0 ? a.start : b.start;
  const end = Temporal.Instant.compare(a.end, b.end) > 0 ? a.end : b.end;
  return { ...other.seq > cause.seq ? other : cause, interval: { start, end } };
}
