import type { AnyDag } from "./dag.ts";
import { reach, type Shape, shapeOf } from "./_shape.ts";
import { type Event, isOver, type Run, type TaskRun } from "./state.ts";

/** A task of a run, or one instance of a mapped task. */
export interface Instance {
  /** The id of the run. */
  readonly run: string;
  /** The id of the task. */
  readonly task: string;
  /** Which instance. */
  readonly index?: number;
}

/** What to clear. */
export interface Selection {
  /** The run that `past` and `future` count from. @default {all runs that are given} */
  readonly run?: string | undefined;
  /** The ids of tasks, or of groups for all of theirs. @default {all tasks} */
  readonly tasks?: readonly string[] | undefined;
  /** The tasks before them, too, in any number of steps. @default {false} */
  readonly upstream?: boolean | undefined;
  /** The tasks behind them, too. Those that read what they put out come along in any case. @default {false} */
  readonly downstream?: boolean | undefined;
  /** The runs of earlier logical dates, too. @default {false} */
  readonly past?: boolean | undefined;
  /** The runs of later logical dates, too. @default {false} */
  readonly future?: boolean | undefined;
  /** Of all these only what is failed or upstream_failed. @default {false} */
  readonly onlyFailed?: boolean | undefined;
  /** Of `tasks`, which must be mapped, only these instances. @default {all} */
  readonly indexes?: readonly number[] | undefined;
}

/**
 * The task instances that a selection means, those of the oldest run first: what there is to clear, what runs included.
 * With it come, transitively, those that read what a cleared one put out, and the setups and teardowns it lies between.
 *
 * @throws {TypeError} when a run, a task or a group is not there, or one that is not mapped is to have instances
 */
export function selectInstances(
  dag: AnyDag,
  runs: readonly Run[],
  selection: Selection = {},
): Instance[] {
  const shape = shapeOf(dag);
  const named = chooseTasks(dag, selection);
  const indexes = selection.indexes && new Set(selection.indexes);
  const { onlyFailed } = selection;
  const tasks = new Set(named);
  if (selection.downstream) { for (const id of reach(shape, [...named])) tasks.add(id); }
  if (selection.upstream) { for (const id of climb(dag, named)) tasks.add(id); }
  return chooseRuns(dag, runs, selection).flatMap((run) => {
    const seeds = [...tasks].flatMap((id) => instancesOf(run, id)).filter(({ task, index, at }) => {
      const isOther = indexes && index !== undefined && named.has(task) && !indexes.has(index);
      return !isOther && (!onlyFailed || /failed/.test(at.state));
    });
    return selectIn(dag, shape, run, seeds);
  });
}

/** Those of some instances that run, and so must be stopped before they are cleared or marked. */
export function running(run: Run, instances: readonly Instance[]): Instance[] {
  return partsOf(run, instances)
    .filter(({ at: { state } }) => state === "running" || state === "queued")
    .map((part) => toInstance(run, part));
}

/**
 * Puts instances of a run back to where they have not begun, with all their retries; the run goes on when it was over.
 * What runs stays as it is: stop it first. A mapped task of which nothing is left waits for its list again.
 *
 * @param fresh has them take nothing from the spool that was kept
 */
export function clear(
  dag: AnyDag,
  run: Run,
  instances: readonly Instance[],
  at: string,
  fresh = false,
): Event[] {
  const base = { run: run.id, at };
  const events: Event[] = [];
  const chosen = Map.groupBy(partsOf(run, instances), ({ task }) => task);
  const touched = new Set(chosen.keys());
  for (const { id: task, each } of dag.tasks.values()) {
    const mine = new Set(chosen.get(task)?.map(({ at }) => at));
    const parts = instancesOf(run, task)
      .map((part) => ({ ...part, to: mine.has(part.at) ? anew(part.at, fresh) : undefined }));
    if (run.mapped[task]) {
      // What it goes over may turn out to be another list.
      const isListCleared = each?.reads.some((id) => touched.has(id));
      const isWhole = parts.every(({ at: { state }, to }) => to || state === "none");
      if (isWhole && (isListCleared || parts.some(({ to }) => to))) {
        touched.add(task);
        const attempt = Math.max(0, ...parts.map(({ at }) => at.attempt));
        events.push({ ...base, type: "task_mapped", task });
        events.push({ ...base, type: "task_changed", task, to: { ...NONE, attempt } });
        continue;
      }
    }
    for (const { index, to } of parts) {
      if (!to) continue;
      const place = index === undefined ? { task } : { task, index };
      events.push({ ...base, type: "task_changed", ...place, to });
    }
  }
  if (events.length > 0 && isOver(run)) events.unshift({ ...base, type: "run_cleared" });
  return events;
}

const NONE: TaskRun = { state: "none", attempt: 0, retries: 0 };

/** As it was before it began, but that attempts are counted on; nothing when it is so already, or cannot be. */
function anew(task: TaskRun, fresh: boolean): TaskRun | undefined {
  const { state, attempt } = task;
  if (state === "running" || state === "queued" || state === "removed") return undefined;
  const isNew = state === "none" && task.retries === 0 && Object.keys(task).length === 3;
  return isNew ? undefined : { ...NONE, attempt, ...fresh && { fresh } };
}

/** A part of a run, and where it stands. */
export interface Part {
  readonly task: string;
  readonly index?: number;
  readonly at: TaskRun;
}

/** The parts of a run that some instances are; a mapped task without an index is all of its own. */
export function partsOf(run: Run, instances: readonly Instance[]): Part[] {
  const mine = instances.filter((instance) => instance.run === run.id);
  return [...Map.groupBy(mine, ({ task }) => task)].flatMap(([task, chosen]) => {
    const indexes = new Set(chosen.map(({ index }) => index));
    return instancesOf(run, task).filter(({ index }) =>
      indexes.has(undefined) || indexes.has(index)
    );
  });
}

/** The instances of a mapped task, or a task itself. */
export function instancesOf({ tasks, mapped }: Run, task: string): Part[] {
  const instances = mapped[task];
  if (instances) return instances.map((at, index) => ({ task, index, at }));
  return tasks[task] ? [{ task, at: tasks[task] }] : [];
}

/** What is to be cleared in one run, if some of it is. */
function selectIn(dag: AnyDag, shape: Shape, run: Run, seeds: readonly Part[]): Instance[] {
  const found = new Map<string, Part>();
  const add = (parts: readonly Part[]): void => {
    for (const part of parts) {
      if (part.at.state === "none" || part.at.state === "removed") continue;
      found.set(`${part.task} ${part.index ?? ""}`, part);
    }
  };
  add(seeds);
  const whole = new Set<string>();
  // A map grows under its own iteration.
  for (const { task, index } of found.values()) {
    for (const reader of shape.readers.get(task) ?? []) {
      if (index !== undefined && dag.tasks.get(reader)!.each?.over === task) {
        const at = run.mapped[reader]?.[index];
        if (at) add([{ task: reader, index, at }]);
      } else if (!whole.has(reader)) {
        whole.add(reader);
        add(instancesOf(run, reader));
      }
    }
  }
  for (const id of surroundings(dag, shape, found.values())) add(instancesOf(run, id));
  const order = new Map([...dag.tasks.keys()].map((id, position) => [id, position]));
  return [...found.values()]
    .sort((a, b) => order.get(a.task)! - order.get(b.task)! || (a.index ?? 0) - (b.index ?? 0))
    .map((part) => toInstance(run, part));
}

function toInstance({ id }: Run, { task, index }: Part): Instance {
  return { run: id, task, ...index === undefined ? {} : { index } };
}

/** The setups and teardowns that tasks lie between, and the teardowns of setups. */
function surroundings(dag: AnyDag, shape: Shape, parts: Iterable<Part>): Set<string> {
  const pairs = [...dag.tasks.values()].flatMap(({ id, setups }) =>
    setups.map((setup) => ({ setup, teardown: id, behind: reach(shape, [setup]) }))
  );
  const inner = new Set([...parts].map(({ task }) => task));
  const ids = new Set(inner);
  // A set grows under its own iteration.
  for (const id of ids) {
    const behind = pairs.length > 0 && reach(shape, [id]);
    for (const pair of pairs) {
      if (!behind || !pair.behind.has(id) || !behind.has(pair.teardown) || id === pair.teardown) {
        continue;
      }
      ids.add(pair.setup).add(pair.teardown);
    }
  }
  return ids.difference(inner);
}

function chooseTasks(dag: AnyDag, { tasks, indexes }: Selection): Set<string> {
  const all = [...dag.tasks.values()];
  const chosen = (tasks ?? [undefined]).flatMap((id) => {
    const found = id === undefined
      ? all
      : all.filter((task) =>
        task.id === id || task.group === id || task.group?.startsWith(`${id}.`)
      );
    if (found.length > 0 || id === undefined) return found;
    const known = all.map(({ id }) => `"${id}"`).join(", ");
    throw new TypeError(
      `Cannot find task "${id}" in "${dag.id}": it has ${known ? `the tasks ${known}` : "none"}`,
    );
  });
  const plain = indexes && chosen.find(({ each }) => !each);
  if (plain) {
    throw new TypeError(`Cannot take single instances of task "${plain.id}": it is not mapped`);
  }
  return new Set(chosen.map(({ id }) => id));
}

function chooseRuns(
  dag: AnyDag,
  runs: readonly Run[],
  { run: id, past, future }: Selection,
): Run[] {
  const sorted = runs.filter((run) => run.dag === dag.id)
    .sort((a, b) => Temporal.Instant.compare(a.logicalDate, b.logicalDate));
  if (id === undefined) return sorted;
  const here = sorted.find((run) => run.id === id);
  if (!here) throw new TypeError(`Cannot find run "${id}" of "${dag.id}": there is none`);
  return sorted.filter((run) => {
    const order = Temporal.Instant.compare(run.logicalDate, here.logicalDate);
    return run === here || past && order < 0 || future && order > 0;
  });
}

/** All tasks before some, in any number of steps, and those themselves. */
function climb(dag: AnyDag, from: ReadonlySet<string>): Set<string> {
  const reached = new Set(from);
  // A set grows under its own iteration.
  for (const id of reached) for (const before of dag.tasks.get(id)!.upstream) reached.add(before);
  return reached;
}
