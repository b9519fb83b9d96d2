import assert from "node:assert/strict";
import { file } from "../../engine/mod.ts";
import { document, refusal, Sluice } from "./_sluice.ts";

const DAGS = `
  import { dag, dataset } from "sluice";
  const task = (d) => (d.task("t", () => 1), d);
  export default [
    task(dag("daily", { schedule: "@daily", start: "2021-01-01", catchup: true })),
    task(dag("over", { schedule: "@daily", start: "2021-01-01", end: "2021-01-05", catchup: "none" })),
    dag("asked"),
    dag("fed", { schedule: [dataset("trips"), dataset("zones")] }),
  ];
`;
const at = "2021-01-01T00:00:00Z";

Deno.test("list tells of each DAG when it runs, how it fared, and where it is", async () => {
  await using sluice = new Sluice();
  const path = sluice.file("dags/some.js", DAGS);
  {
    await using store = await file(sluice.home);
    for (const id of ["manual__20210101T000000Z", "manual__20210101T000000Z.2"]) {
      await store.append(id, 0, [
        {
          type: "run_created",
          run: id,
          at: id.endsWith("2") ? "2021-01-01T00:00:01Z" : at,
          dag: "daily",
          kind: "manual",
          interval: { start: at, end: at },
          logicalDate: at,
          params: {},
          runAfter: at,
          tasks: ["t"],
        },
        { type: "run_changed", run: id, at, to: id.endsWith("2") ? "failed" : "success" },
      ]);
    }
    await store.setDag({ id: "daily", version: 0, paused: true, cursor: "2021-01-03T00:00:00Z" });
    await store.setDag({ id: "over", version: 0, paused: false });
    // It looks on while somebody writes.
    const outcome = await sluice.run(["list", "--json"]);
    assert.equal(outcome.code, 0, outcome.stderr);
    const { dags: [asked, daily, fed, over], faults } = document(outcome);
    assert.deepEqual(faults, []);
    assert.match(daily.hash, /^[0-9a-f]{64}$/);
    const { hash } = daily;
    assert.deepEqual(daily, {
      id: "daily",
      schedule: "@daily",
      schedule_in_words: "at 00:00 each day, UTC",
      timezone: "UTC",
      datasets: [],
      next_run: {
        logical_date: "2021-01-03T00:00:00Z",
        interval: { start: "2021-01-03T00:00:00Z", end: "2021-01-04T00:00:00Z" },
        run_after: "2021-01-04T00:00:00Z",
      },
      paused: true,
      last_run: { run_id: "manual__20210101T000000Z.2", state: "failed", logical_date: at },
      tasks: ["t"],
      file: path,
      hash,
      warnings: daily.warnings,
    });
    assert.deepEqual([asked.schedule, asked.next_run, asked.paused], [null, null, null]);
    assert.equal(asked.schedule_in_words, "only when triggered");
    assert.deepEqual([fed.datasets, fed.next_run], [["trips", "zones"], null]);
    assert.deepEqual([over.next_run, over.paused, over.last_run], [null, false, null]);
  }
  const { stdout } = await sluice.run(["list"]);
  const [head, asked, daily, fed] = stdout.split("\n");
  assert.match(head!, /^DAG +SCHEDULE +NEXT RUN +LAST RUN +TASKS +FILE$/);
  assert.match(asked!, /^asked +only when triggered +none +none +none +\S+some\.js$/);
  assert.match(fed!, /^fed +when "trips" and "zones" are written +when written +none +none /);
  assert.match(daily!, /^daily +at 00:00 each day, UTC +due, paused +failed 2021-01-01 +1 +\S+$/);
});

Deno.test("list tells of what is broken on stderr, and hides nothing for it", async () => {
  await using sluice = new Sluice();
  sluice.file("mine/some.js", DAGS);
  sluice.file("mine/broken.ts", "export default 1;\nthrow new Error('not today');");
  sluice.file("home/state.db", "rubbish".repeat(1000));
  const outcome = await sluice.run(["list", "--dags", "mine", "--json"]);
  assert.equal(outcome.code, 0, outcome.stderr);
  const { dags, faults } = document(outcome);
  assert.equal(dags.length, 4);
  assert.match(faults.join("\n"), /mine\/broken\.ts:2: not today\n.*state\.db.*damaged/);
  assert.equal(outcome.stderr.match(/broken\.ts:2|damaged/g)?.length, 2, outcome.stderr);
});

Deno.test("without a folder of one's own, list tells of the DAGs that come along; a wrong one is refused", async () => {
  await using sluice = new Sluice();
  const { dags } = document(await sluice.run(["list", "--json"]));
  assert.deepEqual(dags.map(({ id }: { id: string }) => id), ["hello", "yellow_taxi"]);
  const refused = await sluice.run(["list", "--dags", "nowhere", "--json"]);
  assert.match(refusal(refused, 2), /"nowhere": there is no such folder/);
});
