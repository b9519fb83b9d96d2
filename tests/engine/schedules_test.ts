import assert from "node:assert/strict";
import { type Dag, dag, type DagOptions, engine, memory, type Store } from "../../engine/mod.ts";
import { days, gate, idle, START, time, until } from "./_rig.ts";

/** A daily DAG whose runs succeed at once. */
function daily(options: Partial<DagOptions<Record<never, never>>> = {}): Dag {
  const d = dag("d", { schedule: "@daily", start: "2021-01-02", ...options });
  d.task("a", idle);
  return d;
}

for (
  const [catchup, first, missed, later] of [
    ["all", "01-02 01-03 01-04", "01-05 01-06 01-07", "01-08 01-09 01-10"],
    ["latest", "01-04", "01-07", "01-10"],
    ["none", "", "", ""],
  ] as const
) {
  Deno.test(`catchup "${catchup}" settles what was missed at first, in down-time, and while paused`, async () => {
    const clock = time(START);
    const store = memory();
    const made: string[] = [];
    const open = async () => {
      const etl = await engine({ dags: [daily({ catchup })], store, ...clock });
      await etl.start();
      await clock.settle();
      return etl;
    };
    /** Time goes by; that the clock was set is noticed within a minute. */
    const pass = async (days: number): Promise<void> => {
      clock.jump({ days });
      await clock.advance({ minutes: 1 });
    };
    const fresh = async (): Promise<string> => {
      const runs = await store.list();
      const now = days(runs.filter(({ id }) => !made.includes(id)));
      made.splice(0, made.length, ...runs.map(({ id }) => id));
      return now;
    };
    {
      await using _ = await open();
      assert.equal(await fresh(), first, "at the first activation");
    }
    clock.jump({ days: 3 });
    await using etl = await open();
    assert.equal(await fresh(), missed, "after three days in which nobody ran it");
    await etl.pause("d");
    await pass(3);
    assert.equal(await fresh(), "", "while it is paused");
    const { due } = await etl.unpause("d");
    await clock.settle();
    const now = await fresh();
    assert.equal(now, later);
    assert.equal(due, now === "" ? 0 : now.split(" ").length, "un-pausing says how many");
    await pass(1);
    assert.equal(await fresh(), "01-11", "and goes on by the day");
  });
}

Deno.test("more than a thousand runs that are due at once are held until somebody confirms them", async () => {
  const clock = time(START);
  const store = memory();
  const open = async () => {
    const d = dag("d", {
      schedule: { minutes: 1 },
      start: "2021-01-04",
      catchup: true,
      maxActiveRuns: 3,
    });
    const { wait } = gate();
    d.task("a", wait as never);
    const etl = await engine({ dags: [d], store, ...clock });
    await etl.start();
    await clock.settle();
    return etl;
  };
  {
    await using etl = await open();
    assert.match(
      etl.status("d").held!,
      /2,160 runs are due at once: none starts until .*unpause --all/,
    );
    assert.match((await etl.unpause("d")).held!, /2,160 runs/);
    assert.deepEqual(await etl.runs(), []);
  }
  await using etl = await open();
  assert.match(etl.status("d").held!, /2,160/, "a restart changes nothing about it");
  assert.deepEqual(await etl.unpause("d", { all: true }), { due: 2160 });
  await until(async () => (await etl.runs()).length === 3);
  assert.equal(etl.status("d").held, undefined);
  assert.deepEqual(
    (await etl.runs()).map(({ logicalDate }) => logicalDate).sort(),
    ["2021-01-04T00:00:00Z", "2021-01-04T00:01:00Z", "2021-01-04T00:02:00Z"],
    "the oldest first, as many as may be under way",
  );
});

/** A store of a process that dies at one of its calls: before it or after it. */
function mortal(
  store: Store,
  call: "append" | "setDag",
  n: number,
  when: "before" | "after",
): Store {
  let dead = false;
  let calls = 0;
  const dies =
    <A extends unknown[], R>(name: string, method: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const isLast = name === call && ++calls === n;
      if (dead || isLast && when === "before") {
        dead = true;
        throw new Error("The process is dead");
      }
      const result = await method(...args);
      if (isLast) dead = true;
      if (dead) throw new Error("The process is dead");
      return result;
    };
  return {
    ...store,
    append: dies("append", store.append),
    setDag: dies("setDag", store.setDag),
    list: dies("list", store.list),
    async [Symbol.asyncDispose]() {},
  };
}

Deno.test("however a process dies while it makes runs, each interval has one", async () => {
  const points = (["append", "setDag"] as const).flatMap((call) =>
    [1, 2, 3, 4, 5].flatMap((n) =>
      (["before", "after"] as const).map((when) => ({ call, n, when }))
    )
  );
  for (const { call, n, when } of points) {
    const clock = time(START);
    const store = memory();
    const first = await engine({
      dags: [daily({ catchup: true })],
      store: mortal(store, call, n, when),
      ...clock,
    });
    await first.start().catch(() => {});
    await clock.settle();
    await first[Symbol.asyncDispose]();
    await using etl = await engine({ dags: [daily({ catchup: true })], store, ...clock });
    await etl.start();
    await until(async () => (await etl.runs({ state: "success" })).length === 3);
    assert.equal(days(await etl.runs()), "01-02 01-03 01-04", `${when} ${call} ${n}`);
  }
});

Deno.test("intervals that a backfill has run do not hold up those behind them", async () => {
  const clock = time(START);
  const d = daily({ catchup: true, maxActiveRuns: 1 });
  await using etl = await engine({ dags: [d], ...clock });
  const { runs } = await etl.backfill(d, { from: "2021-01-02", to: "2021-01-03" });
  for (const run of runs) await etl.done(run);
  await etl.start();
  await until(async () => (await etl.runs({ kind: "scheduled" })).length === 1);
  assert.equal(days(await etl.runs({ kind: "scheduled" })), "01-04");
});

Deno.test("backfills that are asked for at once make no run twice", async () => {
  const d = daily();
  await using etl = await engine({ dags: [d], ...time(START) });
  const range = { from: "2021-01-02", to: "2021-01-04" };
  const all = await Promise.all([1, 2, 3].map(() => etl.backfill(d, range)));
  assert.deepEqual(all.map(({ runs }) => runs.length), [3, 0, 0]);
  for (const { runs } of all) for (const run of runs) await etl.done(run);
  assert.equal(days(await etl.runs()), "01-02 01-03 01-04");
});

Deno.test("a pause that comes during a reload holds", async () => {
  const clock = time(START);
  const d = daily();
  await using etl = await engine({ dags: [d], ...clock });
  await etl.start();
  await Promise.all([etl.replace([{ dag: daily(), hash: "2" }]), etl.pause("d")]);
  assert.equal(etl.status("d").paused, true);
  clock.jump({ days: 2 });
  await clock.advance({ minutes: 1 });
  assert.deepEqual(await etl.runs({ state: "running" }), []);
  const { id } = await etl.trigger("d");
  await clock.settle();
  assert.equal((await etl.get(id))!.state, "queued");
});
