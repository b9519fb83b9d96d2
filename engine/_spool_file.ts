import { createHash, type Hash } from "node:crypto";
import type { Origin } from "./source.ts";
import type { StreamState } from "./state.ts";

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
  /** Whose a partial file is. */
  readonly run?: string;
  readonly task?: string;
}

/** Thrown to readers of a file that is gone, or is not what was written. */
export class SpoolDamaged extends Error {
  override name = "SpoolDamaged";
}

/** Record what is safely on disk after this many bytes … */
const RECORD_BYTES = 32 * 2 ** 20;
/** … or milliseconds. */
const RECORD_TIME = 5000;
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
  /** Whether it is kept for other runs, under its key and validator. */
  shared = false;
  readonly #owner: { readonly run: string; readonly task: string };
  readonly #clock: () => number;
  readonly #waiting = new Set<() => void>();
  #error: Error | undefined;
  #hash: Hash | undefined;
  #handle: Deno.FsFile | undefined;
  #recorded: { bytes: number; at: number };

  constructor(
    path: string,
    owner: { readonly run: string; readonly task: string },
    clock: () => number,
    origin?: Omit<Origin, "offset" | "kept">,
    bytes = 0,
  ) {
    this.path = path;
    this.origin = origin;
    this.bytes = bytes;
    this.#owner = owner;
    this.#clock = clock;
    this.#recorded = { bytes, at: clock() };
  }

  /** What a run notes down of it. */
  get state(): StreamState {
    return {
      key: this.origin?.key ?? null,
      validator: this.origin?.validator ?? null,
      bytes: this.bytes,
      whole: this.sha256 !== undefined,
    };
  }

  /** Makes it ready to be written on, behind the bytes that count. */
  async open(): Promise<void> {
    this.#hash ??= await hashStart(this.path, this.bytes);
    this.#handle = await Deno.open(this.path, { write: true, create: true, mode: 0o600 });
    await this.#handle.truncate(this.bytes);
    await this.#handle.seek(this.bytes, Deno.SeekMode.Start);
    this.#recorded.at = this.#clock();
  }

  /** Appends a chunk; readers see it as soon as it is written. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let rest = chunk; rest.length > 0;) {
      const n = await this.#handle!.write(rest);
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
    } finally {
      this.#close();
    }
  }

  /** Ends it: nothing more is to come. With `to`, it moves there and is shared from then on. */
  async finish(to?: string): Promise<void> {
    await this.#handle!.syncData();
    this.#close();
    const sha256 = this.#hash!.digest("hex");
    if (to !== undefined) {
      // The sidecar first: a file counts only when both are there and agree.
      await writeSidecar(to, { ...this.#sidecar()!, whole: true, sha256 });
      await Deno.rename(this.path, to);
      const old = this.path;
      this.path = to;
      this.shared = true;
      await removeFile(`${old}.json`);
    }
    this.sha256 = sha256;
  }

  /** Lets its readers see its end. */
  commit(): void {
    this.committed = true;
    this.#wake();
  }

  /** Ends it for its readers, too, and deletes it unless it is shared. */
  async drop(error: Error): Promise<void> {
    this.#error ??= error;
    this.#wake();
    this.#close();
    if (this.shared) return;
    await removeFile(this.path);
    await removeFile(`${this.path}.json`);
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

  async #record(): Promise<void> {
    const at = { bytes: this.bytes, at: this.#clock() };
    const sidecar = this.#sidecar();
    if (sidecar) {
      await this.#handle!.syncData();
      await writeSidecar(this.path, sidecar);
    }
    this.#recorded = at;
  }

  /** None for what cannot be continued. */
  #sidecar(): Sidecar | undefined {
    const { key, validator, length } = this.origin ?? {};
    if (key === undefined || validator === undefined) return undefined;
    return {
      key,
      validator,
      length: length ?? null,
      bytes: this.bytes,
      whole: false,
      ...this.#owner,
    };
  }

  #close(): void {
    this.#handle?.close();
    this.#handle = undefined;
  }

  #wake(): void {
    for (const go of [...this.#waiting]) go();
  }
}

/** Reads the sidecar of a file; undefined when there is none that can be read. */
export async function readSidecar(path: string): Promise<Sidecar | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(`${path}.json`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Writes the sidecar of a file, so that there is always a whole one. */
async function writeSidecar(path: string, sidecar: Sidecar): Promise<void> {
  const draft = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(draft, JSON.stringify(sidecar), { mode: 0o600 });
  await Deno.rename(draft, `${path}.json`);
}

/** Removes a file if it is there. */
export async function removeFile(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Hashes the first bytes of a file. */
async function hashStart(path: string, bytes: number): Promise<Hash> {
  const hash = createHash("sha256");
  if (bytes === 0) return hash;
  using file = await Deno.open(path);
  const chunk = new Uint8Array(CHUNK);
  for (let left = bytes; left > 0;) {
    const n = await file.read(chunk.subarray(0, Math.min(CHUNK, left)));
    if (n === null) {
      throw new SpoolDamaged(
        `Cannot go on with "${path}": it is ${left} bytes shorter than recorded`,
      );
    }
    hash.update(chunk.subarray(0, n));
    left -= n;
  }
  return hash;
}
