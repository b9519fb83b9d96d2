import assert from "node:assert/strict";
import { isDone, isOver, type Run, type TaskRun } from "../../engine/mod.ts";
import type { DagPlan, TaskPlan } from "./_simulation_dags.ts";
import { ensure, nameOf } from "./_simulation_ledger.ts";
import { verdictOf, writersOf } from "./_simulation_rules.ts";
import { EXECUTORS, POOLS, type World } from "./_simulation_world.ts";

/** A task of a run, or an instance of one. */
interface Spot {
  readonly run: Run;
  readonly plan: DagPlan;
  readonly task: TaskPlan;
  readonly index?: number;
  readonly at: TaskRun;
}

/** What holds whenever nothing more happens by itself. */
export async function check(world: World): Promise<void> {
  const { ledger, life } = world;
  const fuse = life?.fuse;
  // Who looks at what is kept does not make it die.
  if (life) life.fuse = undefined;
  using _ = { [Symbol.dispose]: () => void (life && (life.fuse = fuse)) };
  for (const run of ledger.settled()) {
    assert.deepEqual(await world.store.get(run.id), run, "What is kept is what its events make");
  }
  if (!life || life.dead) return;
  const open = [...ledger.runs.values()].filter((run) => !isOver(run));
  const groups = Map.groupBy(open, groupOf);
  const running = (runs: readonly Run[]): number =>
    runs.filter(({ state }) => state === "running").length;
  const all = running(open);
  ensure(all <= world.maxActiveRuns, () => `${all} runs are under way`);
  for (const runs of groups.values()) {
    const [{ backfill, dag }] = runs as [Run];
    const plan = world.plans.find(({ id }) => id === dag)!;
    const most = backfill?.maxActiveRuns ?? plan.maxActiveRuns;
    const active = running(runs);
    ensure(active <= most, () => `${active} runs of ${dag} are under way, and ${most} may be`);
    const waits = runs.find(({ state, ending, reason }) =>
      state === "queued" && !ending && !reason?.startsWith("gives its place")
    );
    ensure(
      !waits || world.paused.has(dag) || active === most || all === world.maxActiveRuns,
      () => `${JSON.stringify(waits)} waits, and there is room`,
    );
  }
  const spots = open.flatMap((run) => spotsOf(world, run));
  // A clock that was set is noticed within a minute.
  const isNoticed = world.time.elapsed - world.time.jumped > 60_000;
  for (const spot of spots) checkDecided(world, spot, isNoticed);
  for (const run of open.filter(({ state }) => state === "running")) {
    ensure(
      !Object.values(run.tasks).every(({ state }) => isDone(state)),
      () => `Nothing is left of ${JSON.stringify(run)}, and it is not over`,
    );
  }
  checkWork(world, spots);
  if (isNoticed) checkOwed(world);
  const unfinished = spots.filter(({ at: { state } }) => !isDone(state) && state !== "running");
  if (unfinished.length > 0) await checkWhy(world, world.random.pick(unfinished));
}

/** Of whose runs only so many may be under way at once. */
function groupOf({ backfill, dag }: Run): string {
  return backfill?.id ?? dag;
}

/** All places of a run where work is done. */
function spotsOf({ ledger }: World, run: Run): Spot[] {
  const plan = ledger.planOf(run);
  return plan.tasks.flatMap((task): Spot[] => {
    const instances = run.mapped[task.id];
    if (instances) return instances.map((at, index) => ({ run, plan, task, index, at }));
    return run.tasks[task.id] ? [{ run, plan, task, at: run.tasks[task.id]! }] : [];
  });
}

function show({ run, task, index, at }: Spot): string {
  return `${nameOf(run.id, task.id, index)} ${JSON.stringify(at)} in ${JSON.stringify(run)}`;
}

/** What could be decided was, and what runs really does. */
function checkDecided(world: World, spot: Spot, isNoticed: boolean): void {
  const { run, plan, task, index, at } = spot;
  if (at.state === "running") {
    const live = world.live.get(nameOf(run.id, task.id, index));
    return ensure(
      live?.attempt === at.attempt,
      () => `Nobody runs ${show(spot)}`,
    );
  }
  if (isDone(at.state) || run.state !== "running" && !run.ending) return;
  const verdict = verdictOf(plan, run, task, index, world.ledger.pastsOf(run));
  // Whether its writer goes on where it was is known when something comes.
  const unsure = writersOf(plan, run, task, index)
    .some((writer) => writer.state === "running" && writer.attempt > 1);
  if (at.state === "none" && !unsure) {
    ensure(verdict === "WAIT" || verdict === "PAST", () => `${verdict} is due: ${show(spot)}`);
  }
  if (at.state === "scheduled") {
    ensure(verdict === "RUN", () => `${verdict} is due: ${show(spot)}`);
  }
  const isDue = at.due !== undefined && Date.parse(at.due) <= world.time.now().epochMilliseconds;
  if (isNoticed && isDue && at.state.startsWith("up_for")) {
    ensure(verdict === "WAIT" || verdict === "PAST", () => `It is overdue: ${show(spot)}`);
  }
}

/** What is ready waits only for what others have. */
function checkWork(world: World, spots: readonly Spot[]): void {
  const { pools, executors } = world.taken();
  const holds = (spot: Spot): boolean =>
    spot.at.stream !== undefined && spot.at.state.startsWith("up_for");
  const instances = (spot: Spot): number =>
    [...world.live.values()].filter(({ run, task }) =>
      run.id === spot.run.id && task.id === spot.task.id
    ).length;
  const ready = spots.filter((spot) =>
    spot.at.state === "scheduled" && !world.paused.has(spot.run.dag) &&
    spot.run.state === "running" &&
    !world.live.has(nameOf(spot.run.id, spot.task.id, spot.index)) &&
    (spot.task.limit === undefined || instances(spot) < spot.task.limit)
  );
  // Writers between two attempts may hold their slots.
  if (spots.some(holds)) return;
  for (const [pool, waiting] of Map.groupBy(ready, ({ task }) => task.options.pool!)) {
    const most = Math.max(...waiting.map(({ task }) => task.options.slots!));
    // The first of them would have started, whichever it is.
    const free = POOLS[pool]! - (pools[pool] ?? 0) >= most && waiting.every(({ task }) => {
      const { executor } = task.options;
      return (executors[executor!] ?? 0) < EXECUTORS[executor!]!;
    });
    ensure(!free, () => `There is room in pool ${pool} for ${waiting.map(show).join("\nand ")}`);
  }
}

/** A DAG that makes up for all has made all the runs it may. */
function checkOwed({ ledger, live, plans, paused, time }: World): void {
  // One whose attempts take their time to stop keeps its place.
  const stopping = new Set([...live.values()].map(({ run }) => run.id));
  for (const { id, every, start, end, catchup, maxActiveRuns } of plans) {
    if (every === undefined || catchup !== "all" || paused.has(id)) continue;
    const runs = [...ledger.runs.values()].filter(({ dag }) => dag === id);
    const active = runs.filter((run) =>
      run.kind === "scheduled" && (!isOver(run) || stopping.has(run.id))
    ).length;
    if (active >= maxActiveRuns) continue;
    const made = new Set(
      runs.filter(({ kind }) => kind !== "manual").map(({ logicalDate }) =>
        Date.parse(logicalDate)
      ),
    );
    const length = every * 60_000;
    const now = time.now().epochMilliseconds;
    for (let at = Date.parse(start); at <= Date.parse(end) && at + length <= now; at += length) {
      ensure(
        made.has(at),
        () => `${id} has made no run for ${Temporal.Instant.fromEpochMilliseconds(at)}`,
      );
    }
  }
}

/** Whatever does not run says why. */
async function checkWhy(world: World, spot: Spot): Promise<void> {
  const { run, task, index } = spot;
  const name = index === undefined ? task.id : `${task.id}[${index}]`;
  const reasons = await world.life!.engine.why(run.id, name);
  ensure(
    reasons.length > 0 && reasons.every((reason) => /^[A-Z]/.test(reason)),
    () => `Nobody knows why ${show(spot)}: ${JSON.stringify(reasons)}`,
  );
}

/** When nothing is due and nothing is paused, each run is over or waits for one that failed. */
export async function checkQuiet(world: World): Promise<void> {
  const { ledger } = world;
  const open = [...ledger.runs.values()].filter((run) => !isOver(run));
  for (const run of open) {
    const spots = spotsOf(world, run).filter(({ at }) => !isDone(at.state));
    for (const spot of spots) await checkWhy(world, spot);
    if (run.state === "queued") {
      const group = open.filter((one) => groupOf(one) === groupOf(run) && one.state === "running");
      const isGiven = run.reason?.startsWith("gives its place") &&
        ledger.pastsOf(run)[0]?.state === "queued";
      ensure(
        group.length > 0 || isGiven || world.maxActiveRuns < Infinity,
        () => `Nothing goes on, and ${run.id} is queued`,
      );
      continue;
    }
    const stuck = spots.some(({ plan, task, index }) => {
      if (verdictOf(plan, run, task, index, ledger.pastsOf(run)) !== "PAST") return false;
      const [past] = ledger.pastsOf(run);
      const isTaken = past?.state === "queued" && groupOf(past) === groupOf(run);
      ensure(!isTaken, () => `${run.id} has the place of ${past!.id}, for which it waits`);
      return true;
    });
    ensure(stuck, () => `Nothing goes on, and ${run.id} is not over: ${JSON.stringify(run)}`);
    ensure(
      spots.every(({ at, task }) => /^(none|up_for_.*)$/.test(at.state) || task.mapped),
      () => `Nothing goes on, and something of ${run.id} is ready: ${JSON.stringify(run)}`,
    );
  }
}
