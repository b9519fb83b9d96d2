import assert from "node:assert/strict";
import { type Context, dag, GiveUp } from "../../engine/mod.ts";
import { type Answered, request } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { Server } from "./_server.ts";

/** A server that answers as it is told, and keeps what it was asked. */
class Echo implements AsyncDisposable {
  readonly asked: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(answer: (request: Request, index: number, body: string) => Response) {
    this.#server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      async (request) => {
        const body = await request.text();
        const { pathname } = new URL(request.url);
        this.asked.push(`${request.method} ${pathname} ${body}`.trim());
        return answer(request, this.asked.length - 1, body);
      },
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/x`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

type Options = Parameters<typeof request<Context>>[0];

const text = { "content-type": "text/plain" };
const json = { "content-type": "application/json; charset=utf-8" };

const bodies: { name: string; answer: () => Response; output: Answered }[] = [
  {
    name: "JSON",
    answer: () => Response.json({ a: [1, null, "é"] }, { status: 201 }),
    output: { status: 201, body: { a: [1, null, "é"] } },
  },
  {
    name: "a kind of JSON",
    answer: () => new Response("[1]", { headers: { "content-type": "application/problem+json" } }),
    output: { status: 200, body: [1] },
  },
  {
    name: "text",
    answer: () => new Response("[1]", { headers: text }),
    output: { status: 200, body: "[1]" },
  },
  {
    name: "what says that it is JSON and is not",
    answer: () => new Response("<html>", { headers: json }),
    output: { status: 200, body: "<html>" },
  },
  {
    name: "nothing",
    answer: () => new Response(null, { status: 204 }),
    output: { status: 204, body: null },
  },
  {
    name: "no more than 60 KiB",
    answer: () => new Response("x".repeat(60 * 1024), { headers: text }),
    output: { status: 200, body: "x".repeat(60 * 1024) },
  },
];

for (const { name, answer, output } of bodies) {
  Deno.test(`request puts out ${name}`, async () => {
    await using server = new Echo(answer);
    assert.deepEqual(await perform(request({ url: server.url })), output);
  });
}

const sent: { name: string; options: Partial<Options>; line: string; type: string | null }[] = [
  { name: "GET", options: {}, line: "GET /x", type: null },
  { name: "HEAD", options: { method: "head" }, line: "HEAD /x", type: null },
  {
    name: "JSON",
    options: { json: { a: "é" } },
    line: 'POST /x {"a":"é"}',
    type: "application/json",
  },
  { name: "null as JSON", options: { json: null }, line: "POST /x null", type: "application/json" },
  {
    name: "JSON of another name",
    options: { json: 1, headers: { "Content-Type": "application/vnd.x+json" }, method: "PUT" },
    line: "PUT /x 1",
    type: "application/vnd.x+json",
  },
  {
    name: "bytes",
    options: { body: new TextEncoder().encode("a=1"), method: "PATCH" },
    line: "PATCH /x a=1",
    type: null,
  },
];

for (const { name, options, line, type } of sent) {
  Deno.test(`request sends ${name}`, async () => {
    let got: string | null = "";
    await using server = new Echo(({ headers }) => {
      got = headers.get("content-type");
      return new Response(null);
    });
    await perform(request({ url: server.url, ...options } as Options));
    assert.deepEqual(server.asked, [line]);
    assert.equal(got, type);
  });
}

Deno.test("options may be functions of the run and handles; expect is called with the answer", async () => {
  await using server = new Echo((_request, _index, body) => Response.json(JSON.parse(body)));
  const flow = dag("flow", { params: { who: "world" } });
  const count = flow.task("count", () => 3);
  const seen: unknown[] = [];
  const task = flow.task(
    "tell",
    request({
      url: server.url,
      json: count.map((n) => ({ n })),
      headers: (run) => ({ "x-who": run.params.who }),
      expect: (status, body) => seen.push(status, body) > 0,
    }),
  );
  assert.deepEqual(task.upstream, ["count"]);
  const ctx = { ...testContext(), params: { who: "you" } } as Context;
  const output = await task.work.run({ output: () => 3 }, ctx);
  assert.deepEqual(output, { status: 200, body: { n: 3 } });
  assert.deepEqual(seen, [200, { n: 3 }]);
});

const expected: [status: number, expect: Options["expect"], message: RegExp | undefined][] = [
  [200, undefined, undefined],
  [299, undefined, undefined],
  [
    304,
    undefined,
    /^Error: Cannot GET "http:.*\/x": the server answers 304 Not Modified, where 2xx/,
  ],
  [
    404,
    undefined,
    /^GiveUp: Cannot GET "http:.*\/x": the server answers 404 Not Found, where 2xx is/,
  ],
  [404, 404, undefined],
  [404, [200, 404], undefined],
  [503, 503, undefined],
  [200, 201, /^Error: Cannot GET .*: the server answers 200 OK, where 201 is expected/],
  [201, [200, 202], /the server answers 201 Created, where 200 or 202 is expected/],
  [418, (status) => status === 418, undefined],
  [200, (_, body) => body === "no", /^Error: .* 200 OK, which `expect` does not take: "?gone"?$/],
  [410, () => false, /^GiveUp: .*the server answers 410 Gone, which `expect` does not take: gone$/],
];

for (const [status, expect, message] of expected) {
  Deno.test(`request that expects ${expect ?? "a good answer"} and gets ${status}`, async () => {
    await using server = new Echo(() =>
      new Response(status === 304 ? null : "gone", { status, headers: text })
    );
    const work = request({ url: server.url, ...expect === undefined ? {} : { expect } });
    if (!message) assert.equal((await perform(work)).status, status);
    else {await assert.rejects(perform(work), (error) => {
        assert.match(String(error), message);
        return true;
      });}
    assert.equal(server.asked.length, 1);
  });
}

Deno.test("an answer that is too long is refused, and one that is not good anyhow", async () => {
  const long = "x".repeat(60 * 1024 + 1);
  await using server = new Echo((_, index) => new Response(long, { status: index ? 403 : 200 }));
  await assert.rejects(perform(request({ url: server.url })), {
    name: "GiveUp",
    message: /the answer is longer than 61440 bytes; use `http` to stream it$/,
  });
  await assert.rejects(perform(request({ url: server.url })), {
    name: "GiveUp",
    message: /the server answers 403 Forbidden, where 2xx is expected$/,
  });
});

for (const status of [408, 425, 429, 500, 502, 503]) {
  for (const method of ["GET", "POST", "PUT"]) {
    const again = method !== "POST" || ![500, 502].includes(status);
    Deno.test(`request ${again ? "repeats" : "does not repeat"} a ${method} on ${status}`, async () => {
      await using server = new Echo((_, index) => {
        return new Response("x", { status: index === 0 ? status : 200, headers: text });
      });
      const work = request({ url: server.url, method, ...method !== "GET" && { body: "b" } });
      if (again) assert.equal((await perform(work)).status, 200);
      else {
        await assert.rejects(perform(work), {
          name: "Error",
          message:
            /^Cannot POST ".*": the server answers 50\d .*; it was not sent again, since the server may/,
        });
      }
      assert.equal(server.asked.length, again ? 2 : 1);
    });
  }
}

Deno.test("request repeats a GET on a broken connection, but no POST", async () => {
  await using server = new Server(async (visit) => {
    if (visit.index !== 1) await visit.send("200 OK", { "content-length": 5 }, new Uint8Array(2));
    else await visit.send("200 OK", { "content-length": 1 }, new TextEncoder().encode("y"));
  });
  assert.equal((await perform(request({ url: server.url }))).body, "y");
  await assert.rejects(perform(request({ url: server.url, body: "b" })), /it was not sent again/);
  assert.equal(server.visits.length, 3);
});

Deno.test("request waits for an answer as long as it is told, and stops when it is told", async () => {
  await using server = new Server(({ gone }) => gone);
  await assert.rejects(
    perform(request({ url: server.url, body: "b", timeout: { milliseconds: 50 } })),
    /^Error: Cannot POST ".*": no answer within 0.05 s; it was not sent again/,
  );
  const stop = new AbortController();
  const running = perform(request({ url: server.url }), testContext({ signal: stop.signal }));
  setTimeout(() => stop.abort(new Error("enough")), 50);
  await assert.rejects(running, { message: "enough" });
});

const redirects: [status: number, method: string, then: string][] = [
  [301, "POST", "GET /y"],
  [302, "POST", "GET /y"],
  [303, "PUT", "GET /y"],
  [302, "PUT", "PUT /y b"],
  [307, "POST", "POST /y b"],
  [308, "PUT", "PUT /y b"],
  [302, "HEAD", "HEAD /y"],
];

for (const [status, method, then] of redirects) {
  Deno.test(`request follows a ${status} for a ${method} with ${then}`, async () => {
    await using server = new Echo((_, index) => {
      return index > 0
        ? new Response(null)
        : new Response(null, { status, headers: { location: "/y" } });
    });
    const body = method === "HEAD" ? {} : { body: "b" };
    await perform(request({ url: server.url, method, ...body }));
    assert.equal(server.asked[1], then);
  });
}

Deno.test("request may be sent back to where it came from with another method", async () => {
  await using server = new Echo((_, index) => {
    return index > 0
      ? new Response("made", { headers: text })
      : new Response(null, { status: 303, headers: { location: "/x" } });
  });
  assert.equal((await perform(request({ url: server.url, json: {} }))).body, "made");
  assert.deepEqual(server.asked, ["POST /x {}", "GET /x"]);
});

Deno.test("a user in the address is sent as Basic auth and never shown", async () => {
  let authorization: string | null = null;
  await using server = new Echo(({ headers }) => {
    authorization = headers.get("authorization");
    return new Response(null, { status: 401 });
  });
  const url = server.url.replace("//", "//me:s%20cret@");
  await assert.rejects(perform(request({ url })), (error: Error) => {
    assert.ok(error instanceof GiveUp);
    assert.doesNotMatch(`${error.message} ${error.stack}`, /cret/);
    return true;
  });
  assert.equal(authorization, `Basic ${btoa("me:s cret")}`);
});

Deno.test("request gives up on what cannot be sent", async () => {
  await assert.rejects(perform(request({ url: "ftp://x/y", body: "b" })), {
    name: "GiveUp",
    message: 'Cannot POST "ftp://x/y": this is not a valid http or https URL',
  });
  await assert.rejects(perform(request({ url: "http://x/", body: "b", json: 1 })), {
    name: "GiveUp",
    message: "Cannot send both `body` and `json`: give one of them",
  });
});
