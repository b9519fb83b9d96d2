import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { Server } from "../operators/_server.ts";
import { arrived, rangedServer } from "./_ranged_server.ts";
import { document, Sluice } from "./_sluice.ts";

await sharedPostgres();

const CSV = new TextEncoder().encode(
  `a,b\n${Array.from({ length: 200_000 }, (_, i) => `${i},text ${i}\n`).join("")}`,
);
const PACKED = new Uint8Array(gzipSync(CSV, { level: 1 }));

/** A DAG of a download that another task reads, and of a load that is one task. */
const dagOf = (url: string): string => `
  import { copy, csv, dag, decompress, http, pipe } from "sluice";
  const d = dag("d", { start: "2021-01-01", schedule: "@daily" });
  const file = d.task("download", http({ url: "${url}" }));
  d.task("edge", pipe(file, decompress(), csv(), copy({ table: "edge" })));
  d.task("committed", pipe(file, decompress(), csv(), copy({ table: "committed", staging: "committed" })));
  d.task("piped", pipe(http({ url: "${url}" }), decompress(), csv(), copy({ table: "piped" })));
  export default d;`;

async function entries(database: TestDatabase): Promise<unknown[]> {
  return await database.query(
    `SELECT target, source_url AS url, validator, sha256, bytes::int, unverified FROM sluice.loads ORDER BY target`,
  );
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

Deno.test("the ledger has the address, version, length and hash of what a DAG has downloaded", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await using server = rangedServer(PACKED, { pause: 0 });
  sluice.file("dags/d.ts", dagOf(server.url));
  const run = ["run", "d", "--dags", `${sluice.folder}/dags`, "--date", "2021-01-01", "--json"];
  const outcome = await sluice.run([...run, "--database", db.url]);
  assert.equal(outcome.code, 0, outcome.stderr);
  const known = {
    url: `${server.url}/`,
    validator: '"v1"',
    sha256: hashOf(PACKED),
    bytes: PACKED.length,
    unverified: false,
  };
  const tables = ["committed", "edge", "piped"];
  assert.deepEqual(
    await entries(db),
    tables.map((table) => ({ target: `"public"."${table}"`, ...known })),
  );
  // Another file at the same address, for the same logical date: it is told from the first.
  const other = new Uint8Array(gzipSync(CSV.subarray(0, CSV.length / 2 | 0)));
  server.body = other;
  server.etag = '"v2"';
  assert.equal((await sluice.run([...run, "--database", db.url])).code, 0);
  const now = { ...known, validator: '"v2"', sha256: hashOf(other), bytes: other.length };
  assert.deepEqual(
    await entries(db),
    tables.map((table) => ({ target: `"public"."${table}"`, ...now })),
  );
});

Deno.test("a download that does not say where it ends is marked, and what was loaded from it", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await using server = new Server(({ send }) => send("200 OK", { etag: '"v1"' }, CSV));
  sluice.file("dags/d.ts", dagOf(server.url));
  const run = ["run", "d", "--dags", `${sluice.folder}/dags`, "--date", "2021-01-01", "--json"];
  const { runs: [{ tasks }] } = document(await sluice.run([...run, "--database", db.url]));
  for (const { id, output } of tasks) {
    assert.equal(output.unverified, true, id);
  }
  const loaded = await sluice.run(["load", server.url, "--into", "t", "--database", db.url]);
  assert.match(loaded.stdout, /^ {2}unverified: nothing told where the source ends/m);
  const load = ["load", server.url, "--into", "t", "--database", db.url, "--json"];
  assert.equal(document(await sluice.run(load)).unverified, true);
  const marked = await db.query("SELECT target FROM sluice.loads WHERE unverified");
  assert.equal(marked.length, 5);
});

Deno.test("the ledger has all bytes of a source, however often its load was killed", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await using server = rangedServer(CSV, { pause: 5, arrived: () => arrived(sluice) });
  const load = ["load", server.url, "--into", "t", "--resume", "--database", db.url];
  for (const share of [0.3, 0.8]) {
    const killed = sluice.start(load);
    await Promise.race([server.reaches(share * CSV.length), killed.ended]);
    killed.kill("SIGKILL");
    await killed.ended;
  }
  assert.equal((await sluice.run(load)).code, 0);
  assert.ok(server.starts.length > 1 && server.starts.at(-1)! > 0, "the download went on");
  assert.deepEqual(await entries(db), [{
    target: '"public"."t"',
    url: `${server.url}/`,
    validator: '"v1"',
    sha256: hashOf(CSV),
    bytes: CSV.length,
    unverified: false,
  }]);
});
