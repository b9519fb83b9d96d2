import { buildCommand } from "@stricli/core";
import type { AnyDag, Definition, Engine, Interval, Run, RunHandle, Store } from "../engine/mod.ts";
import type { RunDocument } from "../server/mod.ts";
import { openExecutors } from "./attempt.ts";
import { warningsOf } from "./dag_files.ts";
import { loadDags, pickDag } from "./dags.ts";
import { Database, homeFolder, type PlaceFlags, tellHow } from "./database.ts";
import * as flags from "./flags.ts";
import { count, duration, several } from "./format.ts";
import { LiveView } from "./live_view.ts";
import { type Loaded, loadsOfRun } from "./loaded.ts";
import { readParams } from "./params.ts";
import { endedRun, runLine, runLines } from "./run_view.ts";
import { fromUser, print, tell, UsageError, verb, type World } from "./world.ts";

interface RunFlags extends PlaceFlags {
  readonly date?: string;
  readonly from?: string;
  readonly to?: string;
  readonly param?: readonly (readonly [string, string])[];
  readonly dags?: string;
  readonly json: boolean;
}

/** `sluice run DAG`: a DAG's intervals, here and now. */
export const run = buildCommand<RunFlags, [string], World>({
  func: verb(async (world, options, id) => {
    const found = await loadDags(world, options.dags);
    const loaded = pickDag(found, id);
    for (const fault of found.faults) tell(world, fault);
    for (const warning of warningsOf(loaded)) tell(world, `warning: ${warning}`);
    await using database = await Database.from(world, options);
    const outcome = await runDag(world, loaded, options, database, homeFolder(world, options));
    if (database.started && !options.json && outcome.state === "success") {
      await tellHow(world, database);
    }
    return outcome.state === "success" ? 0 : 1;
  }),
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ parse: String, placeholder: "DAG", brief: "The id of the DAG" }],
    },
    flags: {
      date: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "D",
        brief: "Run the interval whose logical date falls on that day",
      },
      from: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "A",
        brief: "Run the intervals whose logical dates lie between A …",
      },
      to: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "B",
        brief: "… and B, both inclusive",
      },
      param: flags.param,
      dags: flags.dags,
      database: flags.database,
      home: flags.home,
      json: flags.json,
    },
  },
  docs: {
    brief: "Run a DAG's intervals here and now",
    fullDescription: [
      "Runs DAG for each interval of its schedule in a range, the oldest first, as many at once as its",
      "maxActiveRuns allows, and shows how its tasks come along. Without a range: what the schedule",
      "owes by now. Streams between tasks are kept in the home folder: what was downloaded once, and",
      "has not changed since, is not downloaded again.",
      "",
      "Examples:",
      "  sluice run yellow_taxi --from 2021-01-01 --to 2021-03-28",
      "  sluice run yellow_taxi --date 2021-02-02 --param base=http://localhost:8000",
      "  sluice run yellow_taxi --database postgres://localhost/taxi --json",
    ].join("\n"),
  },
});

/** What `run --json` prints. */
export interface RunOutcome {
  readonly dag: string;
  readonly state: "success" | "failed";
  readonly runs: readonly RunDocument[];
}

/** Which intervals to run, and with which params. */
export interface RunRange {
  readonly date?: string;
  readonly from?: string;
  readonly to?: string;
  readonly param?: readonly (readonly [string, string])[];
  /** Where DAGs are, for those tasks that have a process of their own. */
  readonly dags?: string;
  readonly json: boolean;
}

/** Runs a DAG over a range with a live view; prints what came of it. */
export async function runDag(
  world: World,
  { dag, hash }: Definition,
  options: RunRange,
  database: Database,
  home: string | undefined,
): Promise<RunOutcome> {
  const { engine, file, logFiles } = await import("../engine/mod.ts");
  const { runDocument } = await import("../server/mod.ts");
  const intervals = await chooseIntervals(dag, options);
  const params = await chooseParams(dag, options.param ?? []);
  let say = (text: string) => tell(world, text);
  await using kept = new AsyncDisposableStack();
  const store = home === undefined ? undefined : kept.use(await file(home));
  const place = home !== undefined && store ? { home, store, logs: logFiles(home) } : {};
  const executors = await openExecutors(options.dags, kept);
  await using etl = await engine({
    dags: [{ dag, hash }],
    ...place,
    executors,
    connections: database.connections,
    // What it runs, it runs here and now; what is open besides is for `serve` to go on with.
    obeyPauses: false,
    resume: false,
    log: ({ level, task, message }) =>
      say(`${level === "info" ? "" : `${level}: `}${task}: ${message}`),
  });
  if (store) await tellOpen(world, dag, store);
  const began = performance.now();
  const handles = await triggerAll(etl, dag, intervals, params);
  const runs = new Map<string, Run>();
  const stop = (): void => void Promise.all(handles.map(({ id }) => etl.cancel(id)));
  world.signal.addEventListener("abort", stop);
  if (world.signal.aborted) stop();
  {
    using view = new LiveView(world, {
      lines: () => [...runs.values()].flatMap((run) => runLines(dag, run, etl.readings(run.id))),
      line: () => {
        const running = [...runs.values()].find((run) => run.state === "running");
        return running && runLine(running, etl.readings(running.id));
      },
    });
    say = (text) => view.say(text);
    const watching = new AbortController();
    const watched = follow(etl, handles, runs, watching.signal);
    await Promise.all(handles.map(async (handle) => {
      const run = await handle.done;
      runs.delete(run.id); // from here on it is a line that stays
      if (!options.json) view.say(endedRun(runDocument(run, Temporal.Now.instant()), run.mapped));
    }));
    watching.abort();
    await watched;
  }
  world.signal.removeEventListener("abort", stop);
  world.signal.throwIfAborted();
  const ended = await Promise.all(handles.map(({ done }) => done));
  const documents = ended.map((run) => runDocument(run, Temporal.Now.instant()));
  const state = ended.every((run) => run.state === "success") ? "success" : "failed";
  const outcome: RunOutcome = { dag: dag.id, state, runs: documents };
  if (options.json) print(world, JSON.stringify(outcome));
  else print(world, total(outcome, ended.flatMap(loadsOfRun), performance.now() - began));
  return outcome;
}

/** Keeps `runs` as the engine has them, those that are under way. */
async function follow(
  etl: Engine,
  handles: readonly RunHandle[],
  runs: Map<string, Run>,
  signal: AbortSignal,
): Promise<void> {
  const over = new Set<string>();
  const look = async (id: string): Promise<void> => {
    const run = await etl.get(id);
    if (!run || over.has(id)) return;
    if (run.state === "success" || run.state === "failed") {
      over.add(id);
      runs.delete(id);
    } else if (run.state === "running") runs.set(id, run);
  };
  for (const { id } of handles) await look(id);
  for await (const event of etl.watch(signal)) await look(event.run);
}

async function triggerAll(
  etl: Engine,
  dag: AnyDag,
  intervals: readonly Interval[] | undefined,
  params: Record<string, unknown>,
): Promise<RunHandle[]> {
  try {
    if (!intervals) return [await etl.trigger(dag, { params })];
    const handles: RunHandle[] = [];
    for (const interval of intervals) handles.push(await etl.trigger(dag, { interval, params }));
    return handles;
  } catch (error) {
    // The engine refuses what does not fit the DAG before anything starts.
    if (error instanceof TypeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** The intervals to run; undefined for a DAG without a schedule, which runs once, now. */
async function chooseIntervals(
  dag: AnyDag,
  { date, from, to }: RunRange,
): Promise<readonly Interval[] | undefined> {
  const { between, datasetsOf, due, on, parseSchedule } = await import("../engine/mod.ts");
  if (date !== undefined && (from !== undefined || to !== undefined)) {
    throw new UsageError("Give either --date or --from and --to");
  }
  if ((from === undefined) !== (to === undefined)) {
    throw new UsageError(
      `--${from === undefined ? "from" : "to"} is missing: a range has both ends`,
    );
  }
  const { schedule } = dag.options;
  if (schedule === undefined || datasetsOf(schedule)) {
    if (date === undefined && from === undefined) return undefined;
    throw new UsageError(
      `DAG "${dag.id}" has no schedule by the clock, so it has no logical dates to choose from`,
    );
  }
  const timetable = fromUser(() => parseSchedule(schedule, dag.options));
  if (date !== undefined) return [fromUser(() => on(timetable, date))];
  const now = Temporal.Now.zonedDateTimeISO(timetable.timezone);
  const intervals = fromUser(() =>
    from === undefined
      ? [...due(timetable, { now, catchup: dag.options.catchup })]
      : [...between(timetable, from, to!)]
  );
  if (intervals.length > 0) return intervals;
  throw new UsageError(
    from === undefined
      ? `DAG "${dag.id}" owes no run by now; name a range with --from and --to`
      : `DAG "${dag.id}" has no logical date from ${from} to ${to}`,
  );
}

/** Params as the DAG has them. @throws {UsageError} when one is not as declared, or a required one is missing */
async function chooseParams(
  dag: AnyDag,
  given: readonly (readonly [string, string])[],
): Promise<Record<string, unknown>> {
  const { paramsSchema, resolveParams } = await import("../engine/mod.ts");
  const params = readParams(dag.id, paramsSchema(dag), given);
  try {
    // What does not fit is to be known before anything is opened.
    await resolveParams(dag, params);
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
  return params;
}

/** Tells of runs that others left: they are not ours to go on with. */
async function tellOpen(world: World, { id }: AnyDag, store: Store): Promise<void> {
  const open = [
    ...await store.list({ dag: id, state: "running" }),
    ...await store.list({ dag: id, state: "queued" }),
  ];
  if (open.length === 0) return;
  const some = open.slice(0, 3).map((run) => run.id);
  const names = [...some, ...open.length > 3 ? ["…"] : []].join(", ");
  const { command } = world;
  tell(
    world,
    `${several(open.length, "run")} of "${id}" ${
      open.length === 1 ? "is" : "are"
    } not over, from ` +
      `before: ${names}. \`${command} serve\` goes on with them, \`${command} cancel RUN\` ends one`,
  );
}

function total(
  { dag, state, runs }: RunOutcome,
  loads: readonly Loaded[],
  ms: number,
): string {
  const rows = loads.reduce((sum, loaded) => sum + loaded.rows, 0);
  const failed = runs.filter((run) => run.state !== "success").length;
  return `${dag}: ${state}, ${several(runs.length, "run")}` +
    `${failed > 0 ? ` of which ${failed} failed` : ""}` +
    `${loads.length > 0 ? `, ${several(rows, "row")}` : ""} in ${duration(ms)}` +
    `${loads.length > 0 ? ` (${count(rows / ms * 1000)} rows/s)` : ""}`;
}
