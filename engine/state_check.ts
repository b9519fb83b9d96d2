import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isDeepStrictEqual } from "node:util";
import { lock } from "./_lock.ts";
import { openState } from "./_state_database.ts";
import { StateTables } from "./_state_tables.ts";
import { type Event, reduceAll, type Run } from "./state.ts";
import type { DagRecord } from "./store.ts";

/** What was found in a home folder's state. */
export interface StateCheck {
  /** How many runs there are. */
  readonly runs: number;
  /** How many events they are made of. */
  readonly events: number;
  /** What is wrong, in sentences; nothing, when all is well. */
  readonly problems: readonly string[];
}

/** What was made of a home folder's state. */
export interface StateRepair {
  /** Where what there was is kept. */
  readonly backup: string;
  /** How many runs there are now. */
  readonly runs: number;
  /** How many events they are made of. */
  readonly events: number;
  /** What could not be kept, in sentences. */
  readonly lost: readonly string[];
}

/** So many complaints of SQLite are told. */
const COMPLAINTS = 20;
/** A part of the events that cannot be read is passed over in steps that double, so often at most. */
const STRIDES = 40;

/**
 * Looks through the state in a home folder, also while another process writes to it: whether the database is sound, and
 * each run is what its events make of it. Nothing is changed.
 *
 * @throws {Error} when there is no state, or it cannot be opened for another reason than that it is damaged
 */
export function checkState(home: string): StateCheck {
  const path = join(home, "state.db");
  if (!existsSync(path)) throw new Error(`Cannot check "${path}": there is no such file`);
  let database: DatabaseSync;
  try {
    database = openState(path, "read");
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes("damaged")) throw error;
    return { runs: 0, events: 0, problems: [error.message] };
  }
  try {
    database.exec("BEGIN");
    return inspect(database);
  } catch (error) {
    return { runs: 0, events: 0, problems: [`Cannot read "${path}": ${messageOf(error)}`] };
  } finally {
    database.close();
  }
}

function inspect(database: DatabaseSync): StateCheck {
  const complaints = database.prepare(`PRAGMA integrity_check(${COMPLAINTS})`).all()
    .map((row) => String(row.integrity_check));
  const problems = complaints.filter((complaint) => complaint !== "ok");
  const tables = new StateTables(database);
  const runs = database.prepare("SELECT id, dag, kind, state FROM runs ORDER BY id").all();
  let events = 0;
  const select = database.prepare(
    "SELECT version, event FROM events WHERE run = ? ORDER BY version",
  );
  for (const row of runs) {
    const id = String(row.id);
    const rows = select.all(id);
    events += rows.length;
    try {
      const run = replay(id, rows as unknown as EventRow[]);
      const stored = tables.get(id);
      if (!isDeepStrictEqual(run, stored)) {
        problems.push(`Run "${id}" is not what its events make of it: ${difference(run, stored)}`);
      }
      const columns = { dag: run.dag, kind: run.kind, state: run.state };
      if (!isDeepStrictEqual({ ...row, id: undefined }, { id: undefined, ...columns })) {
        problems.push(`Run "${id}" is listed as what it is not: its state is ${run.state}`);
      }
    } catch (error) {
      problems.push(`Run "${id}" cannot be made of its events: ${messageOf(error)}`);
    }
  }
  for (const table of ["events", "tasks"]) {
    const strays = database.prepare(
      `SELECT DISTINCT run FROM ${table} WHERE run NOT IN (SELECT id FROM runs)`,
    ).all();
    for (const { run } of strays) problems.push(`Run "${run}" is missing, but has ${table}`);
  }
  return { runs: runs.length, events, problems };
}

interface EventRow {
  readonly version: number;
  readonly event: string;
}

/** Makes a run of its events, as it would be stored. @throws {TypeError} when one is missing or does not fit */
function replay(id: string, rows: readonly EventRow[]): Run {
  const gap = rows.findIndex(({ version }, i) => version !== i + 1);
  if (gap >= 0) throw new TypeError(`event ${gap + 1} is missing`);
  const events: Event[] = rows.map(({ event }) => JSON.parse(event));
  const run = reduceAll(undefined, events);
  if (!run) throw new TypeError(`it has none`);
  if (run.id !== id) throw new TypeError(`they are those of "${run.id}"`);
  return JSON.parse(JSON.stringify(run));
}

/** The first parts in which two runs differ. */
function difference(run: Run, stored: Run | undefined): string {
  if (!stored) return "it is missing";
  const names = Object.keys({ ...run, ...stored }) as (keyof Run)[];
  const parts = names.filter((name) => !isDeepStrictEqual(run[name], stored[name]));
  return parts.map((name) => {
    if (name !== "tasks") return name;
    const tasks = Object.keys({ ...run.tasks, ...stored.tasks });
    return tasks.filter((id) => !isDeepStrictEqual(run.tasks[id], stored.tasks[id]))
      .map((id) => `task "${id}"`).join(", ") || "the order of its tasks";
  }).join(", ");
}

/**
 * Makes the state in a home folder anew from its events, as far as they can be read: each run as it was up to the first
 * event that is lost. What there was is copied first.
 *
 * @throws {Error} when another process writes to the folder, or nothing can be read; nothing was changed then
 */
export function repairState(home: string): StateRepair {
  const path = join(home, "state.db");
  if (!existsSync(path)) throw new Error(`Cannot repair "${path}": there is no such file`);
  using held = lock(join(home, "state.lock"));
  if (!held) throw new Error(`Cannot repair "${path}" while another process writes to it; stop it`);
  const fresh = `${path}.repaired`;
  for (const end of ENDS) remove(`${fresh}${end}`);
  const salvaged = salvage(path, fresh);
  let backup = `${path}.damaged`;
  for (let n = 2; existsSync(backup); n++) backup = `${path}.damaged-${n}`;
  for (const end of ["", "-wal"]) {
    if (existsSync(`${path}${end}`)) copy(`${path}${end}`, `${backup}${end}`);
  }
  // The old log would be taken for that of the new file.
  for (const end of ENDS.slice(1)) remove(`${path}${end}`);
  Deno.renameSync(fresh, path);
  return { backup, ...salvaged };
}

/** What SQLite keeps beside a database. */
const ENDS = ["", "-wal", "-shm", "-journal"];

function salvage(path: string, fresh: string): Omit<StateRepair, "backup"> {
  const from = new DatabaseSync(path, { readOnly: true });
  const to = openState(fresh, "write");
  try {
    const format = (database: DatabaseSync): number =>
      Number(database.prepare("PRAGMA user_version").get()!.user_version);
    if (format(from) > format(to)) throw new Error("a newer version of Sluice wrote it; use that");
    const tables = new StateTables(to);
    const lost = new Map<string, string>();
    let events = 0;
    to.exec("BEGIN");
    for (const { seq, run, version, event } of readable(from)) {
      try {
        if (!lost.has(run) && !tables.append(run, version - 1, [JSON.parse(event)], seq)) {
          throw new Error(`the one before it is lost`);
        }
        if (!lost.has(run)) events++;
      } catch (error) {
        lost.set(
          run,
          `Run "${run}" is kept as it was before event ${version}: ${messageOf(error)}`,
        );
      }
    }
    try {
      for (const { dag } of from.prepare("SELECT dag FROM dags").iterate()) {
        const record: DagRecord = JSON.parse(String(dag));
        tables.setDag({ ...record, version: 0 });
      }
    } catch (error) {
      lost.set("", `Which DAGs are paused, and how far they came, is lost: ${messageOf(error)}`);
    }
    if (events === 0) throw new Error("no event in it can be read");
    to.exec("COMMIT");
    const runs = Number(to.prepare("SELECT count(*) AS n FROM runs").get()!.n);
    return { runs, events, lost: [...lost.values()] };
  } catch (cause) {
    throw new Error(
      `Cannot repair "${path}": ${
        messageOf(cause)
      }. Nothing was changed; to begin anew, move it away`,
      { cause },
    );
  } finally {
    from.close();
    to.close();
  }
}

/** The events that can be read, in their order; where a part cannot, those behind it. */
function* readable(
  database: DatabaseSync,
): Generator<EventRow & { readonly seq: number; readonly run: string }, void> {
  const sql = "SELECT seq, run, version, event FROM events WHERE seq > ? ORDER BY seq";
  let last = 0;
  for (let stride = 0, tries = 0;; tries++) {
    try {
      for (const row of database.prepare(sql).iterate(last + stride)) {
        last = Number(row.seq);
        stride = tries = 0;
        yield {
          seq: last,
          run: String(row.run),
          version: Number(row.version),
          event: String(row.event),
        };
      }
      return;
    } catch (error) {
      if (tries === STRIDES) throw error;
      stride = Math.max(1, stride * 2);
    }
  }
}

function copy(path: string, to: string): void {
  Deno.copyFileSync(path, to);
  using file = Deno.openSync(to, { write: true });
  file.syncSync();
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
