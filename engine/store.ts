import { type Event, reduce, type Run, type RunState } from "./state.ts";

/** Which runs to list. */
export interface RunQuery {
  /** Only those of a DAG. */
  readonly dag?: string;
  /** Only those in a state. */
  readonly state?: RunState;
  /** At most so many. @default {all of them} */
  readonly limit?: number;
}

/** Keeps what happened: for each run its events, in order. */
export interface Store {
  /**
   * Adds events to a run, all or none; resolves when they are durable. False, and nothing is added, when the run is not
   * at `version` any more; a new one is at 0.
   */
  append(run: string, version: number, events: readonly Event[]): Promise<boolean>;
  /** A run as its events made it. */
  get(run: string): Promise<Run | undefined>;
  /** The runs that fit, the latest created first. */
  list(query?: RunQuery): Promise<readonly Run[]>;
  /** All events from now on, until the signal is aborted. */
  watch(signal: AbortSignal): AsyncIterable<Event>;
}

/** Keeps what happened for as long as the process lives. */
export function memory(): Store {
  const runs = new Map<string, Run>();
  const watchers = new Set<(event: Event) => void>();
  return {
    append(id, version, events) {
      const run = runs.get(id);
      if ((run?.version ?? 0) !== version) return Promise.resolve(false);
      const next = events.reduce<Run | undefined>(reduce, run);
      if (next) runs.set(id, next);
      for (const event of events) for (const watcher of watchers) watcher(event);
      return Promise.resolve(true);
    },
    get: (id) => Promise.resolve(runs.get(id)),
    list({ dag, state, limit } = {}) {
      const found = [...runs.values()].reverse()
        .filter((run) => dag === undefined || run.dag === dag)
        .filter((run) => state === undefined || run.state === state);
      return Promise.resolve(found.slice(0, limit));
    },
    watch: (signal) => follow(watchers, signal),
  };
}

/** Listens from the call on, not only from the first read on. */
function follow(
  watchers: Set<(event: Event) => void>,
  signal: AbortSignal,
): AsyncIterable<Event> {
  const waiting: Event[] = [];
  let more = Promise.withResolvers<void>();
  const watcher = (event: Event): void => {
    waiting.push(event);
    more.resolve();
  };
  const stop = (): void => {
    watchers.delete(watcher);
    more.resolve();
  };
  async function* events(): AsyncGenerator<Event, void> {
    try {
      while (!signal.aborted) {
        more = Promise.withResolvers();
        while (waiting.length > 0) yield waiting.shift()!;
        if (!signal.aborted) await more.promise;
      }
    } finally {
      watchers.delete(watcher);
      signal.removeEventListener("abort", stop);
    }
  }
  watchers.add(watcher);
  signal.addEventListener("abort", stop, { once: true });
  return events();
}
