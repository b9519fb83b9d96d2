import { fileURLToPath } from "node:url";
import type { Connections, LogLine } from "./_context.ts";
import { type Sleep, sleep as onTimers } from "./_deadline.ts";
import { Loop } from "./_loop.ts";
import { chooseInterval, chooseParams, type TriggerOptions } from "./_trigger.ts";
import type { Dag } from "./dag.ts";
import type { Reading } from "./meter.ts";
import type { AnyDag } from "./plan.ts";
import { parseSchedule, type Timetable } from "./schedule.ts";
import { openSpool } from "./spool.ts";
import { type Event, reduce, type Run } from "./state.ts";
import { memory, type RunQuery, type Store } from "./store.ts";

/** Options for {@linkcode engine}. */
export interface EngineOptions {
  /** What it can run. */
  readonly dags: readonly AnyDag[];
  /** The folder in which streams between tasks are kept. @default {one that is removed at the end} */
  readonly home?: string | URL;
  /** Keeps what happened. @default {memory()} */
  readonly store?: Store;
  /** Where tasks can connect to, by name. @default {{}} */
  readonly connections?: Connections;
  /** Takes the lines that attempts have to say. @default {nobody does} */
  readonly log?: (line: LogLine) => void;
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
  /** Resolves with the run when it is over, however it ended. */
  readonly done: Promise<Run>;
}

/** Runs DAGs. Disposing of it cancels what is not over. */
export interface Engine extends AsyncDisposable {
  /** The DAGs it knows, by id. */
  readonly dags: ReadonlyMap<string, AnyDag>;
  /**
   * Makes a run, which starts as soon as the DAG's `maxActiveRuns` lets it.
   *
   * @throws {TypeError} when there is no such DAG, or a param or the date does not fit it
   * @throws {RangeError} when no run is for that date, or several are
   */
  trigger<P>(dag: Dag<P> | string, options?: TriggerOptions<P>): Promise<RunHandle>;
  /** A run as it is now. */
  get(run: string): Promise<Run | undefined>;
  /** The runs that fit, the latest created first. */
  runs(query?: RunQuery): Promise<readonly Run[]>;
  /** Ends a run as failed; resolves when all its tasks have stopped. One that is over stays as it is. */
  cancel(run: string): Promise<void>;
  /** All that happens from now on, until the signal is aborted. */
  watch(signal: AbortSignal): AsyncIterable<Event>;
  /** What stands on the meters of a run's tasks; of one that is over, the run itself tells it. */
  readings(run: string): Readonly<Record<string, readonly Reading[]>>;
}

/** Makes an engine. @throws {TypeError} when two DAGs have the same id, or a schedule cannot be read */
export async function engine(options: EngineOptions): Promise<Engine> {
  const {
    home,
    store = memory(),
    connections = {},
    log = () => {},
    now = Temporal.Now.instant,
    clock = () => performance.now(),
    sleep = onTimers,
  } = options;
  const dags = new Map<string, AnyDag>();
  const timetables = new Map<string, Timetable>();
  for (const dag of options.dags) {
    if (dags.has(dag.id)) throw new TypeError(`Cannot take two DAGs of the id "${dag.id}"`);
    dags.set(dag.id, dag);
    timetables.set(dag.id, parseSchedule(dag.options.schedule, dag.options));
  }
  const temporary = home === undefined;
  const folder = temporary
    ? await Deno.makeTempDir({ prefix: "sluice_" })
    : home instanceof URL
    ? fileURLToPath(home)
    : home;
  const spool = await openSpool(folder, { clock });
  const loop = new Loop({ store, spool, connections, log, now, clock, sleep });
  let closing: Promise<void> | undefined;

  async function trigger<P>(
    target: Dag<P> | string,
    options: TriggerOptions<P> = {},
  ): Promise<RunHandle> {
    if (closing) throw new TypeError("Cannot trigger a run: the engine is closed");
    const dag = find(dags, target);
    const at = now();
    const params = chooseParams(dag, options.params);
    const interval = chooseInterval(dag, timetables.get(dag.id)!, options, at);
    const start = interval.start.toInstant();
    const name = `manual__${start.toString({ smallestUnit: "second" }).replaceAll(/[-:]/g, "")}`;
    for (let n = 1;; n++) {
      const id = n === 1 ? name : `${name}.${n}`;
      const created: Event = {
        type: "run_created",
        run: id,
        at: at.toString(),
        dag: dag.id,
        kind: "manual",
        interval: { start: interval.start.toString(), end: interval.end.toString() },
        logicalDate: start.toString(),
        runAfter: at.toString(),
        params,
        tasks: [...dag.tasks.keys()],
      };
      if (!await store.append(id, 0, [created])) continue;
      return { id, done: loop.add(dag, reduce(undefined, created)) };
    }
  }

  async function close(): Promise<void> {
    await loop.close();
    await spool[Symbol.asyncDispose]();
    if (temporary) await Deno.remove(folder, { recursive: true });
  }

  return {
    dags,
    trigger,
    get: (run) => store.get(run),
    runs: (query) => store.list(query),
    watch: (signal) => store.watch(signal),
    readings: (run) => loop.readings(run),
    async cancel(run) {
      if (await loop.end(run, "cancelled") || await store.get(run)) return;
      throw new TypeError(`Cannot cancel run "${run}": there is none`);
    },
    [Symbol.asyncDispose]: () => closing ??= close(),
  };
}

function find(dags: ReadonlyMap<string, AnyDag>, target: AnyDag | string): AnyDag {
  const id = typeof target === "string" ? target : target.id;
  const dag = dags.get(id);
  if (dag && (dag === target || id === target)) return dag;
  if (dag) throw new TypeError(`Cannot trigger "${id}": the engine has another DAG of that id`);
  const known = [...dags.keys()].map((id) => `"${id}"`).join(", ");
  throw new TypeError(
    `Cannot trigger "${id}": there is no such DAG; ${
      known ? `there are ${known}` : "there are none"
    }`,
  );
}
