import type { Writable } from "node:stream";
// @ts-types="@types/pg"
import type pg from "pg";
// Its seventh version has no types yet.
// @ts-types="./_pg_copy_streams.d.ts"
import copyStreams from "pg-copy-streams";

/** Well above the high-water mark of any socket. */
const OWN_COPY = 1 << 17;

/** One COPY … FROM STDIN on a session, fed by hand so that back-pressure is real. */
export class CopyIn {
  readonly #stream: Writable & { rowCount: number };
  readonly #ended: Promise<void>;
  #failure: unknown;
  /** Fails the write that is under way. */
  #interrupt: (reason: unknown) => void = () => {};

  /** Starts the COPY that `sql` says. */
  constructor(client: pg.Client, sql: string) {
    this.#stream = client.query(copyStreams.from(sql) as never) as never;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#ended = promise;
    this.#ended.catch(() => {}); // who waits is told; nobody may be waiting yet
    const end = (error: unknown): void => {
      reject(error);
      this.#interrupt(error);
    };
    this.#stream.once("finish", resolve);
    this.#stream.on("error", (error) => end(this.#failure = error));
    this.#stream.once("close", () => end(new Error("the connection was closed during the COPY")));
  }

  /**
   * Sends bytes; resolves when the socket has taken them all, so that the buffer may be filled again. To be called when
   * that is so of those before.
   */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure;
    // A write below the socket's mark is acknowledged while it still lies in its queue: that one gets its own copy.
    const chunk = bytes.length < OWN_COPY ? bytes.slice() : bytes;
    // One of its own: each race against the end of the COPY would be kept until then.
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#interrupt = reject;
    this.#stream.write(chunk, (error) => error ? reject(error) : resolve());
    await promise;
  }

  /** Ends the COPY well; returns how many rows the server took. */
  async finish(): Promise<number> {
    this.#stream.end();
    await this.#ended;
    return this.#stream.rowCount;
  }

  /** Fails the COPY, so that the server throws away what it got; resolves when the server has said so. */
  async fail(reason: unknown): Promise<void> {
    const error = reason instanceof Error ? reason : new Error(String(reason));
    // One that has failed already has no connection left to say so on.
    if (this.#failure === undefined) this.#stream.destroy(error);
    await this.#ended.catch(() => {});
  }
}
