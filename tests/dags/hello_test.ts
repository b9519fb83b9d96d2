import assert from "node:assert/strict";
import hello from "../../dags/hello.ts";
import { between, engine, type LogLine, parseSchedule } from "../../mod.ts";

Deno.test("hello runs its two commands, one after the other", async () => {
  const lines: LogLine[] = [];
  await using etl = await engine({ dags: [hello], log: (line) => lines.push(line) });
  const run = await etl.trigger(hello, { date: "2021-01-02" });
  const { state, tasks } = await run.done;
  assert.equal(state, "success");
  assert.deepEqual(Object.values(tasks).map(({ output }) => output), [
    "Hello, 2021-01-02!",
    "greet said: Hello, 2021-01-02!",
  ]);
  assert.deepEqual(lines.map(({ task, level, message }) => `${task} ${level} ${message}`), [
    `greet info This is attempt 1 of task greet in run ${run.id}.`,
    "greet info Hello, 2021-01-02!",
    "answer info greet said: Hello, 2021-01-02!",
  ]);
});

Deno.test("hello runs each day", () => {
  const { schedule, ...options } = hello.options;
  const days = between(parseSchedule(schedule, options), "2021-01-30", "2021-02-01");
  assert.deepEqual([...days].map(({ start }) => `${start.toPlainDate()}`), [
    "2021-01-30",
    "2021-01-31",
    "2021-02-01",
  ]);
});
