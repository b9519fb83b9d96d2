import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { Server, type Visit } from "../operators/_server.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { invariants, type State } from "./_invariants.ts";
import { begin, loadFrom, Made, type Ways } from "./_made.ts";
import { after, type Chaos, Proxy } from "./_proxy.ts";
import { random } from "./_soak.ts";

await sharedPostgres();
const database = await freshDatabase();

const old = new Made(1), made = new Made(2, 5000);
const plain = made.bytes;
const zipped = new Uint8Array(gzipSync(plain));
const etag = '"2"';
const before: State = { table: [old], ledger: [old] };
const loaded: State = { table: [made], ledger: [old, made] };
const dice = random(7);
const below = (most: number): number => Math.floor(dice() * most);

/** Answers as a good server does, but only so many bytes of it. */
async function send(visit: Visit, bytes: Uint8Array, cut = Infinity): Promise<void> {
  const { range = "", "if-range": condition } = visit.headers;
  const from = condition === etag ? Number(/^bytes=(\d+)-$/.exec(range)?.[1] ?? 0) : 0;
  await visit.send(from > 0 ? "206 Partial Content" : "200 OK", {
    etag,
    "content-length": bytes.length - from,
    ...from > 0 && { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` },
  }, bytes.subarray(from, from + cut));
}

/** What a server does wrong the first time, and what must come of it: the table is new, or else this is said. */
const SERVERS: Record<
  string,
  [answer: (visit: Visit) => Promise<unknown>, said: RegExp | undefined, ways?: Ways]
> = {
  "breaks off again and again": [
    (visit) => send(visit, plain, visit.index < 6 ? 1 + below(20_000) : Infinity),
    undefined,
  ],
  "breaks off a file that has no version": [
    (visit) =>
      visit.send(
        "200 OK",
        { "content-length": plain.length },
        plain.subarray(0, visit.index === 0 ? 5000 : Infinity),
      ),
    undefined,
  ],
  "breaks off a gzip file of unknown length": [
    (visit) => visit.send("200 OK", {}, zipped.subarray(0, below(zipped.length))),
    /Cannot decompress gzip: at byte \d+, the data ends too early/,
  ],
  "breaks off a file of unknown length, of which it is known how many rows it has": [
    (visit) => visit.send("200 OK", {}, plain.subarray(0, plain.lastIndexOf(10, -9) + 1)),
    /at least 5000 were asked for/,
    { minRows: made.rows },
  ],
  "sends fewer bytes than it says": [
    (visit) => visit.send("200 OK", { "content-length": plain.length + 9 }, plain),
    /after \d+ bytes: .*; five more tries brought next to nothing/,
  ],
  "sends more bytes than it says": [
    (visit) => visit.send("200 OK", { "content-length": zipped.length - 4 }, zipped),
    /Cannot decompress gzip: at byte \d+, the data ends too early/,
  ],
  "sends chunks without the last one": [
    async (visit) => {
      await visit.send("200 OK", { "transfer-encoding": "chunked" });
      const size = new TextEncoder().encode(`${plain.length.toString(16)}\r\n`);
      for (const bytes of [size, plain]) await visit.more(bytes);
    },
    /after \d+ bytes: .*; five more tries brought next to nothing/,
  ],
  "sends chunks whose size is no number": [
    async (visit) => {
      await visit.send("200 OK", { "transfer-encoding": "chunked" });
      await visit.more(new TextEncoder().encode("5\r\nn,v,n\r\nzzz\r\n"));
    },
    /after 5 bytes: .*; five more tries brought next to nothing/,
  ],
  "is overloaded for a while": [
    (visit) =>
      visit.index < 2
        ? visit.send(visit.index ? "503 Busy" : "429 Slow Down", { "retry-after": "0" })
        : send(visit, plain),
    undefined,
  ],
  "says no": [(visit) => visit.send("403 Forbidden"), /answers 403 Forbidden/],
  "accepts, and then says nothing": [
    (visit) => visit.index ? send(visit, plain) : visit.gone,
    undefined,
    { headerTimeout: { milliseconds: 200 } },
  ],
  "falls silent in the midst": [
    async (visit) => {
      await send(visit, plain, visit.index ? Infinity : 5000);
      if (visit.index === 0) await visit.gone;
    },
    undefined,
    { idleTimeout: { milliseconds: 200 } },
  ],
  "ignores ranges": [
    (visit) => {
      delete visit.headers["range"];
      return send(visit, plain, visit.index ? Infinity : 5000);
    },
    undefined,
  ],
  "answers another range than it was asked for": [
    (visit) =>
      visit.index === 1
        ? visit.send("206 Partial Content", {
          etag,
          "content-range": `bytes 4000-${plain.length - 1}/${plain.length}`,
        }, plain.subarray(4000))
        : send(visit, plain, visit.index ? Infinity : 5000),
    undefined,
  ],
  "has another version when it is asked for the rest": [
    (visit) =>
      visit.index
        ? visit.send("200 OK", { etag: '"3"', "content-length": plain.length }, plain)
        : send(visit, plain, 5000),
    /changed while it was downloaded/,
  ],
  "says that a gzip file is encoded by gzip": [
    (visit) =>
      visit.send("200 OK", { "content-encoding": "gzip", "content-length": zipped.length }, zipped),
    undefined,
  ],
  "sends a page that says sorry": [
    (visit) => {
      const page = new TextEncoder().encode("<html><body>Sorry, come back later</body></html>");
      return visit.send("200 OK", { "content-length": page.length }, page);
    },
    /web page/,
  ],
  "sends nothing at all": [(visit) => visit.send("200 OK", { "content-length": 0 }), /empty/],
  "redirects in a circle": [
    (visit) => visit.send("302 Found", { location: "/data.csv" }),
    /redirects in a circle/,
  ],
  "redirects to a file of this machine": [
    (visit) => visit.send("302 Found", { location: "file:///etc/passwd" }),
    /redirects to "file:\/\/\/etc\/passwd", which is not an http or https URL/,
  ],
};

for (const [what, [answer, said, ways]] of Object.entries(SERVERS)) {
  Deno.test(`a server that ${what}: ${said ? "nothing is loaded" : "all is loaded"}`, async () => {
    await begin(database, old);
    await using server = new Server(answer);
    const loading = loadFrom(server.url, database.url, made, ways);
    if (said) await assert.rejects(loading, said);
    else assert.equal((await loading).rows, made.rows);
    await invariants(database, [said ? before : loaded]);
    if (!said) return;
    await using good = new Server((visit) => send(visit, plain));
    await loadFrom(good.url, database.url, made);
    await invariants(database, [loaded]);
  });
}

Deno.test("a server that does not say how long a file is, is told of", async () => {
  await using server = new Server((visit) => visit.send("200 OK", {}, plain));
  const said: string[] = [];
  await loadFrom(server.url, database.url, made, {}, said);
  assert.equal(
    said[0],
    `The server does not say how long "${server.url}" is: should the connection break, what came looks whole`,
  );
});

Deno.test("a server that sends a byte now and then is asked for the rest anew", async () => {
  await begin(database, old);
  await using server = new Server(async (visit) => {
    await send(visit, plain, visit.index ? Infinity : 5000);
    for (let at = 5000; visit.index === 0 && at < 5090; at++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await visit.more(plain.subarray(at, at + 1));
    }
  });
  const said: string[] = [];
  const idleTimeout = { seconds: 1 };
  await loadFrom(server.url, database.url, made, { idleTimeout, minBytes: 5100 }, said);
  assert.match(
    said[0]!,
    /Connection lost at byte 50\d\d of .* \(only 50\d\d bytes came in 1 s\)/,
  );
  await invariants(database, [loaded]);
});

/** What happens on the way between a good server and us. */
const WAYS: Record<string, [chaos: (connection: number) => Chaos, ways?: Ways]> = {
  "cut at random places": [(n) => n < 8 ? { down: after(300 + below(12_000), "cut") } : {}],
  "cut before an answer": [(n) => n < 2 ? { up: after(0, "cut") } : {}],
  "cut within the headers": [(n) => n < 2 ? { down: after(20 * n + 5, "cut") } : {}],
  "in slices of a byte": [() => ({ slice: 1 })],
  "slowly": [() => ({ delay: 20 })],
  "that swallows all from somewhere on": [
    (n) => n < 2 ? { down: after(2000, "hole") } : {},
    { idleTimeout: { milliseconds: 200 } },
  ],
  "that swallows the question": [
    (n) => n === 0 ? { up: after(0, "hole") } : {},
    { headerTimeout: { milliseconds: 200 } },
  ],
};

for (const [what, [chaos, ways]] of Object.entries(WAYS)) {
  Deno.test(`a way to the server ${what}: all is loaded`, async () => {
    await begin(database, old);
    await using server = new Server((visit) => send(visit, plain));
    await using proxy = new Proxy(server.port, chaos);
    await loadFrom(proxy.of(server.url), database.url, made, ways);
    await invariants(database, [loaded]);
    // What has come does not come again.
    let sent = 0;
    for (const { headers } of server.visits.slice(1)) {
      if (headers["range"]) assert.equal(headers["if-range"], etag);
      else sent++;
    }
    assert.ok(sent <= 2, `${sent} visits began anew`);
  });
}
