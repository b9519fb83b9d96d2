import assert from "node:assert/strict";
import {
  type DagRecord,
  type Event,
  type Recorded,
  reduce,
  type Run,
  type RunQuery,
  type RunState,
  type Store,
} from "../../engine/mod.ts";

type Created = Event & { type: "run_created" };

/** What makes a run. */
export function created(run: string, more: Partial<Created> = {}): Created {
  return {
    type: "run_created",
    run,
    at: "2021-01-03T00:00:00Z",
    dag: "taxi",
    kind: "manual",
    interval: { start: "2021-01-02T00:00:00+00:00[UTC]", end: "2021-01-03T00:00:00+00:00[UTC]" },
    logicalDate: "2021-01-02T00:00:00Z",
    runAfter: "2021-01-03T00:00:00Z",
    params: {},
    tasks: ["download", "load"],
    ...more,
  };
}

/** What brings a run to a state. */
export function moved(run: string, to: RunState, at = "2021-01-03T00:00:01Z"): Event {
  return { type: "run_changed", run, at, to };
}

/** What brings a task to its nth attempt. */
export function attempted(run: string, task: string, attempt: number): Event {
  const at = "2021-01-03T00:00:02Z";
  return { type: "task_changed", run, at, task, to: { state: "running", attempt, retries: 0 } };
}

/** The next `count` events behind a number. */
export async function take(store: Store, count: number, after?: number): Promise<Recorded[]> {
  const stop = new AbortController();
  const events: Recorded[] = [];
  if (count === 0) return events;
  for await (const event of store.watch(stop.signal, after)) {
    if (events.push(event) === count) break;
  }
  stop.abort();
  return events;
}

const bare = ({ seq: _, ...event }: Recorded): Event => event;
const ids = (runs: readonly Run[]): string => runs.map(({ id }) => id).join();

/** What every store must do. */
export function storeConformance(name: string, make: () => Promise<Store>): void {
  function test(what: string, does: (store: Store) => Promise<void>): void {
    Deno.test(`${name}: ${what}`, async () => {
      await using store = await make();
      await does(store);
    });
  }

  test("what is unknown is undefined, and nothing is in an empty store", async (store) => {
    assert.equal(await store.get("other"), undefined);
    assert.equal(await store.dag("other"), undefined);
    assert.deepEqual([await store.list(), await store.dags()], [[], []]);
    assert.deepEqual(await store.forget("2100-01-01T00:00:00Z"), []);
  });

  test("events are added only to the version they were made for", async (store) => {
    assert.equal(await store.append("a", 1, [moved("a", "running")]), false);
    assert.equal(await store.append("a", 0, [created("a")]), true);
    assert.equal(await store.append("a", 0, [created("a")]), false);
    assert.equal(await store.append("a", 1, [moved("a", "running")]), true);
    assert.equal(await store.append("a", 1, [moved("a", "failed")]), false);
    const run = await store.get("a");
    assert.deepEqual([run?.state, run?.version], ["running", 2]);
    assert.equal((await take(store, 2, 0)).length, 2);
  });

  test("a run's history is all its events in order, and nobody else's", async (store) => {
    await store.append("a", 0, [created("a")]);
    await store.append("b", 0, [created("b"), moved("b", "running")]);
    await store.append("a", 1, [moved("a", "running"), attempted("a", "load", 1)]);
    const all = await take(store, 5, 0);
    const history = await store.history("a");
    assert.deepEqual(history, all.filter(({ run }) => run === "a"));
    assert.deepEqual(history.map(({ type }) => type), [
      "run_created",
      "run_changed",
      "task_changed",
    ]);
    assert.deepEqual(await store.history("other"), []);
  });

  test("all events of an append are added, or none", async (store) => {
    await store.append("a", 0, [created("a"), moved("a", "running")]);
    const before = await store.get("a");
    await assert.rejects(
      store.append("a", 2, [attempted("a", "load", 1), attempted("a", "nothing", 1)]),
      /has none of that id/,
    );
    await assert.rejects(store.append("a", 2, [moved("b", "failed")]), TypeError);
    await assert.rejects(store.append("b", 0, [moved("b", "failed")]), TypeError);
    assert.deepEqual(await store.get("a"), before);
    assert.equal(await store.append("a", 2, [attempted("a", "load", 1)]), true);
    const types = (await take(store, 3, 0)).map(({ type }) => type);
    assert.deepEqual(types, ["run_created", "run_changed", "task_changed"]);
  });

  test("an append that is refused leaves those beside it alone", async (store) => {
    const answers = await Promise.allSettled([
      store.append("a", 0, [created("a")]),
      store.append("b", 0, [moved("b", "failed")]),
      store.append("a", 0, [created("a")]),
      store.append("a", 1, [attempted("a", "load", 1)]),
    ]);
    const told = answers.map((answer) => answer.status === "fulfilled" ? answer.value : "refused");
    assert.deepEqual(told, [true, "refused", false, true]);
    assert.equal((await store.get("a"))?.tasks.load?.attempt, 1);
  });

  test("of a hundred who append to one run at once, each adds its own version", async (store) => {
    await store.append("a", 0, [created("a")]);
    let conflicts = 0;
    await Promise.all(Array.from({ length: 100 }, async (_, i) => {
      for (;; conflicts++) {
        const { version } = (await store.get("a"))!;
        if (await store.append("a", version, [attempted("a", "load", i)])) return;
      }
    }));
    assert.ok(conflicts > 0);
    assert.equal((await store.get("a"))!.version, 101);
    const [, ...events] = await take(store, 101, 0);
    const attempts = events.map((event) => event.type === "task_changed" ? event.to.attempt : -1);
    assert.deepEqual(attempts.sort((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i));
  });

  test("a run is what its events make of it", async (store) => {
    const events = [
      created("a", { tasks: ["z", "b", "a"] }),
      moved("a", "running"),
      attempted("a", "b", 1),
      attempted("a", "a", 1),
      attempted("a", "b", 2),
      moved("a", "success", "2021-01-03T00:00:09Z"),
      moved("a", "queued"),
      attempted("a", "z", 7),
    ];
    for (const [version, event] of events.entries()) {
      assert.ok(await store.append("a", version, [event]));
      const run = events.slice(0, version + 1).reduce<Run | undefined>(reduce, undefined);
      assert.deepEqual(await store.get("a"), run);
      assert.deepEqual(await store.list(), [run]);
      assert.deepEqual(Object.keys((await store.get("a"))!.tasks), ["z", "b", "a"]);
    }
    assert.deepEqual((await take(store, events.length, 0)).map(bare), events);
  });

  test("values are as they were, whatever is in them", async (store) => {
    const text = `ünï "\\ \u0000 \u2028 \u{1f9ea} \ud800 ' ; DROP TABLE runs`;
    const values = { [text]: text, big: "xé".repeat(500_000), n: [0.1, 1e300, -1, null, true, {}] };
    await store.append("a", 0, [created("a", { params: values, tasks: ["load"] })]);
    const to = { state: "success", attempt: 1, retries: 0, output: values, reason: text } as const;
    const changed = { ...attempted("a", "load", 1), to } as Event;
    await store.append("a", 1, [changed]);
    const run = await store.get("a");
    assert.deepEqual([run?.params, run?.tasks.load], [values, to]);
    assert.deepEqual((await take(store, 2, 0)).map(bare)[1], changed);
  });

  test("mapped tasks keep each of their instances", async (store) => {
    const instance = (index: number, attempt: number): Event => {
      return { ...attempted("a", "load", attempt), index } as Event;
    };
    const mapped = (count?: number): Event => {
      const at = "2021-01-03T00:00:02Z";
      return { type: "task_mapped", run: "a", at, task: "load", ...count ? { count } : {} };
    };
    const batches = [
      [created("a"), mapped(3)],
      [instance(2, 1)],
      [instance(2, 2), instance(0, 1)],
      [moved("a", "running"), instance(0, 2)],
      [mapped(2)],
      [instance(1, 7)],
      [mapped()],
    ];
    let run: Run | undefined;
    for (const events of batches) {
      assert.equal(await store.append("a", run?.version ?? 0, events), true);
      run = events.reduce<Run | undefined>(reduce, run);
      assert.deepEqual(await store.get("a"), run);
    }
  });

  test("the runs that fit are listed, the latest created first", async (store) => {
    const runs: [string, Partial<Created>][] = [
      ["a", { at: "2021-01-03T00:00:00Z", logicalDate: "2021-01-01T00:00:00Z" }],
      ["e", { at: "2021-01-03T00:00:01.5Z", logicalDate: "2021-01-03T00:00:00Z", dag: "other" }],
      ["c", { at: "2021-01-03T00:00:01Z", logicalDate: "2021-01-02T00:00:00.5Z" }],
      ["b", { at: "2021-01-03T00:00:00Z", logicalDate: "2021-01-02T00:00:00Z", kind: "backfill" }],
      ["d", { at: "2021-01-03T00:00:01.05Z", logicalDate: "2021-01-02T23:59:59Z" }],
    ];
    for (const [run, more] of runs) await store.append(run, 0, [created(run, more)]);
    await store.append("c", 1, [moved("c", "running")]);
    const at = (id: string): Run => all.find((run) => run.id === id)!;
    const all = await store.list();
    const cases: [RunQuery, string][] = [
      [{}, "e,d,c,b,a"],
      [{ limit: 2 }, "e,d"],
      [{ limit: 0 }, ""],
      [{ dag: "taxi" }, "d,c,b,a"],
      [{ dag: "nothing" }, ""],
      [{ state: "running" }, "c"],
      [{ state: "queued", dag: "taxi" }, "d,b,a"],
      [{ kind: "backfill" }, "b"],
      [{ from: "2021-01-02T00:00:00Z", to: "2021-01-02T23:59:59Z" }, "d,c,b"],
      [{ from: "2021-01-02T00:00:00.6Z" }, "e,d"],
      [{ from: "2021-01-02T00:00:00Z", to: "2021-01-02T00:00:00Z", dag: "taxi" }, "b"],
      [{ before: at("c") }, "b,a"],
      [{ before: at("b"), dag: "taxi" }, "a"],
      [{ after: at("c") }, "e,d"],
      [{ after: at("a"), before: at("e"), limit: 2 }, "d,c"],
      [{ before: { created: "2021-01-03T00:00:01.04Z", id: "gone" } }, "c,b,a"],
    ];
    for (const [query, expected] of cases) {
      assert.equal(ids(await store.list(query)), expected, JSON.stringify(query));
    }
  });

  test("the run before another is found by its logical date", async (store) => {
    for (const [run, day] of [["a", 3], ["b", 1], ["c", 2], ["d", 2]] as const) {
      await store.append(run, 0, [created(run, { logicalDate: `2021-01-0${day}T00:00:00Z` })]);
    }
    const order = "logical_date";
    assert.equal(ids(await store.list({ order })), "a,d,c,b");
    assert.equal(ids(await store.list({ order, to: "2021-01-02T23:59:59Z", limit: 1 })), "d");
  });

  test("pages are stable while runs are added and removed", async (store) => {
    const name = (n: number): string => `r${String(n).padStart(4, "0")}`;
    const add = async (n: number): Promise<void> => {
      const at = Temporal.Instant.fromEpochMilliseconds(n - n % 3).toString();
      await store.append(name(n), 0, [created(name(n), { at })]);
    };
    for (let n = 0; n < 50; n++) await add(n);
    let next = 50;
    let last: Run | undefined;
    const seen: string[] = [];
    for (;;) {
      const page = await store.list({ limit: 7, ...last ? { before: last } : {} });
      if (page.length === 0) break;
      seen.push(...page.map(({ id }) => id));
      last = page.at(-1)!;
      for (let i = 0; i < 5; i++) await add(next++);
      await store.append(last.id, last.version, [moved(last.id, "failed")]);
      await store.forget("2100-01-01T00:00:00Z");
    }
    assert.deepEqual(seen, Array.from({ length: 50 }, (_, n) => name(49 - n)));
    assert.equal((await store.list()).length, next - Math.ceil(50 / 7));
  });

  test("a watcher sees every event once and in order, also one that is slow", async (store) => {
    await store.append("before", 0, [created("before")]);
    const stop = new AbortController();
    const watch = async (slow: boolean): Promise<string[]> => {
      const seen: string[] = [];
      let last = 0;
      for await (const { run, seq } of store.watch(stop.signal)) {
        assert.ok(seq > last);
        last = seq;
        seen.push(run);
        if (slow && seen.length % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        if (seen.length === 1200) break;
      }
      return seen;
    };
    const watchers = [watch(false), watch(true)];
    for (let i = 0; i < 300; i++) {
      const run = `r${i}`;
      const events = [created(run), moved(run, "running"), moved(run, "failed")];
      // Some await, some do not.
      const appended = store.append(run, 0, events).then(() =>
        store.append(run, 3, [moved(run, "queued")])
      );
      if (i % 2) await appended;
    }
    const expected = Array.from({ length: 300 }, (_, i) => Array(4).fill(`r${i}`)).flat().sort();
    for (const seen of await Promise.all(watchers)) assert.deepEqual(seen.sort(), expected);
    stop.abort();
  });

  test("a watcher listens from the call on, and can go on from any event", async (store) => {
    const stop = new AbortController();
    await store.append("a", 0, [created("a")]);
    const later = store.watch(stop.signal)[Symbol.asyncIterator]();
    for (let i = 1; i < 6; i++) await store.append("a", i, [attempted("a", "load", i)]);
    const first = await later.next();
    assert.equal(first.value.to.attempt, 1);
    const all = await take(store, 6, 0);
    for (const [i, { seq }] of all.entries()) {
      assert.deepEqual(await take(store, 5 - i, seq), all.slice(i + 1));
    }
    stop.abort();
    assert.equal((await later.next()).done, true);
  });

  test("the number of the last event is told", async (store) => {
    assert.equal(await store.last(), 0);
    await store.append("a", 0, [created("a"), moved("a", "running")]);
    await store.append("b", 0, [created("b")]);
    const all = await take(store, 3, 0);
    assert.equal(await store.last(), all.at(-1)!.seq);
  });

  test("a watcher ends when its signal is aborted, or the store is disposed of", async (store) => {
    const stop = new AbortController();
    const ends = [stop.signal, new AbortController().signal].map(async (signal) => {
      for await (const event of store.watch(signal)) assert.fail(`there was ${event.type}`);
    });
    await store.get("a");
    stop.abort();
    await ends[0];
    await store[Symbol.asyncDispose]();
    await ends[1];
  });

  test("a record of a DAG is replaced only by one made of it", async (store) => {
    const made: DagRecord = { id: "taxi", version: 0, paused: true, hash: "é" };
    assert.equal(await store.setDag(made), true);
    assert.equal(await store.setDag(made), false);
    const first = (await store.dag("taxi"))!;
    assert.deepEqual(first, { ...made, version: 1 });
    const cursor = "2021-01-03T00:00:00Z";
    const answers = await Promise.all([
      store.setDag({ ...first, paused: false, cursor }),
      store.setDag({ ...first, held: "1204 runs are due" }),
      store.setDag({ id: "a", version: 0, paused: false }),
      store.setDag({ id: "b", version: 1, paused: false }),
    ]);
    assert.deepEqual(answers, [true, false, true, false]);
    assert.deepEqual(await store.dags(), [
      { id: "a", version: 1, paused: false },
      { id: "taxi", version: 2, paused: false, hash: "é", cursor },
    ]);
  });

  test("runs that ended before a moment are forgotten with their events", async (store) => {
    for (const [run, end] of [["a", "09"], ["b", "10"], ["c", "09.9"], ["open", ""]] as const) {
      await store.append(run, 0, [created(run), moved(run, "running")]);
      if (end) await store.append(run, 2, [moved(run, "failed", `2021-01-03T00:00:${end}Z`)]);
    }
    // One that goes on again has not ended.
    await store.append("again", 0, [created("again"), moved("again", "failed")]);
    await store.append("again", 2, [moved("again", "queued")]);
    const forgotten = await store.forget("2021-01-03T00:00:10Z");
    assert.deepEqual(forgotten.map(({ dag, id }) => `${dag}/${id}`).sort(), ["taxi/a", "taxi/c"]);
    assert.deepEqual(await store.forget("2021-01-03T00:00:10Z"), []);
    assert.equal(ids(await store.list()), "open,b,again");
    assert.equal(await store.get("a"), undefined);
    const left = await take(store, 8, 0);
    assert.equal(new Set(left.map(({ run }) => run)).size, 3);

    // Their numbers are not given out again, though their ids may be.
    await store.forget("2100-01-01T00:00:00Z");
    const end = left.at(-1)!.seq;
    assert.equal(await store.append("a", 0, [created("a")]), true);
    const [event] = await take(store, 1, end);
    assert.ok(event!.seq > end);
    assert.equal(event!.run, "a");
    assert.deepEqual((await store.get("a"))!.tasks.load, { state: "none", attempt: 0, retries: 0 });
  });
}
