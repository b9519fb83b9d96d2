import assert from "node:assert/strict";
import { dag, type DagOptions, engine, type Params } from "../../engine/mod.ts";
import { broken, gate, idle, states, time, until } from "./_rig.ts";

const S = "success";
type Act = () => number;

/** setup → work → teardown, and what `failsRun` and the DAG say. */
function scene(
  { setup = idle, work = idle, teardown = idle, failsRun = false, options = {} }: {
    setup?: Act;
    work?: Act;
    teardown?: Act;
    failsRun?: boolean;
    options?: DagOptions<Params>;
  },
): ReturnType<typeof dag> {
  const d = dag("d", options);
  const first = d.task("setup", setup, { setup: true });
  const middle = d.task("work", work, { after: first });
  d.task("teardown", teardown, { after: middle, teardown: first, failsRun });
  return d;
}

for (
  const [what, d, expected, state] of [
    ["all went well", scene({}), [S, S, S], S],
    ["the work failed", scene({ work: broken }), [S, "failed", S], "failed"],
    [
      "its setup failed: it does not run",
      scene({ setup: broken }),
      ["failed", "upstream_failed", "upstream_failed"],
      "failed",
    ],
    ["it fails itself: the run is a success", scene({ teardown: broken }), [S, S, "failed"], S],
    [
      "it fails itself and that is to fail the run",
      scene({ teardown: broken, failsRun: true }),
      [S, S, "failed"],
      "failed",
    ],
    [
      "it failed and another task comes behind it, as Airflow does: that is upstream_failed",
      (() => {
        const d = scene({ teardown: broken });
        d.task("behind", idle, { after: d.tasks.get("teardown")! });
        return d;
      })(),
      [S, S, "failed", "upstream_failed"],
      "failed",
    ],
  ] as [string, ReturnType<typeof dag>, string[], string][]
) {
  Deno.test(`a teardown: ${what}`, async () => {
    await using etl = await engine({ dags: [d] });
    const run = await (await etl.trigger(d)).done;
    assert.deepEqual(Object.values(states(run)), expected);
    assert.equal(run.state, state);
  });
}

Deno.test("a teardown of two setups runs only if both succeeded", async () => {
  const d = dag("d");
  const one = d.task("one", idle, { setup: true });
  const two = d.task("two", broken, { setup: true });
  d.task("both", idle, { teardown: [one, two] });
  d.task("first", idle, { after: two, teardown: one });
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  assert.deepEqual(states(run), {
    one: S,
    two: "failed",
    both: "upstream_failed",
    first: S,
  });
});

for (
  const [what, end, state, reason] of [
    ["is marked as failed", "mark", "failed", "marked"],
    ["is cancelled", "cancel", "failed", "cancelled"],
    ["takes too long", "timeout", "failed", "timeout"],
  ] as const
) {
  Deno.test(`a run that ${what} stops its tasks, and runs its teardowns`, async () => {
    const clock = time();
    const { wait, came } = gate();
    const d = dag("d", end === "timeout" ? { timeout: { minutes: 10 } } : {});
    const setup = d.task("setup", idle, { setup: true });
    const work = d.task("work", wait as never, { after: setup, retries: 3 });
    const next = d.task("next", idle, { after: work, when: "all_done" });
    const late = d.task("late", idle, { after: work, setup: true });
    const order: string[] = [];
    d.task("teardown", () => void order.push("teardown"), { after: next, teardown: setup });
    d.task("unused", idle, { teardown: late });
    await using etl = await engine({ dags: [d], ...clock });
    const { id, done } = await etl.trigger(d);
    await until(() => came.includes("work"));
    if (end === "mark") await etl.mark(id, "failed");
    if (end === "cancel") await etl.cancel(id);
    if (end === "timeout") await clock.advance({ minutes: 10 });
    const run = await done;
    assert.deepEqual([run.state, run.reason], [state, reason]);
    assert.deepEqual(states(run), {
      setup: S,
      work: "failed",
      next: "skipped",
      late: "skipped",
      teardown: S,
      unused: "skipped",
    });
    assert.equal(run.tasks.work!.reason, reason, "its tasks are stopped for that reason");
    assert.deepEqual(order, ["teardown"]);
  });
}

Deno.test("a run that is marked as a success stops its tasks, and runs its teardowns", async () => {
  const { wait, came } = gate();
  const d = dag("d");
  const setup = d.task("setup", idle, { setup: true });
  const work = d.task("work", wait as never, { after: setup });
  const next = d.task("next", idle, { after: work });
  let torn = 0;
  d.task("teardown", () => void torn++, { after: next, teardown: setup });
  await using etl = await engine({ dags: [d] });
  const { id, done } = await etl.trigger(d);
  await until(() => came.includes("work"));
  await etl.mark(id, "success");
  const run = await done;
  assert.deepEqual([run.state, torn], [S, 1]);
  assert.deepEqual(states(run), { setup: S, work: S, next: S, teardown: S });
});

Deno.test("a teardown runs though its DAG was paused before its run was cancelled", async () => {
  const { wait, came } = gate();
  const d = dag("d");
  const setup = d.task("setup", idle, { setup: true });
  d.task("teardown", idle, {
    after: d.task("work", wait as never, { after: setup }),
    teardown: setup,
  });
  await using etl = await engine({ dags: [d] });
  const { id, done } = await etl.trigger(d);
  await until(() => came.includes("work"));
  await etl.pause("d");
  await etl.cancel(id);
  assert.deepEqual(states(await done), { setup: S, work: "failed", teardown: S });
});

Deno.test("an instance is torn down after all instances between", async () => {
  const d = dag("d");
  const order: string[] = [];
  const setup = d.task("setup", idle, { setup: true });
  const work = d.each("work", [0, 1, 2], () => ({ index }) => {
    order.push(`work ${index}`);
    if (index === 1) throw new Error("broke");
  }, { after: setup });
  d.task("teardown", () => void order.push("teardown"), { after: work, teardown: setup });
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  assert.equal(order.at(-1), "teardown");
  assert.deepEqual([order.length, run.state], [4, "failed"]);
});

Deno.test("clearing what lies between a setup and its teardown has both run again", async () => {
  const d = scene({});
  await using etl = await engine({ dags: [d] });
  const { id, done } = await etl.trigger(d);
  await done;
  const cleared = await etl.clear(id, { tasks: ["work"] });
  assert.deepEqual(cleared.map(({ task }) => task).sort(), ["setup", "teardown", "work"]);
  const { tasks } = await etl.done(id);
  assert.deepEqual(Object.values(tasks).map(({ attempt }) => attempt), [2, 2, 2]);
});
