import assert from "node:assert/strict";
import {
  type AnyDag,
  type Bytes,
  dag,
  operator,
  pipe,
  plan,
  reduce,
  type Run,
  type TaskRun,
  type TaskState,
  type When,
} from "../../engine/mod.ts";
import { strays } from "../../engine/plan.ts";
import { settle } from "../../engine/settle.ts";
import {
  ends,
  joins,
  now,
  type Rest,
  rests,
  type Start,
  starts,
  type Writer,
  writers,
} from "./stream_edge_table.ts";

const write = operator("write", (_: { x?: 1 }): Bytes => new ReadableStream());
const read = operator("read", (_: { x?: 1 }, __, bytes: Bytes) => bytes.cancel());

function edge(when: When): AnyDag {
  const d = dag("edge");
  const writer = d.task("writer", write(), { retries: 1 });
  d.task("reader", pipe(writer, read()), { when, retries: 1 });
  return d;
}

function runOf(tasks: Run["tasks"]): Run {
  const at = now.toString();
  return {
    id: "r",
    dag: "edge",
    kind: "manual",
    version: 1,
    state: "running",
    interval: { start: `${at}[UTC]`, end: `${at}[UTC]` },
    logicalDate: at,
    params: {},
    runAfter: at,
    cleared: 0,
    created: at,
    tasks,
    mapped: {},
  };
}

const NAMES: Readonly<Partial<Record<TaskState, Start>>> = {
  scheduled: "start",
  none: "wait",
  up_for_retry: "wait",
  skipped: "skip",
  upstream_failed: "upstream_failed",
};

/** What becomes of a reader that is not under way. */
function next(d: AnyDag, run: Run): Start | undefined {
  return NAMES[plan(d, run, now).reduce(reduce, run).tasks.reader!.state];
}

const isStray = (stray: unknown): boolean =>
  stray === "reader" || (stray as { task: string }).task === "reader";

/** What becomes of one that runs. */
function rest(d: AnyDag, run: Run): Rest {
  if (!strays(d, run, now).some(isStray)) return "stay";
  const outcome = { state: "none", lost: [] } as const;
  const after = settle(d, run, { task: "reader", outcome, now, readings: [] })
    .reduce(reduce, run);
  const { attempt, retries, losses } = after.tasks.reader!;
  assert.deepEqual([attempt, retries, losses], [1, 0, undefined], "it is to cost no retry");
  return `abort, ${next(d, after)!}`;
}

const past = now.subtract({ seconds: 1 }).toString();
const future = now.add({ seconds: 1 }).toString();

for (const [when, row] of Object.entries(starts) as [When, Record<Writer, Start>][]) {
  Deno.test(`a reader of the rule ${when}, in each state of its writer and its own`, () => {
    const d = edge(when);
    for (const [name, writer] of Object.entries(writers) as [Writer, TaskRun][]) {
      const become = (reader: TaskRun): Start | undefined => next(d, runOf({ writer, reader }));
      const retry = { state: "up_for_retry", attempt: 1, retries: 1 } as const;
      const none = { attempt: 0, retries: 0 };
      assert.equal(become({ ...none, state: "none" }), row[name], `none, ${name}`);
      assert.equal(become({ ...none, state: "scheduled" }), row[name], `scheduled, ${name}`);
      assert.equal(become({ ...retry, due: past }), row[name], `retry due, ${name}`);
      const later = row[name] === "start" ? "wait" : row[name];
      assert.equal(become({ ...retry, due: future }), later, `retry not due, ${name}`);
      const reader = { state: "running", attempt: 1, retries: 0 } as const;
      // By another rule, it began when its writer had ended.
      const possible = when === "all_success" || row[name] === "start";
      const stays = when === "all_success" ? rests[name] : "stay";
      if (possible) assert.equal(rest(d, runOf({ writer, reader })), stays, `running, ${name}`);
      for (const state of ["success", "failed", "skipped", "upstream_failed"] as const) {
        const run = runOf({ writer, reader: { state, attempt: 1, retries: 0 } });
        const { reader } = plan(d, run, now).reduce(reduce, run).tasks;
        assert.equal(reader!.state, state, `${state}, ${name}`);
      }
    }
  });
}

Deno.test("a reader of several streams and more starts when all of them have begun and the rest is there", () => {
  const d = dag("joins");
  const [a, b] = [d.task("a", write()), d.task("b", write())];
  const other = d.task("other", () => 1);
  const join = operator("join", async (streams: { a: Bytes; b: Bytes }) => {
    await Promise.all([streams.a.cancel(), streams.b.cancel()]);
  });
  d.task("reader", join({ a, b }), { after: other });
  for (const [one, two, state, expected] of joins) {
    const reader = { state: "none", attempt: 0, retries: 0 } as const;
    const other = { state, attempt: 1, retries: 0 };
    const run = runOf({ a: writers[one], b: writers[two], other, reader });
    assert.equal(next(d, run), expected, `${one}, ${two}, ${state}`);
  }
});

Deno.test("a writer that puts out other bytes than before has its finished readers begin anew, with the same it has not", () => {
  const d = edge("all_success");
  const stream = writers.success.stream;
  for (const [state, expected] of Object.entries(ends) as [TaskState, string][]) {
    for (const [before, after] of [[undefined, "1"], ["1", "1"], ["1", "2"]]) {
      const writer: TaskRun = {
        state: "running",
        attempt: 2,
        retries: 0,
        ...before === undefined ? {} : { output: { sha256: before } },
      };
      const reader = { state, attempt: 3, retries: 1 };
      const run = runOf({ writer, reader });
      const outcome = { state: "success", output: { sha256: after! }, stream } as const;
      const { tasks } = settle(d, run, { task: "writer", outcome, now, readings: [] })
        .reduce(reduce, run);
      assert.equal(tasks.writer!.state, "success");
      const anew = expected === "restart" && before !== undefined && before !== after;
      assert.deepEqual(
        [tasks.reader!.state, tasks.reader!.attempt],
        [anew ? "none" : state, 3],
        `${state}, ${before} to ${after}`,
      );
    }
  }
});

Deno.test("a writer that will be retried keeps its stream, one that failed for good has none", () => {
  const d = edge("all_success");
  for (const [final, state, kept] of [[false, "up_for_retry", 5], [true, "failed", undefined]]) {
    const run = runOf({
      writer: writers["running, begun"],
      reader: { state: "running", attempt: 1, retries: 0 },
    });
    const error = { name: "Error", message: "lost" };
    const outcome = { state: "failed", error, final: final as boolean } as const;
    const { tasks } = settle(d, run, { task: "writer", outcome, now, readings: [] })
      .reduce(reduce, run);
    assert.deepEqual([tasks.writer!.state, tasks.writer!.stream?.bytes], [state, kept]);
    assert.equal(tasks.reader!.state, "running");
  }
});

Deno.test("what a reader finds lost is written again first, at most three times", () => {
  const d = edge("all_success");
  const outcome = { state: "none", lost: ["writer"] } as const;
  for (
    const [losses, writer, expected] of [
      [0, "success", ["none", 1, "none"]],
      [2, "success", ["none", 3, "none"]],
      [3, "success", ["failed", 3, "success"]],
      // The loop ends the attempt that runs.
      [0, "running, begun", ["none", 1, "running"]],
    ] as const
  ) {
    const reader = { state: "running", attempt: 4, retries: 1, losses } as const;
    const run = runOf({ writer: writers[writer], reader });
    const { tasks } = settle(d, run, { task: "reader", outcome, now, readings: [] })
      .reduce(reduce, run);
    assert.deepEqual(
      [tasks.reader!.state, tasks.reader!.losses, tasks.writer!.state],
      expected,
      `${losses} losses, ${writer}`,
    );
    assert.equal(tasks.reader!.retries, 1);
    // It remembers what it put out, to tell whether it is the same again.
    if (writer === "success") assert.deepEqual(tasks.writer!.output, { sha256: "1" });
  }
});
