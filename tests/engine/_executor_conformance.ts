import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { Cancelled, type Outcome, Restart } from "../../engine/attempt.ts";
import type { Executor } from "../../engine/executor.ts";
import { GiveUp, type Json, type Run } from "../../engine/mod.ts";
import { eventually, Gate, Stage, type TrialOptions } from "./_executor_stage.ts";
import { type FileServer, fileServer, soon } from "./_origin.ts";
import { virtualTime } from "./_time.ts";

/** Bytes that do not repeat. */
export function random(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(length);
  for (let i = 0; i < length; i++) data[i] = seed = (seed * 1103515245 + 12345) & 0x7fffffff;
  return data;
}

/** As readers put out. */
export function whole(data: Uint8Array): { bytes: number; sha256: string } {
  return { bytes: data.length, sha256: createHash("sha256").update(data).digest("hex") };
}

/** An outcome without where errors were thrown. */
function plain(outcome: Outcome): unknown {
  return JSON.parse(JSON.stringify(outcome, (key, value) => key === "stack" ? undefined : value));
}

const success = (output: Json): Outcome => ({ state: "success", output });

/** A clock for timeouts: it goes on when the test says so, however long a process takes to start. */
function timeouts() {
  const time = virtualTime("2021-01-01T00:00:00Z");
  return { time, around: { clock: time.clock, sleep: time.sleep } };
}

/** What each executor does. */
export function executorConformance(name: string, make: () => Executor): void {
  const test = (title: string, body: (executor: Executor) => Promise<void>): void => {
    Deno.test(`${name}: ${title}`, async () => {
      await using executor = make();
      await body(executor);
    });
  };
  /** One attempt at one of the single tasks. */
  const one = async (
    executor: Executor,
    task: string,
    options?: TrialOptions,
  ): Promise<Outcome> => {
    await using stage = await Stage.open(executor, "single");
    return await stage.begin(task, options).outcome;
  };

  test("what a task puts out is JSON, and nothing is null", async (executor) => {
    assert.deepEqual(
      await one(executor, "json"),
      success({ rows: [1, "two", null, { three: 3.5 }] }),
    );
    assert.deepEqual(await one(executor, "nothing"), success(null));
  });

  for (
    const [task, message] of [
      ["big", /"output" as JSON: it is 70002 bytes, and 65536 at most/],
      ["bigint", /Cannot keep what task "bigint" put out: Cannot keep "output\.n" as JSON/],
    ] as const
  ) {
    test(`an output that cannot be kept fails for good: ${task}`, async (executor) => {
      const outcome = await one(executor, task);
      assert(outcome.state === "failed" && outcome.final);
      assert.match(outcome.error.message, message);
      assert.equal(outcome.error.name, "GiveUp");
    });
  }

  for (
    const [task, expected] of [
      ["skip", { state: "skipped", reason: "nothing to do" }],
      ["not_yet", { state: "up_for_reschedule" }],
      ["not_before", { state: "up_for_reschedule", due: "2030-01-01T00:00:00Z" }],
      ["give_up", {
        state: "failed",
        error: { name: "Error", message: "outer", cause: { name: "GiveUp", message: "hopeless" } },
        final: true,
      }],
      ["fails", {
        state: "failed",
        error: {
          name: "TypeError",
          message: "what",
          cause: {
            name: "RangeError",
            message: "why",
            cause: { name: "Error", message: "because" },
          },
        },
        final: false,
      }],
      ["busy", {
        state: "failed",
        error: {
          name: "Error",
          message: "refused",
          cause: { name: "Busy", message: "try again later" },
        },
        final: false,
        retryAfter: 90_000,
      }],
      ["very_busy", {
        state: "failed",
        error: { name: "Busy", message: "try again later" },
        final: false,
        retryAfter: 600_000,
      }],
    ] as const
  ) {
    test(`what a task throws says how it ends: ${task}`, async (executor) => {
      assert.deepEqual(plain(await one(executor, task)), expected);
    });
  }

  test("an error tells where it was thrown", async (executor) => {
    const outcome = await one(executor, "fails");
    assert(outcome.state === "failed");
    assert.match(outcome.error.stack!, /TypeError: what\n.*_executor_dags\.ts/);
  });

  test("a sensor may say how long it wants to wait", async (executor) => {
    const now = (): Temporal.Instant => Temporal.Instant.from("2021-01-01T00:00:00Z");
    assert.deepEqual(await one(executor, "not_for", { around: { now } }), {
      state: "up_for_reschedule",
      due: "2021-01-01T00:05:00Z",
    });
  });

  test("a task sees whose attempt it is, and other runs", async (executor) => {
    const asked: unknown[] = [];
    const years = [new Date().getUTCFullYear()];
    const outcome = await one(executor, "facts", {
      attempt: 3,
      around: {
        network: "public",
        rejects: "/home/rejects",
        runs: (query) => {
          asked.push(query);
          return Promise.resolve([{ id: "one" }, { id: "two" }] as Run[]);
        },
      },
    });
    years.push(new Date().getUTCFullYear());
    assert(outcome.state === "success");
    const { year, ...facts } = outcome.output as { year: number };
    assert.ok(years.includes(year));
    assert.deepEqual(
      success(facts),
      success({
        ids: ["single", "manual__20210101T000000Z", "facts", 3],
        date: "2021-01-01T00:00:00+00:00[UTC]",
        next: ["2021-02-01T00:00:00+00:00[UTC]", "2021-03-01T00:00:00+00:00[UTC]"],
        month: "2021_01",
        kind: "manual",
        network: "public",
        rejects: "/home/rejects/t.jsonl",
        index: null,
        params: ["url"],
        runs: ["one", "two"],
      }),
    );
    assert.deepEqual(asked, [{ dag: "other", limit: 2 }]);
  });

  test("connections come by name, and one that cannot be had says why", async (executor) => {
    const around = {
      connections: {
        warehouse: () => Promise.resolve({ url: "postgres://u:secret@host/db" }),
        locked: () => Promise.reject(new GiveUp("the key is gone")),
      },
    };
    const url = await one(executor, "connects", { around });
    assert.deepEqual(url, success("postgres://u:secret@host/db"));
    const nowhere = await one(executor, "connects_nowhere", { around });
    assert(nowhere.state === "failed" && nowhere.final);
    assert.match(nowhere.error.message, /"nowhere" .* there are "warehouse", "locked"/);
    const refused = await one(executor, "refused", { around });
    assert(refused.state === "failed" && refused.final);
    assert.equal(refused.error.message, "the key is gone");
  });

  test("lines of the log come while the task runs, in order, with whose they are", async (executor) => {
    await using gate = new Gate();
    await using stage = await Stage.open(executor, "single", gate.url);
    const { lines, outcome } = stage.begin("says", { attempt: 2 });
    await soon(gate.asked);
    await eventually(() => lines.length === 3);
    assert.deepEqual(lines.map(({ level, message }) => [level, message]), [
      ["info", "one"],
      ["warn", "two"],
      ["error", "three"],
    ]);
    const { at, ...line } = lines[0]!;
    assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000);
    assert.deepEqual(line, {
      level: "info",
      dag: "single",
      run: stage.run.id,
      task: "says",
      attempt: 2,
      message: "one",
      fields: { n: 1 },
    });
    gate.open();
    assert.deepEqual(await outcome, success("open"));
  });

  test("the meters can be read while the task runs, and when it has ended", async (executor) => {
    await using gate = new Gate();
    await using stage = await Stage.open(executor, "single", gate.url);
    const { readings, outcome } = stage.begin("counts");
    await eventually(() => readings()[0]?.rows === 7);
    assert.equal(readings()[0]!.stage, "counts");
    gate.open();
    await outcome;
    assert.deepEqual(readings().map(({ rows, done }) => [rows, done]), [[9, true]]);
  });

  test("a task that takes too long is stopped, and may be tried again", async (executor) => {
    await using gate = new Gate();
    await using stage = await Stage.open(executor, "single", gate.url);
    const { time, around } = timeouts();
    const { outcome } = stage.begin("timed", { around });
    await soon(gate.asked);
    await time.advance({ milliseconds: 400 });
    assert.deepEqual(plain(await soon(outcome)), {
      state: "failed",
      error: {
        name: "TimedOut",
        message: 'Cannot wait longer for task "timed": its timeout is PT0.4S',
      },
      final: false,
      reason: "timeout",
    });
  });

  for (
    const [reason, expected] of [
      [new Cancelled("enough"), {
        state: "failed",
        error: { name: "Cancelled", message: "enough" },
        final: true,
        reason: "cancelled",
      }],
      [new Restart("again"), { state: "none", lost: [] }],
    ] as const
  ) {
    test(`a task that is stopped ends as the reason says: ${reason.name}`, async (executor) => {
      await using gate = new Gate();
      await using stage = await Stage.open(executor, "single", gate.url);
      const running = stage.begin("waits");
      await soon(gate.asked);
      running.stop(reason);
      assert.deepEqual(plain(await soon(running.outcome)), expected);
      const late = stage.begin("waits");
      late.stop(reason);
      assert.deepEqual(plain(await soon(late.outcome)), expected);
    });
  }

  test("closing it stops what runs, and waits for it", async (executor) => {
    await using gate = new Gate();
    await using stage = await Stage.open(executor, "single", gate.url);
    let ended = false;
    const { outcome } = stage.begin("waits");
    outcome.then(() => ended = true);
    await soon(gate.asked);
    await executor[Symbol.asyncDispose]();
    await new Promise((resolve) => setTimeout(resolve));
    assert.ok(ended);
    assert.equal((await outcome).state, "failed");
  });

  test("instances of a mapped task see their item, and others what all of them put out", async (executor) => {
    await using stage = await Stage.open(executor, "mapped");
    await stage.begin("list").outcome;
    const none = { state: "none", attempt: 0, retries: 0 } as const;
    const instances = [none, none, none];
    stage.run = { ...stage.run, mapped: { letter: instances, again: instances } };
    for (const task of ["letter", "again"]) {
      for (const index of [0, 1, 2]) {
        const { outcome, lines } = stage.begin(task, { index });
        assert.equal((await outcome).state, "success");
        if (task === "letter") assert.deepEqual(lines.map((line) => line.index), [index]);
      }
    }
    assert.deepEqual(await stage.begin("join").outcome, success("a0! b1! c2!"));
    stage.set("again", { state: "failed", attempt: 1, retries: 0 }, 1);
    const outcome = await stage.begin("join").outcome;
    assert(outcome.state === "failed" && outcome.final);
    assert.match(outcome.error.message, /what task "again\[1\]" put out: it is failed/);
  });

  test("instances of a mapped task read the streams of those they follow", async (executor) => {
    await using stage = await Stage.open(executor, "mapped");
    await stage.begin("list").outcome;
    const none = { state: "none", attempt: 0, retries: 0 } as const;
    stage.run = { ...stage.run, mapped: { part: [none, none, none], size: [none, none, none] } };
    const writers = [0, 1, 2].map((index) => stage.begin("part", { index }));
    for (const { opened } of writers) await soon(opened);
    const readers = [0, 1, 2].map((index) => stage.begin("size", { index }));
    for (const [index, { outcome }] of readers.entries()) {
      const data = new TextEncoder().encode("abc"[index]!.repeat(3));
      assert.deepEqual(await outcome, success(whole(data)));
    }
  });

  const edge = (
    title: string,
    size: number,
    body: (stage: Stage, server: FileServer) => Promise<void>,
  ): void =>
    test(title, async (executor) => {
      await using server = fileServer(random(size, size));
      await using stage = await Stage.open(executor, "edges", server.url);
      await body(stage, server);
    });

  edge("a reader runs while the stream is written", 20_000, async (stage, server) => {
    const read = Promise.withResolvers<void>();
    server.gate = { at: 10_000, until: soon(read.promise) };
    const writer = stage.begin("download");
    await soon(writer.opened);
    const reader = stage.begin("load");
    // Half of it comes only when the reader's meter shows the other half: without an overlap nothing goes on.
    await eventually(() => reader.readings().some(({ rows }) => rows === 10_000));
    // How much there will be is known as soon as the source has said so.
    assert.deepEqual([reader.readings()[0]!.stage, reader.readings()[0]!.length], ["read", 20_000]);
    read.resolve();
    const { output, stream } = await writer.outcome as Outcome & { state: "success" };
    assert.deepEqual(output, {
      url: server.url,
      ...whole(server.body),
      downloaded: 20_000,
      validator: '"1"',
    });
    assert.deepEqual(stream, { key: server.url, validator: '"1"', bytes: 20_000, whole: true });
    assert.deepEqual(await reader.outcome, success(whole(server.body)));
  });

  edge("a reader may begin anew while the stream is written", 20_000, async (stage, server) => {
    const read = Promise.withResolvers<void>();
    server.gate = { at: 10_000, until: soon(read.promise) };
    const writer = stage.begin("download");
    await soon(writer.opened);
    const reader = stage.begin("reread");
    await eventually(() => reader.readings().some(({ rows }) => rows === 10_000));
    read.resolve();
    await writer.outcome;
    const output = { ...whole(server.body), learnt: "this" };
    assert.deepEqual(await reader.outcome, success(output));
    assert.equal(server.requests.length, 1);
  });

  edge(
    "a reader sees the end only when the writer's success is on record",
    5000,
    async (stage, { body }) => {
      const record = Promise.withResolvers<void>();
      const writer = stage.begin("download", { settle: () => record.promise });
      await soon(writer.opened);
      const ended: string[] = [];
      const readers = ["load", "peek"].map((task) => {
        const reader = stage.begin(task);
        reader.outcome.then(() => ended.push(task));
        return reader;
      });
      for (const reader of readers) {
        await eventually(() => reader.readings().some(({ rows }) => rows === 5000));
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.deepEqual(ended, []);
      record.resolve();
      for (const { outcome } of readers) assert.deepEqual(await outcome, success(whole(body)));
    },
  );

  edge(
    "a writer that fails goes on where it stopped, and readers notice nothing",
    20_000,
    async (stage, server) => {
      server.cuts = [10_000];
      const read = Promise.withResolvers<void>();
      server.gate = { at: 10_000, until: soon(read.promise) };
      const first = stage.begin("download");
      await soon(first.opened);
      const reader = stage.begin("load");
      await eventually(() => reader.readings().some(({ rows }) => rows === 10_000));
      read.resolve();
      const outcome = await first.outcome;
      assert(outcome.state === "failed" && !outcome.final);
      const { output } = await stage.begin("download", { attempt: 2 }).outcome as { output: Json };
      assert.equal((output as { downloaded: number }).downloaded, 10_000);
      assert.deepEqual(await reader.outcome, success(whole(server.body)));
      assert.deepEqual(server.requests, [{ status: 200, sent: 10_000 }, {
        status: 206,
        sent: 10_000,
      }]);
    },
  );

  edge(
    "a source that is another one: its readers are ended before, and read it anew",
    20_000,
    async (stage, server) => {
      server.cuts = [10_000];
      const read = Promise.withResolvers<void>();
      server.gate = { at: 10_000, until: soon(read.promise) };
      const first = stage.begin("download");
      await soon(first.opened);
      const reader = stage.begin("load");
      await eventually(() => reader.readings().some(({ rows }) => rows === 10_000));
      read.resolve();
      await first.outcome;
      server.body = random(15_000, 1);
      server.etag = '"2"';
      let ended: Outcome | undefined;
      const second = stage.begin("download", {
        attempt: 2,
        replace: async () => {
          reader.stop(new Restart("another one"));
          ended = await reader.outcome;
        },
      });
      await soon(second.opened);
      assert.deepEqual(ended, { state: "none", lost: [] });
      const again = stage.begin("load", { attempt: 2 });
      assert.deepEqual(await again.outcome, success(whole(server.body)));
      assert.equal((await second.outcome).state, "success");
    },
  );

  edge("what was kept is not sent again", 5000, async (stage, server) => {
    await stage.begin("download").outcome;
    const outcome = await stage.begin("download", { attempt: 2 }).outcome;
    assert(outcome.state === "success");
    assert.equal((outcome.output as { downloaded: number }).downloaded, 0);
    assert.deepEqual(server.requests.map((request) => request.status), [200, 304]);
    assert.deepEqual(await stage.begin("load").outcome, success(whole(server.body)));
  });

  edge(
    "a reader that is stopped leaves the writer and the other readers alone",
    20_000,
    async (stage, server) => {
      const stopped = Promise.withResolvers<void>();
      server.gate = { at: 10_000, until: soon(stopped.promise) };
      const writer = stage.begin("download");
      await soon(writer.opened);
      const { around } = timeouts();
      const readers = [
        stage.begin("load"),
        stage.begin("peek"),
        stage.begin("patient", { around }),
      ] as const;
      await eventually(() => readers[0].readings().some(({ rows }) => rows === 10_000));
      readers[0].stop(new Cancelled("enough"));
      assert.equal((await readers[0].outcome).state, "failed");
      stopped.resolve();
      assert.equal((await writer.outcome).state, "success");
      assert.equal((await readers[1].outcome).state, "success");
      assert.deepEqual(await readers[2].outcome, success(whole(server.body)));
    },
  );

  edge("a writer that is stopped closes its source", 20_000, async (stage, server) => {
    const never = Promise.withResolvers<void>();
    server.gate = { at: 10_000, until: never.promise };
    const writer = stage.begin("download");
    await soon(writer.opened);
    writer.stop(new Cancelled("enough"));
    const outcome = await soon(writer.outcome);
    assert(outcome.state === "failed" && outcome.reason === "cancelled");
    never.resolve();
  });

  edge("a timeout does not count the time in which no bytes come", 2000, async (stage, server) => {
    const rest = Promise.withResolvers<void>();
    server.gate = { at: 1000, until: soon(rest.promise) };
    const { time, around } = timeouts();
    const writer = stage.begin("download");
    await soon(writer.opened);
    const reader = stage.begin("patient", { around });
    // Its timeout stands still once it has read what there is.
    await eventually(() =>
      reader.readings().some(({ rows }) => rows === 1000) && time.sleepers() === 0
    );
    await time.advance({ minutes: 1 });
    rest.resolve();
    assert.deepEqual(await reader.outcome, success(whole(server.body)));
  });

  edge("a file that was damaged is found out before the reader ends", 300_000, async (stage) => {
    await stage.begin("download").outcome;
    for await (const path of files(stage.home)) {
      if (/\.json$|lock/.test(path)) continue;
      const bytes = await Deno.readFile(path);
      bytes[299_999]! ^= 1;
      await Deno.writeFile(path, bytes);
    }
    assert.deepEqual(await stage.begin("load").outcome, { state: "none", lost: ["download"] });
  });

  edge("a task reads one stream and writes another", 20_000, async (stage, server) => {
    const read = Promise.withResolvers<void>();
    server.gate = { at: 10_000, until: soon(read.promise) };
    const writer = stage.begin("download");
    await soon(writer.opened);
    const between = stage.begin("flip");
    await soon(between.opened);
    const reader = stage.begin("load_flipped");
    await eventually(() => reader.readings().some(({ rows }) => rows === 10_000));
    read.resolve();
    const flipped = server.body.map((byte) => byte ^ 255);
    assert.deepEqual(await reader.outcome, success(whole(flipped)));
    const { output } = await between.outcome as { output: Json };
    assert.deepEqual(output, { ...whole(flipped), downloaded: 20_000, validator: null });
  });

  for (
    const [task, expected] of [
      ["whole", { url: "https://host/file", validator: "v1" }],
      ["no_url", { validator: null }],
    ] as const
  ) {
    edge(`what a stream comes from is noted, but no secret: ${task}`, 0, async (stage) => {
      const outcome = await stage.begin(task).outcome;
      assert(outcome.state === "success");
      assert.deepEqual(outcome.output, {
        ...whole(new Uint8Array(1000)),
        downloaded: 1000,
        ...expected,
      });
    });
  }

  for (
    const [task, replaced, message] of [
      ["too_short", 0, /1000 of its 2000 bytes came/],
      ["too_long", 1, /1000 of its 500 bytes came/],
    ] as const
  ) {
    edge(`a stream that is not as long as it said fails: ${task}`, 0, async (stage) => {
      let n = 0;
      const replace = (): Promise<void> => Promise.resolve(void n++);
      const outcome = await stage.begin(task, { replace }).outcome;
      assert(outcome.state === "failed" && !outcome.final);
      assert.match(outcome.error.message, message);
      assert.equal(n, replaced);
    });
  }

  for (const [times, state] of [[3, "success"], [4, "failed"]] as const) {
    test(`a source that changes ${times} times within an attempt: ${state}`, async (executor) => {
      const path = await Deno.makeTempFile();
      try {
        await Deno.writeTextFile(path, String(times));
        await using stage = await Stage.open(executor, "edges", path);
        let replaced = 0;
        const replace = (): Promise<void> => Promise.resolve(void replaced++);
        const outcome = await stage.begin("changes", { replace }).outcome;
        assert.equal(outcome.state, state);
        assert.equal(replaced, 3);
        if (outcome.state === "success") assert.equal(outcome.stream!.bytes, 1500);
        if (outcome.state === "failed") {
          assert.match(outcome.error.message, /its source changed 4 times meanwhile/);
        }
      } finally {
        await Deno.remove(path);
      }
    });
  }

  edge(
    "a plain stream is kept, one that breaks off fails, and one that is not of bytes fails for good",
    0,
    async (stage) => {
      const data = Uint8Array.from({ length: 100_000 }, (_, i) => i / 1000);
      const { output } = await stage.begin("plain").outcome as { output: Json };
      assert.deepEqual(output, { ...whole(data), downloaded: 100_000, validator: null });
      const broken = await stage.begin("breaks").outcome;
      assert(broken.state === "failed" && !broken.final);
      assert.deepEqual([broken.error.name, broken.error.message], ["RangeError", "broken off"]);
      const wrong = await stage.begin("no_bytes").outcome;
      assert(wrong.state === "failed" && wrong.final);
      assert.match(
        wrong.error.message,
        /what task "no_bytes" puts out: a stream between tasks is one of bytes/,
      );
    },
  );
}

async function* files(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) yield* files(path);
    else yield path;
  }
}
