import { note, settleWrites } from "./_causes.ts";
import type { Sleep } from "./_deadline.ts";
import type { Scheduled } from "./_scheduled.ts";
import { datasetNames } from "./dataset.ts";
import type { Cause } from "./state.ts";
import type { DagRecord, Recorded, Store } from "./store.ts";

/** After how many milliseconds it is tried again to put on record what was written. */
const AGAIN = 10_000;
/** A DAG that is further behind than so many events takes note of that, though none of them is about its datasets. */
const BEHIND = 10_000;

/** What a watch of datasets is given. */
export interface DatasetWatchOptions {
  readonly store: Store;
  readonly sleep: Sleep;
  /** The DAGs by id. */
  readonly dags: () => ReadonlyMap<string, Scheduled>;
  /** Changes what is known of a DAG. */
  readonly update: (
    scheduled: Scheduled,
    change: (record: DagRecord) => DagRecord,
  ) => Promise<void>;
  /** Told when runs of a DAG may have become due. */
  readonly onWrite: (scheduled: Scheduled) => void;
  readonly onError: (error: unknown) => void;
}

/**
 * Takes note, on the records of DAGs that are scheduled on datasets, of what tasks write. It goes by what is on record of
 * runs: so what was written and not noted before a crash, is after it.
 */
export class DatasetWatch implements AsyncDisposable {
  readonly #options: DatasetWatchOptions;
  #stop = new AbortController();
  #watching: Promise<void> = Promise.resolve();

  constructor(options: DatasetWatchOptions) {
    this.#options = options;
  }

  /** Begins, from where the DAG stands that is the furthest behind; to be called again when other DAGs come in. */
  async begin(): Promise<void> {
    const { store, dags, update, onWrite } = this.#options;
    await this[Symbol.asyncDispose]();
    const concerned = [...dags().values()].filter(({ dag }) =>
      datasetNames(dag.options.schedule).size > 0
    );
    if (concerned.length === 0) return;
    const last = await store.last();
    for (const scheduled of concerned) {
      await update(scheduled, (record) => {
        // What was written before anybody was scheduled on it is no cause.
        const { writes = { seen: last, since: {}, due: [] } } = record;
        // A store that was repaired may have lost its last events, whose numbers come again.
        const known = writes.seen > last ? { ...writes, seen: last } : writes;
        // It may wait for fewer of them than before.
        const settled = record.paused
          ? known
          : settleWrites(known, datasetNames(scheduled.dag.options.schedule));
        return settled === record.writes ? record : { ...record, writes: settled };
      });
      if (scheduled.record.writes!.due.length > 0) onWrite(scheduled);
    }
    const seen = concerned.map(({ record }) => record.writes!.seen);
    this.#stop = new AbortController();
    this.#watching = this.#watch(Math.min(...seen), this.#stop.signal);
  }

  /** Resolves when it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }

  async #watch(seen: number, signal: AbortSignal): Promise<void> {
    const { store, sleep, onError } = this.#options;
    while (!signal.aborted) {
      try {
        for await (const event of store.watch(signal, seen)) {
          await this.#take(event);
          seen = event.seq;
        }
        // The store was closed.
        return;
      } catch (error) {
        onError(error);
        await sleep(AGAIN, signal).catch(() => {});
      }
    }
  }

  async #take(event: Recorded): Promise<void> {
    const { dags, update, onWrite } = this.#options;
    const causes = await this.#causesOf(event);
    for (const scheduled of dags().values()) {
      const names = datasetNames(scheduled.dag.options.schedule);
      const own = causes.filter(({ dataset }) => names.has(dataset));
      const { seen = event.seq } = scheduled.record.writes ?? {};
      if (own.length === 0 && event.seq - seen < BEHIND) continue;
      await update(scheduled, (record) => {
        const { writes, paused } = record;
        if (!writes || writes.seen >= event.seq) return record;
        const noted = { ...note(writes, own), seen: event.seq };
        return { ...record, writes: paused ? noted : settleWrites(noted, names) };
      });
      onWrite(scheduled);
    }
  }

  /** What an event says was written. Who marks a task as a success has written nothing. */
  async #causesOf(event: Recorded): Promise<readonly Cause[]> {
    if (event.type !== "task_changed" || event.index !== undefined) return [];
    const { run: id, task, at, seq, to } = event;
    if (to.state !== "success" || to.reason === "marked") return [];
    const { store, dags } = this.#options;
    const writers = [...dags().values()].filter(({ dag }) => dag.tasks.get(task)?.options.writes);
    const run = writers.length > 0 ? await store.get(id) : undefined;
    const { dag } = writers.find(({ dag }) => dag.id === run?.dag) ?? {};
    if (!run || !dag) return [];
    const { start, end } = run.interval;
    const interval = { start: utc(start), end: utc(end) };
    const names = new Set(dag.tasks.get(task)!.options.writes!.map(({ name }) => name));
    return [...names].map((dataset) => ({
      dataset,
      dag: dag.id,
      run: id,
      task,
      at,
      seq,
      interval,
    }));
  }
}

function utc(moment: string): string {
  return Temporal.Instant.from(moment).toString();
}
