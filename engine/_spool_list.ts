import { dirname, join } from "node:path";
import {
  isAlive,
  locked,
  readSidecar,
  removeStored,
  type Stored,
  storedFiles,
  sweepParts,
  sweepWhole,
  usedPaths,
  wholePath,
} from "./_spool_folder.ts";
import { shownKey } from "./_spool_key.ts";
import { listKept } from "./kept_source.ts";
import type { Unfinished } from "./spool.ts";

/** A file of a spool, as people see it. */
export interface SpoolEntry {
  /** What was asked for, without secrets; null for a stream that has no key. */
  readonly key: string | null;
  /** Which version of it; null when nothing tells them apart. */
  readonly validator: string | null;
  /** Bytes of it on the disk. */
  readonly bytes: number;
  /** Whether it is all there and shared by all runs, or being written by one. */
  readonly whole: boolean;
  /** When it was last used: an ISO string in UTC. */
  readonly used: string;
  /** The last run that used it. */
  readonly run: string | null;
  /** The task of that run. */
  readonly task: string | null;
  /** Whether a process uses it now. */
  readonly busy: boolean;
  /** Of what a load keeps that goes on where it was stopped: the table that it is loaded into. */
  readonly load?: string;
}

/** Options for {@linkcode clearSpool}. */
export interface ClearSpoolOptions extends Unfinished {
  /** Clears only what is kept of this, as {@linkcode listSpool} or a task calls it. @default {all there is} */
  readonly key?: string;
}

/** What came of {@linkcode clearSpool}. */
export interface ClearedSpool {
  /** What is gone. */
  readonly removed: readonly SpoolEntry[];
  /** What was meant, too, but is in use, or needed by a run that is not over. */
  readonly kept: readonly SpoolEntry[];
}

/**
 * The files in the spool of a home folder, the last used first, and those of loads that were stopped; other processes may
 * use them meanwhile.
 */
export function listSpool(home: string): SpoolEntry[] {
  return [...listFiles(home), ...ofLoads(home).map(({ entry }) => entry)];
}

function listFiles(home: string): SpoolEntry[] {
  const root = join(home, "spool");
  return whenThere(root, () => entries(root).map(({ entry }) => entry)) ?? [];
}

/**
 * Removes all files of a spool that no unfinished run needs; other processes may use it meanwhile. What is kept for a load
 * goes only where it is asked for by its `key`.
 */
export async function clearSpool(
  home: string,
  options: ClearSpoolOptions = {},
): Promise<ClearedSpool> {
  const { key, live = () => Promise.resolve(false), needed = () => Promise.resolve([]) } = options;
  const root = join(home, "spool");
  const before = listFiles(home);
  const over = new Set<string>();
  for (const run of new Set(before.flatMap(({ whole, run }) => whole ? [] : run ?? []))) {
    if (!await live(run)) over.add(run);
  }
  const wanted = new Set<string>();
  for (const { key, validator } of await needed()) wanted.add(wholePath(root, key, validator));
  const isMeant = ({ asked }: { readonly asked: string | undefined }): boolean =>
    key === undefined || asked !== undefined && (key === asked || fits(asked, key));
  const loads = ofLoads(home).filter(isMeant);
  const gone = loads.filter(({ remove }) => key !== undefined && remove());
  const files = whenThere(root, () => {
    const meant = entries(root).filter(isMeant);
    const swept = sweepParts(root, ({ run }) => run !== undefined && !over.has(run));
    for (const { held } of swept) held[Symbol.dispose]();
    const used = usedPaths(root);
    for (const { path, entry } of meant) {
      if (entry.whole && !used.has(path) && !wanted.has(path)) removeStored(path);
    }
    sweepWhole(root);
    const left = new Set(storedFiles(root).map(({ path }) => path));
    return {
      removed: meant.filter(({ path }) => !left.has(path)).map(({ entry }) => entry),
      kept: meant.filter(({ path }) => left.has(path)).map(({ entry }) => entry),
    };
  }) ?? { removed: [], kept: [] };
  return {
    removed: [...files.removed, ...gone.map(({ entry }) => entry)],
    kept: [
      ...files.kept,
      ...loads.filter((load) => !gone.includes(load)).map(({ entry }) => entry),
    ],
  };
}

/** What loads keep that go on where they were stopped. */
function ofLoads(
  home: string,
): {
  readonly asked: string | undefined;
  readonly entry: SpoolEntry;
  readonly remove: () => boolean;
}[] {
  const kept = listKept(join(home, "loads")).sort((a, b) => b.used - a.used);
  return kept.map(({ what, origin, bytes, whole, used, busy, remove }) => {
    const entry = {
      key: origin ? shownKey(origin.key) : null,
      validator: origin?.validator ?? null,
      bytes,
      whole,
      used: Temporal.Instant.fromEpochMilliseconds(Math.floor(used)).toString(),
      run: null,
      task: null,
      busy,
      load: what,
    };
    return { asked: origin?.key, entry, remove };
  });
}

function whenThere<T>(root: string, what: () => T): T | undefined {
  try {
    Deno.statSync(root);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  return locked(root, what);
}

function entries(
  root: string,
): { readonly path: string; readonly asked: string | undefined; readonly entry: SpoolEntry }[] {
  const used = usedPaths(root);
  return storedFiles(root).sort((a, b) => b.used - a.used).map((file: Stored) => {
    const { path, whole } = file;
    const { key, validator, run, task } = readSidecar(path) ?? {};
    const entry = {
      key: key === undefined ? null : shownKey(key),
      validator: validator ?? null,
      bytes: file.size - file.ahead,
      whole,
      used: Temporal.Instant.fromEpochMilliseconds(Math.floor(file.used)).toString(),
      run: run ?? null,
      task: task ?? null,
      busy: whole ? used.has(path) : isAlive(dirname(path)),
    };
    return { path, asked: key, entry };
  });
}

/** Whether a key is of what somebody calls so: its headers are not known to them, nor is how secrets are shown. */
function fits(key: string, name: string): boolean {
  return key.split(" ")[0] === name || shownKey(key) === shownKey(name);
}
