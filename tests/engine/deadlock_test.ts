import assert from "node:assert/strict";
import { type Dag, dag, engine, type TaskOptions } from "../../engine/mod.ts";
import { gate, START, states, time, until } from "./_rig.ts";

/** A chain a → b → c, daily, all of which depend on the past; `bad` says which fail, e.g. `b 03`. */
function chained(
  dependsOnPast: TaskOptions["dependsOnPast"],
  maxActiveRuns: number,
  bad: ReadonlySet<string>,
  done: string[],
): Dag {
  const defaults = { dependsOnPast: dependsOnPast! };
  const since = { schedule: "@daily", start: "2021-01-01", end: "2021-01-03", catchup: true };
  const d = dag("d", { ...since, maxActiveRuns, defaults } as const);
  let before;
  for (const name of ["a", "b", "c"]) {
    before = d.task(name, ({ strftime }) => {
      const what = strftime(`${name} %d`);
      if (bad.has(what)) throw new Error("broke");
      done.push(what);
    }, before ? { after: before } : {});
  }
  return d;
}

const FIRST = "scheduled__20210101T000000Z";
const SECOND = "scheduled__20210102T000000Z";
const THIRD = "scheduled__20210103T000000Z";

for (
  const { what, dependsOnPast, bad, clears } of [
    {
      // airflow#18304: b of the first run fails; it is cleared while the next run waits for it in the only place.
      what: "a task of the run before that was cleared",
      dependsOnPast: true,
      bad: "b 01",
      clears: {},
    },
    {
      // airflow#29524: all of the first run is well but one task; only that is cleared, with as many runs as may be under way.
      what: "the one task of the run before that failed",
      dependsOnPast: true,
      bad: "c 01",
      clears: { onlyFailed: true },
    },
    {
      // airflow#17375: the next run waits for all of the one before (wait_for_downstream), which failed at its first task.
      what: "the whole run before, which was cleared",
      dependsOnPast: "run",
      bad: "a 01",
      clears: { tasks: ["a"], downstream: true },
    },
  ] as const
) {
  for (const maxActiveRuns of [1, 2]) {
    Deno.test(`runs that wait for ${what} let that have their place, ${maxActiveRuns} at most being under way`, async () => {
      const clock = time(START);
      const fails = new Set<string>([bad]);
      const done: string[] = [];
      const d = chained(dependsOnPast, maxActiveRuns, fails, done);
      await using etl = await engine({ dags: [d], ...clock });
      await etl.start();
      await clock.settle();
      assert.equal((await etl.done(FIRST)).state, "failed");
      await clock.settle();
      assert.equal((await etl.runs({ state: "running" })).length, maxActiveRuns);
      const before = done.length;
      await clock.advance({ days: 1 });
      assert.equal(done.length, before, "nothing goes on");
      fails.clear();
      await etl.clear(FIRST, clears);
      for (const id of [FIRST, SECOND, THIRD]) {
        assert.equal((await etl.done(id)).state, "success");
        await clock.settle();
      }
      const all = ["01", "02", "03"].flatMap((day) =>
        ["a", "b", "c"].map((name) => `${name} ${day}`)
      );
      assert.deepEqual([...new Set(done)].sort(), all.sort());
    });
  }
}

// airflow#18051: one DAG catches up on many runs, one at a time, and all other DAGs' runs stay queued behind them.
Deno.test("a DAG that catches up one run at a time does not keep those of other DAGs queued", async () => {
  const { wait, came, open } = gate();
  const long = dag("long", {
    schedule: "@daily",
    start: "2020-07-01",
    catchup: true,
    maxActiveRuns: 1,
  });
  long.task("slow", wait as never);
  const others = ["one", "two", "three"].map((id) => {
    const d = dag(id, { schedule: "@daily", catchup: "latest" });
    d.task("quick", () => id);
    return d;
  });
  await using etl = await engine({ dags: [long, ...others], ...time(START), maxActiveRuns: 2 });
  await etl.start();
  await until(() => came.length === 1);
  for (const { id } of others) {
    const [run] = await etl.runs({ dag: id });
    assert.equal((await etl.done(run!.id)).state, "success");
  }
  assert.deepEqual(came, ["slow"], "the long one is still at its first run");
  open();
});

Deno.test("a run whose retry waits for an older run gives its place to that", async () => {
  const clock = time(START);
  const broken = new Set(["02/1"]);
  const d = dag("d", { schedule: "@daily", maxActiveRuns: 1 });
  const options = { dependsOnPast: true, retries: 1, retryDelay: { minutes: 1 } } as const;
  d.task("a", ({ strftime, attempt }) => {
    if (broken.has(`${strftime("%d")}/${attempt}`)) throw new Error("broke");
  }, options);
  await using etl = await engine({ dags: [d], ...clock });
  const one = await etl.trigger(d, { date: "2021-01-01" });
  await one.done;
  const two = await etl.trigger(d, { date: "2021-01-02" });
  await clock.settle();
  assert.deepEqual(states((await etl.get(two.id))!), { a: "up_for_retry" });
  await etl.clear(one.id);
  await clock.advance({ minutes: 1 });
  assert.equal((await etl.done(one.id)).tasks["a"]!.attempt, 2);
  assert.equal((await two.done).state, "success");
});

Deno.test("a run that begins to wait when its last attempt ends gives its place up then", async () => {
  const { wait, came, open } = gate();
  const d = dag("d", { schedule: "@daily", maxActiveRuns: 1 });
  const a = d.task("a", async (ctx) => {
    if (ctx.strftime("%d") === "02") await wait(ctx as never);
  });
  d.task("b", () => 1, { after: a, dependsOnPast: true });
  await using etl = await engine({ dags: [d], ...time(START) });
  const one = await etl.trigger(d, { date: "2021-01-01" });
  await one.done;
  const two = await etl.trigger(d, { date: "2021-01-02" });
  await until(() => came.length === 1);
  await etl.clear(one.id, { tasks: ["b"] });
  open();
  assert.equal((await two.done).state, "success");
  assert.equal((await etl.done(one.id)).tasks["b"]!.attempt, 2);
});

Deno.test("a run whose instances rest behind a task that waits for an older run gives its place to that", async () => {
  const clock = time(START);
  const d = dag("d", { schedule: "@daily", maxActiveRuns: 1 });
  const first = d.task("first", () => 1, { dependsOnPast: true });
  d.each("each", [1], () => ({ strftime, attempt }) => {
    if (strftime("%d") === "02" && attempt === 1) throw new Error("broke");
  }, { after: first, retries: 1, retryDelay: { minutes: 1 } });
  await using etl = await engine({ dags: [d], ...clock });
  const one = await etl.trigger(d, { date: "2021-01-01" });
  await one.done;
  const two = await etl.trigger(d, { date: "2021-01-02" });
  await clock.settle();
  await etl.clear(one.id);
  await etl.clear(two.id, { tasks: ["first"] });
  const stands = { first: "none", each: "running [up_for_retry]" };
  assert.deepEqual(states((await etl.get(two.id))!), stands);
  await clock.settle();
  assert.equal((await etl.get(one.id))!.tasks["first"]!.attempt, 2);
  await clock.advance({ minutes: 1 });
  assert.equal((await etl.get(two.id))!.state, "success");
});

Deno.test("a run is told of an older one that ends by a version of the DAG which asks for no past", async () => {
  const [first, second] = [gate(), gate()];
  const version = (dependsOnPast: boolean): Dag => {
    const d = dag("d", { schedule: "@daily" });
    const a = d.task("a", async (ctx) => {
      if (ctx.strftime("%d") === "02") await first.wait(ctx as never);
    });
    d.task("b", async (ctx) => {
      if (ctx.attempt > 1) await second.wait(ctx as never);
    }, { after: a, dependsOnPast });
    return d;
  };
  await using etl = await engine({ dags: [{ dag: version(true), hash: "1" }], ...time(START) });
  const one = await etl.trigger("d", { date: "2021-01-01" });
  await one.done;
  const two = await etl.trigger("d", { date: "2021-01-02" });
  await until(() => first.came.length === 1);
  await etl.replace([{ dag: version(false), hash: "2" }]);
  await etl.clear(one.id, { tasks: ["b"] });
  await until(() => second.came.length === 1);
  first.open();
  await until(async () => states((await etl.get(two.id))!)["a"] === "success");
  second.open();
  assert.equal((await etl.done(one.id)).hash, "2");
  await until(async () => (await etl.get(two.id))!.state === "success");
});
