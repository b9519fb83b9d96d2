import { z } from "zod";
import type { Event } from "../engine/mod.ts";
import { Id, Moment, named, RunState, taskDocument, TaskSchema, whole } from "./_documents.ts";
import { type Route, route } from "./_route.ts";
import { type Site, stream } from "./_site.ts";

const EventSchema = z.strictObject({
  type: z.string(),
  run_id: z.string(),
  dag: z.string().nullable().meta({ description: "null for a run that is not kept any more" }),
  at: Moment,
  state: RunState.optional().meta({ description: "of the run, when that changed" }),
  reason: z.string().optional(),
  task: TaskSchema.optional().meta({ description: "as it is from then on, when it changed" }),
  mapped: z.strictObject({ id: z.string(), instances: z.int() }).optional(),
}).register(named, { id: "Event" });

/** How long a client waits until it connects again, in milliseconds. */
const RETRY = 1000;

/** What happens, as it happens. */
export function eventRoutes(site: Site): Route[] {
  return [
    route({
      method: "get",
      path: "/api/events",
      access: "viewer",
      summary: "Follow what happens; resumes behind Last-Event-ID",
      query: z.strictObject({
        after: whole(0, Number.MAX_SAFE_INTEGER).optional()
          .meta({ description: "the id of the last event that is known; 0 for all there were" }),
        dag: Id.optional(),
        run: Id.optional(),
      }),
      answers: { 200: { description: "Each event, with its id", events: EventSchema } },
      handle: ({ c, query: { after, dag, run } }) => {
        const seen = Number(c.req.header("last-event-id") ?? NaN);
        const last = Number.isSafeInteger(seen) && seen >= 0 ? seen : after;
        const end = new AbortController();
        // From here on nothing is missed, whenever it comes to be read.
        const events = site.store?.watch(end.signal, last) ?? site.engine.watch(end.signal);
        return c.body(stream(site, pieces(site, events, { dag, run }), end), 200, {
          "content-type": "text/event-stream",
          // Else proxies would keep what comes until it is much.
          "x-accel-buffering": "no",
        });
      },
    }),
  ];
}

/** Events as text/event-stream, and a comment when there is none for a while. Nothing is read before it is asked for. */
async function* pieces(
  site: Site,
  events: AsyncIterable<Event & { readonly seq?: number }>,
  wanted: { readonly dag?: string | undefined; readonly run?: string | undefined },
): AsyncGenerator<string, void> {
  yield `retry: ${RETRY}\n: here we go\n\n`;
  const dags = new Map<string, string | null>();
  const iterator = events[Symbol.asyncIterator]();
  let coming = iterator.next();
  try {
    for (;;) {
      const next = await orNothing(coming, site.heartbeat);
      if (next === undefined) {
        yield ": still here\n\n";
        continue;
      }
      if (next.done) return;
      coming = iterator.next();
      coming.catch(() => {});
      const event = next.value;
      if (wanted.run !== undefined && event.run !== wanted.run) continue;
      const dag = event.type === "run_created" ? event.dag : await dagOf(event.run);
      if (wanted.dag !== undefined && dag !== wanted.dag) continue;
      const data = JSON.stringify(site.mask.json(document(event, dag)));
      const id = event.seq === undefined ? "" : `id: ${event.seq}\n`;
      yield `${id}event: ${event.type}\ndata: ${data}\n\n`;
    }
  } finally {
    iterator.return?.();
  }

  async function dagOf(run: string): Promise<string | null> {
    if (dags.size > 10_000) dags.clear();
    const known = dags.get(run) ?? (await site.engine.get(run))?.dag ?? null;
    dags.set(run, known);
    return known;
  }
}

/** What comes within a time. */
async function orNothing<T>(what: Promise<T>, ms: number): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), ms);
  try {
    return await Promise.race([what, promise]);
  } finally {
    clearTimeout(timer);
  }
}

function document(event: Event, dag: string | null): z.input<typeof EventSchema> {
  const base = { type: event.type, run_id: event.run, dag, at: event.at };
  switch (event.type) {
    case "run_created":
    case "run_cleared":
      return { ...base, state: "queued" };
    case "run_changed": {
      const { to, reason } = event;
      return { ...base, state: to, ...reason === undefined ? {} : { reason } };
    }
    case "run_ending":
      return { ...base, reason: event.reason };
    case "task_changed": {
      const { task, index, to } = event;
      const which = index === undefined ? {} : { index };
      // Told later, it is told as it was.
      return { ...base, task: taskDocument(task, to, Temporal.Instant.from(event.at), which) };
    }
    case "task_mapped":
      return { ...base, mapped: { id: event.task, instances: event.count ?? 0 } };
    default:
      return base;
  }
}
