import assert from "node:assert/strict";
import { type Kept, Source } from "../../engine/mod.ts";
import { http, type HttpOptions } from "../../operators/http.ts";
import { perform, testContext } from "../_context.ts";
import { assertSame, body, etag, read, serve, Server } from "./_server.ts";

interface Stored extends Kept {
  cache?: HttpOptions["cache"];
}

const edges: Record<
  string,
  [Stored | undefined, Partial<Source["origin"]>, Record<string, string>[]]
> = {
  "nothing kept": [undefined, { offset: 0, validator: etag, length: 300_000 }, [{}]],
  "a whole file that is still right": [
    { validator: etag, bytes: 300_000, whole: true },
    { offset: 300_000, kept: true, validator: etag, length: 300_000 },
    [{ "if-none-match": etag }],
  ],
  "a whole file that was replaced": [
    { validator: '"v0"', bytes: 200_000, whole: true },
    { offset: 0, validator: etag },
    [{ "if-none-match": '"v0"' }],
  ],
  "a whole file without a version": [{ bytes: 300_000, whole: true }, { offset: 0 }, [{}]],
  "a whole file known by its date": [
    { validator: "W/Fri, 01 Jan 2021 00:00:00 GMT", bytes: 300_000, whole: true },
    { offset: 300_000, kept: true },
    [{ "if-modified-since": "Fri, 01 Jan 2021 00:00:00 GMT" }],
  ],
  "a whole file that is trusted": [
    { validator: etag, bytes: 300_000, whole: true, cache: "trust" },
    { offset: 300_000, kept: true },
    [],
  ],
  "a whole file, and the cache off": [
    { validator: etag, bytes: 300_000, whole: true, cache: "off" },
    { offset: 0 },
    [{}],
  ],
  "a part": [
    { validator: etag, bytes: 70_000, whole: false },
    { offset: 70_000, validator: etag, length: 300_000 },
    [{ range: "bytes=70000-", "if-range": etag }],
  ],
  "a part of another version": [
    { validator: '"v0"', bytes: 70_000, whole: false },
    { offset: 0, validator: etag },
    [{ range: "bytes=70000-", "if-range": '"v0"' }],
  ],
  "a part by a weak version": [
    { validator: 'W/"v1"', bytes: 70_000, whole: false },
    { offset: 0 },
    [{}],
  ],
  "a part that is longer than the file": [
    { validator: etag, bytes: 400_000, whole: false },
    { offset: 0 },
    [{ range: "bytes=400000-", "if-range": etag }, {}],
  ],
};

for (const [name, [stored, origin, requests]] of Object.entries(edges)) {
  Deno.test(`http over an edge with ${name}`, async () => {
    await using server = new Server((visit) => {
      const { headers } = visit;
      if (headers["if-none-match"] === etag || headers["if-modified-since"]) {
        return visit.send("304 Not Modified", { etag });
      }
      if (headers["range"] === "bytes=400000-") {
        return visit.send("416 Range Not Satisfiable", { "content-range": "bytes */300000" });
      }
      return serve(visit);
    });
    const keys: string[] = [];
    const kept = (key: string) => {
      keys.push(key);
      return Promise.resolve(stored);
    };
    const { cache = "revalidate" } = stored ?? {};
    const headers = { authorization: "Bearer secret" };
    const source = await perform(http({ url: server.url, cache, headers }), testContext({ kept }));
    assert.ok(source instanceof Source);
    assert.match(source.origin.key, new RegExp(`^${server.url} [0-9a-f]{32}$`));
    if (cache !== "off") assert.deepEqual(keys, [source.origin.key]);
    for (const [field, value] of Object.entries(origin)) {
      assert.equal(source.origin[field as keyof typeof origin], value, field);
    }
    assertSame(await read(source), body.subarray(source.origin.offset));
    const conditions = ["if-none-match", "if-modified-since", "range", "if-range"];
    assert.deepEqual(
      server.visits.map(({ headers }) =>
        Object.fromEntries(Object.entries(headers).filter(([name]) => conditions.includes(name)))
      ),
      requests,
    );
  });
}

Deno.test("http keeps requests with other headers under another key", async () => {
  await using server = new Server((visit) => serve(visit));
  const keys = await Promise.all([{}, { a: "1" }, { A: "1" }, { a: "2" }].map(async (headers) => {
    const source = await perform(http({ url: server.url, headers }));
    await source.cancel();
    return (source as Source).origin.key;
  }));
  assert.equal(keys[1], keys[2]);
  assert.equal(new Set(keys).size, 3);
});

Deno.test("http that continues a kept part goes on from there when the connection breaks", async () => {
  await using server = new Server((visit) => serve(visit, visit.index === 0 ? 5000 : Infinity));
  const kept = () => Promise.resolve({ validator: etag, bytes: 70_000, whole: false });
  const ctx = testContext({ kept });
  assertSame(await read(await perform(http({ url: server.url }), ctx)), body.subarray(70_000));
  assert.equal(server.visits[1]!.headers["range"], "bytes=75000-");
  assert.equal(ctx.meters.read().at(-1)!.length, 230_000);
});
