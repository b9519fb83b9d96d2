import { join, relative } from "node:path";
import { attemptPath, isThere, type LogKey, removeRun } from "./_attempt_path.ts";
import { rejectName } from "./_reject_name.ts";
import type { RunFiles } from "./retention.ts";

/** A file of records that were refused. */
export interface RejectFile {
  /** Where it is. */
  readonly path: string;
  /** What the records were for: the name of a table. */
  readonly name: string;
  /** Whose they are: DAG, run, task, and attempt or instance and attempt; empty where no DAG refused them. */
  readonly attempt: readonly string[];
  /** How long it is. */
  readonly bytes: number;
  /** When it was last written to: an ISO string in UTC. */
  readonly written: string;
}

/** The files in a home folder of the records that attempts refuse. */
export interface RejectFiles extends RunFiles {
  /** The folder of an attempt's, which need not be there. @throws {TypeError} when it is not an attempt's */
  folder(key: LogKey): string;
  /** All there are, the last written first. */
  list(): Promise<readonly RejectFile[]>;
}

/**
 * The records that were refused, in a home folder: `rejects/<dag>/<run>/<task>/<attempt>/<name>.jsonl`, one of JSON to each
 * line; of an instance of a mapped task `<index>.<attempt>`.
 */
export function rejectFiles(home: string): RejectFiles {
  const root = join(home, "rejects");
  return {
    folder: (key) => attemptPath(root, key),
    remove: (run) => removeRun(root, run),
    async list() {
      const found = isThere(home, root) ? await Array.fromAsync(filesBelow(root)) : [];
      return found.map(({ path, size, mtime }): RejectFile => {
        const parts = relative(root, path).split(/[\\/]/);
        const name = rejectName(parts.pop()!)!;
        const written = (mtime ?? new Date(0)).toISOString();
        return { path, name, attempt: parts, bytes: size, written };
      }).sort((a, b) => a.written < b.written ? 1 : -1);
    },
  };
}

async function* filesBelow(
  folder: string,
): AsyncGenerator<Pick<Deno.FileInfo, "size" | "mtime"> & { readonly path: string }> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) yield* filesBelow(path);
    else if (isFile && rejectName(name) !== undefined) {
      const { size, mtime } = await Deno.stat(path);
      yield { path, size, mtime };
    }
  }
}
