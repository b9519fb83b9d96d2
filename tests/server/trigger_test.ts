import assert from "node:assert/strict";
import { join } from "node:path";
import { dag, type Engine, engine, file, memory, type Store } from "../../engine/mod.ts";
import { openReceipts, type ServerOptions } from "../../server/mod.ts";
import { server } from "./_checked.ts";

const count = dag("count", { params: { n: 0 }, maxActiveRuns: 2 });
count.task("one", (run) => run.params.n);
const open = Promise.withResolvers<void>();
const stuck = dag("stuck", { maxActiveRuns: 1 });
stuck.task("hold", ({ signal }) =>
  Promise.race([
    open.promise,
    new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
  ]));

const json = { "content-type": "application/json" };

function trigger(
  app: ReturnType<typeof server>,
  { dag = "count", key, body = {}, query = "" }: {
    dag?: string;
    key?: string;
    body?: unknown;
    query?: string;
  } = {},
): Promise<Response> {
  return Promise.resolve(app.request(`/api/dags/${dag}/runs${query}`, {
    method: "POST",
    headers: { ...json, ...key === undefined ? {} : { "idempotency-key": key } },
    body: JSON.stringify(body),
  }));
}

async function withHome(
  what: (home: string) => Promise<void>,
): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "sluice-trigger-" });
  try {
    await what(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("a thousand triggers with one key, all at once, are one run", async () => {
  await using etl = await engine({ dags: [count] });
  const app = server(etl);
  const answers = await Promise.all(
    Array.from({ length: 1000 }, () => trigger(app, { key: "k1", body: { params: { n: 1 } } })),
  );
  const ids = await Promise.all(answers.map(async (answer) => {
    assert.equal(answer.status, 201);
    return (await answer.json()).run_id;
  }));
  assert.equal(new Set(ids).size, 1);
  const replayed = answers.filter(({ headers }) => headers.get("idempotency-replayed") === "true");
  assert.equal(replayed.length, 999);
  assert.equal((await etl.runs()).length, 1);
});

Deno.test("a thousand triggers with keys of their own fill the queue and no more, and DAGs keep their limits", async () => {
  const store = memory();
  await using etl = await engine({ dags: [stuck], store });
  const app = server(etl, { store, maxQueuedRuns: 100 });
  const answers = await Promise.all(
    Array.from({ length: 1000 }, (_, i) => trigger(app, { dag: "stuck", key: `k${i}` })),
  );
  const made = answers.filter(({ status }) => status === 201);
  const refused = answers.filter(({ status }) => status === 429);
  assert.equal(made.length + refused.length, 1000);
  // What was let in while the others asked left its place to one of them.
  assert.ok(made.length >= 100 && made.length <= 101, String(made.length));
  for (const answer of refused) assert.match(answer.headers.get("retry-after")!, /^[1-9]\d*$/);
  const runs = await etl.runs();
  assert.equal(runs.length, made.length);
  assert.ok(runs.filter(({ state }) => state === "running").length <= 1);
  assert.ok(runs.filter(({ state }) => state === "queued").length <= 100);

  // Who asks again with the key of a run that was made gets that; who was refused may ask again once there is room.
  const first = answers.findIndex(({ status }) => status === 201);
  const again = await trigger(app, { dag: "stuck", key: `k${first}` });
  assert.equal((await again.json()).run_id, (await answers[first]!.json()).run_id);
  const late = answers.findIndex(({ status }) => status === 429);
  // One may have been let in only now, and have left its place.
  for (let i = 0; (await trigger(app, { dag: "stuck", key: `more${i}` })).status === 201; i++) {
    assert.ok(i < 2);
  }
  assert.equal((await trigger(app, { dag: "stuck", key: `k${late}` })).status, 429);
  await etl.cancel(runs.find(({ state }) => state === "queued")!.id);
  await new Promise((resolve) => setTimeout(resolve, 250));
  assert.equal((await trigger(app, { dag: "stuck", key: `k${late}` })).status, 201);
});

Deno.test("a key is for one request of one DAG, and what was refused can be asked for again", async () => {
  await using etl = await engine({ dags: [count, stuck] });
  const app = server(etl);
  const ask = async (body: unknown, key = "k", dag = "count") => {
    const answer = await trigger(app, { body, key, dag });
    await answer.body?.cancel();
    return answer.status;
  };
  assert.equal(await ask({ params: { n: "x" } }), 400);
  assert.equal(await ask({ params: { n: 1 } }), 201);
  assert.equal(await ask({ params: { n: 1 } }), 201);
  assert.equal(await ask({ params: { n: 2 } }), 422);
  assert.equal(await ask({ params: { n: 1 }, logical_date: "2021-01-01" }), 422);
  assert.equal(await ask({}, "k", "stuck"), 201);
  for (const key of ["a b", "a".repeat(256), ""]) assert.equal(await ask({}, key), 400, key);
  assert.equal((await etl.runs({ dag: "count" })).length, 1);
});

Deno.test("a key holds after a restart", () =>
  withHome(async (home) => {
    const ids: string[] = [];
    for (let i = 0; i < 2; i++) {
      await using store = await file(home);
      await using etl = await engine({ dags: [count], store, home });
      using receipts = openReceipts(home);
      const { run_id } = await (await trigger(server(etl, { store, receipts }), { key: "k" }))
        .json();
      await etl.done(run_id);
      ids.push(run_id);
    }
    assert.equal(ids[0], ids[1]);
    assert.equal((await Deno.stat(join(home, "server.db"))).mode! & 0o777, 0o600);
  }));

const deaths: [when: string, isMade: boolean][] = [
  ["before the run is made", false],
  ["after it, with nobody to write that down", true],
];

for (const [when, isMade] of deaths) {
  Deno.test(`a process that dies ${when} makes one run for a key all the same`, () =>
    withHome(async (home) => {
      await using store = await file(home);
      await using etl = await engine({ dags: [count], store, home });
      const body = { params: { n: 7 } };
      // Another run of the same moment, that this key has nothing to do with.
      await (await etl.trigger("count", { params: { n: 8 } })).done;
      const first = openReceipts(home);
      const dead = Promise.withResolvers<void>();
      const dying: Engine = {
        ...etl,
        async trigger(...args: Parameters<Engine["trigger"]>) {
          if (isMade) await etl.trigger(...args);
          dead.resolve();
          return await new Promise<never>(() => {});
        },
      };
      trigger(server(dying, { store, receipts: first }), { key: "k", body }).catch(() => {});
      await dead.promise;
      first[Symbol.dispose]();
      using second = openReceipts(home);
      const app = server(etl, { store, receipts: second });
      const ids = await Promise.all([1, 2, 3].map(async () => {
        return (await (await trigger(app, { key: "k", body })).json()).run_id;
      }));
      assert.equal(new Set(ids).size, 1);
      const runs = await etl.runs();
      assert.equal(runs.filter(({ params }) => params["n"] === 7).length, 1);
    }));
}

Deno.test("who waits for a run and goes away leaves it as it is", async () => {
  await using etl = await engine({ dags: [stuck] });
  const answer = await trigger(server(etl), { dag: "stuck", query: "?wait=1" });
  assert.equal(answer.headers.get("content-type"), "application/x-ndjson");
  const reader = answer.body!.getReader();
  const { value } = await reader.read();
  const { run_id } = JSON.parse(new TextDecoder().decode(value));
  await reader.cancel();
  assert.match((await etl.get(run_id))!.state, /queued|running/);
});

Deno.test("a disk that is full refuses triggers with 507, and tells the host", async () => {
  const store = memory();
  const full = new Error("Cannot go on", { cause: new Error("database or disk is full") });
  const failing: Store = { ...store, append: () => Promise.reject(full) };
  await using etl = await engine({ dags: [count], store: failing });
  const told: unknown[] = [];
  const options: ServerOptions = { store, onError: (error) => told.push(error) };
  const answer = await trigger(server(etl, options));
  assert.equal(answer.status, 507);
  assert.match((await answer.json()).error.message, /no room/);
  assert.equal(told.length, 1);
});
