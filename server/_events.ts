import { z } from "zod";
import { type DagChange, type Event, reduce } from "../engine/mod.ts";
import { Standing, standing } from "./_dags.ts";
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
import { merge } from "./_merge.ts";
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

export const DagChangeSchema = z.strictObject({
  dag: z.string(),
  defined: z.boolean().meta({ description: "it was added, or removed, or its definition changed" }),
  status: Standing.nullable().meta({ description: "as it is from then on; null: it is gone" }),
}).register(named, { id: "DagChange" });

export const FaultsSchema = z.strictObject({ faults: z.array(z.string()) })
  .register(named, { id: "Faults" });

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
          description:
            "Events of runs, which have ids; as they are now, without: `dag`, a DAG that " +
            "was paused, let go, or changed; `faults`, what cannot be loaded; `meters`",
          events: z.union([EventSchema, DagChangeSchema, FaultsSchema, MetersSchema]),
        },
      },
      handle: ({ c, query: { after, ...wanted } }) => {
        const seen = Number(c.req.header("last-event-id") ?? NaN);
        const last = Number.isSafeInteger(seen) && seen >= 0 ? seen : after;
        const end = new AbortController();
        // From here on nothing is missed, whenever it comes to be read.
        const events = site.store?.watch(end.signal, last) ?? site.engine.watch(end.signal);
        const sources = [events, site.engine.watchDags(end.signal)];
        return c.body(stream(site, pieces(site, teller, sources, wanted), end), 200, {
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
  sources: readonly AsyncIterable<Happened | DagChange>[],
  wanted: Wanted,
): AsyncGenerator<string, void> {
  yield `retry: ${RETRY}\n: here we go\n\n`;
  let quiet = performance.now();
  let metered = -Infinity;
  // That nothing runs, or cannot be loaded, is told once.
  let toldMeters = "";
  let toldFaults = plain("faults", { faults: site.faults() });
  const patience = wanted.meters ? Math.min(METERS, site.heartbeat) : site.heartbeat;
  for await (const next of merge(sources, patience)) {
    const time = performance.now();
    if (wanted.meters && time - metered >= METERS) {
      metered = time;
      const text = plain("meters", meters());
      if (text !== toldMeters) yield toldMeters = text;
    }
    const { dag, run } = wanted;
    if (dag === undefined && run === undefined) {
      const text = plain("faults", { faults: site.faults() });
      if (text !== toldFaults) yield toldFaults = text;
    }
    if (next === undefined) {
      if (time - quiet < site.heartbeat) continue;
      quiet = time;
      yield ": still here\n\n";
      continue;
    }
    quiet = time;
    if ("type" in next) {
      if (run !== undefined && next.run !== run) continue;
      if (dag !== undefined && await teller.dagOf(next) !== dag) continue;
      yield await teller.tell(next);
    } else if (run === undefined && (dag ?? next.id) === next.id) {
      yield plain("dag", change(next));
    }
  }

  /** An event that is not on record. */
  function plain(event: string, data: unknown): string {
    return `event: ${event}\ndata: ${JSON.stringify(site.mask.json(data))}\n\n`;
  }

  function change({ id, defined }: DagChange): z.input<typeof DagChangeSchema> {
    return { dag: id, defined, status: site.engine.dags.has(id) ? standing(site, id) : null };
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
