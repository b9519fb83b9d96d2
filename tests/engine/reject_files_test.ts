import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { dag, engine, memory, operator, rejectFiles } from "../../engine/mod.ts";
import { folder } from "./_folder.ts";

const key = { dag: "d", run: "r1", task: "load", attempt: 2 };

async function write(path: string): Promise<void> {
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeTextFile(path, "{}\n");
}

/** Refuses a record of each table that it is given. */
const refuse = operator("refuse", async ({ tables }: { tables: readonly string[] }, ctx) => {
  const paths = tables.map((table) => ctx.rejects(table));
  for (const path of paths) if (path !== undefined) await write(path);
  return paths.map((path) => path ?? null);
});

Deno.test("what an attempt refuses lies in a folder of its own, whatever its tables are called", async () => {
  await using home = await folder();
  const tables = ["trips", "a/b", "..", 'Zoë\'s "x"', "é".repeat(400)];
  const each = dag("each");
  each.task("load", refuse({ tables }));
  each.each("mapped", ["t", "u"], (item) => refuse({ tables: item.map((table) => [table]) }));
  await using etl = await engine({ dags: [each], home: home.path });
  const run = await etl.trigger(each);
  const { state, tasks } = await run.done;
  assert.equal(state, "success");
  const paths = tasks.load!.output as string[];
  const root = join(home.path, "rejects", "each", run.id, "load", "1");
  assert.deepEqual(paths.slice(0, 3).map((path) => relative(root, path)), [
    "trips.jsonl",
    "a%2Fb.jsonl",
    "...jsonl",
  ]);
  assert.deepEqual(new Set(paths.map((path) => join(path, ".."))), new Set([root]));
  const files = rejectFiles(home.path);
  const listed = await files.list();
  assert.deepEqual(
    new Set(
      listed.map(({ name, attempt, bytes }) =>
        [name.slice(0, 9), ...attempt.slice(2), bytes].join()
      ),
    ),
    new Set([
      "trips,load,1,3",
      "a/b,load,1,3",
      "..,load,1,3",
      'Zoë\'s "x",load,1,3',
      "%C3%A9%C3,load,1,3",
      "t,mapped,0.1,3",
      "u,mapped,1.1,3",
    ]),
  );
  await files.remove({ dag: "each", id: run.id });
  assert.deepEqual(await files.list(), []);
});

Deno.test("an engine without a home folder keeps nothing of what is refused", async () => {
  const one = dag("one");
  one.task("load", refuse({ tables: ["t"] }));
  await using etl = await engine({ dags: [one] });
  assert.deepEqual((await (await etl.trigger(one)).done).tasks.load!.output, [null]);
});

Deno.test("what is refused goes with its run, when that is forgotten", async () => {
  await using home = await folder();
  await using store = memory();
  const one = dag("one");
  one.task("load", refuse({ tables: ["t"] }));
  {
    await using etl = await engine({ dags: [one], home: home.path, store });
    await (await etl.trigger(one)).done;
  }
  const { list } = rejectFiles(home.path);
  assert.equal((await list()).length, 1);
  {
    await using etl = await engine({
      dags: [one],
      home: home.path,
      store,
      retention: { days: 1 },
      now: () => Temporal.Now.instant().add({ hours: 25 }),
    });
    await etl.start();
  }
  assert.deepEqual(await list(), []);
  assert.deepEqual(await store.list(), []);
});

Deno.test("a link that leads elsewhere is not followed", async () => {
  await using home = await folder();
  const files = rejectFiles(home.path);
  await write(join(home.path, "elsewhere", "r1", "kept.jsonl"));
  await Deno.mkdir(join(home.path, "rejects"));
  await Deno.symlink(join(home.path, "elsewhere"), join(home.path, "rejects", "d"));
  await assert.rejects(files.remove({ dag: "d", id: "r1" }), /leads elsewhere/);
  for (const wrong of [{ dag: ".." }, { run: "a/b" }, { attempt: 0 }, { index: -1 }]) {
    assert.throws(() => files.folder({ ...key, ...wrong }), TypeError);
  }
});
