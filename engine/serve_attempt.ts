import type { AnyDag } from "./dag.ts";
import { format } from "node:util";
import { logger } from "./_context.ts";
import { type FileState, type Followed, Follower } from "./_follower.ts";
import { checkBytes, doJob, type JobSupplies } from "./_job.ts";
import type { Json } from "./json.ts";
import type { Reading } from "./meter.ts";
import { type Bytes, Source } from "./source.ts";
import type { StreamState } from "./state.ts";
import { Channel } from "./_subprocess_channel.ts";
import { pack, unpack } from "./_subprocess_error.ts";
import type { FromChild, JobMessage, Question, Questions, ToChild } from "./_subprocess_message.ts";
import { GiveUp, type Interval, type Logger } from "./work.ts";

/** Options for {@linkcode serveAttempt}. */
export interface ServeAttemptOptions {
  /** Finds a DAG by its id, in the version of the run where that tells one. */
  readonly dags: (id: string, hash?: string) => AnyDag | undefined | Promise<AnyDag | undefined>;
  /** The time. @default {the system's} */
  readonly now?: () => Temporal.Instant;
  /** Milliseconds of a clock that never goes back. @default {the system's} */
  readonly clock?: () => number;
}

/** How often the engine is told what stands on the meters, in milliseconds. */
const METERED = 250;
/** Milliseconds that the work has to end when nobody is left for whom it is done. */
const GRACE = 800;

/**
 * Does the one job for which a `subprocess` executor started this process, and ends the process. From then on, what is
 * written with `console` becomes lines of the job's log, and all else that is printed warnings in it.
 *
 * @throws {Error} when no executor started this process
 */
export async function serveAttempt(options: ServeAttemptOptions): Promise<never> {
  const { dags, now = Temporal.Now.instant, clock = () => performance.now() } = options;
  const channel = await open();
  const messages = channel.receive();
  const { value: first } = await messages.next();
  if (!first || first instanceof Uint8Array || first.type !== "job") return Deno.exit(1);
  const stop = new AbortController();
  const desk = new Desk(channel, first.job, stop.signal, { now, clock });
  // The whole group gets it; this process is told why over the channel.
  Deno.addSignalListener("SIGTERM", () => {});
  let done = false;
  const work = desk.work(dags).then(() => {
    done = true;
  });
  for await (const message of messages) {
    if (message instanceof Uint8Array || message.type === "job") continue;
    if (message.type === "stop") stop.abort(unpack(message.reason));
    else desk.answered(message);
  }
  if (!done) {
    // Nobody is left who would see to the end of this process and of those that it started.
    stop.abort(new Error("The process for which this was done is gone"));
    setTimeout(endAll, GRACE);
    await work;
    endAll();
  }
  return Deno.exit(0);
}

/** Ends the process group, whose first this process is. */
function endAll(): void {
  Deno.kill(-Deno.pid, "SIGKILL");
}

async function open(): Promise<Channel<ToChild, FromChild>> {
  try {
    const from = await Deno.open("/dev/fd/3");
    const to = await Deno.open("/dev/fd/4", { write: true });
    // What goes through `to.writable` stays there when `to` is a pipe.
    const sink = new WritableStream<Uint8Array<ArrayBuffer>>({
      async write(chunk) {
        for (let rest = chunk; rest.length > 0;) rest = rest.subarray(await to.write(rest));
      },
    });
    return new Channel(from.readable, sink);
  } catch (cause) {
    throw new Error("Cannot serve an attempt: only a `subprocess` executor starts this process", {
      cause,
    });
  }
}

/** Where a job is done whose engine is at the other end of a channel. */
class Desk {
  readonly #channel: Channel<ToChild, FromChild>;
  readonly #job: JobMessage;
  readonly #signal: AbortSignal;
  readonly #time: Pick<JobSupplies, "now" | "clock">;
  readonly #followers: Follower[] = [];
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>();
  #questions = 0;
  #read: () => Reading[] = () => [];

  constructor(
    channel: Channel<ToChild, FromChild>,
    job: JobMessage,
    signal: AbortSignal,
    time: Pick<JobSupplies, "now" | "clock">,
  ) {
    this.#channel = channel;
    this.#job = job;
    this.#signal = signal;
    this.#time = time;
  }

  /** Does the job, and tells how it ended. Never throws. */
  async work(dags: ServeAttemptOptions["dags"]): Promise<void> {
    const { dag, run, task, index, attempt } = this.#job;
    const who = { dag, run: run.id, task, index, attempt, now: this.#time.now };
    divert(logger(who, (line) => this.#tell({ type: "log", line })));
    const metering = setInterval(() => {
      this.#tell({ type: "meters", readings: this.#read() });
    }, METERED);
    const end = await this.#output(dags).then(
      (output) => ({ type: "done", output }) as const,
      (error) => {
        const damaged = this.#followers.flatMap((follower, i) => follower.damaged ? [i] : []);
        return { type: "failed", error: pack(error), damaged } as const;
      },
    );
    clearInterval(metering);
    this.#tell({ ...end, readings: this.#read() });
  }

  /** Takes the answer to a question. */
  answered(message: ToChild & { type: "answer" | "refusal" }): void {
    const asked = this.#asked.get(message.id);
    this.#asked.delete(message.id);
    if (message.type === "answer") asked?.resolve(message.value);
    else asked?.reject(unpack(message.error));
  }

  /** Does the work, and sends what it puts out if that is a stream. */
  async #output(dags: ServeAttemptOptions["dags"]): Promise<Json> {
    const { dag, run, index, attempt, task: name } = this.#job;
    const task = (await dags(dag, run.hash))?.tasks.get(name);
    if (!task) {
      throw new GiveUp(
        `Cannot find task "${name}" of "${dag}" in a process of its own: the DAG's file was changed`,
      );
    }
    const output = await doJob({
      dag,
      run,
      task,
      ...index === undefined ? {} : { index },
      attempt,
      signal: this.#signal,
    }, this.#supplies());
    if (!(output instanceof ReadableStream)) return output;
    await this.#send(output, name);
    return null;
  }

  async #send(stream: Bytes, task: string): Promise<void> {
    const signal = this.#signal;
    const reader = stream.getReader();
    const cancel = (): Promise<void> => reader.cancel(signal.reason).catch(() => {});
    signal.addEventListener("abort", cancel);
    try {
      this.#tell({ type: "stream", origin: stream instanceof Source ? stream.origin : null });
      for (;;) {
        const { done, value } = await reader.read();
        signal.throwIfAborted();
        if (done) break;
        checkBytes(value, task);
        await this.#channel.send(value);
      }
    } finally {
      await cancel();
    }
  }

  #supplies(): JobSupplies {
    const { next, connections, network, rejects } = this.#job;
    return {
      ...this.#time,
      connections: Object.fromEntries(
        connections.map((name) => [name, () => this.#ask("connection", { name })]),
      ),
      network,
      rejects,
      ...next ? { next: toInterval(next) } : {},
      log: (line) => this.#tell({ type: "log", line }),
      metered: (read) => void (this.#read = read),
      kept: async (key) => await this.#ask("kept", { key }) ?? undefined,
      follow: (writer, stream) => this.#follow(writer, stream),
      runs: (query) => this.#ask("runs", { query }),
    };
  }

  /** Follows a file whose state the engine tells. */
  #follow(writer: string, stream: StreamState): Follower {
    const reader = this.#followers.length;
    this.#tell({ type: "follow", reader, writer, stream });
    const file: Followed & FileState = {
      path: "",
      bytes: 0,
      sha256: undefined,
      committed: false,
      after: async (bytes, signal) => {
        Object.assign(file, await this.#ask("file", { reader, bytes }, signal));
      },
    };
    const find = async (): Promise<Followed> => {
      await file.after(-1, this.#signal);
      return file;
    };
    const follower = new Follower(find, this.#signal);
    this.#followers.push(follower);
    return follower;
  }

  async #ask<K extends keyof Questions>(
    type: K,
    ask: Questions[K]["ask"],
    signal = this.#signal,
  ): Promise<Questions[K]["answer"]> {
    signal.throwIfAborted();
    const asked = Promise.withResolvers<unknown>();
    const id = this.#questions++;
    this.#asked.set(id, asked);
    this.#tell({ type, id, ...ask } as Question);
    const forget = (): void => {
      this.#tell({ type: "forget", id });
      this.#asked.delete(id);
      asked.reject(signal.reason);
    };
    signal.addEventListener("abort", forget);
    try {
      return await asked.promise as Questions[K]["answer"];
    } finally {
      signal.removeEventListener("abort", forget);
    }
  }

  /** Sends a message. If nobody is there to take it, the channel's other end tells so, too. */
  #tell(message: FromChild): void {
    this.#channel.send(message).catch(() => {});
  }
}

/** Makes lines of the log of what is written to the console. */
function divert(log: Logger): void {
  const to = (say: Logger["info"]) => (...what: unknown[]): void => say(format(...what));
  const { info, warn, error } = log;
  Object.assign(console, {
    log: to(info),
    info: to(info),
    debug: to(info),
    warn: to(warn),
    error: to(error),
  });
}

function toInterval({ start, end }: { start: string; end: string }): Interval {
  return { start: Temporal.ZonedDateTime.from(start), end: Temporal.ZonedDateTime.from(end) };
}
