import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { demoMonth } from "../../cli/_demo_data.ts";
import { gzip } from "../../cli/_gzip.ts";
import { file, logFiles } from "../../engine/mod.ts";
import { created, moved } from "../engine/_store_conformance.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { document, refusal, serve, Sluice, until } from "./_sluice.ts";
import { fetch } from "../server/_checked.ts";

await sharedPostgres();

const trigger = (url: string, body: unknown, dag = "yellow_taxi") =>
  fetch(`${url}/api/dags/${dag}/runs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

/** A month's load that nothing but a trigger begins. */
const taxi = `import { copy, csv, dag, decompress, http, pipe } from "sluice";
const taxi = dag("yellow_taxi", {
  schedule: "0 6 2 * *", start: "2021-01-01", catchup: "none", paused: false, params: { base: "" },
});
const file = taxi.task("download", http({ url: (run) => run.params.base }));
const table = (run) => run.strftime("yellow_taxi_%Y_%m");
taxi.task("load", pipe(file, decompress(), csv(), copy({ table })));
export default taxi;`;

/** A folder with that. */
function taxiFolder(sluice: Sluice): string {
  sluice.file("dags/taxi.ts", taxi);
  return `${sluice.folder}/dags`;
}

Deno.test("serve triggers runs over HTTP and tells of them as run does", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await using months = serve(() =>
    new Response(gzip(demoMonth("2021-01", 1000)), { headers: { etag: '"1"' } })
  );
  const command = sluice.start([
    "serve",
    "--dags",
    taxiFolder(sluice),
    "--port",
    "0",
    "--database",
    db.url,
  ]);
  const [, url, port] = await command.says(/^Sluice listens on (http:\/\/127\.0\.0\.1:(\d+))\n/);
  const params = { base: months.url };
  const answer = await trigger(url!, { logical_date: "2021-01-02", params });
  assert.equal(answer.status, 201);
  const { run_id, state } = await answer.json();
  assert.match(state, /^(queued|running)$/);
  let run: Record<string, unknown> = {};
  await until(async () => {
    run = await (await fetch(`${url}/api/runs/${run_id}`)).json();
    return run["state"] === "success";
  });
  assert.deepEqual(await db.query("SELECT count(*)::int FROM yellow_taxi_2021_01"), [{
    count: 1000,
  }]);

  // What the server cannot know itself is lent to it: the ledger of the database, and the files of the DAGs.
  const ask = async (path: string) => await (await fetch(`${url}${path}`)).json();
  const { loads: [load] } = await ask(`/api/loads?run=${run_id}`);
  assert.deepEqual([load.dag, load.task, load.rows], ["yellow_taxi", "load", 1000]);
  assert.equal(load.columns.length, 18);
  assert.equal((await ask("/api/dags/yellow_taxi")).file, `${sluice.folder}/dags/taxi.ts`);
  assert.equal(await (await fetch(`${url}/api/dags/yellow_taxi/code`)).text(), taxi);
  const { steps } = await ask(`/api/runs/${run_id}/tasks/load/attempts/1/options`);
  assert.deepEqual(steps.at(-1).options, { table: { value: "yellow_taxi_2021_01" } });

  // The same, from the command line with another home: in all but the times it took.
  await using other = new Sluice();
  const { runs: [same] } = document(
    await other.run(
      [
        "run",
        "yellow_taxi",
        "--dags",
        taxiFolder(other),
        "--date",
        "2021-01-02",
        "--param",
        `base=${months.url}`,
        "--json",
        "--database",
        db.url,
      ],
    ),
  );
  assert.deepEqual(timeless(run), timeless(same));

  await (await trigger(url!, {}, "nope")).body?.cancel();
  // Only this machine gets in.
  const elsewhere = Object.values(networkInterfaces()).flat()
    .find((address) => address?.family === "IPv4" && !address.internal);
  if (elsewhere) {
    await assert.rejects(Deno.connect({ hostname: elsewhere.address, port: Number(port) }));
  }
  const second = await sluice.run(["serve", "--port", "0", "--database", db.url]);
  assert.match(
    refusal(second, 1),
    new RegExp(`process ${command.pid}.* stop it, or choose another`),
  );
  const third = await other.run(["serve", "--port", port!, "--database", db.url]);
  assert.match(refusal(third, 2), new RegExp(`port ${port}`));

  command.kill("SIGTERM");
  const { code, stdout, stderr } = await command.ended;
  assert.equal(code, 0, stderr);
  assert.equal(stdout, `Sluice listens on ${url}\n`);
});

Deno.test("what fails is in the log, without the passwords of any connection", async () => {
  await using sluice = new Sluice();
  sluice.file(
    "dags/leak.ts",
    `import { dag } from "sluice";
    const leak = dag("leak");
    leak.task("t", async (run) => { 
      const { url } = await run.connection("lake");
      throw new Error(url + " " + decodeURIComponent(new URL(url).password));
    });
    export default leak;`,
  );
  const command = sluice.start(["serve", "--dags", `${sluice.folder}/dags`, "--port", "0"], {
    env: { SLUICE_CONN_LAKE: "host=127.0.0.1 user=me password=quite/secret dbname=x" },
  });
  const [, url] = await command.says(/^Sluice listens on (http:\S+)\n/);
  const { run_id } = await (await trigger(url!, {}, "leak")).json();
  const ask = async (path: string) =>
    await (await fetch(`${url}/api/runs/${run_id}${path}`)).json();
  await until(async () => (await ask("")).state === "failed");
  const { lines: [line, ...more] } = await ask("/tasks/t/attempts/1/log");
  assert.deepEqual(more, []);
  assert.match(
    line.message,
    /^failed: postgres:\/\/me:\*\*\*@127\.0\.0\.1:5432\/x \*\*\*\n {4}at .*\/leak\.ts:5:/,
  );
  command.kill("SIGTERM");
  await command.ended;
});

Deno.test("what serve knows is there after a kill, and it goes on", async () => {
  await using sluice = new Sluice();
  sluice.file(
    "slow/slow.ts",
    `import { dag } from "sluice";
      const slow = dag("slow");
      const first = slow.task("first", ({ attempt }) => attempt);
      slow.task("second", async ({ attempt, signal }) => {
        if (attempt > 1) return attempt;
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      }, { after: first });
      export default slow;`,
  );
  const start = () =>
    sluice.start(["serve", "--port", "0", "--dags", `${sluice.folder}/slow`, "--grace", "0"]);
  const once = start();
  const [, url] = await once.says(/listens on (\S+)\n/);
  const { run_id } = await (await trigger(url!, {}, "slow")).json();
  const look = async (url: string) => {
    const { state, tasks } = await (await fetch(`${url}/api/runs/${run_id}`)).json();
    return [
      state,
      ...tasks.map((task: { state: string; attempts: number }) => {
        return `${task.state} ${task.attempts}`;
      }),
    ].join(", ");
  };
  await until(async () => await look(url!) === "running, success 1, running 1");
  once.kill("SIGKILL");
  await once.ended;
  const again = start();
  const [, next] = await again.says(/listens on (\S+)\n/);
  await until(async () => await look(next!) === "success, success 1, success 2");
  again.kill("SIGTERM");
  assert.equal((await again.ended).code, 0);
});

Deno.test("serve forgets runs that were over longer ago than it is to keep them, and their logs", async () => {
  await using sluice = new Sluice();
  sluice.file("dags/none.ts", `export {};`);
  {
    await using store = await file(sluice.home);
    const logs = logFiles(sluice.home);
    for (const [id, days] of [["old", 91], ["new", 89]] as const) {
      const at = Temporal.Now.instant().subtract({ hours: 24 * days }).toString();
      await store.append(id, 0, [created(id, { at }), moved(id, "success", at)]);
      const key = { dag: "taxi", run: id, task: "load", attempt: 1 };
      using log = logs.open(key);
      log.write({ ...key, at, level: "info", message: "hello" });
    }
  }
  const dags = `${sluice.folder}/dags`;
  const command = sluice.start(["serve", "--port", "0", "--dags", dags, "--keep", "90d"]);
  const [, url] = await command.says(/listens on (\S+)\n/);
  await until(async () => {
    const answer = await fetch(`${url}/api/runs/old`);
    await answer.body?.cancel();
    return answer.status === 404;
  });
  assert.equal((await (await fetch(`${url}/api/runs/new`)).json()).run_id, "new");
  assert.deepEqual([...Deno.readDirSync(`${sluice.home}/logs/taxi`)].map(({ name }) => name), [
    "new",
  ]);
  command.kill("SIGTERM");
  assert.equal((await command.ended).code, 0);
});

/** A run's document without what no two runs share. */
function timeless(run: Record<string, unknown>): unknown {
  return JSON.parse(
    JSON.stringify(run),
    (key, value) => key === "seconds" || key === "downloaded" ? "some" : value,
  );
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} stops the server within its grace time, and what is under way then`, async () => {
    await using sluice = new Sluice();
    await using db = await freshDatabase();
    const gone = Promise.withResolvers<void>();
    await using months = serve(() => {
      const chunks = demoMonth("2021-01", 40_000);
      let n = 0;
      return new Response(
        new ReadableStream({
          pull: (controller) =>
            n++ < 12
              ? controller.enqueue(chunks.next().value as Uint8Array)
              : new Promise<void>(() => {}),
          cancel: () => gone.resolve(),
        }),
      );
    });
    const options = [
      "--dags",
      taxiFolder(sluice),
      "--grace",
      "0.5",
      "--port",
      "0",
      "--database",
      db.url,
    ];
    const command = sluice.start(["serve", ...options]);
    const [, url] = await command.says(/listens on (\S+)/);
    const answer = await trigger(url!, {
      logical_date: "2021-01-02",
      params: { base: months.url },
    });
    await answer.body?.cancel();
    await until(async () => (await db.query("SELECT FROM pg_stat_progress_copy")).length > 0);
    const since = performance.now();
    command.kill(signal);
    const { code, stderr } = await command.ended;
    assert.equal(code, 0, stderr);
    assert.ok(performance.now() - since < 10_000);
    await gone.promise;
    assert.deepEqual(
      await db.query("SELECT FROM pg_class WHERE relname ~ '^(sluice_|yellow)'"),
      [],
    );
  });
}

Deno.test("serve listens for others only with a token, which it makes and shows once", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const args = ["serve", "--host", "0.0.0.0", "--port", "0", "--database", db.url];
  const ask = async (url: string, token?: string): Promise<number> => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const answer = await fetch(`${url}/api/dags`, { headers });
    await answer.body?.cancel();
    return answer.status;
  };
  const first = sluice.start(args);
  const [, port] = await first.says(/listens on http:\/\/0\.0\.0\.0:(\d+)/);
  const [, token] = await first.says(/shown this once: (sluice_\S+)/);
  const url = `http://127.0.0.1:${port}`;
  assert.equal(await ask(url), 401);
  assert.equal(await ask(url, token), 200);
  // What stands in the home folder is no key to it, but for its owner's commands.
  const kept = await Deno.readTextFile(`${sluice.home}/tokens.json`);
  assert.ok(!kept.includes(token!));
  for (const name of ["tokens.json", "engine.json", "server.db"]) {
    assert.equal((await Deno.stat(`${sluice.home}/${name}`)).mode! & 0o777, 0o600, name);
  }
  const said = JSON.parse(await Deno.readTextFile(`${sluice.home}/engine.json`));
  assert.equal(said.address, url);
  assert.equal(await ask(url, said.token), 200);
  first.kill("SIGTERM");
  const { code, stderr } = await first.ended;
  assert.equal(code, 0, stderr);

  const second = sluice.start(args);
  const [, again] = await second.says(/listens on http:\/\/0\.0\.0\.0:(\d+)/);
  assert.equal(await ask(`http://127.0.0.1:${again}`), 401);
  assert.equal(await ask(`http://127.0.0.1:${again}`, token), 200);
  assert.equal(await ask(`http://127.0.0.1:${again}`, said.token), 401);
  assert.doesNotMatch(second.stderr, /shown this once/);
});
