import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type Bytes, dag, type Engine, engine, operator, pipe } from "../../engine/mod.ts";
import { copy, csv, http, parquet } from "../../operators/mod.ts";
import { note } from "../operators/_made_csv.ts";
import { Server, type Visit } from "../operators/_server.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { folder } from "./_folder.ts";
import { soon } from "./_origin.ts";

await sharedPostgres();

/** A CSV file, and what a table of it looks like. */
class Made {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly sha256: string;
  readonly content: string;

  constructor(readonly rows: number, readonly salt = 0) {
    const notes = Array.from({ length: rows }, (_, n) => note(n + salt));
    this.bytes = new TextEncoder().encode(`n,note\n${notes.map((t, n) => `${n},${t}\n`).join("")}`);
    this.sha256 = createHash("sha256").update(this.bytes).digest("hex");
    this.content = createHash("md5").update(notes.join()).digest("hex");
  }
}

async function contentOf(database: TestDatabase): Promise<[number, string]> {
  const sql = "SELECT count(*)::int AS rows, md5(string_agg(note, ',' ORDER BY n)) AS md5 FROM t";
  const [row] = await database.query<{ rows: number; md5: string }>(sql);
  return [row!.rows, row!.md5];
}

function connections(database: TestDatabase) {
  return { database: () => Promise.resolve({ url: database.url }) };
}

/** Answers with a file from where it is asked for, up to `end` of it; tells where it began. */
async function send(visit: Visit, file: Made, etag: string, end = Infinity): Promise<number> {
  const { headers } = visit;
  const { bytes } = file;
  const start = headers["if-range"] === etag
    ? Number(/^bytes=(\d+)-$/.exec(headers["range"]!)![1])
    : 0;
  const status = start > 0 ? "206 Partial Content" : "200 OK";
  await visit.send(status, {
    etag,
    "content-length": bytes.length - start,
    ...start > 0 && { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` },
  }, bytes.subarray(start, end));
  return start;
}

/** Waits until tasks of a run that is under way have moved some bytes or rows. */
async function moving(etl: Engine, run: string, what: "bytes" | "rows", ...tasks: string[]) {
  for (;;) {
    const readings = etl.readings(run);
    if (tasks.every((task) => readings[task]?.some((reading) => reading[what] > 0))) return;
    await pause();
  }
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));

Deno.test("a file is loaded while it is downloaded, and a load that fails and retries downloads nothing", async () => {
  const file = new Made(60_000);
  const half = file.bytes.length >> 1;
  const loading = Promise.withResolvers<void>();
  await using server = new Server(async (visit) => {
    await send(visit, file, '"1"', half);
    // The rest comes only when rows of it are in Postgres.
    await loading.promise;
    await visit.more(file.bytes.subarray(half));
  });
  let failures = 1;
  const fail = operator("fail", (_: { x?: 1 }, __, bytes: Bytes): Bytes =>
    bytes.pipeThrough(
      new TransformStream({
        flush() {
          if (failures-- > 0) throw new Error("lost");
        },
      }),
    ));
  const d = dag("overlap");
  const download = d.task("download", http({ url: server.url }));
  d.task("load", pipe(download, fail(), csv(), copy({ table: "t" })), {
    retries: 1,
    retryDelay: { milliseconds: 1 },
  });
  await using database = await freshDatabase();
  await using etl = await engine({ dags: [d], connections: connections(database) });
  const { id, done } = await etl.trigger(d);
  await soon(moving(etl, id, "rows", "load"));
  loading.resolve();
  const { state, tasks } = await done;
  assert.equal(state, "success");
  assert.deepEqual([tasks.download!.attempt, tasks.load!.attempt, tasks.load!.retries], [1, 2, 1]);
  assert.deepEqual(await contentOf(database), [file.rows, file.content]);
  assert.equal(server.visits.length, 1);
});

Deno.test({
  name: "a load that is cleared downloads nothing",
  async fn() {
    const file = new Made(1000);
    await using server = new Server((visit) => send(visit, file, '"1"'));
    const d = dag("cleared");
    const download = d.task("download", http({ url: server.url }));
    d.task("load", pipe(download, csv(), copy({ table: "t" })));
    await using database = await freshDatabase();
    await using etl = await engine({ dags: [d], connections: connections(database) });
    const { id, done } = await etl.trigger(d);
    await done;
    await database.query("DELETE FROM t");
    await etl.clear(id, { tasks: ["load"] });
    await soon((async () => {
      while ((await etl.get(id))!.tasks.load!.attempt < 2) await pause();
      while ((await etl.get(id))!.state !== "success") await pause();
    })());
    const { tasks } = (await etl.get(id))!;
    assert.deepEqual([tasks.download!.attempt, tasks.load!.attempt], [1, 2]);
    assert.deepEqual(await contentOf(database), [file.rows, file.content]);
    assert.equal(server.visits.length, 1);
  },
});

Deno.test("a connection that is cut 20 times: the same bytes, each sent once, in the table and in the file; nobody began anew", async () => {
  const file = new Made(100_000);
  const seed = 20210102;
  let random = seed;
  const cuts = Array.from({ length: 20 }, () => {
    random = (random * 1103515245 + 12345) & 0x7fffffff;
    return 1 + random % (file.bytes.length - 1);
  }).sort((a, b) => a - b);
  const starts: number[] = [];
  await using server = new Server(async (visit) => {
    starts.push(await send(visit, file, '"1"', cuts[visit.index]));
  });
  const d = dag("cuts");
  await using home = await folder();
  const download = d.task("download", http({ url: server.url }));
  d.task("load", pipe(download, csv(), copy({ table: "t" })));
  d.task("lake", pipe(download, csv(), parquet({ path: `${home.path}/t.parquet` })));
  await using database = await freshDatabase();
  await using etl = await engine({
    dags: [d],
    home: `${home.path}/home`,
    connections: connections(database),
  });
  const { state, tasks } = await (await etl.trigger(d)).done;
  assert.equal(state, "success", `seed ${seed}`);
  for (const task of Object.values(tasks)) assert.deepEqual([task.attempt, task.retries], [1, 0]);
  const { sha256, bytes, downloaded } = tasks.download!.output as Record<string, unknown>;
  assert.deepEqual([sha256, bytes, downloaded], [
    file.sha256,
    file.bytes.length,
    file.bytes.length,
  ]);
  assert.deepEqual(await contentOf(database), [file.rows, file.content]);
  assert.equal((tasks.lake!.output as { rows: number }).rows, file.rows);
  assert.equal(starts.length, 21);
  starts.slice(1).forEach((start, i) => {
    const twice = cuts[i]! - start;
    assert.ok(
      twice >= 0 && twice <= 2 ** 18,
      `seed ${seed}: cut at ${cuts[i]}, again from ${start}`,
    );
  });
});

Deno.test("a file that is another one after the cut: each reader begins anew once, no retry is used, and the new one is in the table", async () => {
  const [old, other] = [new Made(60_000), new Made(50_000, 7)];
  const reading = Promise.withResolvers<void>();
  await using server = new Server(async (visit) => {
    if (visit.index > 0) await send(visit, other, '"2"');
    else {
      await send(visit, old, '"1"', old.bytes.length >> 1);
      await reading.promise;
    }
  });
  const d = dag("changed");
  await using home = await folder();
  const options = { retries: 2, retryDelay: { milliseconds: 1 } };
  const download = d.task("download", http({ url: server.url }), options);
  d.task("load", pipe(download, csv(), copy({ table: "t" })), options);
  const path = `${home.path}/t.parquet`;
  d.task("lake", pipe(download, csv(), parquet({ path })), options);
  await using database = await freshDatabase();
  await using etl = await engine({
    dags: [d],
    home: `${home.path}/home`,
    connections: connections(database),
  });
  const { id, done } = await etl.trigger(d);
  await soon(moving(etl, id, "bytes", "load", "lake"));
  reading.resolve();
  const { state, tasks } = await done;
  assert.equal(state, "success");
  const counts = Object.values(tasks).map(({ attempt, retries }) => [attempt, retries]);
  assert.deepEqual(counts, [[1, 0], [2, 0], [2, 0]]);
  assert.equal((tasks.download!.output as { sha256: string }).sha256, other.sha256);
  assert.deepEqual(await contentOf(database), [other.rows, other.content]);
  assert.equal((tasks.lake!.output as { rows: number }).rows, other.rows);
  const conditions = server.visits.map(({ headers }) => headers["if-range"]);
  assert.deepEqual([conditions[0], conditions[1]], [undefined, '"1"']);
  assert.ok(server.visits.length <= 3, "once to go on, and once from the start");
});

Deno.test("two readers share one download, in flat memory", async () => {
  // 128 MB, the same thousand rows again and again.
  const count = 800_000;
  const rows = Array.from({ length: 1000 }, (_, n) => `${n},${note(n).repeat(4).slice(0, 195)}\n`);
  const chunk = new TextEncoder().encode(rows.join(""));
  let requests = 0;
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
    requests++;
    let left = count / 1000;
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode("n,note\n")),
      pull(controller) {
        if (left-- === 0) return controller.close();
        controller.enqueue(chunk);
      },
    }, { highWaterMark: 0 });
    return new Response(body, { headers: { etag: '"1"' } });
  });
  await using database = await freshDatabase();
  await using home = await folder();
  const program = new URL("./_share_download.ts", import.meta.url).pathname;
  const url = `http://127.0.0.1:${server.addr.port}/many.csv`;
  // A program of its own: under `deno test` all takes more memory.
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--v8-flags=--max-semi-space-size=1",
      program,
      url,
      database.url,
      home.path,
      String(count),
    ],
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.notEqual(text, "", new TextDecoder().decode(stderr));
  const { state, tasks, quarter, whole } = JSON.parse(text);
  assert.equal(state, "success", text);
  assert.equal(requests, 1);
  assert.deepEqual([tasks.load.output.rows, tasks.lake.output.rows], [count, count]);
  assert.deepEqual([tasks.load.attempt, tasks.lake.attempt], [1, 1]);
  const [first, grown] = [quarter / 1e6, (whole - quarter) / 1e6];
  // Far less than the three quarters of the file that come then.
  assert.ok(first > 0 && grown < 60, `grew by ${grown} MB, from ${first} MB`);
  assert.ok(whole < 300e6, `took ${whole / 1e6} MB`);
});
