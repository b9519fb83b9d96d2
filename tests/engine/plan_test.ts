import assert from "node:assert/strict";
import golden from "../golden/trigger_rules.json" with { type: "json" };
import {
  dag,
  decide,
  type Event,
  fn,
  operator,
  pipe,
  plan,
  reduce,
  type Run,
  type TaskRun,
  type TaskState,
  type When,
} from "../../engine/mod.ts";
import { nextDue, strays } from "../../engine/plan.ts";

const STATES: Record<string, TaskState> = {
  S: "success",
  F: "failed",
  U: "upstream_failed",
  K: "skipped",
  R: "running",
};
const WORDS = { run: "RUN", skip: "SKIP", upstream_failed: "UPF", wait: "WAIT" };

for (const [rule, cases] of Object.entries(golden.rules)) {
  Deno.test(`trigger rule ${rule} decides by the states of the upstream tasks`, () => {
    for (const [states, expected] of Object.entries(cases)) {
      const upstream = [...states].map((letter) => STATES[letter]!);
      for (const order of [upstream, upstream.toReversed()]) {
        assert.equal(WORDS[decide(rule as When, order)], expected, states);
      }
    }
    assert.equal(decide(rule as When, []), "run");
  });
}

const now = Temporal.Instant.from("2021-01-03T00:00:00Z");
const bytes = operator("bytes", () => new ReadableStream<Uint8Array<ArrayBuffer>>());
const eat = operator("eat", (_: { x?: number }, __, ___: ReadableStream<Uint8Array>) => 1);
const idle = (): number => 1;

/** A running run of a DAG, whose tasks stand so. */
function running(d: ReturnType<typeof dag>, tasks: Record<string, Partial<TaskRun>>): Run {
  const run = reduce(undefined, {
    type: "run_created",
    run: "r",
    at: now.toString(),
    dag: d.id,
    kind: "manual",
    interval: { start: "2021-01-02T00:00+00:00[UTC]", end: "2021-01-02T00:00+00:00[UTC]" },
    logicalDate: "2021-01-02T00:00:00Z",
    runAfter: "2021-01-02T00:00:00Z",
    params: {},
    tasks: [...d.tasks.keys()],
  });
  const all = Object.entries(run.tasks).map(([id, task]) => [id, { ...task, ...tasks[id] }]);
  return { ...run, state: "running", tasks: Object.fromEntries(all) };
}

const short = (event: Event): string =>
  event.type === "task_changed"
    ? `${event.task}:${event.to.state}`
    : event.type === "run_changed"
    ? `run:${event.to}${event.reason ? `(${event.reason})` : ""}`
    : event.type;
const planned = (d: ReturnType<typeof dag>, tasks: Record<string, Partial<TaskRun>>): string =>
  plan(d, running(d, tasks), now).map(short).join(" ");

Deno.test("tasks become ready in order, and what can never run says so at once", () => {
  const d = dag("d");
  const a = d.task("a", idle);
  const b = d.task("b", idle);
  const c = d.task("c", idle, { after: [a, b] });
  d.task("e", idle, { after: c });
  assert.equal(planned(d, {}), "a:scheduled b:scheduled");
  assert.equal(planned(d, { a: { state: "success" }, b: { state: "running" } }), "");
  assert.equal(
    planned(d, { a: { state: "failed" }, b: { state: "running" } }),
    "c:upstream_failed e:upstream_failed",
  );
  assert.equal(
    planned(d, { a: { state: "skipped" }, b: { state: "success" } }),
    "c:skipped e:skipped run:success",
  );
});

Deno.test("a run fails when a leaf did, and only then", () => {
  const d = dag("d");
  const a = d.task("a", idle);
  d.task("b", idle, { after: a, when: "all_done" });
  assert.equal(planned(d, { a: { state: "failed" }, b: { state: "success" } }), "run:success");
  assert.equal(planned(d, { a: { state: "success" }, b: { state: "failed" } }), "run:failed");
  assert.equal(
    planned(d, { a: { state: "failed" }, b: { state: "upstream_failed" } }),
    "run:failed",
  );
  assert.equal(plan(dag("none"), running(dag("none"), {}), now).map(short).join(), "run:success");
});

Deno.test("a run that is not running has nothing to do", () => {
  const d = dag("d");
  d.task("a", idle);
  assert.deepEqual(plan(d, { ...running(d, {}), state: "queued" }, now), []);
  assert.deepEqual(plan(d, { ...running(d, {}), state: "failed" }, now), []);
});

Deno.test("who reads waits until that is there, whatever its rule; who only comes after does not", () => {
  const d = dag("d");
  const a = d.task("a", () => [1]);
  const b = d.task("b", idle);
  const list = { list: a, b };
  for (const when of ["always", "one_success", "one_done"] as const) {
    d.task(`read_${when}`, fn(list, idle), { when });
    d.task(`after_${when}`, idle, { when, after: [a, b] });
    d.each(`each_${when}`, a, () => idle, { when, after: b });
  }
  assert.equal(planned(d, {}), "a:scheduled b:scheduled after_always:scheduled");
  assert.equal(
    planned(d, { a: { state: "running" }, b: { state: "success" } }),
    "after_always:scheduled after_one_success:scheduled after_one_done:scheduled",
  );
  assert.doesNotMatch(planned(d, { a: { state: "running" }, b: { state: "failed" } }), /read|each/);
});

Deno.test("a retry waits until it is due", () => {
  const d = dag("d");
  d.task("a", idle, { retries: 1 });
  const due = "2021-01-03T00:00:00Z";
  const resting = (due: string): Partial<TaskRun> => ({ state: "up_for_retry", retries: 1, due });
  assert.equal(planned(d, { a: resting("2021-01-03T00:00:00.001Z") }), "");
  assert.equal(planned(d, { a: resting(due) }), "a:scheduled");
  const later = running(d, { a: resting("2021-01-03T00:00:00.001Z") });
  assert.equal(nextDue(d, later, now)?.toString(), "2021-01-03T00:00:00.001Z");
  assert.equal(nextDue(d, running(d, { a: resting(due) }), now), undefined);
});

const stream = { key: null, validator: null, bytes: 0, whole: false };
const edge = (when?: When): ReturnType<typeof dag> => {
  const d = dag("d");
  const file = d.task("file", bytes(), { retries: 1 });
  const other = d.task("other", idle);
  d.task("load", pipe(file, eat({})), { after: other, ...when ? { when } : {} });
  return d;
};

Deno.test("a reader starts when the stream began and all else has ended well", () => {
  const success = { state: "success" } as const;
  for (
    const [file, other, expected] of [
      [{ state: "running" }, success, ""],
      [{ state: "running", stream }, { state: "running" }, ""],
      [{ state: "running", stream }, success, "load:scheduled"],
      [{ state: "up_for_retry", stream, due: "2021-01-03T00:00:09Z" }, success, ""],
      [{ state: "success", stream }, success, "load:scheduled"],
      [{ state: "running", stream }, { state: "failed" }, "load:upstream_failed"],
      [{ state: "failed", stream }, { state: "running" }, "load:upstream_failed"],
    ] as [Partial<TaskRun>, Partial<TaskRun>, string][]
  ) {
    assert.equal(planned(edge(), { file, other }), expected, JSON.stringify([file, other]));
  }
});

Deno.test("a task ordered after a writer, or with another rule, waits for the end of the stream", () => {
  const d = dag("d");
  const file = d.task("file", bytes());
  d.task("next", idle, { after: file });
  assert.equal(planned(d, { file: { state: "running", stream } }), "");
  const other = { state: "success" } as const;
  const tasks = { file: { state: "running", stream }, other } as const;
  assert.equal(planned(edge("one_success"), tasks), "");
  assert.equal(
    planned(edge("one_success"), { file: { state: "failed", stream }, other }),
    "load:scheduled",
  );
});

Deno.test("a scheduled reader goes back when what it reads goes away", () => {
  const tasks = { other: { state: "success" }, load: { state: "scheduled" } } as const;
  assert.equal(planned(edge(), { ...tasks, file: { state: "running" } }), "load:none");
  assert.equal(
    planned(edge(), { ...tasks, file: { state: "failed" } }),
    "load:upstream_failed run:failed",
  );
});

Deno.test("running readers are strays when their writer ended badly, began anew or rests for long", () => {
  const load = { state: "running" } as const;
  const other = { state: "success" } as const;
  for (
    const [file, expected] of [
      [{ state: "running" }, []],
      [{ state: "success" }, []],
      [{ state: "scheduled" }, []],
      [{ state: "up_for_retry", due: "2021-01-03T00:01:00Z" }, []],
      [{ state: "up_for_retry", due: "2021-01-03T00:01:01Z" }, ["load:restart"]],
      [{ state: "failed" }, ["load:restart"]],
      [{ state: "skipped" }, ["load:restart"]],
      [{ state: "none" }, ["load:restart"]],
    ] as [Partial<TaskRun>, string[]][]
  ) {
    const found = strays(edge(), running(edge(), { file, other, load }), now);
    assert.deepEqual(found.map(({ task, why }) => `${task}:${why}`), expected);
  }
});
