import assert from "node:assert/strict";
import { tableFromIPC } from "apache-arrow";
import { ParquetFile, readParquet } from "parquet-wasm";
import { pipe, tee } from "../../engine/mod.ts";
import { type Batches, copy, csv, parquet, type ParquetOptions } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { made, note } from "./_made_csv.ts";
import { batchesOf, chunked, rowsOf } from "./_read_csv.ts";

await sharedPostgres();

/** A folder that goes. */
async function folder(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

function names(path: string): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).sort();
}

/** Names and types of the columns of a file, and its rows. */
async function readBack(path: string): Promise<{ columns: string[]; rows: unknown[][] }> {
  const table = tableFromIPC(readParquet(await Deno.readFile(path)).intoIPCStream());
  return {
    columns: table.schema.fields.map(({ name, type }) => `${name} ${type}`),
    rows: table.batches.flatMap(rowsOf),
  };
}

const KINDS = `b,i,l,d,n,day,at,tz,id,t
true,-1,5000000000,1.5,1.50,2021-01-31,2021-01-31 12:30:00.5,2021-01-31 12:30:00+02,00000000-0000-0000-0000-0000000000ff,"é, ""x"""
,,,,,,,,,
false,2147483647,-9007199254740993,-0.25,12345678901234567890.5,0044-01-01,1969-12-31 23:59:59.999999,1970-01-01 00:00:00Z,ffffffff-ffff-ffff-ffff-ffffffffffff,""
`;

for (const compression of [undefined, "zstd", "snappy", "gzip", "none"] as const) {
  Deno.test(`parquet keeps every type and value, compression ${compression ?? "by default"}`, async () => {
    await using home = await folder();
    const path = `${home.path}/kinds.parquet`;
    const types = { types: { n: "numeric" } };
    const options: ParquetOptions = { path, ...compression ? { compression } : {} };
    const batches = await batchesOf(KINDS, types);
    const output = await perform(parquet(options), testContext(), batches);
    assert.deepEqual(output, { path, bytes: (await Deno.stat(path)).size, rows: 3 });
    const { columns, rows } = await readBack(path);
    assert.deepEqual(columns, [
      "b Bool",
      "i Int32",
      "l Int64",
      "d Float64",
      "n Utf8",
      "day Date32<DAY>",
      "at Timestamp<MICROSECOND>",
      "tz Timestamp<MICROSECOND, UTC>",
      "id FixedSizeBinary[16]",
      "t Utf8",
    ]);
    const before: unknown[][] = [];
    for await (const batch of await batchesOf(KINDS, types)) before.push(...rowsOf(batch));
    assert.equal(before.length, 3);
    assert.deepEqual(rows, before);
    assert.deepEqual(names(home.path), ["kinds.parquet"]);
  });
}

Deno.test("a file without rows has its columns, and one without a header is refused", async () => {
  await using home = await folder();
  const path = `${home.path}/none.parquet`;
  await perform(parquet({ path }), testContext(), await batchesOf("a,b\n"));
  assert.deepEqual(await readBack(path), { columns: ["a Utf8", "b Utf8"], rows: [] });
  const nothing: Batches = new ReadableStream({ start: (controller) => controller.close() });
  await assert.rejects(perform(parquet({ path: `${path}.2` }), testContext(), nothing), {
    name: "GiveUp",
    message: "Cannot write a Parquet file: nothing tells the columns",
  });
  assert.deepEqual(names(home.path), ["none.parquet"]);
});

Deno.test("two million rows stream through in flat memory, a row group at a time", async () => {
  await using home = await folder();
  const path = `${home.path}/many.parquet`;
  const count = 2_000_000;
  // A program of its own: under `deno test` all takes more memory.
  const program = new URL("./_write_parquet.ts", import.meta.url).pathname;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--v8-flags=--max-semi-space-size=1", program, path, String(count)],
  }).output();
  const { rows, quarter, whole } = JSON.parse(new TextDecoder().decode(stdout));
  assert.equal(rows, count);
  const [first, grown] = [quarter / 1e6, (whole - quarter) / 1e6];
  // What a quarter of the rows needs, all need.
  assert.ok(first > 0 && grown < 100, `grew by ${grown} MB, from ${first} MB`);
  assert.ok(whole < 350e6, `took ${whole / 1e6} MB`);
  const file = await ParquetFile.fromFile(new Blob([await Deno.readFile(path)]));
  const metadata = file.metadata();
  assert.equal(metadata.fileMetadata().numRows(), count);
  assert.equal(metadata.numRowGroups(), Math.ceil(count / 131_072));
  // A row group from the middle, to the last value.
  const [group] = tableFromIPC(
    (await file.read({ rowGroups: [7], batchSize: 131_072 })).intoIPCStream(),
  ).batches;
  const last = 8 * 131_072 - 1;
  assert.equal(group?.numRows, 131_072);
  const numbers: Int32Array = group!.getChild("n")!.data[0]!.values;
  assert.ok(numbers.every((n, i) => n === last - 131_071 + i));
  assert.deepEqual(rowsOf(group!.slice(-1)), [
    [last, `name ${last % 1000}`, last / 2, note(last)],
  ]);
});

Deno.test("a source that gives no more is not waited for after an abort", async () => {
  await using home = await folder();
  const first = await batchesOf("a\n1\n");
  for (const batches of [new ReadableStream(), holding(first)]) {
    const ctx = testContext({ signal: AbortSignal.timeout(100) });
    await assert.rejects(perform(parquet({ path: `${home.path}/t` }), ctx, batches), {
      name: "TimeoutError",
    });
  }
  assert.deepEqual(names(home.path), []);
});

/** The first of the batches, and then nothing. */
function holding(batches: Batches): Batches {
  const reader = batches.getReader();
  let asked = false;
  return new ReadableStream({
    async pull(controller) {
      if (asked) return await new Promise(() => {});
      asked = true;
      controller.enqueue((await reader.read()).value!);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

for (const at of ["at once", "in the first row group", "after some row groups"]) {
  Deno.test(`a source that fails ${at} leaves no file, and the old one as it was`, async () => {
    await using home = await folder();
    const path = `${home.path}/t.parquet`;
    await Deno.writeTextFile(path, "old");
    const limit = { "at once": 0, "in the first row group": 1, "after some row groups": 60 }[at]!;
    const source = (await perform(csv(), testContext(), made(2_000_000))).getReader();
    let count = 0;
    const failing: Batches = new ReadableStream({
      async pull(controller) {
        if (count++ === limit) throw new Error("the source died");
        controller.enqueue((await source.read()).value!);
      },
    }, { highWaterMark: 0 });
    await assert.rejects(perform(parquet({ path }), testContext(), failing), {
      name: "Error",
      message: "the source died",
    });
    await source.cancel();
    assert.equal(await Deno.readTextFile(path), "old");
    assert.deepEqual(names(home.path), ["t.parquet"]);
  });
}

Deno.test("an abort stops the source and leaves nothing", async () => {
  await using home = await folder();
  const stop = new AbortController();
  const ctx = testContext({ signal: stop.signal });
  let cancelled: unknown;
  const source = (await perform(csv(), ctx, made(5_000_000))).getReader();
  const batches: Batches = new ReadableStream({
    pull: async (controller) => controller.enqueue((await source.read()).value!),
    cancel: (reason) => {
      cancelled = reason;
      return source.cancel(reason);
    },
  }, { highWaterMark: 0 });
  const running = perform(parquet({ path: `${home.path}/t.parquet` }), ctx, batches);
  setTimeout(() => stop.abort(new Error("enough")), 400);
  await assert.rejects(running, { message: "enough" });
  assert.deepEqual(cancelled, new Error("enough"));
  assert.deepEqual(names(home.path), []);
});

Deno.test("a folder that is not there is told, and the source is stopped", async () => {
  let cancelled = false;
  const source = (await perform(csv(), testContext(), made(1e9))).getReader();
  const batches: Batches = new ReadableStream({
    pull: async (controller) => controller.enqueue((await source.read()).value!),
    cancel: (reason) => {
      cancelled = true;
      return source.cancel(reason);
    },
  }, { highWaterMark: 0 });
  await assert.rejects(perform(parquet({ path: "/nope/t.parquet" }), testContext(), batches), {
    message: /^Cannot save "\/nope\/t.parquet": there is no such file or folder/,
  });
  assert.ok(cancelled);
});

Deno.test("batches of other columns are refused, not left out", async () => {
  await using home = await folder();
  const batches: Batches = new ReadableStream({
    async start(controller) {
      for (const text of ["a\n1\n", "b,c\nx,y\n"]) {
        for await (const batch of await batchesOf(text)) controller.enqueue(batch);
      }
      controller.close();
    },
  });
  await assert.rejects(
    perform(parquet({ path: `${home.path}/t.parquet` }), testContext(), batches),
    { name: "GiveUp", message: /: after 1 rows come other columns \(Schema<\{ 0: b: Utf8, 1: c/ },
  );
  assert.deepEqual(names(home.path), []);
});

Deno.test("one CSV goes into a table and a file at once", async () => {
  await using home = await folder();
  await using database = await freshDatabase();
  const path = `${home.path}/t.parquet`;
  const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
  const work = pipe(csv(), tee({ table: copy({ table: "t" }), file: parquet({ path }) }));
  const output = await perform(work, ctx, made(300_000));
  assert.equal(output.table.rows, 300_000);
  assert.equal(output.file.rows, 300_000);
  const { rows } = await readBack(path);
  assert.equal(rows.length, 300_000);
  const sum = rows.reduce((sum, [n]) => sum + (n as number), 0);
  const [row] = await database.query("SELECT count(*)::int, sum(n)::float8, max(name) FROM t");
  assert.deepEqual(row, { count: 300_000, sum, max: "name 999" });
  // A source of wrong rows harms neither.
  const broken = chunked("n,name,half,note\n1,x,2,\n1,x\n");
  await assert.rejects(perform(work, ctx, broken), { name: "GiveUp" });
  assert.equal((await readBack(path)).rows.length, 300_000);
  assert.deepEqual(await database.query("SELECT count(*)::int FROM t"), [{ count: 300_000 }]);
  assert.deepEqual(names(home.path), ["t.parquet"]);
});
