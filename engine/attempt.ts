import { type Connections, context, type LogLine } from "./_context.ts";
import type { Task } from "./dag.ts";
import { Deadline, type Sleep } from "./_deadline.ts";
import type { Follower } from "./_follower.ts";
import { type Json, toJson } from "./json.ts";
import { Meter, Meters, type Reading } from "./meter.ts";
import type { AnyDag } from "./plan.ts";
import type { Scope } from "./ref.ts";
import { type Bytes, Source, SourceChanged } from "./source.ts";
import type { Spool } from "./spool.ts";
import { type Failure, type Run, type StreamState, toFailure } from "./state.ts";
import { type Context, GiveUp, NotYet, Skip } from "./work.ts";

/** How an attempt ended. */
export type Outcome =
  | { readonly state: "success"; readonly output: Json; readonly stream?: StreamState }
  | {
    readonly state: "failed";
    readonly error: Failure;
    /** Whether trying again cannot help. */
    readonly final: boolean;
    readonly reason?: string;
  }
  | { readonly state: "skipped"; readonly reason: string }
  | { readonly state: "up_for_reschedule" }
  /** A reader that has to begin anew, by no fault of its own; what `lost` tasks put out is gone. */
  | { readonly state: "none"; readonly lost: readonly string[] };

/** Which attempt it is. */
export interface Attempt {
  readonly dag: AnyDag;
  /** As it was when the attempt began. */
  readonly run: Run;
  readonly task: Task<unknown>;
  readonly attempt: number;
  /** Ends it; with a {@linkcode Restart} as the reason it counts as not made. */
  readonly signal: AbortSignal;
}

/** What an attempt is given, and whom it tells. */
export interface Surroundings {
  readonly spool: Spool;
  readonly connections: Connections;
  readonly log: (line: LogLine) => void;
  readonly now: () => Temporal.Instant;
  readonly clock: () => number;
  readonly sleep: Sleep;
  /** Told when its output turns out to be a stream that readers can begin with. */
  opened(stream: StreamState): Promise<void>;
  /** Asked to end the readers of its stream, before another file takes its place. */
  replace(): Promise<void>;
  /** Given what reads its meters. */
  metered(read: () => Reading[]): void;
}

/** The reason for which a reader is stopped, to be started again when there is something to read. */
export class Restart extends Error {
  override name = "Restart";
}

/** The reason for which an attempt is stopped by hand. */
export class Cancelled extends Error {
  override name = "Cancelled";
}

/** Bytes that an output may have as JSON. */
const MAX_OUTPUT = 64 * 1024;
/** How often a source may change within one attempt. */
const MAX_CHANGES = 3;

/** Makes one attempt at a task. Never throws; resolves when everything it began has ended. */
export async function attempt(what: Attempt, around: Surroundings): Promise<Outcome> {
  const { task, run } = what;
  const stop = new AbortController();
  const signal = AbortSignal.any([what.signal, stop.signal]);
  const interval = {
    start: Temporal.ZonedDateTime.from(run.interval.start),
    end: Temporal.ZonedDateTime.from(run.interval.end),
  };
  using deadline = new Deadline(around);
  if (task.options.timeout) {
    const timeout = Temporal.Duration.from(task.options.timeout);
    const ms = timeout.total({ unit: "milliseconds", relativeTo: interval.start });
    deadline.start(
      ms,
      () =>
        stop.abort(
          new TimedOut(`Cannot wait longer for task "${task.id}": its timeout is ${timeout}`),
        ),
    );
  }
  const followers: Follower[] = [];
  const owner = { run: run.id, task: task.id };
  const scope: Scope = {
    output(id) {
      const { state, stream, output } = run.tasks[id]!;
      if (!stream && state === "success") return output;
      if (!stream || state !== "success" && state !== "running") {
        throw new GiveUp(
          `Cannot read what task "${id}" put out: it is ${state}; ` +
            `to run whatever happened to it, order with \`after\` instead of reading`,
        );
      }
      const waiting = (waits: boolean): void => waits ? deadline.pause() : deadline.resume();
      const follower = around.spool.follow({ run: run.id, task: id }, stream, signal, waiting);
      followers.push(follower);
      reads.set(follower, id);
      return follower.stream;
    },
  };
  const reads = new Map<Follower, string>();
  let downloaded = 0;

  async function once(): Promise<Outcome> {
    const meters = new Meters(around.clock);
    const meter = new Meter(task.id, undefined, around.clock);
    // A plain function opens no stage; what it counts stands on the task's own meter.
    around.metered(() => meters.read().length > 0 ? meters.read() : [meter.read()]);
    const ctx: Context = context({
      dag: what.dag.id,
      run: run.id,
      task: task.id,
      attempt: what.attempt,
      interval,
      params: run.params,
      signal,
      meter,
      meters,
      kept: (key) => around.spool.kept(owner, key),
      connections: around.connections,
      log: around.log,
      now: around.now,
    });
    signal.throwIfAborted();
    const output = await task.work.run(scope, ctx);
    meter.end();
    if (output instanceof ReadableStream) return await keep(output);
    signal.throwIfAborted();
    const json = toOutput(output, task.id);
    await Promise.all(followers.map((follower) => follower.ended()));
    return { state: "success", output: json };
  }

  /** Writes the stream to the spool. */
  async function keep(stream: Bytes): Promise<Outcome> {
    const origin = stream instanceof Source ? stream.origin : undefined;
    const reader = stream.getReader();
    let cancelled: Promise<unknown> | undefined;
    const cancel = (): void => {
      cancelled ??= reader.cancel(signal.reason).catch(() => {});
    };
    signal.addEventListener("abort", cancel);
    try {
      // Nothing is opened before something comes: a source that fails at once leaves what there is as it is.
      let next = await reader.read();
      signal.throwIfAborted();
      const file = await around.spool.open(owner, origin, around.replace);
      try {
        if (!next.done || file.bytes > 0) await around.opened(file.state);
        for (; !next.done; next = await reader.read()) {
          signal.throwIfAborted();
          if (!((next.value as unknown) instanceof Uint8Array)) {
            throw new GiveUp(
              `Cannot keep what task "${task.id}" puts out: a stream between tasks is one of bytes`,
            );
          }
          downloaded += next.value.length;
          await file.write(next.value);
        }
        signal.throwIfAborted();
        if (origin?.length !== undefined && file.bytes !== origin.length) {
          const error = new Error(
            `Cannot keep "${origin.key}": ${file.bytes} of its ${origin.length} bytes came`,
          );
          if (file.bytes > origin.length) await startOver();
          throw error;
        }
        await Promise.all(followers.map((follower) => follower.ended()));
        if (!file.sha256) await around.spool.finish(file);
      } finally {
        await file.rest();
      }
      const { bytes, sha256 = null, state } = file;
      const url = origin && withoutSecrets(origin.key);
      const output = { ...url && { url }, bytes, downloaded, sha256, validator: state.validator };
      return { state: "success", output, stream: state };
    } finally {
      signal.removeEventListener("abort", cancel);
      cancel();
      await cancelled;
    }
  }

  /** Gives up what is kept, and ends those who read it. */
  async function startOver(): Promise<void> {
    await around.replace();
    await around.spool.drop(owner);
  }

  const close = async (): Promise<void> => {
    await Promise.all(followers.map((follower) => follower[Symbol.asyncDispose]()));
  };
  try {
    for (let changes = 1;; changes++) {
      try {
        return await once();
      } catch (error) {
        if (!isCausedBy(error, SourceChanged) || signal.aborted) throw error;
        if (changes > MAX_CHANGES) {
          throw new Error(
            `Cannot finish task "${task.id}": its source changed ${changes} times meanwhile`,
            { cause: error },
          );
        }
        await startOver();
      } finally {
        await close();
        followers.length = 0;
      }
    }
  } catch (error) {
    const lost = [...reads].flatMap(([follower, id]) => follower.damaged ? [id] : []);
    if (signal.reason instanceof Restart) return { state: "none", lost };
    if (signal.aborted) {
      const timedOut = signal.reason instanceof TimedOut;
      const reason = timedOut ? "timeout" : "cancelled";
      return { state: "failed", error: toFailure(signal.reason), final: !timedOut, reason };
    }
    if (lost.length > 0) return { state: "none", lost };
    if (error instanceof Skip) return { state: "skipped", reason: error.message };
    if (error instanceof NotYet) return { state: "up_for_reschedule" };
    return { state: "failed", error: toFailure(error), final: isCausedBy(error, GiveUp) };
  }
}

/** Why an attempt was stopped that took too long. */
class TimedOut extends Error {
  override name = "TimedOut";
}

/** Whether an error is of a class, or wraps one that is. */
function isCausedBy(error: unknown, kind: new (message: string) => Error): boolean {
  if (error instanceof kind) return true;
  return error instanceof Error && isCausedBy(error.cause, kind);
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

/** A key that is a URL, without user and password. */
function withoutSecrets(key: string): string | undefined {
  if (!URL.canParse(key)) return undefined;
  const url = new URL(key);
  if (!url.username && !url.password) return key;
  url.username = url.password = "";
  return url.href;
}
