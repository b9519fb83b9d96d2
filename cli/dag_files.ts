import { join } from "node:path";
import {
  type AnyDag,
  checkLimits,
  Dag,
  lint,
  onMade,
  parseSchedule,
  upcoming,
} from "../engine/mod.ts";
import { FolderWatch } from "./_folder_watch.ts";
import { ModuleGraph } from "./_module_graph.ts";
import { ModuleVersions } from "./_module_versions.ts";
import { EXECUTORS } from "./executors.ts";
import { messageOf } from "./world.ts";

/** A DAG, and where it comes from. */
export interface LoadedDag {
  readonly dag: AnyDag;
  /** The path of the module that exports it. */
  readonly file: string;
  /** SHA-256 over that module and what it imports by relative paths: tells the versions of the DAG's definition apart. */
  readonly hash: string;
}

/** The DAGs of a folder, and what is wrong with them. */
export interface DagFiles {
  /** By id. */
  readonly dags: ReadonlyMap<string, LoadedDag>;
  /** A sentence for each module and each DAG that cannot be used as it is. */
  readonly faults: readonly string[];
  /** A sentence for each thing that may not be meant so. */
  readonly warnings: readonly string[];
}

/** What there is of a module. */
interface Entry {
  readonly version: string;
  /** Those of the last version that was not broken. */
  readonly dags: readonly LoadedDag[];
  /** All that it exports, and the DAGs that were made while it was imported. */
  readonly exports: ReadonlySet<unknown>;
  readonly made: readonly AnyDag[];
  readonly faults: readonly string[];
}

/** The DAGs that each version of a module made when the runtime did what is in it, which it does once in a process. */
const madeBy = new Map<string, readonly AnyDag[]>();

/** Loads the DAGs of a folder, once. @throws {Deno.errors.NotFound} when there is no such folder */
export async function readDags(folder: string): Promise<DagFiles> {
  if (!(await Deno.stat(folder)).isDirectory) {
    throw new Deno.errors.NotFound(`Cannot find DAGs in ${folder}: it is no folder`);
  }
  await using dags = new DagFolder(folder);
  return await dags.load();
}

/**
 * The DAGs of a folder: at once, and again whenever a module there, or what one of them imports, has changed, within a
 * second. A module whose new version is broken keeps its DAGs as they were. A folder that is not there has none.
 */
export async function* watchDags(
  folder: string,
  signal: AbortSignal,
): AsyncGenerator<DagFiles, void> {
  await using dags = new DagFolder(folder);
  using watch = new FolderWatch(folder);
  for (let told: string | undefined; !signal.aborted;) {
    const files = await dags.load();
    const looks = fingerprint(files);
    // What changed before it was watched would not be seen.
    const settled = !await watch.extend(dags.imported);
    if (looks !== told) {
      told = looks;
      yield files;
    }
    if (settled) await watch.changed(signal);
  }
}

/** The modules of a folder as they were when it was last looked at. */
class DagFolder implements AsyncDisposable {
  /** All files that were looked at. */
  imported: ReadonlySet<string> = new Set();
  readonly #folder: string;
  readonly #versions = new ModuleVersions();
  #wasThere = false;
  #entries = new Map<string, Entry>();
  /** The file that has each id. */
  #owners = new Map<string, string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async load(): Promise<DagFiles> {
    const paths: string[] = [];
    const faults: string[] = [];
    try {
      for await (const path of modules(this.#folder)) paths.push(path);
      this.#wasThere = true;
    } catch (error) {
      // One that was never there may not be meant to be.
      const never = error instanceof Deno.errors.NotFound && !this.#wasThere;
      if (!never) faults.push(`Cannot find DAGs in ${this.#folder}: ${messageOf(error)}`);
    }
    const graph = new ModuleGraph();
    for (const path of paths.sort(byName)) await graph.add(path);
    this.imported = new Set(graph.paths);
    const entries = new Map<string, Entry>();
    for (const path of paths) {
      const known = this.#entries.get(path);
      const same = known?.version === graph.version(path);
      entries.set(path, same ? known : await this.#import(graph, path, known?.dags ?? []));
    }
    this.#entries = entries;
    const exported = new Set([...entries.values()].flatMap((entry) => [...entry.exports]));
    for (const [path, { faults: own, made }] of entries) {
      faults.push(...own);
      for (const dag of made.filter((dag) => !exported.has(dag))) {
        faults.push(
          `Cannot find DAG "${dag.id}" of ${path}: no module exports it; write \`export default\``,
        );
      }
    }
    const dags = this.#join(faults);
    return { dags, faults, warnings: [...dags.values()].flatMap(warningsOf) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#versions[Symbol.asyncDispose]();
  }

  async #import(
    graph: ModuleGraph,
    path: string,
    before: readonly LoadedDag[],
  ): Promise<Entry> {
    const version = graph.version(path);
    const key = `${path}\n${version}`;
    const exports = new Set<unknown>();
    const made: AnyDag[] = [];
    try {
      using _ = onMade((dag) => void made.push(dag));
      const module = await this.#versions.import(graph, path);
      for (const one of Object.values(module).flat()) exports.add(one);
    } catch (error) {
      return { version, dags: before, exports, made: [], faults: [messageOf(error)] };
    }
    if (made.length > 0) madeBy.set(key, made);
    const dags: LoadedDag[] = [];
    const faults: string[] = [];
    for (const dag of exports) {
      if (!(dag instanceof Dag)) continue;
      try {
        check(dag);
        dags.push({ dag, file: path, hash: version });
      } catch (error) {
        faults.push(`Cannot load DAG "${dag.id}" of ${path}: ${messageOf(error)}`);
        dags.push(...before.filter((last) => last.dag.id === dag.id));
      }
    }
    return { version, dags, exports, made: madeBy.get(key) ?? [], faults };
  }

  /** All DAGs by id. Who had an id keeps it: adding a file never changes what another one's DAG does. */
  #join(faults: string[]): Map<string, LoadedDag> {
    const all = [...this.#entries.values()].flatMap(({ dags }) => dags);
    const owned = (loaded: LoadedDag): boolean => this.#owners.get(loaded.dag.id) === loaded.file;
    const dags = new Map<string, LoadedDag>();
    for (const loaded of [...all.filter(owned), ...all.filter((one) => !owned(one))]) {
      const { id } = loaded.dag;
      const twin = dags.get(id);
      if (!twin) dags.set(id, loaded);
      else if (twin.dag !== loaded.dag) {
        faults.push(
          `Cannot load DAG "${id}" twice: ${twin.file} has it, so that of ${loaded.file} is not used; ` +
            "rename one of them",
        );
      }
    }
    this.#owners = new Map([...dags].map(([id, { file }]) => [id, file]));
    return new Map([...dags].sort(([a], [b]) => a < b ? -1 : 1));
  }
}

/** Refuses what can be seen to be wrong before anything runs. @throws {TypeError} saying what */
function check(dag: AnyDag): void {
  const { options } = dag;
  checkLimits(dag, { executors: EXECUTORS });
  const timetable = parseSchedule(options.schedule, options);
  const now = Temporal.Now.zonedDateTimeISO(timetable.timezone);
  // To ask for the first run tells what is wrong with the catch-up.
  upcoming(timetable, { now, catchup: options.catchup }).next();
}

/** What may not be meant so in a DAG, in sentences. */
export function warningsOf({ dag }: LoadedDag): string[] {
  return lint(dag, Temporal.Now.instant()).map(({ message }) => `DAG "${dag.id}": ${message}`);
}

/** The modules in a folder and the folders in it. Names that begin with `_` or `.` are for parts of others, and tests are none. */
async function* modules(folder: string): AsyncGenerator<string, void> {
  for await (const entry of Deno.readDir(folder)) {
    const { name } = entry;
    const path = join(folder, name);
    if (/^[._]/.test(name) || name === "node_modules") continue;
    const isDirectory = entry.isSymlink ? await leadsToFolder(path) : entry.isDirectory;
    if (isDirectory) {
      // A link may lead back up.
      if (!entry.isSymlink) yield* modules(path);
    } else if (/\.m?[jt]s$/.test(name) && !/\.d\.m?ts$|[._]test\./.test(name)) yield path;
  }
}

async function leadsToFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}

/** By name, but those that gather what others export come last: the DAGs are of the others. */
function byName(a: string, b: string): number {
  const gathers = (path: string): number => /[\\/](mod|index)\.\w+$/.test(path) ? 1 : 0;
  return gathers(a) - gathers(b) || (a < b ? -1 : 1);
}

function fingerprint({ dags, faults, warnings }: DagFiles): string {
  const versions = [...dags].map(([id, { file, hash }]) => [id, file, hash]);
  return JSON.stringify([versions, faults, warnings]);
}
