import assert from "node:assert/strict";
import {
  type AnyDag,
  dag,
  dataset,
  engine,
  type EngineOptions,
  file,
  memory,
  type Run,
  simulate,
  type Store,
} from "../../engine/mod.ts";
import { folder } from "./_folder.ts";
import { idle, START, time, until } from "./_rig.ts";

const trips = dataset("postgres://warehouse/trips");
const zones = dataset("zones");

/** A DAG that writes datasets. */
function writer(id: string, ...writes: (typeof trips)[]): AnyDag {
  const d = dag(id, { schedule: "@daily", start: "2021-01-01", catchup: "none" });
  d.task("write", idle, { writes });
  return d;
}

/** One that is scheduled on datasets. */
function reader(id: string, schedule: typeof trips | (typeof trips)[]): AnyDag {
  const d = dag(id, { schedule, timezone: "Europe/Paris" });
  d.task("read", idle);
  return d;
}

/** Starts an engine, runs what it is told to, and tells what runs datasets made, the first first. */
async function rig(options: Partial<EngineOptions> & { dags: AnyDag[] }) {
  const { store = memory(), ...rest } = options;
  const clock = time();
  const errors: unknown[] = [];
  const etl = await engine({ store, onError: (error) => errors.push(error), ...clock, ...rest });
  await etl.start();
  return {
    ...clock,
    etl,
    store,
    errors,
    async write(dag: string, day: string): Promise<Run> {
      const run = await (await etl.trigger(dag, { date: `2021-01-${day}` })).done;
      await clock.settle();
      return run;
    },
    made: (dag: string): Promise<string[]> => made(store, dag),
    [Symbol.asyncDispose]: () => etl[Symbol.asyncDispose](),
  };
}

/** The runs of a DAG by their ids and states, with what caused them. */
async function made(store: Store, dag: string): Promise<string[]> {
  const runs = await store.list({ dag });
  return runs.toReversed().map(({ id, state, causes = [] }) => {
    return `${id} ${state}: ${causes.map(({ run, dataset }) => `${dataset} by ${run}`).join(", ")}`;
  });
}

Deno.test("a DAG that is scheduled on a dataset runs each time it was written, for the same time", async () => {
  await using rigged = await rig({ dags: [writer("load", trips), reader("report", trips)] });
  const { etl, write, made, errors } = rigged;
  assert.deepEqual(await made("report"), []);
  await write("load", "03");
  await write("load", "02");
  assert.deepEqual(await made("report"), [
    "dataset__20210102T000000Z success: postgres://warehouse/trips by manual__20210102T000000Z",
    "dataset__20210103T000000Z success: postgres://warehouse/trips by manual__20210103T000000Z",
  ]);
  const run = await etl.get("dataset__20210102T000000Z");
  assert.equal(run!.kind, "dataset");
  assert.deepEqual(run!.interval, {
    start: "2021-01-02T01:00:00+01:00[Europe/Paris]",
    end: "2021-01-03T01:00:00+01:00[Europe/Paris]",
  });
  assert.equal(run!.runAfter, START);
  // The same day again is another run.
  await etl.clear("manual__20210102T000000Z");
  await rigged.settle();
  assert.equal((await made("report"))[1]!.split(":")[0], "dataset__20210102T000000Z.2 success");
  assert.deepEqual(errors, []);
});

Deno.test("a DAG that is scheduled on several datasets runs when each was written since its last run", async () => {
  const dags = [writer("a", trips), writer("b", zones), reader("report", [trips, zones, trips])];
  await using rigged = await rig({ dags });
  const { etl, write, made } = rigged;
  await write("a", "02");
  await write("a", "04");
  assert.deepEqual(await made("report"), []);
  await write("b", "03");
  assert.deepEqual(await made("report"), [
    "dataset__20210102T000000Z success: postgres://warehouse/trips by manual__20210104T000000Z, " +
    "zones by manual__20210103T000000Z",
  ]);
  const [run] = await etl.runs({ dag: "report" });
  assert.equal(run!.interval.end, "2021-01-05T01:00:00+01:00[Europe/Paris]");
  await write("b", "01");
  assert.equal((await made("report")).length, 1);
  await write("a", "01");
  assert.equal((await made("report")).length, 2);
});

Deno.test("a task that writes several datasets at once makes one run of who waits for all, and of each other", async () => {
  const dags = [writer("a", trips, zones), reader("both", [zones, trips]), reader("one", zones)];
  await using rigged = await rig({ dags });
  await rigged.write("a", "02");
  for (const id of ["both", "one"]) assert.equal((await rigged.made(id)).length, 1);
});

Deno.test("only a success writes: of a mapped task that of all, and a mark is none", async () => {
  const d = dag("d", { params: { fail: false } });
  d.task("write", ({ params }) => {
    if (params.fail) throw new Error("no");
  }, { writes: [trips] });
  d.each("each", [1, 2, 3], () => idle, { writes: [zones] });
  await using rigged = await rig({ dags: [d, reader("report", trips), reader("all", zones)] });
  const { etl, made, settle } = rigged;
  const run = await (await etl.trigger("d", { params: { fail: true } })).done;
  await settle();
  assert.deepEqual(await made("report"), []);
  assert.equal((await made("all")).length, 1);
  await etl.mark(run.id, "success", { tasks: ["write"] });
  await settle();
  assert.deepEqual(await made("report"), []);
});

Deno.test("a paused DAG makes no runs, and once it is not, one for all that was written", async () => {
  const dags = [writer("load", trips), reader("report", trips)];
  await using rigged = await rig({ dags });
  const { etl, write, made, settle } = rigged;
  await etl.pause("report");
  for (const day of ["02", "04", "03"]) await write("load", day);
  assert.deepEqual(await made("report"), []);
  assert.deepEqual(await etl.unpause("report", { dryRun: true }), { due: 1 });
  assert.deepEqual(await etl.unpause("report"), { due: 1 });
  await settle();
  assert.equal((await made("report")).length, 1);
  const [run] = await etl.runs({ dag: "report" });
  assert.match(run!.interval.start, /^2021-01-02T/);
  assert.match(run!.interval.end, /^2021-01-05T/);
  assert.deepEqual(await etl.unpause("report"), { due: 0 });
  await write("load", "01");
  assert.equal((await made("report")).length, 2);
});

Deno.test("what was written before a DAG was scheduled on it is no cause, what is written while it is away is one", async () => {
  const load = writer("load", trips);
  await using rigged = await rig({ dags: [load] });
  const { etl, write, made, settle } = rigged;
  await write("load", "01");
  const report = reader("report", trips);
  await etl.replace([load, report]);
  await settle();
  assert.deepEqual(await made("report"), []);
  await etl.replace([load]);
  await write("load", "02");
  assert.deepEqual(await made("report"), []);
  await etl.replace([load, report]);
  await settle();
  assert.equal((await made("report")).length, 1);
});

Deno.test("a DAG that waits for fewer datasets than before does with what was written", async () => {
  const dags = [writer("a", trips), writer("b", zones)];
  await using rigged = await rig({ dags: [...dags, reader("report", [trips, zones])] });
  const { etl, write, made, settle } = rigged;
  await write("a", "02");
  await etl.replace([...dags, reader("report", trips)]);
  await settle();
  assert.equal((await made("report")).length, 1);
  await write("a", "03");
  assert.equal((await made("report")).length, 2);
});

Deno.test("a DAG that waits for datasets no more is not run by them", async () => {
  const load = writer("load", trips);
  await using rigged = await rig({ dags: [load, reader("report", trips)] });
  const { etl, write, errors, settle } = rigged;
  await write("load", "02");
  const report = dag("report", { schedule: "@daily", start: "2021-01-01", catchup: "none" });
  await etl.replace([load, report]);
  await etl.pause("report");
  assert.deepEqual(await etl.unpause("report"), { due: 0 });
  await write("load", "03");
  await settle();
  assert.equal((await etl.runs({ dag: "report" })).length, 1);
  assert.deepEqual(errors, []);
});

Deno.test("the runs that datasets make are neither lost nor doubled by a death, wherever it comes", async () => {
  const dags = (): AnyDag[] => [
    writer("a", trips),
    writer("b", zones),
    reader("both", [trips, zones]),
    reader("one", trips),
  ];
  /** What happens until the store takes no more; with the nth change it is dead, be that one on record or not. */
  async function live(n: number, when: "before" | "after"): Promise<boolean> {
    await using store = memory();
    let changes = 0;
    const dead = new Error("dead");
    const dying = <T>(change: () => Promise<T>) => async (): Promise<T> => {
      if (++changes > n || changes === n && when === "before") throw dead;
      const answer = await change();
      if (changes >= n) throw dead;
      return answer;
    };
    const mortal: Store = {
      ...store,
      append: (...args) => dying(() => store.append(...args))(),
      setDag: (...args) => dying(() => store.setDag(...args))(),
    };
    const steps = [["a", "01"], ["b", "01"], ["a", "02"]] as const;
    /** Asks for each run that is not there yet. */
    async function go(store: Store): Promise<void> {
      await using rigged = await rig({ dags: dags(), store });
      for (const [dag, day] of steps) {
        const date = `2021-01-${day}T00:00:00Z`;
        const [known] = await store.list({ dag, from: date, to: date });
        if (known) await rigged.etl.done(known.id);
        else await rigged.write(dag, day);
      }
      await rigged.settle();
      assert.deepEqual(rigged.errors, []);
    }
    const died = await go(mortal).then(() => false, () => true);
    await go(store);
    for (const [dag, days] of [["one", ["02", "01"]], ["both", ["01"]]] as const) {
      const runs = await store.list({ dag, order: "logical_date" });
      const told = runs.map((run) => `${run.logicalDate.slice(8, 10)} ${run.state}`);
      assert.deepEqual(told, days.map((day) => `${day} success`), `${dag}, ${when} change ${n}`);
    }
    return died;
  }
  let points = 0;
  for (const when of ["before", "after"] as const) {
    for (let n = 1; await live(n, when); n++) points++;
  }
  assert.ok(points > 40, `${points} points`);
});

Deno.test("what is written is seen in a store whose last events were lost", async () => {
  await using store = memory();
  const writes = { seen: 1000, since: {}, due: [] };
  await store.setDag({ id: "report", version: 0, paused: false, writes });
  await using rigged = await rig({ dags: [writer("load", trips), reader("report", trips)], store });
  await rigged.write("load", "02");
  assert.equal((await rigged.made("report")).length, 1);
});

Deno.test("what was written is known after a restart from the file, without reading all that ever happened", async () => {
  await using home = await folder();
  const dags = [writer("load", trips), reader("report", [trips, zones]), writer("b", zones)];
  {
    await using store = await file(home.path);
    await using rigged = await rig({ dags, store });
    await rigged.write("load", "02");
  }
  await using store = await file(home.path);
  const from: (number | undefined)[] = [];
  const watched: Store = {
    ...store,
    watch: (signal, after) => {
      from.push(after);
      return store.watch(signal, after);
    },
  };
  await using rigged = await rig({ dags, store: watched });
  await rigged.write("b", "02");
  // The disk has a clock of its own.
  await until(async () => (await rigged.made("report")).length === 1);
  assert.deepEqual(from.length, 1);
  assert.ok(from[0]! > 0);
});

Deno.test("a simulation says that it cannot tell when datasets are written", () => {
  assert.deepEqual(
    simulate(reader("d", [trips, zones]), { from: "2021-01-01", to: "2021-01-02" }),
    {
      runs: [],
      notes: [
        'DAG "d" runs when "postgres://warehouse/trips" and "zones" are written: when that will be ' +
        "cannot be told beforehand",
      ],
    },
  );
});
