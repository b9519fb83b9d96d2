import assert from "node:assert/strict";
import { Cancelled } from "../../engine/attempt.ts";
import { inProcess } from "../../engine/executor.ts";
import { subprocess } from "../../engine/subprocess.ts";
import { engine, type LogLine } from "../../engine/mod.ts";
import { trials } from "./_executor_dags.ts";
import { executorConformance, random, whole } from "./_executor_conformance.ts";
import { eventually, Gate, lives, Stage, type Trial } from "./_executor_stage.ts";
import { fileServer, soon } from "./_origin.ts";

const folder = new URL("./", import.meta.url).pathname;
const run = ["run", "-A", "--no-check"];
const command = () => ({
  path: Deno.execPath(),
  args: [...run, `${folder}_executor_child.ts`],
});
const make = () => subprocess({ command });

executorConformance("inProcess", () => inProcess());
executorConformance("subprocess", make);

/** A number that a task has put among the fields of its first line. */
async function said({ lines }: Trial, name: string): Promise<number> {
  await eventually(() => lines.length > 0);
  return lines[0]!.fields![name] as number;
}

Deno.test("an executor takes one attempt or more", () => {
  assert.throws(() => inProcess({ slots: 0 }), /an executor of 0 slots/);
  assert.deepEqual([inProcess().slots, make().slots, subprocess({ command, slots: 5 }).slots], [
    64,
    2,
    5,
  ]);
});

Deno.test("what a task prints in a process of its own becomes lines of its log, and nothing else", async () => {
  await using executor = make();
  await using stage = await Stage.open(executor, "single");
  const { outcome, lines } = stage.begin("prints");
  assert.deepEqual(await outcome, { state: "success", output: "quiet" });
  const all = lines.map(({ level, message }) => `${level} ${message}`);
  assert.deepEqual(all.filter((line) => !line.startsWith("warn")), [
    "info to the console: 1 { two: 2 }",
    "error an error",
    "info to the log",
  ]);
  assert.deepEqual(all.filter((line) => line.startsWith("warn")), [
    "warn to stdout",
    "warn by another process",
  ]);
});

Deno.test("a process that ends before its work fails the attempt, and tells how and with which words", async () => {
  await using executor = make();
  await using stage = await Stage.open(executor, "single");
  const outcome = await stage.begin("exits").outcome;
  assert(outcome.state === "failed" && !outcome.final);
  assert.equal(
    outcome.error.message,
    'The process of task "exits" ended with exit code 3; the end of what it printed:\nsomething\nis wrong',
  );
});

Deno.test("a program that cannot be started fails the attempt", async () => {
  await using executor = subprocess({ command: () => ({ path: "/no/such", args: [] }) });
  await using stage = await Stage.open(executor, "single");
  const outcome = await stage.begin("json").outcome;
  assert(outcome.state === "failed" && !outcome.final);
  assert.match(outcome.error.message, /ended with exit code 127; [^]*\/no\/such/);
});

Deno.test("a program that no executor has started says so", async () => {
  const { args, path } = command();
  const { code, stderr } = await new Deno.Command(path, { args, stdin: "null" }).output();
  assert.equal(code, 1);
  assert.match(new TextDecoder().decode(stderr), /Cannot serve an attempt: only a `subprocess`/);
});

Deno.test("a process gets variables, but no secret among them or its arguments", async () => {
  await using executor = subprocess({ command, env: { SLUICE_TEST: "1" } });
  await using stage = await Stage.open(executor, "single");
  const { outcome } = stage.begin("shows", {
    around: {
      connections: { warehouse: () => Promise.resolve({ url: "postgres://u:hid5den@host/db" }) },
    },
  });
  assert.deepEqual(await outcome, { state: "success", output: { hidden: true, variable: "1" } });
});

Deno.test("a reader that is killed reads the spool when it is tried again", async () => {
  await using executor = make();
  await using server = fileServer(random(20_000, 1));
  await using stage = await Stage.open(executor, "edges", server.url);
  const read = Promise.withResolvers<void>();
  server.gate = { at: 10_000, until: soon(read.promise) };
  const writer = stage.begin("download");
  await soon(writer.opened);
  const reader = stage.begin("load");
  await eventually(() => reader.readings().some(({ rows }) => rows === 10_000));
  Deno.kill(await said(reader, "pid"), "SIGKILL");
  const outcome = await soon(reader.outcome);
  assert(outcome.state === "failed" && !outcome.final);
  assert.match(outcome.error.message, /The process of task "load" was killed by SIGKILL/);
  const again = stage.begin("load", { attempt: 2 });
  await eventually(() => again.readings().some(({ rows }) => rows === 10_000));
  read.resolve();
  assert.deepEqual(await again.outcome, { state: "success", output: whole(server.body) });
  assert.deepEqual(server.requests, [{ status: 200, sent: 20_000 }]);
});

Deno.test("a writer that is killed goes on where it stopped", async () => {
  await using executor = make();
  await using server = fileServer(random(20_000, 2));
  await using stage = await Stage.open(executor, "edges", server.url);
  const killed = Promise.withResolvers<void>();
  server.gate = { at: 10_000, until: soon(killed.promise) };
  const first = stage.begin("download");
  await soon(first.opened);
  const reader = stage.begin("load");
  await eventually(() => reader.readings().some(({ rows }) => rows === 10_000));
  Deno.kill(await said(first, "pid"), "SIGKILL");
  const outcome = await soon(first.outcome);
  assert(outcome.state === "failed" && !outcome.final);
  killed.resolve();
  server.gate = undefined;
  const { output } = await stage.begin("download", { attempt: 2 }).outcome as never;
  assert.equal((output as { downloaded: number }).downloaded, 10_000);
  assert.deepEqual(await reader.outcome, { state: "success", output: whole(server.body) });
});

Deno.test("an attempt that is stopped is gone soon, and all that it started", async () => {
  await using gate = new Gate();
  await using executor = make();
  await using stage = await Stage.open(executor, "single", gate.url);
  for (const task of ["breeds", "busy_thread"]) {
    const trial = stage.begin(task);
    const pids = [
      await said(trial, "pid"),
      ...task === "breeds" ? [await said(trial, "child")] : [],
    ];
    assert.ok(pids.every(lives));
    // The thread is soon busy.
    await new Promise((resolve) => setTimeout(resolve, 150));
    const stopped = performance.now();
    trial.stop(new Cancelled("enough"));
    const outcome = await trial.outcome;
    assert(outcome.state === "failed" && outcome.reason === "cancelled");
    await eventually(() => !pids.some(lives));
    const took = performance.now() - stopped;
    // Left alone, one would be busy for 20 seconds, and the other wait for ever.
    assert.ok(took < 10_000, `${task} took ${took} ms`);
  }
});

Deno.test("a process dies with the one that started it, and all that it started", async () => {
  await using gate = new Gate();
  const parent = new Deno.Command(Deno.execPath(), {
    args: [...run, `${folder}_executor_parent.ts`, gate.url],
    stdout: "piped",
  }).spawn();
  const output = parent.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { pid, child, home } = JSON.parse((await output.read()).value!);
  await soon(gate.asked);
  assert.ok(lives(pid) && lives(child));
  parent.kill("SIGKILL");
  await parent.status;
  await output.cancel();
  await eventually(() => !lives(pid) && !lives(child));
  await Deno.remove(home, { recursive: true });
});

Deno.test("an engine has tasks of one run here and there, and tries one again whose process was killed", async () => {
  await using executors = new AsyncDisposableStack();
  const data = random(20_000, 3);
  await using server = fileServer(data);
  const read = Promise.withResolvers<void>();
  server.gate = { at: 10_000, until: soon(read.promise) };
  const lines: LogLine[] = [];
  await using etl = await engine({
    dags: [trials["both"]!],
    executors: {
      inProcess: executors.use(inProcess()),
      subprocess: executors.use(subprocess({ command, slots: 3 })),
    },
    log: (line) => lines.push(line),
  });
  const { id, done } = await etl.trigger("both", { params: { url: server.url } });
  const rows = (task: string): number =>
    Math.max(0, ...(etl.readings(id)[task] ?? []).map((reading) => reading.rows));
  await eventually(() => rows("load_away") === 10_000 && rows("load") === 10_000);
  const { fields } = lines.find(({ task, message }) =>
    task === "load_away" && message === "reads"
  )!;
  assert.notEqual(fields!["pid"], Deno.pid);
  Deno.kill(fields!["pid"] as number, "SIGKILL");
  await eventually(() => lines.some(({ task, attempt }) => task === "load_away" && attempt === 2));
  read.resolve();
  const { state, tasks } = await done;
  assert.equal(state, "success");
  assert.deepEqual(
    Object.entries(tasks).map(([id, { attempt, retries }]) => [id, attempt, retries]),
    [["download", 1, 0], ["load", 1, 0], ["load_away", 2, 1], ["flip", 1, 0], [
      "load_flipped",
      1,
      0,
    ]],
  );
  assert.deepEqual(tasks["load"]!.output, whole(data));
  assert.deepEqual(tasks["load_away"]!.output, whole(data));
  assert.deepEqual(tasks["load_flipped"]!.output, whole(data.map((byte) => byte ^ 255)));
  assert.deepEqual(server.requests, [{ status: 200, sent: 20_000 }]);
});
