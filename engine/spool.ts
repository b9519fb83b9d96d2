import { join } from "node:path";
import { Follower } from "./_follower.ts";
import { lock } from "./_lock.ts";
import { SpoolDamaged, SpoolFile } from "./_spool_file.ts";
import {
  findWhole,
  locked,
  markUse,
  readSidecar,
  removeStored,
  type Sidecar,
  sweepParts,
  sweepWhole,
  wholePath,
  writeSidecar,
} from "./_spool_folder.ts";
import { shownKey } from "./_spool_key.ts";
import { type Need, Room, type SpoolLimits } from "./_spool_room.ts";
import { type Kept, type Origin, SourceChanged } from "./source.ts";
import { isOver, type StreamState } from "./state.ts";
import type { Store } from "./store.ts";

/** Whose output a file is. */
export interface Owner {
  readonly run: string;
  readonly task: string;
}

/** What the spool has to know of runs that this process does not run at the moment. */
export interface Unfinished {
  /** Whether a run may still go on: what it left half written is then kept for it. @default {none may} */
  live?: (run: string) => Promise<boolean>;
  /** Which files the runs need that may still go on: they stay, however little room there is. @default {none} */
  needed?: () => Promise<Iterable<Need>>;
}

/** Options for {@linkcode openSpool}. */
export interface SpoolOptions extends SpoolLimits, Unfinished {
  /** Milliseconds of a clock that never goes back. */
  clock: () => number;
}

/** The files between writers and readers, in a folder that processes share. */
export interface Spool extends AsyncDisposable {
  /** What there is of a source, for a task that is about to ask for it; with `fresh`, only what it began itself. */
  kept(owner: Owner, key: string, fresh?: boolean): Promise<Kept | undefined>;
  /**
   * Makes sure that there is room for all of a source that tells its length.
   *
   * @throws {Error} naming its length, the room there is, and the option to raise
   */
  makeRoom(owner: Owner, origin: Origin | undefined): Promise<void>;
  /**
   * Opens the file that a task is to write, or the whole one it is to take. When that is another one than before,
   * `replace` is awaited first: it ends those who read the old one.
   *
   * @throws {Error} when the origin goes on where nothing ends, or there is no room
   * @throws {SourceChanged} when what was kept of it is gone or damaged
   */
  open(
    owner: Owner,
    origin: Origin | undefined,
    replace: () => Promise<void>,
  ): Promise<SpoolFile>;
  /** Ends a file: from then on, other runs find it by its key, if it has one and a validator. */
  finish(file: SpoolFile): Promise<void>;
  /** Says that the writer's success is on record. */
  commit(owner: Owner): void;
  /** Gives up a task's file; with `damaged`, the one that is shared, too. */
  drop(owner: Owner, damaged?: boolean): Promise<void>;
  /** A reader of a task's file. */
  follow(
    owner: Owner,
    stream: StreamState,
    signal: AbortSignal,
    onWait?: (waiting: boolean) => void,
  ): Follower;
  /** Forgets a run that is over: only what is shared stays. */
  release(run: string): Promise<void>;
}

/**
 * Opens the spool of a home folder, and clears what dead processes left there.
 *
 * `spool/whole/<SHA-256 of the key>/<SHA-256 of the validator>` are whole files, shared by all. `spool/parts/<process>/`
 * are those that one process writes: a lock in it tells that it lives, and empty files `use.…` which whole files it uses.
 * Beside each file that has a validator stands its sidecar, `.json`. A file that is being written is as long as the room
 * that is set aside for it; its sidecar tells how much of it counts.
 */
export async function openSpool(home: string, options: SpoolOptions): Promise<Spool> {
  const { clock, live, needed = () => Promise.resolve([]) } = options;
  const root = join(home, "spool");
  const room = new Room(root, options, needed);
  const { folder, held, left } = enter(root, live !== undefined);
  const files = new Map<string, SpoolFile>();
  for (const path of left) {
    const { run, task, bytes, ...sidecar } = readSidecar(path)!;
    const owner = { run: run!, task: task! };
    if (await live!(owner.run) && !files.has(id(owner))) {
      const parts = { path, owner, room, clock, origin: origin(sidecar), bytes };
      files.set(id(owner), new SpoolFile(parts));
    } else removeStored(path);
  }

  /** The file of a whole one that is kept. */
  function take(owner: Owner, key: string, validator?: string | null): SpoolFile | undefined {
    return locked(root, () => {
      const found = findWhole(root, key, validator);
      if (!found) return undefined;
      const { path, sidecar } = found;
      // It also tells when the file was last used.
      writeSidecar(path, { ...sidecar, ...owner });
      const { bytes } = sidecar;
      const file = new SpoolFile({ path, owner, room, clock, origin: origin(sidecar), bytes });
      file.sha256 = sidecar.sha256;
      file.use = markUse(folder, path);
      return file;
    });
  }

  function drop(owner: Owner, damaged = false): void {
    const file = files.get(id(owner));
    files.delete(id(owner));
    const error = `Cannot read "${file?.path}": another file took its place`;
    file?.drop(new SpoolDamaged(error), damaged);
  }

  /** What a task began and did not finish. */
  function partial({ run, task }: Owner, { key, validator }: Omit<Origin, "offset">) {
    const own = files.get(id({ run, task }));
    const same = own?.origin?.key === key && own.origin.validator !== undefined && !own.sha256 &&
      (validator === undefined || own.origin.validator === validator);
    return same ? own : undefined;
  }

  return {
    // deno-lint-ignore require-await -- so that it rejects instead of throwing
    async kept(owner, key, fresh = false) {
      const own = partial(owner, { key });
      if (own?.bytes) {
        return { validator: own.origin!.validator!, bytes: own.bytes, whole: false };
      }
      const found = fresh ? undefined : findWhole(root, key);
      if (!found) return undefined;
      return { validator: found.sidecar.validator, bytes: found.sidecar.bytes, whole: true };
    },

    async makeRoom(owner, source) {
      if (source?.length === undefined || source.kept) return;
      const old = files.get(id(owner));
      const path = old && !old.use ? old.path : "";
      const name = `"${shownKey(source.key)}"`;
      await room.claim({ path, name, size: 0, resize() {} }, source.length);
    },

    async open(owner, source, replace) {
      const old = files.get(id(owner));
      if (source && !source.kept && source.offset > 0) {
        const file = partial(owner, source);
        if (file?.bytes !== source.offset) {
          throw new Error(
            `Cannot go on with "${source.key}" at byte ${source.offset}: ` +
              (file ? `${file.bytes} bytes are kept` : "nothing of that version is kept"),
          );
        }
        try {
          await file.open();
        } catch (cause) {
          if (!(cause instanceof SpoolDamaged)) throw cause;
          throw new SourceChanged(cause.message, { cause });
        }
        return file;
      }
      const whole = source?.kept ? take(owner, source.key, source.validator) : undefined;
      if (source?.kept && !whole) {
        throw new SourceChanged(`Cannot take "${source.key}" from the spool: it is gone`);
      }
      if (whole && old?.path === whole.path) {
        whole.use![Symbol.dispose]();
        // Until its task has succeeded anew, nobody sees its end.
        old.committed = false;
        return old;
      }
      if (old) {
        await replace();
        drop(owner);
      }
      const path = join(folder, crypto.randomUUID());
      const file = whole ?? new SpoolFile({ path, owner, room, clock, origin: source });
      try {
        if (!whole) await file.open();
      } catch (error) {
        file.drop(error as Error);
        throw error;
      }
      files.set(id(owner), file);
      return file;
    },

    async finish(file) {
      await file.finish((from, sidecar) =>
        locked(root, () => {
          const path = wholePath(root, sidecar.key, sidecar.validator);
          Deno.mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
          const use = markUse(folder, path);
          // The sidecar first: a file counts only when both are there and agree.
          writeSidecar(path, sidecar);
          Deno.renameSync(from, path);
          removeStored(from);
          return { path, use };
        })
      );
    },

    commit: (owner) => files.get(id(owner))?.commit(),
    // deno-lint-ignore require-await -- so that it rejects instead of throwing
    drop: async (owner, damaged) => drop(owner, damaged),

    follow(owner, stream, signal, onWait) {
      // deno-lint-ignore require-await -- so that it rejects instead of throwing
      const file = async (): Promise<SpoolFile> => {
        const known = files.get(id(owner));
        if (known) return known;
        const found = stream.key !== null && stream.whole
          ? take(owner, stream.key, stream.validator)
          : undefined;
        if (!found) {
          throw new SpoolDamaged(`Cannot read what task "${owner.task}" put out: it is gone`);
        }
        found.commit();
        files.set(id(owner), found);
        return found;
      };
      return new Follower(file, signal, onWait);
    },

    // deno-lint-ignore require-await -- so that it rejects instead of throwing
    async release(run) {
      for (const key of [...files.keys()]) {
        const [owner, task] = key.split("/") as [string, string];
        if (owner === run) drop({ run, task });
      }
    },

    async [Symbol.asyncDispose]() {
      for (const file of files.values()) {
        await file.rest();
        file.use?.[Symbol.dispose]();
      }
      files.clear();
      locked(root, () => {
        for (const one of held) one[Symbol.dispose]();
        // What runs go on with after a restart is left for the next to open the spool.
        sweepParts(root, live ? isOwned : () => false).forEach((some) =>
          some.held[Symbol.dispose]()
        );
      });
    },
  };
}

/** What a spool has to know of the runs in a store. */
export function unfinished(store: Store): Required<Unfinished> {
  return {
    async live(id) {
      const run = await store.get(id);
      return run !== undefined && !isOver(run);
    },
    async needed() {
      const runs = [
        ...await store.list({ state: "queued" }),
        ...await store.list({ state: "running" }),
      ];
      return runs.flatMap(({ tasks, mapped }) =>
        [...Object.values(tasks), ...Object.values(mapped).flat()].flatMap(({ stream }) => {
          const { key = null, validator = null } = stream ?? {};
          return key !== null && validator !== null ? [{ key, validator }] : [];
        })
      );
    },
  };
}

/** Makes a folder of our own, and takes over what is to be kept of those whose process is dead. */
function enter(
  root: string,
  keep: boolean,
): { folder: string; held: Disposable[]; left: string[] } {
  const parts = join(root, "parts");
  const folder = join(parts, crypto.randomUUID());
  Deno.mkdirSync(parts, { recursive: true, mode: 0o700 });
  return locked(root, () => {
    const swept = sweepParts(root, keep ? isOwned : () => false);
    sweepWhole(root);
    Deno.mkdirSync(folder, { mode: 0o700 });
    return {
      folder,
      held: [lock(join(folder, "lock"))!, ...swept.map(({ held }) => held)],
      left: swept.flatMap(({ paths }) => paths),
    };
  });
}

function isOwned({ run, task }: Sidecar): boolean {
  return run !== undefined && task !== undefined;
}

function id({ run, task }: Owner): string {
  return `${run}/${task}`;
}

function origin({ key, validator, length }: Omit<Sidecar, "bytes">): Omit<Origin, "offset"> {
  return { key, validator, ...length === null ? {} : { length } };
}
