// What the engine itself costs, beside a job queue on Postgres: `deno task bench:engine`. Writes engine.md.
import process from "node:process";
import { Logger, run as startWorker } from "graphile-worker";
import {
  copy,
  csv,
  dag,
  decompress,
  type Engine,
  engine,
  type EngineOptions,
  file,
  fn,
  logFiles,
  NotYet,
  open,
  pipe,
  simulate,
} from "../mod.ts";
import { testPostgres } from "../tests/_postgres.ts";
import { percentile } from "./_measure.ts";
import { writeMonths } from "./_months.ts";

/** How many tasks follow one another … */
const CHAIN = 500;
/** … and how many there are to be done at once. */
const MANY = 2000;
/** How many attempts are timed when nothing else happens, and how many milliseconds they rest before. */
const DUE = { count: 200, rest: 50 };
/** How many scheduled runs are timed, one each second. */
const SCHEDULED = 30;
/** How many seconds the engine is watched while it has nothing to do. */
const IDLE = 10;

/** How the tasks of a queue fared. */
interface Queue {
  /** Milliseconds from when a task was ready until its end was durable, of tasks one after the other. */
  readonly latencies: readonly number[];
  /** Tasks per second, of many at once. */
  readonly rate: number;
}

const lines: string[] = [];
function say(line: string): void {
  console.log(line);
  lines.push(line);
}

/** Does something with an engine whose state is a file on this disk. */
async function withEngine<T>(
  dags: Parameters<Engine["replace"]>[0],
  use: (etl: Engine) => Promise<T>,
  options: Pick<EngineOptions, "connections"> = {},
): Promise<T> {
  const home = await Deno.makeTempDir({ prefix: "sluice-bench-" });
  try {
    await using store = await file(home);
    await using etl = await engine({ ...options, dags, home, store, logs: logFiles(home) });
    return await use(etl);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

/** Runs a DAG; tells how many seconds that took. */
async function timed(etl: Engine, id: string): Promise<number> {
  const begun = performance.now();
  const { state } = await (await etl.trigger(id)).done;
  if (state !== "success") throw new Error(`${id} is ${state}`);
  return (performance.now() - begun) / 1000;
}

/** A mapped DAG of so many tasks. */
function wide(count: number) {
  const d = dag(`wide_${count}`);
  const list = d.task("list", () => Array.from({ length: count }, (_, i) => i));
  d.each("one", list, (n) => fn({ n }, ({ n }) => n));
  return d;
}

async function ours(): Promise<Queue> {
  const starts: number[] = [];
  const chain = dag("chain");
  for (let i = 0; i < CHAIN; i++) {
    const before = [...chain.tasks.values()].slice(-1);
    chain.task(`t${i}`, () => void starts.push(performance.now()), { after: before });
  }
  return await withEngine([chain, wide(MANY)], async (etl) => {
    await timed(etl, "chain");
    const seconds = await timed(etl, `wide_${MANY}`);
    return { latencies: between(starts), rate: MANY / seconds };
  });
}

/** graphile-worker: of the queues on Postgres the one that is told of a job, where others ask now and then. */
async function theirs(): Promise<Queue> {
  // What is durable here is to be durable there.
  await using db = await testPostgres({ settings: { fsync: "on", synchronous_commit: "on" } });
  const starts: number[] = [];
  const ended = Promise.withResolvers<void>();
  const all = Promise.withResolvers<void>();
  let done = 0;
  const worker = await startWorker({
    connectionString: db.url,
    concurrency: 32,
    maxPoolSize: 33,
    noHandleSignals: true,
    logger: quiet,
    taskList: {
      chain: async () => {
        starts.push(performance.now());
        if (starts.length === CHAIN) ended.resolve();
        else await worker.addJob("chain", {});
      },
      wide: () => {
        if (++done === MANY) all.resolve();
      },
    },
  });
  await worker.addJob("chain", {});
  await ended.promise;
  const begun = performance.now();
  await db.query("SELECT graphile_worker.add_job('wide') FROM generate_series(1, $1)", [MANY]);
  await all.promise;
  const rate = MANY / ((performance.now() - begun) / 1000);
  await worker.stop();
  return { latencies: between(starts), rate };
}

/** A DAG whose task asks to be started again and again, and puts on record by how many milliseconds that was late. */
function waiting(late: number[]) {
  let next: Temporal.Instant | undefined;
  const d = dag("due");
  d.task("wait", () => {
    const now = Temporal.Now.instant();
    if (next) late.push(next.until(now).total("milliseconds"));
    if (late.length === DUE.count) return;
    next = now.add({ milliseconds: DUE.rest });
    throw new NotYet("not now", { due: next });
  });
  return d;
}

/** Milliseconds by which attempts start later than they are due, when nothing else happens. */
async function due(): Promise<number[]> {
  const late: number[] = [];
  await withEngine([waiting(late)], (etl) => timed(etl, "due"));
  return late;
}

/** The same while this very process loads a month into a Postgres on this machine, over and over. */
async function busy(): Promise<number[]> {
  const late: number[] = [];
  const path = await Deno.makeTempFile({ prefix: "sluice-bench-", suffix: ".csv.gz" });
  await writeMonths(path, 1);
  await using db = await testPostgres();
  const load = dag("load");
  load.task("load", pipe(open({ file: path }), decompress(), csv(), copy({ table: "busy" })));
  await withEngine([waiting(late), load], async (etl) => {
    const waits = await etl.trigger("due");
    let over = false;
    waits.done.finally(() => over = true);
    while (!over) await timed(etl, "load");
    await waits.done;
  }, { connections: { database: () => Promise.resolve({ url: db.url }) } });
  await Deno.remove(path);
  return late;
}

/** Milliseconds by which scheduled runs start their task later than they are due, when nothing else happens. */
async function scheduled(): Promise<number[]> {
  const late: number[] = [];
  const all = Promise.withResolvers<void>();
  const options = { schedule: { seconds: 1 }, start: "2021-01-01", catchup: "none" } as const;
  const d = dag("scheduled", options);
  d.task("t", ({ interval }) => {
    late.push(interval.end.toInstant().until(Temporal.Now.instant()).total("milliseconds"));
    if (late.length === SCHEDULED) all.resolve();
  });
  await withEngine([d], async (etl) => {
    await etl.start();
    await all.promise;
  });
  return late;
}

/** The share of a core that an engine takes which has nothing to do. */
async function idle(): Promise<number> {
  const dags = Array.from({ length: 100 }, (_, i) => {
    const d = dag(`hourly_${i}`, { schedule: "@hourly", catchup: "none" });
    d.task("t", () => {});
    return d;
  });
  return await withEngine(dags, async (etl) => {
    await etl.start();
    await sleep(2000);
    const before = process.cpuUsage();
    await sleep(IDLE * 1000);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6 / IDLE;
  });
}

/** Milliseconds that this disk takes to make a few bytes durable, each time. */
function syncs(): number[] {
  const path = Deno.makeTempFileSync({ prefix: "sluice-bench-" });
  using file = Deno.openSync(path, { write: true });
  const taken = Array.from({ length: 200 }, () => {
    file.writeSync(new Uint8Array(4096));
    const begun = performance.now();
    file.syncDataSync();
    return performance.now() - begun;
  });
  Deno.removeSync(path);
  return taken;
}

function year(): { runs: number; seconds: number } {
  const d = dag("year", { schedule: "@hourly", timezone: "Europe/Berlin", catchup: "all" });
  const begun = performance.now();
  const { runs } = simulate(d, { from: "2021-01-01", to: "2021-12-31" });
  return { runs: runs.length, seconds: (performance.now() - begun) / 1000 };
}

function between(moments: readonly number[]): number[] {
  return moments.slice(1).map((moment, i) => moment - moments[i]!);
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
const count = (value: number): string => Math.round(value).toLocaleString("en-US");

/** Logs nothing. */
const quiet = new Logger(() => () => {});

const [load] = Deno.loadavg();
// First, while this process is as a fresh one.
const share = await idle();
say("# Bench of the engine");
say("");
say(
  `${
    new Date().toISOString().slice(0, 10)
  }, ${navigator.hardwareConcurrency} cores, of which others took ${
    load!.toFixed(1)
  } as it began, Deno ${Deno.version.deno}. ` +
    "Tasks do nothing, so all the time is the engine's and the disk's: each change is synced before it counts, and one " +
    `such sync alone takes ${
      ms(percentile(syncs(), 50))
    } here (p50). Written by \`deno task bench:engine\`.`,
);
say("");
say(`## Beside a queue`);
say("");
say(
  `Latency: from the start of one of ${CHAIN} tasks to the start of the next one, which waits for it. Rate: of ` +
    `${
      count(MANY)
    } tasks that can all be done at once. graphile-worker keeps its jobs in a Postgres on this machine, ` +
    "with fsync, and takes 32 at once; Sluice keeps its in a file, and has 32 slots.",
);
say("");
say("| | p50 | p99 | tasks/s |");
say("| --- | --- | --- | --- |");
for (const [name, measure] of [["Sluice", ours], ["graphile-worker", theirs]] as const) {
  const { latencies, rate } = await measure();
  const [p50, p99] = [50, 99].map((p) => ms(percentile(latencies, p)));
  say(`| ${name} | ${p50} | ${p99} | ${count(rate)} |`);
}
say("");
say("## By itself");
say("");
say("| | bar | measured |");
say("| --- | --- | --- |");
for (const size of [2000, 10_000]) {
  const seconds = await withEngine([wide(size)], (etl) => timed(etl, `wide_${size}`));
  const bar = size === 10_000 ? "10 s" : "";
  const each = ms(seconds * 1000 / size);
  say(
    `| a mapped task of ${count(size)} instances | ${bar} | ${
      seconds.toFixed(1)
    } s, ${each} each |`,
  );
}
for (
  const [what, bar, measure] of [
    ["a retry or a sensor, from due to started when idle", 20, due],
    ["a scheduled run, from due to started when idle", 20, scheduled],
    ["a retry or a sensor, while this process loads a file at full speed", 100, busy],
  ] as const
) {
  const late = await measure();
  const [p50, p99] = [50, 99].map((p) => ms(percentile(late, p)));
  say(`| ${what}, p50 and p99 | ${bar} ms | ${p50}, ${p99} |`);
}
say(`| CPU when idle, of a core, with 100 DAGs | 0.2 % | ${(share * 100).toFixed(2)} % |`);
const { runs, seconds } = year();
say(`| a year of @hourly simulated, ${count(runs)} runs | 1 s | ${seconds.toFixed(2)} s |`);

await Deno.writeTextFile(new URL("engine.md", import.meta.url), `${lines.join("\n")}\n`);
Deno.exit(0);
