import assert from "node:assert/strict";
import { clear, running, selectInstances, type Selection } from "../../engine/clear.ts";
import { dag } from "../../engine/dag.ts";
import { type Event, reduceAll, type Run, type TaskRun } from "../../engine/state.ts";
import { operator } from "../../engine/work.ts";

const AT = "2024-02-01T00:00:00Z";
const idle = (): number => 1;
const read = operator("read", (_: { of: unknown }) => 1);

/** `extract` is read by `load`, which is read by `report`; between them and beside them is what is not. */
const d = dag("d");
const extract = d.task("extract", idle);
const load = d.task("load", read({ of: extract }));
const report = d.task("report", read({ of: load }));
const tell = d.task("tell", idle, { after: report });
d.group("tidy", (tidy) => {
  tidy.task("a", idle, { after: extract });
  tidy.group("deep", (deep) => void deep.task("b", idle, { after: tell }));
});

/** A cluster is set up and torn down around two jobs; `mail` comes behind. */
const s = dag("s");
const up = s.task("up", idle, { setup: true });
const job = s.task("job", idle, { after: up });
const job2 = s.task("job2", read({ of: up }), { after: job });
const down = s.task("down", idle, { after: job2, teardown: up });
s.task("mail", idle, { after: [job2, down] });
s.task("aside", idle);

/** A list, done one by one in two steps, and summed up. */
const m = dag("m");
const list = m.task("list", () => [1, 2, 3]);
const one = m.each("one", list, () => () => 1);
const two = m.each("two", one, (item) => read({ of: item }));
m.task("sum", read({ of: two }));
m.task("behind", idle, { after: two });

type States = Record<string, Partial<TaskRun> | TaskRun["state"]>;

/** A run of a DAG that is over and went well, but for `states`; `one[1]` is an instance. */
function run(of: ReturnType<typeof dag>, states: States = {}, part: Partial<Run> = {}): Run {
  const id = part.id ?? "r";
  const done = (name: string, index = 0): TaskRun => {
    const state = states[name] ?? "success";
    const more = typeof state === "string" ? { state } : state;
    return { state: "success", attempt: 1 + index, retries: 1, output: 1, ...more };
  };
  const base = { run: id, at: AT } as const;
  const mapped = [...of.tasks.values()].filter(({ each }) => each).map(({ id }) => id);
  const events: Event[] = [
    {
      ...base,
      type: "run_created",
      dag: of.id,
      kind: "manual",
      interval: { start: AT, end: AT },
      logicalDate: part.logicalDate ?? AT,
      runAfter: AT,
      params: {},
      tasks: [...of.tasks.keys()],
    },
    { ...base, type: "run_changed", to: "running" },
    ...[...of.tasks.keys()].map((task): Event => {
      return { ...base, type: "task_changed", task, to: done(task) };
    }),
    ...mapped.flatMap((task): Event[] => [
      { ...base, type: "task_mapped", task, count: 3 },
      ...[0, 1, 2].map((index): Event => {
        return { ...base, type: "task_changed", task, index, to: done(`${task}[${index}]`, index) };
      }),
    ]),
    { ...base, type: "run_changed", to: "failed" },
  ];
  return { ...reduceAll(undefined, events)!, ...part };
}

const name = ({ task, index }: { task: string; index?: number }): string =>
  index === undefined ? task : `${task}[${index}]`;
const all = (task: string): string[] => [0, 1, 2].map((index) => `${task}[${index}]`);

const selections: Readonly<
  Record<string, [ReturnType<typeof dag>, States, Selection, readonly string[]]>
> = {
  "everything by default": [d, {}, {}, [
    "extract",
    "load",
    "report",
    "tell",
    "tidy.a",
    "tidy.deep.b",
  ]],
  "what reads of it, transitively, and nothing else behind it": [
    d,
    {},
    { tasks: ["extract"] },
    ["extract", "load", "report"],
  ],
  "what lies behind it": [
    d,
    {},
    { tasks: ["report"], downstream: true },
    ["report", "tell", "tidy.deep.b"],
  ],
  "what lies before it, and what reads of that": [
    d,
    {},
    { tasks: ["tidy.a"], upstream: true },
    ["extract", "load", "report", "tidy.a"],
  ],
  "a group, and the groups in it": [d, {}, { tasks: ["tidy"] }, ["tidy.a", "tidy.deep.b"]],
  "a group within a group": [d, {}, { tasks: ["tidy.deep"] }, ["tidy.deep.b"]],
  "what failed": [
    d,
    { report: "failed", tell: "upstream_failed", "tidy.a": "skipped" },
    { onlyFailed: true },
    ["report", "tell"],
  ],
  "what reads of what failed, failed or not": [
    d,
    { extract: "failed", load: "skipped" },
    { onlyFailed: true },
    ["extract", "load", "report"],
  ],
  "nothing when nothing failed": [d, {}, { onlyFailed: true }, []],
  "nothing that has not begun": [
    d,
    { report: "none", tell: "removed" },
    { tasks: ["load"], downstream: true },
    ["load", "tidy.deep.b"],
  ],
  "what runs or waits for its next attempt": [
    d,
    { extract: "running", load: "up_for_retry", report: "up_for_reschedule" },
    { tasks: ["extract"] },
    ["extract", "load", "report"],
  ],
  "the setup and the teardown it lies between": [s, {}, { tasks: ["job"] }, ["up", "job", "down"]],
  "the teardown of a setup, and what reads of that": [
    s,
    {},
    { tasks: ["up"] },
    ["up", "job2", "down"],
  ],
  "a teardown alone": [s, {}, { tasks: ["down"] }, ["down"]],
  "no setup it does not lie behind": [s, {}, { tasks: ["aside", "mail"] }, ["mail", "aside"]],
  "all instances of a mapped task, and what follows or reads them": [
    m,
    {},
    { tasks: ["one"] },
    [...all("one"), ...all("two"), "sum"],
  ],
  "one instance, the one that follows it, and what reads the whole": [
    m,
    {},
    { tasks: ["one"], indexes: [1] },
    ["one[1]", "two[1]", "sum"],
  ],
  "the instances that failed": [
    m,
    { "one[0]": "success", "two[0]": "failed", "two[2]": "upstream_failed", two: "failed" },
    { tasks: ["one", "two"], onlyFailed: true },
    ["two[0]", "two[2]", "sum"],
  ],
  "all instances over a list": [m, {}, { tasks: ["list"] }, [
    "list",
    ...all("one"),
    ...all("two"),
    "sum",
  ]],
};

for (const [what, [of, states, selection, expected]] of Object.entries(selections)) {
  Deno.test(`to clear selects ${what}`, () => {
    const instances = selectInstances(of, [run(of, states)], selection);
    assert.deepEqual(instances.map(name), expected);
  });
}

Deno.test("to clear selects in earlier and in later runs of the same DAG, the oldest first", () => {
  const runs = [3, 1, 2].map((day) => {
    return run(d, day === 1 ? { tell: "none" } : {}, {
      id: `r${day}`,
      logicalDate: `2024-01-0${day}T00:00:00Z`,
    });
  });
  const selected = (selection: Selection): string[] =>
    selectInstances(d, [...runs, run(s)], { tasks: ["tell"], ...selection }).map(({ run }) => run);
  assert.deepEqual(selected({}), ["r2", "r3"]);
  assert.deepEqual(selected({ run: "r2" }), ["r2"]);
  assert.deepEqual(selected({ run: "r2", future: true }), ["r2", "r3"]);
  assert.deepEqual(selected({ run: "r3", past: true }), ["r2", "r3"]);
  assert.deepEqual(selected({ run: "r2", past: true, future: true }), ["r2", "r3"]);
});

Deno.test("to clear says what is not there", () => {
  const selecting = (selection: Selection) => () => selectInstances(d, [run(d)], selection);
  assert.throws(
    selecting({ tasks: ["nope"] }),
    /Cannot find task "nope" in "d".*"extract", "load"/,
  );
  assert.throws(selecting({ tasks: ["tidy.d"] }), /Cannot find task "tidy.d"/);
  assert.throws(selecting({ run: "nope" }), /Cannot find run "nope" of "d"/);
  assert.throws(selecting({ tasks: ["load"], indexes: [1] }), /"load": it is not mapped/);
});

Deno.test("a cleared instance begins anew with all its retries, and its attempts are counted on", () => {
  const before = run(d, {
    load: {
      state: "failed",
      attempt: 4,
      retries: 3,
      losses: 1,
      crashes: 2,
      first: AT,
      started: AT,
      ended: AT,
      due: AT,
      stream: { key: null, validator: null, bytes: 1, whole: true },
      output: 7,
      error: { name: "Error", message: "no" },
      reason: "lost",
      readings: [],
    },
    tell: "upstream_failed",
    report: "skipped",
  }, { late: AT, started: AT, reason: "deadlock" });
  const instances = selectInstances(d, [before], { tasks: ["load"], downstream: true });
  const events = clear(d, before, instances, "2024-02-02T00:00:00Z");
  const after = reduceAll(before, events)!;
  for (const id of ["load", "report", "tell"]) {
    const { attempt } = before.tasks[id]!;
    assert.deepEqual(after.tasks[id], { state: "none", attempt, retries: 0 });
  }
  assert.equal(after.tasks["extract"], before.tasks["extract"]);
  assert.deepEqual([after.state, after.cleared, after.reason], ["queued", 1, undefined]);
  assert.ok(events.every(({ at, run }) => at === "2024-02-02T00:00:00Z" && run === "r"));
  // Nothing is left to clear.
  assert.deepEqual(selectInstances(d, [after], { tasks: ["load"] }), []);
  assert.deepEqual(clear(d, after, instances, AT), []);
});

Deno.test("what runs is not cleared, but told; once it is stopped, it is cleared", () => {
  const states: States = { load: "running", "tidy.a": "queued", report: "none" };
  const before = run(d, states, { state: "running" });
  const instances = selectInstances(d, [before]);
  assert.deepEqual(running(before, instances).map(name), ["load", "tidy.a"]);
  const after = reduceAll(before, clear(d, before, instances, AT))!;
  assert.equal(after.tasks["load"], before.tasks["load"]);
  assert.equal(after.tasks["extract"]!.state, "none");
  assert.deepEqual([after.state, after.cleared], ["running", 0]);
  const stopped = run(d, { load: { state: "none", losses: 2 } }, { state: "running" });
  const cleared = reduceAll(stopped, clear(d, stopped, instances, AT))!;
  assert.deepEqual(cleared.tasks["load"], { state: "none", attempt: 1, retries: 0 });
});

Deno.test("a mapped task of which nothing is left waits for its list again, and counts its attempts on", () => {
  const before = run(m);
  const instances = selectInstances(m, [before], { tasks: ["list"] });
  const after = reduceAll(before, clear(m, before, instances, AT))!;
  assert.deepEqual(after.mapped, {});
  assert.deepEqual(after.tasks["one"], { state: "none", attempt: 3, retries: 0 });
  assert.equal(after.tasks["behind"]!.state, "success");
});

Deno.test("instances that have not begun go with the list they are over", () => {
  const states = Object.fromEntries([...all("one"), ...all("two")].map((name) => {
    return [name, { state: "none", attempt: 0, retries: 0 } as const];
  }));
  const before = run(m, states, { state: "running" });
  const instances = selectInstances(m, [before], { tasks: ["list"] });
  assert.deepEqual(instances.map(name), ["list"]);
  assert.deepEqual(reduceAll(before, clear(m, before, instances, AT))!.mapped, {});
});

Deno.test("one instance is cleared and the others are left alone", () => {
  const before = run(m);
  const instances = selectInstances(m, [before], { tasks: ["two"], indexes: [1] });
  const after = reduceAll(before, clear(m, before, instances, AT))!;
  const states = after.mapped["two"]!.map(({ state, attempt }) => `${state} ${attempt}`);
  assert.deepEqual(states, ["success 1", "none 2", "success 3"]);
  assert.equal(after.mapped["one"], before.mapped["one"]);
});

Deno.test("ten thousand instances are selected and cleared at once", () => {
  const before = run(m);
  const [part] = before.mapped["one"]!;
  const many = Array.from({ length: 10_000 }, () => ({ ...part! }));
  const large: Run = { ...before, mapped: { one: many, two: many.map((task) => ({ ...task })) } };
  const began = performance.now();
  const instances = selectInstances(m, [large], {
    tasks: ["one"],
    indexes: [...many.keys()].slice(1),
  });
  assert.equal(instances.length, 19_999);
  assert.equal(clear(m, large, instances, AT).length, 20_000);
  assert.ok(performance.now() - began < 3000);
});
