import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** Options for {@linkcode listen}. */
export interface ListenOptions {
  /** The address to listen on. @default {"127.0.0.1"} */
  readonly host?: string;
  /** The port; 0 for a free one. @default {0} */
  readonly port?: number;
  /** How long the head of a request may take to come, in milliseconds. @default {10_000} */
  readonly headTimeout?: number;
  /** How long all of a request may take to come, in milliseconds. @default {10_000} */
  readonly bodyTimeout?: number;
  /** How long a client may take none of an answer that is ready for it, in milliseconds. @default {30_000} */
  readonly writeTimeout?: number;
  /** How many connections there may be at once. @default {1024} */
  readonly maxConnections?: number;
  /** How many of them with one address. @default {256} */
  readonly maxConnectionsPerAddress?: number;
  /** Takes what went wrong in here. @default {nobody does} */
  readonly onError?: (error: unknown) => void;
}

/** A server that listens; disposing of it ends all connections, those that are being answered after a second. */
export interface Listener extends AsyncDisposable {
  /** Where it does: `http://127.0.0.1:8080`. */
  readonly url: string;
  /** The port. */
  readonly port: number;
}

/** What is known of a connection. */
interface Line {
  readonly address: string;
  /** How many requests are being answered. */
  busy: number;
}

/** How long answers may go on when the server is closed, in milliseconds. */
const GRACE = 1000;

/**
 * Serves HTTP, through `node:http`: `Deno.serve` has neither deadlines nor caps. When there are too many connections, the
 * oldest that asks for nothing gives way; when all of them ask, the new one does.
 *
 * @throws {Error} with the `code` that the system gives, such as `EADDRINUSE`
 */
export async function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  options: ListenOptions = {},
): Promise<Listener> {
  const { host = "127.0.0.1", port = 0, headTimeout = 10_000, bodyTimeout = 10_000 } = options;
  const { maxConnections = 1024, maxConnectionsPerAddress = 256, onError = () => {} } = options;
  const { writeTimeout = 30_000 } = options;
  const lines = new Map<Socket, Line>();
  let closing = false;

  const server = createServer({
    headersTimeout: headTimeout,
    requestTimeout: Math.max(headTimeout, bodyTimeout) + 1000,
    keepAliveTimeout: 5000,
    connectionsCheckingInterval: Math.min(1000, headTimeout / 4),
    maxHeaderSize: 16_384,
    // A request without one is refused in our own words.
    requireHostHeader: false,
  }, (request, response) => {
    const line = lines.get(request.socket);
    if (line) line.busy++;
    answer(request, response)
      .catch((error) => {
        onError(error);
        request.socket.destroy();
      })
      .finally(() => {
        if (line) line.busy--;
        if (closing) request.socket.destroy();
      });
  });

  server.on("connection", (socket: Socket) => {
    const address = socket.remoteAddress ?? "";
    const own = [...lines].filter(([, line]) => line.address === address);
    const crowd = own.length >= maxConnectionsPerAddress
      ? own
      : lines.size >= maxConnections
      ? [...lines]
      : undefined;
    if (crowd) {
      const oldest = crowd.find(([, { busy }]) => busy === 0)?.[0] ?? socket;
      lines.delete(oldest);
      oldest.destroy();
      if (oldest === socket) return;
    }
    lines.set(socket, { address, busy: 0 });
    socket.on("error", () => {});
    socket.on("close", () => lines.delete(socket));
  });
  server.on("clientError", (_: Error, socket: Socket) => socket.destroy());

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const gone = new AbortController();
    outgoing.on("close", () => gone.abort());
    const request = toRequest(incoming, gone.signal);
    const timer = setTimeout(() => {
      if (incoming.complete) return;
      if (outgoing.headersSent) incoming.socket.destroy();
      else refuse(outgoing, 408, "the request took too long to come");
      gone.abort();
    }, bodyTimeout);
    try {
      if (!request) return refuse(outgoing, 400, "that is no request for this server");
      const response = await fetch(request);
      if (outgoing.headersSent || outgoing.destroyed) return void response.body?.cancel();
      outgoing.statusCode = response.status;
      for (const [name, value] of response.headers) outgoing.appendHeader(name, value);
      // What is left of the request is not waited for.
      const isLeft = !incoming.complete && !isBodiless(incoming);
      if (isLeft) outgoing.setHeader("connection", "close");
      await send(response, outgoing, gone.signal);
      if (isLeft) hangUp(incoming.socket);
    } finally {
      clearTimeout(timer);
    }
  }

  async function send(
    { body }: Response,
    outgoing: ServerResponse,
    gone: AbortSignal,
  ): Promise<void> {
    const reader = body?.getReader();
    const stop = (): void => void reader?.cancel().catch(() => {});
    gone.addEventListener("abort", stop);
    if (gone.aborted) stop();
    try {
      outgoing.flushHeaders();
      for (;;) {
        const { done, value } = await reader?.read() ?? { done: true, value: undefined };
        if (done || gone.aborted) break;
        if (!outgoing.write(value)) await drained(outgoing, gone);
      }
      gone.removeEventListener("abort", stop);
      if (!gone.aborted) outgoing.end();
    } catch (error) {
      // Half an answer must not look whole.
      outgoing.destroy();
      stop();
      if (!gone.aborted) throw error;
    }
  }

  /** Resolves when there is room for more. */
  function drained(outgoing: ServerResponse, gone: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        clearTimeout(timer);
        outgoing.off("drain", go);
        gone.removeEventListener("abort", go);
        resolve();
      };
      const timer = setTimeout(() => {
        outgoing.socket?.destroy();
        go();
      }, writeTimeout);
      outgoing.on("drain", go);
      gone.addEventListener("abort", go);
    });
  }

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    port: bound,
    async [Symbol.asyncDispose]() {
      if (closing) return;
      closing = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const [socket, { busy }] of lines) if (busy === 0) socket.destroy();
      const timer = setTimeout(() => {
        for (const socket of lines.keys()) socket.destroy();
        server.closeAllConnections();
      }, GRACE);
      await closed;
      clearTimeout(timer);
    },
  };
}

function isBodiless({ method }: IncomingMessage): boolean {
  return method === "GET" || method === "HEAD";
}

/** A request as the platform has it; undefined for one that is none for a server like this. */
function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request | undefined {
  const { method = "GET", url = "", rawHeaders } = incoming;
  try {
    const headers = new Headers();
    for (let i = 0; i < rawHeaders.length; i += 2) {
      headers.append(rawHeaders[i]!, rawHeaders[i + 1]!);
    }
    const host = headers.get("host") ?? "";
    // Whom it is for, and what, is said in one place: neither twice, nor as a whole URL instead of a path.
    if (!url.startsWith("/") || !/^[\w.-]+(:\d+)?$|^\[[\da-f:.]+\](:\d+)?$/i.test(host)) {
      return undefined;
    }
    const body = isBodiless(incoming) ? null : toStream(incoming);
    return new Request(`http://${host}${url}`, {
      method,
      headers,
      signal,
      ...body ? { body, duplex: "half" } as RequestInit : {},
    });
  } catch {
    return undefined;
  }
}

/** What comes, as it is asked for. */
function toStream(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  const iterator = incoming[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(new Uint8Array(value));
    },
  }, { highWaterMark: 0 });
}

function refuse(outgoing: ServerResponse, status: number, message: string): void {
  outgoing.writeHead(status, { "content-type": "application/json", "connection": "close" });
  outgoing.end(JSON.stringify({ error: { message } }));
  if (outgoing.socket) hangUp(outgoing.socket);
}

/** Ends a connection that has more to say, once the other side has had time to read what it was told. */
function hangUp(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), 100);
  socket.once("close", () => clearTimeout(timer));
}
