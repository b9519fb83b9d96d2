import { createHash } from "node:crypto";
import { isAbsolute, join } from "node:path";
import { type AnyDag, nearestName } from "../engine/mod.ts";
import { type DagFiles, type LoadedDag, readDags } from "./dag_files.ts";
import { UsageError, type World } from "./world.ts";

/** The folder that DAGs are in: that of the flag, else `dags` where we stand. */
export function dagsFolder(world: World, folder: string | undefined): string {
  return folder !== undefined && isAbsolute(folder) ? folder : join(world.cwd, folder ?? "dags");
}

/**
 * Loads the DAGs of a folder: whatever its modules export that is one, or a list of them. Without a folder: of `dags`
 * where we stand, else those that come with Sluice. A broken module does not hide the others.
 *
 * @throws {UsageError} when the folder that was asked for is not there
 */
export async function loadDags(world: World, folder: string | undefined): Promise<DagFiles> {
  try {
    return await readDags(dagsFolder(world, folder));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    if (folder === undefined) return await ownDags();
    throw new UsageError(`Cannot find DAGs in ${JSON.stringify(folder)}: there is no such folder`, {
      cause: error,
    });
  }
}

/** Looks a DAG up. @throws {UsageError} naming those there are */
export function pickDag<D>(
  { dags, faults }: { dags: ReadonlyMap<string, D>; faults: readonly string[] },
  id: string,
): D {
  const dag = dags.get(id);
  if (dag) return dag;
  const there = [...dags.keys()].map((known) => `"${known}"`).join(", ") || "none";
  const meant = nearestName(id, [...dags.keys()]);
  const hint = `${meant === undefined ? "" : `did you mean "${meant}"? `}there are: ${there}`;
  throw new UsageError([`Cannot find DAG "${id}"; ${hint}`, ...faults].join("\n"));
}

/** The DAGs that come with Sluice. */
async function ownDags(): Promise<DagFiles> {
  const own: Record<string, AnyDag> = await import("../dags/mod.ts");
  const dags = Object.values(own).map((dag): [string, LoadedDag] => {
    // A binary has not their text to read.
    const looks = JSON.stringify([dag.options, [...dag.tasks.values()]]);
    const hash = createHash("sha256").update(looks).digest("hex");
    return [dag.id, { dag, file: "Sluice itself", hash }];
  });
  return { dags: new Map(dags), faults: [], warnings: [] };
}
