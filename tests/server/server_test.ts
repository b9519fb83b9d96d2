import assert from "node:assert/strict";
import { Hono } from "hono";
import { dag, engine } from "../../engine/mod.ts";
import { server } from "./_checked.ts";

const held = Promise.withResolvers<void>();
const greet = dag("greet", {
  schedule: "@daily",
  start: "2021-01-01",
  params: { name: "you", loud: false },
});
greet.task("hello", (run) => `hello ${run.params.name}`);
const wait = dag("wait");
wait.task("hold", ({ signal }) =>
  Promise.race([
    held.promise,
    new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
  ]));

const json = { "content-type": "application/json" };
const post = (body?: unknown) => ({
  method: "POST",
  headers: json,
  ...body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) },
});

Deno.test("a run is triggered and told of, mounted in a host's app", async () => {
  await using etl = await engine({ dags: [greet, wait] });
  const app = new Hono();
  app.route("/etl", server(etl));
  const answer = await app.request(
    "/etl/api/dags/greet/runs",
    post({ params: { name: "Ada" }, logical_date: "2021-01-05" }),
  );
  assert.equal(answer.status, 201);
  const { run_id, state, ...rest } = await answer.json();
  assert.equal(run_id, "manual__20210105T000000Z");
  assert.match(state, /^(queued|running|success)$/);
  assert.deepEqual(rest, {});
  const get = async () => await (await app.request(`/etl/api/runs/${run_id}`)).json();
  let run = await get();
  while (run.state !== "success") {
    await new Promise((resolve) => setTimeout(resolve, 5));
    run = await get();
  }
  const seconds = run.tasks[0].seconds;
  assert.equal(typeof seconds, "number");
  assert.deepEqual(run, {
    run_id,
    dag: "greet",
    logical_date: "2021-01-05T00:00:00Z",
    interval: { start: "2021-01-05T00:00:00Z", end: "2021-01-06T00:00:00Z" },
    params: { name: "Ada", loud: false },
    state: "success",
    tasks: [{ id: "hello", state: "success", attempts: 1, seconds, output: "hello Ada" }],
  });
  assert.equal((await app.request("/etl/healthz")).status, 200);
  assert.equal((await app.request("/api/dags")).status, 404);
});

Deno.test("a trigger may name an interval, or nothing at all", async () => {
  await using etl = await engine({ dags: [greet, wait] });
  const app = server(etl);
  const trigger = async (dag: string, body?: unknown) => {
    const answer = await app.request(`/api/dags/${dag}/runs`, post(body));
    assert.equal(answer.status, 201, await answer.clone().text());
    const { run_id } = await answer.json();
    assert.equal(answer.headers.get("location"), `/api/runs/${run_id}`);
    return await (await app.request(`/api/runs/${run_id}`)).json();
  };
  const interval = { start: "2021-02-01", end: "2021-02-03T12:00:00Z" };
  assert.deepEqual((await trigger("greet", { interval })).interval, {
    start: "2021-02-01T00:00:00Z",
    end: "2021-02-03T12:00:00Z",
  });
  const now = await trigger("wait");
  assert.ok(Math.abs(Date.parse(now.logical_date) - Date.now()) < 60_000);
  assert.equal(now.tasks[0].output, null);
  const { runs } = await (await app.request("/api/runs")).json();
  assert.deepEqual(runs.map(({ dag }: { dag: string }) => dag), ["wait", "greet"]);
});

const runs = "/api/dags/greet/runs";
const bad: [what: string, path: string, init: RequestInit, status: number, says: RegExp][] = [
  ["an unknown DAG", "/api/dags/nope/runs", post({}), 404, /"nope"/],
  ["an unknown run", "/api/runs/nope", {}, 404, /"nope"/],
  ["another path", "/api/nope", {}, 404, /\/api\/nope/],
  ["a body that is no JSON", runs, post("{"), 400, /JSON/],
  ["a body that is no object", runs, post([1]), 400, /object/],
  ["an unknown field", runs, post({ date: "2021-01-01" }), 400, /"date".*logical_date/],
  ["params that are none", runs, post({ params: [] }), 400, /params/],
  ["an unknown param", runs, post({ params: { x: 1 } }), 400, /"x".*"name", "loud"/],
  ["a param of another type", runs, post({ params: { loud: "yes" } }), 400, /"loud".*boolean/],
  ["a date that is none", runs, post({ logical_date: "soon" }), 400, /soon/],
  ["a date that is a number", runs, post({ logical_date: 5 }), 400, /logical_date/],
  ["a date before the first", runs, post({ logical_date: "2020-01-01" }), 400, /2020-01-01/],
  ["half an interval", runs, post({ interval: { start: "2021-01-01" } }), 400, /interval\.end/],
  [
    "an interval that ends first",
    runs,
    post({ interval: { start: "2021-01-02", end: "2021-01-01" } }),
    400,
    /ends before/,
  ],
  [
    "an interval and a date",
    runs,
    post({ logical_date: "2021-01-01", interval: { start: "2021-01-01", end: "2021-01-02" } }),
    400,
    /not both/,
  ],
  [
    "a form",
    runs,
    { method: "POST", body: new URLSearchParams({ a: "b" }) },
    415,
    /application\/json/,
  ],
  [
    "no type, from a page elsewhere",
    runs,
    { method: "POST", headers: { origin: "https://evil.example" } },
    403,
    /other sites/,
  ],
  [
    "text that says it is JSON",
    runs,
    {
      method: "POST",
      headers: { "content-type": "text/plain; application/json" },
      body: "{}",
    },
    415,
    /application\/json/,
  ],
  ["more than a mebibyte", runs, post(" ".repeat((1 << 20) + 1)), 413, /1048576/],
];

Deno.test("what cannot be done is refused with a sentence, and makes no run", async (t) => {
  await using etl = await engine({ dags: [greet] });
  const app = server(etl);
  for (const [what, path, init, status, says] of bad) {
    await t.step(what, async () => {
      const answer = await app.request(path, init);
      const text = await answer.text();
      assert.equal(answer.status, status, text);
      const { error, ...rest } = JSON.parse(text);
      assert.match(error.message, says);
      assert.deepEqual(rest, {});
    });
  }
  assert.deepEqual(await etl.runs(), []);
});

Deno.test("no body at all triggers a run with the defaults", async () => {
  await using etl = await engine({ dags: [greet] });
  const answer = await server(etl).request(runs, { method: "POST" });
  assert.equal(answer.status, 201);
});

Deno.test("a body of a mebibyte is taken, and one without end is not read to it", async () => {
  await using etl = await engine({ dags: [greet] });
  const app = server(etl);
  const most = "{}".padEnd(1 << 20);
  assert.equal((await app.request(runs, post(most))).status, 201);
  let sent = 0;
  const body = new ReadableStream({
    pull(controller) {
      sent += 65_536;
      controller.enqueue(new Uint8Array(65_536));
    },
  });
  assert.equal((await app.request(runs, { method: "POST", headers: json, body })).status, 413);
  assert.ok(sent < 2 << 20, `${sent} bytes`);
});

Deno.test("a fault in here is kept from who asks, and told to the host", async () => {
  await using etl = await engine({ dags: [greet] });
  const told: unknown[] = [];
  const fault = new Error("the disk is full of secrets");
  const app = server({ ...etl, get: () => Promise.reject(fault) }, {
    onError: (error) => told.push(error),
  });
  const answer = await app.request("/api/runs/x");
  assert.equal(answer.status, 500);
  assert.doesNotMatch(await answer.text(), /secret/);
  assert.deepEqual(told, [fault]);
});
