import { createHash } from "node:crypto";
import { join } from "node:path";
import { lock } from "./_lock.ts";
import { shownKey } from "./_spool_key.ts";
import { type Bytes, type Kept, type Origin, Source } from "./source.ts";
import type { AnyContext, Work } from "./work.ts";

/** Options for {@linkcode keepSource}. */
export interface KeepSourceOptions {
  /** What is done with it, as people are told: no secret. @default {""} */
  what?: string;
  /** The time. @default {the system's} */
  now?: () => Temporal.Instant;
}

/** What is kept of a source that is read by one load, from one process that dies to the next. */
export interface KeptSource extends Disposable {
  /** Names what is done with the source: the same from the first process to the last one. */
  readonly id: string;
  /** The same work, whose bytes come from what is kept as far as that goes; the rest is kept as it comes. */
  through<C extends AnyContext>(work: Work<Bytes, void, C>): Work<Bytes, void, C>;
  /** Keeps nothing any more: all that was to be done is done. */
  forget(): void;
}

/** How long is kept what nobody goes on with. */
const KEPT = { hours: 24 };
/** For how many milliseconds others may have a lock to look at what is kept. */
const LISTED = 200;
/** How many bytes come before it is recorded that they are safe on the disk. */
const RECORD_BYTES = 32 * 2 ** 20;
const CHUNK = 256 * 1024;

/**
 * Keeps a source in a folder while it is read, under a name that says what is done with it, and whole or in part it is
 * there for the next process that asks for that name. What nobody asks for within a day goes.
 *
 * Kept is what comes over the network and has a strong validator: anything else is read anew. Undefined when another
 * process has that name.
 */
export function keepSource(
  folder: string,
  name: string,
  { what = "", now = Temporal.Now.instant }: KeepSourceOptions = {},
): KeptSource | undefined {
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  sweep(folder, now().subtract(KEPT));
  const own = join(folder, createHash("sha256").update(name).digest("hex"));
  Deno.mkdirSync(own, { recursive: true, mode: 0o700 });
  // Who lists what is kept has the lock for a moment.
  const held = lock(join(own, "lock"), LISTED);
  return held && new KeptFolder(own, held, what);
}

/** What is kept in such a folder of one source. */
export interface KeptEntry extends Pick<Note, "what" | "origin" | "bytes" | "whole"> {
  /** When it was last used, in milliseconds since 1970. */
  readonly used: number;
  /** Whether a process is at it. */
  readonly busy: boolean;
  /** Removes it, unless a process is at it; tells whether it did. */
  remove(): boolean;
}

/** All that is kept in a folder. */
export function listKept(folder: string): KeptEntry[] {
  const names = found(() => [...Deno.readDirSync(folder)]) ?? [];
  return names.flatMap(({ name }): KeptEntry[] => {
    const own = join(folder, name);
    const used = found(() => Deno.statSync(notePath(own)))?.mtime?.getTime();
    if (used === undefined) return [];
    const { what, origin, bytes, whole } = readNote(own);
    const remove = (): boolean => {
      using free = lock(join(own, "lock"));
      if (free) Deno.removeSync(own, { recursive: true });
      return free !== undefined;
    };
    using free = lock(join(own, "lock"));
    return [{ what, ...origin && { origin }, bytes, whole, used, busy: !free, remove }];
  });
}

/** What stands beside the bytes, as JSON. */
interface Note {
  readonly id: string;
  /** What is done with it, for people. */
  readonly what: string;
  /** Of which version of what the bytes are. */
  readonly origin?: Omit<Origin, "offset" | "kept">;
  /** How many of them outlast a loss of power. */
  readonly bytes: number;
  /** Whether those are all. */
  readonly whole: boolean;
  /** The start of the machine under which they were written. */
  readonly boot?: string | undefined;
}

class KeptFolder implements KeptSource {
  readonly #folder: string;
  readonly #held: Disposable;
  #note: Note;

  constructor(folder: string, held: Disposable, what: string) {
    this.#folder = folder;
    this.#held = held;
    this.#note = readNote(folder);
    this.#write({ what });
  }

  get id(): string {
    return this.#note.id;
  }

  through<C extends AnyContext>(work: Work<Bytes, void, C>): Work<Bytes, void, C> {
    return {
      steps: work.steps,
      run: async (scope, ctx, input) => {
        const kept = (key: string) => Promise.resolve(this.#kept(key));
        const source = await work.run(scope, { ...ctx, kept }, input);
        if (!(source instanceof Source)) return source;
        const { key, validator } = source.origin;
        const lasts = validator !== undefined && !validator.startsWith("W/");
        return lasts && !key.startsWith("file:") ? this.#keep(source) : source;
      },
    };
  }

  forget(): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }

  [Symbol.dispose](): void {
    this.#held[Symbol.dispose]();
  }

  #kept(key: string): Kept | undefined {
    const { origin, bytes, whole } = this.#note;
    if (origin?.key !== key || bytes === 0) return undefined;
    return { validator: origin.validator!, bytes, whole: whole || bytes === origin.length };
  }

  /** Reads from the file, into which the source is written meanwhile as fast as it comes. */
  #keep(source: Source): Source {
    const { offset, kept = false, ...origin } = source.origin;
    const path = bytesPath(this.#folder);
    const coming = source.getReader();
    let bytes = offset, stopped = false, over = false;
    let news = Promise.withResolvers<void>();
    const fill = async (): Promise<void> => {
      using file = await Deno.open(path, { write: true, create: true, mode: 0o600 });
      await file.truncate(offset);
      await file.seek(offset, Deno.SeekMode.Start);
      this.#write({ origin, bytes, whole: kept });
      for (let safe = bytes;;) {
        const { done, value } = await coming.read();
        if (stopped) return;
        for (let rest = value; rest?.length;) {
          rest = rest.subarray(await file.write(rest).catch((error) => refuse(origin.key, error)));
        }
        bytes += value?.length ?? 0;
        if (done || bytes - safe >= RECORD_BYTES) {
          await file.syncData();
          this.#write({ bytes: safe = bytes, whole: done });
        }
        if (done) return;
        news.resolve();
        news = Promise.withResolvers();
      }
    };
    let filling: Promise<void> | undefined;
    const read = async function* (): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
      using file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
      filling = fill().finally(() => {
        over = true;
        news.resolve();
      });
      filling.catch(() => {}); // told below, behind what came before it
      for (let at = 0;;) {
        const { promise } = news;
        if (at < bytes) {
          const chunk = new Uint8Array(Math.min(CHUNK, bytes - at));
          const n = await file.read(chunk) ?? 0;
          if (n === 0) throw new Error(`Cannot read "${path}": it is shorter than it was`);
          at += n;
          yield chunk.subarray(0, n);
        } else if (over) return await filling;
        else await promise;
      }
    };
    const chunks = read();
    return new Source({ ...origin, offset: 0 }, {
      async pull(controller) {
        const { done, value } = await chunks.next();
        done ? controller.close() : controller.enqueue(value);
      },
      async cancel(reason) {
        stopped = true;
        await coming.cancel(reason);
        await chunks.return();
        await filling?.catch(() => {});
      },
    });
  }

  /** Notes what has changed, so that there is always a whole note. */
  #write(changes: Partial<Note>): void {
    this.#note = { ...this.#note, ...changes, boot: bootOf() };
    const path = notePath(this.#folder);
    Deno.writeTextFileSync(`${path}.new`, JSON.stringify(this.#note), { mode: 0o600 });
    Deno.renameSync(`${path}.new`, path);
  }
}

function refuse(key: string, cause: Error): never {
  throw new Error(
    `Cannot keep "${
      shownKey(key)
    }" in the home folder: ${cause.message}; make room, or do not keep it`,
    { cause },
  );
}

/** What was noted, and how much of it there is: all that was written, unless the machine has been off meanwhile. */
function readNote(folder: string): Note {
  const text = found(() => Deno.readTextFileSync(notePath(folder)));
  if (text === undefined) return { id: crypto.randomUUID(), what: "", bytes: 0, whole: false };
  const note: Note = JSON.parse(text);
  const size = found(() => Deno.statSync(bytesPath(folder)))?.size ?? 0;
  const stayed = note.boot !== undefined && note.boot === bootOf();
  const bytes = stayed ? size : Math.min(note.bytes, size);
  return { ...note, bytes, whole: note.whole && bytes === note.bytes };
}

/** Tells one start of the machine from another, where the system does. */
function bootOf(): string | undefined {
  return found(() => Deno.readTextFileSync("/proc/sys/kernel/random/boot_id"))?.trim();
}

/** Removes what nobody has asked for since. */
function sweep(folder: string, since: Temporal.Instant): void {
  for (const { name } of [...Deno.readDirSync(folder)]) {
    const own = join(folder, name);
    const { mtime } = found(() => Deno.statSync(notePath(own))) ?? Deno.statSync(own);
    if (mtime && mtime.getTime() >= since.epochMilliseconds) continue;
    using free = lock(join(own, "lock"));
    if (free) Deno.removeSync(own, { recursive: true });
  }
}

function notePath(folder: string): string {
  return join(folder, "kept.json");
}

function bytesPath(folder: string): string {
  return join(folder, "bytes");
}

function found<T>(what: () => T): T | undefined {
  try {
    return what();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
