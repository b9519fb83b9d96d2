import assert from "node:assert/strict";
import { dag, engine, file, operator, type Run, Source } from "../../engine/mod.ts";
import { freshDatabase } from "../_postgres.ts";
import { openSpool, unfinished } from "../../engine/spool.ts";
import { document, refusal, Sluice } from "./_sluice.ts";

const clock = (): number => performance.now();

/** Puts a whole file into the spool of a home folder, for a run that is over. */
async function keep(home: string, key: string, bytes: number, validator = '"1"'): Promise<void> {
  await using spool = await openSpool(home, { clock });
  const owner = { run: "manual__20210101T000000Z", task: "download" };
  const file = await spool.open(owner, { key, validator, offset: 0 }, () => Promise.resolve());
  await file.write(new Uint8Array(bytes));
  await spool.finish(file);
  await spool.release(owner.run);
}

Deno.test("spool list tells what is kept, without its secrets, and clear removes it", async () => {
  await using sluice = new Sluice();
  assert.deepEqual(document(await sluice.run(["spool", "list", "--json"])), {
    bytes: 0,
    files: [],
  });
  assert.match((await sluice.run(["spool", "clear"])).stdout, /^Freed 0 B of 0 B in 0 files\.\n$/);
  await keep(sluice.home, `http://x/a.csv?date=1&token=abc ${"0".repeat(32)}`, 5000);
  await keep(sluice.home, "file:///data/b.csv", 3000);
  const listed = document(await sluice.run(["spool", "list", "--json"]));
  assert.deepEqual(listed, {
    bytes: 8000,
    files: [
      ["file:///data/b.csv", 3000],
      ["http://x/a.csv?date=1&token=xxx", 5000],
    ].map(([key, bytes], i) => ({
      key,
      validator: '"1"',
      bytes,
      whole: true,
      run: "manual__20210101T000000Z",
      task: "download",
      busy: false,
      last_used: listed.files[i].last_used,
    })),
  });
  const used = Temporal.Instant.from(listed.files[0]!.last_used);
  assert.ok(Math.abs(used.until(Temporal.Now.instant()).total("seconds")) < 60);
  const { stdout } = await sluice.run(["spool", "list"]);
  assert.match(stdout, /5\.0 kB +whole +\S+Z +manual__20210101T000000Z +http:\S+token=xxx\n/);
  assert.match(stdout, /\n8\.0 kB in 2 files\.\n$/);
  assert.doesNotMatch(stdout, /abc|0000000000000000/);

  assert.match(
    refusal(await sluice.run(["spool", "clear", "--key", "http://x/c.csv", "--json"]), 1),
    /^Nothing is kept of "http:\/\/x\/c\.csv"/,
  );
  const one = await sluice.run(["spool", "clear", "--key", "http://x/a.csv?date=1&token=abc"]);
  assert.match(one.stdout, /Freed 5\.0 kB of 5\.0 kB in 1 file\.\n$/);
  const rest = document(await sluice.run(["spool", "clear", "--key", "/data/b.csv", "--json"]));
  assert.deepEqual([rest.freed, rest.removed.length, rest.kept], [3000, 1, []]);
  assert.equal(document(await sluice.run(["spool", "list", "--json"])).bytes, 0);
});

Deno.test("spool clear leaves what another process uses, and what an unfinished run of the state needs", async () => {
  await using sluice = new Sluice();
  const { home } = sluice;
  for (const name of ["used", "needed", "idle"]) await keep(home, `http://x/${name}`, 1000);
  {
    // A run that was not over when its process ended: it has read, and may read again.
    await using store = await file(home);
    const [run, at] = ["manual__20210102T000000Z", "2021-01-02T00:00:00Z"];
    const interval = { start: `${at}[UTC]`, end: `${at}[UTC]` };
    const stream = { key: "http://x/needed", validator: '"1"', bytes: 1000, whole: true };
    await store.append(run, 0, [
      {
        type: "run_created",
        run,
        at,
        dag: "d",
        kind: "manual",
        interval,
        logicalDate: at,
        runAfter: at,
        params: {},
        tasks: ["download"],
      },
      { type: "run_changed", run, at, to: "running" },
      {
        type: "task_changed",
        run,
        at,
        task: "download",
        to: { state: "success", attempt: 1, retries: 0, stream },
      },
    ]);
    const { live, needed } = unfinished(store);
    assert.deepEqual([await live(run), await live("other")], [true, false]);
    assert.deepEqual([...await needed()], [{ key: stream.key, validator: '"1"' }]);
  }
  await using spool = await openSpool(home, { clock });
  const owner = { run: "other", task: "download" };
  const kept = { key: "http://x/used", validator: '"1"', offset: 1000, kept: true };
  await spool.open(owner, kept, () => Promise.resolve());
  const partial = await spool.open(
    { run: "other", task: "more" },
    { key: "http://x/partial", validator: '"1"', offset: 0 },
    () => Promise.resolve(),
  );
  await partial.write(new Uint8Array(500));

  const listed = document(await sluice.run(["spool", "list", "--json"])).files;
  const busy = Object.fromEntries(
    listed.map((one: { key: string; busy: boolean }) => [one.key, one.busy]),
  );
  assert.deepEqual(busy, {
    "http://x/partial": true,
    "http://x/used": true,
    "http://x/needed": false,
    "http://x/idle": false,
  });
  const outcome = await sluice.run(["spool", "clear", "--json"]);
  const names = (files: { key: string }[]): string[] => files.map(({ key }) => key.slice(9)).sort();
  const said = document(outcome);
  assert.deepEqual([said.freed, names(said.removed), names(said.kept)], [
    1000,
    ["idle"],
    ["needed", "partial", "used"],
  ]);
  assert.match(outcome.stderr, /^Kept, as what is not over needs it:\n/);
  await partial.write(new Uint8Array(500));
  await spool.finish(partial);
  assert.equal((await Deno.stat(partial.path)).size, 1000);
});

Deno.test("spool clear makes the next run download again", async () => {
  await using sluice = new Sluice();
  let asked = 0;
  const source = operator("source", async (_: { x?: 1 }, ctx) => {
    const kept = await ctx.kept?.("http://x/a");
    if (kept?.whole) {
      return new Source({ key: "http://x/a", validator: "1", offset: 3, kept: true }, {
        pull: (controller) => controller.close(),
      });
    }
    asked++;
    return new Source({ key: "http://x/a", validator: "1", offset: 0 }, {
      pull(controller) {
        controller.enqueue(new Uint8Array(3));
        controller.close();
      },
    });
  });
  const d = dag("d");
  d.task("source", source());
  const run = async (): Promise<Run> => {
    await using etl = await engine({ dags: [d], home: sluice.home });
    return await (await etl.trigger(d)).done;
  };
  await run();
  await run();
  assert.equal(asked, 1);
  assert.equal(document(await sluice.run(["spool", "clear", "--json"])).freed, 3);
  assert.equal((await run()).state, "success");
  assert.equal(asked, 2);
});

Deno.test("what a stopped load keeps is listed with the spool, and cleared by its address alone", async () => {
  await using sluice = new Sluice();
  await using database = await freshDatabase();
  const half = new Uint8Array(3e6).fill(97);
  const stop = new AbortController();
  await using server = Deno.serve({ port: 0, onListen() {} }, () =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(half);
          stop.signal.addEventListener("abort", () => controller.error(stop.signal.reason));
        },
      }),
      { headers: { etag: '"1"', "content-length": String(2 * half.length) } },
    ));
  const key = `http://127.0.0.1:${server.addr.port}/a.csv?token=abc`;
  const load = sluice.start(
    ["load", key, "--into", "staff.people", "--resume", "--database", database.url],
  );
  const list = async () => document(await sluice.run(["spool", "list", "--json"])).files;
  let files = await list();
  while (!(files[0]?.bytes === half.length)) files = await list();
  const entry = {
    key: key.replace("abc", "xxx"),
    validator: '"1"',
    bytes: half.length,
    whole: false,
    run: null,
    task: null,
    load: "staff.people",
    last_used: files[0].last_used,
  };
  assert.deepEqual(files, [{ ...entry, busy: true }]);
  const clear = async (...args: string[]) =>
    document(await sluice.run(["spool", "clear", "--json", ...args]));
  assert.deepEqual((await clear("--key", key)).kept, files);
  load.kill("SIGKILL");
  await load.ended;
  stop.abort(new Error("over"));
  const said = await sluice.run(["spool", "list"]);
  assert.match(said.stdout, /3\.0 MB +partial +\S+Z +load into staff\.people +http:\S+token=xxx\n/);
  assert.match(said.stderr, /spool clear --key URL` removes it now/);
  const [, left] = [await clear(), await list()];
  assert.deepEqual(left, [{ ...entry, busy: false }]);
  const { freed, removed } = await clear("--key", key);
  assert.deepEqual([freed, removed.length, await list()], [half.length, 1, []]);
});
