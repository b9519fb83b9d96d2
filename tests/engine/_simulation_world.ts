import {
  type AnyContext,
  type Attempt,
  type Engine,
  engine,
  type Executor,
  file,
  GiveUp,
  inProcess,
  memory,
  NotYet,
  Skip,
  type Store,
} from "../../engine/mod.ts";
import { type Bug, withExecutorBug, withStoreBug } from "./_simulation_bugs.ts";
import { type Actor, type DagPlan, makeDag } from "./_simulation_dags.ts";
import { Broken, ensure, Ledger, nameOf } from "./_simulation_ledger.ts";
import { type Random, random } from "./_simulation_random.ts";
import { writersOf } from "./_simulation_rules.ts";
import { SimulatedTime, turn } from "./_simulation_time.ts";

/** Turns of the event loop without news until nothing is on its way any more: a commit takes eight. */
const QUIET = 11;

/** How much there is of everything. */
export const POOLS: Readonly<Record<string, number>> = { default: 5, small: 2 };
export const EXECUTORS: Readonly<Record<string, number>> = { inProcess: 5, other: 2 };

/** Something of an attempt that waits for the simulation to say how it goes on. */
export interface Waiting {
  readonly ctx: AnyContext;
  readonly what: "work" | "open" | "pull" | "middle";
  /** Whether it was told to stop, and takes its time. */
  stopped: boolean;
  end(how: How): void;
}

/** How something ends. */
export type How = "success" | "error" | "skip" | "give up" | "not yet" | "end";

/** An attempt that is under way. */
export interface LiveAttempt extends Attempt {
  readonly life: Life;
}

/** One engine, from its start to its end. */
export interface Life {
  readonly engine: Engine;
  /** Whether its process has died: nothing it does counts any more. */
  dead: boolean;
  /** Whether it is told to end. */
  ending: boolean;
  /** After how many calls of the store it dies, and whether the last of them is still made. */
  fuse: { left: number; readonly after: boolean } | undefined;
  /** What was asked of it and is not done. */
  readonly asked: Set<Promise<unknown>>;
}

/** All that is outside of an engine: time, disk, the work that tasks do, and what is known of it all. */
export class World implements Actor {
  readonly random: Random;
  readonly time = new SimulatedTime("2024-03-01T00:07:00Z");
  readonly ledger = new Ledger();
  readonly waiting = new Set<Waiting>();
  readonly live = new Map<string, LiveAttempt>();
  /** The DAGs that are paused, as far as that is on record. */
  readonly paused = new Set<string>();
  readonly bug: Bug | undefined;
  /** How many runs of all DAGs may be under way at once. */
  readonly maxActiveRuns: number;
  plans: DagPlan[] = [];
  life: Life | undefined;
  store: Store;
  /** What went wrong where nobody waits for it. */
  #broken: unknown;
  readonly #attempts = new Map<string, number>();
  readonly #home: string;
  readonly #durable: boolean;

  private constructor(seed: number, store: Store, home: string, options: WorldOptions) {
    this.random = random(seed);
    this.store = store;
    this.bug = options.bug;
    this.#home = home;
    this.#durable = options.durable ?? false;
    this.maxActiveRuns = this.random.chance(0.3) ? this.random.int(2, 4) : Infinity;
  }

  static async open(seed: number, home: string, options: WorldOptions): Promise<World> {
    const store = options.durable ? await file(home) : memory();
    return new World(seed, store, home, options);
  }

  /** Starts an engine on what the last one left. */
  async boot(): Promise<void> {
    const life: Life = {
      engine: undefined as never,
      dead: false,
      ending: false,
      fuse: undefined,
      asked: new Set(),
    };
    const { now, clock, sleep } = this.time;
    const executors = Object.fromEntries(
      Object.entries(EXECUTORS).map(([name, slots]) => {
        return [name, withExecutorBug(this.#watched(inProcess({ slots }), life), this.bug)];
      }),
    );
    for (const { id } of this.plans) this.ledger.activated(id);
    const made = await engine({
      dags: this.#definitions(),
      home: this.#home,
      store: withStoreBug(this.#mortal(life), this.bug),
      executors,
      pools: POOLS,
      maxActiveRuns: this.maxActiveRuns,
      onError: (error) => {
        if (!life.dead && !life.ending) this.breaks(error);
      },
      now,
      clock,
      sleep,
    });
    this.life = Object.assign(life, { engine: made });
    await made.start();
    // Of a pause that was not acknowledged, nobody knows.
    this.paused.clear();
    for (const { id } of this.plans) if (made.status(id).paused) this.paused.add(id);
    await this.settle();
  }

  /** Ends the engine; what it has on record stays. */
  async end({ dead }: { dead: boolean }): Promise<void> {
    const { life } = this;
    if (!life) return;
    life.dead ||= dead;
    life.ending = true;
    let isClosed = false;
    const closed = Promise.resolve(life.engine[Symbol.asyncDispose]()).finally(() =>
      isClosed = true
    );
    for (let i = 0; !isClosed; i++) {
      ensure(i < 100, () => "The engine does not end");
      // What takes its time has to stop at last.
      for (const one of [...this.waiting]) if (one.ctx.signal.aborted) one.end("error");
      await this.time.advance(i === 0 ? 0 : 1000, turn);
      await turn();
    }
    await closed;
    await Promise.allSettled(life.asked);
    this.life = undefined;
    this.live.clear();
    if (!this.#durable) return;
    await this.store[Symbol.asyncDispose]();
    this.store = await file(this.#home);
  }

  /** Lets all that can happen now happen. */
  async settle(): Promise<void> {
    for (let quiet = 0, i = 0; quiet < QUIET; i++) {
      ensure(i < 1000, () => "It does not settle");
      const before = this.#events;
      await turn();
      quiet = before === this.#events ? quiet + 1 : 0;
    }
    if (this.#broken !== undefined) throw this.#broken;
  }
  #events = 0;

  breaks(error: unknown): void {
    this.#broken ??= error;
  }

  replace(plans: DagPlan[]): ReturnType<Engine["replace"]> {
    this.plans = plans;
    for (const { id } of plans) this.ledger.activated(id);
    return this.life!.engine.replace(this.#definitions());
  }

  #definitions() {
    return this.plans.map((plan) => {
      this.ledger.know(plan);
      return { dag: makeDag(plan, this), hash: plan.hash };
    });
  }

  // What tasks do.

  async act(ctx: AnyContext, what: Waiting["what"]): Promise<string> {
    const { random: r } = this;
    const { signal } = ctx;
    signal.throwIfAborted();
    const how = r.chance(0.15) ? this.chooseEnd(what) : await new Promise<How>((resolve) => {
      const slow = r.chance(0.15);
      const waiting: Waiting = {
        ctx,
        what,
        stopped: false,
        end: (how) => {
          this.waiting.delete(waiting);
          signal.removeEventListener("abort", stop);
          resolve(how);
        },
      };
      const stop = (): void => {
        waiting.stopped = true;
        if (!slow) waiting.end("error");
      };
      this.waiting.add(waiting);
      signal.addEventListener("abort", stop);
    });
    signal.throwIfAborted();
    if (how === "error") throw new Error("It broke");
    if (how === "skip") throw new Skip("There is nothing to do");
    if (how === "give up") throw new GiveUp("It never will");
    if (how === "not yet") throw new NotYet("Not yet");
    return how;
  }

  /** How something may end. */
  chooseEnd(what: Waiting["what"]): How {
    const { random: r } = this;
    if (what === "pull") return r.weigh({ success: 5, end: 4, error: 2 });
    if (what === "middle") return r.weigh({ success: 5, error: 1 });
    return r.weigh({ success: 14, error: 4, skip: 1, "give up": 1, "not yet": 1 });
  }

  /** The end of a stream is seen only when the writer's success is on record. */
  sawEnd(ctx: AnyContext): void {
    const run = this.ledger.runs.get(ctx.run)!;
    const plan = this.ledger.planOf(run);
    const task = plan.tasks.find(({ id }) => id === ctx.task)!;
    const early = writersOf(plan, run, task, ctx.index).some(({ state }) => state !== "success");
    const name = nameOf(ctx.run, ctx.task, ctx.index);
    if (early && !ctx.signal.aborted) {
      this.breaks(new Broken(`${name} sees the end of what is not committed`));
    }
  }

  // What the engine is given.

  /** Tells what is under way of each instance, and that limits hold. */
  #watched(inner: Executor, life: Life): Executor {
    return {
      slots: inner.slots,
      execute: async (attempt, around) => {
        this.#events++;
        if (life.dead) return { state: "none", lost: [] };
        const key = nameOf(attempt.run.id, attempt.task.id, attempt.index);
        try {
          this.#checkStart(key, attempt);
        } catch (error) {
          this.breaks(error);
        }
        this.live.set(key, { ...attempt, life });
        const outcome = await inner.execute(attempt, around);
        this.#events++;
        this.live.delete(key);
        if (!life.dead) this.ledger.ended(attempt, outcome);
        return outcome;
      },
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    };
  }

  #checkStart(key: string, { run, task, index, attempt }: Attempt): void {
    ensure(!this.live.has(key), () => `${key} begins, but an attempt of it is under way`);
    const last = this.#attempts.get(key) ?? 0;
    ensure(attempt > last, () => `Attempt ${attempt} of ${key} begins after attempt ${last}`);
    this.#attempts.set(key, attempt);
    const now = this.ledger.runs.get(run.id)!;
    const at = index === undefined ? now.tasks[task.id]! : now.mapped[task.id]![index]!;
    ensure(
      at.state === "running" && at.attempt === attempt,
      () => `${key} begins, and is not on record as running: ${JSON.stringify(at)}`,
    );
    if (this.paused.has(run.dag) && !now.ending) {
      const plan = this.ledger.planOf(run);
      const feeds = [...this.live.values()].some((one) =>
        one.run.id === run.id && one.task.reads.includes(task.id)
      );
      ensure(feeds, () => `${key} begins though ${plan.id} is paused`);
    }
    const { pool = "default", slots = 1, executor = "inProcess" } = task.options;
    const taken = this.taken();
    ensure(
      (taken.pools[pool] ?? 0) + slots <= POOLS[pool]!,
      () => `${key} takes ${slots} of pool ${pool}, of which ${taken.pools[pool]} are taken`,
    );
    ensure(
      (taken.executors[executor] ?? 0) < EXECUTORS[executor]!,
      () => `${key} begins, but executor ${executor} has no slot`,
    );
    const limit = task.each?.limit;
    const beside =
      [...this.live.values()].filter((one) => one.run.id === run.id && one.task.id === task.id)
        .length;
    ensure(
      limit === undefined || beside < limit,
      () => `${key} begins beside ${beside} others, and ${limit} may run`,
    );
  }

  /** What the attempts that are under way take. */
  taken(): { pools: Record<string, number>; executors: Record<string, number> } {
    const pools: Record<string, number> = {};
    const executors: Record<string, number> = {};
    for (const { task: { options } } of this.live.values()) {
      const { pool = "default", slots = 1, executor = "inProcess" } = options;
      pools[pool] = (pools[pool] ?? 0) + slots;
      executors[executor] = (executors[executor] ?? 0) + 1;
    }
    return { pools, executors };
  }

  /** The store as one process sees it: before or after any call, the process may die. */
  #mortal(life: Life): Store {
    const call = async <T>(make: () => Promise<T>): Promise<T> => {
      const died = (): Error => new Error("The process is dead");
      this.#events++;
      if (life.dead) throw died();
      const { fuse } = life;
      const last = fuse !== undefined && fuse.left-- === 0;
      if (last && !fuse.after) {
        life.dead = true;
        throw died();
      }
      const value = await make();
      if (last) life.dead = true;
      if (life.dead) throw died();
      return value;
    };
    const inner = (): Store => this.store;
    return {
      append: (id, version, events) =>
        call(async () => {
          const done = await inner().append(id, version, events);
          try {
            if (done) this.ledger.record(id, events);
          } catch (error) {
            this.breaks(error);
          }
          return done;
        }),
      get: (id) => call(() => inner().get(id)),
      list: (query) => call(() => inner().list(query)),
      history: (run) => call(() => inner().history(run)),
      last: () => call(() => inner().last()),
      dag: (id) => call(() => inner().dag(id)),
      dags: () => call(() => inner().dags()),
      setDag: (record) => call(() => inner().setDag(record)),
      forget: (before) => call(() => inner().forget(before)),
      watch: (signal, after) => inner().watch(signal, after),
      async [Symbol.asyncDispose]() {},
    };
  }
}

/** Options of a world. */
export interface WorldOptions {
  readonly bug?: Bug | undefined;
  /** Whether runs are kept in a file. */
  readonly durable?: boolean;
}
