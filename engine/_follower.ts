import { createHash } from "node:crypto";
import { Edge } from "./source.ts";
import { SpoolDamaged, type SpoolFile } from "./_spool_file.ts";

const CHUNK = 256 * 1024;

/** What a reader sees of a file. */
export type Followed = Pick<SpoolFile, "path" | "bytes" | "sha256" | "committed" | "after">;

/** How far a file has come. */
export type FileState = Omit<Followed, "after">;

/** Reads a file of the spool from its start, waits where it has not been written yet, and ends when it is committed. */
export class Follower implements AsyncDisposable {
  /** Its bytes; it is read only as fast as asked for. */
  readonly stream: Edge;
  /** Whether the file turned out to be gone, or not to be what was written. */
  damaged = false;
  readonly #find: () => Promise<Followed>;
  readonly #stop = new AbortController();
  readonly #attempt: AbortSignal;
  /** Aborted with the attempt, or when nobody reads any more. */
  readonly #signal: AbortSignal;
  readonly #onWait: (waiting: boolean) => void;
  readonly #hash = createHash("sha256");
  #file: Promise<Followed> | undefined;
  #handle: Deno.FsFile | undefined;
  #position = 0;
  #busy: Promise<void> = Promise.resolve();

  constructor(
    find: () => Promise<Followed>,
    signal: AbortSignal,
    onWait: (waiting: boolean) => void = () => {},
  ) {
    this.#find = find;
    this.#attempt = signal;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
    this.#onWait = onWait;
    this.stream = new Edge({
      pull: (controller) => this.#busy = this.#pull(controller),
      cancel: async (reason) => {
        // Who has read enough is not done before the writer is.
        if (reason === undefined) await this.#end(this.#signal);
        await this[Symbol.asyncDispose]();
      },
    }, { highWaterMark: 0 });
  }

  /** Resolves when the writer has ended well; rejects when it never will. It need not be read any more. */
  async ended(): Promise<void> {
    await this.#end(this.#attempt);
  }

  async #end(signal: AbortSignal): Promise<void> {
    const file = await this.#open();
    if (!file.committed) await this.#wait(file, Infinity, signal);
  }

  /** How far the file has come, once there are more than `bytes` of it or it has ended: for who reads it elsewhere. */
  async after(bytes: number, signal: AbortSignal): Promise<FileState> {
    const file = await this.#open();
    if (file.bytes <= bytes && !file.committed) {
      await this.#wait(file, bytes, AbortSignal.any([signal, this.#signal]));
    }
    const { path, sha256, committed } = file;
    return { path, bytes: file.bytes, sha256, committed };
  }

  /** Stops reading and closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#busy.catch(() => {});
    this.#close();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> {
    try {
      this.#signal.throwIfAborted();
      const file = await this.#open();
      if (this.#position >= file.bytes && !file.committed) await this.#wait(file, this.#position);
      if (this.#position < file.bytes) return controller.enqueue(await this.#read(file));
      if (this.#hash.digest("hex") !== file.sha256) {
        throw new SpoolDamaged(
          `Cannot read "${file.path}": its bytes are not those that were written`,
        );
      }
      this.#close();
      controller.close();
    } catch (error) {
      this.#close();
      if (error instanceof SpoolDamaged) this.damaged = true;
      throw error;
    }
  }

  async #read(file: Followed): Promise<Uint8Array<ArrayBuffer>> {
    this.#handle ??= await this.#openFile(file);
    const chunk = new Uint8Array(Math.min(CHUNK, file.bytes - this.#position));
    const n = await this.#handle.read(chunk);
    if (n === null) {
      throw new SpoolDamaged(
        `Cannot read "${file.path}": it ends after ${this.#position} of ${file.bytes} bytes`,
      );
    }
    this.#position += n;
    this.#hash.update(chunk.subarray(0, n));
    return n < chunk.length ? chunk.subarray(0, n) : chunk;
  }

  #open(): Promise<Followed> {
    this.#file ??= this.#find().catch((error) => {
      if (error instanceof SpoolDamaged) this.damaged = true;
      throw error;
    });
    return this.#file;
  }

  async #openFile(file: Followed): Promise<Deno.FsFile> {
    const path = file.path;
    try {
      return await Deno.open(path);
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) throw cause;
      // It may have been published meanwhile.
      await this.#find();
      if (file.path !== path) return await this.#openFile(file);
      throw new SpoolDamaged(`Cannot read "${path}": it is gone`, { cause });
    }
  }

  async #wait(file: Followed, bytes: number, signal = this.#signal): Promise<void> {
    this.#onWait(true);
    try {
      await file.after(bytes, signal);
    } finally {
      this.#onWait(false);
    }
  }

  #close(): void {
    this.#handle?.close();
    this.#handle = undefined;
  }
}
