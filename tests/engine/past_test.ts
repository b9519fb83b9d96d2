import assert from "node:assert/strict";
import { dag, engine, memory, type TaskOptions } from "../../engine/mod.ts";
import { gate, idle, START, states, time, until } from "./_rig.ts";

/** Daily; `a` fails on the days of `bad`, then `b`. */
function daily(
  dependsOnPast: TaskOptions["dependsOnPast"],
  { bad = new Set<string>(), log = [] as string[], maxActiveRuns = 16 } = {},
): ReturnType<typeof dag> {
  const d = dag("d", { schedule: "@daily", maxActiveRuns });
  const a = d.task("a", (ctx) => {
    log.push(ctx.strftime("a%d"));
    if (bad.has(ctx.strftime("%d"))) throw new Error("broke");
  }, dependsOnPast ? { dependsOnPast } : {});
  d.task("b", (ctx) => {
    log.push(ctx.strftime("b%d"));
    if (bad.has(ctx.strftime("b%d"))) throw new Error("broke");
  }, { after: a });
  return d;
}

Deno.test("a task that depends on the past waits for itself in the run before, success or skipped", async () => {
  const bad = new Set(["b01", "02"]);
  const d = daily(true, { bad });
  await using etl = await engine({ dags: [d] });
  const one = await etl.trigger(d, { date: "2021-01-01" });
  const two = await etl.trigger(d, { date: "2021-01-02" });
  const three = await etl.trigger(d, { date: "2021-01-03" });
  assert.deepEqual(states(await one.done), { a: "success", b: "failed" });
  assert.deepEqual(states(await two.done), { a: "failed", b: "upstream_failed" });
  await time().settle();
  assert.deepEqual(states((await etl.get(three.id))!), { a: "none", b: "none" });
  assert.match(
    (await etl.why(three.id, "a")).join(),
    /depends on the past: it waits for "a" of run "manual__20210102T000000Z", which is failed/,
  );
  bad.clear();
  await etl.clear(two.id, { onlyFailed: true });
  assert.deepEqual(states(await three.done), { a: "success", b: "success" });
});

Deno.test("a skip in the run before is good enough, a mark as well", async () => {
  const d = daily(true, { bad: new Set(["01"]) });
  await using etl = await engine({ dags: [d] });
  const one = await etl.trigger(d, { date: "2021-01-01" });
  await one.done;
  const two = await etl.trigger(d, { date: "2021-01-02" });
  await time().settle();
  assert.equal(states((await etl.get(two.id))!).a, "none");
  await etl.mark(one.id, "success", { tasks: ["a"] });
  assert.equal((await two.done).state, "success");
});

Deno.test('a task that depends on the past "run" waits until the whole run before has succeeded', async () => {
  const bad = new Set(["b01"]);
  const log: string[] = [];
  const d = daily("run", { bad, log });
  await using etl = await engine({ dags: [d] });
  const one = await etl.trigger(d, { date: "2021-01-01" });
  const two = await etl.trigger(d, { date: "2021-01-02" });
  assert.equal((await one.done).state, "failed");
  await time().settle();
  assert.deepEqual(log, ["a01", "b01"]);
  assert.match((await etl.why(two.id, "a")).join(), /run "manual__20210101T000000Z" to succeed/);
  bad.clear();
  await etl.clear(one.id, { tasks: ["b"] });
  assert.equal((await two.done).state, "success");
  assert.deepEqual(log, ["a01", "b01", "b01", "a02", "b02"]);
});

Deno.test("the first run has no past, nor has a task that the run before did not know", async () => {
  const store = memory();
  const small = dag("d", { schedule: "@daily" });
  small.task("b", idle);
  {
    await using etl = await engine({ dags: [small], store });
    await (await etl.trigger(small, { date: "2021-01-01" })).done;
  }
  const d = daily(true);
  await using etl = await engine({ dags: [d], store });
  const run = await (await etl.trigger(d, { date: "2021-01-02" })).done;
  assert.deepEqual(states(run), { a: "success", b: "success" });
});

Deno.test("a run that waits for an older one that is queued gives its place to that", async () => {
  const log: string[] = [];
  const d = daily(true, { log, maxActiveRuns: 1, bad: new Set(["01"]) });
  await using etl = await engine({ dags: [d] });
  await (await etl.trigger(d, { date: "2021-01-01" })).done;
  // It has the only place, and waits for the failed run before it.
  const three = await etl.trigger(d, { date: "2021-01-03" });
  await time().settle();
  assert.equal((await etl.get(three.id))!.state, "running");
  const two = await etl.trigger(d, { date: "2021-01-02" });
  await time().settle();
  assert.equal((await etl.get(three.id))!.state, "queued");
  assert.equal((await etl.get(two.id))!.state, "running");
  assert.match((await etl.why(three.id, "a")).join(), /gives its place to run "manual__20210102/);
  await etl.mark("manual__20210101T000000Z", "success", { tasks: ["a"] });
  await two.done;
  assert.equal((await three.done).state, "success");
  // The first one goes on since `b` of it was put back.
  assert.deepEqual(log.filter((name) => name.startsWith("a")), ["a01", "a02", "a03"]);
});

Deno.test("runs that all wait for the past end one after the other, however few may be under way", async () => {
  for (const maxActiveRuns of [1, 2, 3]) {
    const log: string[] = [];
    const d = daily("run", { log, maxActiveRuns });
    await using etl = await engine({ dags: [d] });
    const days = ["06", "02", "05", "01", "04", "03"];
    const handles = [];
    await etl.pause("d");
    for (const day of days) handles.push(await etl.trigger(d, { date: `2021-01-${day}` }));
    await etl.unpause("d");
    for (const { done } of handles) assert.equal((await done).state, "success");
    assert.equal(log.join(" "), days.toSorted().map((day) => `a${day} b${day}`).join(" "));
  }
});

Deno.test("clearing the past has those wait that have not begun, and leaves the others alone", async () => {
  const { wait, open, came } = gate();
  const d = dag("d", { schedule: "@daily" });
  const first = d.task("first", async (ctx) => {
    if (ctx.strftime("%d") === "02") await wait(ctx as never);
  });
  const log: string[] = [];
  d.task("then", (ctx) => {
    log.push(`${ctx.strftime("%d")}/${ctx.attempt}`);
  }, { after: first, dependsOnPast: true });
  await using etl = await engine({ dags: [d] });
  const one = await etl.trigger(d, { date: "2021-01-01" });
  await one.done;
  const two = await etl.trigger(d, { date: "2021-01-02" });
  await until(() => came.length === 1);
  await etl.pause("d");
  await etl.clear(one.id, { tasks: ["then"] });
  open();
  await time().settle();
  assert.equal(states((await etl.get(two.id))!).then, "none");
  await etl.unpause("d");
  await two.done;
  await etl.done(one.id);
  assert.deepEqual(log, ["01/1", "01/2", "02/1"]);
});

Deno.test("a scheduled run waits for its past over a restart", async () => {
  const clock = time(START);
  const store = memory();
  const bad = new Set(["03"]);
  const make = () => {
    const d = daily(true, { bad });
    Object.assign(d.options, { start: "2021-01-03", catchup: "all" });
    return d;
  };
  {
    await using etl = await engine({ dags: [make()], store, ...clock });
    await etl.start();
    await clock.settle();
    assert.deepEqual((await etl.runs()).map((run) => states(run).a).sort(), ["failed", "none"]);
  }
  bad.clear();
  await using etl = await engine({ dags: [make()], store, ...clock });
  await etl.clear("scheduled__20210103T000000Z");
  assert.equal((await etl.done("scheduled__20210104T000000Z")).state, "success");
});
