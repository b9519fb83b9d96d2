import type { AnyDag } from "./dag.ts";
import { Alarm } from "./_alarm.ts";
import { Callbacks } from "./_callbacks.ts";
import { type Chores, soonest } from "./_chores.ts";
import { nameOf } from "./_job.ts";
import {
  type Attempting,
  type Change,
  isBefore,
  type Live,
  pastOf,
  readingsOf,
  type Step,
} from "./_live.ts";
import { type AttemptOptions, makeAttempt } from "./_make_attempt.ts";
import { Round, type RoundState } from "./_round.ts";
import { shapeOf } from "./_shape.ts";
import { demand } from "./admit.ts";
import { Cancelled, Restart } from "./attempt.ts";
import type { Reading } from "./meter.ts";
import { strays, type TaskPlace } from "./plan.ts";
import { isOver, type Run } from "./state.ts";
import { StoreFull } from "./store.ts";

/** What a loop is given. */
export interface LoopOptions
  extends AttemptOptions, Pick<RoundState, "pools" | "maxActiveRuns" | "isPaused"> {
  /** What else there is to do at times; asked before each round. */
  readonly chores: Chores;
  /** Told what went wrong that is no task's fault. */
  readonly onError: (error: unknown) => void;
}

/** After how many milliseconds it is tried again to put on record what there was no room for. */
const FULL_DELAY = 1000;
/** How many milliseconds attempts may take to end once they were stopped. */
const STOP_DELAY = 5000;

/**
 * Appends events and hands out attempts; what is to happen is for `plan`, `settle` and `admit` to say.
 *
 * It goes in rounds: all that was asked for meanwhile is made events of, of which each run's go on record at once.
 */
export class Loop {
  readonly #options: LoopOptions;
  readonly #callbacks: Callbacks;
  readonly #alarm: Alarm;
  readonly #live = new Map<string, Live>();
  readonly #touched = new Set<Live>();
  #ages = 0;
  readonly #turns = new Set<string>();
  #rounds: Promise<void> | undefined;
  #asked = false;
  /** The runs of which there is no room to put anything on record; aborted when nobody waits for room any more. */
  readonly #stuck = new Set<Live>();
  readonly #hurry = new AbortController();
  #waits = false;
  /** Whether nothing begins any more. */
  #draining = false;
  #closed = false;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#callbacks = new Callbacks(options);
    this.#alarm = new Alarm(options, () => this.#ring());
  }

  /** Takes a run on; `done` resolves when it is over. */
  add(dag: AnyDag, run: Run): Live {
    const live: Live = {
      dag,
      run,
      age: this.#ages++,
      date: Temporal.Instant.from(run.logicalDate).epochMilliseconds,
      done: Promise.withResolvers(),
      attempts: new Map(),
      inbox: [],
      demand: { candidates: [], holders: [] },
      due: undefined,
      past: undefined,
    };
    live.done.promise.catch(() => {});
    this.#live.set(run.id, live);
    this.#touch(live);
    this.#tellSuccessors(live);
    return live;
  }

  /** A run that is not over. */
  get(run: string): Live | undefined {
    return this.#live.get(run);
  }

  /** All of them. */
  get runs(): Iterable<Live> {
    return this.#live.values();
  }

  /** Changes a run by what `events` makes of it; resolves with it when that is on record, after `then` was called. */
  change(live: Live, events: Change["events"], then: Change["then"] = () => {}): Promise<Run> {
    const made = Promise.withResolvers<Run>();
    if (this.#closed) made.reject(closedBefore(live.run));
    live.inbox.push({ events, then, made });
    this.#touch(live);
    return made.promise;
  }

  /** Stops attempts at some places; a new one begins at none of them before the old one has ended. */
  stop(live: Live, places: readonly TaskPlace[], reason: Error): Promise<unknown> {
    const names = new Set(places.map(({ task, index }) => nameOf(task, index)));
    const attempts = [...live.attempts].filter(([name]) => names.has(name));
    for (const [, { stop }] of attempts) stop.abort(reason);
    return Promise.all(attempts.map(([, { ended }]) => ended));
  }

  /** What stands on the meters of the tasks of a run that is not over. */
  readings(run: string): Readonly<Record<string, readonly Reading[]>> {
    const live = this.#live.get(run);
    return live ? readingsOf(live) : {};
  }

  /** Looks again what there is to do, since something changed that is no run. */
  wake(): void {
    this.#asked = true;
    for (const live of this.#live.values()) this.#touched.add(live);
    this.#go();
  }

  /**
   * Begins nothing any more; resolves when all attempts have ended. When the signal is aborted they are stopped, and a
   * little later given up if they do not heed that.
   */
  async drain(signal: AbortSignal): Promise<void> {
    this.#draining = true;
    const late = Promise.withResolvers<void>();
    const over = new AbortController();
    const stop = (): void => {
      this.#hurry.abort();
      for (const { stop } of this.#attempts) stop.abort(new Restart("The engine is closed"));
      this.#options.sleep(STOP_DELAY, over.signal).then(late.resolve, () => {});
    };
    signal.addEventListener("abort", stop);
    // The round that is under way may still begin some.
    await this.#rounds;
    if (signal.aborted) stop();
    await Promise.race([Promise.all(this.#attempts.map(({ ended }) => ended)), late.promise]);
    signal.removeEventListener("abort", stop);
    over.abort();
    await this.#rounds;
  }

  /** Ends all that is under way; the runs stay as they are on record. Tells which executors have not ended all. */
  async close(): Promise<ReadonlySet<string>> {
    await this.drain(AbortSignal.abort());
    this.#closed = true;
    this.#alarm.set(undefined);
    const left = new Set(this.#attempts.map(({ executor }) => executor));
    for (const { run, done, attempts, inbox } of this.#live.values()) {
      for (const { made } of inbox) made.reject(closedBefore(run));
      for (const name of attempts.keys()) {
        const error = `Cannot stop task "${name}" of run "${run.id}": it does not heed its signal`;
        this.#options.onError(new Error(error));
      }
      done.reject(new Error(`Cannot tell how run "${run.id}" ends: the engine was closed before`));
    }
    this.#live.clear();
    return left;
  }

  get #attempts(): Attempting[] {
    return [...this.#live.values()].flatMap((live) => [...live.attempts.values()]);
  }

  #touch(live: Live): void {
    this.#touched.add(live);
    this.#go();
  }

  /** Goes on in rounds until there is nothing to do; what comes together is done in one. */
  #go(): void {
    if (this.#closed) return;
    this.#rounds ??= (async () => {
      await Promise.resolve();
      while (this.#touched.size > 0 || this.#asked || this.#isChoreDue()) {
        await this.#round().catch(this.#options.onError);
      }
      // Not any later: what comes from now on begins anew.
      this.#rounds = undefined;
      this.#arm();
    })();
  }

  async #round(): Promise<void> {
    const { now: clock, chores, store } = this.#options;
    this.#asked = false;
    if (!this.#draining) await chores.run(clock());
    // Both now: of what comes meanwhile the past is not known.
    const touched = new Set(this.#touched);
    const lives = new Set(this.#live.values());
    this.#touched.clear();
    for (const live of touched) {
      if (!shapeOf(live.dag).dependsOnPast) continue;
      try {
        live.past = await pastOf(store, live.run);
      } catch (cause) {
        touched.delete(live);
        lives.delete(live);
        this.#giveUp({ live, changes: [] }, cause);
      }
    }
    const now = clock();
    const steps = new Round({ ...this.#options, lives: [...lives], turns: this.#turns, now })
      .make([...touched], !this.#draining);
    await Promise.all([...steps.values()].map(async (step) => {
      const { live, events, changes } = step;
      try {
        if (events.length > 0 && !await store.append(live.run.id, live.run.version, events)) {
          // Someone else changed it: look again.
          live.run = (await store.get(live.run.id)) ?? live.run;
          live.inbox.unshift(...changes);
          this.#touched.add(live);
          steps.delete(live);
        }
        this.#stuck.delete(live);
      } catch (cause) {
        steps.delete(live);
        if (cause instanceof StoreFull && !this.#hurry.signal.aborted) this.#wait(step, cause);
        else this.#giveUp(step, cause);
      }
    }));
    for (const step of steps.values()) this.#follow(step, now);
  }

  /** Does what follows from what went on record. */
  #follow({ live, run, events, changes, begun, stops }: Step, now: Temporal.Instant): void {
    const before = live.run;
    live.run = run;
    if (begun.length > 0) live.demand = demand(live.dag, run, live.age);
    for (const { then, made } of changes) {
      then();
      made.resolve(run);
    }
    for (const place of begun) this.#begin(live, place);
    if (events.length > 0) this.#callbacks.tell(live.dag, before, run, events);
    for (const { task, index, why } of [...stops, ...strays(live.dag, run, now)]) {
      const stop = live.attempts.get(nameOf(task, index))?.stop;
      stop?.abort(
        why === "ended"
          ? new Cancelled(`The run was ended: ${run.ending?.reason}`)
          : new Restart("What it reads does not come"),
      );
    }
    if (isOver(run) && live.attempts.size === 0 && live.inbox.length === 0) this.#finish(live);
    else if (events.length > 0) this.#tellSuccessors(live);
  }

  #begin(live: Live, place: TaskPlace): void {
    const { pool = "default", slots = 1, executor = "inProcess" } = live.dag.tasks.get(place.task)!
      .options;
    const attempting: Attempting = {
      ...place,
      stop: new AbortController(),
      pool,
      slots,
      executor,
      ended: Promise.resolve(),
      readings: () => [],
    };
    const name = nameOf(place.task, place.index);
    live.attempts.set(name, attempting);
    attempting.ended = makeAttempt(live, attempting, this, this.#options, () => {
      live.attempts.delete(name);
    }).catch(() => {});
  }

  #finish(live: Live): void {
    if (!this.#live.delete(live.run.id)) return;
    this.#asked = true;
    this.#options.chores.ended(live.run);
    this.#tellSuccessors(live);
    this.#options.spool.release(live.run.id)
      .then(() => live.done.resolve(live.run), (error) => live.done.reject(error));
  }

  /** Has runs looked at again that may wait for this one. */
  #tellSuccessors({ dag: { id }, run }: Live): void {
    for (const other of this.#live.values()) {
      // It goes by its own version of the DAG, whatever that of this one says.
      if (other.dag.id !== id || !shapeOf(other.dag).dependsOnPast) continue;
      // Only later ones: two of the same moment would tell each other without end.
      if (isBefore(run, other.run)) this.#touched.add(other);
    }
  }

  /** Keeps what was to change, and what runs, until there may be room for it on record. */
  #wait({ live, changes }: Step, cause: StoreFull): void {
    live.inbox.unshift(...changes);
    live.demand = demand(live.dag, live.run, live.age);
    if (this.#stuck.size === 0) this.#options.onError(cause);
    this.#stuck.add(live);
    if (this.#waits) return;
    this.#waits = true;
    this.#options.sleep(FULL_DELAY, this.#hurry.signal).catch(() => {}).then(() => {
      this.#waits = false;
      for (const live of this.#stuck) this.#touch(live);
    });
  }

  /** Gives a run up, which only a store that fails makes it. */
  #giveUp({ live, changes }: Pick<Step, "live" | "changes">, cause: unknown): void {
    const error = new Error(`Cannot go on with run "${live.run.id}"`, { cause });
    for (const { made } of changes) made.reject(error);
    for (const { made } of live.inbox) made.reject(error);
    for (const { stop } of live.attempts.values()) stop.abort(error);
    this.#stuck.delete(live);
    this.#live.delete(live.run.id);
    live.done.reject(error);
  }

  #isChoreDue(): boolean {
    const due = this.#draining ? undefined : this.#options.chores.due();
    return due !== undefined && Temporal.Instant.compare(due, this.#options.now()) <= 0;
  }

  /** Sets the one timer for what is next due. */
  #arm(): void {
    const dues = [...this.#live.values()].map((live) => live.due);
    this.#alarm.set(this.#draining ? undefined : soonest([this.#options.chores.due(), ...dues]));
  }

  #ring(): void {
    for (const live of this.#live.values()) if (live.due) this.#touched.add(live);
    this.#asked = true;
    this.#go();
  }
}

function closedBefore({ id }: Run): TypeError {
  return new TypeError(`Cannot change run "${id}": the engine is closed`);
}
