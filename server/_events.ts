import { z } from "zod";
import { type Event, reduce } from "../engine/mod.ts";
import {
  Flag,
  Id,
  Moment,
  named,
  Pace,
  paceDocument,
  RunHead,
  runHead,
  RunState,
  taskDocument,
  TaskSchema,
  whole,
} from "./_documents.ts";
import { type Route, route } from "./_route.ts";
import { type Site, stream } from "./_site.ts";

export const EventSchema = z.strictObject({
  type: z.string(),
  run_id: z.string(),
  dag: z.string().nullable().meta({ description: "null for a run that is not kept any more" }),
  at: Moment,
  state: RunState.optional().meta({ description: "of the run, when that changed" }),
  run: RunHead.optional().meta({ description: "of a run that was made" }),
  reason: z.string().optional(),
  task: TaskSchema.optional().meta({ description: "as it is from then on, when it changed" }),
  mapped: z.strictObject({ id: z.string(), instances: z.int() }).optional(),
}).register(named, { id: "Event" });

export const MetersSchema = z.strictObject({
  attempts: z.array(z.strictObject({
    run_id: z.string(),
    dag: z.string(),
    task: z.string(),
    index: z.int().optional(),
    ...Pace.shape,
  })),
}).register(named, { id: "Meters" });

/** How often meters are told of, in milliseconds. */
const METERS = 500;
/** How long a client waits until it connects again, in milliseconds. */
const RETRY = 1000;

/** What happens, as it happens. */
export function eventRoutes(site: Site): Route[] {
  const teller = new Teller(site);
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
        meters: Flag.meta({
          description: "tell also what stands on the meters of attempts under way, as it grows",
        }),
      }),
      answers: {
        200: {
          description: "Each event, with its id; meters have none",
          events: z.union([EventSchema, MetersSchema]),
        },
      },
      handle: ({ c, query: { after, ...wanted } }) => {
        const seen = Number(c.req.header("last-event-id") ?? NaN);
        const last = Number.isSafeInteger(seen) && seen >= 0 ? seen : after;
        const end = new AbortController();
        // From here on nothing is missed, whenever it comes to be read.
        const events = site.store?.watch(end.signal, last) ?? site.engine.watch(end.signal);
        return c.body(stream(site, pieces(site, teller, events, wanted), end), 200, {
          "content-type": "text/event-stream",
          // Else proxies would keep what comes until it is much.
          "x-accel-buffering": "no",
        });
      },
    }),
  ];
}

/** What of all that happens is told. */
interface Wanted {
  readonly dag?: string | undefined;
  readonly run?: string | undefined;
  readonly meters: boolean;
}

/** Events as text/event-stream, and a comment when there is none for a while. Nothing is read before it is asked for. */
async function* pieces(
  site: Site,
  teller: Teller,
  events: AsyncIterable<Happened>,
  wanted: Wanted,
): AsyncGenerator<string, void> {
  yield `retry: ${RETRY}\n: here we go\n\n`;
  const iterator = events[Symbol.asyncIterator]();
  let coming = iterator.next();
  let quiet = performance.now();
  let metered = -Infinity;
  let told = "";
  try {
    for (;;) {
      const next = await orNothing(
        coming,
        wanted.meters ? Math.min(METERS, site.heartbeat) : site.heartbeat,
      );
      const time = performance.now();
      if (wanted.meters && time - metered >= METERS) {
        metered = time;
        const text = JSON.stringify(site.mask.json(meters()));
        // That nothing runs is told once.
        if (text !== told) yield `event: meters\ndata: ${told = text}\n\n`;
      }
      if (next === undefined) {
        if (time - quiet < site.heartbeat) continue;
        quiet = time;
        yield ": still here\n\n";
        continue;
      }
      quiet = time;
      if (next.done) return;
      coming = iterator.next();
      coming.catch(() => {});
      const event = next.value;
      if (wanted.run !== undefined && event.run !== wanted.run) continue;
      if (wanted.dag !== undefined && await teller.dagOf(event) !== wanted.dag) continue;
      yield await teller.tell(event);
    }
  } finally {
    iterator.return?.();
  }

  function meters(): z.input<typeof MetersSchema> {
    const { dag, run } = wanted;
    const attempts = site.engine.underWay()
      .filter((one) => (dag ?? one.dag) === one.dag && (run ?? one.run) === one.run)
      .map(({ run, readings, ...one }) => ({ run_id: run, ...one, ...paceDocument(readings) }));
    return { attempts };
  }
}

/** An event; where no store tells, it has no number. */
type Happened = Event & { readonly seq?: number };

/** How many events, and the DAGs of how many runs, are kept to be told again. */
const KEPT = 1000;

/** Makes text of events, once for all who follow. */
class Teller {
  readonly #site: Site;
  readonly #texts = new Map<number, string>();
  readonly #dags = new Map<string, string | null>();

  constructor(site: Site) {
    this.#site = site;
  }

  async tell(event: Happened): Promise<string> {
    const { seq, type } = event;
    const known = seq === undefined ? undefined : this.#texts.get(seq);
    if (known !== undefined) return known;
    const data = this.#site.mask.json(document(event, await this.dagOf(event)));
    const id = seq === undefined ? "" : `id: ${seq}\n`;
    const text = `${id}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
    if (seq !== undefined) keep(this.#texts, seq, text);
    return text;
  }

  /** The id of the DAG that an event is about; null for a run that is not kept any more. */
  async dagOf(event: Event): Promise<string | null> {
    if (event.type === "run_created") return event.dag;
    const known = this.#dags.get(event.run);
    if (known !== undefined) return known;
    const dag = (await this.#site.engine.get(event.run))?.dag ?? null;
    keep(this.#dags, event.run, dag);
    return dag;
  }
}

/** Keeps a value, and lets go of the one that was kept longest when there are too many. */
function keep<K, V>(values: Map<K, V>, key: K, value: V): void {
  values.set(key, value);
  const [first] = values.keys();
  if (values.size > KEPT) values.delete(first!);
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
      return { ...base, state: "queued", run: runHead(reduce(undefined, event)) };
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
