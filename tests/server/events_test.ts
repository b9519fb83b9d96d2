import assert from "node:assert/strict";
import {
  type Bytes,
  dag,
  type Engine,
  engine,
  file,
  operator,
  pipe,
  type Store,
} from "../../engine/mod.ts";
import type { ServerOptions } from "../../server/mod.ts";
import { server } from "./_checked.ts";
import { Reader, type Sent } from "./_reader.ts";

const greet = dag("greet");
greet.task("hello", () => "hello");
const other = dag("other");
other.task("hello", () => "hello");

async function withStore(
  what: (
    store: Store,
    app: (options?: ServerOptions) => ReturnType<typeof server>,
    run: (
      dag?: string,
    ) => Promise<string>,
  ) => Promise<void>,
): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "sluice-events-" });
  try {
    await using store = await file(home);
    await using etl = await engine({ dags: [greet, other], store, home });
    await what(store, (options) => server(etl, { store, ...options }), async (dag = "greet") => {
      const { id, done } = await etl.trigger(dag);
      await done;
      return id;
    });
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("what happens is told as it happens, as the API says", () =>
  withStore(async (_, app, run) => {
    await using reader = new Reader(await app().request("/api/events"));
    const { comment } = await reader.next();
    assert.match(comment!, /here/);
    const id = await run();
    const all = await reader.until(id);
    assert.equal(all[0]!.event, "run_created");
    assert.deepEqual([all[0]!.data.run_id, all[0]!.data.dag], [id, "greet"]);
    const tasks = all.filter(({ event }) => event === "task_changed").map(({ data }) => data.task);
    assert.equal(tasks.at(-1).state, "success");
    assert.equal(tasks.at(-1).output, "hello");
    const ids = all.map(({ id }) => Number(id));
    assert.deepEqual(ids, ids.toSorted((a, b) => a - b));
  }));

Deno.test("who comes back hears all there was since, each event once, wherever it was cut off", () =>
  withStore(async (_, app, run) => {
    const first = await run();
    const request = (after?: string, query = "") =>
      app().request(
        `/api/events${query}`,
        after === undefined ? {} : {
          headers: { "last-event-id": after },
        },
      );
    await using whole = new Reader(await request(undefined, "?after=0"));
    const all = await whole.until(first);
    for (const [i, { id }] of all.slice(0, -1).entries()) {
      await using reader = new Reader(await request(id));
      assert.deepEqual(await reader.until(first), all.slice(i + 1));
    }
    // Last-Event-ID is of a later moment than the address.
    await using reader = new Reader(await request(all.at(-2)!.id, "?after=0"));
    assert.deepEqual(await reader.event(), all.at(-1));
  }));

Deno.test("who comes back after a restart hears what happened before it, and what happened since", async () => {
  const home = await Deno.makeTempDir({ prefix: "sluice-events-" });
  const serve = async (what: (etl: Engine, app: ReturnType<typeof server>) => Promise<void>) => {
    await using store = await file(home);
    await using etl = await engine({ dags: [greet], store, home });
    await what(etl, server(etl, { store }));
  };
  const run = async (etl: Engine) => {
    const { id, done } = await etl.trigger("greet");
    await done;
    return id;
  };
  try {
    const heard: Sent[] = [];
    const runs: string[] = [];
    await serve(async (etl, app) => {
      await using reader = new Reader(await app.request("/api/events"));
      runs.push(await run(etl));
      // It goes away in the middle of the first run.
      heard.push(await reader.event(), await reader.event());
      runs.push(await run(etl));
    });
    await serve(async (etl, app) => {
      const headers = { "last-event-id": heard.at(-1)!.id! };
      await using reader = new Reader(await app.request("/api/events", { headers }));
      runs.push(await run(etl));
      heard.push(...await reader.until(runs[2]!));
      await using whole = new Reader(await app.request("/api/events?after=0"));
      assert.deepEqual(heard, await whole.until(runs[2]!));
    });
    assert.deepEqual([...new Set(heard.map(({ data }) => data.run_id))], runs);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("events can be of one DAG, or of one run", () =>
  withStore(async (_, app, run) => {
    const [one, two, three] = [await run(), await run("other"), await run()];
    await using ofDag = new Reader(await app().request("/api/events?after=0&dag=other"));
    assert.deepEqual([...new Set((await ofDag.until(two)).map(({ data }) => data.run_id))], [two]);
    await using ofRun = new Reader(await app().request(`/api/events?after=0&run=${three}`));
    const all = await ofRun.until(three);
    assert.deepEqual([...new Set(all.map(({ data }) => data.run_id))], [three]);
    assert.notEqual(one, three);
  }));

Deno.test("what stands on the meters of attempts under way is told as it grows, to who wants it", async () => {
  const go = Promise.withResolvers<void>();
  const flow = dag("flow");
  const rows = operator("rows", ({ n }: { n: number }, ctx) => {
    let sent = 0;
    ctx.signal.addEventListener("abort", () => go.resolve());
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        if (sent === n) {
          await go.promise;
          return controller.close();
        }
        ctx.meter.rows += 10;
        sent++;
        controller.enqueue(new Uint8Array(100));
      },
    }, { highWaterMark: 0 });
  });
  const drain = operator("drain", async (_: Record<never, never>, ctx, input: Bytes) => {
    for await (const chunk of input) await ctx.meter.wait("the wall", Promise.resolve(chunk));
    return "all";
  });
  flow.task("load", pipe(rows({ n: 3 }), drain()));
  await using etl = await engine({ dags: [flow] });
  const app = server(etl);
  const path = "/api/events?meters=1&dag=flow";
  await using reader = new Reader(await app.request(path));
  await using other = new Reader(await app.request("/api/events?meters=1&dag=other"));
  const { id, done } = await etl.trigger("flow");
  for (;;) {
    const { event, data, id: seq } = await reader.event();
    // The first may come before anything flows.
    if (event !== "meters" || data.attempts[0]?.readings[0]?.rows !== 30) continue;
    assert.equal(seq, undefined);
    const [{ readings, set_by, seconds_left, ...attempt }] = data.attempts;
    assert.deepEqual(attempt, { run_id: id, dag: "flow", task: "load" });
    assert.deepEqual([typeof set_by, seconds_left], ["string", null]);
    const [first, last] = readings;
    assert.deepEqual([first.stage, first.rows, first.bytes], ["rows", 30, 300]);
    assert.deepEqual(last.waits[0].for, "rows");
    assert.ok(last.waits[0].share > 0.5);
    break;
  }
  go.resolve();
  assert.equal((await done).state, "success");
  for (;;) {
    const { event, data } = await reader.event();
    if (event === "meters" && data.attempts.length === 0) break;
  }
  const { event, data } = await other.event();
  assert.deepEqual([event, data], ["meters", { attempts: [] }]);
});

Deno.test("a DAG that is paused, let go, replaced or removed is told of, and what cannot be loaded", async () => {
  const before = dag("daily", { schedule: "@daily", start: "2021-01-01", catchup: false });
  const after = dag("daily", { schedule: "@hourly", start: "2021-01-01", catchup: false });
  after.task("hello", () => "hello");
  let faults: string[] = [];
  await using etl = await engine({ dags: [before, other] });
  const app = server(etl, { faults: () => faults, heartbeat: 20 });
  await using reader = new Reader(await app.request("/api/events"));
  await using ofOther = new Reader(await app.request("/api/events?dag=other"));
  await using ofRun = new Reader(await app.request("/api/events?run=nothing"));
  for (const one of [reader, ofOther, ofRun]) await one.next();
  // deno-lint-ignore no-explicit-any -- it was checked
  const hear = async (): Promise<[string, boolean, any]> => {
    const { event, id, data: { dag, defined, status } } = await reader.event();
    assert.deepEqual([event, id], ["dag", undefined]);
    return [dag, defined, status];
  };
  await etl.pause("daily");
  const [name, defined, { paused, next_run: first }] = await hear();
  assert.deepEqual([name, defined, paused], ["daily", false, true]);
  await etl.unpause("daily");
  // One that was let go has its schedule settled by another change.
  for (let isPaused = true; isPaused;) [, , { paused: isPaused }] = await hear();
  await etl.replace([after]);
  let changed = await hear();
  while (!changed[1]) changed = await hear();
  const [, , { next_run: next }] = changed;
  assert.notDeepEqual(next, first);
  assert.deepEqual(await hear(), ["other", true, null]);
  const { event, data } = await ofOther.event();
  assert.deepEqual([event, data], ["dag", { dag: "other", defined: true, status: null }]);
  faults = ["Cannot load broken.ts"];
  const fault = await reader.event();
  assert.deepEqual([fault.event, fault.data], ["faults", { faults }]);
  assert.match((await ofRun.next()).comment!, /still/);
});

Deno.test("a DAG that changes often while nobody listens is told of once, as it is", async () => {
  await using etl = await engine({ dags: [greet, other] });
  await using reader = new Reader(await server(etl).request("/api/events"));
  for (let i = 0; i < 10; i++) {
    await etl.pause("greet");
    await etl.unpause("greet");
  }
  await etl.replace([dag("greet"), other]);
  await etl.pause("other");
  const [one, two] = [await reader.event(), await reader.event()];
  assert.deepEqual([one.data.dag, one.data.defined], ["greet", true]);
  assert.deepEqual([two.data.dag, two.data.defined], ["other", false]);
  assert.deepEqual([one.data.status.paused, two.data.status.paused], [false, true]);
});

Deno.test("where nothing happens, the connection is told to live", () =>
  withStore(async (_, app, run) => {
    await using reader = new Reader(await app({ heartbeat: 20 }).request("/api/events"));
    await reader.next();
    for (let i = 0; i < 3; i++) assert.match((await reader.next()).comment!, /still/);
    const id = await run();
    assert.ok((await reader.until(id)).length > 0);
  }));

Deno.test("a client that reads nothing has nothing kept for it, and misses nothing", () =>
  withStore(async (store, app, run) => {
    let read = 0;
    const counting: Store = {
      ...store,
      async *watch(signal, after) {
        for await (const event of store.watch(signal, after)) {
          read++;
          yield event;
        }
      },
    };
    const response = await app({ store: counting }).request("/api/events?after=0");
    for (let i = 0; i < 30; i++) await run();
    const last = await run();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(read <= 1, String(read));
    await using reader = new Reader(response);
    const all = await reader.until(last);
    const made = all.filter(({ event }) => event === "run_created");
    assert.equal(made.length, 31);
  }));

Deno.test("what is no place among the events is refused or passed over", () =>
  withStore(async (_, app, run) => {
    for (const after of ["-1", "x", "1e3", "9".repeat(20)]) {
      const answer = await app().request(`/api/events?after=${after}`);
      assert.equal(answer.status, 400, after);
      await answer.body?.cancel();
    }
    for (const after of ["-1", "x", "", "9".repeat(30)]) {
      const headers = { "last-event-id": after };
      await using reader = new Reader(await app().request("/api/events", { headers }));
      const id = await run();
      assert.ok((await reader.until(id)).length > 0, after);
    }
  }));

Deno.test("the end of the store ends those who follow", () =>
  withStore(async (store, app) => {
    await using reader = new Reader(await app().request("/api/events"));
    await reader.next();
    const end = reader.next();
    await store[Symbol.asyncDispose]();
    assert.equal((await end).comment, "end");
  }));
