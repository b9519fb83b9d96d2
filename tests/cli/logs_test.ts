import assert from "node:assert/strict";
import { type Event, file, logFiles, type TaskRun } from "../../engine/mod.ts";
import { document, refusal, Sluice } from "./_sluice.ts";

const run = "manual__20210101T000000Z";
const at = (second: number) => `2021-01-01T00:00:${String(second).padStart(2, "0")}.5Z`;

const founded: Event = {
  type: "run_created",
  run,
  at: at(0),
  dag: "taxi",
  kind: "manual",
  interval: { start: at(0), end: at(0) },
  logicalDate: at(0),
  params: {},
  runAfter: at(0),
  tasks: ["download", "load"],
};
const changed = (task: string, to: Partial<TaskRun>): Event => ({
  type: "task_changed",
  run,
  at: at(1),
  task,
  to: { state: "running", attempt: 1, retries: 0, ...to },
});
const over: Event = { type: "run_changed", run, at: at(9), to: "success" };

/** What a task says in an attempt, at a second. */
type Said = [task: string, attempt: number, second: number, message: string];

function write(home: string, ...said: Said[]): void {
  const files = logFiles(home);
  for (const [task, attempt, second, message] of said) {
    const key = { dag: "taxi", run, task, attempt };
    using log = files.open(key);
    log.write({ ...key, at: at(second), level: message === "uh" ? "warn" : "info", message });
  }
}

Deno.test("logs tells what a run's tasks said, by time, of all attempts or one", async (t) => {
  await using sluice = new Sluice();
  {
    await using store = await file(sluice.home);
    await store.append(run, 0, [
      founded,
      changed("download", { state: "success", attempt: 2 }),
      changed("load", { state: "success" }),
      over,
    ]);
  }
  write(sluice.home, ["download", 1, 1, "a"], ["download", 1, 3, "uh"], ["download", 2, 5, "c"]);
  write(sluice.home, ["load", 1, 2, "b"], ["load", 1, 6, "d"]);
  const cases: [args: string[], messages: string][] = [
    [[], "a b uh c d"],
    [["download"], "a uh c"],
    [["download", "--attempt", "2"], "c"],
    [["--attempt", "1"], "a b uh d"],
    [["load", "--attempt", "7"], ""],
    [["--follow"], "a b uh c d"],
  ];
  for (const [args, messages] of cases) {
    await t.step(`logs ${args.join(" ")}`, async () => {
      const outcome = await sluice.here(["logs", run, ...args, "--json"]);
      assert.equal(outcome.code, 0, outcome.stderr);
      const { lines, ...rest } = document(outcome);
      assert.deepEqual(rest, { run_id: run, dag: "taxi", state: "success" });
      assert.equal(lines.map(({ message }: { message: string }) => message).join(" "), messages);
    });
  }
  await t.step("for people, a line each", async () => {
    const { stdout } = await sluice.run(["logs", run]);
    assert.deepEqual(stdout.trimEnd().split("\n").slice(1, 3), [
      "2021-01-01 00:00:02  load #1  b",
      "2021-01-01 00:00:03  warn download #1  uh",
    ]);
    const one = await sluice.run(["logs", run, "load"]);
    assert.equal(one.stdout, "2021-01-01 00:00:02  #1  b\n2021-01-01 00:00:06  #1  d\n");
  });
  await t.step("what is not there is answered with what is", async () => {
    const task = await sluice.here(["logs", run, "nope", "--json"]);
    assert.match(refusal(task, 2), /"nope" in run .*: "download", "load"$/);
    assert.match(
      refusal(await sluice.here(["logs", "nope"]), 2),
      new RegExp(`"nope"; .*"${run}"$`),
    );
    const elsewhere = await sluice.here(["logs", run, "--home", `${sluice.folder}/other`]);
    assert.match(refusal(elsewhere, 2), /none$/);
    assert.equal((await sluice.here(["logs", run, "--attempt", "0"])).code, 2);
  });
});

Deno.test("logs tells what each instance of a mapped task said, or one of them", async () => {
  await using sluice = new Sluice();
  {
    await using store = await file(sluice.home);
    const to: TaskRun = { state: "success", attempt: 1, retries: 0 };
    await store.append(run, 0, [
      founded,
      { type: "task_mapped", run, at: at(1), task: "load", count: 3 },
      ...[0, 2].map((index): Event => (
        { type: "task_changed", run, at: at(2), task: "load", index, to }
      )),
    ]);
  }
  const files = logFiles(sluice.home);
  for (const index of [0, 2]) {
    const key = { dag: "taxi", run, task: "load", index, attempt: 1 };
    using log = files.open(key);
    log.write({ ...key, at: at(index), level: "info", message: `of ${index}` });
  }
  const all = "2021-01-01 00:00:00  load[0] #1  of 0\n2021-01-01 00:00:02  load[2] #1  of 2\n";
  assert.equal((await sluice.run(["logs", run])).stdout, all);
  assert.equal((await sluice.run(["logs", run, "load"])).stdout, all);
  const one = document(await sluice.run(["logs", run, "load[2]", "--json"]));
  assert.deepEqual(one.lines, [
    { at: at(2), level: "info", task: "load", index: 2, attempt: 1, message: "of 2" },
  ]);
});

Deno.test("logs --follow tells what is said while a run goes on, and ends with it", async () => {
  await using sluice = new Sluice();
  await using store = await file(sluice.home);
  await store.append(run, 0, [founded, changed("download", {})]);
  write(sluice.home, ["download", 1, 1, "first"]);
  const command = sluice.start(["logs", run, "--follow"]);
  await command.says(/#1 {2}first\n/);
  write(sluice.home, ["download", 1, 2, "second"]);
  await command.says(/#1 {2}second\n/);
  // An attempt that begins meanwhile.
  await store.append(run, 2, [changed("load", {})]);
  write(sluice.home, ["load", 1, 3, "third"]);
  await command.says(/load #1 {2}third\n/);
  await store.append(run, 3, [changed("load", { state: "success" }), over]);
  write(sluice.home, ["load", 1, 4, "last words"]);
  const { code, stdout, stderr } = await command.ended;
  assert.equal(code, 0);
  assert.equal(stderr, `${run}: success\n`);
  assert.deepEqual(stdout.match(/\w+ ?\w+$/gm), ["first", "second", "third", "last words"]);
});

Deno.test("Ctrl-C ends logs --follow", async () => {
  await using sluice = new Sluice();
  await using store = await file(sluice.home);
  await store.append(run, 0, [founded, changed("download", {})]);
  write(sluice.home, ["download", 1, 1, "first"]);
  const command = sluice.start(["logs", run, "--follow"]);
  await command.says(/first/);
  command.kill("SIGINT");
  assert.equal((await command.ended).code, 130);
});
