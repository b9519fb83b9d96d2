import type { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import { codeOf } from "./_state_database.ts";
import { StoreFull } from "./store.ts";

/** Does a job within a transaction; resolves with what it returns when that is durable. */
export type Transact = <T>(job: () => T) => Promise<T>;

interface Entry {
  /** Does the job; the answer is given when the transaction is through. */
  readonly begin: () => () => void;
  readonly reject: (error: Error) => void;
}

/**
 * How many turns of the event loop there are from one transaction to the next. Each stands still for as long as the disk
 * takes, and a request needs several turns to be answered; those in which there is nothing to do pass in no time.
 */
const TURNS = 8;

/** SQLite's codes for a full disk, and for a file or a folder that could not be synced. */
const FULL = 13;
const SYNC_FAILED = [1034, 1290];

/**
 * Makes one transaction, so one sync of the disk, of all jobs that come within a few turns of the event loop, and while
 * the transaction before holds it. A job that throws changes nothing, and leaves the others alone.
 *
 * When the disk is full, the jobs fail, and later ones succeed once there is room. When the disk could not be synced,
 * nobody knows what it holds, and to sync again may succeed though pages were lost: so nothing is tried again, nothing
 * more is taken, and the next process goes by what it finds. There, a job that failed in this way may yet be done.
 */
export function groupCommits(
  database: DatabaseSync,
  path: string,
  onCommit: () => void,
): Transact {
  const begin = database.prepare("BEGIN IMMEDIATE");
  const mark = database.prepare("SAVEPOINT job");
  const undo = database.prepare("ROLLBACK TO job");
  const release = database.prepare("RELEASE job");
  const commit = database.prepare("COMMIT");
  let group: Entry[] = [];
  let broken: Error | undefined;

  function later(turns: number): void {
    setImmediate(() => turns > 1 ? later(turns - 1) : run());
  }

  function run(): void {
    const entries = group;
    group = [];
    try {
      if (broken) throw broken;
      begin.run();
      const answers = entries.map((entry) => entry.begin());
      commit.run();
      for (const answer of answers) answer();
    } catch (cause) {
      const error = broken ?? describe(path, cause);
      if (SYNC_FAILED.includes(codeOf(cause) ?? 0)) broken = error;
      try {
        database.exec("ROLLBACK");
      } catch {
        // It is over already.
      }
      for (const { reject } of entries) reject(error);
      return;
    }
    onCommit();
  }

  return (job) =>
    new Promise((resolve, reject) => {
      const begin = (): () => void => {
        mark.run();
        try {
          const value = job();
          release.run();
          return () => resolve(value);
        } catch (error) {
          // Throws when the whole transaction is lost.
          undo.run();
          release.run();
          return () => reject(codeOf(error) === undefined ? error : describe(path, error));
        }
      };
      if (group.push({ begin, reject }) === 1) later(TURNS);
    });
}

function describe(path: string, cause: unknown): Error {
  const code = codeOf(cause) ?? 0;
  const why = SYNC_FAILED.includes(code)
    ? "the disk could not be synced. Nothing more is taken; see that the disk is in order, and start again"
    : code === FULL
    ? "the disk is full. Nothing was changed; make room, and it goes on"
    : `${cause instanceof Error ? cause.message : cause}. Nothing was changed`;
  const message = `Cannot write to "${path}": ${why}`;
  return code === FULL ? new StoreFull(message, { cause }) : new Error(message, { cause });
}
