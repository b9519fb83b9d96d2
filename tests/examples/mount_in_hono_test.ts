import assert from "node:assert/strict";
import { engine, memory } from "sluice";
import { host, report } from "../../examples/mount_in_hono.ts";

Deno.test("a host's app lets in whom it knows, to do what they may, and keeps its own paths", async () => {
  const store = memory();
  await using etl = await engine({ dags: [report], store });
  const app = host(etl, store);
  const ask = async (path: string, cookie?: string, init: RequestInit = {}) => {
    const headers = { ...cookie === undefined ? {} : { cookie }, ...init.headers };
    const answer = await app.request(path, { ...init, headers });
    return { status: answer.status, text: await answer.text() };
  };
  const trigger = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
  const runs = "/etl/api/dags/report/runs";

  assert.equal((await ask("/", "session=ada")).text, "Good day, Ada");
  assert.equal((await ask("/etl/api/dags")).status, 401);
  assert.equal((await ask("/etl/api/dags", "session=constructor")).status, 401);
  assert.equal((await ask("/etl/healthz")).status, 200);
  assert.equal((await ask("/api/dags", "session=ada")).status, 404);

  assert.equal((await ask("/etl/api/dags", "a=b; session=bob")).status, 200);
  assert.equal((await ask(runs, "session=bob", trigger)).status, 403);
  const foreign = { ...trigger, headers: { ...trigger.headers, origin: "https://evil.example" } };
  assert.equal((await ask(runs, "session=ada", foreign)).status, 403);
  assert.deepEqual(await etl.runs(), []);

  const { status, text } = await ask(runs, "session=ada", trigger);
  assert.equal(status, 201);
  const run = await etl.done(JSON.parse(text).run_id);
  assert.equal(run.tasks["draw"]!.output, "a chart of 2021-01");
});
