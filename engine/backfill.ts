import type { AnyDag } from "./dag.ts";
import { datasetsOf } from "./dataset.ts";
import { between, type Timetable } from "./schedule.ts";
import { isOver, type Run } from "./state.ts";
import type { Interval } from "./work.ts";

/** Which of the runs that exist a backfill runs again. */
export type Reprocess = "none" | "failed" | "completed" | "missing";

/** Options for {@linkcode planBackfill}. */
export interface BackfillRange {
  /** The first logical date: a date, which means that whole day in the DAG's zone, or a date with a time. */
  readonly from: string;
  /** The last one, inclusive. */
  readonly to: string;
  /**
   * Which runs that exist are cleared and run again: `none`, also called `missing`, since only what is missing is run; the
   * `failed`; or all that are `completed`, be they failed or not.
   *
   * @default {"none"}
   */
  readonly reprocess?: Reprocess | undefined;
  /** The latest first. @default {false} */
  readonly reverse?: boolean | undefined;
  /** When it is. */
  readonly now: Temporal.Instant;
}

/** What a backfill does: its dry run. */
export interface BackfillPlan {
  /** The intervals to make runs for, in their order. */
  readonly create: readonly Interval[];
  /** The ids of the runs to clear, in their order. */
  readonly clear: readonly string[];
  /** What is left out. */
  readonly skip: readonly Skipped[];
}

/** An interval that a backfill leaves out. */
export interface Skipped {
  /** The slice of time. */
  readonly interval: Interval;
  /** The id of the run that exists. */
  readonly run?: string;
  /** Why, in words. */
  readonly reason: string;
}

/**
 * What a backfill would do. A run that exists is never doubled: whatever made it, it counts by its logical date; of several
 * of one date, one that is under way before one that succeeded, before one that failed, and the latest of those.
 *
 * @param runs those of the DAG that exist in the range
 * @throws {TypeError} when the DAG has no schedule, a date cannot be read, or the order does not fit the tasks
 * @throws {RangeError} when `to` comes before `from`
 */
export function planBackfill(
  dag: AnyDag,
  timetable: Timetable,
  runs: readonly Run[],
  { from, to, reprocess = "none", reverse = false, now }: BackfillRange,
): BackfillPlan {
  const { schedule } = dag.options;
  if (schedule === undefined || schedule === "@continuous" || datasetsOf(schedule)) {
    throw new TypeError(
      `Cannot backfill "${dag.id}": it has no schedule that says which intervals there are; ` +
        `trigger it for an interval of your own instead`,
    );
  }
  const bound = reverse && [...dag.tasks.values()].find(({ options }) => options.dependsOnPast);
  if (bound) {
    throw new TypeError(
      `Cannot backfill "${dag.id}" the latest first: task "${bound.id}" depends on the run before`,
    );
  }
  const byDate = Map.groupBy(runs.filter((run) => run.dag === dag.id), dateOf);
  const create: Interval[] = [];
  const clear: string[] = [];
  const skip: Skipped[] = [];
  const intervals = [...between(timetable, from, to)];
  for (const interval of reverse ? intervals.reverse() : intervals) {
    const known = choose(byDate.get(interval.start.epochMilliseconds) ?? []);
    const leave = (reason: string): void => {
      skip.push({ interval, ...known ? { run: known.id } : {}, reason });
    };
    if (!known) {
      if (Temporal.Instant.compare(interval.end.toInstant(), now) <= 0) create.push(interval);
      else leave(`its interval lasts until ${interval.end.toInstant()}`);
    } else if (!isOver(known)) leave(`it is ${known.state}`);
    else if (reprocess === "completed" || reprocess === known.state) clear.push(known.id);
    else leave(`it exists, ${known.state}`);
  }
  return { create, clear, skip };
}

function dateOf({ logicalDate }: Run): number {
  return Temporal.Instant.from(logicalDate).epochMilliseconds;
}

/** The run that stands for all of a logical date. */
function choose(runs: readonly Run[]): Run | undefined {
  const rank = (run: Run): number => isOver(run) ? run.state === "success" ? 1 : 2 : 0;
  return runs.toSorted((a, b) =>
    rank(a) - rank(b) || Temporal.Instant.compare(b.created, a.created)
  )[0];
}
