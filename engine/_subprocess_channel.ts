/** Frames of this many bytes and more are no frames: something else was written where only frames belong. */
const MAX_FRAME = 2 ** 30;
const HEADER = 5;
const JSON_BODY = 0;
const BYTES_BODY = 1;

type Chunk = Uint8Array<ArrayBuffer>;

/**
 * Messages and bytes over a pair of pipes, in order. A frame is the length of its body (32 bits, big-endian), a byte that
 * says what the body is (0: a message as JSON, 1: bytes as they are), and the body.
 */
export class Channel<Received, Sent> {
  readonly #from: ReadableStreamDefaultReader<Chunk>;
  readonly #to: WritableStreamDefaultWriter<Chunk>;
  #rest: Chunk = new Uint8Array(0);

  constructor(from: ReadableStream<Chunk>, to: WritableStream<Chunk>) {
    this.#from = from.getReader();
    this.#to = to.getWriter();
    this.#to.closed.catch(() => {});
  }

  /** Sends a message or bytes; resolves when the pipe has taken them. @throws when nobody is at its other end */
  async send(what: Sent | Chunk): Promise<void> {
    const bytes = what instanceof Uint8Array;
    const body = bytes ? what : new TextEncoder().encode(JSON.stringify(what));
    const header = new DataView(new ArrayBuffer(HEADER));
    header.setUint32(0, body.length);
    header.setUint8(4, bytes ? BYTES_BODY : JSON_BODY);
    // Both at once, so that no other frame comes between them.
    await Promise.all([this.#to.write(new Uint8Array(header.buffer)), this.#to.write(body)]);
  }

  /** What comes, until the other side closes its end; the next is read when it is asked for. */
  async *receive(): AsyncGenerator<Received | Chunk, void> {
    for (;;) {
      const header = await this.#take(HEADER);
      if (!header) return;
      const view = new DataView(header.buffer, header.byteOffset, HEADER);
      const length = view.getUint32(0);
      if (length > MAX_FRAME) throw new Error(`Cannot take a frame of ${length} bytes`);
      const body = await this.#take(length);
      if (!body) return;
      yield view.getUint8(4) === BYTES_BODY ? body : JSON.parse(new TextDecoder().decode(body));
    }
  }

  /** Tells the other side that nothing more is sent. */
  async close(): Promise<void> {
    await this.#to.close().catch(() => {});
  }

  /** Stops receiving. */
  async cancel(): Promise<void> {
    await this.#from.cancel().catch(() => {});
  }

  /** So many bytes; undefined when there are fewer. */
  async #take(count: number): Promise<Chunk | undefined> {
    const taken = new Uint8Array(count);
    for (let at = 0; at < count;) {
      if (this.#rest.length === 0) {
        const { done, value } = await this.#from.read();
        if (done) return undefined;
        this.#rest = value;
      }
      const part = this.#rest.subarray(0, count - at);
      taken.set(part, at);
      at += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return taken;
  }
}
