/** What becomes of a connection: closed at both ends, or left as it is with nothing more going through. */
export type End = "cut" | "hole";

/** Says how many bytes of a piece go on, and what happens behind them; without an end, all goes on. */
export type Valve = (bytes: Uint8Array) => { readonly pass: number; readonly end: End } | undefined;

/** What a proxy does to one connection. */
export interface Chaos {
  /** To the server. */
  readonly up?: Valve;
  /** From the server. */
  readonly down?: Valve;
  /** The size of the pieces in which bytes go on, each of them written by itself. @default {Infinity} */
  readonly slice?: number;
  /** Milliseconds by which each piece is held up. @default {0} */
  readonly delay?: number;
}

/** A valve that lets so many bytes pass. */
export function after(count: number, end: End): Valve {
  let left = count;
  return ({ length }) => {
    left -= length;
    return left < 0 ? { pass: left + length, end } : undefined;
  };
}

/** Stands between a client and a server, and passes their bytes on as badly as it is told. */
export class Proxy implements AsyncDisposable {
  /** How many connections there have been. */
  connections = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #server: number;
  readonly #chaos: (connection: number) => Chaos;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #served: Promise<void>;
  /** Resolved when the proxy goes. */
  readonly #gone = Promise.withResolvers<void>();

  constructor(server: number, chaos: (connection: number) => Chaos) {
    this.#server = server;
    this.#chaos = chaos;
    this.#served = this.#accept();
  }

  /** The same address, by way of the proxy; without TLS, so that it can be understood. */
  of(url: string): string {
    const address = new URL(url);
    address.port = String(this.#listener.addr.port);
    if (address.protocol === "postgres:") address.searchParams.set("sslmode", "disable");
    return address.href;
  }

  async #accept(): Promise<void> {
    const all: Promise<void>[] = [];
    for await (const front of this.#listener) {
      all.push(this.#serve(front, this.#chaos(this.connections++)));
    }
    await Promise.all(all);
  }

  async #serve(front: Deno.TcpConn, { up, down, slice = Infinity, delay = 0 }: Chaos) {
    this.#open.add(front);
    let back: Deno.TcpConn;
    try {
      back = await Deno.connect({ hostname: "127.0.0.1", port: this.#server });
    } catch {
      return this.#close(front);
    }
    this.#open.add(back);
    const pass = async (from: Deno.TcpConn, to: Deno.TcpConn, valve?: Valve): Promise<void> => {
      const buffer = new Uint8Array(1 << 16);
      for (let n; (n = await from.read(buffer)) !== null;) {
        const { pass, end } = valve?.(buffer.subarray(0, n)) ?? { pass: n, end: undefined };
        for (let at = 0; at < pass;) {
          if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
          at += await to.write(buffer.subarray(at, Math.min(at + slice, pass)));
        }
        if (end === "hole") return await this.#gone.promise;
        if (end) break;
      }
      this.#close(front, back);
    };
    await Promise.allSettled([pass(front, back, up), pass(back, front, down)]);
    this.#close(front, back);
  }

  #close(...connections: Deno.TcpConn[]): void {
    for (const connection of connections) if (this.#open.delete(connection)) connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.#gone.resolve();
    this.#close(...this.#open);
    await this.#served;
  }
}
