import { DatabaseSync } from "node:sqlite";

/**
 * Takes the lock that a file stands for; undefined when someone else has it for longer than `wait` milliseconds. However
 * the process ends, the lock ends with it: SQLite's locks are the operating system's, and the only such that can be tried
 * on every runtime.
 */
export function lock(path: string, wait = 0): Disposable | undefined {
  const database = new DatabaseSync(path);
  try {
    database.exec(`PRAGMA busy_timeout = ${wait}; BEGIN EXCLUSIVE`);
  } catch (cause) {
    database.close();
    if (cause instanceof Error && cause.message.includes("locked")) return undefined;
    throw new Error(`Cannot lock "${path}"`, { cause });
  }
  return { [Symbol.dispose]: () => database.close() };
}
