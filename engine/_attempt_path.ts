import { join, relative } from "node:path";
import { checkId } from "./dag.ts";
import type { LogLine } from "./_context.ts";
import type { Run } from "./state.ts";

/** Which attempt's log it is, or other files. */
export interface LogKey extends Pick<LogLine, "dag" | "run" | "task" | "attempt"> {
  /** Which instance of a mapped task. */
  readonly index?: number | undefined;
}

/** What a folder has of one attempt: `<dag>/<run>/<task>/<attempt>`, of an instance of a mapped task `<index>.<attempt>`. */
export function attemptPath(root: string, key: LogKey): string {
  const { dag, run, task, index, attempt } = key;
  checkId(task, "task");
  if (!Number.isSafeInteger(attempt) || attempt < 1) {
    throw new TypeError(`Cannot find the files of attempt ${attempt}: attempts count from 1`);
  }
  if (index !== undefined && (!Number.isSafeInteger(index) || index < 0)) {
    throw new TypeError(`Cannot find the files of instance ${index}: instances count from 0`);
  }
  const name = index === undefined ? String(attempt) : `${index}.${attempt}`;
  return join(runPath(root, { dag, id: run }), task, name);
}

/** What it has of a run. */
function runPath(root: string, { dag, id }: Pick<Run, "dag" | "id">): string {
  checkId(dag, "DAG");
  checkId(id, "run");
  return join(root, dag, id);
}

/** Removes what it has of a run. @throws {Error} when a link on the way to it leads elsewhere */
export async function removeRun(root: string, run: Pick<Run, "dag" | "id">): Promise<void> {
  const folder = runPath(root, run);
  if (isThere(root, folder)) await Deno.remove(folder, { recursive: true });
}

/** Whether there is such a file or folder. @throws {Error} when a link on the way to it leads elsewhere */
export function isThere(root: string, path: string): boolean {
  try {
    if (Deno.realPathSync(path) === join(Deno.realPathSync(root), relative(root, path))) {
      return true;
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  throw new Error(`Cannot use "${path}": a link on the way to it leads elsewhere`);
}
