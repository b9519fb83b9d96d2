import type { AnyDag } from "./dag.ts";
import { areSame, caused, settleWrites, spanOf } from "./_causes.ts";
import { createRun, type Definition } from "./_create.ts";
import { Changes } from "./_changes.ts";
import type { Chores } from "./_chores.ts";
import { DatasetWatch } from "./_dataset_watch.ts";
import type { Sleep } from "./_deadline.ts";
import type { Loop } from "./_loop.ts";
import type { Scheduled } from "./_scheduled.ts";
import { datasetNames } from "./dataset.ts";
import { resolveParams } from "./params.ts";
import { activate, owed } from "./owed.ts";
import { next, parseSchedule } from "./schedule.ts";
import { serial } from "./_serial.ts";
import type { Run } from "./state.ts";
import type { DagRecord, Store } from "./store.ts";
import type { Interval } from "./work.ts";

/** After what time a schedule is looked at again that could not make its runs. */
const AGAIN = { seconds: 10 };

/** What schedules are given. */
export interface SchedulesOptions {
  readonly store: Store;
  readonly now: () => Temporal.Instant;
  readonly sleep: Sleep;
  /** Whether a DAG that is new starts out paused, unless it says so itself. */
  readonly startPaused: boolean;
  /** Told what went wrong with a DAG's schedule. */
  readonly onError: (error: unknown) => void;
}

/** Makes the runs that DAGs owe. */
export class Schedules implements Chores, AsyncDisposable {
  /** Looks what runs there are and makes those that are missing; meanwhile nobody else makes the same ones. */
  readonly alone: <T>(make: () => Promise<T>) => Promise<T> = serial();
  /** Which DAGs are not as they were. */
  readonly changes: Changes = new Changes();
  readonly #options: SchedulesOptions;
  readonly #loop: () => Loop;
  readonly #watch: DatasetWatch;
  #dags: ReadonlyMap<string, Scheduled> = new Map();
  #started = false;

  constructor(options: SchedulesOptions, loop: () => Loop) {
    this.#options = options;
    this.#loop = loop;
    this.#watch = new DatasetWatch({
      ...options,
      dags: () => this.#dags,
      update: (scheduled, change) => this.#update(scheduled, change),
      onWrite: (scheduled) => {
        scheduled.look = true;
        loop().wake();
      },
    });
  }

  /** The DAGs by id. */
  get dags(): ReadonlyMap<string, Scheduled> {
    return this.#dags;
  }

  /** Takes these DAGs instead of those before. @throws {TypeError} when one cannot be scheduled, changing nothing */
  async define(definitions: readonly Definition[]): Promise<void> {
    const dags = new Map<string, Scheduled>();
    for (const { dag, hash } of definitions) {
      if (dags.has(dag.id)) throw new TypeError(`Cannot take two DAGs of the id "${dag.id}"`);
      const timetable = parseSchedule(dag.options.schedule, dag.options);
      // One without a schedule does nothing by itself that could be unwelcome.
      const { schedule, paused = this.#options.startPaused && schedule !== undefined } =
        dag.options;
      const record = this.#dags.get(dag.id)?.record ??
        await this.#options.store.dag(dag.id) ?? { id: dag.id, version: 0, paused };
      dags.set(dag.id, { dag, hash, timetable, record, look: undefined });
      activate(dag.options, timetable, { ...record, now: this.#options.now() });
    }
    const before = this.#dags;
    const fresh = [...dags.values()].filter(({ dag }) => {
      const known = before.get(dag.id);
      return !known || known.record.held !== undefined || !sameCatchup(known.dag, dag);
    }).map(({ dag }) => dag.id);
    const versions = new Map([...before].map(([id, { dag }]) => [id, dag]));
    // Those that were here stay the same objects: what is under way with one, a pause maybe, holds for its new version.
    this.#dags = new Map([...dags].map(([id, scheduled]) => {
      const { record: _, ...version } = scheduled;
      const known = before.get(id);
      return [id, known ? Object.assign(known, { ...version, look: true }) : scheduled];
    }));
    for (const id of new Set([...before.keys(), ...dags.keys()])) {
      if (versions.get(id) !== this.#dags.get(id)?.dag) this.changes.note(id, true);
    }
    if (!this.#started) return;
    for (const id of fresh) await this.#activate(this.#dags.get(id)!);
    await this.#watch.begin();
  }

  /** Begins to make runs. */
  async start(): Promise<void> {
    if (this.#started) return;
    this.#started = true;
    for (const scheduled of this.#dags.values()) await this.#activate(scheduled);
    await this.#watch.begin();
  }

  /** Ends what goes on by itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.changes[Symbol.dispose]();
    await this.#watch[Symbol.asyncDispose]();
  }

  /** Whether a DAG starts nothing by itself. */
  isPaused(id: string): boolean {
    return this.#dags.get(id)?.record.paused ?? false;
  }

  /** Pauses a DAG, or ends that; tells how many runs it will start at once, and why it may not. */
  async setPaused(
    id: string,
    paused: boolean,
    confirm = false,
  ): Promise<{ due: number; held?: string }> {
    const scheduled = this.#dags.get(id)!;
    const confirmed = confirm ? { confirmed: this.#options.now().toString() } : {};
    await this.#update(
      scheduled,
      ({ held: _, ...record }) => ({ ...record, ...confirmed, paused }),
    );
    if (paused) return { due: 0 };
    return await this.#activate(scheduled);
  }

  /** How many runs a DAG would start at once were it not paused, and why it might not. */
  async missed(id: string, confirm: boolean): Promise<{ due: number; held?: string }> {
    const scheduled = this.#dags.get(id)!;
    const confirmed = confirm ? { confirmed: this.#options.now().toString() } : {};
    const made = await this.#made(scheduled);
    const { due, record } = this.#release(scheduled, { ...scheduled.record, ...confirmed }, made);
    return { due, ...record.held === undefined ? {} : { held: record.held } };
  }

  /** A run is over: there may be room for another one. */
  ended({ dag }: Run): void {
    const scheduled = this.#dags.get(dag);
    if (scheduled) scheduled.look = true;
  }

  /** The interval that a DAG makes a run for next. */
  next({ timetable, record }: Scheduled): Interval | undefined {
    const now = this.#options.now().toZonedDateTimeISO(timetable.timezone);
    const lastEnd = record.cursor === undefined
      ? undefined
      : Temporal.Instant.from(record.cursor).toZonedDateTimeISO(timetable.timezone);
    return next(timetable, { now, lastEnd });
  }

  due(): Temporal.Instant | undefined {
    if (!this.#started) return undefined;
    let first: Temporal.Instant | undefined;
    for (const { look } of this.#dags.values()) {
      if (look === true) return this.#options.now();
      if (look && (!first || Temporal.Instant.compare(look, first) < 0)) first = look;
    }
    return first;
  }

  async run(now: Temporal.Instant): Promise<void> {
    if (!this.#started) return;
    for (const scheduled of this.#dags.values()) {
      const { look } = scheduled;
      if (look !== true && (!look || Temporal.Instant.compare(look, now) > 0)) continue;
      scheduled.look = undefined;
      try {
        await this.#create(scheduled, now);
        await this.#createCaused(scheduled, now);
      } catch (error) {
        scheduled.look = now.add(AGAIN);
        this.#options.onError(error);
      }
    }
  }

  async #create(scheduled: Scheduled, now: Temporal.Instant): Promise<void> {
    const { dag, hash, timetable, record } = scheduled;
    const loop = this.#loop();
    const active = [...loop.runs]
      .filter(({ run }) => run.dag === dag.id && run.kind === "scheduled").length;
    const { create, next } = owed(dag.options, timetable, { now, record, active });
    scheduled.look = next;
    if (create.length === 0) return;
    const params = await resolveParams(dag, {});
    for (const interval of create) {
      await this.alone(async () => {
        const date = interval.start.toInstant().toString();
        const query = { dag: dag.id, from: date, to: date, tasks: false };
        if ((await this.#options.store.list(query)).some(isOfSchedule)) {
          // A backfill made one, or we did, and died before we could write that down. There is room for another one.
          scheduled.look = true;
          return;
        }
        const runAfter = interval.end.toInstant();
        const kind = "scheduled";
        const what = { dag, hash, kind, interval, params, runAfter, now } as const;
        loop.add(dag, await createRun(this.#options.store, what));
      });
    }
    const cursor = create.at(-1)!.end.toInstant().toString();
    await this.#update(scheduled, (record) => ({ ...record, cursor }));
  }

  /** Makes the runs that are due to datasets. */
  async #createCaused(scheduled: Scheduled, now: Temporal.Instant): Promise<void> {
    const { dag, hash, timetable, record: { paused, writes } } = scheduled;
    if (paused || !writes || datasetNames(dag.options.schedule).size === 0) return;
    const { store } = this.#options;
    for (const causes of writes.due) {
      const interval = spanOf(causes, timetable.timezone);
      const date = interval.start.toInstant().toString();
      const kind = "dataset";
      const there = await store.list({ dag: dag.id, kind, from: date, to: date, tasks: false });
      // We made it, and died before we could write that down.
      if (!there.some((run) => run.causes && areSame(run.causes, causes))) {
        const params = await resolveParams(dag, {});
        const what = { dag, hash, kind, interval, params, runAfter: now, causes, now } as const;
        this.#loop().add(dag, await createRun(store, what));
      }
      await this.#update(scheduled, (record) => {
        return { ...record, writes: caused(record.writes!, causes) };
      });
    }
  }

  async #activate(scheduled: Scheduled): Promise<{ due: number; held?: string }> {
    if (scheduled.record.paused) return { due: 0 };
    const version = scheduled.hash === undefined ? {} : { hash: scheduled.hash };
    const made = await this.#made(scheduled);
    let due = 0;
    await this.#update(scheduled, (before) => {
      const released = this.#release(scheduled, before, made);
      due = released.due;
      return { ...released.record, ...version };
    });
    scheduled.look = true;
    this.#loop().wake();
    const { held } = scheduled.record;
    return { due, ...held === undefined ? {} : { held } };
  }

  /** What becomes of a DAG's record when it may start by itself, and how many runs are due then. */
  #release(
    { dag, timetable }: Scheduled,
    { held: _, ...before }: DagRecord,
    made: ReadonlySet<string>,
  ): { record: DagRecord; due: number } {
    const now = this.#options.now();
    const { due, ...known } = activate(dag.options, timetable, { ...before, now, made });
    const writes = before.writes && settleWrites(before.writes, datasetNames(dag.options.schedule));
    const record = { ...before, ...known, ...writes ? { writes } : {} };
    return { record, due: due + (writes?.due.length ?? 0) };
  }

  /** The logical dates behind its cursor for which a DAG has a run already: a backfill made it, or we did. */
  async #made({ dag, record: { cursor: from } }: Scheduled): Promise<Set<string>> {
    const query = { dag: dag.id, ...from === undefined ? {} : { from }, tasks: false };
    const runs = await this.#options.store.list(query);
    return new Set(runs.filter(isOfSchedule).map(({ logicalDate }) => logicalDate));
  }

  /** Changes what is known of a DAG, however often somebody else changes it meanwhile. */
  async #update(scheduled: Scheduled, change: (record: DagRecord) => DagRecord): Promise<void> {
    const { store } = this.#options;
    for (;;) {
      const before = scheduled.record;
      const record = change(before);
      if (record === before) return;
      if (await store.setDag(record)) {
        scheduled.record = { ...record, version: record.version + 1 };
        const { paused, held, cursor } = before;
        // What is noted of writes shows nowhere.
        const shows = paused !== record.paused || held !== record.held || cursor !== record.cursor;
        if (shows) this.changes.note(record.id);
        return;
      }
      scheduled.record = await store.dag(record.id) ?? { ...scheduled.record, version: 0 };
    }
  }
}

/** Whether a run is the one of its interval. */
function isOfSchedule({ kind }: Run): boolean {
  return kind === "scheduled" || kind === "backfill";
}

/** Whether what was missed is made up for as before: else it is settled anew. */
function sameCatchup({ options: a }: AnyDag, { options: b }: AnyDag): boolean {
  return JSON.stringify([a.catchup, a.catchupWindow]) ===
    JSON.stringify([b.catchup, b.catchupWindow]);
}
