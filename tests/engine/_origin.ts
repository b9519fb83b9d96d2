import { type Bytes, type Operator, operator, Source, SourceChanged } from "../../engine/mod.ts";

/** A server of one file that knows ETags and ranges, and misbehaves when told to. */
export interface FileServer extends AsyncDisposable {
  readonly url: string;
  /** Each request: its status, and the bytes of its body that were handed out. */
  readonly requests: { status: number; sent: number }[];
  /** What is served. */
  body: Uint8Array<ArrayBuffer>;
  etag: string;
  /** Where, in the file, the connections of the next requests are cut, one each. */
  cuts: number[];
  /** Where, in the file, to wait, and for what. */
  gate: { at: number; until: Promise<unknown> } | undefined;
  /** Called before each piece is sent. */
  onPiece: (at: number) => void;
}

const PIECE = 1000;

/** Starts one on a free port. */
export function fileServer(body: Uint8Array<ArrayBuffer>): FileServer {
  const requests: FileServer["requests"] = [];
  const stop = new AbortController();
  const server = Deno.serve({ port: 0, onListen() {}, signal: stop.signal }, (request) => {
    const { body, etag } = self;
    const log = { status: 200, sent: 0 };
    requests.push(log);
    if (request.headers.get("if-none-match") === etag) {
      log.status = 304;
      return new Response(null, { status: 304, headers: { etag } });
    }
    const range = request.headers.get("range")?.match(/^bytes=(\d+)-$/)?.[1];
    const resumes = range !== undefined && request.headers.get("if-range") === etag;
    let at = resumes ? Number(range) : 0;
    log.status = resumes ? 206 : 200;
    const cut = self.cuts.shift() ?? Infinity;
    const stream = new ReadableStream({
      async pull(controller) {
        if (self.gate && at >= self.gate.at) await self.gate.until;
        self.onPiece(at);
        if (at >= body.length) return controller.close();
        if (at >= cut) return controller.error(new Error("cut"));
        const piece = body.slice(at, Math.min(at + PIECE, cut, body.length));
        at += piece.length;
        log.sent += piece.length;
        controller.enqueue(piece);
      },
    }, { highWaterMark: 0 });
    return new Response(stream, {
      status: log.status,
      headers: { etag, "x-length": String(body.length) },
    });
  });
  const self: FileServer = {
    url: `http://127.0.0.1:${server.addr.port}/file`,
    requests,
    body,
    etag: '"1"',
    cuts: [],
    gate: undefined,
    onPiece: () => {},
    async [Symbol.asyncDispose]() {
      stop.abort();
      await server.finished;
    },
  };
  return self;
}

/** Downloads as the real thing does, without its patience: asks with what is kept, fails when the connection does. */
export const download: Operator<{ url: string; changes?: () => boolean }, Bytes> = operator(
  "download",
  async ({ url, changes = () => false }: { url: string; changes?: () => boolean }, ctx) => {
    const kept = await ctx.kept?.(url);
    const headers = new Headers({ "accept-encoding": "identity" });
    if (kept?.validator && kept.whole) headers.set("if-none-match", kept.validator);
    if (kept?.validator && !kept.whole) {
      headers.set("range", `bytes=${kept.bytes}-`);
      headers.set("if-range", kept.validator);
    }
    const response = await fetch(url, { headers, signal: ctx.signal });
    const validator = response.headers.get("etag") ?? "";
    if (response.status === 304) {
      await response.body?.cancel();
      const origin = { key: url, validator, offset: 0, kept: true };
      return new Source(origin, { pull: (controller) => controller.close() });
    }
    const origin = {
      key: url,
      validator,
      length: Number(response.headers.get("x-length")),
      offset: response.status === 206 ? kept!.bytes : 0,
    };
    const reader = response.body!.getReader();
    return new Source(origin, {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (changes()) {
          await reader.cancel();
          throw new SourceChanged(`"${url}" changed`);
        }
        done ? controller.close() : controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    });
  },
);

/** Resolves when the other side has done something; fails the test when it never does. */
export function soon<T>(what: Promise<T>, ms = 60_000): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("it did not happen in time")), ms);
  });
  return Promise.race([what, late]).finally(() => clearTimeout(timer));
}
