import type { Dag, Task, When } from "./dag.ts";
import { type Event, isDone, type Run, type TaskRun, type TaskState } from "./state.ts";

/** A DAG of any params, for where they do not matter. */
// deno-lint-ignore no-explicit-any
export type AnyDag = Dag<any>;

type Tasks = Readonly<Record<string, TaskRun>>;

/** What a trigger rule says of a task. */
export type Decision = "run" | "skip" | "upstream_failed" | "wait";

/** Decides by the states of the direct upstream tasks, as early as they allow; without any, a task runs. */
export function decide(rule: When, upstream: readonly TaskState[]): Decision {
  const has = (...states: TaskState[]): boolean => upstream.some((state) => states.includes(state));
  if (upstream.every((state) => state === "removed")) return "run";
  const success = has("success");
  const failed = has("failed", "upstream_failed");
  const skipped = has("skipped");
  const open = upstream.some((state) => !isDone(state));
  switch (rule) {
    case "all_success":
      return failed ? "upstream_failed" : skipped ? "skip" : open ? "wait" : "run";
    case "all_failed":
      return success || skipped ? "skip" : open ? "wait" : "run";
    case "all_done":
      return open ? "wait" : "run";
    case "all_done_min_one_success":
      return open ? "wait" : success ? "run" : failed ? "upstream_failed" : "skip";
    case "all_skipped":
      return success || failed ? "skip" : open ? "wait" : "run";
    case "one_success":
      return success ? "run" : open ? "wait" : failed ? "upstream_failed" : "skip";
    case "one_failed":
      return failed ? "run" : open ? "wait" : "skip";
    case "one_done":
      return success || has("failed") ? "run" : open ? "wait" : "skip";
    case "none_failed":
      return failed ? "upstream_failed" : open ? "wait" : "run";
    case "none_failed_min_one_success":
      return failed ? "upstream_failed" : open ? "wait" : success ? "run" : "skip";
    case "none_skipped":
      return skipped ? "skip" : open ? "wait" : "run";
    case "always":
      return "run";
  }
}

/** What may happen next to a run, from its state alone: tasks that become ready or will never be, and its end. */
export function plan(dag: AnyDag, run: Run, now: Temporal.Instant): Event[] {
  if (run.state !== "running") return [];
  const at = now.toString();
  const events: Event[] = [];
  const tasks: Record<string, TaskRun> = { ...run.tasks };
  for (const task of dag.tasks.values()) {
    const state = step(task, tasks, now);
    if (state === tasks[task.id]!.state) continue;
    const { due: _, ...rest } = tasks[task.id]!;
    const to = tasks[task.id] = { ...rest, state };
    events.push({ type: "task_changed", run: run.id, at, task: task.id, to });
  }
  const end = conclude(dag, tasks);
  return end ? [...events, { type: "run_changed", run: run.id, at, ...end }] : events;
}

/** The state a task goes to next by itself; its own when it stays. */
function step(task: Task<unknown>, tasks: Tasks, now: Temporal.Instant): TaskState {
  const { state, due } = tasks[task.id]!;
  const resting = state === "up_for_retry" || state === "up_for_reschedule";
  if (!resting && state !== "none" && state !== "scheduled") return state;
  switch (ready(task, tasks)) {
    case "skip":
      return "skipped";
    case "upstream_failed":
      return "upstream_failed";
    case "wait":
      return resting ? state : "none";
    case "run":
      return resting && due && isAfter(due, now) ? state : "scheduled";
  }
}

function ready(task: Task<unknown>, tasks: Tasks): Decision {
  const rule = task.options.when ?? "all_success";
  const upstream = task.upstream.map((id) => {
    const { state, stream } = tasks[id]!;
    // Who reads a stream starts when it begins, not when it ends.
    const flows = state === "running" && stream && task.reads.includes(id);
    return rule === "all_success" && flows ? "success" : state;
  });
  const decision = decide(rule, upstream);
  if (decision !== "run" || rule === "all_success") return decision;
  const flows = task.reads.some((id) => tasks[id]!.stream && !isDone(tasks[id]!.state));
  return flows ? "wait" : decision;
}

/** How the run ends, once no task can go on. */
function conclude(
  dag: AnyDag,
  tasks: Tasks,
): { to: "success" | "failed"; reason?: string } | undefined {
  const states = Object.values(tasks).map((task) => task.state);
  if (states.every(isDone)) {
    const inner = new Set([...dag.tasks.values()].flatMap((task) => task.upstream));
    const leaves = [...dag.tasks.keys()].filter((id) => !inner.has(id));
    const failed = leaves.some((id) => /failed/.test(tasks[id]!.state));
    return { to: failed ? "failed" : "success" };
  }
  const stuck = states.every((state) => isDone(state) || state === "none");
  return stuck ? { to: "failed", reason: "deadlock" } : undefined;
}

/** How long a writer may rest until its readers give up their place. */
const REST = { seconds: 60 };

/** The running readers that cannot go on: a writer they read ended otherwise than well, began anew, or rests too long. */
export function strays(dag: AnyDag, run: Run, now: Temporal.Instant): string[] {
  const lost = ({ state, due }: TaskRun): boolean =>
    state === "none" || isDone(state) && state !== "success" ||
    state === "up_for_retry" && due !== undefined && isAfter(due, now.add(REST));
  return [...dag.tasks.values()]
    .filter((task) => run.tasks[task.id]!.state === "running")
    .filter((task) => (task.options.when ?? "all_success") === "all_success")
    .filter((task) => task.reads.some((id) => lost(run.tasks[id]!)))
    .map((task) => task.id);
}

/** When, after now, something is next due in a run by the clock alone. */
export function nextDue(run: Run, now: Temporal.Instant): Temporal.Instant | undefined {
  if (run.state !== "running") return undefined;
  return Object.values(run.tasks)
    .flatMap(({ due }) => due !== undefined && isAfter(due, now) ? Temporal.Instant.from(due) : [])
    .sort(Temporal.Instant.compare)[0];
}

/** A run that waits to be started. */
export interface Candidate {
  /** Its id. */
  readonly id: string;
  /** The id of its DAG. */
  readonly dag: string;
  /** An ISO string. */
  readonly logicalDate: string;
}

/** Which of the waiting runs may start: the oldest logical dates of each DAG first, as many as it has `room` for. */
export function admit<C extends Candidate>(
  candidates: readonly C[],
  room: Readonly<Record<string, number>>,
): C[] {
  const left = { ...room };
  return candidates
    .toSorted((a, b) => Temporal.Instant.compare(a.logicalDate, b.logicalDate))
    .filter(({ dag }) => (left[dag] = (left[dag] ?? 0) - 1) >= 0);
}

function isAfter(moment: string, now: Temporal.Instant): boolean {
  return Temporal.Instant.compare(moment, now) > 0;
}
