import type { Bytes } from "../engine/mod.ts";

/** Bytes on their way through a stage of reading. */
export type Chunks = AsyncIterable<Uint8Array<ArrayBuffer>>;

/** Of how many bytes of the source some of those were made that came of it. */
export type Span = (bytes: Uint8Array, from: number, to: number) => number;

/** The bytes of a source that lie ready, as many as are asked for. */
export class Window {
  /** What was read and what was not wait in `bytes[from, to)`; at least one byte behind it is free. */
  bytes: Uint8Array<ArrayBuffer>;
  from = 0;
  to = 0;
  /** Whether the source has no more. */
  ended = false;
  /** Whether the source has failed: what is wrong is not what it held. */
  failed = false;
  /** What tells where bytes lie in the source; undefined where they were changed so that nothing does. */
  span: Span | undefined = (_, from, to) => to - from;
  /** Where `bytes[0]` lies in the source. */
  #base = 0;
  readonly #source: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  #chunks: { next(): Promise<IteratorResult<Uint8Array<ArrayBuffer>, unknown>> };
  #unwanted: { readonly reason: unknown } | undefined;
  /** What did not fit of the last chunk. */
  #rest: Uint8Array<ArrayBuffer> | undefined;

  /** With some bytes to fill, of which one must stay free for a tokenizer's sentinel. */
  constructor(source: Bytes, bytes: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes;
    const reader = this.#source = source.getReader();
    this.#chunks = { next: () => this.#read(reader) };
  }

  async #read(
    reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
  ): Promise<IteratorResult<Uint8Array<ArrayBuffer>>> {
    try {
      const read = await reader.read();
      // A source that nobody wants looks like one that has ended, in the middle of a record.
      if (read.done && this.#unwanted) throw this.#unwanted.reason;
      return read as IteratorResult<Uint8Array<ArrayBuffer>>;
    } catch (error) {
      this.failed = true;
      throw error;
    }
  }

  /** Tells where the bytes that lie ready now lie in the source: fast for one behind the one before. */
  get offsetOf(): ((at: number) => number) | undefined {
    const { span, bytes } = this;
    if (!span) return undefined;
    let before = 0, offset = this.#base;
    return (at) => {
      if (at < before) before = 0, offset = this.#base;
      offset += span(bytes, before, at);
      before = at;
      return offset;
    };
  }

  /** Where the next byte lies in the source, if that can be told. */
  get offset(): number | undefined {
    return this.offsetOf?.(this.from);
  }

  /** Whether nothing is left, and nothing will come. */
  get empty(): boolean {
    return this.ended && this.from === this.to;
  }

  /** How many bytes to hold to have more than now: twice those there are, at least `block`. */
  more(block: number): number {
    return Math.max(block, (this.to - this.from) * 2);
  }

  /** Reads until at least `want` bytes lie ready, or the source has ended. */
  async fill(want: number): Promise<void> {
    const left = this.to - this.from;
    this.#base = this.offset ?? 0;
    if (want >= this.bytes.length) {
      const wider = new Uint8Array(want + 1);
      wider.set(this.bytes.subarray(this.from, this.to));
      this.bytes = wider;
    } else this.bytes.copyWithin(0, this.from, this.to);
    this.from = 0;
    this.to = left;
    while (this.to < want) {
      let chunk = this.#rest;
      if (!chunk) {
        if (this.ended) return;
        const { done, value } = await this.#chunks.next();
        if (done) {
          this.ended = true;
          return;
        }
        chunk = value;
      }
      const room = Math.min(chunk.length, want - this.to);
      this.bytes.set(room < chunk.length ? chunk.subarray(0, room) : chunk, this.to);
      this.#rest = room < chunk.length ? chunk.subarray(room) : undefined;
      this.to += room;
    }
  }

  /** Sends what waits, and all that comes, through a stage first; `span` tells of what it makes of them. */
  through(stage: (chunks: Chunks) => Chunks, span?: Span): void {
    const chunks = this.#chunks, rest = this.#rest, waiting = this.bytes.slice(this.from, this.to);
    const { ended, offset } = this;
    async function* all(): Chunks {
      if (waiting.length > 0) yield waiting;
      if (rest) yield rest;
      for (; !ended;) {
        const { done, value } = await chunks.next();
        if (done) return;
        yield value;
      }
    }
    this.#chunks = stage(all())[Symbol.asyncIterator]();
    this.#rest = undefined;
    this.from = this.to = 0;
    this.ended = false;
    this.#base = offset ?? 0;
    this.span = offset === undefined ? undefined : span;
  }

  /** Wants no more; who waits for bytes fails with the reason. */
  cancel(reason: unknown): Promise<void> {
    this.#unwanted ??= { reason };
    return this.#source.cancel(reason);
  }
}

/** Two arrays as one. */
export function joined(
  a: Uint8Array<ArrayBuffer>,
  b: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  if (a.length === 0) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
