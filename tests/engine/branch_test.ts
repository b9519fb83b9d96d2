import assert from "node:assert/strict";
import {
  branch,
  type Context,
  dag,
  type Followed,
  GiveUp,
  latestOnly,
  type RunKind,
  shortCircuit,
} from "../../engine/mod.ts";
import { perform, testContext } from "../_context.ts";

const answers: [answer: Followed, output: readonly string[]][] = [
  ["a", ["a"]],
  [["a", "b"], ["a", "b"]],
  [["a", "a"], ["a"]],
  [[], []],
  [undefined, []],
];

Deno.test("a branch puts out the ids of the tasks that are followed", async () => {
  for (const [answer, output] of answers) {
    assert.deepEqual(await perform(branch(() => answer)), output);
    assert.deepEqual(await perform(branch({}, () => Promise.resolve(answer))), output);
  }
});

Deno.test("a branch that answers with something else gives up", async () => {
  for (const answer of [1, [1], true, { a: 1 }]) {
    await assert.rejects(perform(branch(() => answer as never)), (error) => {
      assert.ok(error instanceof GiveUp);
      assert.match(error.message, /a branch answers with ids of tasks/);
      return true;
    });
  }
});

Deno.test("a branch chooses by the run, and by what other tasks put out", async () => {
  const d = dag("d");
  const rows = d.task("rows", () => 5);
  const work = branch({ rows }, ({ rows }, { task }) => `${task}${rows}`);
  const task = d.task("choose", work);
  assert.deepEqual(task.upstream, ["rows"]);
  assert.equal(task.work.decides, "branch");
  assert.deepEqual(await work.run({ output: () => 7 }, testContext()), ["test7"]);
  assert.deepEqual(await perform(branch((run) => run.run)), ["manual__20210101T000000Z"]);
});

Deno.test("a short circuit puts out whether to go on", async () => {
  assert.equal(await perform(shortCircuit(() => true)), true);
  assert.equal(await perform(shortCircuit({ n: 0 }, ({ n }) => Promise.resolve(n > 0))), false);
  assert.equal(await perform(shortCircuit(() => 0 as never)), false);
  assert.equal(shortCircuit(() => true).decides, "short_circuit");
});

const day = (n: number) => Temporal.ZonedDateTime.from(`2021-01-0${n}T00:00[UTC]`);
const next = { start: day(2), end: day(3) };
const latest: [what: string, kind: RunKind, now: string, next: Context["next"], goesOn: boolean][] =
  [
    ["within the next interval", "scheduled", "2021-01-02T12:00Z", next, true],
    ["at its end", "scheduled", "2021-01-03T00:00Z", next, true],
    ["beyond it", "scheduled", "2021-01-03T00:00:00.001Z", next, false],
    ["beyond it, in a backfill", "backfill", "2021-01-05T00:00Z", next, false],
    ["beyond it, but by hand", "manual", "2021-01-05T00:00Z", next, true],
    ["and there is no next one", "scheduled", "2021-01-05T00:00Z", undefined, true],
  ];

for (const [what, kind, now, next, goesOn] of latest) {
  Deno.test(`latest-only goes ${goesOn ? "on" : "no further"} when now is ${what}`, async () => {
    const ctx = { ...testContext(), kind, next, now: () => Temporal.Instant.from(now) };
    assert.equal(await perform(latestOnly(), ctx), goesOn);
  });
}
