import type { AnyDag } from "./dag.ts";
import type { Demand } from "./admit.ts";
import { nameOf } from "./_job.ts";
import type { Reading } from "./meter.ts";
import type { Stray, TaskPlace } from "./plan.ts";
import { type Event, reduceAll, type Run } from "./state.ts";
import type { Store } from "./store.ts";

/** A run that is not over. */
export interface Live {
  readonly dag: AnyDag;
  run: Run;
  /** The smaller, the older. */
  readonly age: number;
  /** Its logical date, in milliseconds. */
  readonly date: number;
  readonly done: PromiseWithResolvers<Run>;
  readonly attempts: Map<string, Attempting>;
  /** Changes that wait for the next round. */
  readonly inbox: Change[];
  /** What its tasks hold and want. */
  demand: Demand;
  /** When something is next due in it by the clock. */
  due: Temporal.Instant | undefined;
  /** The run before it, when its tasks depend on that. */
  past: Run | undefined;
}

/** An attempt that is under way. */
export interface Attempting extends TaskPlace {
  readonly stop: AbortController;
  readonly pool: string;
  readonly slots: number;
  readonly executor: string;
  ended: Promise<void>;
  readings: () => Reading[];
}

/** An attempt that is under way, as it is told of. */
export interface UnderWay {
  /** The id of the DAG. */
  readonly dag: string;
  /** The id of the run. */
  readonly run: string;
  /** The id of the task. */
  readonly task: string;
  /** Which instance of a mapped task. */
  readonly index?: number;
  /** What stands on its meters. */
  readonly readings: readonly Reading[];
}

/** A change of a run that waits for its turn. */
export interface Change {
  readonly events: (run: Run) => readonly Event[];
  /** Called at once when they are on record. */
  readonly then: () => void;
  readonly made: PromiseWithResolvers<Run>;
}

/** Of a run, what a round makes of it. */
export interface Step {
  readonly live: Live;
  readonly changes: readonly Change[];
  readonly events: Event[];
  readonly begun: TaskPlace[];
  /** What is to be stopped, by how the run was before anything followed from its changes. */
  stops: readonly Stray[];
  run: Run;
  /** The parts of that run that are its alone. */
  readonly own: Set<object>;
}

export function add(step: Step, events: readonly Event[]): void {
  if (events.length === 0) return;
  step.run = reduceAll(step.run, events, step.own)!;
  step.events.push(...events);
}

export function changed(
  run: Run,
  { task, index }: TaskPlace,
  to: Run["tasks"][string],
  now: Temporal.Instant,
): Event {
  const which = index === undefined ? {} : { index };
  return { type: "task_changed", run: run.id, at: now.toString(), task, ...which, to };
}

/** Of whose runs only so many may be under way. */
export function groupOf(run: Run): string {
  return run.backfill ? `backfill ${run.backfill.id}` : `dag ${run.dag}`;
}

export function isBefore(a: Run, b: Run): boolean {
  return Temporal.Instant.compare(a.logicalDate, b.logicalDate) < 0;
}

/** What stands on the meters of the tasks of a run. */
export function readingsOf({ run, attempts }: Live): Record<string, readonly Reading[]> {
  const all = Object.entries(run.tasks).flatMap(([id, task]) => {
    const instances = run.mapped[id];
    if (!instances) return [[id, task] as const];
    return instances.map((instance, i) => [nameOf(id, i), instance] as const);
  });
  return Object.fromEntries(
    all.map(([name, { readings = [] }]) => [name, attempts.get(name)?.readings() ?? readings]),
  );
}

/** The attempts of a run that are under way. */
export function underWay({ run, attempts }: Live): UnderWay[] {
  return [...attempts.values()].map(({ task, index, readings }) => ({
    dag: run.dag,
    run: run.id,
    task,
    ...index === undefined ? {} : { index },
    readings: readings(),
  }));
}

/** The run before one of the same DAG. */
export async function pastOf(
  store: Store,
  { dag, logicalDate }: Run,
): Promise<Run | undefined> {
  const to = Temporal.Instant.from(logicalDate).subtract({ nanoseconds: 1 }).toString();
  const [past] = await store.list({ dag, to, order: "logical_date", limit: 1 });
  return past;
}
