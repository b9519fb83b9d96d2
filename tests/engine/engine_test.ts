import assert from "node:assert/strict";
import {
  type Bytes,
  dag,
  engine,
  type Event,
  GiveUp,
  type LogLine,
  memory,
  NotYet,
  operator,
  perform,
  pipe,
  type Run,
  Skip,
} from "../../engine/mod.ts";
import { virtualTime } from "./_time.ts";

const START = "2021-01-05T12:00:00Z";
const idle = (): number => 1;

const short = ({ tasks }: Run): Record<string, string> =>
  Object.fromEntries(
    Object.entries(tasks).map(([id, { state, attempt, retries }]) => {
      return [id, `${state} ${attempt}/${retries}`];
    }),
  );

Deno.test("tasks run in order, read what others put out, and see the run they are for", async () => {
  const time = virtualTime(START);
  const d = dag("hello", { schedule: "@daily", params: { name: "you", n: 1 } });
  const seen: unknown[] = [];
  const a = d.task("a", (ctx) => ({ name: ctx.params.name, day: ctx.strftime("%Y_%m_%d") }));
  const join = operator("join", (o: { text: string }, ctx) => {
    seen.push(ctx.dag, ctx.run, ctx.task, ctx.attempt, String(ctx.date), String(ctx.interval.end));
    return o.text;
  });
  d.task("b", join({ text: a.map((o) => `${o.name} ${o.day}`) }));
  await using etl = await engine({ dags: [d], ...time });
  const { id, done } = await etl.trigger(d, { date: "2021-01-02", params: { name: "me" } });
  assert.equal(id, "manual__20210102T000000Z");
  const run = await done;
  assert.equal(run.state, "success");
  assert.deepEqual(run.params, { name: "me", n: 1 });
  assert.deepEqual(run.interval, {
    start: "2021-01-02T00:00:00+00:00[UTC]",
    end: "2021-01-03T00:00:00+00:00[UTC]",
  });
  assert.equal(run.tasks.b!.output, "me 2021_01_02");
  assert.deepEqual(seen, [
    "hello",
    id,
    "b",
    1,
    "2021-01-02T00:00:00+00:00[UTC]",
    "2021-01-03T00:00:00+00:00[UTC]",
  ]);
  assert.deepEqual(await etl.get(id), run);
  assert.equal((await etl.trigger("hello", { date: "2021-01-02" })).id, `${id}.2`);
});

Deno.test("a run is for the last complete interval, for now without a schedule, or for what is asked", async () => {
  const time = virtualTime(START);
  const daily = dag("daily", { schedule: "@daily", timezone: "Europe/Berlin" });
  const free = dag("free", { timezone: "Europe/Berlin" });
  await using etl = await engine({ dags: [daily, free], ...time });
  const dates = async (...args: Parameters<typeof etl.trigger>): Promise<string> => {
    const { interval, logicalDate } = await (await etl.trigger(...args)).done;
    assert.equal(Temporal.Instant.compare(interval.start, logicalDate), 0);
    return `${interval.start} ${interval.end}`.replaceAll(/:00\+01:00\[.*?\]/g, "");
  };
  assert.equal(await dates("daily"), "2021-01-04T00:00 2021-01-05T00:00");
  assert.equal(await dates("daily", { date: "2020-12-31" }), "2020-12-31T00:00 2021-01-01T00:00");
  assert.equal(await dates("free"), "2021-01-05T13:00 2021-01-05T13:00");
  assert.equal(await dates("free", { date: "2021-02-03" }), "2021-02-03T00:00 2021-02-03T00:00");
  assert.equal(
    await dates("free", { date: "2021-02-03T10:00Z" }),
    "2021-02-03T11:00 2021-02-03T11:00",
  );
  const start = Temporal.ZonedDateTime.from("2021-01-01T00:00[Europe/Berlin]");
  assert.equal(
    await dates("free", { interval: { start, end: start.add({ months: 1 }) } }),
    "2021-01-01T00:00 2021-02-01T00:00",
  );
});

for (
  const [what, options, error] of [
    [
      "an unknown param",
      { params: { yeer: 1 } },
      /no param "yeer"; its params are "year", "tags", "any"/,
    ],
    ["a name of Object's", { params: { constructor: 1 } }, /no param "constructor"/],
    [
      "a param of another type",
      { params: { year: "2021" } },
      /"year" is to be of type number.* 2021, but it is "2021"/,
    ],
    ["an object for an array", { params: { tags: {} } }, /"tags" is to be of type array/],
    ["a param that is not JSON", { params: { any: 1n } }, /"params\.any" as JSON: it is a bigint/],
    ["a date that is none", { date: "soon" }, /"soon"/],
    [
      "a date without a run",
      { date: "2021-01-02T05:00" },
      /no interval of the schedule starts then/,
    ],
  ] as const
) {
  Deno.test(`a trigger with ${what} is refused before anything starts`, async () => {
    const d = dag("d", {
      schedule: "@daily",
      params: { year: 2021, tags: ["a"], any: null as unknown },
    });
    d.task("a", idle);
    await using etl = await engine({ dags: [d] });
    await assert.rejects(etl.trigger("d", options as never), error);
    assert.deepEqual(await etl.runs(), []);
  });
}

Deno.test("what an engine cannot know is refused", async () => {
  const d = dag("d");
  await assert.rejects(engine({ dags: [d, dag("d")] }), /two DAGs of the id "d"/);
  await assert.rejects(engine({ dags: [dag("x", { schedule: "61 * * * *" })] }), TypeError);
  await using etl = await engine({ dags: [d] });
  await assert.rejects(etl.trigger("e"), /"e": there is no such DAG; there are "d"/);
  await assert.rejects(etl.trigger(dag("d")), /another DAG of that id/);
  await assert.rejects(etl.cancel("r"), /Cannot cancel run "r": there is none/);
});

Deno.test("a failed task is tried again exactly after its delay, as often as it has retries", async () => {
  const time = virtualTime(START);
  const at: string[] = [];
  const d = dag("d", { defaults: { retries: 2 } });
  const failing = (id: string) => (): never => {
    at.push(`${id} ${time.now().toString().slice(11, 19)}`);
    throw new Error(`${id} broke`);
  };
  d.task("slow", failing("slow"));
  d.task("fast", failing("fast"), { retries: 1, retryDelay: { seconds: 90 } });
  await using etl = await engine({ dags: [d], ...time });
  const { id, done } = await etl.trigger(d);
  await time.advance({ seconds: 89 });
  const { slow, fast } = (await etl.get(id))!.tasks;
  assert.equal(fast!.state, "up_for_retry");
  assert.equal(fast!.due, "2021-01-05T12:01:30Z");
  assert.equal(slow!.due, "2021-01-05T12:05:00Z");
  assert.equal(time.sleepers(), 1, "one timer is enough");
  await time.advance({ minutes: 30 });
  const run = await done;
  assert.deepEqual(at, [
    "slow 12:00:00",
    "fast 12:00:00",
    "fast 12:01:30",
    "slow 12:05:00",
    "slow 12:10:00",
  ]);
  assert.deepEqual(short(run), { slow: "failed 3/2", fast: "failed 2/1" });
  assert.equal(run.tasks.slow!.error!.message, "slow broke");
  assert.equal(run.ended, "2021-01-05T12:10:00Z");
  assert.equal(time.sleepers(), 0);
});

Deno.test("a writer that rests for more than a minute gives its readers' place back, at no cost", async () => {
  const time = virtualTime(START);
  const states: string[] = [];
  const read = Promise.withResolvers<void>();
  const flaky = operator("flaky", (_: { x?: 1 }, { attempt }) => {
    let n = 0;
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        if (++n === 1) return controller.enqueue(new Uint8Array([attempt]));
        if (attempt === 2) return controller.close();
        await read.promise;
        throw new Error("lost");
      },
    }, { highWaterMark: 0 });
  });
  const take = operator("take", async (_: { x?: 1 }, ctx, bytes: Bytes) => {
    const all: number[] = [];
    try {
      for await (const chunk of bytes) {
        all.push(...chunk);
        read.resolve();
      }
      return all;
    } finally {
      states.push(`attempt ${ctx.attempt} ended`);
    }
  });
  const d = dag("d");
  const file = d.task("flaky", flaky(), { retries: 1, retryDelay: { seconds: 61 } });
  d.task("take", pipe(file, take()));
  await using etl = await engine({ dags: [d], ...time });
  const { id, done } = await etl.trigger(d);
  await read.promise;
  while (states.length === 0) await time.settle();
  await time.settle();
  assert.deepEqual(short((await etl.get(id))!), { flaky: "up_for_retry 1/1", take: "none 1/0" });
  await time.advance({ seconds: 61 });
  const run = await done;
  assert.deepEqual(short(run), { flaky: "success 2/1", take: "success 2/0" });
  assert.deepEqual(run.tasks.take!.output, [2]);
});

Deno.test("an attempt that takes too long is aborted, and fails once it has ended", async () => {
  const time = virtualTime(START);
  const d = dag("d");
  let ended = false;
  const finish = Promise.withResolvers<void>();
  d.task("slow", async ({ signal }) => {
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    await finish.promise;
    ended = true;
  }, { timeout: { seconds: 10 } });
  await using etl = await engine({ dags: [d], ...time });
  const { id, done } = await etl.trigger(d);
  await time.advance({ seconds: 9 });
  assert.equal((await etl.get(id))!.tasks.slow!.state, "running");
  await time.advance({ seconds: 1 });
  assert.equal((await etl.get(id))!.tasks.slow!.state, "running", "it has not ended yet");
  finish.resolve();
  const { tasks } = await done;
  assert.equal(ended, true);
  assert.deepEqual([tasks.slow!.state, tasks.slow!.reason], ["failed", "timeout"]);
  assert.match(tasks.slow!.error!.message, /longer for task "slow": its timeout is PT10S/);
});

Deno.test("what a task throws says how it ends", async () => {
  const time = virtualTime(START);
  const d = dag("d", { defaults: { retries: 3 } });
  const skip = d.task("skip", () => {
    throw new Skip("nothing to do");
  });
  d.task("below", idle, { after: skip });
  d.task("beside", idle, { after: skip, when: "all_done" });
  d.task("give_up", () => {
    throw new Error("Cannot load", { cause: new GiveUp("404") });
  });
  d.task("not_yet", (ctx) => {
    if (ctx.attempt < 3) throw new NotYet("not there");
  });
  await using etl = await engine({ dags: [d], ...time });
  const { done } = await etl.trigger(d);
  await time.advance({ minutes: 2 });
  const run = await done;
  assert.deepEqual(short(run), {
    skip: "skipped 1/0",
    below: "skipped 0/0",
    beside: "success 1/0",
    give_up: "failed 1/0",
    not_yet: "success 3/0",
  });
  assert.equal(run.tasks.skip!.reason, "nothing to do");
  assert.equal(run.tasks.not_yet!.output, null);
  assert.equal(run.state, "failed");
});

for (
  const [output, error] of [
    [
      { rows: [1, 2n] },
      /task "a" put out: Cannot keep "output\.rows\[1\]" as JSON: it is a bigint/,
    ],
    ["x".repeat(65_535), /"output" as JSON: it is 65537 bytes, and 65536 at most/],
    [new Map(), /"output" as JSON: it is of class Map/],
  ] as const
) {
  Deno.test(`an output that cannot be kept fails the task at once: ${error}`, async () => {
    const d = dag("d");
    d.task("a", () => output as unknown, { retries: 5 });
    await using etl = await engine({ dags: [d] });
    const { tasks } = await (await etl.trigger(d)).done;
    assert.equal(`${tasks.a!.state} ${tasks.a!.attempt}`, "failed 1");
    assert.match(tasks.a!.error!.message, error);
  });
}

Deno.test("reading what a failed task would have put out fails without a retry", async () => {
  const d = dag("d");
  const a = d.task("a", (): number => {
    throw new Error("broke");
  });
  const plus = operator("plus", (o: { a: number }) => o.a + 1);
  d.task("b", plus({ a }), { when: "all_done", retries: 3 });
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  assert.deepEqual(short(run), { a: "failed 1/0", b: "failed 1/0" });
  assert.match(run.tasks.b!.error!.message, /what task "a" put out: it is failed/);
});

Deno.test("no more runs of a DAG are under way than it allows, and the oldest dates go first", async () => {
  const begun: string[] = [];
  const gates = new Map<string, () => void>();
  const d = dag("d", { schedule: "@daily", maxActiveRuns: 2 });
  d.task("a", async (ctx) => {
    const day = ctx.strftime("%d");
    begun.push(day);
    await new Promise<void>((resolve) => gates.set(day, resolve));
  });
  await using etl = await engine({ dags: [d] });
  const states = async (): Promise<string> =>
    (await etl.runs()).map((run) => run.state).sort().join();
  const settle = virtualTime(START).settle;
  const handles = [];
  for (const date of ["2021-01-05", "2021-01-04", "2021-01-03", "2021-01-01", "2021-01-02"]) {
    handles.push(await etl.trigger(d, { date }));
    await settle();
  }
  assert.deepEqual(begun, ["05", "04"]);
  assert.equal(await states(), "queued,queued,queued,running,running");
  for (const [day, next] of [["04", "01"], ["01", "02"], ["05", "03"]] as const) {
    gates.get(day)!();
    await settle();
    assert.equal(begun.at(-1), next);
  }
  assert.equal((await etl.runs({ state: "running" })).length, 2);
  for (const day of ["02", "03"]) gates.get(day)!();
  for (const { done } of handles) assert.equal((await done).state, "success");
});

Deno.test("a queued run can be cancelled, and never starts", async () => {
  const d = dag("d", { maxActiveRuns: 1 });
  const gate = Promise.withResolvers<void>();
  let begun = 0;
  d.task("a", async () => {
    begun++;
    await gate.promise;
  });
  await using etl = await engine({ dags: [d] });
  const first = await etl.trigger(d);
  const second = await etl.trigger(d);
  await etl.cancel(second.id);
  const run = await second.done;
  assert.deepEqual([run.state, run.reason, run.tasks.a!.state], ["failed", "cancelled", "skipped"]);
  gate.resolve();
  assert.equal((await first.done).state, "success");
  assert.equal(begun, 1);
  await etl.cancel(first.id);
  assert.equal((await etl.get(first.id))!.state, "success");
});

Deno.test("closing an engine stops what runs, waits for it, and takes no more", async () => {
  const d = dag("d");
  let ended = false;
  const begun = Promise.withResolvers<void>();
  d.task("a", async ({ signal }) => {
    begun.resolve();
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    await new Promise((resolve) => setTimeout(resolve, 20));
    ended = true;
  });
  const etl = await engine({ dags: [d] });
  const { done } = await etl.trigger(d);
  await begun.promise;
  await etl[Symbol.asyncDispose]();
  assert.equal(ended, true);
  const run = await done;
  assert.deepEqual([run.state, run.reason], ["failed", "the engine was closed"]);
  await assert.rejects(etl.trigger(d), /the engine is closed/);
});

Deno.test("what is not over goes on with the next engine on the same store, at no cost", async () => {
  const store = memory();
  const stops: string[] = [];
  let begun = Promise.withResolvers<void>();
  let waits = true;
  const d = dag("d");
  const a = d.task("a", () => "kept");
  d.task("b", async ({ signal, attempt }) => {
    begun.resolve();
    if (!waits) return attempt;
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    stops.push(`attempt ${attempt}`);
    signal.throwIfAborted();
    return 0;
  }, { after: a });
  const first = await engine({ dags: [d], store });
  const { id, done } = await first.trigger(d);
  await begun.promise;
  await first[Symbol.asyncDispose]();
  await assert.rejects(done, /the engine was closed before/);
  assert.deepEqual(short((await store.get(id))!), { a: "success 1/0", b: "none 1/0" });
  begun = Promise.withResolvers();
  waits = false;
  await using second = await engine({ dags: [d], store });
  const run = await second.done(id);
  assert.deepEqual(short(run), { a: "success 1/0", b: "success 2/0" });
  assert.equal(run.tasks.b!.output, 2);
  assert.deepEqual(stops, ["attempt 1"]);
});

Deno.test("all that happens can be watched, and is JSON", async () => {
  const d = dag("d");
  d.task("a", () => ({ rows: 1 }));
  await using etl = await engine({ dags: [d] });
  const stop = new AbortController();
  const events: Event[] = [];
  const watching = (async () => {
    for await (const event of etl.watch(stop.signal)) events.push(event);
  })();
  await (await etl.trigger(d)).done;
  stop.abort();
  await watching;
  assert.deepEqual(JSON.parse(JSON.stringify(events)), events);
  assert.deepEqual(
    events.map((event) =>
      `${event.type} ${
        "to" in event ? (typeof event.to === "string" ? event.to : event.to.state) : ""
      }`
    ),
    [
      "run_created ",
      "run_changed running",
      "task_changed scheduled",
      "task_changed running",
      "task_changed success",
      "run_changed success",
    ],
  );
});

Deno.test("tasks reach places outside by name, and say what they do", async () => {
  const time = virtualTime(START);
  const lines: LogLine[] = [];
  const d = dag("d");
  d.task("known", async (ctx) => {
    ctx.log.info("connecting", { to: (await ctx.connection()).url });
  });
  d.task("unknown", async (ctx) => await ctx.connection("lake"), { retries: 2 });
  await using etl = await engine({
    dags: [d],
    connections: { database: () => Promise.resolve({ url: "postgres://x" }) },
    log: (line) => lines.push(line),
    ...time,
  });
  const { id, done } = await etl.trigger(d);
  const run = await done;
  assert.deepEqual(short(run), { known: "success 1/0", unknown: "failed 1/0" });
  assert.match(run.tasks.unknown!.error!.message, /"lake" in task "unknown".*there are "database"/);
  const failed = lines.pop()!;
  assert.deepEqual([failed.task, failed.level], ["unknown", "error"]);
  assert.match(
    failed.message,
    /^failed: GiveUp: Cannot connect to "lake" .*\n {4}at .*engine_test\.ts:\d+:\d+\)$/,
  );
  assert.deepEqual(lines, [{
    at: START,
    level: "info",
    dag: "d",
    run: id,
    task: "known",
    attempt: 1,
    message: "connecting",
    fields: { to: "postgres://x" },
  }]);
});

Deno.test("an attempt that fails says so in its log, and where in the task's own file", async () => {
  const time = virtualTime(START);
  const lines: LogLine[] = [];
  const d = dag("d", { defaults: { retryDelay: { seconds: 30 } } });
  d.task("boom", () => (undefined as unknown as { a: 1 }).a, { retries: 1 });
  d.task("wraps", function wraps() {
    throw new Error("at once\n    at nowhere", { cause: new RangeError("too far") });
  });
  d.task("slow", (ctx) => new Promise((_, no) => ctx.signal.onabort = () => no(new Error("x"))), {
    timeout: { seconds: 1 },
  });
  await using etl = await engine({ dags: [d], log: (line) => lines.push(line), ...time });
  const { done } = await etl.trigger(d);
  await time.advance({ minutes: 1 });
  await done;
  const own = String.raw`\n {4}at \S+ ?\(?file://\S+engine_test\.ts:\d+:\d+\)?`;
  const said = (task: string, attempt: number): string =>
    lines.filter((line) => line.task === task && line.attempt === attempt)
      .map(({ level, message }) => `${level} ${message}`).join("|");
  const undefinedA = String.raw`^error failed: TypeError: Cannot read .*'a'\)${own}`;
  assert.match(
    said("boom", 1),
    new RegExp(`${undefinedA}\nwill be tried again at 2021-01-05T12:00:30Z$`),
  );
  assert.match(said("boom", 2), new RegExp(`${undefinedA}$`));
  assert.match(
    said("wraps", 1),
    new RegExp(
      `^error failed: at once\n    at nowhere${own}\ncaused by: RangeError: too far${own}$`,
    ),
  );
  assert.match(said("slow", 1), /^error failed: Cannot wait longer for task "slow".*PT1S$/);
});

Deno.test("a run of a store that fails is given up, and says why", async () => {
  const store = memory();
  const d = dag("d");
  d.task("a", idle);
  await using etl = await engine({
    dags: [d],
    store: {
      ...store,
      append: (run, version, events) =>
        version < 2 ? store.append(run, version, events) : Promise.reject(new Error("disk full")),
    },
  });
  const { id, done } = await etl.trigger(d);
  await assert.rejects(done, (error: Error) => {
    assert.match(error.message, new RegExp(`Cannot go on with run "${id}"`));
    assert.match((error.cause as Error).message, /disk full/);
    return true;
  });
});

Deno.test("work can be done without a DAG, and hands out its stream", async () => {
  const three = operator("three", (o: { word: string }, ctx) => {
    ctx.log.info(ctx.task);
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(o.word));
        controller.close();
      },
    });
  });
  const said: string[] = [];
  let stages: string[] = [];
  const stream = await perform(three({ word: "abc" }), {
    log: (line) => said.push(line.message),
    onOpen: (meters) => queueMicrotask(() => stages = meters.read().map(({ stage }) => stage)),
  });
  assert.equal(await new Response(stream).text(), "abc");
  assert.deepEqual([said, stages], [["load"], ["three"]]);
  const stopped = AbortSignal.abort(new Error("stopped"));
  await assert.rejects(perform(three({ word: "x" }), { signal: stopped }), /stopped/);
});
