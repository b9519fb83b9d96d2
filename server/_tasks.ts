import { z } from "zod";
import type { LogEntry, Run, TaskRun } from "../engine/mod.ts";
import {
  Flag,
  Id,
  Moment,
  named,
  Pace,
  paceDocument,
  secondsOf,
  taskDocument,
  TaskSchema,
  TaskState,
  whole,
} from "./_documents.ts";
import { type Asked, type Route, route } from "./_route.ts";
import { findRun, type Site, stream, tell } from "./_site.ts";
import { byRequest } from "./_trigger.ts";
import { Refusal } from "./refusal.ts";

const Change = z.strictObject({
  at: Moment,
  state: TaskState,
  attempt: z.int(),
  reason: z.string().optional(),
}).register(named, { id: "TaskChange" });

export const AttemptSchema = z.strictObject({
  attempt: z.int(),
  state: TaskState,
  started: Moment.nullable(),
  ended: Moment.nullable(),
  seconds: z.number().nullable(),
  reason: z.string().optional(),
  error: z.string().optional(),
  ...Pace.shape,
}).register(named, { id: "Attempt" });

export const FullTask = TaskSchema.extend({
  history: z.array(Change),
  attempt_list: z.array(AttemptSchema),
}).register(named, { id: "FullTask" });

export const Line = z.strictObject({
  at: Moment,
  level: z.enum(["info", "warn", "error"]),
  message: z.string(),
  fields: z.record(z.string(), z.unknown()).optional(),
  next: z.int().meta({ description: "the offset behind it, where reading goes on" }),
}).register(named, { id: "LogLine" });

const Index = z.strictObject({ index: whole(0, 1e6).optional() });

/** What can be asked of the tasks of a run. */
export function taskRoutes(site: Site): Route[] {
  const { engine, store, logs, now } = site;
  const ofRun = { parameters: z.object({ id: Id }) };
  const ofTask = { parameters: z.object({ id: Id, task: Id }) };
  return [
    route({
      method: "get",
      path: "/api/runs/{id}/tasks",
      access: "viewer",
      summary: "List the tasks of a run, and the instances of mapped ones behind each",
      ...ofRun,
      answers: {
        200: {
          description: "In the DAG's order",
          schema: z.strictObject({ tasks: z.array(TaskSchema) }),
        },
      },
      handle: async ({ c, path }) => {
        const run = await findRun(site, path.id);
        const readings = engine.readings(run.id);
        const tasks = Object.entries(run.tasks).flatMap(([id, task]) => {
          const instances = run.mapped[id];
          return [
            document(run, id, task, readings, undefined),
            ...instances?.map((one, index) => document(run, id, one, readings, index)) ?? [],
          ];
        });
        return tell(site, c, { tasks });
      },
    }),
    route({
      method: "get",
      path: "/api/runs/{id}/tasks/{task}",
      access: "viewer",
      summary: "Show a task: its states and attempts, its output, what stands on its meters",
      ...ofTask,
      query: Index,
      answers: { 200: { description: "The task, or one instance", schema: FullTask } },
      handle: async ({ c, path, query: { index } }) => {
        const run = await findRun(site, path.id);
        const task = find(run, path.task, index);
        const states = (await store?.history(run.id) ?? []).flatMap((event) =>
          event.type === "task_changed" && event.task === path.task && event.index === index
            ? [{ at: event.at, to: event.to }]
            : []
        );
        return tell(site, c, {
          ...document(run, path.task, task, engine.readings(run.id), index),
          history: states.map(({ at, to: { state, attempt, reason } }) => ({
            at,
            state,
            attempt,
            ...reason === undefined ? {} : { reason },
          })),
          attempt_list: attempts([...states.map(({ to }) => to), task]),
        });
      },
    }),
    route({
      method: "get",
      path: "/api/runs/{id}/why",
      access: "viewer",
      summary: "Why tasks of a run do not run, or what became of them, in sentences",
      ...ofRun,
      query: Index.extend({ task: Id.optional() }),
      answers: {
        200: {
          description: "One task's reasons, or those of all",
          schema: z.strictObject({
            tasks: z.array(z.strictObject({
              id: z.string(),
              index: z.int().optional(),
              reasons: z.array(z.string()),
            })),
          }),
        },
      },
      handle: async ({ c, path, query: { task, index } }) => {
        const run = await findRun(site, path.id);
        const ids = task === undefined ? Object.keys(run.tasks) : [task];
        const which = index === undefined ? {} : { index };
        const tasks = await byRequest(() =>
          Promise.all(ids.map(async (id) => {
            const name = index === undefined ? id : `${id}[${index}]`;
            return { id, ...which, reasons: await engine.why(run.id, name) };
          }))
        );
        return tell(site, c, { tasks });
      },
    }),
    route({
      method: "get",
      path: "/api/runs/{id}/tasks/{task}/attempts/{attempt}/log",
      access: "viewer",
      summary: "Read the log of an attempt, or follow it while it grows",
      parameters: z.object({ id: Id, task: Id, attempt: whole(1, 1e9) }),
      query: Index.extend({
        offset: whole(0, Number.MAX_SAFE_INTEGER).optional()
          .meta({ description: "the `next` of a line; of events, Last-Event-ID says it, too" }),
        limit: whole(1, 10_000).default(1000),
        follow: Flag.meta({
          description:
            "go on until the attempt has ended: as events if they are accepted, else as lines",
        }),
      }),
      answers: {
        200: {
          description: "Lines, and where to go on; when followed, each line by itself",
          schema: z.strictObject({ lines: z.array(Line), next: z.int() }),
          lines: Line,
          events: z.union([Line, z.strictObject({})]),
        },
      },
      handle: log,
    }),
  ];

  async function log(
    { c, path, query }: Asked<
      { id: string; task: string; attempt: number },
      { index?: number | undefined; offset?: number | undefined; limit: number; follow: boolean },
      undefined
    >,
  ): Promise<Response> {
    const run = await findRun(site, path.id);
    const { index, limit, follow } = query;
    const { attempt: last } = find(run, path.task, index);
    if (path.attempt > last) {
      throw new Refusal(404, `task "${path.task}" had ${last} attempts, and no ${path.attempt}.`);
    }
    const key = { dag: run.dag, run: run.id, task: path.task, index, attempt: path.attempt };
    const seen = Number(c.req.header("last-event-id") ?? NaN);
    const offset = query.offset ?? (Number.isSafeInteger(seen) && seen >= 0 ? seen : 0);
    if (!follow) {
      const entries = await logs?.read(key, { offset, limit }) ?? [];
      return tell(site, c, { lines: entries.map(line), next: entries.at(-1)?.next ?? offset });
    }
    const end = new AbortController();
    const entries = logs?.follow(key, end.signal, offset);
    const asEvents = c.req.header("accept")?.includes("text/event-stream") ?? false;
    async function* pieces(): AsyncGenerator<string, void> {
      for await (const entry of entries ?? []) {
        const text = JSON.stringify(site.mask.json(line(entry)));
        yield asEvents ? `id: ${entry.next}\nevent: line\ndata: ${text}\n\n` : `${text}\n`;
      }
      if (asEvents) yield "event: end\ndata: {}\n\n";
    }
    return c.body(stream(site, pieces(), end), 200, {
      "content-type": asEvents ? "text/event-stream" : "application/x-ndjson",
    });
  }

  function document(
    run: Run,
    id: string,
    task: TaskRun,
    readings: ReturnType<typeof engine.readings>,
    index: number | undefined,
  ): z.input<typeof TaskSchema> {
    const live = readings[index === undefined ? id : `${id}[${index}]`];
    const instances = index === undefined ? run.mapped[id]?.length : undefined;
    const extra = {
      ...index === undefined ? {} : { index },
      ...instances === undefined ? {} : { instances },
    };
    return taskDocument(id, task, now(), extra, live?.length ? live : undefined);
  }

  /** What became of each attempt, by the states a task was in. */
  function attempts(states: readonly TaskRun[]): z.input<typeof AttemptSchema>[] {
    const found = new Map<number, z.input<typeof AttemptSchema>>();
    for (const task of states) {
      const { attempt, state, started = null, ended = null, reason, error, readings } = task;
      const known = found.get(attempt);
      // What is put back or waits for the next attempt says nothing of the last one.
      const isNext = /^(none|scheduled|queued)$/.test(state);
      if (attempt === 0 || isNext || known?.ended && known.state !== "running" && !ended) continue;
      found.set(attempt, {
        attempt,
        state,
        started,
        ended,
        seconds: secondsOf(task, now()),
        ...reason === undefined ? {} : { reason },
        ...error ? { error: error.message } : {},
        ...paceDocument(readings ?? known?.readings ?? []),
      });
    }
    return [...found.values()];
  }
}

function find(run: Run, id: string, index: number | undefined): TaskRun {
  const task = Object.hasOwn(run.tasks, id) ? run.tasks[id] : undefined;
  const found = index === undefined ? task : run.mapped[id]?.[index];
  if (found) return found;
  const name = index === undefined ? id : `${id}[${index}]`;
  throw new Refusal(404, `there is no task ${JSON.stringify(name)} in run "${run.id}"`);
}

function line({ line, next }: LogEntry): z.input<typeof Line> {
  const { at, level, message, fields } = line;
  return { at, level, message, ...fields ? { fields } : {}, next };
}
