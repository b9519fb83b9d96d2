import { createHash, type Hash } from "node:crypto";
import { removeStored, type Sidecar, writeSidecar } from "./_spool_folder.ts";
import { shownKey } from "./_spool_key.ts";
import { diskFull, isDiskFull, type Room } from "./_spool_room.ts";
import type { Origin } from "./source.ts";
import type { StreamState } from "./state.ts";

/** Thrown to readers of a file that is gone, or is not what was written. */
export class SpoolDamaged extends Error {
  override name = "SpoolDamaged";
}

/** What a file is made with. */
export interface SpoolFileParts {
  readonly path: string;
  readonly owner: { readonly run: string; readonly task: string };
  readonly room: Room;
  readonly clock: () => number;
  readonly origin?: Omit<Origin, "offset" | "kept"> | undefined;
  /** How many bytes there are of it. @default {0} */
  readonly bytes?: number;
}

/** Record what is safely on disk after this many bytes … */
const RECORD_BYTES = 32 * 2 ** 20;
/** … or milliseconds. */
const RECORD_TIME = 5000;
/** How many bytes are set aside at once for a file of unknown length: as many as it has, within these bounds. */
const AHEAD = { least: 2 ** 20, most: 32 * 2 ** 20 };
const CHUNK = 256 * 1024;

/** A file that one task writes and others read while it grows. */
export class SpoolFile {
  /** Where it is now; it moves when it is published. */
  path: string;
  readonly origin: Omit<Origin, "offset" | "kept"> | undefined;
  bytes: number;
  /** Of all its bytes, once there are no more to come. */
  sha256: string | undefined;
  /** Whether its writer's success is on record: only then do its readers see its end. */
  committed = false;
  /** Of a file that other runs find by its key: says that it is in use. */
  use: Disposable | undefined;
  readonly #owner: SpoolFileParts["owner"];
  readonly #room: Room;
  readonly #clock: () => number;
  readonly #waiting = new Set<() => void>();
  #error: Error | undefined;
  #hash: Hash | undefined;
  #handle: Deno.FsFile | undefined;
  #recorded: { bytes: number; at: number };
  /** Bytes that are set aside for it. */
  #size = 0;

  constructor({ path, owner, room, clock, origin, bytes = 0 }: SpoolFileParts) {
    this.path = path;
    this.origin = origin;
    this.bytes = bytes;
    this.#owner = owner;
    this.#room = room;
    this.#clock = clock;
    this.#recorded = { bytes, at: clock() };
  }

  /** What a run notes down of it. */
  get state(): StreamState {
    const { key = null, validator = null, length, unverified } = this.origin ?? {};
    return {
      key,
      validator,
      bytes: this.bytes,
      ...length === undefined || this.sha256 !== undefined ? {} : { length },
      whole: this.sha256 !== undefined,
      ...unverified && { unverified },
    };
  }

  /** Makes it ready to be written on, behind the bytes that count. */
  async open(): Promise<void> {
    this.#hash ??= await hashStart(this.path, this.bytes);
    this.#handle = await Deno.open(this.path, { write: true, create: true, mode: 0o600 });
    await this.#handle.truncate(this.bytes);
    await this.#handle.seek(this.bytes, Deno.SeekMode.Start);
    this.#size = this.bytes;
    try {
      const { length } = this.origin ?? {};
      if (length !== undefined && length > this.bytes) await this.#claim(length, length);
      await this.#record();
    } catch (error) {
      this.#close();
      throw error;
    }
  }

  /** Appends a chunk; readers see it as soon as it is written. */
  async write(chunk: Uint8Array): Promise<void> {
    const end = this.bytes + chunk.length;
    if (end > this.#size) {
      await this.#claim(end, end + Math.min(Math.max(end, AHEAD.least), AHEAD.most));
    }
    for (let rest = chunk; rest.length > 0;) {
      const n = await this.#handle!.write(rest).catch((cause) => {
        throw isDiskFull(cause) ? diskFull(this.#name, this.path, end, cause) : cause;
      });
      this.#hash!.update(rest.subarray(0, n));
      this.bytes += n;
      rest = rest.subarray(n);
    }
    this.#wake();
    const { bytes, at } = this.#recorded;
    if (this.bytes - bytes >= RECORD_BYTES || this.#clock() - at >= RECORD_TIME) {
      await this.#record();
    }
  }

  /** Ends an attempt to write it that did not get to the end; another may go on. */
  async rest(): Promise<void> {
    if (!this.#handle) return;
    try {
      await this.#record();
      await this.#handle.truncate(this.bytes);
    } catch (error) {
      // What could not be recorded is only downloaded again, should the process end.
      if (!isDiskFull(error)) throw error;
    } finally {
      this.#close();
    }
  }

  /** Ends it: nothing more is to come. `publish` may move it to where others find it, and says where that is. */
  async finish(
    publish?: (path: string, sidecar: Sidecar) => { path: string; use: Disposable },
  ): Promise<void> {
    await this.#handle!.truncate(this.bytes);
    await this.#sync();
    this.#close();
    const sha256 = this.#hash!.digest("hex");
    const sidecar = this.#sidecar();
    if (publish && sidecar) {
      const { path, use } = publish(this.path, { ...sidecar, whole: true, sha256 });
      this.path = path;
      this.use = use;
    }
    this.sha256 = sha256;
  }

  /** Lets its readers see its end. */
  commit(): void {
    this.committed = true;
    this.#wake();
  }

  /** Ends it for its readers, too, and deletes it unless it is shared and in order. */
  drop(error: Error, damaged = false): void {
    this.#error ??= error;
    this.#wake();
    this.#close();
    if (damaged || !this.use) removeStored(this.path);
    this.use?.[Symbol.dispose]();
  }

  /** Resolves when there are more than `bytes` of it or it has ended; rejects when it never will. */
  async after(bytes: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#error) throw this.#error;
      if (this.bytes > bytes || this.committed) return;
      await new Promise<void>((resolve) => {
        const go = (): void => {
          this.#waiting.delete(go);
          signal.removeEventListener("abort", go);
          resolve();
        };
        this.#waiting.add(go);
        signal.addEventListener("abort", go);
      });
    }
  }

  async #claim(least: number, most: number): Promise<void> {
    const handle = this.#handle!;
    const guest = {
      path: this.path,
      name: this.#name,
      size: this.#size,
      resize: (size: number) => handle.truncateSync(size),
    };
    this.#size = await this.#room.claim(guest, least, most);
  }

  async #record(): Promise<void> {
    const at = { bytes: this.bytes, at: this.#clock() };
    const sidecar = this.#sidecar();
    if (sidecar) {
      await this.#sync();
      writeSidecar(this.path, sidecar);
    }
    this.#recorded = at;
  }

  /**
   * Sees that all of it is on the disk. What a sync fails to write may be lost although the next one succeeds: then only
   * what was on record before counts.
   */
  async #sync(): Promise<void> {
    try {
      await this.#handle!.syncData();
    } catch (cause) {
      this.bytes = this.#recorded.bytes;
      this.#hash = undefined;
      if (isDiskFull(cause)) throw cause;
      throw new Error(
        `Cannot keep ${this.#name}: the disk of "${this.path}" fails (${
          (cause as Error).message
        }); look after it`,
        { cause },
      );
    }
  }

  /** None for what cannot be continued. */
  #sidecar(): Sidecar | undefined {
    const { key, validator, length } = this.origin ?? {};
    if (key === undefined || validator === undefined) return undefined;
    const { bytes } = this;
    return { key, validator, length: length ?? null, bytes, whole: false, ...this.#owner };
  }

  get #name(): string {
    const key = this.origin?.key;
    return key === undefined ? `what task "${this.#owner.task}" puts out` : `"${shownKey(key)}"`;
  }

  #close(): void {
    this.#handle?.close();
    this.#handle = undefined;
  }

  #wake(): void {
    for (const go of [...this.#waiting]) go();
  }
}

/** Hashes the first bytes of a file. */
async function hashStart(path: string, bytes: number): Promise<Hash> {
  const hash = createHash("sha256");
  if (bytes === 0) return hash;
  const damaged = (why: string, cause?: unknown): SpoolDamaged =>
    new SpoolDamaged(`Cannot go on with "${path}": ${why}`, { cause });
  using file = await Deno.open(path).catch((cause) => {
    throw cause instanceof Deno.errors.NotFound ? damaged("it is gone", cause) : cause;
  });
  const chunk = new Uint8Array(CHUNK);
  for (let left = bytes; left > 0;) {
    const n = await file.read(chunk.subarray(0, Math.min(CHUNK, left)));
    if (n === null) throw damaged(`it is ${left} bytes shorter than recorded`);
    hash.update(chunk.subarray(0, n));
    left -= n;
  }
  return hash;
}
