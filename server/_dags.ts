import { z } from "zod";
import {
  type AnyDag,
  datasetsOf,
  lint,
  paramsSchema,
  parseSchedule,
  Ref,
  scheduleInWords,
  type Task,
  upcoming,
} from "../engine/mod.ts";
import {
  Id,
  Moment,
  named,
  RunHead,
  runHead,
  RunState,
  Span,
  spanDocument,
  whole,
} from "./_documents.ts";
import { type Route, route } from "./_route.ts";
import { findDag, type Site, tell } from "./_site.ts";
import { HIDDEN, isSecretName } from "./mask.ts";
import { Refusal } from "./refusal.ts";

export const NextRun = z.strictObject({ logical_date: Moment, interval: Span, run_after: Moment })
  .register(named, { id: "NextRun" });

/** How a DAG is doing. */
export const Standing = z.strictObject({
  paused: z.boolean(),
  held: z.string().nullable().meta({ description: "why it waits to be confirmed" }),
  next_run: NextRun.nullable(),
}).register(named, { id: "DagStatus" });

const Edge = z.enum(["stream", "output", "order"]);

export const DagTask = z.strictObject({
  id: z.string(),
  upstream: z.array(z.string()),
  edges: z.array(z.strictObject({ from: z.string(), kind: Edge })),
  operators: z.array(z.string()),
  group: z.string().nullable(),
  mapped: z.boolean(),
  when: z.string(),
  retries: z.int(),
  pool: z.string(),
  slots: z.int(),
  priority: z.number(),
  executor: z.string(),
  setup: z.boolean(),
  teardown_of: z.array(z.string()),
  writes: z.array(z.string()),
}).register(named, { id: "DagTask" });

export const DagRow = z.strictObject({
  id: z.string(),
  description: z.string().nullable(),
  tags: z.array(z.string()),
  schedule: z.string().nullable(),
  schedule_in_words: z.string(),
  timezone: z.string(),
  datasets: z.array(z.string()).meta({ description: "those it is scheduled on" }),
  ...Standing.shape,
  params: z.record(z.string(), z.unknown()).meta({ description: "the defaults" }),
  tasks: z.array(z.strictObject({ id: z.string(), upstream: z.array(z.string()) })),
  runs: z.array(RunHead).meta({ description: "the last ones by logical date, the latest last" }),
}).register(named, { id: "Dag" });

export const FullDag = DagRow.extend({
  start: z.string().nullable(),
  end: z.string().nullable(),
  max_active_runs: z.int(),
  tasks: z.array(DagTask),
  params_schema: z.record(z.string(), z.unknown()).meta({ description: "JSON Schema 2020-12" }),
  next_runs: z.array(NextRun),
  last_run: z.strictObject({ run_id: z.string(), state: RunState }).nullable(),
  warnings: z.array(
    z.strictObject({ task: z.string().optional(), rule: z.string(), message: z.string() }),
  ),
  file: z.string().nullable(),
  hash: z.string().nullable(),
}).register(named, { id: "FullDag" });

const Paused = z.strictObject({ id: z.string(), paused: z.boolean() })
  .register(named, { id: "Paused" });

const Unpaused = z.strictObject({
  id: z.string(),
  paused: z.boolean(),
  due: z.int().meta({ description: "how many runs start at once" }),
  held: z.string().nullable().meta({ description: "why none of them does until it is confirmed" }),
}).register(named, { id: "Unpaused" });

const CODE = "text/plain; charset=utf-8";

/** How many runs to come are told of. */
const RUNS = 5;

/** What can be asked of DAGs. */
export function dagRoutes(site: Site): Route[] {
  const { engine, source, faults, now } = site;
  const one = { parameters: z.object({ id: Id }) };
  return [
    route({
      method: "get",
      path: "/api/dags",
      access: "viewer",
      summary: "List the DAGs, and what could not be loaded",
      query: z.strictObject({
        runs: whole(0, 100).default(0).meta({ description: "how many of the last runs of each" }),
      }),
      answers: {
        200: {
          description: "All of them, by id",
          schema: z.strictObject({ dags: z.array(DagRow), faults: z.array(z.string()) }),
        },
      },
      handle: async ({ c, query: { runs } }) => {
        const dags = await Promise.all([...engine.dags.values()].map((dag) => row(dag, runs)));
        return tell(site, c, { dags, faults: faults() });
      },
    }),
    route({
      method: "get",
      path: "/api/dags/{id}",
      access: "viewer",
      summary: "Show a DAG: its graph, its params, its next runs",
      ...one,
      answers: { 200: { description: "The DAG", schema: FullDag } },
      handle: async ({ c, path }) => tell(site, c, await full(findDag(site, path.id))),
    }),
    route({
      method: "get",
      path: "/api/dags/{id}/code",
      access: "viewer",
      summary: "Read the file that a DAG comes from",
      ...one,
      answers: { 200: { description: "Its text, as it is now", text: CODE } },
      handle: async ({ c, path }) => {
        const { id } = findDag(site, path.id);
        const text = await source(id)?.read?.();
        if (text === undefined) throw new Refusal(404, `there is no file of DAG "${id}" here`);
        return c.text(site.mask.text(text), 200, { "content-type": CODE });
      },
    }),
    route({
      method: "post",
      path: "/api/dags/{id}/pause",
      access: "runner",
      summary: "Have a DAG start nothing by itself; what runs finishes",
      ...one,
      body: z.strictObject({}),
      answers: { 200: { description: "It is paused", schema: Paused } },
      handle: async ({ c, path }) => {
        const { id } = findDag(site, path.id);
        await engine.pause(id);
        return tell(site, c, { id, paused: true });
      },
    }),
    route({
      method: "post",
      path: "/api/dags/{id}/unpause",
      access: "runner",
      summary: "Have a DAG start by itself again",
      ...one,
      body: z.strictObject({
        all: z.boolean().default(false)
          .meta({ description: "confirm that all runs that are due start, however many" }),
        dry_run: z.boolean().default(false).meta({ description: "only tell how many would" }),
      }),
      answers: { 200: { description: "What starts", schema: Unpaused } },
      handle: async ({ c, path, body }) => {
        const { id } = findDag(site, path.id);
        const { all, dry_run: dryRun } = body;
        const { due, held = null } = await engine.unpause(id, { all, dryRun });
        return tell(site, c, { id, paused: engine.status(id).paused, due, held });
      },
    }),
  ];

  async function row(dag: AnyDag, runs: number): Promise<z.input<typeof DagRow>> {
    const { id, options } = dag;
    const { schedule, description = null, tags = [], timezone = "UTC" } = options;
    const { properties } = paramsSchema(dag);
    const defaults = Object.entries(properties).flatMap(([name, schema]) =>
      "default" in schema ? [[name, schema["default"]]] : []
    );
    return {
      id,
      description,
      tags: [...tags],
      schedule: typeof schedule === "string" ? schedule : null,
      schedule_in_words: scheduleInWords(schedule, options),
      timezone,
      datasets: (datasetsOf(schedule) ?? []).map(({ name }) => name),
      ...standing(site, id),
      params: Object.fromEntries(defaults),
      tasks: [...dag.tasks.values()].map(({ id, upstream }) => ({ id, upstream: [...upstream] })),
      runs: await lastRuns(site, id, runs),
    };
  }

  async function full(dag: AnyDag): Promise<z.input<typeof FullDag>> {
    const { start = null, end = null, maxActiveRuns = 16 } = dag.options;
    const { file = null, hash = null } = source(dag.id) ?? {};
    const all = await row(dag, 1);
    const [last] = all.runs;
    return {
      ...all,
      start,
      end,
      max_active_runs: maxActiveRuns,
      tasks: [...dag.tasks.values()].map((task) => node(dag, task)),
      params_schema: schemaOf(dag),
      next_runs: next(dag),
      last_run: last ? { run_id: last.run_id, state: last.state } : null,
      warnings: lint(dag, now()).map(({ task, rule, message }) => ({
        ...task === undefined ? {} : { task },
        rule,
        message,
      })),
      file,
      hash,
    };
  }

  /** The runs to come by themselves. */
  function next(dag: AnyDag): z.input<typeof NextRun>[] {
    const { options } = dag;
    const first = engine.status(dag.id).next;
    if (!first || datasetsOf(options.schedule)) return first ? [nextRun(first)] : [];
    const timetable = parseSchedule(options.schedule, options);
    const at = now().toZonedDateTimeISO(timetable.timezone);
    const rest = upcoming(timetable, { now: at, lastEnd: first.end, catchup: options.catchup });
    return [first, ...rest.take(RUNS - 1)].map(nextRun);
  }
}

/** How a DAG is doing. */
export function standing({ engine }: Site, id: string): z.input<typeof Standing> {
  const { paused, held = null, next } = engine.status(id);
  return { paused, held, next_run: next ? nextRun(next) : null };
}

/** What the params of a DAG must be like; what is a secret by its name has no default that is told. */
function schemaOf(dag: AnyDag): Record<string, unknown> {
  const { properties, ...rest } = paramsSchema(dag);
  const told = Object.entries(properties).map(([name, schema]) => {
    const hides = isSecretName(name) && typeof schema["default"] === "string";
    return [name, hides ? { ...schema, default: HIDDEN } : schema];
  });
  return { ...rest, properties: Object.fromEntries(told) };
}

/** The last runs of a DAG by logical date, the latest last. */
async function lastRuns(
  { engine }: Site,
  dag: string,
  limit: number,
): Promise<z.input<typeof RunHead>[]> {
  if (limit === 0) return [];
  const runs = await engine.runs({ dag, limit, order: "logical_date", tasks: false });
  return runs.map(runHead).reverse();
}

function nextRun(interval: Parameters<typeof spanDocument>[0]): z.input<typeof NextRun> {
  const span = spanDocument(interval);
  return { logical_date: span.start, interval: span, run_after: span.end };
}

function node(dag: AnyDag, task: Task<unknown>): z.input<typeof DagTask> {
  const { when = "all_success", retries = 0, pool = "default", slots = 1, priority = 0 } =
    task.options;
  return {
    id: task.id,
    upstream: [...task.upstream],
    edges: task.upstream.map((from) => ({ from, kind: edge(dag, task, from) })),
    operators: task.work.steps.map(({ name }) => name),
    group: task.group ?? null,
    mapped: task.each !== undefined,
    when,
    retries,
    pool,
    slots,
    priority,
    executor: task.options.executor ?? "inProcess",
    setup: task.options.setup ?? false,
    teardown_of: [...task.setups],
    writes: (task.options.writes ?? []).map(({ name }) => name),
  };
}

/** What lies between a task and one that it comes after. */
function edge(dag: AnyDag, task: Task<unknown>, upstream: string): z.input<typeof Edge> {
  if (!task.reads.includes(upstream)) return "order";
  const from = task.work.steps[0]?.inputs["from"];
  const flows = from instanceof Ref && from.ids.includes(upstream);
  return flows || dag.tasks.get(upstream)?.work.steps.at(-1)?.stream ? "stream" : "output";
}
