import {
  anything,
  callable,
  checkOptions,
  duration,
  oneOf,
  type Rules,
  TASK_RULES,
  whole,
} from "./_task_options.ts";
import type { Dataset } from "./dataset.ts";
import { Graph } from "./graph.ts";
import { checkId, Group, type Roster } from "./group.ts";
import { checkOptionNames } from "./option_names.ts";
import { checkParams } from "./params.ts";
import type { Run } from "./state.ts";
import type { Task, TaskOptions } from "./task.ts";
import { type Webhook, WEBHOOK_OPTIONS } from "./webhook.ts";
import type { Interval, Params } from "./work.ts";

export { checkId } from "./group.ts";
export { Task } from "./task.ts";
export type { AnyWork, TaskOptions, When } from "./task.ts";

/**
 * When a DAG runs: a cron expression, a name like `@daily`, a duration, or a function from one interval's end to the next;
 * or datasets: when all of them were written since its last run.
 */
export type Schedule =
  | string
  | Temporal.DurationLike
  | ((after: Temporal.ZonedDateTime) => Interval | undefined)
  | Dataset
  | readonly Dataset[];

/** What a callback of a DAG is told. */
export interface RunEvent {
  /** As it is now. */
  readonly run: Run;
}

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
  /**
   * Makes up for the runs missed between `start` and now, and while it was paused or nothing ran: `all` of them (`true`), the
   * `latest` (`false`), or `none`.
   *
   * @default {false}
   */
  catchup?: boolean | "all" | "latest" | "none";
  /** Makes up for no run whose interval ended longer ago. @default {none is too old} */
  catchupWindow?: Temporal.DurationLike;
  /** How many runs may be under way at once. @default {16} */
  maxActiveRuns?: number;
  /** What a trigger may set: by its default, by {@linkcode param}, or by a schema of Zod and the like. */
  params?: P;
  /** Options every task starts from. */
  defaults?: Omit<TaskOptions, "after" | "setup" | "teardown" | "failsRun">;
  /** How long a run may take until it fails and its tasks are aborted. @default {as long as it needs} */
  timeout?: Temporal.DurationLike;
  /** How long after it was due a run should have ended; `onDeadline` is told when it has not. */
  deadline?: Temporal.DurationLike;
  /** Told of a run that missed its deadline, and goes on. */
  onDeadline?: (event: RunEvent) => void | Promise<void>;
  /** Told of a run that ended well. */
  onSuccess?: (event: RunEvent) => void | Promise<void>;
  /** Told of a run that failed. */
  onFailure?: (event: RunEvent) => void | Promise<void>;
  /** Whether a run fails by its last tasks alone, or by any task. @default {"leaf"} */
  failWhen?: "leaf" | "any";
  /** Words to find it by. */
  tags?: readonly string[];
  /** What it is for. */
  description?: string;
  /** Lets other programs trigger it. */
  webhook?: Webhook<P>;
  /** Whether it waits to be unpaused when it is first seen. @default {as the engine says} */
  paused?: boolean;
}

/** What the options of a DAG must be. */
const DAG_RULES: Rules = {
  schedule(value) {
    const isDataset = (one: unknown): boolean => typeof (one as Dataset | null)?.name === "string";
    const isFine = !Array.isArray(value) || value.length > 0 && value.every(isDataset);
    return isFine ? undefined : "a list is one of datasets";
  },
  start: anything,
  end: anything,
  timezone: anything,
  mode: oneOf("interval", "trigger"),
  catchup: oneOf(true, false, "all", "latest", "none"),
  catchupWindow: duration(1),
  maxActiveRuns: whole(1),
  params: anything,
  defaults: anything,
  timeout: duration(1),
  deadline: duration(1),
  failWhen: oneOf("leaf", "any"),
  tags: anything,
  description: anything,
  webhook: anything,
  paused: anything,
  onSuccess: callable,
  onFailure: callable,
  onDeadline: callable,
} satisfies Record<keyof DagOptions<unknown>, Rules[string]>;

/** Tasks, their order, and a schedule. */
export class Dag<P = Params> extends Group<P> {
  /** Unique within an engine. */
  readonly id: string;
  /** Its schedule, its params and how its runs are run. */
  readonly options: DagOptions<P>;
  readonly #graph: Graph<Task<unknown>>;

  /** Made by {@linkcode dag}. */
  constructor(id: string, options: DagOptions<P> = {}) {
    checkId(id, "DAG");
    checkOptions(`"${id}"`, options, DAG_RULES);
    checkOptions(`the defaults of "${id}"`, options.defaults ?? {}, TASK_RULES);
    const { webhook } = options;
    if (webhook) checkOptionNames(`the webhook of "${id}"`, webhook, WEBHOOK_OPTIONS);
    checkParams({ id, options });
    const graph = new Graph<Task<unknown>>();
    const roster: Roster = { id, options, graph, groups: new Map() };
    super(roster);
    this.id = id;
    this.options = options;
    this.#graph = graph;
  }

  /** The tasks by id, upstream ones before those that follow them. */
  get tasks(): ReadonlyMap<string, Task<unknown>> {
    return this.#graph.nodes;
  }
}

/** A DAG of any params, for where they do not matter. */
// deno-lint-ignore no-explicit-any
export type AnyDag = Dag<any>;

/** Those who want to know. */
const listeners = new Set<(dag: AnyDag) => void>();

/** Tells of each DAG that is made, until disposed of: who loads modules finds those that no module exports. */
export function onMade(listener: (dag: AnyDag) => void): Disposable {
  listeners.add(listener);
  return { [Symbol.dispose]: () => void listeners.delete(listener) };
}

/**
 * Begins a DAG.
 *
 * ```ts
 * const taxi = dag("yellow_taxi", {
 *   schedule: "0 6 2 * *",
 *   start: "2021-01-01",
 *   catchup: true,
 *   params: { base: "https://example.com" },
 *   defaults: { retries: 3, retryDelay: { seconds: 10 } },
 * });
 * ```
 *
 * @throws {TypeError} naming the option that cannot be used
 */
export function dag<P = Params>(id: string, options: DagOptions<P> = {}): Dag<P> {
  const made = new Dag(id, options);
  for (const listener of listeners) listener(made);
  return made;
}
