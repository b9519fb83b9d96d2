import { Ref } from "./ref.ts";
import type { Context, Interval, Params, Work } from "./work.ts";

/**
 * When a DAG runs: a cron expression, a name like `@daily`, a duration, or a function from one interval's end to the next.
 */
export type Schedule =
  | string
  | Temporal.DurationLike
  | ((after: Temporal.ZonedDateTime) => Interval | undefined);

/** Options for {@linkcode dag}. */
export interface DagOptions<P> {
  /** Without one, the DAG runs only when triggered. */
  schedule?: Schedule;
  /** The first moment the schedule counts from: a date, or a date with a time and zone. */
  start?: string;
  /** The last one, inclusive; a date means that whole day. */
  end?: string;
  /** The zone in which the schedule is read. @default {"UTC"} */
  timezone?: string;
  /**
   * In mode `interval` a run is for the time between two ticks, and belongs to the first; in mode `trigger` it belongs to
   * the second. It starts at the second in both.
   *
   * @default {"interval"}
   */
  mode?: "interval" | "trigger";
  /** Makes up for the runs missed between `start` and now. @default {false} */
  catchup?: boolean | "all" | "latest" | "none";
  /** How many runs may be under way at once. @default {16} */
  maxActiveRuns?: number;
  /** What a trigger may set, and the values when it does not. */
  params?: P;
  /** Options every task starts from. */
  defaults?: TaskOptions;
}

/** Which upstream states let a task start. */
export type When =
  | "all_success"
  | "all_failed"
  | "all_done"
  | "all_done_min_one_success"
  | "all_skipped"
  | "one_success"
  | "one_failed"
  | "one_done"
  | "none_failed"
  | "none_failed_min_one_success"
  | "none_skipped"
  | "always";

/** How a task is run. */
export interface TaskOptions {
  /** Tasks to wait for whose output is not read. */
  after?: Ref<unknown> | readonly Ref<unknown>[];
  /** What must have come of the upstream tasks. @default {"all_success"} */
  when?: When;
  /** How often a failed task is tried again. @default {0} */
  retries?: number;
  /** The wait before it is. @default {{ minutes: 5 }} */
  retryDelay?: Temporal.DurationLike;
  /** How long one attempt may take. */
  timeout?: Temporal.DurationLike;
  /** The pool whose slots it takes. @default {"default"} */
  pool?: string;
}

/** Work as a DAG keeps it: what it takes and gives was checked when the task was added. */
// deno-lint-ignore no-explicit-any
export type AnyWork = Work<any, void, any>;

const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/;

/** Refuses what cannot be an id. @throws {TypeError} naming it and what it is for */
export function checkId(id: string, what: string): void {
  if (ID.test(id)) return;
  throw new TypeError(
    `Cannot name a ${what} ${
      JSON.stringify(id)
    }: ids start with a letter or digit and go on with ` +
      `letters, digits, "_", "." and "-", 200 at most`,
  );
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
  /** The tasks it comes after: those it reads, and those it was told to wait for. */
  readonly upstream: readonly string[];

  /** Made by {@linkcode Dag.task}. */
  constructor(id: string, work: AnyWork, options: TaskOptions) {
    super([id], (scope) => scope.output(id) as O);
    this.id = id;
    this.work = work;
    this.options = options;
    const read = work.steps.flatMap((step) => Object.values(step.inputs))
      .filter((input) => input instanceof Ref);
    const after = [options.after ?? []].flat() as Ref<unknown>[];
    this.reads = [...new Set(read.flatMap((ref) => ref.ids))];
    this.upstream = [...new Set([...read, ...after].flatMap((ref) => ref.ids))];
  }
}

/** Tasks, their order, and a schedule. */
export class Dag<P = Params> {
  /** Unique within an engine. */
  readonly id: string;
  /** Its schedule, its params and how its runs are run. */
  readonly options: DagOptions<P>;
  readonly #tasks: Map<string, Task<unknown>> = new Map();

  /** Made by {@linkcode dag}. */
  constructor(id: string, options: DagOptions<P> = {}) {
    checkId(id, "DAG");
    this.id = id;
    this.options = options;
  }

  /** The tasks by id, upstream ones before those that follow them. */
  get tasks(): ReadonlyMap<string, Task<unknown>> {
    return this.#tasks;
  }

  /** Adds a task. What its options and `pipe` read of other tasks becomes its edges. */
  task<O>(
    id: string,
    work: Work<O, void, Context<P>> | ((ctx: Context<P>) => O | Promise<O>),
    options: TaskOptions = {},
  ): Task<O> {
    checkId(id, "task");
    const node: AnyWork = typeof work === "function"
      ? {
        steps: [{ name: work.name || "function", inputs: {} }],
        run: async (_, ctx) => await work(ctx),
      }
      : work;
    const task = new Task<O>(id, node, { ...this.options.defaults, ...options });
    if (this.#tasks.has(id)) {
      throw new TypeError(`Cannot add task "${id}" to "${this.id}": the id is taken`);
    }
    for (const upstream of task.upstream) {
      if (!this.#tasks.has(upstream)) {
        throw new TypeError(
          `Cannot add task "${id}" to "${this.id}": upstream "${upstream}" is not in it`,
        );
      }
    }
    this.#tasks.set(id, task);
    return task;
  }
}

/** Begins a DAG. */
export function dag<P = Params>(id: string, options: DagOptions<P> = {}): Dag<P> {
  return new Dag(id, options);
}
