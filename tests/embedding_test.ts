import assert from "node:assert/strict";
import { freshDatabase, sharedPostgres } from "./_postgres.ts";
import { document, serve, Sluice } from "./cli/_sluice.ts";

await sharedPostgres();

const source = new URL("../mod.ts", import.meta.url);

/** The example that mod.ts opens with, aimed at servers of the test. */
async function example(file: string, database: string): Promise<string> {
  const text = await Deno.readTextFile(source);
  const [, code] = /```ts\n([^]*?)```/.exec(text.replaceAll(/^ \* ?/gm, ""))!;
  return code!.replace("https://example.com/trips.csv.gz", file)
    .replace("postgres://localhost/trips", database);
}

Deno.test("the example in mod.ts runs as it stands, by name and by path", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await using server = serve(() => new Response("id,fare\n1,2.5\n2,4\n"));
  const code = await example(`${server.url}/trips.csv.gz`, db.url);
  assert.ok(code.includes(server.url) && code.includes(db.url), code);
  for (const program of [code, code.replace('"sluice"', JSON.stringify(source.href))]) {
    await db.query("DROP TABLE IF EXISTS trips");
    const outcome = await sluice.program(sluice.file("program.ts", program)).ended;
    assert.deepEqual([outcome.code, outcome.stdout, outcome.stderr], [0, "success\n", ""]);
    assert.deepEqual(await db.query("SELECT * FROM trips ORDER BY id"), [
      { id: 1, fare: 2.5 },
      { id: 2, fare: 4 },
    ]);
  }
});

Deno.test("a program has DAGs, runs and an API of its own", async () => {
  await using sluice = new Sluice();
  const program = sluice.file(
    "host.ts",
    `import { dag, engine, server } from "sluice";
    const d = dag("sum", { params: { a: 1, b: 2 } });
    const a = d.task("a", (run) => run.params.a);
    d.task("b", (run) => run.params.b, { after: a });
    await using etl = await engine({ dags: [d] });
    const app = server(etl);
    const answer = await app.request("/api/dags/sum/runs", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"params": {"a": 5}}',
    });
    const { run_id } = await answer.json();
    const done = await (await etl.trigger(d, { params: { b: 7 } })).done;
    console.log(JSON.stringify({ run_id, outputs: [done.tasks.a?.output, done.tasks.b?.output] }));`,
  );
  const { run_id, outputs } = document(await sluice.program(program).ended);
  assert.match(run_id, /^manual__\d{8}T\d{6}Z$/);
  assert.deepEqual(outputs, [1, 7]);
});
