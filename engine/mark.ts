import type { AnyDag } from "./dag.ts";
import { reach, shapeOf } from "./_shape.ts";
import { clear, type Instance, instancesOf, type Part, partsOf, selectInstances } from "./clear.ts";
import { type Event, isDone, isOver, type Run, type TaskRun } from "./state.ts";

/** How a task or a run can be marked by hand. */
export type Mark = "success" | "failed";

/** Why something is in the state it is in, when somebody said so. */
const REASON = "marked";

/**
 * Marks instances of a run by hand: they have ended so, and put nothing out. What runs stays as it is: stop it first.
 *
 * As in Airflow, what comes behind a task that is marked as a success is put back if it is failed or upstream_failed, and
 * a run that was over goes on: to run that, or to end as its tasks say now.
 */
export function mark(
  dag: AnyDag,
  run: Run,
  instances: readonly Instance[],
  to: Mark,
  at: string,
): Event[] {
  const parts = partsOf(run, instances);
  const events = parts.flatMap((part) => change(run, part, to, at));
  if (events.length === 0) return [];
  const marked = new Set(parts.map(({ task }) => task));
  const behind = [...reach(shapeOf(dag), [...marked])].filter((id) => !marked.has(id));
  const failed = to === "success" && behind.length > 0
    ? selectInstances(dag, [run], { tasks: behind, onlyFailed: true })
    : [];
  const again = clear(dag, run, failed.filter(({ task }) => !marked.has(task)), at);
  // Its end is to follow from its tasks anew.
  const anew: Event[] = isOver(run) && again.length === 0
    ? [{ type: "run_cleared", run: run.id, at }]
    : [];
  return [...events, ...again, ...anew];
}

/**
 * Marks a run by hand. One that is not over is told to end: what has not begun is left out, what runs is stopped, and the
 * teardowns of setups that succeeded still run.
 *
 * As in Airflow, marking a run as a success does the same to its tasks, be they unfinished or failed; those that were
 * skipped stay so. Marking one that is over as failed leaves its tasks as they are.
 */
export function markRun(dag: AnyDag, run: Run, to: Mark, at: string): Event[] {
  if (run.state === to) return [];
  const events = to === "failed" ? [] : [...dag.tasks.values()].flatMap(({ id, setups }) => {
    const isToRun = setups.length > 0 && !isDone(run.tasks[id]?.state ?? "removed") &&
      setups.every((setup) => run.tasks[setup]?.state === "success");
    if (isToRun && !isOver(run)) return [];
    const { mapped: { [id]: instances }, tasks: { [id]: whole } } = run;
    const parts = instancesOf(run, id).flatMap((part) => {
      return part.at.state === "skipped" ? [] : change(run, part, to, at);
    });
    const isWhole = instances && whole && parts.length > 0;
    return [
      ...parts,
      ...isWhole ? change(run, { task: id, at: { ...whole, state: "none" } }, to, at) : [],
    ];
  });
  const base = { run: run.id, at, to, reason: REASON } as const;
  return [...events, { ...base, type: isOver(run) ? "run_changed" : "run_ending" }];
}

function change(
  run: Run,
  { task, index, at: { state, attempt, retries, started } }: Part,
  to: Mark,
  at: string,
): Event[] {
  if (state === to || state === "running" || state === "queued" || state === "removed") return [];
  const begun = started === undefined ? {} : { started };
  const marked: TaskRun = { state: to, attempt, retries, ...begun, ended: at, reason: REASON };
  const place = index === undefined ? { task } : { task, index };
  return [{ type: "task_changed", run: run.id, at, ...place, to: marked }];
}
