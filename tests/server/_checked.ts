// The server as tests have it: whatever it answers, in whichever test, is held against what the API says of itself.

import assert from "node:assert/strict";
import { Hono } from "hono";
import type { Engine } from "../../engine/mod.ts";
import { type Env, server as plain, type ServerOptions } from "../../server/mod.ts";
import { description } from "./_description.ts";

/** What was not as described since the last test, each in a sentence. */
const faults = new Set<string>();
/** Answers that are being read. */
const reading = new Set<Promise<void>>();

Deno.test.afterEach(async () => {
  await Promise.all(reading);
  const all = [...faults];
  faults.clear();
  assert.deepEqual(all, []);
});

/** As the real one; an answer that is not as described fails the test. */
export function server(engine: Engine, options: ServerOptions = {}): Hono<Env> {
  const app = new Hono<Env>();
  app.use(async (c, next) => {
    const base = c.req.routePath.slice(0, -"/*".length);
    await next();
    c.res = checked(c.req.method, c.req.path.slice(base.length), c.res);
  });
  return app.route("/", plain(engine, options));
}

/** As the real one, for a server in another process. */
export async function fetch(url: string, init: RequestInit = {}): Promise<Response> {
  const response = await globalThis.fetch(url, init);
  return checked(init.method ?? "GET", new URL(url).pathname, response);
}

/** Gives an answer on, and holds it against the description: what never ends by line, the rest whole. */
function checked(method: string, path: string, response: Response): Response {
  const { status, headers } = response;
  const type = headers.get("content-type") ?? "";
  let take: (text: string) => void = () => {};
  const look = (what: () => void): void => {
    try {
      what();
    } catch (error) {
      faults.add((error as Error).message);
    }
  };
  look(() => {
    // Hono answers HEAD as GET, without the body.
    take = description.expect(method === "HEAD" ? "GET" : method, path, status, type);
  });
  if (/^(application\/x-ndjson|text\/event-stream)/.test(type)) {
    const isEvents = type.startsWith("text/event-stream");
    const lines = (text: string): void => {
      const data = isEvents ? /^data: (.*)$/.exec(text)?.[1] : text;
      if (data !== undefined) look(() => take(data));
      else if (!/^(|:.*|(id|event|retry): .*)$/.test(text)) {
        faults.add(`that is no event: ${text}`);
      }
    };
    return new Response(response.body && byLine(response.body, lines), response);
  }
  if (method !== "HEAD") {
    const read = response.clone().text().then((text) => look(() => take(text)))
      // What broke off is not held against anything.
      .catch(() => {})
      .finally(() => reading.delete(read));
    reading.add(read);
  }
  return response;
}

/** Gives a stream on, as slowly as it is asked for, and tells its lines. */
function byLine(
  stream: ReadableStream<Uint8Array>,
  tell: (line: string) => void,
): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) return controller.close();
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop()!;
      lines.forEach(tell);
      controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
