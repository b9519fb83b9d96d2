import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import v8 from "node:v8";
import vm from "node:vm";
import { http } from "../../operators/http.ts";
import { request } from "../../operators/request.ts";
import { perform, testContext } from "../_context.ts";
import { assertSame, body, read, serve, Server } from "./_server.ts";

v8.setFlagsFromString("--expose-gc");
const collect: () => void = vm.runInNewContext("gc");

/** Does something while garbage is collected again and again; fails where it takes far too long. */
async function collecting<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(collect, 10), late = new AbortController();
  const tooLong = pause(20_000, undefined, { signal: late.signal })
    .then(() => assert.fail("it waits for ever"), () => {});
  try {
    return await Promise.race([work, tooLong]) as T;
  } finally {
    late.abort();
    clearInterval(timer);
  }
}

Deno.test("a body that stops coming is noticed, whatever was collected meanwhile", async () => {
  await using server = new Server(async (visit) => {
    if (visit.index > 0) return await serve(visit);
    await serve(visit, 5000);
    await visit.gone;
  });
  const options = { url: server.url, idleTimeout: { milliseconds: 200 } };
  const bytes = perform(http(options), testContext()).then(read);
  assertSame(await collecting(bytes), body);
});

Deno.test("who waits for a body can be stopped, whatever was collected meanwhile", async () => {
  const stop = new AbortController();
  await using server = new Server(async (visit) => {
    await visit.send("200 OK", { "content-length": 5 }, new Uint8Array(2));
    setTimeout(() => stop.abort(new Error("enough")), 200);
    await visit.gone;
  });
  const ctx = testContext({ signal: stop.signal });
  await assert.rejects(collecting(perform(request({ url: server.url }), ctx)), /^Error: enough$/);
});
