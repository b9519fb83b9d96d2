import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { Refusal } from "./refusal.ts";

/** What asks for a run: by its key, so that asking again makes no other. */
export interface Asking {
  /** Who asks for the same again brings the same. */
  readonly key: string;
  /** What is asked for: another request with the same key is refused. */
  readonly content: string;
  /** When. */
  readonly now: Temporal.Instant;
  /** Makes the run; resolves with its id. */
  make(): Promise<string>;
  /** Looks for the run that was made since a moment, when the process died before it was written down here. */
  find(since: string): Promise<string | undefined>;
}

/** What was given for a key. */
export interface Receipt {
  /** The id of the run. */
  readonly run: string;
  /** Whether there was one already. */
  readonly repeated: boolean;
}

/** Remembers which request made which run. */
export interface Receipts extends Disposable {
  /** Makes one run for a key, however often, and by how many at once, it is asked for. @throws {Refusal} 422 for other content */
  once(asking: Asking): Promise<Receipt>;
  /** Whether a run was made for some key. */
  has(run: string): boolean;
}

/** How long a key is remembered, in hours; one that must never come again for ever. */
const MEMORY = 24 * 30;
/** Begins the keys that are never forgotten: what has no date of its own could come again at any time. */
export const FOREVER = "forever ";

/**
 * Opens the receipts of a home folder, in `server.db`; without a folder, they last as long as the process.
 *
 * A key is on record before its run is made. When the process dies between the two, who asks again gets the run that was
 * made then, if one was.
 */
export function openReceipts(home?: string): Receipts {
  const path = home === undefined ? ":memory:" : join(home, "server.db");
  if (home !== undefined) {
    Deno.mkdirSync(home, { recursive: true, mode: 0o700 });
    Deno.openSync(path, { create: true, append: true, mode: 0o600 }).close();
  }
  const database = new DatabaseSync(path);
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS receipts (
      key TEXT PRIMARY KEY,
      content TEXT NOT NULL,
      at TEXT NOT NULL,
      run TEXT
    ) STRICT;
    CREATE INDEX IF NOT EXISTS receipts_by_run ON receipts (run);
  `);
  const get = database.prepare("SELECT content, at, run FROM receipts WHERE key = ?");
  const claim = database.prepare("INSERT INTO receipts (key, content, at) VALUES (?, ?, ?)");
  const settle = database.prepare("UPDATE receipts SET run = ? WHERE key = ?");
  const release = database.prepare("DELETE FROM receipts WHERE key = ?");
  const byRun = database.prepare("SELECT 1 FROM receipts WHERE run = ? LIMIT 1");
  const forget = database.prepare("DELETE FROM receipts WHERE at < ? AND key NOT GLOB ?");
  const pending = new Map<string, { readonly content: string; readonly run: Promise<string> }>();
  let forgotten = 0;

  function refuse(known: string, content: string): void {
    if (known === content) return;
    throw new Refusal(422, "this key was used for another request; choose a new one for each");
  }

  async function make({ key, content, now, ...asking }: Asking): Promise<Receipt> {
    if (now.epochMilliseconds - forgotten > 3_600_000) {
      forgotten = now.epochMilliseconds;
      forget.run(now.subtract({ hours: MEMORY }).toString(), `${FOREVER}*`);
    }
    const known = get.get(key);
    if (known) {
      refuse(String(known["content"]), content);
      if (known["run"] !== null) return { run: String(known["run"]), repeated: true };
      const run = await asking.find(String(known["at"]));
      if (run !== undefined) {
        settle.run(run, key);
        return { run, repeated: true };
      }
    } else claim.run(key, content, now.toString());
    let run: string;
    try {
      run = await asking.make();
    } catch (error) {
      // What was refused can be asked for again.
      release.run(key);
      throw error;
    }
    settle.run(run, key);
    return { run, repeated: false };
  }

  return {
    async once(asking) {
      const { key, content } = asking;
      const other = pending.get(key);
      if (other) {
        refuse(other.content, content);
        return { run: await other.run, repeated: true };
      }
      const made = make(asking);
      const run = made.then(({ run }) => run);
      run.catch(() => {});
      pending.set(key, { content, run });
      try {
        return await made;
      } finally {
        pending.delete(key);
      }
    },
    has: (run) => byRun.get(run) !== undefined,
    [Symbol.dispose]: () => database.close(),
  };
}
