import assert from "node:assert/strict";
import { dag, engine, file } from "../../engine/mod.ts";
import { listen, type Listener, type ListenOptions } from "../../server/mod.ts";
import { server } from "./_checked.ts";
import { description } from "./_description.ts";

const greet = dag("greet");
greet.task("hello", () => "hello");

/** Answers by what it is asked. */
async function answer(request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  if (pathname === "/echo") return new Response(await request.text());
  if (pathname === "/ignore") return new Response("no, thanks", { status: 413 });
  if (pathname === "/fail") throw new Error("it broke");
  const headers = { "x-method": request.method, "x-host": request.headers.get("host")! };
  return new Response(`${pathname}${search}`, { headers });
}

/** A raw connection. */
class Line implements Disposable {
  readonly #connection: Deno.TcpConn;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  static async to({ port }: Listener, text = ""): Promise<Line> {
    const line = new Line(await Deno.connect({ hostname: "127.0.0.1", port }));
    await line.send(text);
    return line;
  }

  async send(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) {
      done += await this.#connection.write(bytes.subarray(done));
    }
  }

  /** What comes until the other side hangs up, or it matches. */
  async hear(until?: RegExp): Promise<string> {
    let text = "";
    const bytes = new Uint8Array(65_536);
    while (!until?.test(text)) {
      const n = await this.#connection.read(bytes).catch(() => null);
      if (n === null) break;
      text += new TextDecoder().decode(bytes.subarray(0, n));
    }
    return text;
  }

  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch { /* the other side was first */ }
  }
}

/** The status of an error that came as it is described. */
function refusal(text: string): number {
  const [, status, type, , body] =
    /^HTTP\/1\.1 (\d+) [^]*content-type: (\S+)([^]*?)\r\n\r\n([^]*)$/i.exec(text)!;
  const [json] = /\{.*\}/.exec(body!)!;
  description.expect("GET", "/api/dags", Number(status), type!)(json);
  return Number(status);
}

const get = (path = "/", more = "") => `GET ${path} HTTP/1.1\r\nhost: x\r\n${more}\r\n`;

async function withServer(
  what: (http: Listener) => Promise<void>,
  options: ListenOptions = {},
  fetch: Parameters<typeof listen>[0] = answer,
): Promise<void> {
  await using http = await listen(fetch, options);
  await what(http);
}

Deno.test("requests come as they were sent, and answers as they were made", () =>
  withServer(async ({ url }) => {
    const body = "ä".repeat(300_000);
    const echo = await fetch(`${url}/echo`, { method: "POST", body });
    assert.equal(await echo.text(), body);
    const head = await fetch(`${url}/a%20b?c=d`, { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
    const got = await fetch(`${url}/a%20b?c=d`);
    assert.equal(await got.text(), "/a%20b?c=d");
    assert.equal(got.headers.get("x-method"), "GET");
  }));

const malformed: [what: string, request: string][] = [
  ["a whole URL for a path", get("http://evil.example/api/dags")],
  ["no path at all", "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n"],
  ["two hosts", get("/", "host: evil.example\r\n")],
  ["a host that is a path", "GET / HTTP/1.1\r\nhost: x/../y\r\n\r\n"],
  ["a host with a user", "GET / HTTP/1.1\r\nhost: me@x\r\n\r\n"],
  ["no host", "GET / HTTP/1.1\r\n\r\n"],
];

for (const [what, request] of malformed) {
  Deno.test(`a request with ${what} is refused`, () =>
    withServer(async (http) => {
      using line = await Line.to(http, request);
      const text = await line.hear();
      if (text !== "") assert.equal(refusal(text), 400);
    }));
}

Deno.test("a head that does not come is not waited for", () =>
  withServer(async (http) => {
    const began = performance.now();
    using none = await Line.to(http);
    using half = await Line.to(http, "GET / HTTP/1.1\r\nhost: x\r\nx-");
    assert.deepEqual(await Promise.all([none.hear(), half.hear()]), ["", ""]);
    // Without being told, it is waited for ten seconds.
    assert.ok(performance.now() - began < 8000);
  }, { headTimeout: 200 }));

Deno.test("a head that comes a byte at a time is not waited for either", () =>
  withServer(async (http) => {
    using line = await Line.to(http, "GET / HTTP/1.1\r\nhost: x\r\n");
    let over = false;
    const heard = line.hear().then(() => over = true);
    for (let i = 0; i < 100 && !over; i++) {
      await line.send("x").catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await heard;
  }, { headTimeout: 300 }));

Deno.test("a body that does not come is told so, and hung up on", () =>
  withServer(async (http) => {
    using line = await Line.to(
      http,
      "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc",
    );
    assert.equal(refusal(await line.hear()), 408);
  }, { bodyTimeout: 200 }));

Deno.test("a body that nobody wants is not read to its end", () =>
  withServer(async (http) => {
    using line = await Line.to(
      http,
      `POST /ignore HTTP/1.1\r\nhost: x\r\ncontent-length: ${1 << 30}\r\n\r\n`,
    );
    const heard = line.hear();
    const chunk = "x".repeat(65_536);
    let sent = 0;
    try {
      while (sent < 1 << 30) {
        await line.send(chunk);
        sent += chunk.length;
      }
    } catch { /* it hung up */ }
    assert.match(await heard, /^(HTTP\/1\.1 413 |$)/);
    assert.ok(sent < 1 << 28, `${sent} bytes`);
  }));

Deno.test("an answer that cannot be made hangs up, and the host is told", async () => {
  const told: unknown[] = [];
  await withServer(async ({ url }) => {
    await assert.rejects(fetch(`${url}/fail`));
    assert.equal((await fetch(url)).status, 200);
  }, { onError: (error) => told.push(error) });
  assert.match(String(told[0]), /it broke/);
});

Deno.test("a normal request is answered at once beside 2000 that never end", () =>
  withServer(async (http) => {
    const lines = [];
    for (let i = 0; i < 2000; i++) {
      lines.push(await Line.to(http, "GET / HTTP/1.1\r\nx-").catch(() => undefined));
    }
    const times: number[] = [];
    for (let i = 0; i < 10; i++) {
      const began = performance.now();
      using line = await Line.to(http, get("/", "connection: close\r\n"));
      assert.match(await line.hear(), /^HTTP\/1\.1 200 /);
      times.push(performance.now() - began);
    }
    times.sort((a, b) => a - b);
    // Behind them, it would wait until they are given up.
    assert.ok(times[5]! < 1000, `${times}`);
    for (const line of lines) line?.[Symbol.dispose]();
  }));

Deno.test("no address has more connections than it may, and those that ask keep theirs", async () => {
  const held = Promise.withResolvers<void>();
  const full = Promise.withResolvers<void>();
  let asked = 0;
  await withServer(
    async (http) => {
      const asking = await Promise.all([1, 2, 3].map(() => Line.to(http, get("/hold"))));
      await full.promise;
      using more = await Line.to(http, get("/hold"));
      assert.equal(await more.hear(), "");
      held.resolve();
      for (const line of asking) {
        assert.match(await line.hear(/0\r\n\r\n$/), /held/);
        line[Symbol.dispose]();
      }
    },
    { maxConnectionsPerAddress: 3 },
    async () => {
      if (++asked === 3) full.resolve();
      await held.promise;
      return new Response("held");
    },
  );
});

Deno.test("when all connections are taken, the oldest that asks for nothing gives way", () =>
  withServer(async (http) => {
    using first = await Line.to(http);
    using second = await Line.to(http);
    using third = await Line.to(http, get());
    assert.equal(await first.hear(), "");
    assert.match(await third.hear(/0\r\n\r\n$/), /^HTTP\/1\.1 200 /);
    await second.send(get());
    assert.match(await second.hear(/0\r\n\r\n$/), /^HTTP\/1\.1 200 /);
  }, { maxConnections: 2 }));

Deno.test("who asks is known to be gone, and what is made for nobody is stopped", async () => {
  const gone = Promise.withResolvers<void>();
  const stopped = Promise.withResolvers<void>();
  await withServer(
    async (http) => {
      {
        using line = await Line.to(http, get());
        await line.hear(/some/);
      }
      await Promise.all([gone.promise, stopped.promise]);
    },
    {},
    ({ signal }) => {
      signal.addEventListener("abort", () => gone.resolve());
      return new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(new TextEncoder().encode("some")),
          cancel: () => stopped.resolve(),
        }),
      );
    },
  );
});

Deno.test("no more is made than a slow client takes, and one that takes nothing is hung up on", async () => {
  let made = 0;
  const stopped = Promise.withResolvers<void>();
  await withServer(
    async (http) => {
      using _line = await Line.to(http, get());
      await stopped.promise;
      assert.ok(made < 1 << 26, `${made} bytes`);
    },
    { writeTimeout: 300 },
    () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            made += 65_536;
            controller.enqueue(new Uint8Array(65_536));
          },
          cancel: () => stopped.resolve(),
        }, { highWaterMark: 0 }),
      ),
  );
});

Deno.test("a port that is taken is told by its code", () =>
  withServer(async ({ port }) => {
    await assert.rejects(listen(answer, { port }), { code: "EADDRINUSE" });
  }));

Deno.test("a server ends its answers that would never end, within a second or so", async () => {
  const http = await listen(() => new Response(new ReadableStream({})));
  const line = await Line.to(http, get());
  await line.hear(/\r\n\r\n/);
  const began = performance.now();
  await http[Symbol.asyncDispose]();
  assert.ok(performance.now() - began < 10_000);
  line[Symbol.dispose]();
});

Deno.test("the API is asked over a socket: a run and its events, and the hosts it is not", async () => {
  const home = await Deno.makeTempDir({ prefix: "sluice-listen-" });
  try {
    await using store = await file(home);
    await using etl = await engine({ dags: [greet], store, home });
    const app = server(etl, { store, hosts: ["127.0.0.1"], heartbeat: 50 });
    await withServer(
      async (http) => {
        const events = await fetch(`${http.url}/api/events`);
        const made = await fetch(`${http.url}/api/dags/greet/runs?wait=1`, { method: "POST" });
        assert.equal(made.status, 201);
        const lines = (await made.text()).trimEnd().split("\n").map((line) => JSON.parse(line));
        assert.equal(lines.at(-1).state, "success");
        const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader();
        for (let text = ""; !text.includes(": still here");) text += (await reader.read()).value;
        await reader.cancel();
        using line = await Line.to(http, get("/api/dags"));
        assert.equal(refusal(await line.hear(/\}\}/)), 421);
        const long = new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
        });
        const headers = { "content-type": "application/json" };
        const init = { method: "POST", headers, body: long };
        // It may hang up before all was sent.
        const refused = await fetch(`${http.url}/api/dags/greet/runs`, init).catch(() => undefined);
        if (refused) assert.equal(refused.status, 413);
        await refused?.body?.cancel();
        assert.equal((await fetch(`${http.url}/healthz`).then((r) => r.json())).status, "ok");
      },
      {},
      app.fetch,
    );
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
