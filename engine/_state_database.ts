import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/**
 * What makes each version of the format out of the one before; the first makes it out of nothing.
 *
 * `runs` has each run as its events made it, without its tasks: those are in `tasks`, so that a change of one does not
 * write all of them; an `instance` is -1 for the task as a whole, and one that has no row has not begun. `place` and
 * `logical` are text that sorts as they do.
 */
const MIGRATIONS: readonly string[] = [`
  CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    dag TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    place TEXT NOT NULL,
    logical TEXT NOT NULL,
    ended TEXT,
    run TEXT NOT NULL
  ) STRICT;
  CREATE INDEX runs_by_place ON runs (place);
  CREATE INDEX runs_by_dag ON runs (dag, place);
  CREATE INDEX runs_by_date ON runs (dag, logical);
  CREATE INDEX runs_by_state ON runs (state, place);
  CREATE INDEX runs_by_end ON runs (ended);
  CREATE TABLE tasks (
    position INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    id TEXT NOT NULL,
    instance INTEGER NOT NULL,
    task TEXT NOT NULL,
    UNIQUE (run, id, instance)
  ) STRICT;
  CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL,
    version INTEGER NOT NULL,
    event TEXT NOT NULL,
    UNIQUE (run, version)
  ) STRICT;
  CREATE TABLE dags (
    id TEXT PRIMARY KEY,
    dag TEXT NOT NULL
  ) STRICT;
`];

/** How SQLite speaks of a damaged file, and of one that is none of its own; not all runtimes give its codes. */
const DAMAGED = /malformed|not a database/;

/**
 * Opens the database of a home folder. For writing, it is made when there is none, and brought to the newest format after
 * a copy of it was put at `<path>.v<its format>.bak`.
 *
 * @throws {Error} when it is damaged, of a newer format, or cannot be opened; nothing was changed then
 */
export function openState(
  path: string,
  mode: "read" | "write",
  migrations: readonly string[] = MIGRATIONS,
): DatabaseSync {
  if (mode === "write") touch(path);
  const newest = migrations.length;
  const format = inspect(path, mode);
  if (format > newest) {
    throw new Error(
      `Cannot open "${path}": a newer version of Sluice wrote it, in format ${format}, and this one knows ${newest} at ` +
        `most. Use that version, or another home folder`,
    );
  }
  if (mode === "read" && format < newest) {
    throw new Error(
      format === 0
        ? `Cannot read "${path}": nothing was written to it yet`
        : `Cannot read "${path}": an older version of Sluice wrote it; start this one on it once`,
    );
  }
  try {
    if (format > 0 && format < newest) backUp(path, `${path}.v${format}.bak`);
    return connect(path, mode, (database) => migrate(database, migrations, format));
  } catch (cause) {
    throw new Error(`Cannot open "${path}": ${messageOf(cause)}`, { cause });
  }
}

function connect(
  path: string,
  mode: "read" | "write",
  prepare: (database: DatabaseSync) => void,
): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly: mode === "read" });
  try {
    database.exec("PRAGMA busy_timeout = 5000");
    if (mode === "write") database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    prepare(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLite's code of an error, if it is one of its own. */
export function codeOf(error: unknown): number | undefined {
  const code = error instanceof Error && "errcode" in error ? error.errcode : undefined;
  return typeof code === "number" ? code : undefined;
}

/** Looks at a database without changing what is in it; tells its format, 0 when there is none. */
function inspect(path: string, mode: "read" | "write"): number {
  if (!existsSync(path)) return 0;
  let found: string;
  try {
    // What opens it for writing would overwrite it when it closes. But a change of the journal's mode that was cut short,
    // as happens when it is first made, is only taken back by such.
    const readOnly = mode === "read" || !existsSync(`${path}-journal`);
    using database = disposable(new DatabaseSync(path, { readOnly }));
    // Not prepared: then, not all runtimes tell what is wrong.
    database.exec("SELECT count(*) FROM sqlite_schema");
    const [check] = database.prepare("PRAGMA quick_check(1)").all();
    found = String(check!.quick_check);
    if (found === "ok") return Number(database.prepare("PRAGMA user_version").get()!.user_version);
  } catch (cause) {
    const message = messageOf(cause);
    if (DAMAGED.test(message)) throw damaged(path, message, cause);
    throw new Error(`Cannot open "${path}": ${message}`, { cause });
  }
  throw damaged(path, found);
}

function damaged(path: string, what: string, cause?: unknown): Error {
  return new Error(
    `Cannot open "${path}": it is damaged (${what.replaceAll(/\s+/g, " ")}). ` +
      "Nothing was changed; `sluice state check` tells what is left",
    { cause },
  );
}

/** Makes it so that only its owner can read it. */
function touch(path: string): void {
  Deno.openSync(path, { write: true, create: true, mode: 0o600 }).close();
  Deno.chmodSync(path, 0o600);
}

/** Copies a database that nobody writes to. Not by SQLite, which is not allowed to on all runtimes. */
function backUp(path: string, copy: string): void {
  const half = `${copy}.new`;
  {
    using database = disposable(new DatabaseSync(path));
    const { busy } = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()!;
    if (busy) throw new Error("it cannot be copied while another process reads it; try again");
  }
  Deno.copyFileSync(path, half);
  using file = Deno.openSync(half, { write: true });
  file.syncSync();
  Deno.renameSync(half, copy);
}

function migrate(database: DatabaseSync, migrations: readonly string[], format: number): void {
  if (format === migrations.length) return;
  // When it fails, closing the database takes it all back.
  database.exec("BEGIN IMMEDIATE");
  for (const migration of migrations.slice(format)) database.exec(migration);
  database.exec(`PRAGMA user_version = ${migrations.length}; COMMIT`);
}

/** On every runtime. */
function disposable(database: DatabaseSync): DatabaseSync & Disposable {
  return Object.assign(database, { [Symbol.dispose]: () => database.close() });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
