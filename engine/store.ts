// What `memory` does is asynchronous though it waits for nothing: so it rejects instead of throwing.
// deno-lint-ignore-file require-await
import { Bell } from "./_bell.ts";
import type { Writes } from "./_causes.ts";
import { type Event, reduceAll, type Run, type RunKind, type RunState } from "./state.ts";

/** Where a run stands in a list, be it still there or not: any run tells its own. */
export type Place = Pick<Run, "created" | "id">;

/** Which runs to list. Moments are ISO strings in UTC. */
export interface RunQuery {
  /** Only those of a DAG. */
  readonly dag?: string;
  /** Only those in a state. */
  readonly state?: RunState;
  /** Only those of a kind. */
  readonly kind?: RunKind;
  /** Only those of this logical date or a later one. */
  readonly from?: string;
  /** Only those of this logical date or an earlier one. */
  readonly to?: string;
  /** Only those created before this one: with the last run of a page, the next page. */
  readonly before?: Place;
  /** Only those created after this one. */
  readonly after?: Place;
  /** Which come first: those created last, or those of the latest logical date. @default {"created"} */
  readonly order?: "created" | "logical_date";
  /** At most so many. @default {all of them} */
  readonly limit?: number;
  /** Whether their tasks come along; without, runs of many tasks are listed at once. @default {true} */
  readonly tasks?: boolean;
}

/** An event with its number: it grows over all runs, but not always by one. */
export type Recorded = Event & { readonly seq: number };

/** What is to be known of a DAG from one of its runs to the next. Moments are ISO strings in UTC. */
export interface DagRecord {
  /** Of the DAG. */
  readonly id: string;
  /** How often the record was changed. */
  readonly version: number;
  /** Whether it starts nothing by itself. */
  readonly paused: boolean;
  /** Where the last interval ended that it made a run for by itself. */
  readonly cursor?: string;
  /** Why it makes no runs by itself until someone confirms it. */
  readonly held?: string;
  /** Up to when someone confirmed that all that was due is to run. */
  readonly confirmed?: string;
  /** Tells the versions of its definition apart. */
  readonly hash?: string;
  /** What came of the datasets it is scheduled on. */
  readonly writes?: Writes;
}

/** There is no room to keep anything more: nothing was changed, and it goes on once there is. */
export class StoreFull extends Error {
  /** As `error.name` has it. */
  override name = "StoreFull";
}

/** Keeps what happened: for each run its events, in order. Disposing of it ends those who watch. */
export interface Store extends AsyncDisposable {
  /**
   * Adds events to a run, all or none; resolves when they are durable. False, and nothing is added, when the run is not
   * at `version` any more; a new one is at 0.
   *
   * @throws {TypeError} when an event does not fit the run
   * @throws {StoreFull} when there is no room
   */
  append(run: string, version: number, events: readonly Event[]): Promise<boolean>;
  /** A run as its events made it. */
  get(run: string): Promise<Run | undefined>;
  /** The runs that fit, by default the latest created first; of those created at once, the greater id first. */
  list(query?: RunQuery): Promise<readonly Run[]>;
  /**
   * All events behind the one numbered `after`, until the signal is aborted; those of forgotten runs are missing.
   *
   * @param after 0 for all there are; by default, those from now on
   */
  watch(signal: AbortSignal, after?: number): AsyncIterable<Recorded>;
  /** All that happened to a run, in order. */
  history(run: string): Promise<readonly Recorded[]>;
  /** The number of the last event; 0 when there is none. */
  last(): Promise<number>;
  /** What is known of a DAG. */
  dag(id: string): Promise<DagRecord | undefined>;
  /** What is known of all DAGs, by id. */
  dags(): Promise<readonly DagRecord[]>;
  /**
   * Replaces what is known of a DAG; what is kept is one version later than the record given. Resolves when it is
   * durable. False, and nothing is changed, when the DAG is not at the record's version any more; a new one is at 0.
   */
  setDag(record: DagRecord): Promise<boolean>;
  /** Forgets the runs that ended before a moment, an ISO string in UTC; tells which. */
  forget(before: string): Promise<readonly Pick<Run, "dag" | "id">[]>;
}

/** Keeps what happened for as long as the process lives. */
export function memory(): Store {
  const runs = new Map<string, Kept>();
  const dags = new Map<string, DagRecord>();
  const bell = new Bell();
  const closed = new AbortController();
  let recorded: Recorded[] = [];
  let seq = 0;
  return {
    async append(id, version, events) {
      const known = runs.get(id);
      if ((known?.run.version ?? 0) !== version) return false;
      const run = reduceAll(known?.run, events);
      if (run) {
        const { place = placeOf(run), date = sortable(run.logicalDate) } = known ?? {};
        runs.set(id, { run, place, date });
      }
      for (const event of events) recorded.push({ ...event, seq: ++seq });
      bell.ring();
      return true;
    },
    get: async (id) => runs.get(id)?.run,
    async list({ limit, order, tasks = true, ...query } = {}) {
      const fits = filter(query);
      const rank = ({ place, date }: Kept): string =>
        order === "logical_date" ? `${date} ${place}` : place;
      return [...runs.values()]
        .filter(fits)
        .sort((a, b) => rank(a) < rank(b) ? 1 : -1)
        .slice(0, limit)
        .map(({ run }) => tasks ? run : { ...run, tasks: {}, mapped: {} });
    },
    watch: (signal, after = seq) => {
      const read = (after: number): Recorded[] => {
        return recorded.slice(recorded.findLastIndex((event) => event.seq <= after) + 1);
      };
      const stop = AbortSignal.any([signal, closed.signal]);
      return follow({ read, wait: () => bell.wait(stop) }, after, stop);
    },
    history: async (run) => recorded.filter((event) => event.run === run),
    last: async () => seq,
    dag: async (id) => dags.get(id),
    dags: async () => [...dags.values()].sort((a, b) => a.id < b.id ? -1 : 1),
    async setDag(record) {
      const { id, version } = record;
      if ((dags.get(id)?.version ?? 0) !== version) return false;
      dags.set(id, { ...record, version: version + 1 });
      return true;
    },
    async forget(before) {
      const end = sortable(before);
      const old = [...runs.values()].map(({ run }) => run)
        .filter(({ ended }) => ended !== undefined && sortable(ended) < end);
      for (const { id } of old) runs.delete(id);
      recorded = recorded.filter((event) => runs.has(event.run));
      return old.map(({ dag, id }) => ({ dag, id }));
    },
    async [Symbol.asyncDispose]() {
      closed.abort();
    },
  };
}

/** A moment as text that sorts as time does. */
export function sortable(moment: string): string {
  return Temporal.Instant.from(moment).toString({ fractionalSecondDigits: 9 });
}

/** A place as text that sorts as places do. */
export function placeOf({ created, id }: Place): string {
  return `${sortable(created)} ${id}`;
}

/** Where a watcher finds events, which are numbered. */
export interface Feed<T extends { readonly seq: number } = Recorded> {
  /** The next events behind a number; as many as there are, or as are good to read at once. */
  read(after: number): readonly T[];
  /** Resolves when there may be more. */
  wait(): Promise<void>;
}

/** Gives the events of a feed: nothing is held for a watcher that is slow, and none of them is missed. */
export async function* follow<T extends { readonly seq: number }>(
  { read, wait }: Feed<T>,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<T, void> {
  while (!signal.aborted) {
    const events = read(after);
    for (const event of events) {
      yield event;
      if (signal.aborted) return;
      after = event.seq;
    }
    if (events.length === 0) await wait();
  }
}

/** A run that is kept, and by what it is found and sorted. */
interface Kept {
  readonly run: Run;
  readonly place: string;
  /** The logical date. */
  readonly date: string;
}

function filter(query: RunQuery): (kept: Kept) => boolean {
  const { dag, state, kind } = query;
  const from = query.from === undefined ? "" : sortable(query.from);
  const to = query.to === undefined ? "~" : sortable(query.to);
  const before = query.before ? placeOf(query.before) : "~";
  const after = query.after ? placeOf(query.after) : "";
  return ({ run, place, date }) =>
    (dag === undefined || run.dag === dag) &&
    (state === undefined || run.state === state) &&
    (kind === undefined || run.kind === kind) &&
    from <= date && date <= to && after < place && place < before;
}
