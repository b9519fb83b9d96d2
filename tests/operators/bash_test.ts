import assert from "node:assert/strict";
import { type Context, dag, GiveUp, type Logger, Skip } from "../../engine/mod.ts";
import { bash, type BashOptions, empty } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";

/** Keeps what is said, in its order. */
class Log implements Logger {
  readonly lines: string[] = [];
  info(message: string): void {
    this.lines.push(`info ${message}`);
  }
  warn(message: string): void {
    this.lines.push(`warn ${message}`);
  }
  error(message: string): void {
    this.lines.push(`error ${message}`);
  }
}

async function run(options: BashOptions, log = new Log()): Promise<string | null> {
  return await perform(bash(options), testContext({ log }));
}

/** The processes in whose command line a word stands, zombies left out. */
async function processes(word: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (line.includes(word)) found.push(name);
  }
  return found;
}

/** Waits until something holds. */
async function eventually(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`not within 20 s: ${what}`);
}

/** A number of seconds to sleep that no other process has in its command line. */
function uniqueSleep(): string {
  return `987.${crypto.getRandomValues(new Uint32Array(1))[0]}`;
}

const said: { name: string; command: string; lines: string[]; output: string | null }[] = [
  {
    name: "a line each, and the last of stdout",
    command: "echo one; echo two",
    lines: ["info one", "info two"],
    output: "two",
  },
  { name: "nothing", command: "true", lines: [], output: null },
  { name: "no newline at the end", command: "printf one", lines: ["info one"], output: "one" },
  { name: "empty lines", command: "echo; echo", lines: ["info ", "info "], output: "" },
  { name: "CRLF", command: "printf 'a\\r\\nb\\r\\n'", lines: ["info a", "info b"], output: "b" },
  { name: "stderr alone", command: "echo no >&2", lines: ["warn no"], output: null },
  {
    name: "bytes that are no UTF-8",
    command: "printf 'h\\xff\\xc3\\xa9\\n'",
    lines: ["info h\ufffdé"],
    output: "h\ufffdé",
  },
  {
    name: "a line as long as can be",
    command: "printf '%08192d\\n' 0",
    lines: [`info ${"0".repeat(8192)}`],
    output: "0".repeat(8192),
  },
  {
    name: "a line too long",
    command: "printf '%0100000d\\nend' 0",
    lines: [`info ${"0".repeat(8192)} … (91808 more bytes)`, "info end"],
    output: "end",
  },
  {
    name: "a command of many lines goes on after one that failed",
    command: "false\necho on",
    lines: ["info on"],
    output: "on",
  },
  {
    name: "set -e",
    command: "set -eu -o pipefail\necho $((1 + 1)) | cat",
    lines: ["info 2"],
    output: "2",
  },
  {
    name: "bash itself",
    command: "[[ abc == a* ]] && echo ${BASH_VERSION:+bash}",
    lines: ["info bash"],
    output: "bash",
  },
  { name: "stdin is empty", command: "wc -c", lines: ["info 0"], output: "0" },
  {
    name: "what writes after bash has ended well",
    command: "(sleep 0.2; echo late) &",
    lines: ["info late"],
    output: "late",
  },
];

for (const { name, command, lines, output } of said) {
  Deno.test(`bash says: ${name}`, async () => {
    const log = new Log();
    assert.equal(await run({ command }, log), output);
    assert.deepEqual(log.lines, lines);
  });
}

Deno.test("lines are said while the command still runs", async () => {
  const folder = await Deno.makeTempDir();
  const log = new Log();
  const running = run({
    command: `echo waiting; until [ -e go ]; do sleep 0.02; done; echo went`,
    cwd: folder,
  }, log);
  await eventually(() => log.lines.length > 0, "the first line");
  assert.deepEqual(log.lines, ["info waiting"]);
  await Deno.writeTextFile(`${folder}/go`, "");
  assert.equal(await running, "went");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a hundred thousand lines all arrive", async () => {
  const log = new Log();
  assert.equal(await run({ command: "seq 100000" }, log), "100000");
  assert.equal(log.lines.length, 100_000);
  assert.equal(log.lines[54_321], "info 54322");
});

Deno.test("the environment is what is given and a few plain values", async () => {
  Deno.env.set("SLUICE_TEST_SECRET", "hunter2");
  const log = new Log();
  await run({ command: "env | sort", env: { DAY: "monday", N: 5, YES: true } }, log);
  Deno.env.delete("SLUICE_TEST_SECRET");
  const known = /^info (HOME=\/|LANG=C.UTF-8$|PATH=\/usr\/local\/sbin:|PWD=|SHLVL=|_=)/;
  assert.deepEqual(log.lines.filter((line) => !known.test(line)), [
    "info DAY=monday",
    "info N=5",
    "info SLUICE_ATTEMPT=1",
    "info SLUICE_DAG=test",
    "info SLUICE_INTERVAL_END=2021-02-01T00:00:00+00:00",
    "info SLUICE_INTERVAL_START=2021-01-01T00:00:00+00:00",
    "info SLUICE_LOGICAL_DATE=2021-01-01T00:00:00+00:00",
    "info SLUICE_RUN=manual__20210101T000000Z",
    "info SLUICE_TASK=test",
    "info YES=true",
  ]);
});

Deno.test("no value is ever a part of the command", async () => {
  const values = [`"; echo broken; "`, "$(echo broken)", "`echo broken`", "a\nb", "'", "${HOME}"];
  for (const value of values) {
    const log = new Log();
    await run({ command: `printf '<%s>' "$VALUE"`, env: { VALUE: value } }, log);
    assert.deepEqual(log.lines.map((line) => line.slice(5)).join("\n"), `<${value}>`);
  }
});

Deno.test("variables may be functions of the run, and handles", async () => {
  const flow = dag("flow", { params: { who: "world" } });
  const count = flow.task("count", () => 3);
  const task = flow.task(
    "say",
    bash({
      command: 'echo "$COUNT $DAY $WHO"',
      env: { COUNT: count, DAY: (run) => run.strftime("%Y-%m"), WHO: (run) => run.params.who },
    }),
  );
  assert.deepEqual(task.upstream, ["count"]);
  const ctx = { ...testContext(), params: { who: "you" } } as Context;
  assert.equal(await task.work.run({ output: () => 3 }, ctx), "3 2021-01 you");
});

Deno.test("options that cannot be are refused when the task is defined", () => {
  const make = (options: unknown) => () => bash(options as BashOptions);
  assert.throws(
    make({ command: () => "echo" }),
    /^TypeError: Cannot make a bash command of a function: it is a plain string; pass what differs/,
  );
  assert.throws(
    make({ command: "true", env: () => ({}) }),
    /^TypeError: Cannot take `env` as a wh/,
  );
  for (const name of ["", "A B", "A=B", "1A", "BASH_FUNC_ls%%"]) {
    assert.throws(
      make({ command: "true", env: { [name]: "" } }),
      /^TypeError: Cannot name a varia/,
    );
  }
});

const refused: [name: string, options: unknown, message: RegExp][] = [
  [
    "a value that is none",
    { command: "true", env: { A: () => ({}) } },
    /^Cannot pass variable "A" to/,
  ],
  ["null", { command: "true", env: { A: null } }, /variable "A" to bash: it is null, not a string/],
  ["a folder that is not there", { command: "true", cwd: "/nope" }, /^Cannot run bash in "\/nope"/],
  ["a file as the folder", { command: "true", cwd: "/etc/passwd" }, /there is no such folder$/],
  [
    "no bash",
    { command: "true", env: { PATH: "/nope" } },
    /^Cannot run bash for task "test": it is n/,
  ],
  ["a NUL", { command: "true", env: { A: "\0" } }, /^Cannot run bash for task "test": .*nul byte/],
];

for (const [name, options, message] of refused) {
  Deno.test(`bash gives up on ${name}`, async () => {
    await assert.rejects(run(options as BashOptions), (error) => {
      assert.ok(error instanceof GiveUp);
      assert.match(error.message, message);
      return true;
    });
  });
}

const failures: [command: string, message: string][] = [
  ["exit 3", 'The command of task "test" failed with exit code 3; it said nothing on stderr'],
  [
    "echo fine; echo so >&2; echo bad >&2; exit 100",
    'The command of task "test" failed with exit code 100; the end of its stderr:\nso\nbad',
  ],
  [
    "seq 30 >&2; false",
    'The command of task "test" failed with exit code 1; the end of its stderr:\n' +
    Array.from({ length: 10 }, (_, i) => i + 21).join("\n"),
  ],
  ["kill -KILL $$", 'The command of task "test" was killed by SIGKILL; it said nothing on stderr'],
];

for (const [command, message] of failures) {
  Deno.test(`a command fails: ${command}`, async () => {
    await assert.rejects(run({ command }), { name: "Error", message });
  });
}

Deno.test("exit code 99 skips, and the last line of stderr says why", async () => {
  await assert.rejects(run({ command: "echo no rides today >&2; exit 99" }), (error) => {
    assert.ok(error instanceof Skip);
    assert.equal(error.message, "no rides today");
    return true;
  });
  await assert.rejects(run({ command: "exit 99" }), {
    name: "Skip",
    message: "the command ended with exit code 99",
  });
});

const stubborn: [name: string, command: (sleep: string) => string][] = [
  ["a program", (sleep) => `sleep ${sleep}`],
  ["a program in the background", (sleep) => `sleep ${sleep} & wait`],
  ["grandchildren", (sleep) => `bash -c 'bash -c "sleep ${sleep}; true"; true'; true`],
  ["one that does not write", (sleep) => `exec >/dev/null 2>&1; sleep ${sleep}; true`],
  [
    "one that ignores SIGTERM",
    (sleep) => `trap '' TERM; while true; do sleep ${sleep}; done`,
  ],
  [
    "a grandchild that ignores SIGTERM, silently",
    (sleep) => `bash -c 'trap "" TERM; sleep ${sleep}; true' >/dev/null 2>&1 & wait`,
  ],
  ["one that is stopped", (sleep) => `bash -c 'kill -STOP $$; sleep ${sleep}' & sleep ${sleep}`],
];

for (const [name, command] of stubborn) {
  Deno.test(`an abort ends ${name}`, async () => {
    const sleep = uniqueSleep();
    const stop = new AbortController();
    const log = new Log();
    const running = perform(
      bash({ command: `echo up; ${command(sleep)}` }),
      testContext({ signal: stop.signal, log }),
    );
    await eventually(async () => (await processes(`sleep\0${sleep}`)).length > 0, "it runs");
    const began = performance.now();
    stop.abort(new Error("enough"));
    await assert.rejects(running, { message: "enough" });
    assert.ok(performance.now() - began < 10_000, `took ${performance.now() - began} ms`);
    await eventually(async () => (await processes(sleep)).length === 0, "nobody is left");
    assert.deepEqual(log.lines, ["info up"]);
  });
}

Deno.test("an abort does not wait for one that left the group with our pipe in its hands", async () => {
  const sleep = uniqueSleep();
  const stop = new AbortController();
  const running = perform(
    bash({ command: `setsid sleep ${sleep}` }),
    testContext({ signal: stop.signal }),
  );
  await eventually(async () => (await processes(`sleep\0${sleep}`)).length > 0, "it runs");
  const began = performance.now();
  stop.abort(new Error("enough"));
  await assert.rejects(running, { message: "enough" });
  assert.ok(performance.now() - began < 10_000);
  for (const pid of await processes(sleep)) Deno.kill(Number(pid), "SIGKILL");
});

Deno.test("nothing is started after an abort", async () => {
  const folder = await Deno.makeTempDir();
  const work = bash({ command: "touch here", cwd: folder });
  await assert.rejects(perform(work, testContext({ signal: AbortSignal.abort(new Error("no")) })), {
    message: "no",
  });
  assert.deepEqual([...Deno.readDirSync(folder)], []);
  await Deno.remove(folder);
});

Deno.test("a command that fails takes what it left in the background with it", async () => {
  const sleep = uniqueSleep();
  const began = performance.now();
  await assert.rejects(run({ command: `sleep ${sleep} & echo up; exit 4` }), /exit code 4/);
  assert.ok(performance.now() - began < 10_000);
  await eventually(async () => (await processes(sleep)).length === 0, "nobody is left");
});

Deno.test("a child that is stopped may clean up", async () => {
  const folder = await Deno.makeTempDir();
  const stop = new AbortController();
  const log = new Log();
  const running = perform(
    bash({
      command: `trap 'echo cleaned; rm part; exit 1' TERM; touch part; echo up
        while true; do sleep 0.02; done`,
      cwd: folder,
    }),
    testContext({ signal: stop.signal, log }),
  );
  await eventually(() => log.lines.length > 0, "it runs");
  stop.abort(new Error("enough"));
  await assert.rejects(running, { message: "enough" });
  // Bash may tell, too, that the sleep was terminated.
  const told = log.lines.filter((line) => line.startsWith("info"));
  assert.deepEqual(told, ["info up", "info cleaned"]);
  assert.deepEqual([...Deno.readDirSync(folder)], []);
  await Deno.remove(folder);
});

Deno.test("no zombie is left of a command", async () => {
  for (let i = 0; i < 3; i++) await run({ command: "true" });
  const { stdout } = await new Deno.Command("ps", {
    args: ["-o", "stat=", "--ppid", `${Deno.pid}`],
  })
    .output();
  assert.doesNotMatch(new TextDecoder().decode(stdout), /Z/);
});

Deno.test("empty does nothing", async () => {
  assert.equal(await perform(empty()), undefined);
});
