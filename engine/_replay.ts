import type { Bytes } from "./source.ts";

const CHUNK = 256 * 1024;

/**
 * Keeps what is read of a stream that cannot be opened twice, so that it can be read again from its start.
 *
 * The bytes are in a file of the system's temporary folder that has no name, so that nothing is left of it however this
 * process ends. Where it cannot be written, the stream is passed on as it comes.
 */
export class Replay {
  /** Whether all that was read is kept. */
  whole = true;
  readonly #reader: ReadableStreamDefaultReader<unknown>;
  #file: Deno.FsFile | undefined;
  #kept = 0;
  #ended = false;
  /** One at a time: reading from the source, writing and reading the file. */
  #busy: Promise<void> = Promise.resolve();
  #last = false;
  readonly #onLost: (cause: unknown) => void;

  /** `onLost` is told when the file cannot be written. */
  constructor(source: ReadableStream<unknown>, onLost: (cause: unknown) => void) {
    this.#reader = source.getReader();
    this.#onLost = onLost;
  }

  /** All of it, from the start. Once this is cancelled there may be another one, until one is the {@linkcode last}. */
  open(): Bytes {
    let at = 0, cancelled = false;
    const next = async (): Promise<unknown> => {
      if (cancelled) return undefined;
      if (at < this.#kept) {
        const chunk = new Uint8Array(Math.min(CHUNK, this.#kept - at));
        this.#file!.seekSync(at, Deno.SeekMode.Start);
        const n = await this.#file!.read(chunk);
        if (n === null) throw new Error("Cannot read a temporary file again: it ends too early");
        at += n;
        return chunk.subarray(0, n);
      }
      const { done, value } = this.#ended ? { done: true } as const : await this.#reader.read();
      if (done) this.#ended = true;
      else if (!this.#last) await this.#keep(value);
      at = this.#kept;
      return value;
    };
    return new ReadableStream({
      pull: async (controller) => {
        const turn = this.#busy.then(next);
        this.#busy = turn.then(() => {}, () => {});
        const chunk = await turn;
        if (cancelled) return;
        if (chunk !== undefined) return controller.enqueue(chunk as Uint8Array<ArrayBuffer>);
        controller.close();
        if (this.#last) this.#close();
      },
      cancel: async (reason) => {
        cancelled = true;
        if (this.#last) await this.close(reason);
      },
    }, { highWaterMark: 0 });
  }

  /** Says that it will not be opened again: who reads it now ends it. */
  last(): void {
    this.#last = true;
    if (this.#ended) this.#close();
  }

  /** Ends it, and what it reads from. */
  async close(reason: unknown): Promise<void> {
    await this.#reader.cancel(reason).catch(() => {});
    await this.#busy;
    this.#close();
  }

  async #keep(chunk: unknown): Promise<void> {
    if (!(chunk instanceof Uint8Array)) this.whole = false;
    if (!this.whole) return;
    try {
      this.#file ??= await openNameless();
      this.#file.seekSync(this.#kept, Deno.SeekMode.Start);
      for (let rest = chunk as Uint8Array; rest.length > 0;) {
        const n = await this.#file.write(rest);
        this.#kept += n;
        rest = rest.subarray(n);
      }
    } catch (cause) {
      this.whole = false;
      this.#kept = 0;
      this.#close();
      this.#onLost(cause);
    }
  }

  #close(): void {
    this.#file?.close();
    this.#file = undefined;
  }
}

/** A file that goes when it is closed, or its process ends. */
async function openNameless(): Promise<Deno.FsFile> {
  const path = await Deno.makeTempFile({ prefix: "sluice-replay-" });
  try {
    return await Deno.open(path, { read: true, write: true });
  } finally {
    await Deno.remove(path);
  }
}
