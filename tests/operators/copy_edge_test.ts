import assert from "node:assert/strict";
import type { RecordBatch } from "apache-arrow";
import { dag, type Engine, engine, operator, pipe } from "../../engine/mod.ts";
import { copy, csv, http } from "../../operators/mod.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { nothingLeft } from "./_load.ts";

await sharedPostgres();

/** Some 13 MB as they are copied, so that there is a checkpoint. */
const ROWS = 32_000;
const BYTES = new TextEncoder().encode(
  `n,s\n${Array.from({ length: ROWS }, (_, i) => `${i},${"x".repeat(400)}`).join("\n")}\n`,
);

/** Serves them, and says before how many they are, or not. */
function serve(says: boolean): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () =>
      new Response(says ? BYTES : ReadableStream.from([BYTES.slice(0, 1e6), BYTES.slice(1e6)]), {
        headers: { etag: '"1"' },
      }),
  );
}

/** Where a load breaks off: rows that it lets through. */
let most = Infinity;
const breaks = operator("breaks", (_: Record<never, never>, __, batches: ReadableStream) => {
  let left = most;
  return batches.pipeThrough(
    new TransformStream<RecordBatch, RecordBatch>({
      transform(batch, controller) {
        if ((left -= batch.numRows) < 0) throw new Error("the line was cut");
        controller.enqueue(batch);
      },
    }),
  );
});

/** Downloads it as one task and loads it as another, to which a source of more than `large` bytes is long. */
async function open(
  { url }: TestDatabase,
  port: number,
  large: number,
): Promise<{ etl: Engine; run: string } & AsyncDisposable> {
  const each = dag("each");
  const file = each.task("download", http({ url: `http://127.0.0.1:${port}/x.csv` }));
  each.task("load", pipe(file, csv(), breaks(), copy({ table: "t", large })));
  const home = await Deno.makeTempDir();
  const connections = { database: () => Promise.resolve({ url }) };
  const etl = await engine({ dags: [each], home, connections });
  const { id } = await etl.trigger(each);
  await etl.done(id);
  return {
    etl,
    run: id,
    async [Symbol.asyncDispose]() {
      await etl[Symbol.asyncDispose]();
      await Deno.remove(home, { recursive: true });
    },
  };
}

async function staged(database: TestDatabase): Promise<number> {
  return (await database.query("SELECT FROM sluice.staging WHERE plan IS NOT NULL")).length;
}

for (const says of [true, false]) {
  const when = says ? "as soon as the server has said how long it is" : "once it is whole";
  Deno.test(`rows of a long download are committed as they come, ${when}`, async () => {
    await using database = await freshDatabase();
    await using server = serve(says);
    most = ROWS * 0.8;
    await using trial = await open(database, server.addr.port, BYTES.length - 1);
    const { etl, run } = trial;
    const again = async () => {
      await etl.clear(run, { tasks: ["load"] });
      return (await etl.done(run)).tasks;
    };
    assert.equal(await staged(database), says ? 1 : 0);
    if (!says) await again();
    assert.equal(await staged(database), 1);
    most = Infinity;
    const { load } = await again();
    const { rows, resumed } = load!.output as unknown as {
      rows: number;
      resumed: { record: number };
    };
    assert.equal(rows, ROWS);
    assert.ok(resumed.record > 8000, "it goes on where it had come to");
    await nothingLeft(database);
  });
}

Deno.test("rows of a download that is not long are not", async () => {
  await using database = await freshDatabase();
  await using server = serve(true);
  most = ROWS * 0.8;
  await using trial = await open(database, server.addr.port, BYTES.length);
  assert.equal((await trial.etl.get(trial.run))?.state, "failed");
  assert.equal(await staged(database), 0);
  await nothingLeft(database);
});
