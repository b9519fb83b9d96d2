import { z } from "zod";
import { type AnyDag, type Interval, isOver, type Place, type Run, span } from "../engine/mod.ts";
import {
  Flag,
  fullRun,
  FullRunSchema,
  Id,
  InstanceSchema,
  named,
  RunKind,
  RunSchema,
  RunState,
  TaskState,
  Triggered,
  whole,
} from "./_documents.ts";
import { type Asked, type Route, route } from "./_route.ts";
import { findDag, findRun, type Site, stream, tell } from "./_site.ts";
import { byRequest, type Desk, type Request, states } from "./_trigger.ts";
import { Refusal } from "./refusal.ts";
import { runDocument } from "./run_document.ts";

const When = z.string("it must be a text like 2021-01-02 or 2021-01-02T06:00:00Z").max(100);

/** What triggers a run. */
export const TriggerBody = z.strictObject({
  params: z.record(z.string(), z.unknown(), "they must be a JSON object").default({}),
  logical_date: When.optional()
    .meta({ description: "a date or a moment: the run whose interval starts then" }),
  interval: z.strictObject(
    { start: When, end: When },
    "it must be { start, end }, dates or instants",
  ).optional(),
}, "it must be a JSON object");

/** A line of a run's states as they change. */
const StateLine = z.strictObject({
  run_id: z.string(),
  state: RunState,
  task: z.string().optional(),
  index: z.int().optional(),
  task_state: TaskState.optional(),
}).register(named, { id: "StateLine" });

const Instances = z.strictObject({ dry_run: z.boolean(), instances: z.array(InstanceSchema) })
  .register(named, { id: "Instances" });

const Indexes = z.array(z.int().min(0)).optional()
  .meta({ description: "of mapped tasks, only these instances" });
const Tasks = z.array(z.string()).optional().meta({ description: "ids of tasks or groups" });

const ClearBody = z.strictObject({
  tasks: Tasks,
  upstream: z.boolean().optional(),
  downstream: z.boolean().optional(),
  past: z.boolean().optional(),
  future: z.boolean().optional(),
  only_failed: z.boolean().optional(),
  fresh: z.boolean().optional().meta({ description: "have downloads begin anew" }),
  indexes: Indexes,
  dry_run: z.boolean().default(false),
});

const MarkBody = z.strictObject({
  state: z.enum(["success", "failed"]),
  tasks: Tasks,
  indexes: Indexes,
  dry_run: z.boolean().default(false),
});

const RunQuery = z.strictObject({
  dag: Id.optional(),
  state: RunState.optional(),
  kind: RunKind.optional(),
  from: When.optional().meta({ description: "of this logical date, or later" }),
  to: When.optional().meta({
    description: "of this logical date, or earlier; a date is a whole day",
  }),
  order: z.enum(["created", "logical_date"]).default("created"),
  limit: whole(1, 1000).default(100),
  before: z.string().max(500).optional().meta({ description: "`next` of the page before" }),
});

/** How long a run that is told to stop is waited for before that is answered, in milliseconds. */
const PATIENCE = 2000;

/** What can be asked of runs. */
export function runRoutes(site: Site, desk: Desk): Route[] {
  const { engine, now } = site;
  const one = { parameters: z.object({ id: Id }) };
  return [
    route({
      method: "post",
      path: "/api/dags/{id}/runs",
      access: "runner",
      summary: "Trigger a run; with an Idempotency-Key, asking again makes no other",
      ...one,
      query: z.strictObject({
        wait: Flag.meta({ description: "answer with the run's states as lines, until it is over" }),
      }),
      body: TriggerBody,
      answers: {
        201: {
          description: "The run that was made; with wait, its states, and at last the run",
          schema: Triggered,
          lines: z.union([StateLine, RunSchema]),
        },
        429: { description: "Too many runs wait; Retry-After says when to ask again" },
      },
      handle: trigger,
    }),
    route({
      method: "get",
      path: "/api/runs",
      access: "viewer",
      summary: "List runs, the latest first",
      query: RunQuery,
      answers: {
        200: {
          description: "A page of them; `next` asks for the page behind it",
          schema: z.strictObject({ runs: z.array(FullRunSchema), next: z.string().nullable() }),
        },
      },
      handle: async ({ c, query }) => {
        const { from, to, before, limit, order, ...rest } = query;
        if (before !== undefined && order !== "created") {
          throw new Refusal(400, "Cannot page by logical date: narrow the range with from and to");
        }
        const zone = rest.dag && engine.dags.get(rest.dag)?.options.timezone || "UTC";
        const runs = await byRequest(() =>
          engine.runs({
            ...definedOf(rest),
            ...from === undefined ? {} : { from: moment("from", from, zone).start },
            ...to === undefined ? {} : { to: moment("to", to, zone).end },
            ...before === undefined ? {} : { before: fromCursor(before) },
            order,
            limit: limit + 1,
          })
        );
        const page = runs.slice(0, limit);
        const next = order === "created" && runs.length > limit ? toCursor(page.at(-1)!) : null;
        return tell(site, c, { runs: page.map((run) => fullRun(run, now())), next });
      },
    }),
    route({
      method: "get",
      path: "/api/runs/{id}",
      access: "viewer",
      summary: "Show a run",
      ...one,
      query: z.strictObject({ full: Flag.meta({ description: "with all there is to tell" }) }),
      answers: { 200: { description: "The run", schema: z.union([RunSchema, FullRunSchema]) } },
      handle: async ({ c, path, query }) => {
        const run = await findRun(site, path.id);
        return tell(site, c, query.full ? fullRun(run, now()) : runDocument(run, now()));
      },
    }),
    route({
      method: "post",
      path: "/api/runs/{id}/cancel",
      access: "runner",
      summary: "End a run as failed; its teardowns still run",
      ...one,
      body: z.strictObject({}),
      answers: {
        200: { description: "How it stands; it may still be stopping", schema: Triggered },
      },
      handle: async ({ c, path }) => {
        const { id } = await findRun(site, path.id);
        const stopped = byRequest(() => engine.cancel(id));
        stopped.catch(site.onError);
        const patience = AbortSignal.timeout(PATIENCE);
        const late = new Promise<void>((resolve) =>
          patience.addEventListener("abort", () => resolve())
        );
        await Promise.race([stopped, late]);
        const { state } = await findRun(site, id);
        return tell(site, c, { run_id: id, state });
      },
    }),
    route({
      method: "post",
      path: "/api/runs/{id}/clear",
      access: "runner",
      summary: "Have tasks run again, and with them what reads what they put out",
      ...one,
      body: ClearBody,
      answers: { 200: { description: "What is, or would be, cleared", schema: Instances } },
      handle: async ({ c, path, body }) => {
        await findRun(site, path.id);
        const { only_failed: onlyFailed, dry_run: dryRun, ...rest } = body;
        const options = definedOf({ ...rest, onlyFailed, dryRun });
        const cleared = await byRequest(() => engine.clear(path.id, options));
        return tell(site, c, { dry_run: dryRun, instances: cleared.map(instance) });
      },
    }),
    route({
      method: "post",
      path: "/api/runs/{id}/mark",
      access: "runner",
      summary: "Mark tasks, or a whole run, as a success or as failed",
      ...one,
      body: MarkBody,
      answers: { 200: { description: "What is, or would be, marked", schema: Instances } },
      handle: async ({ c, path, body }) => {
        await findRun(site, path.id);
        const { state, dry_run: dryRun, ...rest } = body;
        const options = definedOf({ ...rest, dryRun });
        const marked = await byRequest(() => engine.mark(path.id, state, options));
        return tell(site, c, { dry_run: dryRun, instances: marked.map(instance) });
      },
    }),
  ];

  async function trigger(
    { c, path, query, body }: Asked<
      { id: string },
      { wait: boolean },
      z.output<typeof TriggerBody>
    >,
  ): Promise<Response> {
    const dag = findDag(site, path.id);
    const key = c.req.header("idempotency-key");
    if (key !== undefined && !/^[\x21-\x7e]{1,255}$/.test(key)) {
      throw new Refusal(400, "Cannot use Idempotency-Key: it has 1 to 255 characters, no spaces");
    }
    const { params, logical_date: date, interval } = body;
    const end = new AbortController();
    const { run, repeated } = await desk.trigger({
      dag,
      kind: "manual",
      ...await byRequest(() => wanted(dag, body)),
      key: key && `trigger ${dag.id} ${key}`,
      content: JSON.stringify([params, date ?? null, interval ?? null]),
    });
    const headers = {
      location: `/api/runs/${run.id}`,
      ...repeated ? { "idempotency-replayed": "true" } : {},
    };
    if (!query.wait) {
      const waits = run.state === "queued" && engine.status(dag.id).paused;
      const note = { note: `DAG "${dag.id}" is paused: the run waits until it is not` };
      const answer = { run_id: run.id, state: run.state, ...waits ? note : {} };
      return tell(site, c, answer, 201, headers);
    }
    return c.body(stream(site, lines(run.id, end), end), 201, {
      "content-type": "application/x-ndjson",
      ...headers,
    });
  }

  async function* lines(id: string, end: AbortController): AsyncGenerator<string, void> {
    const text = (line: unknown): string => `${JSON.stringify(site.mask.json(line))}\n`;
    for await (const { run, task, index } of states(site, id, end)) {
      const at = index === undefined ? run.tasks[task!] : run.mapped[task!]?.[index];
      yield text({
        run_id: id,
        state: run.state,
        ...task === undefined ? {} : { task, task_state: at?.state ?? "none" },
        ...index === undefined ? {} : { index },
      });
      if (isOver(run)) return yield text(runDocument(run, now()));
    }
  }
}

/** Those that are there. */
export function definedOf<T extends object>(
  options: T,
): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as never;
}

function instance(
  { run, task, index }: { run: string; task: string; index?: number },
): z.input<typeof InstanceSchema> {
  return { run_id: run, task, ...index === undefined ? {} : { index } };
}

function moment(what: string, date: string, zone: string): { start: string; end: string } {
  const { start, end } = span(what, date, zone);
  return { start: start.toInstant().toString(), end: end.toInstant().toString() };
}

/** What a trigger asks for, as the engine takes it. @throws {TypeError} when its interval is none */
export function wanted(
  dag: AnyDag,
  { params, logical_date: date, interval }: z.output<typeof TriggerBody>,
): Pick<Request, "params" | "date" | "interval"> {
  const zone = dag.options.timezone ?? "UTC";
  return { params, date, interval: interval && toInterval(interval, zone) };
}

function toInterval({ start, end }: { start: string; end: string }, zone: string): Interval {
  const first = span("start of the interval", start, zone).start;
  const last = span("end of the interval", end, zone).start;
  if (Temporal.ZonedDateTime.compare(first, last) > 0) {
    throw new TypeError("Cannot use interval: it ends before it starts");
  }
  return { start: first, end: last };
}

function toCursor({ created, id }: Run): string {
  return btoa(JSON.stringify([created, id])).replaceAll("+", "-").replaceAll("/", "_");
}

function fromCursor(text: string): Place {
  try {
    const [created, id] = JSON.parse(atob(text.replaceAll("-", "+").replaceAll("_", "/")));
    return { created: Temporal.Instant.from(created).toString(), id: String(id) };
  } catch (cause) {
    throw new Refusal(400, "Cannot use before: it is the `next` of another page", { cause });
  }
}
