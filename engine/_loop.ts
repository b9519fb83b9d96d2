import { attempt, Cancelled, Restart, type Surroundings } from "./attempt.ts";
import type { Reading } from "./meter.ts";
import { admit, type AnyDag, nextDue, plan, strays } from "./plan.ts";
import { settle } from "./settle.ts";
import { type Event, isDone, isOver, reduce, type Run, type TaskRun } from "./state.ts";
import type { Store } from "./store.ts";

/** What a loop is given. */
export interface LoopOptions extends Omit<Surroundings, "opened" | "replace" | "metered"> {
  readonly store: Store;
}

/** A run that is not over. */
interface Live {
  readonly dag: AnyDag;
  run: Run;
  readonly done: PromiseWithResolvers<Run>;
  readonly attempts: Map<string, Attempting>;
  /** Whether it has been let in. */
  admitted: boolean;
  /** Whether it is being ended by hand: then nothing begins any more. */
  ending: boolean;
  /** When something is next due in it by the clock. */
  due: Temporal.Instant | undefined;
  /** Its changes, one after the other. */
  turn: Promise<unknown>;
}

interface Attempting {
  readonly stop: AbortController;
  ended: Promise<void>;
  readings: () => Reading[];
}

/** Appends events and hands out attempts; what is to happen is for `plan`, `settle` and `admit` to say. */
export class Loop {
  readonly #options: LoopOptions;
  readonly #live = new Map<string, Live>();
  #timer: { readonly due: Temporal.Instant; readonly stop: AbortController } | undefined;
  #closed = false;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /** Takes a run on; resolves when it is over. */
  add(dag: AnyDag, run: Run): Promise<Run> {
    const live: Live = {
      dag,
      run,
      done: Promise.withResolvers(),
      attempts: new Map(),
      admitted: false,
      ending: false,
      due: undefined,
      turn: Promise.resolve(),
    };
    live.done.promise.catch(() => {});
    this.#live.set(run.id, live);
    this.#admit();
    return live.done.promise;
  }

  /** What stands on the meters of the tasks of a run that is not over. */
  readings(run: string): Readonly<Record<string, readonly Reading[]>> {
    const live = this.#live.get(run);
    if (!live) return {};
    return Object.fromEntries(
      Object.entries(live.run.tasks).map(([id, task]) => {
        return [id, live.attempts.get(id)?.readings() ?? task.readings ?? []];
      }),
    );
  }

  /** Ends a run as failed, and waits until its attempts have stopped. False when it is not one of ours. */
  async end(run: string, reason: string): Promise<boolean> {
    const live = this.#live.get(run);
    if (live) await this.#end(live, reason);
    return live !== undefined;
  }

  /** Ends all runs, and takes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.stop.abort();
    const ends = [...this.#live.values()].map((live) => this.#end(live, "the engine was closed"));
    await Promise.allSettled(ends);
  }

  /** Changes a run by what `events` makes of it; `then` is called at once when they are on record. */
  #change(live: Live, events: (run: Run) => readonly Event[], then = () => {}): Promise<void> {
    const turn = live.turn.then(async () => {
      for (;;) {
        const next = events(live.run);
        if (next.length === 0) return;
        if (await this.#options.store.append(live.run.id, live.run.version, next)) {
          live.run = next.reduce(reduce, live.run);
          return then();
        }
        // Someone else changed it: look again.
        live.run = (await this.#options.store.get(live.run.id))!;
      }
    });
    live.turn = turn.catch(() => {});
    return turn;
  }

  /** Lets runs in, as many as may be under way. */
  #admit(): void {
    const lives = [...this.#live.values()];
    const room: Record<string, number> = {};
    for (const { dag } of lives) {
      const active = lives.filter((live) => live.dag === dag && live.admitted).length;
      room[dag.id] = (dag.options.maxActiveRuns ?? 16) - active;
    }
    const waiting = lives.filter((live) => !live.admitted && !live.ending).map((live) => live.run);
    for (const { id } of admit(waiting, room)) {
      const live = this.#live.get(id)!;
      live.admitted = true;
      this.#guard(live, async () => {
        await this.#change(live, (run) => {
          if (live.ending || run.state !== "queued") return [];
          return [{ type: "run_changed", run: id, at: this.#at(), to: "running" }];
        });
        await this.#advance(live);
      });
    }
  }

  /** Does what is to be done next in a run. */
  async #advance(live: Live): Promise<void> {
    let begun: string[] = [];
    let now = this.#options.now();
    await this.#change(live, (run) => {
      if (live.ending) return [];
      now = this.#options.now();
      const planned = plan(live.dag, run, now);
      const ready = Object.entries(planned.reduce(reduce, run).tasks)
        .filter(([id, task]) => task.state === "scheduled" && !live.attempts.has(id));
      begun = ready.map(([id]) => id);
      return [...planned, ...ready.map(([id, task]) => this.#changed(run, id, begin(task, now)))];
    }, () => {
      for (const id of begun) this.#begin(live, id);
    });
    if (live.ending) return;
    for (const id of strays(live.dag, live.run, now)) {
      live.attempts.get(id)?.stop.abort(new Restart("What it reads does not come"));
    }
    live.due = nextDue(live.run, now);
    if (isOver(live.run)) await this.#finish(live);
    else this.#arm();
  }

  #begin(live: Live, id: string): void {
    const attempting: Attempting = {
      stop: new AbortController(),
      ended: Promise.resolve(),
      readings: () => [],
    };
    live.attempts.set(id, attempting);
    attempting.ended = this.#guard(live, () => this.#attempt(live, id, attempting));
  }

  async #attempt(live: Live, task: string, attempting: Attempting): Promise<void> {
    const { run, dag } = live;
    const { spool, now, ...rest } = this.#options;
    const owner = { run: run.id, task };
    const outcome = await attempt({
      dag,
      run,
      task: dag.tasks.get(task)!,
      attempt: run.tasks[task]!.attempt,
      signal: attempting.stop.signal,
    }, {
      ...rest,
      spool,
      now,
      opened: async (stream) => {
        await this.#change(live, (run) => {
          return [this.#changed(run, task, { ...run.tasks[task]!, stream })];
        });
        await this.#advance(live);
      },
      replace: async () => {
        await this.#change(live, (run) => {
          const { stream, ...rest } = run.tasks[task]!;
          return stream ? [this.#changed(run, task, rest)] : [];
        });
        const readers = [...live.attempts].filter(([id]) =>
          dag.tasks.get(id)!.reads.includes(task)
        );
        for (const [, { stop }] of readers) stop.abort(new Restart("What it reads was replaced"));
        await Promise.all(readers.map(([, { ended }]) => ended));
      },
      metered: (read) => void (attempting.readings = read),
    });
    if (outcome.state === "none") {
      for (const id of outcome.lost) {
        live.attempts.get(id)?.stop.abort(new Restart("What it wrote is gone"));
        await spool.drop({ run: run.id, task: id }, true);
      }
    }
    await this.#change(live, (run) => {
      return settle(dag, run, { task, outcome, now: now(), readings: attempting.readings() });
    }, () => {
      if (outcome.state === "success") spool.commit(owner);
    });
    live.attempts.delete(task);
    await this.#advance(live);
  }

  /** Ends a run by hand. */
  async #end(live: Live, reason: string): Promise<void> {
    live.ending = true;
    await live.turn;
    const attempts = [...live.attempts.values()];
    for (const { stop } of attempts) stop.abort(new Cancelled(`The run was ended: ${reason}`));
    await Promise.all(attempts.map(({ ended }) => ended));
    await this.#change(live, (run) => {
      if (isOver(run)) return [];
      const open = Object.entries(run.tasks).filter(([, task]) => !isDone(task.state));
      return [
        ...open.map(([id, { due: _, ...task }]) => {
          return this.#changed(run, id, { ...task, state: "skipped", reason });
        }),
        { type: "run_changed", run: run.id, at: this.#at(), to: "failed", reason },
      ];
    });
    await this.#finish(live);
    await live.done.promise;
  }

  async #finish(live: Live): Promise<void> {
    if (!this.#live.delete(live.run.id)) return;
    await this.#options.spool.release(live.run.id);
    live.done.resolve(live.run);
    this.#arm();
    if (!this.#closed) this.#admit();
  }

  /** Sets the one timer for what is next due in any run. */
  #arm(): void {
    const { now, sleep } = this.#options;
    const [due] = [...this.#live.values()].flatMap((live) => live.due ?? [])
      .sort(Temporal.Instant.compare);
    if (due && this.#timer?.due.equals(due)) return;
    this.#timer?.stop.abort();
    this.#timer = undefined;
    if (!due || this.#closed) return;
    const timer = this.#timer = { due, stop: new AbortController() };
    const ms = Math.max(0, Math.ceil(now().until(due).total("milliseconds")));
    sleep(ms, timer.stop.signal).then(() => {
      if (this.#timer !== timer) return;
      this.#timer = undefined;
      for (const live of this.#live.values()) {
        if (live.due) this.#guard(live, () => this.#advance(live));
      }
    }, () => {});
  }

  /** Does something for a run; when that fails, which only a store that fails makes it, the run is given up. */
  async #guard(live: Live, what: () => Promise<void>): Promise<void> {
    try {
      await what();
    } catch (cause) {
      live.ending = true;
      const error = new Error(`Cannot go on with run "${live.run.id}"`, { cause });
      for (const { stop } of live.attempts.values()) stop.abort(error);
      this.#live.delete(live.run.id);
      live.done.reject(error);
    }
  }

  #changed(run: Run, task: string, to: TaskRun): Event {
    return { type: "task_changed", run: run.id, at: this.#at(), task, to };
  }

  #at(): string {
    return this.#options.now().toString();
  }
}

/** A task whose next attempt begins. */
function begin(
  { ended: _, error: __, reason: ___, ...task }: TaskRun,
  now: Temporal.Instant,
): TaskRun {
  return { ...task, state: "running", attempt: task.attempt + 1, started: now.toString() };
}
