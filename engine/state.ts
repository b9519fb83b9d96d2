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
  /** How many bytes there were when this was written down … */
  readonly bytes: number;
  /** … and how many there will be, where that was known before they were whole. */
  readonly length?: number;
  /** Whether that is all of them. */
  readonly whole: boolean;
  /** True when nothing told where they end: had it broken off, what came would look whole. */
  readonly unverified?: boolean;
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
  /** How often it began anew because the process that ran it died. */
  readonly crashes?: number;
  /** Whether it is to take nothing from the spool that was kept of an earlier attempt or run. */
  readonly fresh?: true;
  /** When the first attempt began since it was last cleared; a sensor's timeout counts from there. */
  readonly first?: string;
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

/** A dataset that was written, which is why a run was made. */
export interface Cause {
  /** The name of the dataset. */
  readonly dataset: string;
  /** The id of the DAG that wrote it. */
  readonly dag: string;
  /** The run that did; of several, the last one. */
  readonly run: string;
  /** The task of that. */
  readonly task: string;
  /** When: an ISO string in UTC. */
  readonly at: string;
  /** The number of the event by which that is known. */
  readonly seq: number;
  /** The slice of time that what was written is for; of several runs, from the first of theirs to the last. */
  readonly interval: { readonly start: string; readonly end: string };
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
  /** When it was due: the end of its interval, or when it was triggered. */
  readonly runAfter: string;
  /** The version of its DAG's definition; absent where nobody tells versions apart. */
  readonly hash?: string;
  /** The backfill that made it, how many runs of that one may be under way at once, and whether the latest go first. */
  readonly backfill?: {
    readonly id: string;
    readonly maxActiveRuns: number;
    readonly reverse?: boolean;
  };
  /** What was written before it was made, when its DAG is scheduled on datasets. */
  readonly causes?: readonly Cause[];
  /** How often it was cleared. */
  readonly cleared: number;
  /** When its deadline was missed. */
  readonly late?: string;
  /** How it was told to end: what has not begun is skipped, what runs is stopped, its teardowns still run. */
  readonly ending?: Ending;
  /** When it was made. */
  readonly created: string;
  /** When it was let in. */
  readonly started?: string;
  /** When it was over. */
  readonly ended?: string;
  /** Its tasks by id; of a mapped task, all of its instances as one. */
  readonly tasks: Readonly<Record<string, TaskRun>>;
  /** The instances of mapped tasks, by id, once it is known how many there are. */
  readonly mapped: Readonly<Record<string, readonly TaskRun[]>>;
}

/** How a run ends before all of it was done, and why. */
export interface Ending {
  /** What becomes of it. */
  readonly to: "success" | "failed";
  /** E.g. `cancelled`, `timeout`, `marked`. */
  readonly reason: string;
}

/** What all events have. */
export interface Happening {
  /** The id of the run. */
  readonly run: string;
  /** When: an ISO string in UTC. */
  readonly at: string;
}

/** What a run is when it is made. */
export type Founding = Pick<
  Run,
  | "dag"
  | "kind"
  | "interval"
  | "logicalDate"
  | "params"
  | "runAfter"
  | "hash"
  | "backfill"
  | "causes"
>;

/** Something that happened to a run, as JSON. */
export type Event =
  | Happening & Founding & {
    readonly type: "run_created";
    /** The ids of its tasks. */
    readonly tasks: readonly string[];
  }
  | Happening & {
    readonly type: "run_changed";
    readonly to: RunState;
    readonly reason?: string;
  }
  /** It is to end; its end is another event. */
  | Happening & Ending & { readonly type: "run_ending" }
  /** It is to go on, since tasks of it were cleared. */
  | Happening & { readonly type: "run_cleared" }
  /** It took longer than its DAG's deadline. */
  | Happening & { readonly type: "run_late" }
  /** It goes on with another version of its DAG: tasks that are not in it any more are removed, new ones come in. */
  | Happening & {
    readonly type: "run_adopted";
    readonly hash?: string;
    readonly tasks: readonly string[];
  }
  | Happening & {
    readonly type: "task_changed";
    readonly task: string;
    /** Which instance of a mapped task. */
    readonly index?: number;
    readonly to: TaskRun;
  }
  /** A mapped task has so many instances; undefined when that is not known any more. */
  | Happening & {
    readonly type: "task_mapped";
    readonly task: string;
    readonly count?: number;
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

/** A task that has not begun. */
export const UNTOUCHED: TaskRun = { state: "none", attempt: 0, retries: 0 };

/** What an event makes of a run. @throws {TypeError} when the event does not fit the run */
export function reduce(run: Run | undefined, event: Event): Run {
  return reduceAll(run, [event])!;
}

/**
 * What events make of a run, one after the other.
 *
 * @param own the parts of the run that nobody else has: they are changed, and need not be copied first. What is copied is
 * added, for who goes on from there and shows nobody the run in between
 * @throws {TypeError} when an event does not fit the run
 */
export function reduceAll(
  run: Run | undefined,
  events: readonly Event[],
  own: Set<object> = new Set(),
): Run | undefined {
  let next: Draft | undefined = run && { ...run };
  /** A part of the run that may be changed, since nobody else has it: copied once for all events. */
  function edit<T extends object>(part: T, copy: (part: T) => T): T {
    if (own.has(part)) return part;
    const mine = copy(part);
    own.add(mine);
    return mine;
  }
  for (const event of events) {
    if (event.type === "run_created") {
      if (next) throw new TypeError(`Cannot create run "${event.run}": there is one of that id`);
      next = create(event);
      continue;
    }
    if (next?.id !== event.run) {
      throw new TypeError(`Cannot change run "${event.run}": it is not there, or another one is`);
    }
    next.version++;
    switch (event.type) {
      case "run_changed":
        change(next, event);
        break;
      case "run_cleared":
        next.state = "queued";
        next.cleared++;
        for (const key of ["reason", "started", "ended", "late", "ending"] as const) {
          delete next[key];
        }
        break;
      case "run_ending":
        next.ending = { to: event.to, reason: event.reason };
        break;
      case "run_late":
        next.late = event.at;
        break;
      case "run_adopted":
        adopt(next, event);
        break;
      case "task_changed": {
        const { task, index, to } = event;
        if (!Object.hasOwn(next.tasks, task)) throw unknown(event.run, task);
        if (index === undefined) {
          next.tasks = edit(next.tasks, (tasks) => ({ ...tasks }));
          next.tasks[task] = to;
          break;
        }
        const known = next.mapped[task];
        if (!known?.[index]) throw unknown(event.run, `${task}[${index}]`);
        next.mapped = edit(next.mapped, (mapped) => ({ ...mapped }));
        const mine = edit(known as TaskRun[], (known) => [...known]);
        mine[index] = to;
        next.mapped[task] = mine;
        break;
      }
      case "task_mapped": {
        const { task, count } = event;
        if (!Object.hasOwn(next.tasks, task)) throw unknown(event.run, task);
        next.mapped = edit(next.mapped, (mapped) => ({ ...mapped }));
        if (count === undefined) delete next.mapped[task];
        else {
          const made = instances(count, next.tasks[task]!);
          own.add(made);
          next.mapped[task] = made;
        }
        break;
      }
    }
  }
  return next;
}

/** Instances that have not begun, of a mapped task that may have had others before: attempts are counted on. */
export function instances(count: number, { attempt }: TaskRun): TaskRun[] {
  const one = attempt === 0 ? UNTOUCHED : { ...UNTOUCHED, attempt };
  return Array.from({ length: count }, () => one);
}

/** A run on its way from one version to a later one. */
type Draft = Omit<{ -readonly [K in keyof Run]: Run[K] }, "tasks" | "mapped"> & {
  tasks: Record<string, TaskRun>;
  mapped: Record<string, readonly TaskRun[]>;
};

function create({ type: _, run: id, at, tasks, ...rest }: Event & { type: "run_created" }): Draft {
  return {
    ...rest,
    id,
    version: 1,
    state: "queued",
    cleared: 0,
    created: at,
    tasks: Object.fromEntries(tasks.map((task) => [task, UNTOUCHED])),
    mapped: {},
  };
}

function change(run: Draft, { to, at, reason }: Event & { type: "run_changed" }): void {
  run.state = to;
  delete run.reason;
  delete run.ended;
  if (reason !== undefined) run.reason = reason;
  if (to === "running" && !run.started) run.started = at;
  if (to === "success" || to === "failed") {
    run.ended = at;
    delete run.ending;
  }
}

function adopt(run: Draft, { hash, tasks }: Event & { type: "run_adopted" }): void {
  if (hash === undefined) delete run.hash;
  else run.hash = hash;
  const removed = Object.entries(run.tasks).filter(([id]) => !tasks.includes(id))
    .map(([id, task]) => [id, isDone(task.state) ? task : { ...task, state: "removed" as const }]);
  const kept = tasks.map((id) => {
    const task = run.tasks[id];
    return [id, !task || task.state === "removed" ? UNTOUCHED : task];
  });
  run.tasks = Object.fromEntries([...kept, ...removed]);
  const mapped = Object.entries(run.mapped).filter(([id]) => tasks.includes(id));
  run.mapped = Object.fromEntries(mapped);
}

function unknown(run: string, task: string): TypeError {
  return new TypeError(`Cannot change task "${task}": run "${run}" has none of that id`);
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
