import assert from "node:assert/strict";
import {
  dag,
  engine,
  file,
  type LogFiles,
  logFiles,
  memory,
  retention,
  type Store,
} from "../../engine/mod.ts";
import { folder } from "./_folder.ts";
import { created, moved } from "./_store_conformance.ts";
import { time as clock, until } from "./_rig.ts";

const NOW = Temporal.Instant.from("2021-06-01T00:00:00Z");

/** Puts on record a run that was over so many days ago, or is not over, and writes a log of it. */
async function had(store: Store, logs: LogFiles, id: string, days?: number): Promise<void> {
  const at = NOW.subtract({ hours: 24 * (days ?? 400) }).toString();
  await store.append(id, 0, [created(id, { at, dag: "d" }), { ...moved(id, "running"), at }]);
  if (days !== undefined) await store.append(id, 2, [{ ...moved(id, "success"), at }]);
  const key = { dag: "d", run: id, task: "a", attempt: 1 };
  using log = logs.open(key);
  log.write({ ...key, at, level: "info", message: "hello" });
}

const ids = async (store: Store): Promise<string[]> => (await store.list()).map(({ id }) => id);

const logged = async (logs: LogFiles, run: string): Promise<number> =>
  (await logs.read({ dag: "d", run, task: "a", attempt: 1 })).length;

Deno.test("runs that were over longer ago than they are kept are forgotten, and their logs removed", async () => {
  await using home = await folder();
  await using store = await file(home.path);
  const logs = logFiles(home.path);
  await had(store, logs, "open");
  await had(store, logs, "new", 89);
  await had(store, logs, "border", 90);
  // More than are looked at together.
  for (let i = 0; i < 230; i++) await had(store, logs, `old${i}`, 91 + i);
  const options = { keep: { days: 90 }, now: NOW };
  assert.equal(await retention(store, [logs], options), 230);
  assert.deepEqual((await ids(store)).sort(), ["border", "new", "open"]);
  for (const id of await ids(store)) assert.equal(await logged(logs, id), 1);
  assert.deepEqual([...Deno.readDirSync(`${home.path}/logs/d`)].length, 3);
  assert.equal(await retention(store, [logs], options), 0);
});

Deno.test("logs that cannot be removed are not forgotten", async () => {
  await using home = await folder();
  await using store = memory();
  const logs = logFiles(home.path);
  await had(store, logs, "a", 100);
  await had(store, logs, "b", 101);
  const failing = {
    remove: (run: { dag: string; id: string }) =>
      run.id === "b" ? Promise.reject(new Error("busy")) : logs.remove(run),
  };
  const options = { keep: { days: 90 }, now: NOW };
  await assert.rejects(retention(store, [failing], options), /busy/);
  assert.deepEqual((await ids(store)).sort(), ["a", "b"]);
  assert.equal(await retention(store, [logs], options), 2);
  assert.equal(await logged(logs, "b"), 0);
});

Deno.test("an engine forgets what is old once it is started, and then each day", async () => {
  await using home = await folder();
  const time = clock(NOW.toString());
  await using store = memory();
  const logs = logFiles(home.path);
  for (const days of [200, 90, 89.5, 88.5, 87.5]) await had(store, logs, `d${days}`, days);
  const errors: unknown[] = [];
  await using etl = await engine({
    dags: [dag("d")],
    store,
    logs,
    retention: { days: 90 },
    onError: (error) => errors.push(error),
    ...time,
  });
  await time.settle();
  assert.equal((await ids(store)).length, 5, "one that is not started does nothing by itself");
  const left = (count: number) => until(async () => (await ids(store)).length === count);
  await etl.start();
  await left(4);
  assert.deepEqual(await ids(store), ["d87.5", "d88.5", "d89.5", "d90"]);
  time.jump({ hours: 23 });
  await time.advance({ minutes: 1 });
  assert.equal((await ids(store)).length, 4);
  time.jump({ hours: 1 });
  await time.advance({ minutes: 1 });
  await left(2);
  assert.deepEqual(await ids(store), ["d87.5", "d88.5"]);
  assert.equal(await logged(logs, "d90"), 0);
  assert.equal(await logged(logs, "d88.5"), 1);
  assert.equal(time.sleepers(), 1, "one timer is enough");
  time.jump({ hours: 24 });
  await time.advance({ minutes: 1 });
  await left(1);
  assert.deepEqual(await ids(store), ["d87.5"]);
  assert.deepEqual(errors, []);
});
