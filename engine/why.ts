import type { AnyDag } from "./dag.ts";
import type { Limits } from "./admit.ts";
import { nameOf } from "./_job.ts";
import { isPastGood, judge, plan, prune, runsOf, type TaskPlace } from "./plan.ts";
import { at } from "./settle.ts";
import { isDone, isOver, type Run, type TaskRun } from "./state.ts";

/** What else than the run itself decides. */
export interface Around {
  readonly now: Temporal.Instant;
  /** The run before it. */
  readonly past: Run | undefined;
  /** Whether its DAG is paused. */
  readonly paused: boolean;
  /** The runs that count together with it and are under way, and how many may be. */
  readonly active: readonly string[];
  readonly maxActive: number;
  /** How many runs of all DAGs are under way, and how many may be. */
  readonly all: { readonly active: number; readonly most: number };
  /** What is free. */
  readonly limits: Limits;
}

/**
 * Why a task does not run, or what became of it: in sentences, the first thing that stands in its way first. The reasons
 * are asked of the functions that schedule.
 */
export function why(dag: AnyDag, run: Run, place: TaskPlace, around: Around): string[] {
  const self = at(run, place);
  if (self.state === "running") {
    return [`It runs: attempt ${self.attempt} began at ${self.started}.`];
  }
  if (isDone(self.state)) return [outcome(self)];
  if (isOver(run)) {
    return [`Its run is over: it is ${run.state}${run.reason ? `, for ${run.reason}` : ""}.`];
  }
  const reasons: string[] = [];
  if (run.ending) reasons.push(`Its run is being ended: ${run.ending.reason}.`);
  if (around.paused) {
    reasons.push(`Its DAG "${dag.id}" is paused: nothing of it starts until it is unpaused.`);
  }
  if (run.state === "queued" && !run.ending) {
    if (run.reason) reasons.push(`Its run waits: it ${run.reason}.`);
    else if (around.active.length >= around.maxActive) {
      reasons.push(
        `Its run waits for its turn: ${around.active.length} of at most ${around.maxActive} are ` +
          `under way (${around.active.slice(0, 3).join(", ")}${
            around.active.length > 3 ? ", …" : ""
          }).`,
      );
    } else if (around.all.active >= around.all.most) {
      reasons.push(
        `Its run waits for its turn: ${around.all.active} of at most ${around.all.most} runs of all ` +
          `DAGs are under way.`,
      );
    } else if (reasons.length === 0) reasons.push("Its run is about to start.");
    return reasons;
  }
  return [...reasons, ...waits(dag, run, place, around)];
}

function waits(dag: AnyDag, run: Run, place: TaskPlace, around: Around): string[] {
  const { now, past, limits } = around;
  const self = at(run, place);
  const task = dag.tasks.get(place.task);
  if (!task) return ["Its DAG has no such task any more."];
  const evidence = { run, past, pruned: prune(dag, run) };
  const { decision } = judge(evidence, task, place.index);
  const reasons: string[] = [];
  if (self.error && self.state === "up_for_retry") {
    reasons.push(`Attempt ${self.attempt} failed: ${self.error.message}`);
  }
  if (self.due !== undefined && Temporal.Instant.compare(self.due, now) > 0) {
    const what = self.state === "up_for_retry" ? "It is tried again" : "It asks again";
    reasons.push(`${what} at ${self.due}.`);
  }
  if (decision === "wait") {
    const when = task.options.when ?? "all_success";
    const open = task.upstream.filter((id) =>
      runsOf(run, task, id, place.index).some(({ state }) => !isDone(state))
    );
    if (open.length > 0) {
      const states = open.map((id) => `"${id}", which is ${run.tasks[id]?.state ?? "none"}`);
      reasons.push(`Its trigger rule ${when} waits for ${states.join(" and ")}.`);
    }
    if (!isPastGood(task, past)) {
      const what = task.options.dependsOnPast === "run"
        ? `run "${past!.id}" to succeed, which is ${past!.state}`
        : `"${task.id}" of run "${past!.id}", which is ${past!.tasks[task.id]!.state}`;
      reasons.push(`It depends on the past: it waits for ${what}.`);
    }
    return reasons;
  }
  if (decision !== "run") return [...reasons, "It is about to be skipped."];
  const { pool = "default", slots = 1, executor = "inProcess" } = task.options;
  const free = Math.max(0, limits.pools[pool] ?? 0);
  if (free < slots) {
    reasons.push(
      `It waits for ${count(slots, "slot")} of pool "${pool}", of which ${free} are free.`,
    );
  }
  if ((limits.executors[executor] ?? 0) < 1) {
    reasons.push(`It waits for a slot of executor "${executor}", which has none free.`);
  }
  const limit = task.each?.limit;
  if (limit !== undefined && limits.instances(run.id, task.id) >= limit) {
    reasons.push(`It waits for other instances of "${task.id}": ${limit} may run at once.`);
  }
  if (reasons.length === 0) {
    const next = plan(dag, run, now, past).find((event) =>
      event.type === "task_changed" && event.task === place.task && event.index === place.index
    );
    reasons.push(next ? "It is about to start." : "It is ready, and waits for its turn.");
  }
  return reasons;
}

function outcome({ state, reason, error, attempt, ended }: TaskRun): string {
  const because = reason === undefined ? "" : ` (${reason})`;
  switch (state) {
    case "success":
      return `It succeeded in attempt ${attempt}${ended ? ` at ${ended}` : ""}${because}.`;
    case "failed":
      return `It failed in attempt ${attempt}${because}${error ? `: ${error.message}` : "."}`;
    case "upstream_failed":
      return "A task before it failed, which its trigger rule does not allow.";
    case "removed":
      return "It is not in its DAG any more.";
    default:
      return `It was skipped${because}.`;
  }
}

/** What a text names: `load`, or `load[3]` for an instance. @throws {TypeError} when there is no such task */
export function placeIn(run: Run, name: string): TaskPlace {
  const [, task, index] = /^([^[]*)(?:\[(\d+)\])?$/.exec(name) ?? [];
  const place = { task: task ?? name, index: index === undefined ? undefined : Number(index) };
  const known = index === undefined
    ? Object.hasOwn(run.tasks, place.task)
    : run.mapped[place.task]?.[place.index!] !== undefined;
  if (known) return place;
  const names = Object.entries(run.tasks).map(([id]) => {
    const instances = run.mapped[id];
    return instances ? `${nameOf(id, 0)} to ${nameOf(id, instances.length - 1)}` : id;
  });
  throw new TypeError(
    `Cannot find task "${name}" in run "${run.id}": it has ${names.join(", ") || "none"}`,
  );
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}
