/** Reads a stream of bytes in pieces of any size, and knows where it is. */
export class ByteReader {
  /** How errors call what is read. */
  format = "the data";
  /** The next byte, counted from the first. */
  offset = 0;
  /** How many bytes have come in so far, read or not. */
  received = 0;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  #rest: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#reader = stream.getReader();
  }

  /** What is at hand, at least one byte; none at the end. It is not read before {@linkcode skip}. */
  async some(): Promise<Uint8Array<ArrayBuffer>> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#reader.read();
      if (done) break;
      this.received += value.length;
      this.#rest = value;
    }
    return this.#rest;
  }

  /** Passes over bytes that are at hand. */
  skip(count: number): void {
    this.#rest = this.#rest.subarray(count);
    this.offset += count;
  }

  /** The next bytes without reading them; fewer at the end. */
  async peek(count: number): Promise<Uint8Array<ArrayBuffer>> {
    await this.some();
    while (this.#rest.length < count) {
      const { done, value } = await this.#reader.read();
      if (done) break;
      this.received += value.length;
      const joined = new Uint8Array(this.#rest.length + value.length);
      joined.set(this.#rest);
      joined.set(value, this.#rest.length);
      this.#rest = joined;
    }
    return this.#rest.subarray(0, count);
  }

  /** Reads so many bytes. @throws when there are fewer */
  async take(count: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.peek(count);
    if (bytes.length < count) throw this.cut();
    this.skip(count);
    return bytes;
  }

  /** Reads so many bytes as numbers to look up. @throws when there are fewer */
  async view(count: number): Promise<DataView> {
    const bytes = await this.take(count);
    return new DataView(bytes.buffer, bytes.byteOffset, count);
  }

  /** Reads so many bytes, piece by piece. @throws when there are fewer */
  async *pieces(count: number): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    while (count > 0) {
      const piece = (await this.some()).subarray(0, count);
      if (piece.length === 0) throw this.cut();
      this.skip(piece.length);
      count -= piece.length;
      yield piece;
    }
  }

  /** Passes over so many bytes. @throws when there are fewer */
  async drop(count: number): Promise<void> {
    for await (const _ of this.pieces(count));
  }

  /** Says what is wrong here. */
  error(what: string, cause?: unknown): Error {
    return new Error(`Cannot decompress ${this.format}: at byte ${this.offset}, ${what}`, {
      cause,
    });
  }

  /** Says that it ends too early. */
  cut(): Error {
    this.offset = this.received;
    return this.error(
      "the data ends too early: it was cut short on its way or when it was written; get it again",
    );
  }

  /** Wants no more. */
  async cancel(reason: unknown): Promise<void> {
    await this.#reader.cancel(reason).catch(() => {});
  }
}
