import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Bell } from "./_bell.ts";
import { sleep } from "./_deadline.ts";
import { groupCommits, type Transact } from "./_group_commit.ts";
import { lock } from "./_lock.ts";
import { openState } from "./_state_database.ts";
import { StateTables } from "./_state_tables.ts";
import { follow, type Store } from "./store.ts";

/** Options for {@linkcode file}. */
export interface FileStoreOptions {
  /** Whether it is the one that writes, or only looks, also while another process writes. @default {"write"} */
  readonly mode?: "write" | "read";
}

/** How many events a watcher reads at once. */
const PAGE = 256;
/** How many runs are forgotten in one transaction. */
const FORGET = 100;
/** How often a reader looks whether another process has written, in milliseconds. */
const POLL = 100;

/**
 * Keeps what happened in a home folder: in `state.db`, an SQLite database.
 *
 * A folder has one writer at a time, which `engine.json` names as `{ pid, address? }`; however a writer's process ends,
 * the next can begin at once. A change that was rejected because the disk failed, not for being full, may still be there
 * after a restart; one that resolved is there.
 *
 * @throws {Error} when another process writes to the folder, naming it; when the database is damaged or a newer version
 * wrote it, leaving it as it is
 */
export async function file(folder: string | URL, options: FileStoreOptions = {}): Promise<Store> {
  const { mode = "write" } = options;
  const home = folder instanceof URL ? fileURLToPath(folder) : folder;
  const path = join(home, "state.db");
  await using opening = new AsyncDisposableStack();
  if (mode === "write") opening.use(await claim(home));
  const database = opening.adopt(openState(path, mode), (database) => database.close());
  const tables = new StateTables(database);
  const closed = new AbortController();
  const bell = new Bell();
  const transact: Transact = mode === "write"
    ? groupCommits(database, path, () => bell.ring())
    : () => Promise.reject(new Error(`Cannot write to "${path}": it was opened for reading`));
  const resources = opening.move();

  /** Reads all of one moment, whatever another process writes meanwhile. */
  function look<T>(query: () => T): Promise<T> {
    return new Promise((resolve) => {
      database.exec("BEGIN");
      try {
        resolve(query());
      } finally {
        database.exec("COMMIT");
      }
    });
  }

  return {
    append: (run, version, events) => transact(() => tables.append(run, version, events)),
    get: (run) => look(() => tables.get(run)),
    list: (query = {}) => look(() => tables.list(query)),
    watch(signal, after = tables.last()) {
      const stop = AbortSignal.any([signal, closed.signal]);
      const wait = mode === "write"
        ? () => bell.wait(stop)
        : () => sleep(POLL, stop).catch(() => {});
      return follow({ read: (after) => tables.eventsAfter(after, PAGE), wait }, after, stop);
    },
    history: (run) => look(() => tables.eventsOf(run)),
    last: () => look(() => tables.last()),
    dag: (id) => look(() => tables.dag(id)),
    dags: () => look(() => tables.dags()),
    setDag: (record) => transact(() => tables.setDag(record)),
    async forget(before) {
      for (const forgotten = [];;) {
        const some = await transact(() => tables.forget(before, FORGET));
        forgotten.push(...some);
        if (some.length < FORGET) return forgotten;
      }
    },
    async [Symbol.asyncDispose]() {
      if (closed.signal.aborted) return;
      closed.abort();
      // What was handed in before goes first; whoever handed it in is told how it went.
      if (mode === "write") await transact(() => {}).catch(() => {});
      await resources.disposeAsync();
    },
  };
}

/** Makes the home folder where it is not, its owner's alone. @throws {Error} where it cannot be made or written */
export async function makeHome(home: string): Promise<void> {
  try {
    // Who may not list the home may yet have to pass the folders above it.
    await Deno.mkdir(dirname(home), { recursive: true });
    await Deno.mkdir(home, { recursive: true, mode: 0o700 });
    await Deno.remove(await Deno.makeTempFile({ dir: home }));
  } catch (cause) {
    throw new Error(
      `Cannot use "${home}" as home folder: ${(cause as Error).message}. Choose another`,
      { cause },
    );
  }
}

/** Makes a folder ours to write to. */
async function claim(home: string): Promise<AsyncDisposable> {
  const info = join(home, "engine.json");
  await makeHome(home);
  const held = lock(join(home, "state.lock"));
  if (!held) {
    throw new Error(
      `Cannot write to "${home}": ${await describeWriter(
        info,
      )} does. Let it do the work (\`sluice trigger DAG --wait\`), stop it, or choose another home folder`,
    );
  }
  await Deno.writeTextFile(info, JSON.stringify({ pid: Deno.pid }), { mode: 0o600 });
  return {
    async [Symbol.asyncDispose]() {
      await Deno.remove(info).catch(() => {});
      held[Symbol.dispose]();
    },
  };
}

async function describeWriter(info: string): Promise<string> {
  try {
    const { pid, address } = JSON.parse(await Deno.readTextFile(info));
    return `process ${pid}${address ? ` (${address})` : ""}`;
  } catch {
    return "another process";
  }
}
