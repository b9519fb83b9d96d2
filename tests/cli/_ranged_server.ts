import { setTimeout as sleep } from "node:timers/promises";
import type { Sluice } from "./_sluice.ts";

/** A server of one file that answers ranges, no faster than it is told, and counts what it sends. */
export interface RangedServer extends AsyncDisposable {
  readonly url: string;
  /** Bytes sent, over all requests. */
  sent: number;
  /** Where each request began. */
  readonly starts: number[];
  /** The version it serves. */
  etag: string;
  body: Uint8Array<ArrayBuffer>;
  /** So many bytes are sent in all, and no more until it is raised. */
  limit: number;
  /** Resolves when so many bytes were sent in all. */
  reaches(bytes: number): Promise<void>;
}

/** How many bytes of a download that is to be resumed have reached the disk. */
export function arrived({ home }: Sluice): number {
  try {
    const [{ name }] = [...Deno.readDirSync(`${home}/loads`)] as [Deno.DirEntry];
    return Deno.statSync(`${home}/loads/${name}/bytes`).size;
  } catch {
    return 0; // it has not begun, or is over
  }
}

const PIECE = 32 * 1024, ON_THE_WAY = 128 * 1024;

/** So many bytes at most are sent, and lost, when a client dies of which it is known what has arrived. */
export const MOST_LOST = ON_THE_WAY + PIECE;

/** How fast a server is. */
export interface Pacing {
  /** Milliseconds between pieces of 32 KiB. @default {1} */
  readonly pause?: number;
  /** How many bytes have arrived: no more than 128 KiB are on their way to those. @default {it does not matter} */
  readonly arrived?: () => number;
}

/** Serves bytes with a strong ETag. */
export function rangedServer(
  body: Uint8Array<ArrayBuffer>,
  { pause = 1, arrived = () => Infinity }: Pacing = {},
): RangedServer {
  const waiting: { bytes: number; resolve: () => void }[] = [];
  const stop = new AbortController();
  const options = { port: 0, hostname: "127.0.0.1", signal: stop.signal, onListen() {} };
  const server = Deno.serve(options, (request) => {
    const { etag, body } = self;
    if (request.headers.get("if-none-match") === etag) {
      return new Response(null, { status: 304, headers: { etag } });
    }
    const range = request.headers.get("range")?.match(/^bytes=(\d+)-$/)?.[1];
    const ranged = range !== undefined && request.headers.get("if-range") === etag;
    let at = ranged ? Number(range) : 0;
    self.starts.push(at);
    let gone = false;
    const stream = new ReadableStream({
      cancel: () => void (gone = true),
      async pull(controller) {
        if (at >= body.length) return controller.close();
        await sleep(pause);
        while ((at > arrived() + ON_THE_WAY || self.sent >= self.limit) && !gone) await sleep(1);
        if (gone) return;
        const piece = body.slice(at, at + PIECE);
        at += piece.length;
        self.sent += piece.length;
        controller.enqueue(piece);
        for (const { bytes, resolve } of waiting) if (self.sent >= bytes) resolve();
      },
    }, { highWaterMark: 0 });
    const headers = { etag, "content-length": String(body.length - at) };
    if (!ranged) return new Response(stream, { headers });
    const where = `bytes ${at}-${body.length - 1}/${body.length}`;
    return new Response(stream, { status: 206, headers: { ...headers, "content-range": where } });
  });
  const self: RangedServer = {
    url: `http://127.0.0.1:${server.addr.port}`,
    sent: 0,
    starts: [],
    etag: '"v1"',
    body,
    limit: Infinity,
    reaches(bytes) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push({ bytes, resolve });
      return promise;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await server.finished;
    },
  };
  return self;
}
