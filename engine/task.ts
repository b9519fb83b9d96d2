import type { Dataset } from "./dataset.ts";
import type { Graph } from "./graph.ts";
import { Ref } from "./ref.ts";
import type { Failure, Run } from "./state.ts";
import type { Step, Work } from "./work.ts";

/** The trigger rules: which states of the tasks directly before it let a task start. */
export const WHENS = [
  "all_success",
  "all_failed",
  "all_done",
  "all_done_min_one_success",
  "all_skipped",
  "one_success",
  "one_failed",
  "one_done",
  "none_failed",
  "none_failed_min_one_success",
  "none_skipped",
  "always",
] as const;

/** A trigger rule. */
export type When = typeof WHENS[number];

/** What a callback of a task is told. */
export interface TaskEvent {
  /** As it is now. */
  readonly run: Run;
  /** The id of the task. */
  readonly task: string;
  /** Which instance of a mapped task. */
  readonly index?: number;
  /** Which attempt it was. */
  readonly attempt: number;
  /** Why it failed. */
  readonly error?: Failure;
}

/** Tasks that others can be put behind and before as if they were one: a group. */
export interface Tasks {
  /** Those of them that come after none of them. */
  roots(): readonly Task<unknown>[];
  /** Those of them that none of them comes after, teardowns aside. */
  leaves(): readonly Task<unknown>[];
}

/** What a task can be put behind. */
export type Upstream = Ref<unknown> | Tasks;

/** How a task is run. */
export interface TaskOptions {
  /** Tasks and groups to wait for whose output is not read. */
  after?: Upstream | readonly Upstream[];
  /** What must have come of the upstream tasks. @default {"all_success"} */
  when?: When;
  /** How often a failed task is tried again. @default {0} */
  retries?: number;
  /** The wait before it is. @default {{ minutes: 5 }} */
  retryDelay?: Temporal.DurationLike;
  /**
   * Whether each wait is that long, or longer than the last by `backoffFactor`, with up to as much again at random so that
   * many tasks do not come back at once.
   *
   * @default {"fixed"}
   */
  backoff?: "fixed" | "exponential";
  /** How much longer each wait is than the last. @default {2} */
  backoffFactor?: number;
  /** The longest wait. @default {none} */
  maxRetryDelay?: Temporal.DurationLike;
  /** Says by the error whether trying again can help. @default {it can, but for GiveUp} */
  retryOn?: (error: Failure) => "retry" | "fail";
  /** How long one attempt may take; a sensor, how long it may wait in all. */
  timeout?: Temporal.DurationLike;
  /** The pool whose slots it takes. @default {"default"} */
  pool?: string;
  /** How many of them. @default {1} */
  slots?: number;
  /** The greater, the sooner it gets them. @default {0} */
  priority?: number;
  /** Where its attempts are made, by the name of an executor. @default {"inProcess"} */
  executor?: string;
  /** Waits for the same task of the run before, or with `"run"` for the success of that whole run. @default {false} */
  dependsOnPast?: boolean | "run";
  /** Prepares something for the tasks behind it that a teardown puts away. @default {false} */
  setup?: boolean;
  /**
   * The setups whose work it undoes: it comes after them and runs if they succeeded, whatever became of the tasks between;
   * put it behind those by `after` or {@linkcode chain}.
   */
  teardown?: Ref<unknown> | readonly Ref<unknown>[];
  /** Whether a run fails by this teardown alone. @default {false} */
  failsRun?: boolean;
  /** How long a sensor rests before it asks again. @default {{ minutes: 1 }} */
  poke?: Temporal.DurationLike;
  /** The datasets it has written when it succeeds: DAGs scheduled on them run then. */
  writes?: readonly Dataset[];
  /** Told of its success. */
  onSuccess?: (event: TaskEvent) => void | Promise<void>;
  /** Told when it failed for good. */
  onFailure?: (event: TaskEvent) => void | Promise<void>;
  /** Told of an attempt that failed and will be tried again. */
  onRetry?: (event: TaskEvent) => void | Promise<void>;
}

/** Options of {@linkcode Group.each}. */
export interface EachOptions extends TaskOptions {
  /** How many instances may run at once in a run. @default {as many as pools allow} */
  limit?: number;
}

/** How a task is mapped over a list. */
export interface Each {
  /** The tasks that the list is read from. */
  readonly reads: readonly string[];
  /** The list; each element makes an instance. */
  readonly list: Ref<readonly unknown[]>;
  /** How many instances may run at once in a run. */
  readonly limit?: number;
  /** The mapped task whose instances it follows, index to index. */
  readonly over?: string;
}

/** Work as a DAG keeps it: what it takes and gives was checked when the task was added. */
// deno-lint-ignore no-explicit-any
export type AnyWork = Work<any, void, any>;

/** What a task is made of. */
export interface TaskParts {
  /** Unique within its DAG. */
  readonly id: string;
  /** What it does. */
  readonly work: AnyWork;
  /** How it is run. */
  readonly options: TaskOptions;
  /** The path of its group. */
  readonly group?: string;
  /** How it is mapped. */
  readonly each?: Each;
}

/** A node of a DAG; also stands for what the node will put out. */
export class Task<out O> extends Ref<O> {
  /** Unique within its DAG. */
  readonly id: string;
  /** What it does. */
  readonly work: AnyWork;
  /** How it is run, the DAG's defaults among it. */
  readonly options: TaskOptions;
  /** The tasks whose output it reads. */
  readonly reads: readonly string[];
  /** The setups it tears down. */
  readonly setups: readonly string[];
  /** The group it is in, by its path: `"extract.taxis"`. */
  readonly group?: string;
  /** How it is mapped, when it is. */
  readonly each?: Each;
  readonly #graph: Graph<Task<unknown>>;

  /** Made by {@linkcode Group.task} and {@linkcode Group.each}. */
  constructor(parts: TaskParts, graph: Graph<Task<unknown>>) {
    const { id, work, options, group, each } = parts;
    super([id], (scope) => scope.output(id) as O);
    this.id = id;
    this.work = work;
    this.options = options;
    if (group !== undefined) this.group = group;
    if (each) this.each = each;
    this.#graph = graph;
    const read = [...each ? [each.list] : [], ...readBy(work)];
    this.reads = [...new Set(read.flatMap((ref) => ref.ids))];
    this.setups = [...new Set(idsOf(options.teardown ?? []))];
  }

  /** The tasks it comes directly after: those it reads, and those it was told to wait for. */
  get upstream(): readonly string[] {
    return this.#graph.upstream(this.id);
  }

  /**
   * Puts it behind others as well, as the option `after` does.
   *
   * @throws {TypeError} when one is not of its DAG, or comes after it: that names the circle
   */
  after(...upstream: (Upstream | readonly Upstream[])[]): this {
    const ids = upstream.flatMap(idsOf);
    const stranger = strangerAmong(upstream.flat() as Upstream[], this.#graph);
    if (stranger !== undefined) {
      throw new TypeError(`Cannot put "${this.id}" behind "${stranger}": it is not in its DAG`);
    }
    this.#graph.follow(this.id, ids);
    return this;
  }
}

/** What an instance of a mapped task is for; has a meaning in that task's work alone. */
export class Item<out O> extends Ref<O> {
  /** The id of the mapped task. */
  readonly task: string;

  /** Made by {@linkcode Group.each}. */
  constructor(task: string, list: Ref<readonly O[]>) {
    super(list.ids, (scope) => {
      if (scope.item) return scope.item() as O;
      throw new TypeError(`Cannot read the item of task "${task}": no instance of it is at work`);
    });
    this.task = task;
  }
}

/** The references that a piece of work reads. */
export function readBy(work: AnyWork): Ref<unknown>[] {
  return work.steps.flatMap((step) => Object.values(step.inputs))
    .filter((input) => input instanceof Ref);
}

/** The functions a piece of work was given: as options, however deep, and what it is itself. */
export function functionsOf(work: AnyWork): Step["fn"][] {
  const found = new Set<unknown>(work.steps.flatMap(({ inputs, fn }) => [inputs, fn]));
  // A set grows under its own iteration.
  for (const value of found) {
    const isPlain = typeof value === "object" && value !== null &&
      (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype);
    if (isPlain) { for (const inner of Object.values(value)) found.add(inner); }
  }
  return [...found].filter((value) => typeof value === "function") as Step["fn"][];
}

/** The ids of what a task can be put behind. */
export function idsOf(upstream: Upstream | readonly Upstream[]): string[] {
  return ([upstream].flat() as Upstream[])
    .flatMap((one) => one instanceof Ref ? one.ids : one.leaves().map(({ id }) => id));
}

/** The first task that is read or waited for without being in a DAG: it may have one of the same id. */
export function strangerAmong(
  upstream: readonly Upstream[],
  graph: Graph<Task<unknown>>,
): string | undefined {
  const parts = upstream.flatMap((one) => one instanceof Ref ? one.parts : one.leaves());
  for (const part of parts) {
    const stranger = part instanceof Task
      ? graph.nodes.get(part.id) !== part && part.id
      : part.ids.find((id) => !graph.nodes.has(id));
    if (typeof stranger === "string") return stranger;
  }
  return undefined;
}
