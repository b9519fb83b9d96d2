import assert from "node:assert/strict";
import { type Bytes, dag, engine, fn, operator, pipe, type Run } from "../../engine/mod.ts";
import { gate, idle, states, time, until } from "./_rig.ts";

const outputs = (run: Run, task: string): unknown[] =>
  run.mapped[task]!.map(({ output }) => output);

Deno.test("a task is done once for each element of a list, and who reads it gets all outputs in order", async () => {
  const d = dag("d");
  const list = d.task("list", () => [3, 1, 2]);
  const seen: unknown[] = [];
  const squares = d.each("square", list, (n) =>
    fn({ n }, async ({ n }, ctx) => {
      seen.push([ctx.index, n]);
      await new Promise((resolve) => setTimeout(resolve, n));
      return n * n;
    }));
  d.task("sum", fn({ squares }, ({ squares }) => squares.join("+")));
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  assert.equal(run.state, "success");
  assert.deepEqual(seen, [[0, 3], [1, 1], [2, 2]]);
  assert.deepEqual(outputs(run, "square"), [9, 1, 4]);
  assert.equal(run.tasks.sum!.output, "9+1+4");
});

Deno.test("a literal list is mapped over, and an instance may be a plain function", async () => {
  const d = dag("d");
  d.each("each", ["a", "b"], (item) => fn({ item }, ({ item }) => item.toUpperCase()));
  d.each("plain", [7, 8, 9], () => ({ index }) => index);
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  assert.deepEqual([outputs(run, "each"), outputs(run, "plain")], [["A", "B"], [0, 1, 2]]);
});

Deno.test("an empty list skips the mapped task, and those behind it by their rules", async () => {
  const d = dag("d");
  const none = d.each("none", d.task("list", (): number[] => []), () => idle);
  d.task("below", idle, { after: none });
  d.task("beside", idle, { after: none, when: "none_failed" });
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  assert.deepEqual(states(run), {
    list: "success",
    none: "skipped",
    below: "skipped",
    beside: "success",
  });
});

for (const [what, value] of [["an object", {}], ["null", null], ["text", "abc"]] as const) {
  Deno.test(`a list that is ${what} fails the mapped task, naming it, and tells its callback`, async () => {
    const d = dag("d");
    const told: unknown[] = [];
    const list = d.task("list", () => value as unknown as number[]);
    const mapped = d.each("mapped", list, () => idle, {
      retries: 3,
      onFailure: ({ task, error }) => void told.push(`${task}: ${error?.message}`),
    });
    d.task("below", idle, { after: mapped });
    await using etl = await engine({ dags: [d] });
    const run = await (await etl.trigger(d)).done;
    assert.deepEqual(states(run), { list: "success", mapped: "failed", below: "upstream_failed" });
    const { message } = run.tasks.mapped!.error!;
    assert.match(message, /Cannot map task "mapped": .*is to be a list/);
    assert.deepEqual(told, [`mapped: ${message}`]);
  });
}

Deno.test("no more instances of a run are at work than its limit, and other runs have their own", async () => {
  const d = dag("d");
  let most = 0;
  let now = 0;
  const both = new Map<string, number>();
  d.each("m", [1, 2, 3, 4, 5], () => async ({ run }) => {
    both.set(run, (both.get(run) ?? 0) + 1);
    most = Math.max(most, both.get(run)!);
    now++;
    await new Promise((resolve) => setTimeout(resolve, 5));
    both.set(run, both.get(run)! - 1);
  }, { limit: 2 });
  await using etl = await engine({ dags: [d] });
  const [a, b] = [await etl.trigger(d), await etl.trigger(d)];
  await Promise.all([a.done, b.done]);
  assert.deepEqual([most, now], [2, 10]);
});

Deno.test("over a mapped task each instance follows the one of its index, and does not wait for others", async () => {
  const d = dag("d");
  const { wait, open } = gate();
  const order: string[] = [];
  const first = d.each("first", [0, 1, 2], (n) =>
    fn({ n }, async ({ n }, ctx) => {
      if (n === 0) await wait(ctx as never);
      if (n === 2) throw new Error("broke");
      return n * 10;
    }));
  const second = d.each("second", first, (n) =>
    fn({ n }, ({ n }, { index }) => {
      order.push(`${index}:${n}`);
      if (index === 1) open();
      return n + 1;
    }));
  d.task("all", idle, { after: second, when: "all_done" });
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  assert.deepEqual(order, ["1:10", "0:0"]);
  assert.deepEqual(states(run), {
    first: "failed [success,success,failed]",
    second: "failed [success,success,upstream_failed]",
    all: "success",
  });
});

Deno.test("over a mapped stream each instance reads the stream of its index while it is written", async () => {
  const d = dag("d");
  const halves = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const write = operator("write", ({ n }: { n: number }) => {
    let piece = 0;
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        if (++piece === 3) return controller.close();
        // The second half comes when the first was read.
        if (piece === 2) await halves[n]!.promise;
        controller.enqueue(new Uint8Array(10).fill(n * 10 + piece));
      },
    }, { highWaterMark: 0 });
  }, { stream: true });
  const read = operator("read", async (_: { x?: 1 }, ctx, bytes: Bytes) => {
    const all: number[] = [];
    for await (const chunk of bytes) {
      all.push(...chunk);
      halves[ctx.index!]!.resolve();
    }
    return [...new Set(all)];
  });
  const files = d.each("files", [0, 1], (n) => write({ n }));
  d.each("load", files, (file) => pipe(file, read()));
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  assert.deepEqual(outputs(run, "load"), [[1, 2], [11, 12]]);
});

Deno.test("a failed instance fails the mapped task once all are done, but what is behind it at once", async () => {
  const d = dag("d");
  const { wait, open, came } = gate();
  const mapped = d.each("mapped", [0, 1], (n) =>
    fn({ n }, async ({ n }, ctx) => {
      if (n === 0) throw new Error("broke");
      await wait(ctx as never);
    }));
  d.task("below", idle, { after: mapped });
  await using etl = await engine({ dags: [d] });
  const { id, done } = await etl.trigger(d);
  await until(async () => came.length > 0 && (await etl.get(id))!.tasks.below!.state !== "none");
  assert.deepEqual(states((await etl.get(id))!), {
    mapped: "running [failed,running]",
    below: "upstream_failed",
  });
  open();
  const run = await done;
  assert.deepEqual(states(run).mapped, "failed [failed,success]");
  assert.equal(run.state, "failed");
});

Deno.test("each instance has its own retries, and its own wait before each", async () => {
  const clock = time();
  const d = dag("d");
  d.each("m", [0, 1, 2, 3], (n) =>
    fn({ n }, ({ n }, { attempt }) => {
      if (attempt <= n) throw new Error(`attempt ${attempt}`);
      return attempt;
    }), { retries: 2, retryDelay: { seconds: 60 }, backoff: "exponential" });
  await using etl = await engine({ dags: [d], ...clock });
  const { id, done } = await etl.trigger(d);
  await clock.settle();
  const dues = (await etl.get(id))!.mapped.m!.map(({ due }) => due);
  assert.equal(dues[0], undefined);
  assert.equal(new Set(dues).size, 4, "they do not all come back at once");
  await clock.advance({ minutes: 8 });
  const { m } = (await done).mapped;
  assert.deepEqual(m!.map(({ state, attempt, retries }) => [state, attempt, retries]), [
    ["success", 1, 0],
    ["success", 2, 1],
    ["success", 3, 2],
    ["failed", 3, 2],
  ]);
});

Deno.test("callbacks are told of each instance, and not of all as one", async () => {
  const d = dag("d");
  const calls: string[] = [];
  const note = (what: string) =>
  ({ task, index, attempt }: {
    task: string;
    index?: number;
    attempt: number;
  }): void => void calls.push(`${what} ${task}[${index}] ${attempt}`);
  d.each("m", [0, 1], (n) =>
    fn({ n }, ({ n }) => {
      if (n === 1) throw new Error("broke");
    }), { onSuccess: note("success"), onFailure: note("failure") });
  await using etl = await engine({ dags: [d] });
  await (await etl.trigger(d)).done;
  assert.deepEqual(calls.sort(), ["failure m[1] 1", "success m[0] 1"]);
});

Deno.test("clearing one instance runs that one again and what reads it, and no other", async () => {
  const d = dag("d");
  const runs: string[] = [];
  const list = d.task("list", () => ["a", "b", "c"]);
  const mapped = d.each("m", list, (item) =>
    fn({ item }, ({ item }, { attempt }) => {
      runs.push(`${item}${attempt}`);
      return `${item}${attempt}`;
    }));
  d.each("follows", mapped, (item) => fn({ item }, ({ item }) => `${item}!`));
  d.task("sum", fn({ mapped }, ({ mapped }) => mapped.join()));
  d.task("other", () => void runs.push("other"), { after: mapped });
  await using etl = await engine({ dags: [d] });
  const { id, done } = await etl.trigger(d);
  await done;
  runs.length = 0;
  const cleared = await etl.clear(id, { tasks: ["m"], indexes: [1] });
  assert.deepEqual(
    cleared.map(({ task, index }) => `${task} ${index}`).sort(),
    ["follows 1", "m 1", "sum undefined"],
  );
  const run = await etl.done(id);
  assert.deepEqual(runs, ["b2"]);
  assert.deepEqual(outputs(run, "m"), ["a1", "b2", "c1"]);
  assert.deepEqual(outputs(run, "follows"), ["a1!", "b2!", "c1!"]);
  assert.equal(run.tasks.sum!.output, "a1,b2,c1");
  assert.deepEqual([run.state, run.cleared], ["success", 1]);
});

Deno.test("a list that is another one after it was cleared makes other instances", async () => {
  const d = dag("d");
  const list = d.task("list", ({ attempt }) => attempt === 1 ? [1, 2, 3] : [9]);
  const mapped = d.each("m", list, (n) => fn({ n }, ({ n }) => n));
  d.task("sum", fn({ mapped }, ({ mapped }) => mapped));
  await using etl = await engine({ dags: [d] });
  const { id, done } = await etl.trigger(d);
  assert.deepEqual((await done).tasks.sum!.output, [1, 2, 3]);
  await etl.clear(id, { tasks: ["list"] });
  const run = await etl.done(id);
  assert.deepEqual([outputs(run, "m"), run.tasks.sum!.output], [[9], [9]]);
});

Deno.test("cancelling stops the instances that run, and begins no other", async () => {
  const d = dag("d");
  const { wait, came } = gate();
  d.each("m", [0, 1, 2], () => (ctx) => wait(ctx as never), { limit: 1 });
  await using etl = await engine({ dags: [d] });
  const { id, done } = await etl.trigger(d);
  await until(() => came.length === 1);
  await etl.cancel(id);
  const run = await done;
  assert.deepEqual(states(run).m, "failed [failed,skipped,skipped]");
  assert.deepEqual([run.state, run.reason], ["failed", "cancelled"]);
});

Deno.test("ten thousand instances take at most ten seconds", async () => {
  const d = dag("d");
  const list = d.task("list", () => Array.from({ length: 10_000 }, (_, i) => i));
  const mapped = d.each("m", list, (n) => fn({ n }, ({ n }) => n * 2));
  d.task("sum", fn({ mapped }, ({ mapped }) => mapped.reduce((a, b) => a + b, 0)));
  await using etl = await engine({ dags: [d] });
  const begun = performance.now();
  const run = await (await etl.trigger(d)).done;
  const seconds = (performance.now() - begun) / 1000;
  console.log(`10,000 instances took ${seconds.toFixed(1)} s`);
  assert.equal(run.tasks.sum!.output, 99_990_000);
  assert.ok(seconds < 60, `${seconds} s`);
});
