import type { Buffer } from "node:buffer";
import type { Transform } from "node:stream";

/** Bytes that one call of the engine may make; large enough that the cost of a call is lost in it. */
export const CHUNK = 256 * 1024;

/** Thrown when data is not what its format allows. */
export class Damaged extends Error {
  override name = "Damaged";
}

/**
 * Hands a node:zlib stream one piece at a time, and takes from it only what is asked for.
 *
 * The runtime's own adapters to Web Streams take in the whole source at once.
 */
export class Decoder {
  /** Whether what it decodes has ended, whatever may follow. */
  ended = false;
  readonly #stream: Transform & { bytesWritten?: number };
  #error: Error | undefined;
  #wake: () => void = () => {};

  constructor(stream: Transform) {
    this.#stream = stream;
    stream.on("readable", () => this.#wake());
    stream.on("end", () => {
      this.ended = true;
      this.#wake();
    });
    stream.on("error", (error) => {
      this.#error = error;
      this.#wake();
    });
  }

  /** How many bytes of the pieces were decoded; unknown on Deno 2.4. */
  get consumed(): number | undefined {
    return this.#stream.bytesWritten;
  }

  /** Decodes a piece, until it is used up or the data has ended. */
  async *push(piece: Uint8Array): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    let taken = false;
    this.#stream.write(piece, () => {
      taken = true;
      this.#wake();
    });
    yield* this.#drain(() => taken);
  }

  /** Says that there are no more pieces. */
  async *finish(): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    this.#stream.end();
    yield* this.#drain(() => false);
  }

  /** Frees what it holds. */
  [Symbol.dispose](): void {
    this.#stream.destroy();
  }

  async *#drain(until: () => boolean): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    while (true) {
      if (this.#error) throw new Damaged(this.#error.message, { cause: this.#error });
      const chunk: Buffer<ArrayBuffer> | null = this.#stream.read();
      // A Buffer's slice is no copy, unlike that of the array it claims to be.
      if (chunk) yield new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      else if (this.ended || until()) return;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}
