import assert from "node:assert/strict";
import {
  dag,
  engine,
  type Executor,
  inProcess,
  memory,
  NotYet,
  type TaskOptions,
} from "../../engine/mod.ts";
import { gate, idle, time, until } from "./_rig.ts";

for (
  const [what, options, error] of [
    [
      "more slots than its pool has",
      { slots: 3, pool: "db" },
      /Cannot run task "a" of "d": it takes 3 slots of pool "db", which has 2/,
    ],
    ["more slots than the default pool has", { slots: 33 }, /33 slots of pool "default", .* 32/],
    ["a pool that is not there", { pool: "lake" }, /no pool "lake"; there are default, db/],
    ["a pool of a name of Object's", { pool: "constructor" }, /no pool "constructor"/],
    ["an executor that is not there", { executor: "k8s" }, /no executor "k8s"; .* inProcess/],
  ] as [string, TaskOptions, RegExp][]
) {
  Deno.test(`a task with ${what} is refused at load, and a reload then changes nothing`, async () => {
    const good = dag("good");
    const d = dag("d");
    d.task("a", idle, options);
    const pools = { db: 2 };
    await assert.rejects(engine({ dags: [good, d], pools }), error);
    await using etl = await engine({ dags: [good], pools });
    await assert.rejects(etl.replace([d]), error);
    assert.deepEqual([...etl.dags.keys()], ["good"]);
  });
}

Deno.test("a pool gives no more slots than it has, over all DAGs, by priority and then age", async () => {
  const { wait, came, open } = gate();
  const order: string[] = [];
  const one = dag("one", { defaults: { pool: "db" } });
  const two = dag("two", { defaults: { pool: "db" } });
  let taken = 0;
  let most = 0;
  const take = (slots: number) => async (): Promise<void> => {
    most = Math.max(most, taken += slots);
    await new Promise((resolve) => setTimeout(resolve, 2));
    taken -= slots;
  };
  const note = (name: string, slots = 1) => async (): Promise<void> => {
    order.push(name);
    await take(slots)();
  };
  one.task("first", wait as never, { slots: 3 });
  one.task("old", note("old"));
  one.task("large", note("large", 3), { slots: 3 });
  one.task("small", note("small"));
  two.task("young", note("young"));
  two.task("urgent", note("urgent", 2), { priority: 1, slots: 2 });
  two.task("elsewhere", () => void order.push("elsewhere"), { pool: "default" });
  await using etl = await engine({ dags: [one, two], pools: { db: 3 } });
  const a = await etl.trigger(one);
  await until(() => came.length === 1);
  const b = await etl.trigger(two);
  await until(() => order.length === 1);
  assert.deepEqual(order, ["elsewhere"], "another pool is not held up");
  open();
  await Promise.all([a.done, b.done]);
  // There is room for both at once.
  assert.deepEqual(order.slice(1, 3).sort(), ["old", "urgent"]);
  assert.deepEqual(order.slice(3), ["large", "small", "young"]);
  assert.equal(most, 3);
});

Deno.test("tasks that wait for an executor take no slots of a pool from those of another", async () => {
  const { wait, came, open } = gate();
  const d = dag("d");
  for (const name of ["a", "b", "c"]) d.task(name, wait as never, { executor: "one" });
  d.task("other", wait as never);
  await using one: Executor = inProcess({ slots: 1 });
  await using here: Executor = inProcess();
  await using etl = await engine({
    dags: [d],
    pools: { default: 2 },
    executors: { inProcess: here, one },
  });
  const { done } = await etl.trigger(d);
  await until(() => came.length === 2);
  assert.deepEqual(came, ["a", "other"]);
  open();
  assert.equal((await done).state, "success");
});

Deno.test("a sensor that waits holds no slot", async () => {
  const clock = time();
  const d = dag("d", { defaults: { pool: "one" } });
  let there = false;
  const ran: string[] = [];
  d.task("sensor", () => {
    if (!there) throw new NotYet();
  }, { poke: { minutes: 5 } });
  for (const name of ["a", "b"]) d.task(name, ({ task }) => void ran.push(task));
  await using etl = await engine({ dags: [d], pools: { one: 1 }, ...clock });
  const { done } = await etl.trigger(d);
  await clock.settle();
  assert.deepEqual(ran, ["a", "b"]);
  there = true;
  await clock.advance({ minutes: 5 });
  assert.equal((await done).tasks.sensor!.attempt, 2);
});

Deno.test("a task that rests until its retry holds no slot", async () => {
  const clock = time();
  const d = dag("d", { defaults: { pool: "one" } });
  const ran: string[] = [];
  d.task("flaky", ({ attempt }) => {
    if (attempt === 1) throw new Error("broke");
  }, { retries: 1, retryDelay: { seconds: 50 } });
  d.task("other", () => void ran.push("other"));
  await using etl = await engine({ dags: [d], pools: { one: 1 }, ...clock });
  const { done } = await etl.trigger(d);
  await clock.settle();
  assert.deepEqual(ran, ["other"]);
  await clock.advance({ seconds: 50 });
  assert.equal((await done).state, "success");
});

Deno.test("sixteen runs of a DAG are under way at once, unless it says otherwise", async () => {
  const { wait, came, open } = gate();
  const many = dag("many", { schedule: "@daily" });
  many.task("a", wait as never);
  await using etl = await engine({ dags: [many] });
  const all = [];
  for (let day = 1; day <= 20; day++) {
    const date = Temporal.PlainDate.from("2021-01-01").add({ days: day }).toString();
    all.push(await etl.trigger(many, { date }));
  }
  await until(() => came.length === 16);
  await time().settle();
  assert.equal((await etl.runs({ state: "running" })).length, 16);
  open();
  await Promise.all(all.map(({ done }) => done));
  assert.equal(came.length, 20);
});

Deno.test("of all DAGs together no more runs are under way than the engine allows", async () => {
  const { wait, came, open } = gate();
  const dags = ["a", "b", "c"].map((id) => {
    const d = dag(id);
    d.task(id, wait as never);
    return d;
  });
  await using etl = await engine({ dags, maxActiveRuns: 2 });
  const runs = [];
  for (const d of dags) runs.push(await etl.trigger(d));
  await until(() => came.length === 2);
  await time().settle();
  assert.deepEqual(came, ["a", "b"]);
  const why = await etl.why(runs[2]!.id, "c");
  assert.match(why.join(" "), /2 of at most 2 .*of all DAGs/);
  open();
  for (const { done } of runs) assert.equal((await done).state, "success");
});

Deno.test("DAGs take turns, so that one that catches up does not starve another", async () => {
  const clock = time("2021-02-01T00:00:00Z");
  const order: string[] = [];
  const long = dag("long", { schedule: "@daily", start: "2021-01-01", catchup: true });
  long.task("l", (ctx) => void order.push(ctx.strftime("l%d")));
  // One run by its schedule, for the day before.
  const other = dag("other", { schedule: "@daily" });
  other.task("o", (ctx) => void order.push(ctx.strftime("o%d")));
  await using etl = await engine({ dags: [long, other], ...clock, maxActiveRuns: 1 });
  const handles = [];
  for (const day of [20, 21, 22]) {
    handles.push(await etl.trigger(other, { date: `2021-01-${day}` }));
  }
  await etl.start();
  for (const { done } of handles) await done;
  // Its three runs are of later dates than all of the others, of which there are thirty-one.
  assert.ok(order.length <= 8, order.join());
  assert.deepEqual(order.filter((name) => name.startsWith("o")), ["o20", "o21", "o22"]);
  await until(() => order.length === 35);
});

Deno.test("a DAG whose runs wait for the past does not keep others from their turn", async () => {
  const { wait, came, open } = gate();
  const past = dag("past", { schedule: "@daily", defaults: { dependsOnPast: true } });
  past.task("p", (ctx) => wait(ctx as never));
  const other = dag("other");
  other.task("o", idle);
  await using etl = await engine({ dags: [past, other], maxActiveRuns: 2 });
  const young = await etl.trigger(past, { date: "2021-01-02" });
  await until(() => came.length === 1);
  await (await etl.trigger(other)).done;
  open();
  assert.equal((await young.done).state, "success");
});

Deno.test("limits hold for what an engine goes on with", async () => {
  const { wait, came, open } = gate();
  const store = memory();
  const d = dag("d", { maxActiveRuns: 1 });
  d.task("a", wait as never);
  const first = await engine({ dags: [d], store });
  const a = await first.trigger(d);
  const b = await first.trigger(d);
  for (const { done } of [a, b]) done.catch(() => {});
  await until(() => came.length === 1);
  await first[Symbol.asyncDispose]();
  await using etl = await engine({ dags: [d], store });
  await until(() => came.length === 2);
  await time().settle();
  assert.equal(came.length, 2);
  assert.deepEqual((await etl.runs({ state: "queued" })).map(({ id }) => id), [b.id]);
  open();
  await etl.done(a.id);
  await etl.done(b.id);
});

Deno.test("what falls due just when a slot comes free for its run is not forgotten", async () => {
  const clock = time();
  const { wait, came, open } = gate();
  const holder = dag("holder");
  holder.task("holds", wait as never, { pool: "one" });
  const d = dag("d");
  const asked: number[] = [];
  d.task("sensor", ({ attempt }) => {
    asked.push(attempt);
    if (attempt === 1) throw new NotYet();
  }, { poke: { minutes: 1 } });
  const never = Promise.withResolvers<void>();
  d.task("waits", () => never.promise, { pool: "one" });
  await using etl = await engine({ dags: [holder, d], pools: { one: 1 }, ...clock });
  await etl.trigger(holder);
  await until(() => came.length === 1);
  const { id, done } = await etl.trigger(d);
  await clock.settle();
  clock.jump({ minutes: 2 });
  open();
  await until(async () => (await etl.get(id))!.tasks["waits"]!.state === "running");
  await clock.advance({ minutes: 1 });
  assert.deepEqual(asked, [1, 2]);
  never.resolve();
  assert.equal((await done).state, "success");
});
