import { logger } from "./_context.ts";
import { type Executor, executorOf } from "./executor.ts";
import type { Follower } from "./_follower.ts";
import type { Job, JobSupplies } from "./_job.ts";
import type { Json } from "./json.ts";
import type { Reading } from "./meter.ts";
import { type Bytes, type Origin, Source } from "./source.ts";
import type { Run } from "./state.ts";
import { Child, type Command } from "./_subprocess_child.ts";
import { pack, unpack } from "./_subprocess_error.ts";
import type { FromChild, JobMessage, Question } from "./_subprocess_message.ts";

/** Options for {@linkcode subprocess}. */
export interface SubprocessOptions {
  /** How many attempts it takes at once. @default {2} */
  readonly slots?: number;
  /** How to start the program that calls `serveAttempt`, for a task of the DAG of this id. */
  readonly command: (dag: string) => { readonly path: string; readonly args: readonly string[] };
  /** Variables for it, beside those of this process. @default {{}} */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Makes attempts in processes of their own, one for each: for work that takes much of the processor, or leaves memory
 * behind. The program loads the DAG itself and does the task's work; what it puts out, says and asks for goes over pipes.
 * What it prints on stdout and stderr by the way becomes lines of the log.
 *
 * ```ts
 * if (args[0] === "attempt") await serveAttempt({ dags: (id) => dags.get(id) });
 * const path = Deno.execPath();
 * const command = () => ({ path, args: ["run", "-A", "main.ts", "attempt"] });
 * const executors = { inProcess: inProcess(), subprocess: subprocess({ command }) };
 * await using etl = await engine({ dags: [...dags.values()], executors });
 * ```
 *
 * An attempt that is stopped is told so, and its process group gets SIGTERM; what is left of the group after 0.8 s gets
 * SIGKILL. When this process dies, its children end, too; one whose thread is busy does as soon as it lets go of it. A
 * process that ends before its work does fails the attempt, which may be tried again. It takes `/bin/sh` and `/dev/fd`.
 */
export function subprocess({ slots = 2, command, env = {} }: SubprocessOptions): Executor {
  return executorOf(slots, async (job, supplies) => {
    job.signal.throwIfAborted();
    return await new Errand(job, supplies, { ...command(job.dag), env }).output;
  });
}

/** A job that another process does. */
class Errand {
  readonly #job: Job;
  readonly #supplies: JobSupplies;
  readonly #child: Child;
  readonly #readers: Follower[] = [];
  readonly #asked = new Map<number, AbortController>();
  readonly #output = Promise.withResolvers<Json | Bytes>();
  readonly #ended: Promise<void>;
  #readings: Reading[] = [];
  #outlet: Outlet | undefined;

  constructor(job: Job, supplies: JobSupplies, command: Command) {
    this.#job = job;
    this.#supplies = supplies;
    supplies.metered(() => this.#readings);
    const { dag, run: { id: run }, task: { id: task }, index, attempt } = job;
    const log = logger({ dag, run, task, index, attempt, now: supplies.now }, supplies.log);
    this.#child = new Child(command, (line) => log.warn(line));
    this.#ended = this.#attend().then((output) => {
      this.#outlet?.close();
      this.#output.resolve(output);
    }, (error) => {
      this.#outlet?.fail(error);
      this.#output.reject(error);
    });
  }

  /** What it puts out; a stream, as soon as it has one. */
  get output(): Promise<Json | Bytes> {
    return this.#output.promise;
  }

  /** Sees it through, from the first message until the process is gone. @throws what the job throws */
  async #attend(): Promise<Json> {
    const { signal, task } = this.#job;
    const stop = (): void => this.#child.stop(signal.reason);
    signal.addEventListener("abort", stop);
    try {
      const last = await this.#converse().catch((error: Error) => error);
      const how = await this.#child.end();
      if (last instanceof Error || !last) {
        throw new Error(`The process of task "${task.id}" ${how}`, last ? { cause: last } : {});
      }
      this.#readings = last.readings;
      if (last.type === "done") return last.output;
      for (const reader of last.damaged) this.#readers[reader]!.damaged = true;
      throw unpack(last.error);
    } finally {
      signal.removeEventListener("abort", stop);
      for (const asked of this.#asked.values()) asked.abort();
    }
  }

  /** Says what is to be done, and does what it is told until the job has ended; undefined when it never will. */
  async #converse(): Promise<FromChild & { type: "done" | "failed" } | undefined> {
    const { channel } = this.#child;
    await channel.send({ type: "job", job: toMessage(this.#job, this.#supplies) });
    for await (const message of channel.receive()) {
      if (message instanceof Uint8Array) await this.#outlet?.push(message);
      else if (message.type === "done" || message.type === "failed") return message;
      else this.#take(message);
    }
    return undefined;
  }

  #take(message: Exclude<FromChild, { type: "done" | "failed" }>): void {
    switch (message.type) {
      case "log":
        return this.#supplies.log(message.line);
      case "meters":
        this.#readings = message.readings;
        return;
      case "follow":
        this.#readers[message.reader] = this.#supplies.follow(message.writer, message.stream);
        return;
      case "stream":
        this.#outlet = new Outlet(message.origin, async (reason) => {
          this.#child.stop(reason);
          await this.#ended;
        });
        return this.#output.resolve(this.#outlet.stream);
      case "forget":
        return this.#asked.get(message.id)?.abort();
      default:
        void this.#answer(message);
    }
  }

  async #answer(question: Question): Promise<void> {
    const { id } = question;
    const { channel } = this.#child;
    const asked = new AbortController();
    this.#asked.set(id, asked);
    try {
      const value = await this.#find(question, asked.signal);
      await channel.send({ type: "answer", id, value: value ?? null });
    } catch (error) {
      await channel.send({ type: "refusal", id, error: pack(error) }).catch(() => {});
    } finally {
      this.#asked.delete(id);
    }
  }

  async #find(question: Question, signal: AbortSignal): Promise<unknown> {
    const { connections, kept, runs } = this.#supplies;
    switch (question.type) {
      case "kept":
        return await kept(question.key);
      case "connection":
        return await connections[question.name]!();
      case "runs":
        return await runs(question.query);
      case "file":
        return await this.#readers[question.reader]!.after(question.bytes, signal);
    }
  }
}

/** Hands on what the child puts out, as it is asked for. */
class Outlet {
  readonly stream: Bytes;
  #controller!: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
  #wanted = Promise.withResolvers<void>();
  #cancelled = false;

  constructor(origin: Origin | null, onCancel: (reason: unknown) => Promise<void>) {
    const source: UnderlyingDefaultSource<Uint8Array<ArrayBuffer>> = {
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#wanted.resolve(),
      cancel: async (reason) => {
        this.#cancelled = true;
        this.#wanted.resolve();
        await onCancel(reason);
      },
    };
    this.stream = origin
      ? new Source(origin, source)
      : new ReadableStream(source, { highWaterMark: 0 });
  }

  /** Resolves when somebody has taken it, or nobody ever will. */
  async push(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#wanted.promise;
    if (this.#cancelled) return;
    this.#wanted = Promise.withResolvers();
    this.#controller.enqueue(bytes);
  }

  close(): void {
    if (!this.#cancelled) this.#controller.close();
  }

  fail(error: Error): void {
    if (!this.#cancelled) this.#controller.error(error);
  }
}

function toMessage(job: Job, { connections, network, rejects, next }: JobSupplies): JobMessage {
  const { dag, task, index, attempt } = job;
  return {
    dag,
    run: onlyFor(job),
    task: task.id,
    ...index === undefined ? {} : { index },
    attempt,
    ...next ? { next: { start: next.start.toString(), end: next.end.toString() } } : {},
    connections: Object.keys(connections),
    network,
    rejects,
  };
}

/** A run without the tasks that a job cannot ask for. */
function onlyFor({ run, task }: Job): Run {
  const ids = new Set([task.id, ...task.reads, ...task.each?.reads ?? []]);
  if (task.each?.over !== undefined) ids.add(task.each.over);
  const pick = <T>(all: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(all).filter(([id]) => ids.has(id)));
  return { ...run, tasks: pick(run.tasks), mapped: pick(run.mapped) };
}
