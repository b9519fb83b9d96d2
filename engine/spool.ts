import { createHash } from "node:crypto";
import { join } from "node:path";
import { Follower } from "./_follower.ts";
import { lock } from "./_lock.ts";
import { readSidecar, removeFile, type Sidecar, SpoolDamaged, SpoolFile } from "./_spool_file.ts";
import type { Kept, Origin } from "./source.ts";
import type { StreamState } from "./state.ts";

/** Whose output a file is. */
export interface Owner {
  readonly run: string;
  readonly task: string;
}

/** Options for {@linkcode openSpool}. */
export interface SpoolOptions {
  /** Milliseconds of a clock that never goes back. */
  clock: () => number;
  /** Whether a run may still go on: what it left half written is then kept for it. @default {none may} */
  live?: (run: string) => Promise<boolean>;
}

/** The files between writers and readers, in a folder that processes share. */
export interface Spool extends AsyncDisposable {
  /** What there is of a source, for a task that is about to ask for it. */
  kept(owner: Owner, key: string): Promise<Kept | undefined>;
  /**
   * Opens the file that a task is to write, or the whole one it is to take. When that is another one than before,
   * `replace` is awaited first: it ends those who read the old one.
   *
   * @throws {Error} when the origin goes on where nothing ends
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
 * are those that one process writes: a lock in it tells that it lives. Beside each file that has a validator stands its
 * sidecar, `.json`.
 */
export async function openSpool(home: string, options: SpoolOptions): Promise<Spool> {
  const { clock, live = () => Promise.resolve(false) } = options;
  const root = join(home, "spool");
  const { folder, mine, left } = enter(root);
  const files = new Map<string, SpoolFile>();
  for (const path of left) {
    const sidecar = await readSidecar(path);
    if (sidecar?.run !== undefined && sidecar.task !== undefined && await live(sidecar.run)) {
      const owner = { run: sidecar.run, task: sidecar.task };
      files.set(id(owner), new SpoolFile(path, owner, clock, origin(sidecar), sidecar.bytes));
    } else {
      await removeFile(path);
      await removeFile(`${path}.json`);
    }
  }

  /** The whole file of a key, the newest unless a validator says which. */
  async function find(
    key: string,
    validator?: string | null,
  ): Promise<{ path: string; sidecar: Sidecar } | undefined> {
    const shelf = join(root, "whole", sha256(key));
    const names = validator ? [sha256(validator)] : await list(shelf);
    let found: { path: string; sidecar: Sidecar; at: number } | undefined;
    for (const name of names.filter((name) => !name.includes("."))) {
      const path = join(shelf, name);
      const sidecar = await readSidecar(path);
      const stat = await Deno.stat(path).catch(() => undefined);
      if (!sidecar?.whole || sidecar.bytes !== stat?.size) continue;
      const at = stat.mtime?.getTime() ?? 0;
      if (!found || at > found.at) found = { path, sidecar, at };
    }
    return found;
  }

  async function take(owner: Owner, key: string, validator?: string | null): Promise<SpoolFile> {
    const found = await find(key, validator);
    if (!found) throw new SpoolDamaged(`Cannot take "${key}" from the spool: it is gone`);
    const { path, sidecar } = found;
    const file = new SpoolFile(path, owner, clock, origin(sidecar), sidecar.bytes);
    file.sha256 = sidecar.sha256;
    file.shared = true;
    return file;
  }

  async function drop(owner: Owner, damaged = false): Promise<void> {
    const file = files.get(id(owner));
    if (!file) return;
    files.delete(id(owner));
    if (damaged) file.shared = false;
    await file.drop(new SpoolDamaged(`Cannot read "${file.path}": another file took its place`));
  }

  return {
    async kept({ run, task }, key) {
      const own = files.get(id({ run, task }));
      if (
        own?.origin?.key === key && own.origin.validator !== undefined && !own.sha256 && own.bytes
      ) {
        return { validator: own.origin.validator, bytes: own.bytes, whole: false };
      }
      const found = await find(key);
      if (!found) return undefined;
      return { validator: found.sidecar.validator, bytes: found.sidecar.bytes, whole: true };
    },

    async open(owner, source, replace) {
      const old = files.get(id(owner));
      if (source && !source.kept && source.offset > 0) {
        const same = old?.origin?.key === source.key && old.origin.validator !== undefined &&
          old.origin.validator === source.validator && !old.sha256;
        if (!same || old.bytes !== source.offset) {
          throw new Error(
            `Cannot go on with "${source.key}" at byte ${source.offset}: ` +
              (same ? `${old.bytes} bytes are kept` : "nothing of that version is kept"),
          );
        }
        try {
          await old.open();
        } catch (error) {
          await replace();
          await drop(owner);
          throw error;
        }
        return old;
      }
      const whole = source?.kept ? await take(owner, source.key, source.validator) : undefined;
      if (whole && old?.path === whole.path) return old;
      if (old) {
        await replace();
        await drop(owner);
      }
      const file = whole ??
        new SpoolFile(join(folder, crypto.randomUUID()), owner, clock, source);
      if (!whole) await file.open();
      files.set(id(owner), file);
      return file;
    },

    async finish(file) {
      const { key, validator } = file.origin ?? {};
      if (key === undefined || validator === undefined) return await file.finish();
      const shelf = join(root, "whole", sha256(key));
      await Deno.mkdir(shelf, { recursive: true, mode: 0o700 });
      await file.finish(join(shelf, sha256(validator)));
    },

    commit: (owner) => files.get(id(owner))?.commit(),
    drop,

    follow(owner, stream, signal, onWait) {
      const file = async (): Promise<SpoolFile> => {
        const known = files.get(id(owner));
        if (known) return known;
        if (stream.key === null || !stream.whole) {
          throw new SpoolDamaged(`Cannot read what task "${owner.task}" put out: it is gone`);
        }
        const found = await take(owner, stream.key, stream.validator);
        found.commit();
        files.set(id(owner), found);
        return found;
      };
      return new Follower(file, signal, onWait);
    },

    async release(run) {
      for (const key of [...files.keys()]) {
        const [owner, task] = key.split("/") as [string, string];
        if (owner === run) await drop({ run, task });
      }
    },

    async [Symbol.asyncDispose]() {
      for (const file of files.values()) await file.rest();
      files.clear();
      mine[Symbol.dispose]();
      // What runs go on with after a restart is left for the next to open the spool.
      if (!options.live) await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Makes a folder of our own, and takes over the files of those whose process is dead. */
function enter(root: string): { folder: string; mine: Disposable; left: string[] } {
  const parts = join(root, "parts");
  const folder = join(parts, crypto.randomUUID());
  Deno.mkdirSync(parts, { recursive: true, mode: 0o700 });
  // All at once and without a pause: a second spool of this process must not wait for the first.
  using door = lock(join(root, "lock"), 10_000);
  if (!door) throw new Error(`Cannot open "${root}": another process holds its lock for too long`);
  Deno.mkdirSync(folder, { mode: 0o700 });
  const mine = lock(join(folder, "lock"))!;
  const left: string[] = [];
  for (const { name } of Deno.readDirSync(parts)) {
    const other = join(parts, name);
    if (other === folder) continue;
    using dead = lock(join(other, "lock"));
    if (!dead) continue;
    for (const file of [...Deno.readDirSync(other)].map((entry) => entry.name)) {
      if (!file.endsWith(".json")) continue;
      const data = file.slice(0, -".json".length);
      Deno.renameSync(join(other, file), join(folder, file));
      try {
        Deno.renameSync(join(other, data), join(folder, data));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      left.push(join(folder, data));
    }
    Deno.removeSync(other, { recursive: true });
  }
  return { folder, mine, left };
}

function id({ run, task }: Owner): string {
  return `${run}/${task}`;
}

function origin({ key, validator, length }: Sidecar): Omit<Origin, "offset"> {
  return { key, validator, ...length === null ? {} : { length } };
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

async function list(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
