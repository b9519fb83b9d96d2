import assert from "node:assert/strict";
import { description } from "./_description.ts";
import { sign } from "../../server/mod.ts";
import { Reader } from "./_reader.ts";
import { open, trips, World } from "./_world.ts";

Deno.test("all that the API is asked, it answers as it says", async (t) => {
  await using world = await World.open();
  const { api, engine } = world;
  await t.step("DAGs are listed, with what could not be loaded", async () => {
    const { json } = await api.get("/api/dags");
    assert.deepEqual(json.dags.map(({ id }: { id: string }) => id).sort(), [
      ...["report", "slow", "taxi"],
    ]);
    assert.deepEqual(json.faults, ["Cannot load broken.ts"]);
  });
  await t.step("a DAG is shown: graph, params, next runs, warnings, file", async () => {
    const { json } = await api.get("/api/dags/taxi");
    assert.equal(json.paused, true);
    assert.equal(json.file, "/dags/taxi.ts");
    assert.equal(json.schedule_in_words, "at 00:00 each day, UTC");
    assert.deepEqual(json.params_schema.properties.color, {
      type: "string",
      enum: ["yellow", "green"],
      default: "yellow",
    });
    assert.deepEqual(json.params.db_password, "***");
    const sum = json.tasks.find(({ id }: { id: string }) => id === "sum");
    assert.equal(sum.mapped, true);
    assert.deepEqual(sum.edges, [{ from: "months", kind: "output" }]);
    assert.deepEqual((await api.get("/api/dags/report")).json.datasets, [trips.name]);
  });
  await t.step("the file of a DAG is read, without the secrets in it", async () => {
    const { text } = await api.get("/api/dags/taxi/code");
    assert.equal(text, "const url = 'pg://me:***@db';");
    assert.equal((await api.get("/api/dags/report/code")).status, 404);
  });
  await t.step(
    "a preview tells what a trigger would make, hides secrets, starts nothing",
    async () => {
      const { json } = await api.post("/api/dags/taxi/preview", {
        logical_date: "2021-01-02",
        params: { base: "https://mirror.example.com", color: "green" },
      });
      const { tasks, ...rest } = json;
      assert.deepEqual(rest, {
        dag: "taxi",
        logical_date: "2021-01-02T00:00:00Z",
        interval: { start: "2021-01-02T00:00:00Z", end: "2021-01-03T00:00:00Z" },
        params: { base: "https://mirror.example.com", color: "green", db_password: "***" },
        paused: true,
      });
      assert.deepEqual(tasks.at(-1), {
        id: "last",
        steps: [{
          operator: "put",
          options: {
            url: { value: "https://mirror.example.com/***/trips.csv" },
            table: { value: "trips_2021_01" },
            headers: { value: { authorization: "***" } },
            sums: { reads: ["sum"] },
          },
        }],
      });
      assert.deepEqual(await engine.runs(), []);
      const wrong = await api.post("/api/dags/taxi/preview", { params: { color: "red" } });
      assert.equal(wrong.status, 400);
      assert.match(wrong.json.error.message, /color/);
      assert.equal((await api.post("/api/dags/nope/preview")).status, 404);
    },
  );
  await t.step("a grid tells all tasks of the last runs in few letters", async () => {
    const run = await world.run("report");
    const { json } = await api.get("/api/dags/report/grid?runs=3");
    const { tasks } = (await api.get(`/api/runs/${run}`)).json;
    assert.deepEqual(json.tasks, tasks.map(({ id }: { id: string }) => id));
    const column = json.runs.find(({ run_id }: { run_id: string }) => run_id === run);
    assert.equal(column.state, "success");
    assert.match(column.states, /^s+$/);
    assert.equal(column.states.length, tasks.length);
    const { dags } = (await api.get("/api/dags?runs=2")).json;
    const row = dags.find(({ id }: { id: string }) => id === "report");
    assert.equal(row.runs.at(-1).run_id, run);
    const { days } = (await api.get("/api/dags/report/calendar")).json;
    const sum = (of: string) =>
      days.reduce((n: number, day: Record<string, number>) => n + day[of]!, 0);
    assert.equal(
      sum("success") + sum("failed") + sum("running") + sum("queued"),
      (await engine.runs({ dag: "report" })).length,
    );
    assert.equal(days.at(-1).last, json.runs.at(-1).run_id);
  });
  await t.step("a manual trigger of a paused DAG waits, and says so", async () => {
    const { json, status } = await api.post("/api/dags/taxi/runs", { logical_date: "2021-01-02" });
    assert.equal(status, 201);
    assert.match(json.note, /paused/);
    assert.equal(json.state, "queued");
    const why = await api.get(`/api/runs/${json.run_id}/why?task=months`);
    assert.match(why.json.tasks[0].reasons.join(" "), /paused/);
  });
  await t.step("unpausing says how many runs start; pausing that it is done", async () => {
    const { json: dry } = await api.post("/api/dags/taxi/unpause", { dry_run: true });
    assert.equal(dry.paused, true);
    const { json } = await api.post("/api/dags/taxi/unpause", {});
    assert.deepEqual(json, { ...dry, paused: false });
    assert.equal(json.held, null);
    assert.equal(typeof json.due, "number");
    assert.equal(engine.status("taxi").paused, false);
    assert.deepEqual((await api.post("/api/dags/taxi/pause")).json, { id: "taxi", paused: true });
    assert.equal(engine.status("taxi").paused, true);
    await api.post("/api/dags/taxi/unpause", { all: true });
    await engine.done("manual__20210102T000000Z");
  });
  const failed = await world.run("taxi", { logical_date: "2021-01-03", params: { base: "fail" } });
  await t.step("a run is shown as it always was; in full it says more", async () => {
    const { json } = await api.get(`/api/runs/${failed}`);
    assert.deepEqual(Object.keys(json), [
      ...["run_id", "dag", "logical_date", "interval", "params", "state", "tasks"],
    ]);
    assert.equal(json.params.db_password, "***");
    const { json: full } = await api.get(`/api/runs/${failed}?full=1`);
    assert.equal(full.kind, "manual");
    assert.equal(full.state, "failed");
  });
  await t.step("tasks are listed with their instances, whose index is a field", async () => {
    const { json } = await api.get(`/api/runs/${failed}/tasks`);
    const sums = json.tasks.filter(({ id }: { id: string }) => id === "sum");
    assert.deepEqual(
      sums.map(({ index, instances, state, output }: Record<string, unknown>) => ({
        index,
        instances,
        state,
        output,
      })),
      [
        { index: undefined, instances: 3, state: "success", output: null },
        { index: 0, instances: undefined, state: "success", output: 2 },
        { index: 1, instances: undefined, state: "success", output: 4 },
        { index: 2, instances: undefined, state: "success", output: 6 },
      ],
    );
  });
  await t.step("a task tells the states it was in, and each of its attempts", async () => {
    const { json } = await api.get(`/api/runs/${failed}/tasks/fragile`);
    assert.equal(json.state, "failed");
    assert.deepEqual(
      json.attempt_list.map(({ attempt, error }: Record<string, unknown>) => [attempt, error]),
      [[1, "it broke in attempt 1"], [2, "it broke in attempt 2"]],
    );
    const states = json.history.map(({ state }: { state: string }) => state);
    assert.deepEqual(states.filter((state: string) => /running|retry|failed/.test(state)), [
      ...["running", "up_for_retry", "running", "failed"],
    ]);
    const { json: instance } = await api.get(`/api/runs/${failed}/tasks/sum?index=1`);
    assert.equal(instance.index, 1);
    assert.equal(instance.attempt_list.length, 1);
  });
  await t.step(
    "an attempt tells what its operators were given, as far as that was known",
    async () => {
      const path = `/api/runs/${failed}/tasks`;
      const { json } = await api.get(`${path}/last/attempts/1/options`);
      assert.deepEqual(json.steps[0].options, {
        url: { value: "fail/***/trips.csv" },
        table: { value: "trips_2021_01" },
        headers: { value: { authorization: "***" } },
        sums: { value: [2, 4, 6] },
      });
      assert.equal(json.current, true);
      const { json: instance } = await api.get(`${path}/sum/attempts/1/options?index=1`);
      assert.deepEqual(instance.steps[0].options, { item: { value: 2 } });
      assert.equal((await api.get(`${path}/nope/attempts/1/options`)).status, 400);
    },
  );
  await t.step("a log is read by offsets, and followed to its end", async () => {
    const path = `/api/runs/${failed}/tasks/months/attempts/1/log`;
    const { json: first } = await api.get(`${path}?limit=1`);
    assert.deepEqual(first.lines.map(({ message }: { message: string }) => message), ["listing"]);
    const { json: rest } = await api.get(`${path}?offset=${first.next}`);
    assert.deepEqual(rest.lines.map(({ message }: { message: string }) => message), ["few"]);
    const { json: lines } = await api.get(`${path}?follow=1`);
    assert.deepEqual(lines.map(({ level }: { level: string }) => level), ["info", "warn"]);
    const headers = { accept: "text/event-stream", "last-event-id": String(first.next) };
    const { text } = await api.get(`${path}?follow=1`, headers);
    assert.deepEqual(text.match(/^(id|event): .*$/gm), [
      ...[`id: ${rest.next}`, "event: line", "event: end"],
    ]);
  });
  await t.step("a dry run of a clear lists what a clear then clears", async () => {
    const body = { tasks: ["fragile"], downstream: true };
    const { json: dry } = await api.post(`/api/runs/${failed}/clear`, { ...body, dry_run: true });
    assert.equal((await engine.get(failed))!.cleared, 0);
    const { json: done } = await api.post(`/api/runs/${failed}/clear`, body);
    assert.deepEqual(done, { ...dry, dry_run: false });
    assert.deepEqual(done.instances.map(({ task }: { task: string }) => task), ["fragile", "last"]);
    await engine.done(failed);
    const { json } = await api.get(`/api/runs/${failed}/tasks/fragile`);
    assert.deepEqual(json.attempt_list.map(({ attempt }: { attempt: number }) => attempt), [
      ...[1, 2, 3, 4],
    ]);
  });
  await t.step("a task is marked, and the run goes on behind it", async () => {
    const { json } = await api.post(`/api/runs/${failed}/mark`, {
      state: "success",
      tasks: ["fragile"],
    });
    assert.deepEqual(json.instances, [{ run_id: failed, task: "fragile" }]);
    assert.equal((await engine.done(failed)).state, "success");
  });
  await t.step("a run is cancelled", async () => {
    const { json: { run_id } } = await api.post("/api/dags/slow/runs");
    const { json } = await api.post(`/api/runs/${run_id}/cancel`);
    assert.deepEqual(json, { run_id, state: "failed" });
    const { json: full } = await api.get(`/api/runs/${run_id}?full=true`);
    assert.equal(full.reason, "cancelled");
  });
  await t.step("runs are listed in pages, each once, and by what is asked for", async () => {
    for (let i = 0; i < 5; i++) await world.run("report");
    const all: string[] = [];
    let before = "";
    for (;;) {
      const { json } = await api.get(`/api/runs?limit=2${before}`);
      assert.ok(json.runs.length <= 2);
      all.push(...json.runs.map(({ run_id }: { run_id: string }) => run_id));
      if (json.next === null) break;
      before = `&before=${encodeURIComponent(json.next)}`;
    }
    const known = (await engine.runs()).map(({ id }) => id);
    assert.deepEqual(all, known);
    const { json } = await api.get(
      "/api/runs?dag=taxi&from=2021-01-03&to=2021-01-03&state=success",
    );
    assert.deepEqual(json.runs.map(({ run_id }: { run_id: string }) => run_id), [failed]);
    assert.deepEqual((await api.get("/api/runs?kind=backfill")).json.runs, []);
  });
  await t.step("a backfill is rehearsed, made, shown, listed and cancelled", async () => {
    const range = { from: "2021-01-01", to: "2021-01-05" };
    const dry = await api.post("/api/dags/taxi/backfills", { ...range, dry_run: true });
    assert.equal(dry.status, 200);
    assert.equal(dry.json.create.length + dry.json.skip.length, 5);
    assert.deepEqual(await engine.runs({ kind: "backfill" }), []);
    const made = await api.post("/api/dags/taxi/backfills", { ...range, max_active_runs: 1 });
    assert.equal(made.status, 201);
    assert.deepEqual(made.json.create, dry.json.create);
    const path = made.headers.get("location")!;
    assert.equal(path, `/api/backfills/${made.json.id}`);
    await api.post(`${path}/cancel`);
    for (const id of made.json.runs) await engine.done(id);
    const { json } = await api.get(path);
    assert.notEqual(json.state, "running");
    assert.equal(json.max_active_runs, 1);
    assert.deepEqual(json.runs.map(({ run_id }: { run_id: string }) => run_id), made.json.runs);
    assert.deepEqual((await api.get("/api/backfills?dag=taxi")).json.backfills, [json]);
    const nothing = await api.post("/api/dags/taxi/backfills", range);
    assert.deepEqual([nothing.status, nothing.json.id], [200, null]);
  });
  await t.step("pools tell what is taken of them", async () => {
    const { json: { run_id } } = await api.post("/api/dags/slow/runs");
    while ((await engine.get(run_id))!.tasks["hold"]!.state !== "running") {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const { json } = await api.get("/api/pools");
    assert.deepEqual(json.pools, [{ name: "default", slots: 32, used: 1, waiting: 0 }]);
    const { text } = await api.get("/metrics");
    assert.match(text, /^sluice_runs\{dag="slow",state="running"\} 1$/m);
    assert.match(text, /^sluice_pool_slots_used\{pool="default"\} 1$/m);
    open.resolve();
    await engine.done(run_id);
    await world.run("report");
    const after = await api.get("/metrics");
    assert.match(after.text, /^sluice_runs_ended_total\{dag="report",state="success"\} 1$/m);
    for (const line of after.text.trimEnd().split("\n")) {
      assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [\d.]+)$/);
    }
  });
  await t.step("datasets tell who writes them and who waits", async () => {
    const { json } = await api.get("/api/datasets");
    assert.deepEqual(json.datasets, [{
      name: trips.name,
      written_by: [{ dag: "taxi", task: "last" }],
      schedules: ["report"],
    }]);
  });
  await t.step("the spool is listed and cleared", async () => {
    assert.deepEqual((await api.get("/api/spool")).json, { bytes: 0, files: [] });
    assert.deepEqual((await api.post("/api/spool/clear", { key: "https://x" })).json, {
      ...{ freed: 0, removed: [], kept: [] },
    });
  });
  await t.step("loads are listed in pages, without secrets, by what is asked for", async () => {
    const ids = async (query: string) => {
      const { json } = await api.get(`/api/loads?${query}`);
      return [json.loads.map(({ id }: { id: string }) => id).join(), json.next];
    };
    assert.deepEqual(await ids("limit=2"), ["3,2", "2"]);
    assert.deepEqual(await ids("limit=2&before=2"), ["1", null]);
    assert.deepEqual(await ids(`target=${encodeURIComponent('"public"."trips"')}`), ["3,1", null]);
    const { json } = await api.get("/api/loads?limit=1");
    const [{ run_id, source, columns }] = json.loads;
    assert.deepEqual([run_id, source], ["run3", "https://me:***@example.com/a.csv"]);
    assert.deepEqual(columns, [{ name: "<b>", type: "integer" }]);
    assert.equal((await api.get("/api/loads?before=x")).status, 400);
  });
  await t.step("rejects are listed by table and in pages, and replayed", async () => {
    const { json } = await api.get("/api/rejects");
    assert.deepEqual(json.tables.map(({ waiting }: { waiting: number }) => waiting), [2]);
    const { json: first } = await api.get("/api/rejects/rows?table=trips&limit=1");
    assert.deepEqual([first.rows.length, first.rows[0].raw, first.next], [1, "x,y", "1"]);
    const { json: rest } = await api.get("/api/rejects/rows?table=trips&after=1");
    assert.deepEqual([rest.rows.length, rest.next], [1, null]);
    assert.equal((await api.get("/api/rejects/rows?table=nope")).status, 400);
    const rows = [{ id: "1", row: { fare: 5 } }];
    const { json: made } = await api.post("/api/rejects/replay", { table: "trips", rows });
    assert.deepEqual(made, { table: "trips", replayed: 1, rejected: 0, skipped: 0 });
    const wrong = await api.post("/api/rejects/replay", { table: "trips", ids: ["x"] });
    assert.equal(wrong.status, 400);
  });
  await t.step("tokens are made, listed without being told, and removed", async () => {
    const { json: made } = await api.post("/api/tokens", { role: "viewer", name: "the wall" });
    assert.match(made.token, /^sluice_[\w-]{43}$/);
    const { json, text } = await api.get("/api/tokens");
    const { token: _, ...entry } = made;
    assert.deepEqual(json.tokens, [entry]);
    assert.ok(!text.includes(made.token));
    assert.equal((await api.delete(`/api/tokens/${made.id}`)).status, 204);
    assert.equal((await api.delete(`/api/tokens/${made.id}`)).status, 404);
  });
  await t.step("it lives, is ready, and tells its version", async () => {
    assert.deepEqual((await api.get("/healthz")).json, { status: "ok" });
    assert.deepEqual((await api.get("/readyz")).json, { status: "ready" });
    assert.equal((await api.get("/api/version")).json.version, "1.2.3");
    assert.equal((await api.get("/api/openapi.json")).json.openapi, "3.1.0");
  });
  await t.step("waiting for a run tells its states as lines", async () => {
    const { json, headers } = await api.post("/api/dags/report/runs?wait=1");
    const { run_id } = json[0];
    assert.equal(headers.get("location"), `/api/runs/${run_id}`);
    const end = json.at(-1);
    assert.deepEqual(end, (await api.get(`/api/runs/${run_id}`)).json);
    assert.equal(json.at(-2).state, "success");
    const draws = json.filter(({ task }: { task?: string }) => task === "draw");
    assert.equal(draws.at(-1).task_state, "success");
  });
  await t.step("a webhook takes what is signed, and says when there is nothing to do", async () => {
    const send = async (body: unknown) => {
      const secret = "the secret of a report";
      const signature = sign(secret, JSON.stringify(body), Temporal.Now.instant());
      return await api.post("/hooks/report", body, { "x-sluice-signature": signature });
    };
    const { status, json } = await send({});
    assert.deepEqual([status, (await engine.done(json.run_id)).kind], [201, "webhook"]);
    assert.equal((await send(null)).status, 204);
    assert.equal((await api.post("/hooks/report", {})).status, 401);
  });
  await t.step("what happened is told again, and what happens is told as it does", async () => {
    await using reader = new Reader(await world.app.request("/api/events?after=0&meters=1"));
    assert.equal((await reader.event()).event, "meters");
    assert.equal((await reader.event()).event, "run_created");
  });
  await t.step("each success that is described was had", () => {
    const left = description.successes.filter((success) => !description.seen.has(success));
    assert.deepEqual(left, []);
  });
});

const hostile = [
  ...["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%00", "a%00b", "~", "*", "%", "a".repeat(201)],
  ...["__proto__", "constructor", "-1", "1e9", "' OR 1=1 --", "%F0%9F%92%A9", "{id}", "<script>"],
];

Deno.test("hostile names lead nowhere", async (t) => {
  await using world = await World.open();
  const { api } = world;
  const run = await world.run("report");
  for (const name of hostile) {
    await t.step(name.slice(0, 30), async () => {
      const at = encodeURIComponent(name);
      for (const part of [name, at]) {
        const paths = [
          `/api/runs/${part}`,
          `/api/dags/${part}`,
          `/api/runs/${run}/tasks/${part}`,
          `/api/runs/${run}/tasks/draw/attempts/${part}/log`,
          `/api/runs/${part}/tasks/draw/attempts/1/log`,
          `/api/backfills/${part}`,
        ];
        for (const path of paths) {
          // Some of them are other paths by the time they are read.
          const own =
            new URL(path, "http://x").pathname.split("/").length === path.split("/").length;
          const { status } = await api.get(path);
          assert.ok(status === 404 || status === 400 || !own, `${path} ${status}`);
        }
        for (const query of ["before", "dag", "state", "limit", "from", "order", "cursor"]) {
          const { status, text } = await api.get(`/api/runs?${query}=${at}`);
          assert.ok(status === 400 || /"runs":\[\]/.test(text), `${query}=${name} ${status}`);
        }
      }
      const { status } = await api.get(`/api/runs/${run}/tasks/draw?index=${at}`);
      assert.ok([400, 404].includes(status));
    });
  }
});
