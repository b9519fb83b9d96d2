import { type Connections, context, type LogLine } from "./_context.ts";
import { Meter, Meters } from "./meter.ts";
import type { Scope } from "./ref.ts";
import type { Work } from "./work.ts";

/** Options for {@linkcode perform}. */
export interface PerformOptions {
  /** Stops it. */
  signal?: AbortSignal;
  /** Where it can connect to, by name. @default {{}} */
  connections?: Connections;
  /** Takes what it has to say. @default {nobody does} */
  log?: (line: LogLine) => void;
  /** Gets the meters of its stages before the first is opened. */
  onOpen?: (meters: Meters) => void;
  /** What it is called where a task would be. @default {"load"} */
  name?: string;
  /** The time, which is its logical date as well. @default {the system's} */
  now?: () => Temporal.Instant;
  /** Milliseconds of a clock that never goes back. @default {the system's} */
  clock?: () => number;
}

/** Does a piece of work at once, outside any DAG. An output that is a stream is handed out as it is. */
export async function perform<O>(work: Work<O>, options: PerformOptions = {}): Promise<O> {
  const {
    signal = new AbortController().signal,
    connections = {},
    log = () => {},
    onOpen,
    name = "load",
    now = Temporal.Now.instant,
    clock = () => performance.now(),
  } = options;
  signal.throwIfAborted();
  const meters = new Meters(clock);
  onOpen?.(meters);
  const date = now().toZonedDateTimeISO("UTC");
  const ctx = context({
    dag: name,
    run: name,
    kind: "manual",
    task: name,
    index: undefined,
    attempt: 1,
    interval: { start: date, end: date },
    next: undefined,
    params: {},
    signal,
    meter: new Meter(name, undefined, clock),
    meters,
    kept: undefined,
    connections,
    network: "any",
    rejects: undefined,
    log,
    now,
    runs: () => Promise.resolve([]),
  });
  return await work.run(nothing, ctx);
}

const nothing: Scope = {
  output(task) {
    throw new TypeError(`Cannot read the output of task "${task}": there is no run`);
  },
};
