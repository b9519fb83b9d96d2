import { forEachPlace, runsOf } from "./plan.ts";
import type { TaskPlace } from "./plan.ts";
import type { AnyDag, Task } from "./dag.ts";
import type { Run, TaskRun } from "./state.ts";

/** A run that waits to be started. */
export interface RunCandidate {
  /** Its id. */
  readonly id: string;
  /** Of whose runs only so many may be under way: the id of its DAG, or of its backfill. */
  readonly group: string;
  /** The smaller, the sooner within its group: milliseconds of its logical date, or those negated. */
  readonly order: number;
}

/**
 * Which of the waiting runs may start: of each group as many as it has `room` for, in their order; where there is not room
 * for all, groups take turns; those first whose last one was the longest ago: `turns` has the last one last.
 */
export function admitRuns<C extends RunCandidate>(
  candidates: readonly C[],
  room: Readonly<Record<string, number>>,
  all = Infinity,
  turns: Iterable<string> = [],
): C[] {
  const groups = Map.groupBy(
    candidates.toSorted((a, b) => a.order - b.order),
    ({ group }) => group,
  );
  const last = new Map([...turns].map((group, i) => [group, i + 1]));
  const age = ([group]: [string, unknown]): number => last.get(group) ?? 0;
  const queues = [...groups].sort((a, b) => age(a) - age(b)).map(([group, queue]) =>
    queue.slice(0, Math.max(0, room[group] ?? 0))
  );
  const admitted: C[] = [];
  for (let turn = 0; queues.some((queue) => turn < queue.length); turn++) {
    for (const queue of queues) {
      if (turn < queue.length && admitted.length < all) admitted.push(queue[turn]!);
    }
  }
  return admitted;
}

/** A task that is ready to start, and what it takes to. */
export interface Candidate extends TaskPlace {
  /** The id of its run. */
  readonly run: string;
  /** The pool it takes slots of … */
  readonly pool: string;
  /** … and how many. */
  readonly slots: number;
  /** The executor it takes one slot of. */
  readonly executor: string;
  /** The greater, the sooner. */
  readonly priority: number;
  /** Whether what it reads is being written: it then goes before others of its priority. */
  readonly follows: boolean;
  /** Whether it has its slots already: a writer between two attempts, whose readers wait. */
  readonly holds: boolean;
  /** The smaller, the older. */
  readonly age: number;
  /** How many instances of its mapped task may run at once in its run. */
  readonly limit?: number | undefined;
}

/** What there is to be had. */
export interface Limits {
  /** Free slots of pools, by name. */
  readonly pools: Readonly<Record<string, number>>;
  /** Free slots of executors, by name. */
  readonly executors: Readonly<Record<string, number>>;
  /** How many instances of a mapped task of a run are under way, or keep their slots: by run and task. */
  readonly instances: (run: string, task: string) => number;
}

/**
 * Which of the tasks that are ready may start: by priority, then readers of what is being written, then age. One gets all
 * of its slots or none; where a pool has too few for it, those behind it do not get them either, or it might wait forever.
 */
export function admit<C extends Candidate>(candidates: readonly C[], limits: Limits): C[] {
  const pools = { ...limits.pools };
  const executors = { ...limits.executors };
  const instances = new Map<string, number>();
  const order = candidates.toSorted((a, b) =>
    Number(b.holds) - Number(a.holds) || b.priority - a.priority ||
    Number(b.follows) - Number(a.follows) || a.age - b.age
  );
  return order.filter((candidate) => {
    const { run, task, pool, slots, executor, limit, holds } = candidate;
    if (holds) return true;
    const key = `${run}/${task}`;
    if (limit !== undefined) {
      const under = instances.get(key) ?? limits.instances(run, task);
      if (under >= limit) return false;
      instances.set(key, under + 1);
    }
    if ((executors[executor] ?? 0) < 1) return false;
    const fits = (pools[pool] ?? 0) >= slots;
    pools[pool] = (pools[pool] ?? 0) - slots;
    if (fits) executors[executor]!--;
    return fits;
  });
}

/** What the tasks of a run hold and want, given how old the run is. */
export interface Demand {
  /** Those that are ready. */
  readonly candidates: readonly Candidate[];
  /** Those that have their slots: all that run, and writers between two attempts whose readers wait. */
  readonly holders: readonly Pick<Candidate, "task" | "index" | "pool" | "slots" | "executor">[];
}

/** How many instances of one mapped task are looked at; more cannot start at once in any case. */
const LOOKAHEAD = 256;

/** What a run's tasks hold and want. */
export function demand(dag: AnyDag, run: Run, age: number): Demand {
  const candidates: Candidate[] = [];
  const holders: Demand["holders"][number][] = [];
  const followed = new Set<string>();
  forEachPlace(dag, run, (task, index, { state }) => {
    if (state !== "running") return;
    for (const id of task.reads) {
      followed.add(keyOf(id, task.each?.over === id ? index : undefined));
    }
  });
  const ahead = new Map<Task<unknown>, number>();
  forEachPlace(dag, run, (task, index, { state, stream }) => {
    if (state !== "running" && state !== "scheduled" && state !== "up_for_retry") return;
    const { pool = "default", slots = 1, executor = "inProcess", priority = 0 } = task.options;
    const live = stream !== undefined &&
      (followed.has(keyOf(task.id, index)) || followed.has(keyOf(task.id, undefined)));
    const holds = live && state !== "running";
    const place = { task: task.id, index, pool, slots, executor };
    if (state === "running" || holds) holders.push(place);
    if (state !== "scheduled") return;
    const seen = ahead.get(task) ?? 0;
    ahead.set(task, seen + 1);
    if (seen >= LOOKAHEAD) return;
    const follows = readsLive(run, task, index);
    const limit = task.each?.limit;
    candidates.push({ ...place, run: run.id, priority, follows, holds, age, limit });
  });
  return { candidates, holders };
}

function readsLive(run: Run, task: Task<unknown>, index: number | undefined): boolean {
  const flows = ({ state, stream }: TaskRun): boolean => state === "running" && !!stream;
  return task.reads.some((id) => runsOf(run, task, id, index).some(flows));
}

function keyOf(task: string, index: number | undefined): string {
  return index === undefined ? task : `${task}[${index}]`;
}
