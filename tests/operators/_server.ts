import assert from "node:assert/strict";
import type { Bytes } from "../../engine/mod.ts";

/** What a good server has to give. */
export const body: Uint8Array<ArrayBuffer> = new Uint8Array(300_000).map((_, i) => (i * i) >> 3);
/** The version of it. */
export const etag = '"v1"';

/** What a server does with one request, byte by byte. */
export interface Visit {
  /** The request's first line and its headers by lower-case name. */
  line: string;
  headers: Record<string, string>;
  /** Which request this is, from 0. */
  index: number;
  /** Sends a status, headers and a body as they are, however wrong. */
  send(status: string, headers?: Record<string, string | number>, body?: Uint8Array): Promise<void>;
  /** Sends more of the body. */
  more(bytes: Uint8Array): Promise<void>;
  /** Settled when the client has gone. */
  gone: Promise<void>;
}

/** A server that misbehaves as it is told. Each answer ends its connection. */
export class Server implements AsyncDisposable {
  readonly visits: Visit[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #work: Promise<void>[] = [];
  readonly #open = new Set<Deno.TcpConn>();

  constructor(answer: (visit: Visit) => Promise<unknown>) {
    this.#work.push(this.#accept(answer));
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/data.csv`;
  }

  async #accept(answer: (visit: Visit) => Promise<unknown>): Promise<void> {
    for await (const connection of this.#listener) {
      this.#open.add(connection);
      this.#work.push(
        this.#serve(connection, answer).catch(() => {}).finally(() => {
          if (this.#open.delete(connection)) connection.close();
        }),
      );
    }
  }

  async #serve(
    connection: Deno.TcpConn,
    answer: (visit: Visit) => Promise<unknown>,
  ): Promise<void> {
    const buffer = new Uint8Array(8192);
    const head = new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
    const [line = "", ...lines] = head.trimEnd().split("\r\n");
    const gone = (async () => {
      while (await connection.read(buffer) !== null);
    })().catch(() => {});
    const visit: Visit = {
      line,
      headers: Object.fromEntries(
        lines.map((
          text,
        ) => [text.slice(0, text.indexOf(":")).toLowerCase(), text.slice(text.indexOf(":") + 2)]),
      ),
      index: this.visits.length,
      async send(status, headers = {}, bytes = new Uint8Array(0)) {
        const fields = Object.entries({ connection: "close", ...headers });
        const text = `HTTP/1.1 ${status}\r\n${
          fields.map(([k, v]) => `${k}: ${v}\r\n`).join("")
        }\r\n`;
        await write(connection, new TextEncoder().encode(text));
        await write(connection, bytes);
      },
      more: (bytes) => write(connection, bytes),
      gone,
    };
    this.visits.push(visit);
    await answer(visit);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) connection.close();
    this.#open.clear();
    await Promise.all(this.#work);
  }
}

async function write(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

/** Answers as a good server does, but only so many bytes of it. */
export async function serve(
  visit: Visit,
  cut: number = Infinity,
  version: Record<string, string> = { etag },
): Promise<void> {
  const start = Number(/^bytes=(\d+)-$/.exec(visit.headers["range"] ?? "")?.[1] ?? 0);
  const condition = visit.headers["if-range"];
  const stands = condition === undefined || Object.values(version).includes(condition);
  if (start > 0 && stands) {
    return await visit.send("206 Partial Content", {
      ...version,
      "content-length": body.length - start,
      "content-range": `bytes ${start}-${body.length - 1}/${body.length}`,
    }, body.subarray(start, start + cut));
  }
  await visit.send("200 OK", { ...version, "content-length": body.length }, body.subarray(0, cut));
}

/** All that a stream of about that size gives. */
export async function read(stream: Bytes): Promise<Uint8Array> {
  const bytes = new Uint8Array(body.length + 10);
  let count = 0;
  for await (const chunk of stream) {
    bytes.set(chunk, count);
    count += chunk.length;
  }
  return bytes.subarray(0, count);
}

/** Compares without showing a difference, which takes minutes for arrays of this size. */
export function assertSame(actual: Uint8Array, expected: Uint8Array, message?: string): void {
  assert.equal(actual.length, expected.length, message);
  assert.ok(actual.every((byte, i) => byte === expected[i]), message);
}
