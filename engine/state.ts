import type { Json } from "./json.ts";
import type { Reading } from "./meter.ts";

/** Where a run stands. */
export type RunState = "queued" | "running" | "success" | "failed";

/** Where a task of a run stands. */
export type TaskState =
  | "none"
  | "scheduled"
  | "queued"
  | "running"
  | "success"
  | "failed"
  | "skipped"
  | "upstream_failed"
  | "up_for_retry"
  | "up_for_reschedule"
  | "removed";

/** What made a run. */
export type RunKind = "scheduled" | "manual" | "backfill" | "webhook" | "dataset";

/** An error as it is kept. */
export interface Failure {
  /** The class of the error. */
  readonly name: string;
  /** What is to be read. */
  readonly message: string;
  /** Where it was thrown. */
  readonly stack?: string;
  /** What it came from. */
  readonly cause?: Failure;
}

/** What stands in the spool for a task whose output is a byte stream. */
export interface StreamState {
  /** Names the source; null for a stream that has no key. */
  readonly key: string | null;
  /** Tells its versions apart; null when nothing does. */
  readonly validator: string | null;
  /** How many bytes there were when this was written down. */
  readonly bytes: number;
  /** Whether that is all of them. */
  readonly whole: boolean;
}

/** A task of a run. Moments are ISO strings in UTC. */
export interface TaskRun {
  /** Where it stands. */
  readonly state: TaskState;
  /** How many attempts have begun; it only grows. */
  readonly attempt: number;
  /** How many of its retries are used up. */
  readonly retries: number;
  /** How often it began anew because what it read was lost. */
  readonly losses?: number;
  /** When the last attempt began. */
  readonly started?: string;
  /** When it ended. */
  readonly ended?: string;
  /** When the next attempt is due. */
  readonly due?: string;
  /** What there is of its stream, once that has begun. */
  readonly stream?: StreamState;
  /** What it put out, once it has succeeded. */
  readonly output?: Json;
  /** Why the last attempt failed. */
  readonly error?: Failure;
  /** Why it is in this state, when that is not plain. */
  readonly reason?: string;
  /** What stood on the meters when the last attempt ended. */
  readonly readings?: readonly Reading[];
}

/** One run of a DAG. Moments are ISO strings in UTC; those of the interval carry the DAG's zone. */
export interface Run {
  /** Unique among all runs, e.g. `manual__20210102T060000Z`. */
  readonly id: string;
  /** The id of its DAG. */
  readonly dag: string;
  /** What made it. */
  readonly kind: RunKind;
  /** How many events made it. */
  readonly version: number;
  /** Where it stands. */
  readonly state: RunState;
  /** Why it is in this state, when that is not plain. */
  readonly reason?: string;
  /** The slice of time it is for. */
  readonly interval: { readonly start: string; readonly end: string };
  /** Where its interval starts. */
  readonly logicalDate: string;
  /** What its tasks are given. */
  readonly params: Readonly<Record<string, Json>>;
  /** When it was made. */
  readonly created: string;
  /** When it was let in. */
  readonly started?: string;
  /** When it was over. */
  readonly ended?: string;
  /** Its tasks by id. */
  readonly tasks: Readonly<Record<string, TaskRun>>;
}

/** Something that happened to a run, as JSON. */
export type Event =
  | {
    readonly type: "run_created";
    readonly run: string;
    readonly at: string;
    readonly dag: string;
    readonly kind: RunKind;
    readonly interval: { readonly start: string; readonly end: string };
    readonly logicalDate: string;
    readonly params: Readonly<Record<string, Json>>;
    /** The ids of its tasks. */
    readonly tasks: readonly string[];
  }
  | {
    readonly type: "run_changed";
    readonly run: string;
    readonly at: string;
    readonly to: RunState;
    readonly reason?: string;
  }
  | {
    readonly type: "task_changed";
    readonly run: string;
    readonly at: string;
    readonly task: string;
    readonly to: TaskRun;
  };

/** Whether nothing can happen to a run any more. */
export function isOver(run: Run): boolean {
  return run.state === "success" || run.state === "failed";
}

/** Whether a task has ended. */
export function isDone(state: TaskState): boolean {
  return state === "success" || state === "failed" || state === "skipped" ||
    state === "upstream_failed" || state === "removed";
}

/** What an event makes of a run. @throws {TypeError} when the event does not fit the run */
export function reduce(run: Run | undefined, event: Event): Run {
  if (event.type === "run_created") {
    if (run) throw new TypeError(`Cannot create run "${event.run}": there is one of that id`);
    const { type: _, run: id, at, tasks, ...rest } = event;
    const none: TaskRun = { state: "none", attempt: 0, retries: 0 };
    return {
      ...rest,
      id,
      version: 1,
      state: "queued",
      created: at,
      tasks: Object.fromEntries(tasks.map((task) => [task, none])),
    };
  }
  if (run?.id !== event.run) {
    throw new TypeError(`Cannot change run "${event.run}": it is not there, or another one is`);
  }
  const version = run.version + 1;
  if (event.type === "task_changed") {
    if (!Object.hasOwn(run.tasks, event.task)) {
      throw new TypeError(
        `Cannot change task "${event.task}": run "${run.id}" has none of that id`,
      );
    }
    return { ...run, version, tasks: { ...run.tasks, [event.task]: event.to } };
  }
  const { reason: _, ended: __, ...rest } = run;
  const changed: Run = {
    ...rest,
    version,
    state: event.to,
    ...event.reason === undefined ? {} : { reason: event.reason },
    ...event.to === "running" && !run.started ? { started: event.at } : {},
  };
  return isOver(changed) ? { ...changed, ended: event.at } : changed;
}

/** An error as it can be kept, its causes with it. */
export function toFailure(error: unknown, depth = 8): Failure {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  return {
    name: error.name,
    message: error.message,
    ...error.stack === undefined ? {} : { stack: error.stack },
    ...error.cause === undefined || depth === 0 ? {} : { cause: toFailure(error.cause, depth - 1) },
  };
}
