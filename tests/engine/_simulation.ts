import { isOver, type Run } from "../../engine/mod.ts";
import type { Bug } from "./_simulation_bugs.ts";
import { check, checkQuiet } from "./_simulation_checks.ts";
import { changeDag, inventDag } from "./_simulation_dags.ts";
import { Broken, ensure } from "./_simulation_ledger.ts";
import { immediateFiles } from "./_simulation_time.ts";
import { type How, World } from "./_simulation_world.ts";

/** Options of a simulation. */
export interface SimulationOptions {
  readonly bug?: Bug | undefined;
  /** Told each thing that is done. */
  readonly trace?: (what: string) => void;
}

/** How many times something is done to a world. */
const STEPS = 36;
/** How many runs there are at most until people stop asking for more. */
const ENOUGH = 40;

/** What a simulation came to, so that a test can tell that something happened. */
export interface Summary {
  /** In all DAGs together. */
  readonly tasks: number;
  readonly runs: number;
  readonly attempts: number;
  readonly crashes: number;
  readonly jumps: number;
  readonly pauses: number;
  readonly clears: number;
}

/** Lets an engine live through what a seed brings. @throws {Broken} when it broke a rule */
export async function simulate(
  seed: number,
  { bug, trace = () => {} }: SimulationOptions = {},
): Promise<Summary> {
  using _ = immediateFiles();
  const home = Deno.makeTempDirSync({ prefix: "sluice_simulation_", ...await memoryDisk() });
  const world = await World.open(seed, home, { bug, durable: seed % 7 === 0 });
  const simulation = new Simulation(world, trace);
  try {
    await simulation.run();
    return simulation.summary;
  } finally {
    await world.end({ dead: true }).catch(() => {});
    await world.store[Symbol.asyncDispose]();
    Deno.removeSync(home, { recursive: true });
  }
}

/** A disk that does not have to be synced, where there is one. */
async function memoryDisk(): Promise<{ dir?: string }> {
  const dir = "/dev/shm";
  return await Deno.stat(dir).then(() => ({ dir }), () => ({}));
}

class Simulation {
  readonly #world: World;
  readonly #trace: (what: string) => void;
  readonly #counts = { tasks: 0, crashes: 0, jumps: 0, pauses: 0, clears: 0 };

  constructor(world: World, trace: (what: string) => void) {
    this.#world = world;
    this.#trace = trace;
  }

  get summary(): Summary {
    const runs = [...this.#world.ledger.runs.values()];
    const attempts = runs.flatMap(({ tasks, mapped }) =>
      [...Object.values(tasks), ...Object.values(mapped).flat()].map(({ attempt }) => attempt)
    );
    return {
      runs: runs.length,
      attempts: attempts.reduce((sum, n) => sum + n, 0),
      ...this.#counts,
    };
  }

  async run(): Promise<void> {
    const world = this.#world;
    const { random: r, time } = world;
    const dags = r.int(2, 3);
    world.plans = Array.from({ length: dags }, (_, i) => inventDag(`dag${i}`, r, time.now()));
    this.#counts.tasks = world.plans.reduce((sum, { tasks }) => sum + tasks.length, 0);
    this.#trace(JSON.stringify(world.plans));
    await world.boot();
    await check(world);
    for (let step = 0; step < STEPS; step++) {
      for (let n = r.pick([1, 1, 1, 2, 2, 3]); n > 0; n--) await this.#do();
      await this.#settle();
    }
    await this.#finish();
  }

  /** Lets things happen, and the engine begin anew where it died of them. */
  async #settle(): Promise<void> {
    const world = this.#world;
    await world.settle();
    if (world.life!.dead) await this.#restart(true);
    await check(world);
  }

  async #restart(dead: boolean): Promise<void> {
    const world = this.#world;
    const { random: r, time } = world;
    if (dead) this.#counts.crashes++;
    this.#trace(dead ? "  dies, and starts again" : "  is closed, and starts again");
    await world.end({ dead });
    await check(world);
    if (r.chance(0.5)) await time.advance(r.int(1, 40) * 60_000, () => world.settle());
    await world.boot();
  }

  async #do(): Promise<void> {
    const world = this.#world;
    const { random: r, time, ledger } = world;
    const what = r.weigh({
      go: 18,
      wait: 6,
      jump: 0.7,
      trigger: 1,
      pause: 1,
      unpause: 2,
      clear: 1.5,
      mark: 1,
      backfill: 0.7,
      cancel: 0.6,
      replace: 0.6,
      restart: 0.4,
      kill: 0.6,
      fuse: 1.2,
    });
    const life = world.life!;
    const { engine } = life;
    const { id: dag } = r.pick(world.plans);
    const runs = [...ledger.runs.values()];
    const isEnough = runs.length >= ENOUGH;
    this.#trace(`${time.now()} ${what} ${dag}`);
    switch (what) {
      case "go": {
        for (let n = r.int(1, 4); n > 0; n--) this.#go();
        return;
      }
      case "wait":
        return await time.advance(r.pick([5, 60, 200, 400, 900]) * 1000, () => world.settle());
      case "jump":
        this.#counts.jumps++;
        return time.jump(r.int(-30, 30) * 60_000);
      case "trigger":
        return isEnough ? undefined : void this.#ask(() => engine.trigger(dag));
      case "pause":
        this.#counts.pauses++;
        await this.#ask(() => engine.pause(dag));
        await world.settle();
        if (!life.dead && life.engine.status(dag).paused) world.paused.add(dag);
        return;
      case "unpause":
        world.paused.delete(dag);
        ledger.activated(dag);
        return void this.#ask(() => engine.unpause(dag));
      case "replace": {
        const plans = world.plans.map((plan) => r.chance(0.5) ? changeDag(plan, r) : plan);
        return void this.#ask(() => world.replace(plans));
      }
      case "restart":
        if (!life.dead) await this.#restart(false);
        return;
      case "kill":
        life.dead = true;
        return;
      case "fuse":
        life.fuse ??= { left: r.int(0, 12), after: r.chance(0.5) };
        return;
    }
    if (runs.length > 0) this.#intervene(what, r.pick(runs), isEnough);
  }

  /** What people do by hand. */
  #intervene(what: "clear" | "mark" | "backfill" | "cancel", run: Run, isEnough: boolean): void {
    const world = this.#world;
    const { random: r } = world;
    const { engine } = world.life!;
    const here = world.plans.find(({ id }) => id === run.dag)!;
    const tasks = r.chance(0.3) ? undefined : [r.pick(here.tasks).id];
    switch (what) {
      case "clear":
        this.#counts.clears++;
        return void this.#ask(() =>
          engine.clear(run.id, {
            ...tasks ? { tasks } : {},
            downstream: r.chance(0.5),
            upstream: r.chance(0.2),
            past: r.chance(0.1),
            future: r.chance(0.1),
            onlyFailed: r.chance(0.3),
          })
        );
      case "mark":
        return void this.#ask(() =>
          engine.mark(run.id, r.pick(["success", "failed"]), tasks ? { tasks } : {})
        );
      case "backfill": {
        if (isEnough || here.every === undefined) return;
        return void this.#ask(() =>
          engine.backfill(run.dag, {
            from: here.start,
            to: Temporal.Instant.from(here.start).add({ minutes: here.every! * r.int(0, 5) })
              .toString(),
            reprocess: r.pick(["none", "failed", "completed"]),
            maxActiveRuns: r.int(1, 2),
          })
        );
      }
      case "cancel":
        return void this.#ask(() => engine.cancel(run.id));
    }
  }

  /** Asks something of the engine that may refuse, or die of it. */
  #ask(ask: () => Promise<unknown>): Promise<void> {
    const world = this.#world;
    const life = world.life!;
    const asked = (async () => {
      try {
        await ask();
      } catch (error) {
        const refused = error instanceof TypeError || error instanceof RangeError;
        const name = (error as Error).message;
        if (!life.dead && !life.ending && !(refused && /^Cannot /.test(name))) world.breaks(error);
        else this.#trace(`  refused: ${name}`);
      }
    })();
    life.asked.add(asked);
    return asked.finally(() => life.asked.delete(asked));
  }

  /** Lets something go on that waits. */
  #go(how?: (chosen: How) => How): void {
    const { random: r, waiting } = this.#world;
    if (waiting.size === 0) return;
    const one = r.pick([...waiting]);
    const chosen = this.#world.chooseEnd(one.what);
    const { run, task, index, attempt } = one.ctx;
    const end = how ? how(chosen) : chosen;
    this.#trace(`  ${run} ${task}${index === undefined ? "" : `[${index}]`} ${attempt} ${end}`);
    one.end(end);
  }

  /** Lets all come to its end, with nothing in its way. */
  async #finish(): Promise<void> {
    const world = this.#world;
    const { time, ledger, waiting } = world;
    const life = (): NonNullable<World["life"]> => world.life!;
    this.#trace("all come to their end");
    life().fuse = undefined;
    await time.advance(120_000, () => world.settle());
    await this.#settle();
    for (const { id } of world.plans) {
      world.paused.delete(id);
      ledger.activated(id);
      await this.#ask(() => life().engine.unpause(id));
    }
    await this.#settle();
    for (let i = 0; i < 150; i++) {
      for (let n = 0; waiting.size > 0; n++) {
        ensure(n < 300, () => "It goes on and on");
        while (waiting.size > 0) this.#go((how) => how === "end" ? "end" : "success");
        await this.#settle();
      }
      const late = world.plans.some(({ every, end }) =>
        every !== undefined && Date.parse(end) + every * 60_000 > time.now().epochMilliseconds
      );
      const rests = [...ledger.runs.values()].some((run) =>
        !isOver(run) &&
        [...Object.values(run.tasks), ...Object.values(run.mapped).flat()]
          .some(({ state }) => state.startsWith("up_for"))
      );
      if (!late && !rests) break;
      await time.advance(400_000, () => world.settle());
      await this.#settle();
    }
    ensure(life().asked.size === 0, () => "Something that was asked for is not done");
    await checkQuiet(world);
  }
}

export { Broken };
