import { shapeOf } from "./_shape.ts";
import type { Outcome } from "./attempt.ts";
import type { AnyDag, Task } from "./dag.ts";
import type { Json } from "./json.ts";
import type { Reading } from "./meter.ts";
import { nameOf } from "./_job.ts";
import { places, type TaskPlace } from "./plan.ts";
import { type Event, type Failure, isDone, type Run, type TaskRun, UNTOUCHED } from "./state.ts";

/** How often a task may begin anew because what it read was lost. */
const MAX_LOSSES = 3;
/** How often a task may begin anew because its process died. */
const MAX_CRASHES = 3;
/** How long a sensor rests. */
const POKE = { minutes: 1 };
/** How long a task that failed rests. */
const RETRY_DELAY = { minutes: 5 };

/** How an attempt ended, and when. */
export interface Settlement extends TaskPlace {
  readonly outcome: Outcome;
  readonly now: Temporal.Instant;
  readonly readings: readonly Reading[];
}

/** What the end of an attempt makes of a run: nothing when the task is not running any more. */
export function settle(
  dag: AnyDag,
  run: Run,
  { task: id, index, outcome, now, readings }: Settlement,
): Event[] {
  const before = at(run, { task: id, index });
  const task = dag.tasks.get(id)!;
  if (before.state !== "running") return [];
  const { attempt, retries, losses, crashes, first, started, stream, output } = before;
  const rest: Omit<TaskRun, "state"> = {
    attempt,
    retries,
    ...losses === undefined ? {} : { losses },
    ...crashes === undefined ? {} : { crashes },
    ...first === undefined ? {} : { first },
    ...started === undefined ? {} : { started },
    ended: now.toString(),
    readings,
  };
  const change = changer(run, now);
  const become = (to: TaskRun): Event[] => [change({ task: id, index }, to)];
  const fail = (error: Failure, reason?: string): Event[] =>
    become({ ...rest, state: "failed", error, ...reason === undefined ? {} : { reason } });
  switch (outcome.state) {
    case "success": {
      const { output: now, stream } = outcome;
      const strangers = task.work.decides === "branch" && strangersOf(dag, id, now);
      if (strangers) return fail({ name: "GiveUp", message: strangers });
      const to: TaskRun = { ...rest, state: "success", output: now, ...stream ? { stream } : {} };
      // Written anew with other bytes than before: what was made of the old ones does not hold.
      const changed = stream && output !== undefined && sha256(output) !== sha256(now);
      return [...become(to), ...changed ? again(dag, run, { task: id, index }, change) : []];
    }
    case "skipped":
      return become({ ...rest, state: "skipped", reason: outcome.reason });
    case "up_for_reschedule": {
      const { poke = POKE, timeout } = task.options;
      let due = outcome.due === undefined ? later(now, poke) : Temporal.Instant.from(outcome.due);
      const end = timeout && first !== undefined && later(Temporal.Instant.from(first), timeout);
      if (end && Temporal.Instant.compare(end, now) <= 0) {
        const message = `Cannot wait longer for task "${id}": what it waits for did not come ` +
          `within its timeout of ${Temporal.Duration.from(timeout)}`;
        return fail({ name: "TimedOut", message }, "timeout");
      }
      if (end && Temporal.Instant.compare(end, due) < 0) due = end;
      return become({ ...rest, state: "up_for_reschedule", due: due.toString() });
    }
    case "failed": {
      const { error, final, retryAfter = 0 } = outcome;
      const { ending } = run;
      const reason = ending && outcome.reason === "cancelled" ? ending.reason : outcome.reason;
      const { retries: allowed = 0 } = task.options;
      if (final || retries >= allowed) return fail(error, reason);
      try {
        if (task.options.retryOn?.(error) === "fail") return fail(error, reason);
      } catch (thrown) {
        const message =
          `Cannot tell whether to try task "${id}" again: \`retryOn\` failed: ${thrown}`;
        return fail({ name: "GiveUp", message, cause: error });
      }
      const delay = Math.max(retryAfter, delayOf(task, index, run, before));
      const due = now.add({ milliseconds: delay }).toString();
      // The stream stays: the next attempt may go on with it, and its readers wait.
      const kept = { ...stream ? { stream } : {}, ...output === undefined ? {} : { output } };
      const why = reason === undefined ? {} : { reason };
      return become({
        ...rest,
        ...kept,
        ...why,
        error,
        state: "up_for_retry",
        retries: retries + 1,
        due,
      });
    }
    case "none": {
      const { lost } = outcome;
      if (lost.length > 0 && (losses ?? 0) >= MAX_LOSSES) {
        const message = `Cannot read what ${lost.map((task) => `"${task}"`).join(", ")} put out: ` +
          `it was lost ${losses! + 1} times; is the disk in order?`;
        return fail({ name: "Error", message });
      }
      const reader: TaskRun = {
        ...rest,
        state: "none",
        ...lost.length > 0 ? { losses: (losses ?? 0) + 1 } : {},
        ...output === undefined ? {} : { output },
      };
      const writers = places(dag, run).filter(({ task, index, at }) =>
        lost.includes(nameOf(task.id, index)) && at.state === "success"
      );
      return [
        ...become(reader),
        ...writers.map(({ task, index, at }) => change({ task: task.id, index }, anew(at))),
      ];
    }
  }
}

/** What becomes of a task, or an instance, whose attempt begins. */
export function begin(
  { ended: _, error: __, reason: ___, due: ____, ...task }: TaskRun,
  now: Temporal.Instant,
): TaskRun {
  const started = now.toString();
  return { first: started, ...task, state: "running", attempt: task.attempt + 1, started };
}

/** What the death of the process that ran it makes of a run: what was running is lost, and begins anew. */
export function recover(dag: AnyDag, run: Run, now: Temporal.Instant): Event[] {
  const change = changer(run, now);
  return places(dag, run).flatMap(({ task, index, at }) => {
    if (at.state !== "running") return [];
    const { stream: _, ...rest } = at;
    const crashes = (at.crashes ?? 0) + 1;
    if (crashes > MAX_CRASHES) {
      const message =
        `Cannot finish task "${task.id}": the process that ran it died ${crashes} times`;
      const error = { name: "Error", message };
      const ended = now.toString();
      return [
        change({ task: task.id, index }, {
          ...rest,
          state: "failed",
          reason: "lost",
          error,
          ended,
        }),
      ];
    }
    return [change({ task: task.id, index }, { ...rest, state: "none", reason: "lost", crashes })];
  });
}

/** A task of a run as it stands, or an instance of a mapped one. */
export function at(run: Run, { task, index }: TaskPlace): TaskRun {
  if (index === undefined) return run.tasks[task] ?? UNTOUCHED;
  return run.mapped[task]?.[index] ?? UNTOUCHED;
}

function changer(run: Run, now: Temporal.Instant): (place: TaskPlace, to: TaskRun) => Event {
  const base = { type: "task_changed", run: run.id, at: now.toString() } as const;
  return ({ task, index }, to) => {
    return { ...base, task, ...index === undefined ? {} : { index }, to };
  };
}

/** Puts back the finished readers of a stream. */
function again(
  dag: AnyDag,
  run: Run,
  writer: TaskPlace,
  change: (place: TaskPlace, to: TaskRun) => Event,
): Event[] {
  return places(dag, run)
    .filter(({ task, index, at }) =>
      task.reads.includes(writer.task) && isDone(at.state) &&
      (writer.index === undefined || index === writer.index)
    )
    .map(({ task, index, at }) => change({ task: task.id, index }, anew(at)));
}

/** Not begun, but what was put out is remembered, to be compared. */
function anew({ attempt, retries, output }: TaskRun): TaskRun {
  return { state: "none", attempt, retries, ...output === undefined ? {} : { output } };
}

/** What is wrong with what a branch chose, if anything. */
function strangersOf(dag: AnyDag, id: string, output: Json): string | undefined {
  const children = shapeOf(dag).downstream.get(id)!;
  const chosen = Array.isArray(output) ? output : [output];
  const strangers = chosen.filter((child) => !children.includes(child as string));
  if (strangers.length === 0) return undefined;
  const known = children.map((child) => `"${child}"`).join(", ");
  return `Cannot follow ${
    strangers.map((child) => JSON.stringify(child)).join(", ")
  } from branch ` +
    `"${id}": ${known ? `directly after it come ${known}` : "nothing comes directly after it"}`;
}

/**
 * How many milliseconds a task rests that failed. Exponential: after the nth failure a wait in [m, 2m) with
 * m = base · factor^(n-1), by chance, but the same chance for the same attempt.
 */
function delayOf(
  task: Task<unknown>,
  index: number | undefined,
  run: Run,
  { attempt, retries }: TaskRun,
): number {
  const { retryDelay = RETRY_DELAY, backoff = "fixed", backoffFactor = 2, maxRetryDelay } =
    task.options;
  const relativeTo = Temporal.ZonedDateTime.from(run.interval.start);
  const ms = (duration: Temporal.DurationLike): number =>
    Math.ceil(Temporal.Duration.from(duration).total({ unit: "milliseconds", relativeTo }));
  const cap = maxRetryDelay === undefined ? Infinity : ms(maxRetryDelay);
  if (backoff === "fixed") return Math.min(cap, ms(retryDelay));
  const least = ms(retryDelay) * backoffFactor ** retries;
  const wait = least * (1 + chance(`${run.id}/${nameOf(task.id, index)}/${attempt}`));
  return Math.min(cap, Number.MAX_SAFE_INTEGER, Math.floor(wait));
}

/** A number in [0, 1) that a text always gives: FNV-1a, its bits mixed. */
function chance(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35);
  return ((hash ^ hash >>> 16) >>> 0) / 2 ** 32;
}

function later(moment: Temporal.Instant, by: Temporal.DurationLike): Temporal.Instant {
  return moment.toZonedDateTimeISO("UTC").add(by).toInstant();
}

function sha256(output: Json): unknown {
  return typeof output === "object" && output !== null && "sha256" in output && output.sha256;
}
