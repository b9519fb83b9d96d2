import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type Event, file } from "../../engine/mod.ts";
import { document, refusal, Sluice } from "./_sluice.ts";

const at = "2021-01-01T00:00:00Z";

/** The events of a run that failed. */
function events(run: string): Event[] {
  const begun = { state: "running", attempt: 1, retries: 0, started: at } as const;
  return [
    {
      type: "run_created",
      run,
      at,
      dag: "d",
      kind: "manual",
      interval: { start: at, end: at },
      logicalDate: at,
      params: { text: "x".repeat(2000) },
      runAfter: at,
      tasks: ["a", "b"],
    },
    { type: "run_changed", run, at, to: "running" },
    { type: "task_changed", run, at, task: "a", to: begun },
    { type: "task_changed", run, at, task: "a", to: { ...begun, state: "failed", ended: at } },
    { type: "run_changed", run, at, to: "failed" },
  ];
}

/** A home folder with runs in it, that nobody holds. */
async function fill(sluice: Sluice, runs = 3): Promise<void> {
  await using store = await file(sluice.home);
  for (let i = 0; i < runs; i++) await store.append(`r${i}`, 0, events(`r${i}`));
  await store.setDag({ id: "d", version: 0, paused: true, cursor: at });
}

/** Changes the database behind everybody's back. */
function meddle(sluice: Sluice, sql: string): void {
  const database = new DatabaseSync(`${sluice.home}/state.db`);
  database.exec(sql);
  database.close();
}

Deno.test("state check finds a sound state sound, also while it is written to", async () => {
  await using sluice = new Sluice();
  assert.match(refusal(await sluice.here(["state", "check"]), 2), /nothing has run/);
  await fill(sluice);
  const { home } = sluice;
  const sound = { home, ok: true, runs: 3, events: 15, problems: [] };
  assert.deepEqual(document(await sluice.here(["state", "check", "--json"])), {
    ...sound,
    writer: null,
  });
  await using store = await file(home);
  await store.append("r3", 0, events("r3"));
  const outcome = await sluice.here(["state", "check", "--json"]);
  assert.deepEqual(document(outcome), {
    ...sound,
    runs: 4,
    events: 20,
    writer: { pid: Deno.pid, running: true },
  });
  const { stdout } = await sluice.here(["state", "check"]);
  assert.match(stdout, new RegExp(`4 runs of 20 events, all is well; process ${Deno.pid} writes`));
  const repair = await sluice.run(["state", "repair", "--json"]);
  assert.deepEqual(document(repair), { home, repaired: false });
});

const MEDDLING: Readonly<Record<string, { sql: string; says: RegExp; lost?: RegExp }>> = {
  "a task that was changed": {
    sql: `UPDATE tasks SET task = replace(task, '"failed"', '"success"') WHERE run = 'r1'`,
    says: /"r1" is not what its events make of it: task "a"/,
  },
  "a run that was changed": {
    sql: `UPDATE runs SET run = replace(run, '"failed"', '"success"') WHERE id = 'r1'`,
    says: /"r1" is not what its events make of it: state/,
  },
  "a run that is listed as another": {
    sql: `UPDATE runs SET state = 'running' WHERE id = 'r1'`,
    says: /"r1" is listed as what it is not: its state is failed/,
  },
  "a run that is gone": {
    sql: `DELETE FROM runs WHERE id = 'r1'`,
    says: /"r1" is missing, but has events/,
  },
  "an event that is gone": {
    sql: `DELETE FROM events WHERE run = 'r1' AND version = 4`,
    says: /"r1" cannot be made of its events: event 4 is missing/,
    lost: /"r1" is kept as it was before event 5/,
  },
  "an event that is none": {
    sql: `UPDATE events SET event = '{' WHERE run = 'r1' AND version = 5`,
    says: /"r1" cannot be made of its events: .*JSON/,
    lost: /"r1" is kept as it was before event 5: .*JSON/,
  },
};

for (const [what, { sql, says, lost }] of Object.entries(MEDDLING)) {
  Deno.test(`state check finds ${what}, and state repair puts it right`, async () => {
    await using sluice = new Sluice();
    await fill(sluice);
    meddle(sluice, sql);
    const checked = await sluice.here(["state", "check", "--json"]);
    assert.equal(checked.code, 1, checked.stderr);
    const { ok, problems } = document(checked);
    assert.equal(ok, false);
    assert.match(problems.join("\n"), says);
    assert.match(checked.stderr, says);

    const repaired = document(await sluice.run(["state", "repair", "--json"]));
    assert.equal(repaired.runs, 3);
    assert.equal(repaired.events, lost ? what.includes("gone") ? 13 : 14 : 15);
    assert.match(repaired.lost.join("\n"), lost ?? /^$/);
    assert.ok(await Deno.stat(repaired.backup));
    assert.equal((await sluice.here(["state", "check"])).code, 0);
    await using store = await file(sluice.home);
    const run = await store.get("r1");
    assert.equal(run?.state, lost ? "running" : "failed");
    assert.equal(await store.last(), 15, "events keep their numbers: who saw them goes by those");
    const { paused, cursor } = (await store.dag("d"))!;
    assert.deepEqual({ paused, cursor }, { paused: true, cursor: at });
  });
}

Deno.test("a database with a page of rubbish is told of, and what can be read is kept", async () => {
  await using sluice = new Sluice();
  await fill(sluice, 60);
  const path = `${sluice.home}/state.db`;
  const page = 4096;
  const database = await Deno.open(path, { read: true, write: true });
  const { size } = await database.stat();
  await database.seek(Math.floor(size / page / 2) * page, Deno.SeekMode.Start);
  await database.write(new Uint8Array(page).fill(0xa5));
  database.close();
  const checked = await sluice.here(["state", "check", "--json"]);
  assert.equal(checked.code, 1, checked.stderr);
  assert.match(document(checked).problems.join("\n"), /damaged/);
  const repaired = document(await sluice.run(["state", "repair", "--json"]));
  assert.ok(repaired.runs >= 40 && repaired.runs <= 60, String(repaired.runs));
  assert.equal((await sluice.here(["state", "check"])).code, 0);
});

Deno.test("what cannot be repaired stays as it is", async (t) => {
  await using sluice = new Sluice();
  await fill(sluice);
  const path = `${sluice.home}/state.db`;
  await t.step("because somebody writes to it", async () => {
    meddle(sluice, "DELETE FROM runs WHERE id = 'r1'");
    await using _ = await file(sluice.home);
    assert.match(refusal(await sluice.run(["state", "repair"]), 1), /another process writes/);
  });
  await t.step("because nothing in it can be read", async () => {
    const rubbish = new Uint8Array(10_000).fill(0xa5);
    await Deno.writeFile(path, rubbish);
    assert.equal((await sluice.here(["state", "check"])).code, 1);
    assert.match(refusal(await sluice.run(["state", "repair"]), 1), /Nothing was changed/);
    assert.deepEqual(await Deno.readFile(path), rubbish);
  });
});
