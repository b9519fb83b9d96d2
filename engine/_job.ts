import { type Connections, context, type LogLine } from "./_context.ts";
import type { Task } from "./dag.ts";
import type { Follower } from "./_follower.ts";
import { type Json, toJson } from "./json.ts";
import { Meter, Meters, type Reading } from "./meter.ts";
import type { Scope } from "./ref.ts";
import type { Bytes, Kept } from "./source.ts";
import type { Run, StreamState, TaskRun } from "./state.ts";
import type { RunQuery } from "./store.ts";
import { GiveUp, type Interval, type Network } from "./work.ts";

/** A task's work, to be done once for a run. */
export interface Job {
  /** The id of the DAG. */
  readonly dag: string;
  /** As it was when the attempt began. */
  readonly run: Run;
  readonly task: Task<unknown>;
  /** Which instance of a mapped task. */
  readonly index?: number;
  readonly attempt: number;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** What an attempt gets from the engine, and what the engine gets to know of it. */
export interface Supplies {
  /** Where it can connect to, by name. */
  readonly connections: Connections;
  /** Where its requests may go. */
  readonly network: Network;
  /** The folder for the records that it refuses. */
  readonly rejects?: string | undefined;
  /** The interval after the run's. */
  readonly next?: Interval;
  /** The time. */
  readonly now: () => Temporal.Instant;
  /** Milliseconds of a clock that never goes back. */
  readonly clock: () => number;
  /** Takes what it has to say. */
  readonly log: (line: LogLine) => void;
  /** Given what reads its meters. */
  metered(read: () => Reading[]): void;
  /** Runs that are or were. */
  runs(query: RunQuery): Promise<readonly Run[]>;
}

/** What a job gets beside, from the attempt. */
export interface JobSupplies extends Supplies {
  /** What is kept of the source it is about to ask for. */
  kept(key: string): Promise<Kept | undefined>;
  /** A reader of what a task, or an instance of one, writes or wrote. */
  follow(writer: string, stream: StreamState): Follower;
}

/** Does a job; resolves with what it puts out. A stream is still to be read then. */
export type DoJob = (job: Job, supplies: JobSupplies) => Promise<Json | Bytes>;

/** Bytes that an output may have as JSON. */
const MAX_OUTPUT = 64 * 1024;

/** Does a job here and now. @throws what the work throws, and {@linkcode GiveUp} when its output cannot be kept */
export async function doJob(job: Job, supplies: JobSupplies): Promise<Json | Bytes> {
  const { task, run, index, signal } = job;
  const { clock, kept, metered } = supplies;
  const meters = new Meters(clock);
  const meter = new Meter(task.id, undefined, clock);
  // A plain function opens no stage; what it counts stands on the task's own meter.
  metered(() => meters.read().length > 0 ? meters.read() : [meter.read()]);
  const ctx = context({
    dag: job.dag,
    run: run.id,
    kind: run.kind,
    task: task.id,
    index,
    attempt: job.attempt,
    interval: {
      start: Temporal.ZonedDateTime.from(run.interval.start),
      end: Temporal.ZonedDateTime.from(run.interval.end),
    },
    next: supplies.next,
    params: run.params,
    signal,
    meter,
    meters,
    kept,
    connections: supplies.connections,
    network: supplies.network,
    rejects: supplies.rejects,
    log: supplies.log,
    now: supplies.now,
    runs: supplies.runs,
  });
  signal.throwIfAborted();
  const output = await task.work.run(scope(job, supplies), ctx);
  meter.end();
  if (output instanceof ReadableStream) return output;
  signal.throwIfAborted();
  return toOutput(output, task.id);
}

/** Refuses what is no chunk of bytes. @throws {GiveUp} */
export function checkBytes(chunk: unknown, task: string): void {
  if (chunk instanceof Uint8Array) return;
  throw new GiveUp(
    `Cannot keep what task "${task}" puts out: a stream between tasks is one of bytes`,
  );
}

/** What a task is called where its instances are told apart. */
export function nameOf(task: string, index: number | undefined): string {
  return index === undefined ? task : `${task}[${index}]`;
}

/** Where a job finds what others put out. */
function scope({ task, run, index }: Job, supplies: JobSupplies): Scope {
  const read = (name: string, { state, reason, stream, output }: TaskRun): unknown => {
    if (!stream && state === "success" && output !== undefined) return output;
    if (!stream || state !== "success" && state !== "running") {
      throw new GiveUp(
        `Cannot read what task "${name}" put out: it is ${state}${reason ? ` (${reason})` : ""}; ` +
          `to run whatever happened to it, order with \`after\` instead of reading`,
      );
    }
    const edge = supplies.follow(name, stream).stream;
    edge.length = stream.whole ? stream.bytes : stream.length ?? null;
    const { key, validator, unverified } = stream;
    edge.origin = {
      ...key !== null && { key },
      ...validator !== null && { validator },
      ...unverified && { unverified },
    };
    return edge;
  };
  const here: Scope = {
    output(id) {
      const instances = run.mapped[id];
      if (!instances) return read(id, run.tasks[id]!);
      return instances.map((instance, i) => read(nameOf(id, i), instance));
    },
  };
  const { each } = task;
  if (!each || index === undefined) return here;
  return {
    ...here,
    item() {
      const over = each.over === undefined ? undefined : run.mapped[each.over]?.[index];
      return over ? read(nameOf(each.over!, index), over) : each.list.read(here)[index];
    },
  };
}

function toOutput(value: unknown, task: string): Json {
  try {
    const json = toJson(value, "output");
    const bytes = new TextEncoder().encode(JSON.stringify(json)).length;
    if (bytes <= MAX_OUTPUT) return json;
    throw new TypeError(
      `Cannot keep "output" as JSON: it is ${bytes} bytes, and ${MAX_OUTPUT} at most may go from ` +
        "task to task; put out a stream of bytes, or where the rest is",
    );
  } catch (cause) {
    throw new GiveUp(`Cannot keep what task "${task}" put out: ${(cause as Error).message}`, {
      cause,
    });
  }
}
