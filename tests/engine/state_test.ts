import assert from "node:assert/strict";
import { type Event, reduce, reduceAll, type Run, type TaskRun, toJson } from "../../engine/mod.ts";
import { toFailure } from "../../engine/state.ts";

const created: Event & { type: "run_created" } = {
  type: "run_created",
  run: "manual__20210102T060000Z",
  at: "2021-01-03T00:00:00Z",
  dag: "taxi",
  kind: "manual",
  interval: { start: "2021-01-02T06:00:00+00:00[UTC]", end: "2021-01-03T06:00:00+00:00[UTC]" },
  logicalDate: "2021-01-02T06:00:00Z",
  runAfter: "2021-01-03T06:00:00Z",
  params: { base: "x" },
  tasks: ["download", "load"],
};
const change = (to: "running" | "success" | "failed", at: string, reason?: string): Event => ({
  type: "run_changed",
  run: created.run,
  at,
  to,
  ...reason ? { reason } : {},
});

Deno.test("a run is what its events make of it, also after they were JSON", () => {
  const events: Event[] = [
    created,
    change("running", "2021-01-03T00:00:01Z"),
    {
      type: "task_changed",
      run: created.run,
      at: "2021-01-03T00:00:02Z",
      task: "load",
      to: { state: "success", attempt: 2, retries: 1, output: { rows: 3 } },
    },
    change("failed", "2021-01-03T00:00:03Z", "deadlock"),
  ];
  const run = events.reduce<Run | undefined>(reduce, undefined);
  const { type: _, run: __, at: ___, ...kept } = created;
  assert.deepEqual(run, {
    ...kept,
    id: created.run,
    version: 4,
    state: "failed",
    cleared: 0,
    mapped: {},
    reason: "deadlock",
    created: "2021-01-03T00:00:00Z",
    started: "2021-01-03T00:00:01Z",
    ended: "2021-01-03T00:00:03Z",
    tasks: {
      download: { state: "none", attempt: 0, retries: 0 },
      load: { state: "success", attempt: 2, retries: 1, output: { rows: 3 } },
    },
  });
  const again = (JSON.parse(JSON.stringify(events)) as Event[])
    .reduce<Run | undefined>(reduce, undefined);
  assert.deepEqual(again, run);
});

Deno.test("an event that does not fit its run is refused", () => {
  const run = reduce(undefined, created);
  assert.throws(() => reduce(run, created), /there is one of that id/);
  assert.throws(() => reduce(undefined, change("running", "2021-01-03T00:00:01Z")), /not there/);
  assert.throws(
    () =>
      reduce(run, {
        type: "task_changed",
        run: run.id,
        at: run.created,
        task: "constructor",
        to: { state: "success", attempt: 1, retries: 0 },
      }),
    /has none of that id/,
  );
});

const at = "2021-01-03T00:00:02Z";
const id = created.run;
const was = (state: TaskRun["state"], attempt = 1): TaskRun => ({ state, attempt, retries: 0 });
const none = was("none", 0);

Deno.test("a mapped task has instances once it is known how many", () => {
  const before = reduceAll(undefined, [
    created,
    { type: "task_mapped", run: id, at, task: "load", count: 3 },
    { type: "task_changed", run: id, at, task: "load", index: 1, to: was("running") },
  ])!;
  const run = reduceAll(before, [
    { type: "task_changed", run: id, at, task: "load", index: 1, to: was("success") },
    { type: "task_changed", run: id, at, task: "load", index: 2, to: was("running") },
  ])!;
  assert.deepEqual(before.mapped, { load: [none, was("running"), none] });
  assert.deepEqual(run.mapped, { load: [none, was("success"), was("running")] });
  assert.equal(run.version, 5);
  assert.throws(
    () =>
      reduce(run, { type: "task_changed", run: id, at, task: "load", index: 3, to: was("none") }),
    /"load\[3\]".* none of that id/,
  );
  assert.deepEqual(reduce(run, { type: "task_mapped", run: id, at, task: "load" }).mapped, {});
});

Deno.test("a run that is cleared is to go on, and says so", () => {
  const over = reduceAll(undefined, [created, change("running", at), change("failed", at, "why")])!;
  const { reason: _, started: __, ended: ___, ...rest } = over;
  const cleared = reduce(over, { type: "run_cleared", run: id, at });
  assert.deepEqual(cleared, { ...rest, state: "queued", cleared: 1, version: 4 });
});

Deno.test("a run takes on another version of its DAG", () => {
  const run = reduceAll(undefined, [
    { ...created, tasks: ["a", "b", "c"], hash: "1" },
    { type: "task_changed", run: id, at, task: "b", to: was("success") },
    { type: "run_adopted", run: id, at, hash: "2", tasks: ["d", "c"] },
  ])!;
  assert.equal(run.hash, "2");
  assert.deepEqual(Object.entries(run.tasks), [
    ["d", none],
    ["c", none],
    ["a", was("removed", 0)],
    ["b", was("success")],
  ]);
});

const loop: Record<string, unknown> = {};
loop.self = [loop];
for (
  const [value, path] of [
    [{ a: [1, { b: 10n }] }, /"output\.a\[1\]\.b".*a bigint/],
    [[NaN], /"output\[0\]".*NaN/],
    [{ at: new Date(0) }, /"output\.at".*of class Date/],
    [{ f: () => 1 }, /"output\.f".*a function/],
    [loop, /"output\.self\[0\]".*contains itself/],
  ] as const
) {
  Deno.test(`what is not JSON is refused by its path: ${path}`, () => {
    assert.throws(() => toJson(value, "output"), path);
  });
}

Deno.test("undefined is null as JSON, and absent in an object", () => {
  const twice = { x: 1 };
  assert.deepEqual(toJson(undefined, "output"), null);
  assert.deepEqual(toJson({ a: undefined, b: [undefined, twice, twice] }, "output"), {
    b: [null, { x: 1 }, { x: 1 }],
  });
});

Deno.test("a failure keeps the causes of an error", () => {
  const error = new TypeError("Cannot load", {
    cause: new RangeError("too far", { cause: "why" }),
  });
  const { name, message, cause } = toFailure(error);
  assert.deepEqual([name, message], ["TypeError", "Cannot load"]);
  assert.deepEqual([cause?.name, cause?.message, cause?.cause?.message], [
    "RangeError",
    "too far",
    "why",
  ]);
});
