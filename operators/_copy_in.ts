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

  /** Starts the COPY that `sql` says. */
  constructor(client: pg.Client, sql: string) {
    this.#stream = client.query(copyStreams.from(sql) as never) as never;
    this.#ended = new Promise((resolve, reject) => {
      this.#stream.once("finish", resolve);
      this.#stream.on("error", (error) => {
        this.#failure = error;
        reject(error);
      });
      this.#stream.once(
        "close",
        () => reject(new Error("the connection was closed during the COPY")),
      );
    });
    this.#ended.catch(() => {}); // who waits is told; nobody may be waiting yet
  }

  /** Sends bytes; resolves when the socket has taken them all, so that the buffer may be filled again. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure;
    // A write below the socket's mark is acknowledged while it still lies in its queue: that one gets its own copy.
    const chunk = bytes.length < OWN_COPY ? bytes.slice() : bytes;
    const taken = new Promise<void>((resolve, reject) => {
      this.#stream.write(chunk, (error) => error ? reject(error) : resolve());
    });
    await Promise.race([taken, this.#ended.then(() => taken)]);
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
