import assert from "node:assert/strict";
import { type Dag, dag, engine, type Run } from "../../engine/mod.ts";
import { gate, idle, states, time, told, until } from "./_rig.ts";

/** How often tasks were stopped, and for what reason. */
function stoppable() {
  const begun: string[] = [];
  const stopped: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  async function work(
    ctx: { task: string; attempt: number; signal: AbortSignal },
  ): Promise<string> {
    const { task, attempt, signal } = ctx;
    begun.push(`${task} ${attempt}`);
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => {
        stopped.push(`${task} ${attempt}: ${signal.reason.message}`);
        reject(signal.reason);
      });
    });
    await Promise.race([promise, aborted]);
    return `${task} ${attempt}`;
  }
  return { begun, stopped, work, open: resolve };
}

const attempts = ({ tasks }: Run): string[] =>
  Object.entries(tasks).map(([id, task]) => `${id} ${told(task)}`);

Deno.test("a run that is cancelled stops what runs, begins nothing any more, and fails", async () => {
  const { begun, stopped, work } = stoppable();
  const d = dag("d");
  const first = d.task("first", work, { retries: 3 });
  d.task("then", idle, { after: first });
  d.task("whatever", idle, { after: first, when: "always" });
  await using etl = await engine({ dags: [d], pools: { default: 1 } });
  const { id, done } = await etl.trigger(d);
  await until(() => begun.length === 1);
  await etl.cancel(id);
  const run = await done;
  assert.deepEqual([run.state, run.reason], ["failed", "cancelled"]);
  assert.deepEqual(states(run), { first: "failed", then: "skipped", whatever: "skipped" });
  assert.deepEqual([run.tasks["first"]!.attempt, run.tasks["first"]!.retries], [1, 0]);
  assert.deepEqual(stopped, ["first 1: The run was ended: cancelled"]);
  await etl.cancel(id);
  assert.deepEqual(await etl.get(id), run, "once more changes nothing");
});

Deno.test("a task that is cleared while it runs is stopped, which is no failure, and begins anew only then", async () => {
  const slow = Promise.withResolvers<void>();
  const log: string[] = [];
  const d = dag("d");
  const a = d.task("a", async ({ attempt, signal }) => {
    log.push(`begins ${attempt}`);
    if (attempt > 1) return attempt;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    // It takes its time to stop.
    await slow.promise;
    log.push(`stops ${attempt}`);
    throw signal.reason;
  });
  d.task("b", idle, { after: a });
  await using etl = await engine({ dags: [d] });
  const { id, done } = await etl.trigger(d);
  await until(() => log.length === 1);
  await etl.clear(id, { tasks: ["a"] });
  await time().settle();
  assert.deepEqual(log, ["begins 1"]);
  slow.resolve();
  const run = await done;
  assert.deepEqual(log, ["begins 1", "stops 1", "begins 2"]);
  assert.deepEqual(attempts(run), ["a success 2", "b success 1"]);
  assert.equal(run.tasks["a"]!.retries, 0);
  assert.equal(run.cleared, 0, "it was not over");
});

for (
  const [to, expected] of [
    ["success", { a: "success", b: "success" }],
    ["failed", { a: "failed", b: "upstream_failed" }],
  ] as const
) {
  Deno.test(`a task that is marked as ${to} while it runs is stopped, and has ended so`, async () => {
    const { begun, stopped, work } = stoppable();
    const d = dag("d");
    const a = d.task("a", work, { retries: 3 });
    d.task("b", idle, { after: a });
    await using etl = await engine({ dags: [d] });
    const { id, done } = await etl.trigger(d);
    await until(() => begun.length === 1);
    await etl.mark(id, to, { tasks: ["a"] });
    const run = await done;
    assert.deepEqual(states(run), expected);
    assert.equal(run.tasks["a"]!.reason, "marked");
    assert.deepEqual(begun, ["a 1"]);
    assert.deepEqual(stopped, [`a 1: It was marked as ${to}`]);
  });
}

Deno.test("a run that is over goes on when it is cleared, and what was kept is what it reads", async () => {
  let made = 0;
  const d = dag("d");
  const a = d.task("a", () => ++made);
  d.task("b", () => made, { after: a });
  await using etl = await engine({ dags: [d] });
  const { id, done } = await etl.trigger(d);
  await done;
  assert.deepEqual(await etl.clear(id, { tasks: ["b"], dryRun: true }), [{ run: id, task: "b" }]);
  assert.equal((await etl.get(id))!.state, "success", "a dry run changes nothing");
  await etl.clear(id, { tasks: ["b"] });
  const run = await etl.done(id);
  assert.deepEqual(attempts(run), ["a success 1", "b success 2"]);
  assert.deepEqual([made, run.cleared], [1, 1]);
});

Deno.test("who intervenes is told what is not there", async () => {
  const d = dag("d");
  d.task("a", idle);
  await using etl = await engine({ dags: [d] });
  const { id, done } = await etl.trigger(d);
  await done;
  for (const verb of ["cancel", "clear"] as const) {
    await assert.rejects(etl[verb]("r"), {
      name: "TypeError",
      message: `Cannot ${verb} run "r": there is none`,
    });
  }
  await assert.rejects(etl.mark("r", "failed"), /Cannot mark run "r": there is none/);
  await assert.rejects(etl.clear(id, { tasks: ["b"] }), /Cannot find task "b" in "d": .* "a"/);
  await assert.rejects(etl.mark(id, "failed", { tasks: ["b"] }), TypeError);
});

Deno.test("a run under way keeps the version of its DAG that it began with, and the next one has the new", async () => {
  const { wait, came, open } = gate();
  const version = (n: number): Dag => {
    const d = dag("d");
    const a = d.task("a", async (ctx) => {
      await wait(ctx as never);
      return n;
    });
    d.task(`b${n}`, () => n, { after: a });
    return d;
  };
  await using etl = await engine({ dags: [{ dag: version(1), hash: "one" }] });
  const old = await etl.trigger("d");
  await until(() => came.length === 1);
  await etl.replace([{ dag: version(2), hash: "two" }]);
  const fresh = await etl.trigger("d");
  open();
  const [before, after] = [await old.done, await fresh.done];
  assert.deepEqual([before.hash, attempts(before)], ["one", ["a success 1", "b1 success 1"]]);
  assert.deepEqual([after.hash, attempts(after)], ["two", ["a success 1", "b2 success 1"]]);
  assert.deepEqual([before.tasks["a"]!.output, after.tasks["a"]!.output], [1, 2]);
});

Deno.test("a run that is cleared after a reload goes on with the new version", async () => {
  const version = (...tasks: string[]): Dag => {
    const d = dag("d");
    for (const task of tasks) d.task(task, () => task);
    return d;
  };
  await using etl = await engine({ dags: [{ dag: version("a", "b"), hash: "one" }] });
  const { id, done } = await etl.trigger("d");
  await done;
  await etl.replace([{ dag: version("b", "c"), hash: "two" }]);
  await etl.clear(id, { tasks: ["b"] });
  const run = await etl.done(id);
  assert.equal(run.hash, "two");
  assert.deepEqual(attempts(run).sort(), ["a success 1", "b success 2", "c success 1"]);
});
