import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { type Bytes, pipe, type Work } from "../../engine/mod.ts";
import {
  type Copied,
  copy,
  type CopyOptions,
  csv,
  type CsvOptions,
  decompress,
  http,
  open,
} from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { Server } from "./_server.ts";

await sharedPostgres();

const TEXT = `a,b\n${Array.from({ length: 200_000 }, (_, i) => `${i},text ${i}\n`).join("")}`;
const PLAIN = new TextEncoder().encode(TEXT);
const PACKED = new Uint8Array(gzipSync(PLAIN));

/** Loads what a work gives into `t`, through decompression and CSV. */
async function load(
  database: TestDatabase,
  source: Work<Bytes>,
  options: Partial<CopyOptions> = {},
  reading: CsvOptions = {},
): Promise<Copied> {
  const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
  const into = copy({ table: "t", ...options } as CopyOptions);
  return await perform(pipe(source, decompress(), csv(reading), into), ctx);
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** What the ledger has of the source of the last load. */
async function entry(database: TestDatabase): Promise<unknown> {
  const [entry] = await database.query(
    `SELECT source_url AS url, validator, sha256, bytes::int, unverified
     FROM sluice.loads ORDER BY fence DESC LIMIT 1`,
  );
  return entry;
}

/** Serves bytes under a version. */
function versioned(body: Uint8Array, etag: string | undefined): Server {
  return new Server(({ send }) =>
    send("200 OK", { "content-length": body.length, ...etag && { etag } }, body)
  );
}

const WAYS: readonly Partial<CopyOptions>[] = [
  {},
  { key: "the load", mode: "append" },
  { key: "the load", staging: "committed" },
  { key: "the load", mode: "merge", on: ["a"] },
  { parallel: 2 },
];

for (const options of WAYS) {
  Deno.test(`the ledger has address, version, length and hash of a source: ${JSON.stringify(options)}`, async () => {
    await using database = await freshDatabase();
    await using server = versioned(PACKED, '"v1"');
    await load(database, http({ url: `${server.url}?token=hidden` }), options);
    assert.deepEqual(await entry(database), {
      url: `${server.url}?token=%E2%80%A6`,
      validator: '"v1"',
      sha256: hashOf(PACKED),
      bytes: PACKED.length,
      unverified: false,
    });
  });
}

Deno.test("the ledger has the hash of a file, and of what has no name", async () => {
  await using database = await freshDatabase();
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, PLAIN);
    await load(database, open({ file: path }));
    const { url, sha256, bytes } = await entry(database) as Record<string, unknown>;
    assert.deepEqual([url, sha256, bytes], [`file://${path}`, hashOf(PLAIN), PLAIN.length]);
  } finally {
    await Deno.remove(path);
  }
  const steps: Work<Bytes>["steps"] = [];
  const some: Work<Bytes> = {
    steps,
    run: () => Promise.resolve(new Response(PLAIN).body as Bytes),
  };
  await load(database, some);
  assert.deepEqual(await entry(database), {
    url: null,
    validator: null,
    sha256: hashOf(PLAIN),
    bytes: PLAIN.length,
    unverified: false,
  });
});

Deno.test("a source that was read again counts once", async () => {
  const wider = new TextEncoder().encode(`${TEXT}N/A,the last\n`);
  for (const etag of ['"v1"', undefined]) {
    await using database = await freshDatabase();
    await using server = versioned(wider, etag);
    const { widened } = await load(database, http({ url: server.url }), { mode: "append" });
    assert.equal(widened?.[0]?.reread, true);
    assert.equal(server.visits.length, etag ? 2 : 1);
    const { sha256, bytes } = await entry(database) as Record<string, unknown>;
    assert.deepEqual([sha256, bytes], [hashOf(wider), wider.length]);
  }
});

/** A second load, and whether it is known after the first rows that it would be of the same. */
const SECOND: readonly (readonly [
  what: string,
  early: boolean,
  etags: readonly [string, string],
  then?: { reading?: CsvOptions; options?: Partial<CopyOptions>; path?: string },
])[] = [
  ["the same version", true, ['"v1"', '"v1"']],
  ["what may be the same version", false, ['W/"v1"', 'W/"v1"']],
  ["another version", false, ['"v1"', '"v2"']],
  ["other options of reading", false, ['"v1"', '"v1"'], { reading: { nulls: ["NA"] } }],
  ["other options of loading", false, ['"v1"', '"v1"'], { options: { evolution: "evolve" } }],
  ["the same version of something else", false, ['"v1"', '"v1"'], { path: "?another" }],
];

for (const [what, early, etags, { reading, options, path = "" } = {}] of SECOND) {
  Deno.test(`to skip ${early ? "takes the first rows alone" : "takes all rows"}: ${what}`, async () => {
    await using database = await freshDatabase();
    const other = PLAIN.slice();
    other[other.length - 2] = 33; // in the last row
    await using server = new Server(async ({ index, send, gone }) => {
      const headers = { "content-length": PLAIN.length, etag: etags[index]! };
      const body = index === 0 ? PLAIN : early ? PLAIN.subarray(0, PLAIN.length / 2) : other;
      await send("200 OK", headers, body);
      // Who waits for the end of that waits for ever.
      if (body.length < PLAIN.length) await gone;
    });
    const skip = { ifUnchanged: "skip" } as const;
    await load(database, http({ url: server.url }), skip);
    const again = http({ url: `${server.url}${path}` });
    const { unchanged } = await load(database, again, { ...skip, ...options }, reading);
    assert.equal(unchanged, early || undefined);
  });
}

Deno.test("a version is believed for what it is the version of: the rows tell that a file has changed", async () => {
  await using database = await freshDatabase();
  const path = await Deno.makeTempFile();
  try {
    const at = new Date("2021-01-01");
    for (const text of ["a,b\n1,x\n", "a,b\n1,y\n"]) {
      await Deno.writeTextFile(path, text);
      await Deno.utime(path, at, at);
      const copied = await load(database, open({ file: path }), { ifUnchanged: "skip" });
      assert.equal(copied.unchanged, undefined);
    }
    assert.deepEqual(await database.query("SELECT b FROM t"), [{ b: "y" }]);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("a source that does not say where it ends is marked, unless what it is packed in does", async () => {
  for (const [body, unverified] of [[PLAIN, true], [PACKED, undefined]] as const) {
    await using database = await freshDatabase();
    await using server = new Server(({ send }) => send("200 OK", { etag: '"v1"' }, body));
    const copied = await load(database, http({ url: server.url }), { ifUnchanged: "skip" });
    assert.equal(copied.unverified, unverified);
    assert.deepEqual(await entry(database), {
      url: server.url,
      validator: null,
      sha256: hashOf(body),
      bytes: body.length,
      unverified: unverified ?? false,
    });
  }
});
