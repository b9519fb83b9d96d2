import { fileURLToPath } from "node:url";
import type { Connections, LogLine } from "./_context.ts";
import { createRun, type Definition } from "./_create.ts";
import { type Sleep, sleep as onTimers } from "./_deadline.ts";
import { type Live, type UnderWay, underWay } from "./_live.ts";
import { Loop } from "./_loop.ts";
import {
  type Backfill,
  type BackfillOptions,
  type ClearOptions,
  interventions,
  type MarkOptions,
} from "./_interventions.ts";
import { type Preview, previews, type RenderedTask } from "./_previews.ts";
import { findDag } from "./_scheduled.ts";
import { Schedules } from "./_schedules.ts";
import { together } from "./_chores.ts";
import { chooseInterval, type TriggerOptions } from "./_trigger.ts";
import { checkLimits, POOLS } from "./check_limits.ts";
import type { Instance } from "./clear.ts";
import type { AnyDag, Dag } from "./dag.ts";
import { type Statuses, statuses } from "./dag_status.ts";
import { type Executor, inProcess } from "./executor.ts";
import type { LogFiles } from "./log_files.ts";
import type { Mark } from "./mark.ts";
import type { Reading } from "./meter.ts";
import { resolveParams } from "./params.ts";
import { rejectFiles } from "./reject_files.ts";
import { DailyRetention } from "./retention.ts";
import { recover } from "./settle.ts";
import { openSpool, type SpoolOptions, unfinished } from "./spool.ts";
import { type Event, isOver, type Run } from "./state.ts";
import { memory, type RunQuery, type Store } from "./store.ts";
import type { Network } from "./work.ts";

/** Options for {@linkcode engine}. */
export interface EngineOptions {
  /** What it can run; a version beside each lets runs in flight keep theirs. */
  readonly dags: readonly (AnyDag | Definition)[];
  /** The folder in which streams between tasks are kept. @default {one that is removed at the end} */
  readonly home?: string | URL;
  /**
   * Keeps what happened. What is not over when the engine is disposed of, or dies, goes on with the next engine on the
   * same store.
   *
   * @default {memory()}, and what is not over at the end is cancelled
   */
  readonly store?: Store;
  /** Keeps what attempts have to say. @default {nobody does} */
  readonly logs?: LogFiles;
  /**
   * How long runs that are over are kept, and their logs. It forgets them once it is started, and then once a day.
   *
   * @default {for ever}
   */
  readonly retention?: Temporal.DurationLike;
  /** Takes the lines that attempts have to say, as they come. @default {nobody does} */
  readonly log?: (line: LogLine) => void;
  /** Where tasks can connect to, by name. @default {{}} */
  readonly connections?: Connections;
  /** Where requests of tasks may go; say "public" where others may trigger runs. @default {"any"} */
  readonly network?: Network;
  /** Where attempts are made, by the name that tasks call them. @default {{ inProcess: inProcess() }} */
  readonly executors?: Readonly<Record<string, Executor>>;
  /** How much the spool may hold, and what it leaves free. */
  readonly spool?: Pick<SpoolOptions, "cap" | "keepFree">;
  /** How many slots each pool has; `default` has 32 unless it is said here. */
  readonly pools?: Readonly<Record<string, number>>;
  /** How many runs may be under way at once, of all DAGs together. @default {any number} */
  readonly maxActiveRuns?: number;
  /** Whether a DAG that is new starts out paused, unless it says so itself. @default {false} */
  readonly startPaused?: boolean;
  /** Whether a paused DAG's runs wait. @default {true} */
  readonly obeyPauses?: boolean;
  /** Whether it goes on with what is not over in its store. @default {true} */
  readonly resume?: boolean;
  /** Told what went wrong that is no task's fault, e.g. a DAG's runs that could not be made. @default {nobody is} */
  readonly onError?: (error: unknown) => void;
  /** The time. @default {the system's} */
  readonly now?: () => Temporal.Instant;
  /** Milliseconds of a clock that never goes back. @default {the system's} */
  readonly clock?: () => number;
  /** Waits for so many of them. @default {on the system's timers} */
  readonly sleep?: Sleep;
}

/** A run that was triggered. */
export interface RunHandle {
  /** Of the run. */
  readonly id: string;
  /** Resolves with the run when it is over, however it ended; rejects when the engine is closed before. */
  readonly done: Promise<Run>;
}

/** Runs DAGs. Disposing of it stops all that is under way. */
export interface Engine extends Statuses, AsyncDisposable {
  /** The DAGs it knows, by id. */
  readonly dags: ReadonlyMap<string, AnyDag>;
  /** Begins to make the runs that schedules ask for. Without it, only what is triggered runs. */
  start(): Promise<void>;
  /**
   * Takes these DAGs instead of those before; runs under way keep the version they began with.
   *
   * @throws {TypeError} when one of them cannot be taken, changing nothing
   */
  replace(dags: readonly (AnyDag | Definition)[]): Promise<void>;
  /**
   * Makes a run, which starts as soon as the DAG's `maxActiveRuns` lets it.
   *
   * @throws {TypeError} when there is no such DAG, or a param or the date does not fit it
   * @throws {RangeError} when no run is for that date, or several are
   */
  trigger<P>(dag: Dag<P> | string, options?: TriggerOptions<P>): Promise<RunHandle>;
  /** What {@linkcode Engine.trigger} would make, and what its tasks would be given. @throws as that does */
  preview<P>(dag: Dag<P> | string, options?: TriggerOptions<P>): Promise<Preview>;
  /**
   * What a task of a run, as `load` or `load[3]`, was given in an attempt, the last one by default, or will be.
   *
   * @throws {TypeError} when there is no such run or task
   */
  rendered(run: string, task: string, attempt?: number): Promise<RenderedTask>;
  /** A run as it is now. */
  get(run: string): Promise<Run | undefined>;
  /** The runs that fit, the latest created first. */
  runs(query?: RunQuery): Promise<readonly Run[]>;
  /** A run when it is over. @throws {TypeError} when there is no such run */
  done(run: string): Promise<Run>;
  /** Ends a run as failed; resolves when all its tasks have stopped. One that is over stays as it is. */
  cancel(run: string): Promise<void>;
  /**
   * Has tasks of a run run again, and with them what reads what they put out; tells which. What runs is stopped first.
   *
   * @throws {TypeError} when there is no such run or task
   */
  clear(run: string, options?: ClearOptions): Promise<readonly Instance[]>;
  /**
   * Marks tasks of a run, or without `tasks` the run itself, as a success or as failed; tells which. What runs is stopped.
   *
   * @throws {TypeError} when there is no such run or task
   */
  mark(run: string, to: Mark, options?: MarkOptions): Promise<readonly Instance[]>;
  /**
   * Makes the runs of a range that are missing, or runs those again that are there.
   *
   * @throws {TypeError} when there is no such DAG, or a param or the range does not fit it
   */
  backfill<P>(dag: Dag<P> | string, options: BackfillOptions<P>): Promise<Backfill>;
  /** Why a task does not run, or what became of it, in sentences. @throws {TypeError} when there is no such run or task */
  why(run: string, task: string): Promise<readonly string[]>;
  /** All that happens from now on, until the signal is aborted. */
  watch(signal: AbortSignal): AsyncIterable<Event>;
  /** What stands on the meters of a run's tasks; of one that is over, the run itself tells it. */
  readings(run: string): Readonly<Record<string, readonly Reading[]>>;
  /** The attempts that are under way. */
  underWay(): readonly UnderWay[];
  /**
   * Begins nothing any more, and resolves when all attempts have ended; those that have not when the signal is aborted
   * are stopped, and made again by the next engine on the same store.
   */
  drain(signal: AbortSignal): Promise<void>;
}

/** Makes an engine. @throws {TypeError} when two DAGs have the same id, or one cannot be run as it says */
export async function engine(options: EngineOptions): Promise<Engine> {
  const {
    home,
    store = memory(),
    logs,
    log = () => {},
    connections = {},
    network = "any",
    executors = { inProcess: inProcess() },
    pools = {},
    maxActiveRuns = Infinity,
    startPaused = false,
    obeyPauses = true,
    resume = true,
    retention: keep,
    onError = () => {},
    now = Temporal.Now.instant,
    clock = () => performance.now(),
    sleep = onTimers,
  } = options;
  const slots = { ...POOLS, ...pools };
  const schedules: Schedules = new Schedules(
    { store, now, sleep, startPaused, onError },
    () => loop,
  );

  async function define(dags: readonly (AnyDag | Definition)[]): Promise<void> {
    const definitions = dags.map((dag) => "dag" in dag ? dag : { dag });
    const offer = { pools: slots, executors: Object.keys(executors) };
    for (const { dag } of definitions) checkLimits(dag, offer);
    await schedules.define(definitions);
  }
  await define(options.dags);
  const temporary = home === undefined;
  const folder = temporary
    ? await Deno.makeTempDir({ prefix: "sluice_" })
    : home instanceof URL
    ? fileURLToPath(home)
    : home;
  const isPaused = (dag: string): boolean => obeyPauses && schedules.isPaused(dag);
  const spool = await openSpool(folder, {
    clock,
    ...options.spool,
    ...options.store ? unfinished(store) : {},
  });
  // What lies in a folder that goes with us is of no use to anybody.
  const rejects = temporary ? undefined : rejectFiles(folder);
  const files = [logs, rejects].filter((kind) => kind !== undefined);
  const daily = keep === undefined
    ? undefined
    : new DailyRetention({ store, keep, files, onError });
  const loop: Loop = new Loop({
    store,
    spool,
    connections,
    network,
    log,
    ...logs ? { logs } : {},
    ...rejects ? { rejects } : {},
    now,
    clock,
    sleep,
    executors,
    pools: slots,
    maxActiveRuns,
    isPaused,
    nextInterval: (run) => {
      const end = Temporal.ZonedDateTime.from(run.interval.end);
      return schedules.dags.get(run.dag)?.timetable.next(end);
    },
    chores: together(daily ? [schedules, daily] : [schedules]),
    onError,
  });
  let closing: Promise<void> | undefined;

  /** Goes on with what another engine left. */
  async function adopt(): Promise<void> {
    const open = [
      ...await store.list({ state: "running" }),
      ...await store.list({ state: "queued" }),
    ];
    for (const run of open.toSorted((a, b) => a.created < b.created ? -1 : 1)) take(run);
  }

  /** Takes a run on that nobody has; undefined when its DAG is not here. */
  function take(run: Run): Live | undefined {
    const known = loop.get(run.id);
    if (known) return known;
    const scheduled = schedules.dags.get(run.dag);
    if (!scheduled) return undefined;
    const { dag, hash } = scheduled;
    const live = loop.add(dag, run);
    loop.change(live, (run) => {
      const tasks = [...dag.tasks.keys()];
      const same = run.hash === hash && tasks.every((task) => Object.hasOwn(run.tasks, task));
      const base = { run: run.id, at: now().toString() };
      const adopted: Event[] = same
        ? []
        : [{ type: "run_adopted", ...base, ...hash === undefined ? {} : { hash }, tasks }];
      return [...adopted, ...recover(dag, run, now())];
    }).catch(onError);
    return live;
  }

  async function trigger<P>(
    target: Dag<P> | string,
    options: TriggerOptions<P> = {},
  ): Promise<RunHandle> {
    if (closing) throw new TypeError("Cannot trigger a run: the engine is closed");
    const { dag, hash, timetable } = findDag(schedules.dags, target, "trigger");
    const at = now();
    const params = await resolveParams(dag, options.params);
    const interval = chooseInterval(dag, timetable, options, at);
    const run = await createRun(store, {
      dag,
      hash,
      kind: options.kind ?? "manual",
      interval,
      params,
      runAfter: at,
      now: at,
    });
    return { id: run.id, done: loop.add(dag, run).done.promise };
  }

  async function close(): Promise<void> {
    if (!options.store) {
      // Nobody else will go on with them.
      const ends = [...loop.runs].map((live) => hands.end(live, "the engine was closed"));
      await Promise.allSettled(ends);
    }
    const left = await loop.close();
    for (const [name, executor] of options.executors ? [] : Object.entries(executors)) {
      const closed = executor[Symbol.asyncDispose]();
      if (!left.has(name)) await closed;
    }
    await schedules[Symbol.asyncDispose]();
    await daily?.[Symbol.asyncDispose]();
    await spool[Symbol.asyncDispose]();
    if (temporary) await Deno.remove(folder, { recursive: true });
  }

  const hands = interventions({
    store,
    loop,
    schedules,
    now,
    take,
    isPaused,
    slots,
    executors,
    maxActiveRuns,
  });
  if (options.store && resume) await adopt();
  return {
    get dags() {
      return new Map([...schedules.dags].map(([id, { dag }]) => [id, dag]));
    },
    async start() {
      daily?.start(now());
      await schedules.start();
      loop.wake();
    },
    async replace(dags) {
      await define(dags);
      // Runs may have waited for their DAG to come back.
      if (options.store && resume) await adopt();
    },
    trigger,
    get: (run) => store.get(run),
    runs: (query) => store.list(query),
    async done(id) {
      const live = loop.get(id);
      if (live) return await live.done.promise;
      const run = await store.get(id);
      if (run && isOver(run)) return run;
      throw new TypeError(
        `Cannot wait for run "${id}": there is none${run ? " of a DAG that is here" : ""}`,
      );
    },
    watch: (signal) => store.watch(signal),
    readings: (run) => loop.readings(run),
    underWay: () => [...loop.runs].flatMap(underWay),
    ...statuses(schedules, () => loop.wake()),
    ...previews({ store, loop, schedules, now }),
    ...hands,
    drain: (signal) => loop.drain(signal),
    [Symbol.asyncDispose]: () => closing ??= close(),
  };
}
