import type { AnyDag } from "./dag.ts";
import { add, type Attempting, changed, groupOf, type Live, type Step } from "./_live.ts";
import { admit, admitRuns, demand, type Limits } from "./admit.ts";
import { instancesOf } from "./clear.ts";
import type { Executor } from "./executor.ts";
import { nameOf } from "./_job.ts";
import { isPastGood, judge, nextDue, plan, prune, strays } from "./plan.ts";
import { at, begin } from "./settle.ts";
import { isDone, isOver, type Run } from "./state.ts";

/** What a round is decided by. */
export interface RoundState {
  /** All runs that are not over. */
  readonly lives: readonly Live[];
  /** The groups of runs that had one let in, the last one last: the others are next. */
  readonly turns: Set<string>;
  readonly now: Temporal.Instant;
  /** Where attempts are made, by name. */
  readonly executors: Readonly<Record<string, Pick<Executor, "slots">>>;
  /** How many slots there are, by the pool's name. */
  readonly pools: Readonly<Record<string, number>>;
  /** How many runs may be under way at once, of all DAGs. */
  readonly maxActiveRuns: number;
  /** Whether a DAG starts nothing that waits. */
  readonly isPaused: (dag: string) => boolean;
}

/** Decides at one moment what becomes of all runs; nothing happens yet. */
export class Round {
  readonly #state: RoundState;
  readonly #steps = new Map<Live, Step>();

  constructor(state: RoundState) {
    this.#state = state;
  }

  /** Makes the changes that runs wait for and, unless nothing is to begin any more, what follows of them. */
  make(touched: readonly Live[], begins: boolean): Map<Live, Step> {
    for (const live of touched) {
      const step = this.#step(live, live.inbox.splice(0));
      for (const { events, made } of step.changes) {
        try {
          add(step, events(step.run));
        } catch (error) {
          made.reject(error);
        }
      }
      // Before a writer that was put back is ready again: those who read what it wrote cannot go on.
      step.stops = strays(live.dag, step.run, this.#state.now);
      if (begins) this.#plan(step);
    }
    if (begins) {
      this.#admitRuns();
      this.#admitTasks();
    }
    return this.#steps;
  }

  #step(live: Live, changes: Step["changes"] = []): Step {
    let step = this.#steps.get(live);
    if (!step) {
      this.#steps.set(
        live,
        step = {
          ...{ live, changes, events: [], begun: [], stops: [] },
          ...{ run: live.run, own: new Set() },
        },
      );
    }
    return step;
  }

  #plan(step: Step): void {
    const { now } = this.#state;
    const { dag, age, past } = step.live;
    add(step, plan(dag, step.run, now, past));
    // Only here: what falls due in a round that does not look at the run is still to be looked at.
    step.live.due = nextDue(dag, step.run, now);
    step.live.demand = isOver(step.run)
      ? { candidates: [], holders: [] }
      : demand(dag, step.run, age);
  }

  /** A run as it is by now. */
  #run(live: Live): Run {
    return this.#steps.get(live)?.run ?? live.run;
  }

  /** Lets runs in, as many as may be under way. */
  #admitRuns(): void {
    const { lives, isPaused, maxActiveRuns, turns, now } = this.#state;
    const waiting = new Map(
      lives.filter((live) => {
        const { state, ending } = this.#run(live);
        return state === "queued" && !ending && !isPaused(live.dag.id);
      }).map((live) => [live.run.id, live]),
    );
    if (waiting.size === 0) return;
    for (const step of this.#steps.values()) this.#giveBack(step);
    const room: Record<string, number> = {};
    let active = 0;
    for (const live of lives) {
      const run = this.#run(live);
      const group = groupOf(run);
      room[group] ??= maxActiveOf(live.dag, run);
      if (run.state !== "running") continue;
      active++;
      room[group]--;
    }
    const candidates = [...waiting.values()].map(({ run, date }) => {
      return { id: run.id, order: run.backfill?.reverse ? -date : date, group: groupOf(run) };
    });
    for (const { id } of admitRuns(candidates, room, maxActiveRuns - active, turns)) {
      const step = this.#step(waiting.get(id)!);
      const group = groupOf(step.run);
      turns.delete(group);
      turns.add(group);
      add(step, [{ type: "run_changed", run: id, at: now.toString(), to: "running" }]);
      this.#plan(step);
    }
  }

  /** Has a run give its place back that only waits for an older one: that one may need it, and both wait for ever. */
  #giveBack(step: Step): void {
    const { live, run } = step;
    const { past } = live;
    if (run.state !== "running" || past?.state !== "queued" || live.attempts.size > 0) return;
    const pruned = prune(live.dag, run);
    let isStuck = false;
    for (const task of live.dag.tasks.values()) {
      // Only until a mapped task has instances does it wait for the run before.
      const waits = !run.mapped[task.id] && !isPastGood(task, past);
      for (const { index, at: { state } } of instancesOf(run, task.id)) {
        if (isDone(state)) continue;
        const rests = state.startsWith("up_for") &&
          judge({ run, past, pruned }, task, index).decision === "wait";
        if (state !== "none" && !rests) return;
        isStuck ||= waits;
      }
    }
    if (!isStuck) return;
    const reason = `gives its place to run "${past.id}", which it waits for`;
    const at = this.#state.now.toString();
    add(step, [{ type: "run_changed", run: run.id, at, to: "queued", reason }]);
  }

  /** Begins attempts, as many as there are slots for. */
  #admitTasks(): void {
    const { lives, isPaused, now } = this.#state;
    const candidates = lives.flatMap((live) => {
      // Of a run that is to end only teardowns are left: that is what runs, finishing.
      const paused = isPaused(live.dag.id) && !this.#run(live).ending;
      return live.demand.candidates
        .filter(({ task, index, holds }) =>
          (holds || !paused) && !live.attempts.has(nameOf(task, index))
        )
        .map((candidate) => ({ ...candidate, live }));
    });
    for (const { live, task, index } of admit(candidates, limitsOf(this.#state))) {
      const step = this.#step(live);
      const place = { task, index };
      add(step, [changed(step.run, place, begin(at(step.run, place), now), now)]);
      step.begun.push(place);
    }
  }
}

/** What is free of all there is, while these runs are under way. */
export function limitsOf(
  state: Pick<RoundState, "lives" | "pools" | "executors">,
): Limits {
  const pools = { ...state.pools };
  const executors = Object.fromEntries(
    Object.entries(state.executors).map(([name, { slots }]) => [name, slots]),
  );
  const take = ({ pool, slots, executor }: Pick<Attempting, "pool" | "slots" | "executor">) => {
    pools[pool] = (pools[pool] ?? 0) - slots;
    executors[executor] = (executors[executor] ?? 0) - 1;
  };
  for (const { attempts, demand: { holders } } of state.lives) {
    attempts.forEach(take);
    for (const holder of holders) {
      if (!attempts.has(nameOf(holder.task, holder.index))) take(holder);
    }
  }
  const byId = new Map(state.lives.map((live) => [live.run.id, live]));
  const instances = (run: string, task: string): number => {
    const { attempts, demand } = byId.get(run)!;
    // One between two attempts that keeps its slots counts, too.
    const all = [...attempts.values(), ...demand.holders].filter((other) => other.task === task);
    return new Set(all.map(({ index }) => index)).size;
  };
  return { pools, executors, instances };
}

/** How many runs may be under way at once of those that count together with a run. */
export function maxActiveOf(dag: AnyDag, run: Run): number {
  return run.backfill?.maxActiveRuns ?? dag.options.maxActiveRuns ?? 16;
}
