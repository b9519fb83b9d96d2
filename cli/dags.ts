import { isAbsolute, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type AnyDag, Dag } from "../engine/mod.ts";
import { messageOf, UsageError, type World } from "./world.ts";

/** The DAGs that were found, and what could not be loaded. */
export interface Found {
  readonly dags: ReadonlyMap<string, AnyDag>;
  /** A sentence for each file that is broken, or takes an id that is taken. */
  readonly faults: readonly string[];
}

/**
 * Loads the DAGs of a folder: whatever its modules export that is one. Without a folder: of `dags` where we stand, else
 * those that come with Sluice. A broken module does not hide the others.
 *
 * @throws {UsageError} when the folder that was asked for is not there
 */
export async function findDags(world: World, folder: string | undefined): Promise<Found> {
  const path = folder === undefined || !isAbsolute(folder)
    ? join(world.cwd, folder ?? "dags")
    : folder;
  const files = await modules(path);
  if (!files && folder !== undefined) {
    throw new UsageError(`Cannot find DAGs in ${JSON.stringify(folder)}: there is no such folder`);
  }
  const found = new Map<string, { dag: AnyDag; file: string }>();
  const faults: string[] = [];
  function add(exports: Record<string, unknown>, file: string): void {
    for (const dag of Object.values(exports)) {
      if (!(dag instanceof Dag)) continue;
      const twin = found.get(dag.id);
      if (!twin) found.set(dag.id, { dag, file });
      else if (twin.dag !== dag) {
        faults.push(
          `DAG "${dag.id}" is defined twice: in ${twin.file} and in ${file}; the first is used`,
        );
      }
    }
  }
  if (!files) add(await import("../dags/mod.ts"), "Sluice itself");
  for (const file of files ?? []) {
    try {
      add(await import(pathToFileURL(file).href), file);
    } catch (error) {
      faults.push(`Cannot load ${file}: ${messageOf(error).replaceAll(/\s*\n\s*/g, " ")}`);
    }
  }
  return { dags: new Map([...found].map(([id, { dag }]) => [id, dag])), faults };
}

/** Looks a DAG up. @throws {UsageError} naming those there are */
export function pickDag({ dags, faults }: Found, id: string): AnyDag {
  const dag = dags.get(id);
  if (dag) return dag;
  const there = [...dags.keys()].map((known) => `"${known}"`).join(", ") || "none";
  throw new UsageError([`Cannot find DAG "${id}"; there are: ${there}`, ...faults].join("\n"));
}

/** The modules of a folder, in order of their names; undefined when there is no such folder. */
async function modules(folder: string): Promise<string[] | undefined> {
  const files: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory || name.startsWith("_") || name === "mod.ts") continue;
      if (/\.d\.ts$|_test\./.test(name) || !/\.(ts|js|mjs)$/.test(name)) continue;
      files.push(resolve(folder, name));
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return undefined;
    }
    throw error;
  }
  return files.sort();
}
