import assert from "node:assert/strict";
import {
  type AnyDag,
  branch,
  chain,
  dag,
  engine,
  type Followed,
  latestOnly,
  memory,
  type Run,
  shortCircuit,
  type When,
} from "../../engine/mod.ts";
import { broken, idle, states, time } from "./_rig.ts";

const made = async (d: AnyDag): Promise<Run> => {
  await using etl = await engine({ dags: [d] });
  return await (await etl.trigger(d)).done;
};

/** choose → a → a2 → join, choose → b → join, choose → c. */
function fork(follow: Followed, rules: { a?: When; b?: When; c?: When; join?: When } = {}): AnyDag {
  const d = dag("d");
  const choose = d.task("choose", branch(() => follow));
  const when = (rule?: When): { when?: When } => rule ? { when: rule } : {};
  const a = d.task("a", idle, { after: choose, ...when(rules.a) });
  const a2 = d.task("a2", idle, { after: a });
  const b = d.task("b", idle, { after: choose, ...when(rules.b) });
  d.task("c", idle, { after: choose, ...when(rules.c) });
  d.task("join", idle, { after: [a2, b], ...when(rules.join) });
  return d;
}

const S = "success";
const K = "skipped";
for (
  const [what, d, expected] of [
    ["one of several", fork("b"), { a: K, a2: K, b: S, c: K, join: K }],
    [
      "one, and a join that takes that",
      fork("b", { join: "none_failed_min_one_success" }),
      { a: K, a2: K, b: S, c: K, join: S },
    ],
    ["two", fork(["a", "c"], { join: "one_success" }), { a: S, a2: S, b: K, c: S, join: S }],
    [
      "none, and a join that needs one",
      fork(undefined, { join: "none_failed_min_one_success" }),
      { a: K, a2: K, b: K, c: K, join: K },
    ],
    [
      "one; the others are skipped whatever their rule",
      fork("b", { a: "none_failed", c: "all_done", join: "all_done" }),
      { a: K, a2: K, b: S, c: K, join: S },
    ],
  ] as [string, AnyDag, Record<string, string>][]
) {
  Deno.test(`a branch follows ${what}`, async () => {
    const run = await made(d);
    assert.deepEqual(states(run), { choose: S, ...expected });
    assert.equal(run.state, "success");
  });
}

Deno.test("a task that a followed one leads to is not skipped, though it is directly behind the branch", async () => {
  for (const [follow, join] of [["a", S], [undefined, K]] as const) {
    const d = dag("d");
    const choose = d.task("choose", branch(() => follow));
    const a = d.task("a", idle, { after: choose });
    const b = d.task("b", idle, { after: choose });
    d.task("join", idle, { after: [choose, a, b], when: "none_failed_min_one_success" });
    const run = await made(d);
    // Followed by nobody the join is left out though its rule would let it run: the branch succeeded.
    assert.equal(states(run).join, join, `${follow}`);
  }
});

Deno.test("a branch that follows what is not directly behind it fails for good, naming what is", async () => {
  const d = dag("d");
  const choose = d.task("choose", branch(() => ["a", "a2", "x"]), { retries: 3 });
  const a = d.task("a", idle, { after: choose });
  d.task("b", idle, { after: choose });
  d.task("a2", idle, { after: a });
  const run = await made(d);
  assert.deepEqual(states(run), {
    choose: "failed",
    a: "upstream_failed",
    b: "upstream_failed",
    a2: "upstream_failed",
  });
  assert.equal(run.tasks.choose!.attempt, 1);
  const { message } = run.tasks.choose!.error!;
  assert.match(message, /Cannot follow "a2", "x" from branch "choose".*"a", "b"/);
});

Deno.test("a branch whose own rule skips it leaves what is behind it to their rules", async () => {
  const d = dag("d");
  const off = d.task("off", shortCircuit(() => false));
  const choose = d.task("choose", branch(() => "a"), { after: off });
  d.task("a", idle, { after: choose });
  assert.deepEqual(states(await made(d)), { off: S, choose: K, a: K });
});

Deno.test("a short circuit skips all behind it, however far and whatever their rule, teardowns aside", async () => {
  for (const goesOn of [true, false]) {
    const d = dag("d");
    const setup = d.task("setup", idle, { setup: true });
    const ask = d.task("ask", shortCircuit(() => goesOn), { after: setup });
    const a = d.task("a", idle, { after: ask });
    const b = d.task("b", idle, { after: a, when: "one_done" });
    const c = d.task("c", idle, { after: b, when: "all_done" });
    const other = d.task("other", idle);
    d.task("join", idle, { after: [c, other], when: "all_done_min_one_success" });
    d.task("teardown", idle, { after: c, teardown: setup });
    const run = await made(d);
    const to = goesOn ? S : K;
    assert.deepEqual(states(run), {
      setup: S,
      ask: S,
      a: to,
      b: to,
      c: to,
      other: S,
      join: to,
      teardown: S,
    });
    assert.equal(run.state, "success");
  }
});

Deno.test("a branch in a run that is cleared may choose otherwise", async () => {
  const d = dag("d");
  const choose = d.task("choose", branch(({ attempt }) => attempt === 1 ? "a" : "b"));
  d.task("a", idle, { after: choose });
  d.task("b", idle, { after: choose });
  await using etl = await engine({ dags: [d] });
  const { id, done } = await etl.trigger(d);
  assert.deepEqual(states(await done), { choose: S, a: S, b: K });
  await etl.clear(id, { tasks: ["choose"], downstream: true });
  assert.deepEqual(states(await etl.done(id)), { choose: S, a: K, b: S });
});

Deno.test("latest-only goes on in the newest run of a schedule alone, and in those by hand", async () => {
  const clock = time("2021-01-01T03:30:00Z");
  const d = dag("d", { schedule: "@hourly", start: "2021-01-01", catchup: true });
  const latest = d.task("latest", latestOnly());
  chain(latest, d.task("mail", idle), d.task("always", idle, { when: "all_done" }));
  await using etl = await engine({ dags: [d], ...clock, store: memory() });
  await etl.start();
  await clock.settle();
  const { done } = await etl.trigger(d, { date: "2021-01-01T00:00" });
  await done;
  const runs = (await etl.runs()).map((run) => [run.id, states(run).mail, states(run).always]);
  assert.deepEqual(runs.sort(), [
    ["manual__20210101T000000Z", S, S],
    ["scheduled__20210101T000000Z", K, K],
    ["scheduled__20210101T010000Z", K, K],
    ["scheduled__20210101T020000Z", S, S],
  ]);
});

for (
  const [rule, ups, expected] of [
    // What the table of rules says of single tasks holds of whole runs.
    ["all_failed", [broken, broken], S],
    ["all_failed", [broken, idle], K],
    ["one_failed", [broken, idle], S],
    ["one_failed", [idle, idle], K],
    ["none_skipped", [broken, idle], S],
    ["all_done_min_one_success", [broken, broken], "upstream_failed"],
    ["none_failed", [broken, idle], "upstream_failed"],
    ["all_skipped", [idle, idle], K],
    ["always", [broken, broken], S],
  ] as [When, (() => number)[], string][]
) {
  const names = ups.map((up) => up === idle ? "success" : "failed");
  Deno.test(`a task of the rule ${rule} behind ${names.join(" and ")} is ${expected}`, async () => {
    const d = dag("d");
    d.task("it", idle, { after: ups.map((up, i) => d.task(`up${i}`, up)), when: rule });
    assert.equal(states(await made(d)).it, expected);
  });
}
