import { reach, shapeOf } from "./_shape.ts";
import type { AnyDag } from "./dag.ts";
import {
  type Event,
  type Failure,
  isDone,
  isOver,
  reduceAll,
  type Run,
  type TaskRun,
  type TaskState,
  UNTOUCHED,
} from "./state.ts";
import type { Task } from "./task.ts";
import { decide, type Decision } from "./trigger_rule.ts";
import { GiveUp } from "./work.ts";

/** A task of a run, or one instance of a mapped task. */
export interface TaskPlace {
  /** The id of the task. */
  readonly task: string;
  /** Which instance. */
  readonly index?: number | undefined;
}

/** What is to become of a task that is not under way, and why, where that is not its trigger rule. */
export interface Verdict {
  /** As its trigger rule would say it. */
  readonly decision: Decision;
  /** What else than the rule decided. */
  readonly reason?: string;
}

/** Moments by which something happens to a run, whatever its tasks do. */
type Bound = "timeout" | "deadline";

/**
 * What may happen next to a run, from its state alone: tasks that become ready or will never be, lists that turn out how
 * long they are, and its end.
 *
 * @param past the run before it, for tasks that depend on theirs there
 */
export function plan(dag: AnyDag, run: Run, now: Temporal.Instant, past?: Run): Event[] {
  if (isOver(run) || run.state === "queued" && !run.ending) return [];
  const at = now.toString();
  const base = { run: run.id, at };
  const events: Event[] = [];
  if (run.state === "running") {
    if (!run.ending && isDue(boundOf(dag, run, "timeout"), now)) {
      events.push({ ...base, type: "run_ending", to: "failed", reason: "timeout" });
    }
    if (!run.late && isDue(boundOf(dag, run, "deadline"), now)) {
      events.push({ ...base, type: "run_late" });
    }
  }
  // Here tasks are changed one after the other, each in sight of those before it.
  const own = new Set<object>();
  let view = reduceAll(run, events, own)!;
  const pruned = prune(dag, view);
  const judgeOf = (task: Task<unknown>, index?: number): Verdict =>
    judge({ run: view, past, pruned }, task, index);

  function happen(event: Event): void {
    events.push(event);
    view = reduceAll(view, [event], own)!;
  }

  function set(task: string, to: TaskRun): void {
    happen({ ...base, type: "task_changed", task, to });
  }

  for (const task of dag.tasks.values()) {
    const self = view.tasks[task.id];
    if (!self) continue;
    if (!task.each) {
      const to = step(self, () => judgeOf(task), now);
      if (to !== self) set(task.id, to);
      continue;
    }
    if (!view.mapped[task.id]) {
      const to = step(self, () => judgeOf(task), now);
      if (to.state !== "scheduled") {
        if (to !== self) set(task.id, to);
        continue;
      }
      const count = countOf(task, view);
      if (typeof count !== "number") {
        set(task.id, { ...to, state: "failed", ended: at, error: count });
        continue;
      }
      if (count === 0) {
        set(task.id, { ...to, state: "skipped", reason: "its list is empty" });
        continue;
      }
      happen({ ...base, type: "task_mapped", task: task.id, count });
      set(task.id, { ...to, state: "running", started: at });
    }
    // But for those that follow another mapped task, the same holds for all.
    const common = task.each.over === undefined ? judgeOf(task, 0) : undefined;
    view.mapped[task.id]!.forEach((instance, index) => {
      const to = step(instance, () => common ?? judgeOf(task, index), now);
      if (to === instance) return;
      happen({ ...base, type: "task_changed", task: task.id, index, to });
    });
    const whole = summarize(view.tasks[task.id]!, view.mapped[task.id]!, at);
    if (whole !== view.tasks[task.id]) set(task.id, whole);
  }
  const end = conclude(dag, view, past);
  if (end) events.push({ ...base, type: "run_changed", ...end });
  return events;
}

/** What a task that is not under way goes to next; itself when it stays. */
function step(self: TaskRun, verdict: () => Verdict, now: Temporal.Instant): TaskRun {
  const { state, due } = self;
  const resting = state === "up_for_retry" || state === "up_for_reschedule";
  if (!resting && state !== "none" && state !== "scheduled") return self;
  const { decision, reason } = verdict();
  const to = (state: TaskState): TaskRun => {
    if (state === self.state) return self;
    const { due: _, reason: __, ...rest } = self;
    return { ...rest, state, ...reason === undefined ? {} : { reason } };
  };
  switch (decision) {
    case "skip":
      return to("skipped");
    case "upstream_failed":
      return to("upstream_failed");
    case "wait":
      return resting ? self : to("none");
    case "run":
      return resting && due && !isDue(Temporal.Instant.from(due), now) ? self : to("scheduled");
  }
}

/** What a verdict rests on. */
export interface Evidence {
  readonly run: Pick<Run, "tasks" | "mapped" | "ending">;
  /** The run before it. */
  readonly past: Run | undefined;
  /** The tasks that a branch or a short circuit left out, and which did. */
  readonly pruned: ReadonlyMap<string, string>;
}

/** What is to become of a task, or an instance of one, that is not under way. */
export function judge(evidence: Evidence, task: Task<unknown>, index?: number): Verdict {
  const { run, past, pruned } = evidence;
  const { when = "all_success", dependsOnPast } = task.options;
  if (task.setups.length > 0) return { decision: decideTeardown(run, task) };
  if (run.ending) return { decision: "skip", reason: run.ending.reason };
  const decider = pruned.get(task.id);
  if (decider !== undefined) return { decision: "skip", reason: `"${decider}" chose otherwise` };
  const states: TaskState[] = [];
  let isReadable = true;
  for (const id of task.upstream) {
    const reads = task.reads.includes(id);
    for (const { state, stream } of runsOf(run, task, id, index)) {
      isReadable &&= !reads || isDone(state);
      // Who reads a stream starts when it begins, not when it ends.
      const flows = reads && stream !== undefined && state === "running";
      states.push(when === "all_success" && flows ? "success" : state);
    }
  }
  const decision = decide(when, states);
  if (decision !== "run") return { decision };
  // Other rules may hold before what it reads is there.
  if (!isReadable && when !== "all_success") return { decision: "wait" };
  if (dependsOnPast && index === undefined && !isPastGood(task, past)) return { decision: "wait" };
  return { decision };
}

/** What is upstream of a task by one edge: a task, or the instances of a mapped one. */
export function runsOf(
  { tasks, mapped }: Pick<Run, "tasks" | "mapped">,
  task: Task<unknown>,
  upstream: string,
  index?: number,
): readonly TaskRun[] {
  const instances = mapped[upstream];
  if (!instances) return [tasks[upstream] ?? UNTOUCHED];
  if (task.each?.over !== upstream) return instances;
  // Before it has instances itself, it waits for the others to be there, not for their end.
  return index === undefined ? [] : [instances[index] ?? UNTOUCHED];
}

/** A teardown waits for the end of all before it, and runs when its setups succeeded. */
function decideTeardown(run: Evidence["run"], task: Task<unknown>): Decision {
  const states = task.upstream.flatMap((id) => runsOf(run, task, id).map(({ state }) => state));
  if (!states.every(isDone)) return "wait";
  const setups = task.setups.map((id) => run.tasks[id]?.state ?? "removed");
  if (setups.every((state) => state === "success")) return "run";
  return setups.some((state) => /failed/.test(state)) ? "upstream_failed" : "skip";
}

/** Whether what a task depends on in the run before is there: the first run has no past. */
export function isPastGood({ id, options }: Task<unknown>, past: Run | undefined): boolean {
  if (!options.dependsOnPast || !past) return true;
  if (options.dependsOnPast === "run") return past.state === "success";
  const state = past.tasks[id]?.state ?? "removed";
  return state === "success" || state === "skipped" || state === "removed";
}

/** The tasks that branches and short circuits left out, each with the one that did. */
export function prune(dag: AnyDag, { tasks }: Pick<Run, "tasks">): Map<string, string> {
  const shape = shapeOf(dag);
  const pruned = new Map<string, string>();
  for (const id of shape.deciders) {
    const { state, output } = tasks[id] ?? UNTOUCHED;
    if (state !== "success") continue;
    const children = shape.downstream.get(id)!;
    let out: Iterable<string> = [];
    if (dag.tasks.get(id)!.work.decides === "short_circuit") {
      if (output === false) out = reach(shape, children);
    } else if (Array.isArray(output)) {
      // A child that a followed one leads to is not left out: its rule decides.
      const followed = reach(shape, output.map(String));
      out = children.filter((child) => !followed.has(child));
    }
    for (const task of out) if (!pruned.has(task)) pruned.set(task, id);
  }
  return pruned;
}

/** How many instances a mapped task has; a failure when its list is none. */
function countOf(
  task: Task<unknown>,
  { tasks, mapped }: Pick<Run, "tasks" | "mapped">,
): number | Failure {
  const { over, list } = task.each!;
  if (over !== undefined) return mapped[over]?.length ?? 0;
  try {
    const items: unknown = list.read({
      output(id) {
        const instances = mapped[id];
        return instances ? instances.map(({ output }) => output) : tasks[id]?.output;
      },
      item() {
        throw new GiveUp("A list is not made of its own items");
      },
    });
    if (Array.isArray(items)) return items.length;
    const message = `Cannot map task "${task.id}": what it goes over is to be a list, and is ${
      items === null ? "null" : `of type ${typeof items}`
    }`;
    return { name: "TypeError", message };
  } catch (error) {
    return { name: "Error", message: `Cannot map task "${task.id}": ${error}` };
  }
}

/** A mapped task as a whole, once all of its instances are done. */
function summarize(self: TaskRun, instances: readonly TaskRun[], at: string): TaskRun {
  const has = (...states: TaskState[]): boolean =>
    instances.some(({ state }) => states.includes(state));
  const state = !instances.every(({ state }) => isDone(state))
    ? "running"
    : has("failed", "upstream_failed")
    ? "failed"
    : has("success")
    ? "success"
    : "skipped";
  if (state === self.state) return self;
  const { ended: _, ...rest } = self;
  return { ...rest, state, ...state === "running" ? {} : { ended: at } };
}

/** How the run ends, once no task can go on. */
function conclude(
  dag: AnyDag,
  run: Pick<Run, "tasks" | "ending">,
  past: Run | undefined,
): { to: "success" | "failed"; reason?: string } | undefined {
  const states = Object.values(run.tasks).map(({ state }) => state);
  if (states.every(isDone)) {
    if (run.ending) return run.ending;
    const decisive = dag.options.failWhen === "any" ? [...dag.tasks.keys()] : shapeOf(dag).leaves;
    const failed = decisive.some((id) => /failed/.test(run.tasks[id]?.state ?? "removed"));
    return { to: failed ? "failed" : "success" };
  }
  if (!states.every((state) => isDone(state) || state === "none")) return undefined;
  const waits = [...dag.tasks.values()].some((task) => {
    return run.tasks[task.id]?.state === "none" && !isPastGood(task, past);
  });
  return waits ? undefined : { to: "failed", reason: "deadlock" };
}

/** How long a writer may rest until its readers give up their place. */
const REST = { seconds: 60 };

/** Something that runs and must be stopped. */
export interface Stray extends TaskPlace {
  /** Whether its run is to end, or it cannot go on and is to start again later. */
  readonly why: "ended" | "restart";
}

/**
 * What runs and must be stopped: all of a run that is to end but its teardowns, and readers that cannot go on, since a
 * writer they read ended otherwise than well, began anew, or rests too long.
 */
export function strays(dag: AnyDag, run: Run, now: Temporal.Instant): Stray[] {
  const lost = ({ state, due }: TaskRun): boolean =>
    state === "none" || isDone(state) && state !== "success" ||
    state === "up_for_retry" && due !== undefined &&
      !isDue(Temporal.Instant.from(due), now.add(REST));
  const found: Stray[] = [];
  forEachPlace(dag, run, (task, index, { state }) => {
    if (state !== "running") return;
    const place = { task: task.id, index };
    if (run.ending && task.setups.length === 0) found.push({ ...place, why: "ended" });
    else if ((task.options.when ?? "all_success") === "all_success") {
      const gone = task.reads.some((id) => runsOf(run, task, id, index).some(lost));
      if (gone) found.push({ ...place, why: "restart" });
    }
  });
  return found;
}

/** Goes over all tasks of a run, and of mapped ones the instances: in each round, so it is to cost nothing. */
export function forEachPlace(
  dag: AnyDag,
  { tasks, mapped }: Pick<Run, "tasks" | "mapped">,
  visit: (task: Task<unknown>, index: number | undefined, at: TaskRun) => void,
): void {
  for (const task of dag.tasks.values()) {
    const self = tasks[task.id];
    const instances = mapped[task.id];
    if (instances) instances.forEach((at, index) => visit(task, index, at));
    // A mapped task runs by its instances alone.
    else if (self && !task.each) visit(task, undefined, self);
  }
}

/** All tasks of a run, and of mapped ones the instances. */
export function places(
  dag: AnyDag,
  run: Pick<Run, "tasks" | "mapped">,
): { readonly task: Task<unknown>; readonly index: number | undefined; readonly at: TaskRun }[] {
  const all: ReturnType<typeof places> = [];
  forEachPlace(dag, run, (task, index, at) => all.push({ task, index, at }));
  return all;
}

/** When, after now, something is next due in a run by the clock alone. */
export function nextDue(
  dag: AnyDag,
  run: Run,
  now: Temporal.Instant,
): Temporal.Instant | undefined {
  if (run.state !== "running") return undefined;
  const dues: Temporal.Instant[] = [];
  forEachPlace(dag, run, (_, __, { due }) => {
    if (due !== undefined) dues.push(Temporal.Instant.from(due));
  });
  const bounds = [
    run.ending ? undefined : boundOf(dag, run, "timeout"),
    run.late ? undefined : boundOf(dag, run, "deadline"),
  ];
  return [...dues, ...bounds].filter((moment) => moment && !isDue(moment, now))
    .sort((a, b) => Temporal.Instant.compare(a!, b!))[0];
}

/** When a run has taken too long, if it has such a bound. */
function boundOf(dag: AnyDag, run: Run, bound: Bound): Temporal.Instant | undefined {
  const duration = dag.options[bound];
  const from = bound === "timeout" ? run.started : run.runAfter;
  if (duration === undefined || from === undefined) return undefined;
  return Temporal.Instant.from(from).toZonedDateTimeISO("UTC").add(duration).toInstant();
}

function isDue(moment: Temporal.Instant | undefined, now: Temporal.Instant): boolean {
  return moment !== undefined && Temporal.Instant.compare(moment, now) <= 0;
}
