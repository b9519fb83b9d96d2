import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type Event, reduceAll, type Run, type TaskRun, UNTOUCHED } from "./state.ts";
import { type DagRecord, placeOf, type Recorded, type RunQuery, sortable } from "./store.ts";

/** Of a run, all but its tasks. */
interface RunRow {
  readonly id: string;
  readonly version: number;
  readonly run: string;
}

interface TaskRow {
  readonly id: string;
  /** -1 for the task as a whole. */
  readonly instance: number;
  readonly task: string;
}

/** A run as JSON, without what has tables of its own. */
type RunJson = Omit<Run, "version" | "tasks" | "mapped"> & {
  /** How many instances there are. */
  readonly mapped: Readonly<Record<string, number>>;
};

/** What a {@linkcode Store} does, on the tables of a database; transactions are for the caller to make. */
export class StateTables {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  get(id: string): Run | undefined {
    const row = this.#run(id);
    return row && this.#assemble(row);
  }

  list(query: RunQuery): Run[] {
    const { dag, state, kind, from, to, before, after, order = "created", limit = -1 } = query;
    const conditions = Object.entries({
      "dag = ?": dag,
      "state = ?": state,
      "kind = ?": kind,
      "logical >= ?": from === undefined ? undefined : sortable(from),
      "logical <= ?": to === undefined ? undefined : sortable(to),
      "place < ?": before && placeOf(before),
      "place > ?": after && placeOf(after),
    }).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const where = ["TRUE", ...conditions.map(([sql]) => sql)].join(" AND ");
    const by = order === "created" ? "place DESC" : "logical DESC, place DESC";
    return this.#sql(`SELECT id, version, run FROM runs WHERE ${where} ORDER BY ${by} LIMIT ?`)
      .all(...conditions.map(([, value]) => value), limit)
      .map((row) => row as unknown as RunRow)
      .map((row) => query.tasks === false ? withoutTasks(row) : this.#assemble(row));
  }

  /** Adds events, of which the first one has the number `seq` if they had theirs before. */
  append(id: string, version: number, events: readonly Event[], seq?: number): boolean {
    const row = this.#run(id);
    if ((row?.version ?? 0) !== version) return false;
    if (!row || !this.#change(row, events)) {
      const before = row && this.#assemble(row);
      const after = reduceAll(before, events);
      if (!after) return true;
      this.#keep(after, before);
    }
    const insert = this.#sql("INSERT INTO events (seq, run, version, event) VALUES (?, ?, ?, ?)");
    events.forEach((event, i) => {
      const number = seq === undefined ? null : seq + i;
      insert.run(number, id, version + i + 1, JSON.stringify(event));
    });
    return true;
  }

  /** At most `limit` events behind a number. */
  eventsAfter(seq: number, limit: number): Recorded[] {
    return this.#sql("SELECT seq, event FROM events WHERE seq > ? ORDER BY seq LIMIT ?")
      .all(seq, limit)
      .map(toRecorded);
  }

  /** Those of a run. */
  eventsOf(run: string): Recorded[] {
    return this.#sql("SELECT seq, event FROM events WHERE run = ? ORDER BY version")
      .all(run)
      .map(toRecorded);
  }

  /** The number of the last event. */
  last(): number {
    return Number(this.#sql("SELECT max(seq) AS seq FROM events").get()!.seq ?? 0);
  }

  dag(id: string): DagRecord | undefined {
    const row = this.#sql("SELECT dag FROM dags WHERE id = ?").get(id);
    return row && JSON.parse(String(row.dag));
  }

  dags(): DagRecord[] {
    return this.#sql("SELECT dag FROM dags ORDER BY id").all()
      .map(({ dag }) => JSON.parse(String(dag)));
  }

  setDag(record: DagRecord): boolean {
    const { id, version } = record;
    if ((this.dag(id)?.version ?? 0) !== version) return false;
    this.#sql("INSERT OR REPLACE INTO dags (id, dag) VALUES (?, ?)")
      .run(id, JSON.stringify({ ...record, version: version + 1 }));
    return true;
  }

  /** Forgets at most `limit` of the runs that ended before a moment. */
  forget(before: string, limit: number): Pick<Run, "dag" | "id">[] {
    const old = this.#sql("SELECT dag, id FROM runs WHERE ended < ? ORDER BY ended LIMIT ?")
      .all(sortable(before), limit)
      .map(({ dag, id }) => ({ dag: String(dag), id: String(id) }));
    for (const { id } of old) {
      this.#sql("DELETE FROM events WHERE run = ?").run(id);
      this.#sql("DELETE FROM tasks WHERE run = ?").run(id);
      this.#sql("DELETE FROM runs WHERE id = ?").run(id);
    }
    return old;
  }

  #run(id: string): RunRow | undefined {
    const row = this.#sql("SELECT id, version, run FROM runs WHERE id = ?").get(id);
    return row as unknown as RunRow | undefined;
  }

  /** Makes a run of its rows. */
  #assemble({ id, version, run }: RunRow): Run {
    const { mapped: counts, ...rest }: RunJson = JSON.parse(run);
    const rows = this.#sql(
      "SELECT id, instance, task FROM tasks WHERE run = ? ORDER BY position",
    ).all(id);
    const tasks: Record<string, TaskRun> = {};
    const mapped = Object.fromEntries(
      Object.entries(counts).map(([task, count]) => {
        return [task, Array.from({ length: count }, () => UNTOUCHED)];
      }),
    );
    for (const { id, instance, task } of rows as unknown as TaskRow[]) {
      if (instance < 0) tasks[id] = JSON.parse(task);
      else mapped[id]![instance] = JSON.parse(task);
    }
    return { ...rest, version, tasks, mapped };
  }

  /** Writes a run, and of its tasks those that are not the same as before. */
  #keep(run: Run, before: Run | undefined): void {
    const { tasks, mapped, version, ...rest } = run;
    const { id, dag, kind, state, logicalDate, ended } = run;
    const end = ended === undefined ? null : sortable(ended);
    const counts = Object.entries(mapped).map(([task, { length }]) => [task, length]);
    const json: RunJson = { ...rest, mapped: Object.fromEntries(counts) };
    this.#sql(
      "INSERT INTO runs (id, version, dag, kind, state, place, logical, ended, run) " +
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET " +
        "version = excluded.version, state = excluded.state, ended = excluded.ended, run = excluded.run",
    ).run(
      ...[id, version, dag, kind, state, placeOf(run), sortable(logicalDate), end],
      JSON.stringify(json),
    );
    for (const [task, to] of Object.entries(tasks)) {
      if (to !== (before?.tasks[task])) this.#set(id, task, -1, to);
    }
    const clear = this.#sql("DELETE FROM tasks WHERE run = ? AND id = ? AND instance >= 0");
    for (const task of Object.keys(before?.mapped ?? {})) {
      if (!mapped[task]) clear.run(id, task);
    }
    for (const [task, instances] of Object.entries(mapped)) {
      const old = before?.mapped[task];
      if (instances === old) continue;
      // Another list takes the place of the old one.
      if (old && old.length !== instances.length) clear.run(id, task);
      instances.forEach((to, i) => {
        if (to !== (old?.[i] ?? UNTOUCHED)) this.#set(id, task, i, to);
      });
    }
  }

  /** Writes what becomes of tasks, when that is all that happens, without a look at the others; false: it is not. */
  #change({ id, version, run }: RunRow, events: readonly Event[]): boolean {
    const places = new Map<string, Event & { type: "task_changed" }>();
    for (const event of events) {
      if (event.type !== "task_changed") return false;
      places.set(`${event.task} ${event.index ?? -1}`, event);
    }
    const { mapped }: RunJson = JSON.parse(run);
    const whole = this.#sql("SELECT id FROM tasks WHERE run = ? AND id = ? AND instance = -1");
    for (const { task, index } of places.values()) {
      const isThere = index === undefined ? whole.get(id, task) : index < (mapped[task] ?? 0);
      if (!isThere) return false;
    }
    for (const { task, index = -1, to } of places.values()) this.#set(id, task, index, to);
    this.#sql("UPDATE runs SET version = ? WHERE id = ?").run(version + events.length, id);
    return true;
  }

  #set(run: string, task: string, instance: number, to: TaskRun): void {
    this.#sql(
      "INSERT INTO tasks (run, id, instance, task) VALUES (?, ?, ?, ?) " +
        "ON CONFLICT (run, id, instance) DO UPDATE SET task = excluded.task",
    ).run(run, task, instance, JSON.stringify(to));
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) this.#statements.set(text, statement = this.#database.prepare(text));
    return statement;
  }
}

function toRecorded({ seq, event }: Record<string, unknown>): Recorded {
  return { ...JSON.parse(String(event)), seq: Number(seq) };
}

function withoutTasks({ version, run }: RunRow): Run {
  return { ...JSON.parse(run), version, tasks: {}, mapped: {} };
}
