import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { dag, engine, pipe } from "../../engine/mod.ts";
import { copy, csv, decompress, http, jsonLines } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { nothingLeft } from "./_load.ts";
import { Server } from "./_server.ts";

await sharedPostgres();

const ROWS = 20_000;
/** A column of decimals, as somebody writes them who cares for cents; the last says otherwise. */
const TEXT = (late: string): string =>
  `id,price,note\n${
    Array.from(
      { length: ROWS },
      (_, i) => `${i},${i === ROWS - 1 ? late : "1.50"},${String(i * 7919).padStart(60, "-")}\n`,
    ).join("")
  }`;
const WHOLE = gzipSync(TEXT("N/A"));

/** A server of one file: its versions one after the other, the last again and again. */
function fileServer(
  headers: HeadersInit | ((request: number) => HeadersInit),
  ...versions: Uint8Array[]
) {
  let requests = 0;
  const stop = new AbortController();
  const server = Deno.serve({ port: 0, onListen() {}, signal: stop.signal }, () => {
    const request = requests++;
    const body = versions[Math.min(request, versions.length - 1)]! as Uint8Array<ArrayBuffer>;
    return new Response(body, {
      headers: typeof headers === "function" ? headers(request) : headers,
    });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/prices.csv.gz`,
    requests: () => requests,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await server.finished;
    },
  };
}

const load = (url: string) =>
  pipe(http({ url }), decompress(), csv({ sampleBytes: 4096 }), copy({ table: "t", key: "k" }));

const SERVERS: readonly [what: string, headers: HeadersInit, requests: number][] = [
  ["with a strong ETag", { etag: '"1"' }, 2],
  ["with a weak ETag", { etag: 'W/"1"' }, 1],
  ["without a validator", {}, 1],
];

for (const [what, headers, requests] of SERVERS) {
  Deno.test(`a file at a URL ${what} is read again in ${requests} requests`, async () => {
    await using database = await freshDatabase();
    await using server = fileServer(headers, WHOLE);
    const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
    const { rows, widened } = await perform(load(server.url), ctx);
    assert.equal(rows, ROWS);
    assert.deepEqual(widened, [{
      column: "price",
      from: "double precision",
      to: "text",
      line: ROWS + 1,
      reread: true,
    }]);
    const prices = await database.query(
      "SELECT price, count(*)::integer FROM t GROUP BY 1 ORDER BY 1",
    );
    assert.deepEqual(prices, [{ price: "1.50", count: ROWS - 1 }, { price: "N/A", count: 1 }]);
    assert.equal(server.requests(), requests);
    // What is told is what the reading came to that counts.
    assert.deepEqual(
      ctx.meters.read().slice(1).map(({ stage, bytes, rows }) => [stage, rows || bytes]),
      [
        ["http", WHOLE.length],
        ["decompress", TEXT("N/A").length],
        ["csv", ROWS],
        ["copy", ROWS],
      ],
    );
    await nothingLeft(database);
  });
}

/** Lines behind a sample, and some that have another key. */
const late = (key: string, rows = ROWS): Uint8Array =>
  new TextEncoder().encode(
    `${
      Array.from({ length: rows }, (_, i) => `{"id":${i}}\n`).join("")
    }{"id":-1,"${key}":"${key}"}\n`,
  );

/** How the version of each request is told. */
const TOLD: readonly [what: string, headers: (request: number) => HeadersInit][] = [
  ["by its ETag", (request) => ({ etag: `"${request}"` })],
  [
    "by its date",
    (request) => ({ "last-modified": `Fri, 01 Jan 2021 00:00:0${request} GMT` }),
  ],
  ["by having none any more", (request) => request === 0 ? { etag: '"1"' } : {}],
  ["by one that is weak", (request) => ({ etag: request === 0 ? '"1"' : 'W/"1"' })],
  ["by its length alone", () => ({ etag: '"1"' })],
];

for (const [what, headers] of TOLD) {
  Deno.test(`another version, told ${what}, is loaded whole and alone, though it is read again itself`, async () => {
    await using database = await freshDatabase();
    await using server = fileServer(headers, late("old"), late("new", 900), late("newest"));
    const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
    const work = pipe(
      http({ url: server.url }),
      decompress(),
      jsonLines({ sampleBytes: 512 }),
      copy({ table: "t", key: "k" }),
    );
    const { rows, columns, widened } = await perform(work, ctx);
    assert.deepEqual([rows, columns], [
      901,
      [{ name: "id", type: "integer" }, { name: "new", type: "text" }],
    ]);
    assert.deepEqual(widened, [
      { column: "new", from: null, to: "text", line: 901, reread: true },
    ]);
    // The version that came was kept.
    assert.equal(server.requests(), 2);
    assert.deepEqual(
      await database.query("SELECT count(*)::integer, max(id), min(new) AS new FROM t"),
      [{ count: 901, max: 899, new: "new" }],
    );
    await nothingLeft(database);
  });
}

Deno.test("what changes while it is read a second time is refused, and the table stays", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE t AS SELECT 7 AS id");
  const [old, other] = [late("old"), late("new")];
  // Of the second answer half comes; the rest is asked for, and is of another version.
  await using server = new Server(async ({ index, send, headers }) => {
    const [body, etag] = index < 2 ? [old, '"1"'] : [other, '"2"'];
    if (index === 2) assert.equal(headers["if-range"], '"1"');
    const sent = index === 1 ? body.subarray(0, body.length >> 1) : body;
    await send("200 OK", { etag, "content-length": body.length }, sent);
  });
  const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
  const work = pipe(
    http({ url: server.url }),
    jsonLines({ sampleBytes: 512 }),
    copy({ table: "t" }),
  );
  await assert.rejects(perform(work, ctx), {
    name: "SourceChanged",
    message: /changed while it was downloaded: it was version "1"/,
  });
  assert.equal(server.visits.length, 3);
  assert.deepEqual(await database.query("SELECT * FROM t"), [{ id: 7 }]);
  await nothingLeft(database);
});

Deno.test("a file on this machine is read again", async () => {
  await using database = await freshDatabase();
  const path = await Deno.makeTempFile({ suffix: ".csv" });
  try {
    await Deno.writeTextFile(path, TEXT("n/a"));
    const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
    const { rows } = await perform(load(path), ctx);
    assert.equal(rows, ROWS);
    const [row] = await database.query(`SELECT price FROM t WHERE id = ${ROWS - 1}`);
    assert.deepEqual(row, { price: "n/a" });
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("over a stream edge the file is downloaded once, and the load takes one attempt", async () => {
  await using database = await freshDatabase();
  await using server = fileServer({ etag: '"1"' }, WHOLE);
  const prices = dag("prices", { params: { url: server.url } });
  const file = prices.task("download", http({ url: (run) => run.params.url }));
  prices.task("load", pipe(file, decompress(), csv({ sampleBytes: 4096 }), copy({ table: "t" })));
  const lines: string[] = [];
  await using etl = await engine({
    dags: [prices],
    connections: { database: () => Promise.resolve({ url: database.url }) },
    log: ({ message }) => void lines.push(message),
  });
  const { state, tasks } = await (await etl.trigger(prices)).done;
  assert.equal(state, "success");
  const { attempt, retries, output } = tasks.load!;
  assert.deepEqual([attempt, retries], [1, 0]);
  const { rows, widened } = output as { rows: number; widened: { reread: boolean }[] };
  assert.deepEqual([rows, widened[0]!.reread], [ROWS, true]);
  assert.equal(server.requests(), 1);
  assert.deepEqual(lines.filter((line) => /column|again/.test(line)), [
    `column "price" is text, not double precision, as line ${ROWS + 1} shows`,
    "reading the source again, from its start",
  ]);
  await nothingLeft(database);
});
