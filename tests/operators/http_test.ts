import assert from "node:assert/strict";
import zlib from "node:zlib";
import { type Context, GiveUp, type Logger, Source, SourceChanged } from "../../engine/mod.ts";
import { http, type HttpOptions } from "../../operators/http.ts";
import { perform, testContext } from "../_context.ts";
import { assertSame, body, etag, read, serve, Server, type Visit } from "./_server.ts";

async function get(options: HttpOptions, ctx: Context = testContext()): Promise<Uint8Array> {
  return await read(await perform(http(options as { url: string }), ctx));
}

function notes(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const note = (message: string) => void lines.push(message);
  return { lines, log: { info: note, warn: note, error: note } };
}

Deno.test("http downloads a file, says how long it is, and asks for it as it is", async () => {
  await using server = new Server((visit) => serve(visit));
  const ctx = testContext();
  assertSame(await get({ url: `${server.url}#part`, headers: { "x-mine": "1" } }, ctx), body);
  assert.equal(ctx.meters.read().at(-1)!.length, body.length);
  const { line, headers } = server.visits[0]!;
  assert.equal(line, "GET /data.csv HTTP/1.1");
  assert.equal(headers["accept-encoding"], "identity");
  assert.equal(headers["x-mine"], "1");
});

Deno.test("http goes on where the connection broke, at whatever byte", async () => {
  const cuts = Array.from({ length: 20 }, () => Math.floor(Math.random() * 20_000));
  const asked = cuts.join();
  await using server = new Server((visit) => serve(visit, cuts.shift()));
  const { log, lines } = notes();
  assertSame(await get({ url: server.url }, testContext({ log })), body, `cuts ${asked}`);
  assert.ok(server.visits.length >= 20);
  assert.ok(
    server.visits.slice(1).every(({ headers }) =>
      !headers["range"] || headers["if-range"] === etag
    ),
  );
  assert.match(
    lines.join("\n"),
    /Connection lost at byte \d+ of "http:.*data\.csv" \(.*\), resuming in 0\.\d s/,
  );
});

const resumes: Record<string, (visit: Visit) => Promise<void>> = {
  "a server that ignores ranges": (visit) => {
    delete visit.headers["range"];
    return serve(visit, visit.index === 0 ? 5000 : Infinity);
  },
  "a server that answers another range": async (visit) => {
    if (visit.headers["range"] === undefined) {
      return await serve(visit, visit.index === 0 ? 5000 : Infinity);
    }
    await visit.send("206 Partial Content", {
      etag,
      "content-range": `bytes 4000-${body.length - 1}/${body.length}`,
    }, body.subarray(4000));
  },
  "a server that finds ranges bad": async (visit) => {
    if (visit.headers["range"] === undefined) {
      return await serve(visit, visit.index === 0 ? 5000 : Infinity);
    }
    await visit.send("416 Range Not Satisfiable");
  },
  "a server that gives a Last-Modified long ago": (visit) =>
    serve(visit, visit.index === 0 ? 5000 : Infinity, {
      "last-modified": "Fri, 01 Jan 2021 00:00:00 GMT",
      date: "Fri, 01 Jan 2021 00:01:00 GMT",
    }),
  "a server that leaves the version out of a 206": async (visit) => {
    if (visit.headers["range"] === undefined) {
      return await serve(visit, visit.index === 0 ? 5000 : Infinity);
    }
    await visit.send("206 Partial Content", {
      "content-range": `bytes 5000-${body.length - 1}/${body.length}`,
    }, body.slice(5000).reverse());
  },
  "a server that sends chunks and breaks off": async (visit) => {
    if (visit.headers["range"] !== undefined) return await serve(visit);
    const chunk = new TextEncoder().encode("3e8\r\n");
    const bytes = new Uint8Array([...chunk, ...body.subarray(0, 1000)]);
    await visit.send("200 OK", { etag, "transfer-encoding": "chunked" }, bytes);
  },
  "a server that breaks before the first byte, without a version": (visit) =>
    serve(visit, visit.index === 0 ? 0 : Infinity, {}),
  "a server that is not ready at first": (visit) =>
    visit.index < 2 ? visit.send("503 Service Unavailable", { "content-length": 0 }) : serve(visit),
  "a server that is not ready to go on": (visit) =>
    visit.index === 1
      ? visit.send("500 Internal Server Error")
      : serve(visit, visit.index === 0 ? 5000 : Infinity),
  "a server that hangs up without a word": (visit) =>
    visit.index === 0 ? Promise.resolve() : serve(visit),
  "a server that sends more than it said": (visit) =>
    visit.send("200 OK", { "content-length": body.length }, new Uint8Array([...body, 1, 2, 3])),
  "a server that says no length": (visit) => visit.send("200 OK", {}, body),
};

for (const [name, answer] of Object.entries(resumes)) {
  Deno.test(`http gets the whole file from ${name}`, async () => {
    await using server = new Server(answer);
    assertSame(await get({ url: server.url }), body);
  });
}

const changes: Record<string, Record<string, string>> = {
  "another ETag": { etag: '"v2"' },
  "a weak ETag": { etag: 'W/"v1"' },
  "no ETag": {},
};

for (const [name, version] of Object.entries(changes)) {
  Deno.test(`http never puts two versions together: ${name} on resuming`, async () => {
    await using server = new Server((visit) =>
      visit.index === 0 ? serve(visit, 5000) : serve(visit, Infinity, version)
    );
    await assert.rejects(get({ url: server.url }), (error: Error) => {
      assert.ok(error instanceof SourceChanged);
      assert.match(error.message, /data\.csv" changed while .* version "v1" \(300000 bytes\), now/);
      return true;
    });
  });
}

Deno.test("http takes a 206 of another version or length for a change", async () => {
  for (const answer of [{ etag: '"v2"', total: body.length }, { etag, total: body.length + 1 }]) {
    await using server = new Server((visit) =>
      visit.index === 0 ? serve(visit, 5000) : visit.send("206 Partial Content", {
        etag: answer.etag,
        "content-range": `bytes 5000-${answer.total - 1}/${answer.total}`,
      }, body.subarray(5000))
    );
    await assert.rejects(get({ url: server.url }), SourceChanged);
  }
});

const weak: Record<string, Record<string, string>> = {
  "no validator": {},
  "a weak ETag": { etag: 'W/"v1"' },
  "a Last-Modified of just now": {
    "last-modified": "Fri, 01 Jan 2021 00:00:00 GMT",
    date: "Fri, 01 Jan 2021 00:00:30 GMT",
  },
};

for (const [name, version] of Object.entries(weak)) {
  Deno.test(`http downloads anew what breaks off, and goes on if it begins as before: ${name}`, async () => {
    const cuts = [5000, 4000, 150_000];
    await using server = new Server((visit) => serve(visit, cuts.shift(), version));
    assertSame(await get({ url: server.url }), body, name);
    assert.deepEqual(
      server.visits.map(({ headers }) => headers["range"]),
      Array(4).fill(undefined),
    );
    // One byte that came already is another one now.
    await using other = new Server((visit) => {
      const bytes = body.slice();
      if (visit.index > 0) bytes[4999]! ^= 1;
      return visit.send(
        "200 OK",
        { "content-length": body.length, ...version },
        visit.index === 0 ? bytes.subarray(0, 5000) : bytes,
      );
    });
    await assert.rejects(get({ url: other.url }), (error: Error) => {
      assert.ok(error instanceof SourceChanged);
      assert.match(error.message, /changed while .*: its first 5000 bytes are not what they were$/);
      return true;
    });
    assert.equal(other.visits.length, 2);
  });
}

Deno.test("http gives up after five tries in a row without a new byte", async () => {
  await using server = new Server((visit) => serve(visit, visit.index === 0 ? 5000 : 0));
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = closed.addr;
  closed.close();
  const before = performance.now();
  await Promise.all([
    assert.rejects(
      get({ url: server.url }),
      /^Error: Cannot download "http:.*" after 5000 bytes: .+; five more tries brought next to nothing$/,
    ),
    assert.rejects(
      get({ url: `http://user:se%20cret@127.0.0.1:${port}/x` }),
      (error: Error) => {
        assert.match(
          error.message,
          /^Cannot download "http:\/\/127\.0\.0\.1:\d+\/x": .*Connection refused/,
        );
        assert.doesNotMatch(Deno.inspect(error), /se%20cret|se cret/);
        return true;
      },
    ),
    assert.rejects(
      get({ url: "http://no-such-host.invalid/x" }),
      /^Error: Cannot download "http:\/\/no-such-host\.invalid\/x": .*(dns|lookup|resolve)/,
    ),
  ]);
  assert.equal(server.visits.length, 6);
  assert.ok(performance.now() - before < 60_000);
});

const refusals = [
  "404 Not Found",
  "400 Bad Request",
  "401 Unauthorized",
  "410 Gone",
  "304 Not Modified",
  "206 Partial Content",
];

for (const status of refusals) {
  Deno.test(`http fails at once on ${status}, naming the URL without its password`, async () => {
    await using server = new Server((visit) => visit.send(status));
    await assert.rejects(get({ url: server.url.replace("//", "//me:secret@") }), (error: Error) => {
      assert.ok(error instanceof GiveUp);
      assert.ok(
        error.message.startsWith(`Cannot download "${server.url}": the server answers ${status};`),
      );
      return true;
    });
    assert.equal(server.visits.length, 1);
    assert.equal(server.visits[0]!.headers["authorization"], `Basic ${btoa("me:secret")}`);
  });
}

Deno.test("http refuses addresses it cannot read, without showing a password", async () => {
  for (const url of ["http://user:a/b@host:x/", "https://user:secret@"]) {
    await assert.rejects(get({ url }), (error: Error) => {
      assert.match(
        error.message,
        /^Cannot download "https?:\/\/[^"]*": this is not a valid http or https URL$/,
      );
      assert.doesNotMatch(error.message, /secret|a\/b/);
      return true;
    });
  }
});

Deno.test("http waits as long as Retry-After says, in seconds or until a date", async () => {
  const date = "Fri, 01 Jan 2021 00:00:00 GMT", later = "Fri, 01 Jan 2021 00:00:01 GMT";
  await Promise.all(
    [{ "retry-after": "1" }, { "retry-after": later, date }].map(async (headers) => {
      await using server = new Server((visit) =>
        visit.index === 0 ? visit.send("429 Too Many Requests", headers) : serve(visit)
      );
      const { log, lines } = notes();
      const before = performance.now();
      assertSame(await get({ url: server.url }, testContext({ log })), body);
      assert.ok(performance.now() - before >= 950);
      assert.match(
        lines[0]!,
        /^No answer from .* \(the server answers 429 Too Many Requests\), trying again in 1\.0 s$/,
      );
    }),
  );
});

Deno.test("http waits ten minutes at most, and stops waiting when it is told to", async () => {
  await using server = new Server((visit) =>
    visit.send("503 Busy", { "retry-after": "999999999" })
  );
  const lines: string[] = [];
  const stop = new AbortController();
  const warn = (message: string) => {
    lines.push(message);
    setTimeout(() => stop.abort(new Error("stopped by hand")), 50);
  };
  const log = { ...notes().log, warn };
  await assert.rejects(
    get({ url: server.url }, testContext({ log, signal: stop.signal })),
    /stopped by hand/,
  );
  assert.match(lines.join("\n"), /in 600\.0 s$/);
});

Deno.test("http does not wait for ever, neither for an answer nor for the next byte", async () => {
  await using silent = new Server(async (visit) => {
    if (visit.index > 0) return await serve(visit);
    await visit.gone;
  });
  await using slow = new Server(async (visit) => {
    if (visit.headers["range"]) return await serve(visit);
    await serve(visit, 5000);
    await visit.gone;
  });
  const { log, lines } = notes();
  const ctx = testContext({ log });
  // Each has the other time in full: where this machine stands still, that one is not over too.
  const short = { milliseconds: 100 };
  assertSame(await get({ url: silent.url, headerTimeout: short }, ctx), body);
  assert.match(lines[0]!, /no answer within 0\.1 s/);
  assertSame(await get({ url: slow.url, idleTimeout: short }, ctx), body);
  assert.match(lines.join("\n"), /lost at byte 5000 .*no byte came for 0\.1 s/);
});

Deno.test("http follows redirects, and asks the first address again when it resumes", async () => {
  await using server = new Server((visit) => {
    if (visit.line.includes("/data.csv")) {
      return visit.send("302 Found", { location: "/moved?key=1" });
    }
    return serve(visit, visit.index === 1 ? 5000 : Infinity);
  });
  assertSame(await get({ url: server.url, headers: { authorization: "mine" } }), body);
  const paths = server.visits.map(({ line }) => line.split(" ")[1]);
  assert.deepEqual(paths, ["/data.csv", "/moved?key=1", "/data.csv", "/moved?key=1"]);
  assert.ok(server.visits.every(({ headers }) => headers["authorization"] === "mine"));
});

Deno.test("http gives a secret to no other host than the one it is for", async () => {
  await using other = new Server((visit) => serve(visit));
  await using server = new Server((visit) => visit.send("307 Moved", { location: other.url }));
  const headers = { cookie: "a=b", "x-mine": "1" };
  assertSame(await get({ url: server.url.replace("//", "//me:secret@"), headers }), body);
  assert.equal(server.visits[0]!.headers["cookie"], "a=b");
  const arrived = other.visits[0]!.headers;
  assert.deepEqual([arrived["authorization"], arrived["cookie"], arrived["x-mine"]], [
    undefined,
    undefined,
    "1",
  ]);
});

Deno.test("http refuses redirects that lead nowhere", async () => {
  const table: [(visit: Visit) => string, RegExp][] = [
    [() => "/data.csv", /redirects in a circle, via "http:.*data\.csv"$/],
    [(visit) => `/${visit.index}`, /redirects more than 20 times$/],
    [
      () => "file:///etc/passwd",
      /redirects to "file:\/\/\/etc\/passwd", which is not an http or https URL$/,
    ],
    [() => "ftp://me:secret@host/", /redirects to "ftp:\/\/host\/", which/],
  ];
  for (const [location, message] of table) {
    await using server = new Server((visit) =>
      visit.send("302 Found", { location: location(visit) })
    );
    await assert.rejects(get({ url: server.url }), { name: "GiveUp", message });
  }
});

Deno.test("http passes on a body that comes encoded all the same, but neither resumes nor counts it", async () => {
  const encoded = new Uint8Array(zlib.gzipSync(body));
  const headers = { etag, "content-encoding": "gzip", "content-length": encoded.length };
  await using server = new Server((visit) => visit.send("200 OK", headers, encoded));
  const source = await perform(http({ url: server.url }));
  assert.ok(source instanceof Source);
  assert.deepEqual([source.origin.validator, source.origin.length], ['W/"v1"', undefined]);
  assertSame(await read(source), encoded);

  await using broken = new Server((visit) =>
    visit.send("200 OK", headers, encoded.subarray(0, visit.index === 0 ? 3000 : Infinity))
  );
  assertSame(await get({ url: broken.url }), encoded);
  assert.deepEqual(broken.visits.map(({ headers }) => headers["range"]), [undefined, undefined]);
});

Deno.test("http closes the connection when it is told to stop, and says what it was told", async () => {
  const left = Promise.withResolvers<void>();
  await using server = new Server(async (visit) => {
    await serve(visit, 5000);
    await visit.gone;
    left.resolve();
  });
  const stop = new AbortController();
  const stream = await perform(http({ url: server.url }), testContext({ signal: stop.signal }));
  const reader = stream.getReader();
  await reader.read();
  const next = reader.read();
  stop.abort(new Error("stopped by hand"));
  await assert.rejects(next, /stopped by hand/);
  await left.promise;
});

Deno.test("http closes the connection when its reader stops, even while it waits to try again", async () => {
  const left = Promise.withResolvers<void>();
  await using server = new Server(async (visit) => {
    await serve(visit, 5000);
    await visit.gone;
    left.resolve();
  });
  const reader = (await perform(http({ url: server.url }))).getReader();
  await reader.read();
  await reader.cancel("enough");
  await left.promise;

  await using broken = new Server((visit) => serve(visit, visit.index === 0 ? 5000 : 0));
  const waiting = (await perform(http({ url: broken.url }))).getReader();
  await waiting.read();
  const next = waiting.read();
  await new Promise((resolve) => setTimeout(resolve, 30));
  await waiting.cancel("enough");
  assert.equal((await next).done, true);
});

Deno.test("http reads no further ahead than its reader asks", async () => {
  let sent = 0;
  const block = new Uint8Array(65_536);
  await using server = new Server(async (visit) => {
    const length = 200_000_000;
    await visit.send("200 OK", { etag, "content-length": length });
    // What the two kernels hold counts as sent.
    while (sent < length) {
      await visit.more(block);
      sent += block.length;
    }
  });
  const reader = (await perform(http({ url: server.url }))).getReader();
  await reader.read();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const early = sent;
  assert.ok(early < 16_000_000, `${early} bytes sent to a reader that took one chunk`);
  for (let bytes = 0; bytes < early + 1_000_000;) bytes += (await reader.read()).value!.length;
  assert.ok(sent > early);
  await reader.cancel();
});
