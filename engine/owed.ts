import type { DagOptions } from "./dag.ts";
import { datasetsOf } from "./dataset.ts";
import { due, next, type Timetable } from "./schedule.ts";
import type { DagRecord } from "./store.ts";
import type { Interval } from "./work.ts";

type Moment = Temporal.ZonedDateTime;

/** How many runs may become due at one activation without anybody's confirming it. */
const MOST = 1000;
/** Nobody wants to know more exactly than that. */
const COUNTED = 10_000;

/** What a DAG's options say of the runs it owes. */
export type Policy = Pick<
  DagOptions<unknown>,
  "schedule" | "catchup" | "catchupWindow" | "maxActiveRuns"
>;

/** What a DAG did before it is activated, and the clock. */
export interface ActivateOptions {
  /** When it is. */
  readonly now: Temporal.Instant;
  /** Where the last interval ended that it made a run for, or passed over: an ISO string in UTC. */
  readonly cursor?: string | undefined;
  /** By when somebody confirmed that all that is due is to run; to confirm it now, now. */
  readonly confirmed?: string | undefined;
  /** The logical dates for which there is a run already, as ISO strings in UTC: no other is made. @default {none} */
  readonly made?: ReadonlySet<string>;
}

/** What becomes of the intervals that a DAG missed. */
export interface Activation {
  /** From where it goes on, an ISO string in UTC; absent when that is the schedule's start. */
  readonly cursor?: string;
  /** How many runs are due at once; 10,000 stands for more than that, too. */
  readonly due: number;
  /** Why none of them starts until someone confirms it. */
  readonly held?: string;
}

/**
 * Settles which of the missed intervals are made up for: at a DAG's first activation, when it is no longer paused, and
 * after a time in which nobody ran it.
 *
 * Those that are not made up for lie before the cursor it answers with. So from here on all that lies behind it is
 * {@linkcode owed}, whatever the catchup is: an interval that has to wait for its turn is never taken for a missed one.
 *
 * @throws {TypeError} when all are to be made up for, but nothing says since when
 */
export function activate(
  policy: Policy,
  timetable: Timetable,
  { now, cursor, confirmed, made }: ActivateOptions,
): Activation {
  if (policy.schedule === undefined || datasetsOf(policy.schedule)) {
    return { ...cursor === undefined ? {} : { cursor }, due: 0 };
  }
  const present = now.toZonedDateTimeISO(timetable.timezone);
  const known = passOver(policy, timetable, present, moment(cursor, timetable));
  let count = 0;
  let unconfirmed = 0;
  for (const { start, end } of due(timetable, { now: present, lastEnd: known, catchup: "all" })) {
    if (made?.has(start.toInstant().toString())) continue;
    if (confirmed === undefined || isAfter(end, moment(confirmed, timetable)!)) unconfirmed++;
    if (++count === COUNTED) break;
  }
  const held = unconfirmed > MOST &&
    `${count === COUNTED ? "More than 10,000" : count.toLocaleString("en-US")} runs are due at ` +
      `once: none starts until that is confirmed (unpause --all), or a catchupWindow is set`;
  return {
    ...known ? { cursor: known.toInstant().toString() } : {},
    due: count,
    ...held ? { held } : {},
  };
}

/** How far a DAG came, and the clock. */
export interface OwedOptions {
  /** When it is. */
  readonly now: Temporal.Instant;
  /** The DAG's, as {@linkcode activate} left it. */
  readonly record: Pick<DagRecord, "paused" | "held" | "cursor">;
  /** How many of the runs that it made by itself are not over. */
  readonly active: number;
}

/** What a DAG is to do by itself. */
export interface Owed {
  /** The intervals to make runs for right now, the oldest first; the last one's end is the next cursor. */
  readonly create: readonly Interval[];
  /** When to look again, later than now; absent when only the end of a run, or nothing at all, brings more. */
  readonly next?: Temporal.Instant;
}

/** The runs a DAG is to make now: all that are due behind its cursor, as far as `maxActiveRuns` allows. */
export function owed(
  { schedule, maxActiveRuns = 16 }: Policy,
  timetable: Timetable,
  { now, record: { paused, held, cursor }, active }: OwedOptions,
): Owed {
  if (paused || held !== undefined) return { create: [] };
  const present = now.toZonedDateTimeISO(timetable.timezone);
  const lastEnd = moment(cursor, timetable);
  const continuous = schedule === "@continuous";
  const room = (continuous ? 1 : maxActiveRuns) - active;
  const create: Interval[] = [];
  // Without a start and a cursor there is nothing to look back on.
  const known = lastEnd ?? timetable.start;
  for (const interval of known ? due(timetable, { now: present, lastEnd, catchup: "all" }) : []) {
    if (create.length >= room) return { create };
    create.push(interval);
  }
  const coming = continuous
    ? room > create.length && instantAfter(timetable, known!, present)
    : next(timetable, { now: present, lastEnd: create.at(-1)?.end ?? lastEnd })?.end;
  return coming ? { create, next: coming.toInstant() } : { create };
}

/** Where to go on so that only what is to be made up for lies behind; undefined: at the start. */
function passOver(
  { catchup = false, catchupWindow }: Policy,
  timetable: Timetable,
  now: Moment,
  lastEnd: Moment | undefined,
): Moment | undefined {
  const bound = catchupWindow && now.subtract(catchupWindow);
  const within =
    bound && isAfter(bound, lastEnd ?? timetable.start ?? bound.subtract({ seconds: 1 }))
      ? bound
      : lastEnd;
  if (catchup === true || catchup === "all") return within;
  const [latest] = due(timetable, { now, lastEnd: within, catchup });
  const first = latest ?? next(timetable, { now, lastEnd: within });
  const { start, last } = timetable;
  if (!first) return start && isAfter(start, now) ? within : later(within, now);
  if (last) return later(within, first.start);
  // What cannot look back goes from one interval's end to the next, which may leave some time out.
  let passed = within;
  for (const { end } of due(timetable, { now, lastEnd: within ?? start ?? now, catchup: "all" })) {
    if (!isAfter(first.end, end)) break;
    passed = end;
  }
  return start ? passed : passed ?? now;
}

/** When a schedule that is always due can begin its next run: an interval has a length. */
function instantAfter({ end }: Timetable, from: Moment, now: Moment): Moment | undefined {
  if (end && isAfter(from, end)) return undefined;
  return later(from, now).add({ milliseconds: 1 });
}

function moment(text: string | undefined, { timezone }: Timetable): Moment | undefined {
  return text === undefined ? undefined : Temporal.Instant.from(text).toZonedDateTimeISO(timezone);
}

function later(a: Moment | undefined, b: Moment): Moment {
  return a && isAfter(a, b) ? a : b;
}

function isAfter(a: Moment, b: Moment): boolean {
  return Temporal.ZonedDateTime.compare(a, b) > 0;
}
