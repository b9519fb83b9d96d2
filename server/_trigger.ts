import type { AnyDag, Interval, Run } from "../engine/mod.ts";
import { isOver } from "../engine/mod.ts";
import type { Site } from "./_site.ts";
import { Refusal } from "./refusal.ts";

/** A run that is asked for. */
export interface Request {
  readonly dag: AnyDag;
  readonly kind: "manual" | "webhook";
  readonly params: Readonly<Record<string, unknown>>;
  readonly date?: string | undefined;
  readonly interval?: Interval | undefined;
  /** Asking with the same one again makes no other run. */
  readonly key?: string | undefined;
  /** What was asked for, to tell whether it is the same. */
  readonly content: string;
}

/** The run that was asked for. */
export interface Triggered {
  readonly run: Run;
  /** Whether it had been asked for before. */
  readonly repeated: boolean;
}

/** How long to wait when the queue is full, in seconds. */
const RETRY_AFTER = 5;
/** How long a count of the queue holds, in milliseconds. */
const COUNT = 200;

/** Has runs made, as many as there is room for, and one for each key. */
export class Desk {
  readonly #site: Site;
  /** At least as many runs as were queued when it was last counted, or were made since. */
  #queued = 0;
  /** How many are about to be. */
  #making = 0;
  #made = 0;
  #counted = -Infinity;
  #counting: Promise<void> | undefined;

  constructor(site: Site) {
    this.#site = site;
  }

  /** @throws {Refusal} 400 for what does not fit the DAG, 422 for a key of another request, 429 when the queue is full */
  async trigger(request: Request): Promise<Triggered> {
    const { engine, receipts, now } = this.#site;
    const { key, content } = request;
    const make = () => this.#make(request);
    const { run: id, repeated } = key === undefined
      ? { run: await make(), repeated: false }
      : await receipts.once({
        key,
        content,
        now: now(),
        make,
        find: (since) => this.#find(request, since),
      });
    const run = await engine.get(id);
    if (!run) throw new Refusal(410, `run "${id}", which this key made, is not kept any more`);
    return { run, repeated };
  }

  async #make({ dag, kind, params, date, interval }: Request): Promise<string> {
    await this.#enter();
    try {
      const when = { ...date === undefined ? {} : { date }, ...interval ? { interval } : {} };
      const { id } = await byRequest(() =>
        this.#site.engine.trigger(dag, { kind, params, ...when })
      );
      this.#queued++;
      this.#made++;
      return id;
    } finally {
      this.#making--;
    }
  }

  /** Takes a place in the queue. What else fills it is seen when it is counted again. */
  async #enter(): Promise<void> {
    const { maxQueuedRuns: most, engine } = this.#site;
    if (performance.now() - this.#counted > COUNT) {
      this.#counting ??= (async () => {
        const before = this.#made;
        const { length } = await engine.runs({ state: "queued", limit: most });
        // Whether those made meanwhile were seen is not known: none is left out.
        this.#queued = length + this.#made - before;
        this.#counted = performance.now();
      })().finally(() => this.#counting = undefined);
      await this.#counting;
    }
    if (this.#queued + this.#making >= most) {
      throw new Refusal(429, `${most} runs wait already; ask again in ${RETRY_AFTER} s`, {
        headers: { "retry-after": String(RETRY_AFTER) },
      });
    }
    this.#making++;
  }

  /** The run that was made for a request when nobody could write that down. */
  async #find({ dag, kind, params }: Request, since: string): Promise<string | undefined> {
    const { engine, receipts } = this.#site;
    const before = Temporal.Instant.from(since).subtract({ nanoseconds: 1 }).toString();
    const made = await engine.runs({
      dag: dag.id,
      kind,
      after: { created: before, id: "~" },
    });
    const fits = ({ params: has }: Run): boolean =>
      Object.entries(params).every(([name, value]) =>
        JSON.stringify(has[name]) === JSON.stringify(value)
      );
    return made.findLast((run) => fits(run) && !receipts.has(run.id))?.id;
  }
}

/** Does what a request asks of the engine: what does not fit there is the fault of who asks. */
export async function byRequest<T>(what: () => T | Promise<T>): Promise<T> {
  try {
    return await what();
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    const status = /engine (is|was) closed/.test(error.message) ? 503 : 400;
    throw new Refusal(status, error.message, { cause: error });
  }
}

/** A run's states as they change, until it is over; the last is the run as it ended. */
export async function* states(
  { engine }: Site,
  id: string,
  end: AbortController,
): AsyncGenerator<{ readonly run: Run; readonly task?: string; readonly index?: number }, void> {
  // Watched from before it is looked at, so that nothing is missed between.
  const events = engine.watch(end.signal)[Symbol.asyncIterator]();
  const run = await engine.get(id);
  if (!run) return;
  yield { run };
  if (isOver(run)) return void end.abort();
  for (;;) {
    const { done, value: event } = await events.next();
    if (done) return;
    if (event.run !== id) continue;
    const now = await engine.get(id);
    if (!now) return;
    if (event.type === "task_changed") {
      yield {
        run: now,
        task: event.task,
        ...event.index === undefined ? {} : { index: event.index },
      };
    } else yield { run: now };
    if (event.type === "run_changed" && isOver(now)) return void end.abort();
  }
}
