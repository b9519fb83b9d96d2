import assert from "node:assert/strict";
import {
  branch,
  chain,
  dag,
  type DagOptions,
  dataset,
  fn,
  lint,
  type Params,
  template,
  type Warning,
  type When,
} from "../../engine/mod.ts";
import { bash, empty, http } from "../../operators/mod.ts";

const now = Temporal.Instant.from("2021-06-01T12:00Z");

/** A branch to a and b, which meet again by a rule; `between` puts another task of a rule before that. */
function diamond(join: When, between?: When): Warning[] {
  const d = dag("d");
  const choose = d.task("choose", branch(() => "a"));
  const ways = ["a", "b"].map((id) => d.task(id, empty(), { after: choose }));
  const middle = between && d.task("middle", empty(), { after: ways, when: between });
  d.task("join", empty(), { after: middle ?? ways, when: join });
  return lint(d, now);
}

Deno.test("an all_success join below a branch is warned of", () => {
  const [warning, ...more] = diamond("all_success");
  assert.deepEqual(more, []);
  assert.deepEqual({ ...warning, message: "" }, {
    dag: "d",
    task: "join",
    rule: "join",
    message: "",
  });
  assert.match(warning!.message, /"join" comes after branch "choose" by way of "a" and of "b"/);
  for (
    const rule of ["none_failed_min_one_success", "none_failed", "all_done", "one_success"] as const
  ) {
    assert.deepEqual(diamond(rule), []);
    assert.deepEqual(diamond("all_success", rule), []);
  }
  assert.deepEqual(diamond("all_success", "all_success").map(({ task }) => task), ["middle"]);
});

Deno.test("a way past a branch's child is warned of, longer ways too, but not two branches", () => {
  const d = dag("d");
  const choose = d.task("choose", branch(() => "a"));
  const other = d.task("other", branch(() => "b"));
  const a = d.task("a", empty(), { after: choose });
  const b = d.task("b", empty(), { after: other });
  d.task("both", empty(), { after: [a, b] });
  d.task("past", empty(), { after: [a, choose] });
  const long = d.task("long", empty(), { after: d.task("a2", empty(), { after: choose }) });
  const min = d.task("min", empty(), { after: long, when: "none_failed_min_one_success" });
  d.task("far", empty(), { after: [min, a] });
  const warnings = lint(d, now);
  assert.deepEqual(warnings.map(({ task }) => task).sort(), ["far", "past"]);
  assert.match(warnings.find(({ task }) => task === "past")!.message, /of "a", and directly/);
});

Deno.test("reading what need not be there is warned of", () => {
  const d = dag("d");
  const a = d.task("a", () => 1);
  d.task("reads", fn({ a }, ({ a }) => a));
  d.task("waits", empty(), { after: a, when: "all_done" });
  d.task("dares", fn({ a }, ({ a }) => a), { when: "all_done" });
  const warnings = lint(d, now);
  assert.deepEqual(warnings.map(({ task, rule }) => [task, rule]), [["dares", "read"]]);
  assert.match(
    warnings[0]!.message,
    /reads what "a" puts out, but by its rule all_done it also runs/,
  );
});

const daily = { schedule: "@daily" };
const month = { start: "2021-01-01", end: "2021-01-31" };
const schedules: [what: string, options: DagOptions<Params>, rules: string[]][] = [
  ["none", {}, []],
  ["daily", daily, []],
  ["within a range that is over", { ...daily, ...month }, []],
  ["on a dataset", { schedule: dataset("a") }, []],
  ["on datasets", { schedule: [dataset("a"), dataset("b")] }, []],
  ["of a range the wrong way", { ...daily, start: "2021-02-01", end: "2021-01-01" }, ["never"]],
  ["with no tick in its range", { schedule: "0 0 1 1 *", start: "2021-01-02", end: "2021-12-31" }, [
    "never",
  ]],
  ["with its only tick at the start", { schedule: "0 0 1 1 *", ...month }, []],
  [
    "with its only tick fired at the start",
    { schedule: "0 0 1 1 *", ...month, mode: "trigger" },
    [],
  ],
  ["that ended, and never started", { ...daily, end: "2021-01-31" }, ["never"]],
  ["that never fires", { schedule: "0 0 30 2 *" }, ["never"]],
  ["that cannot be read", { schedule: "@dayly" }, ["never"]],
  ["to come", { ...daily, start: "2021-06-02" }, ["future"]],
  [
    "to come in its zone alone",
    { ...daily, start: "2021-06-01T20:00", timezone: "Asia/Tokyo" },
    [],
  ],
  ["once", { schedule: "@once", start: "2021-01-01" }, []],
  ["over and over", { schedule: "@continuous", start: "2021-01-01" }, []],
  ["over and over, to come", { schedule: "@continuous", start: "2022-01-01" }, ["future"]],
  ["a duration", { schedule: { hours: 5 }, ...month }, []],
  ["a duration longer than its range", {
    schedule: { years: 5 },
    start: "2021-01-01",
    end: "2021-01-31",
  }, []],
  ["a function that knows nothing", { schedule: () => undefined, start: "2021-01-01" }, ["never"]],
];

for (const [what, options, rules] of schedules) {
  Deno.test(`a schedule ${what}: ${rules.join() || "nothing to say"}`, () => {
    const warnings = lint(dag("d", options), now);
    assert.deepEqual(warnings.map(({ rule }) => rule), rules);
    for (const { message } of warnings) assert.ok(message.length > 20, message);
  });
}

Deno.test("a param that nothing mentions is warned of", () => {
  const d = dag("d", {
    params: {
      inTemplate: "",
      inOption: "",
      inNested: "",
      inFunction: "",
      inFn: "",
      inCallback: "",
      destructured: "",
      "by-name": "",
      unused: "",
      part: "",
    },
    onSuccess: ({ run }) => console.log(run.params.inCallback),
  });
  const file = d.task("a", http({ url: template("https://x/{{ params.inTemplate }}") }));
  d.task("b", http({ url: (run) => run.params.inOption }), { after: file });
  d.task("c", bash({ command: "true", env: { A: (run) => run.params.inNested } }));
  d.task("d", (run) => run.params.inFunction + run.params["by-name"]);
  d.task("e", fn({ n: 1 }, ({ n }, run) => run.params.inFn + n + "partial"));
  d.task("f", (run) => {
    const { destructured } = run.params;
    return destructured;
  });
  assert.deepEqual(lint(d, now).map(({ message }) => message), [
    'No template and no function in this DAG mentions the params "unused", "part"; ' +
    "if no operator of yours reads them, leave them out",
  ]);
});

Deno.test("nothing is said of params where a function hands them all on", () => {
  const uses: ((run: { params: Params }) => unknown)[] = [
    (run) => JSON.stringify(run.params),
    (run) => ({ ...run.params }),
    (run) => run.params[`${1}`.trim()],
    ((name: string, run: { params: Params }) => run.params[name]).bind(undefined, "a"),
  ];
  for (const use of uses) {
    const d = dag("d", { params: { unused: 1 } });
    d.task("a", use);
    assert.deepEqual(lint(d, now), [], String(use));
  }
  const silent = dag("d", { params: { unused: 1 } });
  silent.task("a", (run) => run.date.year);
  assert.equal(lint(silent, now).length, 1);
});

Deno.test("a teardown below a branch is no join", () => {
  const d = dag("d");
  const make = d.task("make", empty(), { setup: true });
  const choose = d.task("choose", branch(() => "a"), { after: make });
  const ways = ["a", "b"].map((id) => d.task(id, empty(), { after: choose }));
  chain(ways, d.task("drop", empty(), { teardown: make }));
  assert.deepEqual(lint(d, now), []);
});

Deno.test("a webhook whose secret lets nobody in is warned of", () => {
  const long = "sixteen or more characters";
  const cases: [DagOptions<Params>["webhook"] & object, RegExp | undefined][] = [
    [{ secret: long }, undefined],
    [{ secret: () => [long, `${long}!`] }, undefined],
    [{ secret: "short" }, /lets nobody in: its secret is too short; .* 16 characters or more/],
    [{ secret: () => "" }, /lets nobody in/],
    [{ secret: [] }, /lets nobody in/],
    [{ secret: [long, "short"] }, /does not know a secret that is too short/],
    [
      { secret: () => Deno.readTextFileSync("/nowhere") },
      /lets nobody in: .*cannot be told \(.*nowhere/,
    ],
  ];
  for (const [webhook, says] of cases) {
    const [warning, ...more] = lint(dag("d", { webhook }), now);
    assert.deepEqual(more, []);
    if (!says) assert.equal(warning, undefined);
    else assert.match(warning!.message, says);
    if (warning) assert.deepEqual([warning.rule, warning.dag], ["secret", "d"]);
  }
});
