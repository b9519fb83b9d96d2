import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { lock } from "./_lock.ts";

/** What stands beside a file of the spool, as JSON. */
export interface Sidecar {
  readonly key: string;
  readonly validator: string;
  /** Bytes of the whole source, when it said so. */
  readonly length: number | null;
  /** How many bytes of the file count: what lies behind them may not have reached the disk. */
  readonly bytes: number;
  readonly whole: boolean;
  /** Of a whole file. */
  readonly sha256?: string;
  /** Who writes a partial file, or was the last to use a whole one. */
  readonly run?: string;
  readonly task?: string;
}

/** A file in a spool. */
export interface Stored {
  readonly path: string;
  readonly whole: boolean;
  /** Its bytes, with those that are set aside for it. */
  readonly size: number;
  /** How many of them the disk does not hold yet. */
  readonly ahead: number;
  /** When it was last used, in milliseconds since 1970. */
  readonly used: number;
}

/** Does something that no other process may see half done; without a pause, as spools of one process share the lock. */
export function locked<T>(root: string, what: () => T): T {
  using door = lock(join(root, "lock"), 10_000);
  if (!door) throw new Error(`Cannot use "${root}": another process holds its lock for too long`);
  return what();
}

/** Where the whole file of a key and a validator is. */
export function wholePath(root: string, key: string, validator: string): string {
  return join(root, "whole", sha256(key), sha256(validator));
}

/** The whole file of a key, the newest unless a validator says which. */
export function findWhole(
  root: string,
  key: string,
  validator?: string | null,
): { readonly path: string; readonly sidecar: Sidecar } | undefined {
  const shelf = join(root, "whole", sha256(key));
  let found: { path: string; sidecar: Sidecar; at: number } | undefined;
  for (const name of validator ? [sha256(validator)] : list(shelf)) {
    if (!isData(name)) continue;
    const path = join(shelf, name);
    const sidecar = readSidecar(path);
    const stat = statFile(path);
    if (!sidecar?.whole || sidecar.bytes !== stat?.size) continue;
    const at = stat.mtime?.getTime() ?? 0;
    if (!found || at > found.at) found = { path, sidecar, at };
  }
  return found;
}

/** All files of a spool. */
export function storedFiles(root: string): Stored[] {
  return ["whole", "parts"].flatMap((kind) =>
    list(join(root, kind)).flatMap((name) => {
      const folder = join(root, kind, name);
      return list(folder).filter(isData).flatMap((name): Stored[] => {
        const path = join(folder, name);
        const stat = statFile(path);
        if (!stat) return [];
        const beside = kind === "whole" ? statFile(`${path}.json`) : undefined;
        return [{
          path,
          whole: kind === "whole",
          size: stat.size,
          ahead: Math.max(0, stat.size - (stat.blocks ?? Infinity) * 512),
          used: (beside ?? stat).mtime?.getTime() ?? 0,
        }];
      });
    })
  );
}

/** Notes in the folder of a process that it uses a whole file; disposing of it takes that back. */
export function markUse(folder: string, path: string): Disposable {
  const name = `use.${basename(dirname(path))}.${basename(path)}.${crypto.randomUUID()}`;
  const mark = join(folder, name);
  Deno.writeTextFileSync(mark, "", { mode: 0o600 });
  return { [Symbol.dispose]: () => removeFile(mark) };
}

/** The whole files that living processes use. */
export function usedPaths(root: string): Set<string> {
  const folders = list(join(root, "parts")).map((name) => join(root, "parts", name));
  const names = folders.flatMap((folder) => {
    const marks = list(folder).filter((name) => name.startsWith("use."));
    return marks.length > 0 && isAlive(folder) ? marks : [];
  });
  return new Set(names.map((name) => {
    const [, shelf, file] = name.split(".");
    return join(root, "whole", shelf!, file!);
  }));
}

/** Whether the process lives whose folder that is; to be asked under the spool's lock. */
export function isAlive(folder: string): boolean {
  using free = lock(join(folder, "lock"));
  return free === undefined;
}

/**
 * Clears the folders of dead processes: there remain the partial files that `keep` says, cut to what counts of them. A
 * folder in which some remain is handed over, locked.
 */
export function sweepParts(
  root: string,
  keep: (sidecar: Sidecar) => boolean,
): { readonly folder: string; readonly held: Disposable; readonly paths: readonly string[] }[] {
  return list(join(root, "parts")).flatMap((name) => {
    const folder = join(root, "parts", name);
    const held = lock(join(folder, "lock"));
    if (!held) return [];
    const names = list(folder);
    const paths = names.filter(isData).map((name) => join(folder, name)).filter((path) => {
      const sidecar = readSidecar(path);
      if (!sidecar || !keep(sidecar) || (statFile(path)?.size ?? 0) < sidecar.bytes) return false;
      Deno.truncateSync(path, sidecar.bytes);
      return true;
    });
    const remain = new Set(["lock", ...paths.map((path) => basename(path))]);
    for (const name of names) {
      if (!remain.has(name.replace(/\.json$/, ""))) removeFile(join(folder, name));
    }
    if (paths.length > 0) return [{ folder, held, paths }];
    held[Symbol.dispose]();
    Deno.removeSync(folder, { recursive: true });
    return [];
  });
}

/** Clears what was left half made or half removed among the whole files. */
export function sweepWhole(root: string): void {
  for (const name of list(join(root, "whole"))) {
    const shelf = join(root, "whole", name);
    const names = list(shelf);
    const good = new Set(names.filter((name) => {
      const sidecar = isData(name) ? readSidecar(join(shelf, name)) : undefined;
      return sidecar?.whole && sidecar.bytes === statFile(join(shelf, name))?.size;
    }));
    for (const name of names) {
      if (!good.has(name.replace(/\.json$/, ""))) removeFile(join(shelf, name));
    }
    if (good.size === 0) Deno.removeSync(shelf);
  }
}

/** Reads the sidecar of a file; undefined when there is none that can be read. */
export function readSidecar(path: string): Sidecar | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(`${path}.json`)) ?? undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Writes the sidecar of a file, so that there is always a whole one. */
export function writeSidecar(path: string, sidecar: Sidecar): void {
  const draft = `${path}.${crypto.randomUUID()}`;
  Deno.writeTextFileSync(draft, JSON.stringify(sidecar), { mode: 0o600 });
  Deno.renameSync(draft, `${path}.json`);
}

/** Removes a file and its sidecar: the sidecar last, as without the file it counts for nothing. */
export function removeStored(path: string): void {
  removeFile(path);
  removeFile(`${path}.json`);
}

function isData(name: string): boolean {
  return !name.includes(".") && !name.startsWith("lock");
}

function list(folder: string): string[] {
  return found(() => [...Deno.readDirSync(folder)].map(({ name }) => name)) ?? [];
}

function statFile(path: string): Deno.FileInfo | undefined {
  return found(() => Deno.statSync(path));
}

function removeFile(path: string): void {
  found(() => Deno.removeSync(path));
}

function found<T>(what: () => T): T | undefined {
  try {
    return what();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
