import type { Outcome } from "./attempt.ts";
import type { Task } from "./dag.ts";
import type { Json } from "./json.ts";
import type { Reading } from "./meter.ts";
import type { AnyDag } from "./plan.ts";
import { type Event, isDone, type Run, type TaskRun } from "./state.ts";

/** How often a task may begin anew because what it read was lost. */
const MAX_LOSSES = 3;
/** How long a sensor rests. */
const POKE = { minutes: 1 };

/** How an attempt ended, and when. */
export interface Settlement {
  readonly task: string;
  readonly outcome: Outcome;
  readonly now: Temporal.Instant;
  readonly readings: readonly Reading[];
}

/** What the end of an attempt makes of a run: nothing when the task is not running any more. */
export function settle(
  dag: AnyDag,
  run: Run,
  { task: id, outcome, now, readings }: Settlement,
): Event[] {
  const before = run.tasks[id]!;
  if (before.state !== "running") return [];
  const at = now.toString();
  const change = (task: string, to: TaskRun): Event => {
    return { type: "task_changed", run: run.id, at, task, to };
  };
  const { attempt, retries, losses = 0, started, stream, output } = before;
  const rest: Omit<TaskRun, "state"> = {
    attempt,
    retries,
    ...losses > 0 ? { losses } : {},
    ...started === undefined ? {} : { started },
    ended: at,
    readings,
  };
  switch (outcome.state) {
    case "success": {
      const { output: now, stream } = outcome;
      const to: TaskRun = { ...rest, state: "success", output: now, ...stream ? { stream } : {} };
      // Written anew with other bytes than before: what was made of the old ones does not hold.
      const changed = stream && output !== undefined && sha256(output) !== sha256(now);
      return [change(id, to), ...changed ? again(dag, run, id, change) : []];
    }
    case "skipped":
      return [change(id, { ...rest, state: "skipped", reason: outcome.reason })];
    case "up_for_reschedule":
      return [
        change(id, { ...rest, state: "up_for_reschedule", due: now.add(POKE).toString() }),
      ];
    case "failed": {
      const { error, final, reason } = outcome;
      const task = dag.tasks.get(id)!;
      const failed = { ...rest, error, ...reason === undefined ? {} : { reason } };
      if (final || retries >= (task.options.retries ?? 0)) {
        return [change(id, { ...failed, state: "failed" })];
      }
      const due = now.add({ milliseconds: delay(task, run) }).toString();
      // The stream stays: the next attempt may go on with it, and its readers wait.
      const kept = { ...stream ? { stream } : {}, ...output === undefined ? {} : { output } };
      return [change(id, { ...failed, ...kept, state: "up_for_retry", retries: retries + 1, due })];
    }
    case "none": {
      const { lost } = outcome;
      if (lost.length > 0 && losses >= MAX_LOSSES) {
        const message = `Cannot read what ${lost.map((task) => `"${task}"`).join(", ")} put out: ` +
          `it was lost ${losses + 1} times; is the disk in order?`;
        return [change(id, { ...rest, state: "failed", error: { name: "Error", message } })];
      }
      const reader: TaskRun = {
        ...rest,
        state: "none",
        ...lost.length > 0 ? { losses: losses + 1 } : {},
        ...output === undefined ? {} : { output },
      };
      const writers = lost.filter((task) => run.tasks[task]!.state === "success");
      return [change(id, reader), ...writers.map((task) => change(task, anew(run.tasks[task]!)))];
    }
  }
}

/** Puts back the finished readers of a stream. */
function again(
  dag: AnyDag,
  run: Run,
  writer: string,
  change: (task: string, to: TaskRun) => Event,
): Event[] {
  return [...dag.tasks.values()]
    .filter((task) => task.reads.includes(writer) && isDone(run.tasks[task.id]!.state))
    .map((task) => change(task.id, anew(run.tasks[task.id]!)));
}

/** Not begun, but what was put out is remembered, to be compared. */
function anew({ attempt, retries, output }: TaskRun): TaskRun {
  return { state: "none", attempt, retries, ...output === undefined ? {} : { output } };
}

function delay(task: Task<unknown>, run: Run): number {
  const duration = Temporal.Duration.from(task.options.retryDelay ?? { minutes: 5 });
  const relativeTo = Temporal.ZonedDateTime.from(run.interval.start);
  return Math.ceil(duration.total({ unit: "milliseconds", relativeTo }));
}

function sha256(output: Json): unknown {
  return typeof output === "object" && output !== null && "sha256" in output && output.sha256;
}
