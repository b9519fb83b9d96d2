import type { Attempt, Outcome, Surroundings } from "../../engine/attempt.ts";
import type { LogLine } from "../../engine/_context.ts";
import { sleep } from "../../engine/_deadline.ts";
import type { Executor } from "../../engine/executor.ts";
import { nameOf } from "../../engine/_job.ts";
import type { Interval, Reading, Run, StreamState, TaskRun } from "../../engine/mod.ts";
import { openSpool, type Spool } from "../../engine/spool.ts";
import { trials } from "./_executor_dags.ts";

/** An attempt that is under way. */
export interface Trial {
  readonly outcome: Promise<Outcome>;
  /** What it said so far. */
  readonly lines: readonly LogLine[];
  /** Resolves when it has put out a stream. */
  readonly opened: Promise<void>;
  readings(): readonly Reading[];
  stop(reason: Error): void;
}

/** What an attempt may find otherwise than usual. */
export interface TrialOptions extends Partial<Pick<Attempt, "index" | "attempt">> {
  readonly around?: Partial<Surroundings>;
  /** What is done before another file takes the place of what it writes. */
  readonly replace?: () => Promise<void>;
  /** What is awaited before its success is on record. */
  readonly settle?: () => Promise<void>;
}

const at = (time: string): Temporal.ZonedDateTime => Temporal.ZonedDateTime.from(time);
const next: Interval = { start: at("2021-02-01T00:00[UTC]"), end: at("2021-03-01T00:00[UTC]") };

/** A run without an engine: attempts are begun by the test, and what comes of them is noted in the run. */
export class Stage implements AsyncDisposable {
  run: Run;
  readonly #executor: Executor;
  readonly #spool: Spool;
  readonly #home: string;
  readonly #stop = new AbortController();
  readonly #trials: Promise<Outcome>[] = [];

  private constructor(executor: Executor, spool: Spool, home: string, run: Run) {
    this.#executor = executor;
    this.#spool = spool;
    this.#home = home;
    this.run = run;
  }

  /** Makes a run of one of the trials. */
  static async open(executor: Executor, dag: string, url = ""): Promise<Stage> {
    const home = await Deno.makeTempDir({ prefix: "executor_" });
    const spool = await openSpool(home, { clock: () => performance.now() });
    const none: TaskRun = { state: "none", attempt: 0, retries: 0 };
    return new Stage(executor, spool, home, {
      id: "manual__20210101T000000Z",
      dag,
      kind: "manual",
      version: 1,
      state: "running",
      cleared: 0,
      interval: { start: "2021-01-01T00:00:00+00:00[UTC]", end: "2021-02-01T00:00:00+00:00[UTC]" },
      logicalDate: "2021-01-01T00:00:00Z",
      runAfter: "2021-02-01T00:00:00Z",
      params: { url },
      created: "2021-02-01T00:00:00Z",
      tasks: Object.fromEntries([...trials[dag]!.tasks.keys()].map((id) => [id, none])),
      mapped: {},
    });
  }

  /** Where its files are. */
  get home(): string {
    return this.#home;
  }

  /** Begins an attempt. */
  begin(task: string, options: TrialOptions = {}): Trial {
    const { attempt = 1, index, around, replace = () => Promise.resolve() } = options;
    const dag = trials[this.run.dag]!;
    const stop = new AbortController();
    const lines: LogLine[] = [];
    const opened = Promise.withResolvers<void>();
    let read = (): readonly Reading[] => [];
    this.set(task, { state: "running", attempt, retries: 0 }, index);
    const outcome = this.#executor.execute({
      dag,
      run: this.run,
      task: dag.tasks.get(task)!,
      ...index === undefined ? {} : { index },
      attempt,
      signal: AbortSignal.any([stop.signal, this.#stop.signal]),
    }, {
      spool: this.#spool,
      connections: {},
      network: "any",
      next,
      now: Temporal.Now.instant,
      clock: () => performance.now(),
      sleep,
      log: (line) => void lines.push(line),
      opened: (stream: StreamState) => {
        this.set(task, { state: "running", attempt, retries: 0, stream }, index);
        opened.resolve();
        return Promise.resolve();
      },
      replace,
      metered: (meters) => void (read = meters),
      runs: () => Promise.resolve([]),
      ...around,
    }).then(async (outcome) => {
      if (outcome.state !== "success") return outcome;
      await options.settle?.();
      const { output, stream } = outcome;
      const done: TaskRun = { state: "success", attempt, retries: 0, output };
      this.set(task, stream ? { ...done, stream } : done, index);
      this.#spool.commit({ run: this.run.id, task: nameOf(task, index) });
      return outcome;
    });
    this.#trials.push(outcome);
    return {
      outcome,
      lines,
      opened: opened.promise,
      readings: () => read(),
      stop: (reason) => stop.abort(reason),
    };
  }

  /** Notes down how it is with a task. */
  set(task: string, to: TaskRun, index?: number): void {
    const { run } = this;
    if (index === undefined) this.run = { ...run, tasks: { ...run.tasks, [task]: to } };
    else {
      const instances = [...run.mapped[task]!].with(index, to);
      this.run = { ...run, mapped: { ...run.mapped, [task]: instances } };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("The test is over"));
    await Promise.all(this.#trials);
    await this.#spool[Symbol.asyncDispose]();
    await Deno.remove(this.#home, { recursive: true });
  }
}

/** Somewhere to ask; each who does waits for an answer. */
export class Gate implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #asked = Promise.withResolvers<void>();
  readonly #open = Promise.withResolvers<void>();

  constructor() {
    this.#server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async () => {
      this.#asked.resolve();
      await this.#open.promise;
      return new Response("open");
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  /** Resolves when the first has come. */
  get asked(): Promise<void> {
    return this.#asked.promise;
  }

  /** Answers all. */
  open(): void {
    this.#open.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.open();
    await this.#server.shutdown();
  }
}

/** Resolves when something is so. */
export async function eventually(is: () => boolean, ms = 60_000): Promise<void> {
  for (const end = performance.now() + ms; !is();) {
    if (performance.now() > end) throw new Error("it did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Whether a process lives; one that is dead and has not been asked how does not. */
export function lives(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
