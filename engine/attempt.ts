import type { AnyDag, Task } from "./dag.ts";
import { Deadline, type Sleep } from "./_deadline.ts";
import type { Follower } from "./_follower.ts";
import { checkBytes, type DoJob, doJob as doJobHere, nameOf, type Supplies } from "./_job.ts";
import type { Json } from "./json.ts";
import { type Bytes, Source, SourceChanged } from "./source.ts";
import type { Spool } from "./spool.ts";
import { shownKey } from "./_spool_key.ts";
import { type Failure, type Run, type StreamState, type TaskRun, toFailure } from "./state.ts";
import { GiveUp, NotYet, Skip } from "./work.ts";

/** How an attempt ended. */
export type Outcome =
  | { readonly state: "success"; readonly output: Json; readonly stream?: StreamState }
  | {
    readonly state: "failed";
    readonly error: Failure;
    /** Whether trying again cannot help. */
    readonly final: boolean;
    readonly reason?: string;
    /** How many milliseconds to wait at least before trying again, as who refused said. */
    readonly retryAfter?: number;
  }
  | { readonly state: "skipped"; readonly reason: string }
  /** It is to ask again, at `due` if it says so: an ISO string in UTC. */
  | { readonly state: "up_for_reschedule"; readonly due?: string }
  /**
   * A reader that has to begin anew, by no fault of its own; what `lost` tasks put out is gone, instances of mapped ones as
   * in `x[3]`.
   */
  | { readonly state: "none"; readonly lost: readonly string[] };

/** Which attempt it is. */
export interface Attempt {
  /** Whose task it is. */
  readonly dag: AnyDag;
  /** As it was when the attempt began. */
  readonly run: Run;
  /** What it is made at. */
  readonly task: Task<unknown>;
  /** Which instance of a mapped task. */
  readonly index?: number;
  /** Its number, from 1. */
  readonly attempt: number;
  /** Ends it; with a {@linkcode Restart} as the reason it counts as not made. */
  readonly signal: AbortSignal;
}

/** What an attempt is given, and whom it tells. */
export interface Surroundings extends Supplies {
  /**
   * Keeps the streams between tasks.
   *
   * @internal
   */
  readonly spool: Spool;
  /** Waits. */
  readonly sleep: Sleep;
  /** Told when its output turns out to be a stream that readers can begin with. */
  opened(stream: StreamState): Promise<void>;
  /** Asked to end the readers of its stream, before another file takes its place. */
  replace(): Promise<void>;
}

/** The reason for which a reader is stopped, to be started again when there is something to read. */
export class Restart extends Error {
  /** As `error.name` has it. */
  override name = "Restart";
}

/** The reason for which an attempt is stopped by hand. */
export class Cancelled extends Error {
  /** As `error.name` has it. */
  override name = "Cancelled";
}

/** How often a source may change within one attempt. */
const MAX_CHANGES = 3;
/** For how many milliseconds others may have a task wait before its retry. */
const MAX_RETRY_AFTER = 600_000;

/** Makes one attempt at a task. Never throws; resolves when everything it began has ended. */
export async function attempt(
  what: Attempt,
  around: Surroundings,
  doJob: DoJob = doJobHere,
): Promise<Outcome> {
  const { task, run, index } = what;
  const stop = new AbortController();
  const signal = AbortSignal.any([what.signal, stop.signal]);
  using deadline = new Deadline(around);
  if (task.options.timeout) {
    const timeout = Temporal.Duration.from(task.options.timeout);
    const relativeTo = Temporal.ZonedDateTime.from(run.interval.start);
    deadline.start(
      timeout.total({ unit: "milliseconds", relativeTo }),
      () =>
        stop.abort(
          new TimedOut(`Cannot wait longer for task "${task.id}": its timeout is ${timeout}`),
        ),
    );
  }
  const owner = { run: run.id, task: nameOf(task.id, index) };
  const reads = new Map<Follower, string>();
  let followers: Follower[] = [];
  let downloaded = 0;

  async function once(): Promise<Outcome> {
    const output = await doJob({ ...what, dag: what.dag.id, signal }, {
      ...around,
      kept: (key) => around.spool.kept(owner, key, stateOf(what).fresh === true),
      follow(writer, stream) {
        const waiting = (waits: boolean): void => waits ? deadline.pause() : deadline.resume();
        const from = { run: run.id, task: writer };
        const follower = around.spool.follow(from, stream, signal, waiting);
        followers.push(follower);
        reads.set(follower, writer);
        return follower;
      },
    });
    if (output instanceof ReadableStream) return await keep(output);
    await Promise.all(followers.map((follower) => follower.ended()));
    return { state: "success", output };
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
      await around.spool.makeRoom(owner, origin);
      // Nothing is opened before something comes: a source that fails at once leaves what there is as it is.
      let next = await reader.read();
      signal.throwIfAborted();
      const file = await around.spool.open(owner, origin, around.replace);
      try {
        if (!next.done || file.bytes > 0) await around.opened(file.state);
        for (; !next.done; next = await reader.read()) {
          signal.throwIfAborted();
          checkBytes(next.value, task.id);
          downloaded += next.value.length;
          await file.write(next.value);
        }
        signal.throwIfAborted();
        if (origin?.length !== undefined && file.bytes !== origin.length) {
          const error = new Error(
            `Cannot keep "${
              shownKey(origin.key)
            }": ${file.bytes} of its ${origin.length} bytes came`,
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
      const url = origin && shownKey(origin.key);
      const output = {
        ...url && URL.canParse(url) && { url },
        bytes,
        downloaded,
        sha256,
        validator: state.validator,
        ...state.unverified && { unverified: true },
      };
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
        followers = [];
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
    if (error instanceof NotYet) return { state: "up_for_reschedule", ...due(error, around.now) };
    return {
      state: "failed",
      error: toFailure(error),
      final: isCausedBy(error, GiveUp),
      ...retryAfter(error),
    };
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

/** When a sensor wants to ask again. */
function due({ due }: NotYet, now: () => Temporal.Instant): { due?: string } {
  if (due === undefined) return {};
  if (due instanceof Temporal.Instant) return { due: due.toString() };
  return { due: now().toZonedDateTimeISO("UTC").add(due).toInstant().toString() };
}

/** How long to wait before a retry, in milliseconds, if the error or what caused it says. */
function retryAfter(error: unknown): { retryAfter?: number } {
  if (!(error instanceof Error)) return {};
  const ms = "retryAfter" in error ? Number(error.retryAfter) : 0;
  return ms > 0 ? { retryAfter: Math.min(ms, MAX_RETRY_AFTER) } : retryAfter(error.cause);
}

/** The task, or the instance of it, as it was when the attempt began. */
function stateOf({ run, task: { id }, index }: Attempt): TaskRun {
  return (index === undefined ? run.tasks[id] : run.mapped[id]?.[index])!;
}
