import assert from "node:assert/strict";
import { dag } from "../../engine/dag.ts";
import { type Mark, mark, markRun } from "../../engine/mark.ts";
import { plan } from "../../engine/plan.ts";
import { type Event, reduceAll, type Run, type TaskState } from "../../engine/state.ts";

const AT = "2024-02-01T00:00:00Z";
const idle = (): number => 1;

const d = dag("d");
const a = d.task("a", idle);
const b = d.task("b", idle, { after: a });
d.task("c", idle, { after: b });

const s = dag("s");
const up = s.task("up", idle, { setup: true });
const work = s.task("work", idle, { after: up });
const down = s.task("down", idle, { after: work, teardown: up });
s.task("end", idle, { after: [work, down] });

const m = dag("m");
const each = m.each("each", [1, 2], () => idle);
m.task("sum", idle, { after: each });

/** A run whose tasks stand so; of `each`, its instances. */
function run(
  of: ReturnType<typeof dag>,
  states: readonly TaskState[],
  state: Run["state"],
  instances: readonly TaskState[] = [],
): Run {
  const base = { run: "r", at: AT } as const;
  const task = (state: TaskState) => {
    return {
      state,
      attempt: 2,
      retries: 1,
      started: AT,
      ...state === "success" ? { output: 1 } : {},
    };
  };
  const events: Event[] = [
    {
      ...base,
      type: "run_created",
      dag: of.id,
      kind: "manual",
      interval: { start: AT, end: AT },
      logicalDate: AT,
      runAfter: AT,
      params: {},
      tasks: [...of.tasks.keys()],
    },
    { ...base, type: "run_changed", to: "running" },
    ...[...of.tasks.keys()].map((id, i): Event => {
      return { ...base, type: "task_changed", task: id, to: task(states[i]!) };
    }),
    ...instances.length === 0 ? [] : [
      { ...base, type: "task_mapped", task: "each", count: instances.length } as const,
      ...instances.map((state, index): Event => {
        return { ...base, type: "task_changed", task: "each", index, to: task(state) };
      }),
    ],
    { ...base, type: "run_changed", to: state },
  ];
  return reduceAll(undefined, events)!;
}

const statesOf = (run: Run): TaskState[] => Object.values(run.tasks).map(({ state }) => state);

/** What becomes of a run without anything being run. */
function settle(of: ReturnType<typeof dag>, run: Run): Run {
  const now = Temporal.Instant.from(AT);
  const started = run.state === "queued"
    ? reduceAll(run, [{ type: "run_changed", run: "r", at: AT, to: "running" }])!
    : run;
  return reduceAll(started, plan(of, started, now))!;
}

const F = "failed", S = "success", U = "upstream_failed", N = "none", R = "running", K = "skipped";

const marks: Readonly<
  Record<string, [TaskState[], Run["state"], string, Mark, TaskState[], string]>
> = {
  "a failed task a success: what failed because of it runs": [
    [F, U, U],
    F,
    "a",
    S,
    [S, N, N],
    "queued",
  ],
  "a failed task a success while the run goes on": [[F, N, N], R, "a", S, [S, N, N], R],
  "a task that waits for a retry failed": [["up_for_retry", N, N], R, "a", F, [F, N, N], R],
  "a task that succeeded failed: what came of it stays": [
    [S, S, S],
    S,
    "b",
    F,
    [S, F, S],
    "queued",
  ],
  "the last task failed": [[S, S, S], S, "c", F, [S, S, F], "queued"],
  "a task as what it is: nothing": [[S, F, U], F, "b", F, [S, F, U], F],
  "a task that runs: nothing, until it was stopped": [[R, N, N], R, "a", F, [R, N, N], R],
};

for (const [what, [states, state, task, to, after, runState]] of Object.entries(marks)) {
  Deno.test(`mark ${what}`, () => {
    const before = run(d, states, state);
    const marked = reduceAll(before, mark(d, before, [{ run: "r", task }], to, AT))!;
    assert.deepEqual(statesOf(marked), after);
    assert.equal(marked.state, runState);
    if (marked.tasks[task] === before.tasks[task]) return;
    const { state: _, ...rest } = marked.tasks[task]!;
    assert.deepEqual(rest, { attempt: 2, retries: 1, started: AT, ended: AT, reason: "marked" });
  });
}

Deno.test("a run that was over ends as its marked tasks say", () => {
  for (const [to, end] of [[F, F], [S, S]] as const) {
    const before = run(d, [S, S, to === F ? S : F], to === F ? S : F);
    const marked = reduceAll(before, mark(d, before, [{ run: "r", task: "c" }], to, AT))!;
    assert.equal(settle(d, marked).state, end);
  }
});

Deno.test("a mapped task is marked by its instances", () => {
  const before = run(m, [F, U], F, [F, S]);
  for (const place of [{ task: "each" }, { task: "each", index: 0 }]) {
    const marked = reduceAll(before, mark(m, before, [{ run: "r", ...place }], S, AT))!;
    assert.deepEqual(marked.mapped["each"]!.map(({ state }) => state), [S, S]);
    assert.equal(marked.mapped["each"]![1], before.mapped["each"]![1]);
    assert.deepEqual(statesOf(settle(m, marked)), [S, "scheduled"]);
  }
});

Deno.test("a setup that is marked a success is not put back by what lies behind it", () => {
  const before = run(s, [F, U, U, U], F);
  const marked = reduceAll(before, mark(s, before, [{ run: "r", task: "up" }], S, AT))!;
  assert.deepEqual(statesOf(marked), [S, N, N, N]);
});

const runMarks: Readonly<
  Record<string, [ReturnType<typeof dag>, TaskState[], Run["state"], Mark, TaskState[], string]>
> = {
  "that is over failed": [d, [S, S, S], S, F, [S, S, S], F],
  "that is over a success, and its failed tasks with it": [d, [S, F, U], F, S, [S, S, S], S],
  "that is over a success, but for what was skipped": [d, [S, F, K], F, S, [S, S, K], S],
  "as what it is: nothing": [d, [S, F, U], F, F, [S, F, U], F],
  "that waits failed: nothing of it is run": [d, [N, N, N], "queued", F, [K, K, K], F],
  "that waits a success": [d, [N, N, N], "queued", S, [S, S, S], S],
  "under way failed: what runs is to be stopped": [d, [S, R, N], R, F, [S, R, K], R],
  "under way a success: what runs is to be stopped": [d, [S, R, N], R, S, [S, R, S], R],
  "failed: the teardown of a setup that succeeded runs": [
    s,
    [S, "up_for_retry", N, N],
    R,
    F,
    [S, K, "scheduled", K],
    R,
  ],
  "failed: the teardown of a setup that never ran does not": [
    s,
    [N, N, N, N],
    R,
    F,
    [K, K, K, K],
    F,
  ],
  "a success: the teardown of a setup that succeeded runs": [
    s,
    [S, N, N, N],
    R,
    S,
    [S, S, "scheduled", S],
    R,
  ],
  "a success: the teardown of a setup that never ran does not": [
    s,
    [N, N, N, N],
    R,
    S,
    [S, S, S, S],
    S,
  ],
};

for (const [what, [of, states, state, to, after, end]] of Object.entries(runMarks)) {
  Deno.test(`mark a run ${what}`, () => {
    const before = run(of, states, state);
    const marked = reduceAll(before, markRun(of, before, to, AT))!;
    const settled = marked.state === "success" || marked.state === "failed"
      ? marked
      : reduceAll(marked, plan(of, marked, Temporal.Instant.from(AT)))!;
    assert.deepEqual(statesOf(settled), after);
    assert.equal(settled.state, end);
    if (end !== R && state !== end) assert.equal(settled.reason, "marked");
  });
}

Deno.test("a run that is marked a success has its mapped tasks marked, too", () => {
  const before = run(m, [F, U], F, [F, S]);
  const marked = reduceAll(before, markRun(m, before, S, AT))!;
  assert.deepEqual([marked.state, ...statesOf(marked)], [S, S, S]);
  assert.deepEqual(marked.mapped["each"]!.map(({ state }) => state), [S, S]);
});
