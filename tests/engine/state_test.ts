import assert from "node:assert/strict";
import { type Event, memory, reduce, type Run, toJson } from "../../engine/mod.ts";
import { toFailure } from "../../engine/state.ts";

const created: Event = {
  type: "run_created",
  run: "manual__20210102T060000Z",
  at: "2021-01-03T00:00:00Z",
  dag: "taxi",
  kind: "manual",
  interval: { start: "2021-01-02T06:00:00+00:00[UTC]", end: "2021-01-03T06:00:00+00:00[UTC]" },
  logicalDate: "2021-01-02T06:00:00Z",
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

Deno.test("a store adds events only to the version they were made for", async () => {
  const store = memory();
  const id = created.run;
  assert.equal(await store.append(id, 0, [created]), true);
  assert.equal(await store.append(id, 0, [created]), false);
  const running = change("running", "2021-01-03T00:00:01Z");
  assert.equal(await store.append(id, 1, [running]), true);
  assert.equal(await store.append(id, 1, [change("failed", "2021-01-03T00:00:02Z")]), false);
  assert.equal((await store.get(id))?.state, "running");
  assert.equal(await store.get("other"), undefined);
});

Deno.test("a store lists the runs that fit, the latest first", async () => {
  const store = memory();
  for (const [run, dag] of [["a", "x"], ["b", "y"], ["c", "x"]] as const) {
    await store.append(run, 0, [{ ...created, run, dag }]);
  }
  await store.append("a", 1, [{ ...change("running", created.at), run: "a" }]);
  const list = async (query?: Parameters<typeof store.list>[0]): Promise<string> =>
    (await store.list(query)).map((run) => run.id).join();
  assert.equal(await list(), "c,b,a");
  assert.equal(await list({ dag: "x" }), "c,a");
  assert.equal(await list({ state: "queued", limit: 1 }), "c");
  assert.equal(await list({ dag: "x", state: "running" }), "a");
});

Deno.test("a store tells all that happens from the moment it is watched, until stopped", async () => {
  const store = memory();
  await store.append("before", 0, [{ ...created, run: "before" }]);
  const stop = new AbortController();
  const events = store.watch(stop.signal);
  await store.append("a", 0, [{ ...created, run: "a" }]);
  const seen: string[] = [];
  const watching = (async () => {
    for await (const event of events) {
      seen.push(event.run);
      if (event.run === "b") stop.abort();
    }
  })();
  await store.append("b", 0, [{ ...created, run: "b" }]);
  await watching;
  assert.deepEqual(seen, ["a", "b"]);
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
