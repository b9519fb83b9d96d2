import type { DagChange } from "./_changes.ts";
import { findDag } from "./_scheduled.ts";
import type { Schedules } from "./_schedules.ts";
import type { Interval } from "./work.ts";

/** How a DAG is doing. Moments are ISO strings in UTC. */
export interface DagStatus {
  /** Of the DAG. */
  readonly id: string;
  /** Whether it starts nothing by itself. */
  readonly paused: boolean;
  /** Why it makes no runs by itself until someone confirms it. */
  readonly held?: string;
  /** The interval it makes a run for next by itself; that is due at its end. */
  readonly next?: Interval;
}

/** What ends when a DAG is no longer paused. */
export interface Unpaused {
  /** How many runs it is to start at once. */
  readonly due: number;
  /** Why none of them starts until someone confirms it. */
  readonly held?: string;
}

/** Tells how DAGs are doing, and changes that. */
export interface Statuses {
  /** Has a DAG start nothing by itself; what runs finishes. @throws {TypeError} when there is no such DAG */
  pause(dag: string): Promise<void>;
  /**
   * Has a DAG start by itself again. More than 1000 runs due at once have to be confirmed, by `all`. A dry run only tells
   * how many are.
   *
   * @throws {TypeError} when there is no such DAG
   */
  unpause(
    dag: string,
    options?: { readonly all?: boolean; readonly dryRun?: boolean },
  ): Promise<Unpaused>;
  /** How a DAG is doing. @throws {TypeError} when there is no such DAG */
  status(dag: string): DagStatus;
  /**
   * The DAGs that change from now on, until the signal is aborted: those paused or let go, those whose next run is
   * another, those replaced, added and removed. What changes again before it is asked for is told once.
   */
  watchDags(signal: AbortSignal): AsyncIterable<DagChange>;
}

/** What `wake` is for: that something may run, or may not, is to be looked at again. */
export function statuses(schedules: Schedules, wake: () => void): Statuses {
  return {
    async pause(id) {
      findDag(schedules.dags, id, "pause");
      await schedules.setPaused(id, true);
      // What of it waited for slots keeps no others from them.
      wake();
    },
    async unpause(id, { all = false, dryRun = false } = {}) {
      findDag(schedules.dags, id, "unpause");
      if (dryRun) return schedules.missed(id, all);
      const unpaused = await schedules.setPaused(id, false, all);
      wake();
      return unpaused;
    },
    status(id) {
      const scheduled = findDag(schedules.dags, id, "tell the status of");
      const { paused, held } = scheduled.record;
      const next = schedules.next(scheduled);
      return { id, paused, ...held === undefined ? {} : { held }, ...next ? { next } : {} };
    },
    watchDags: (signal) => schedules.changes.watch(signal),
  };
}
