import assert from "node:assert/strict";
import { demoMonth } from "../../cli/_demo_data.ts";
import { gzip } from "../../cli/_gzip.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { document, refusal, serve, type Served, Sluice, until } from "./_sluice.ts";

const postgres = await sharedPostgres();

const range = ["--from", "2021-01-01", "--to", "2021-03-28"];
const months = ["2021-01", "2021-02", "2021-03"] as const;

/** Small months behind a server whose log can be read. */
function monthServer(rows: number): Served & AsyncDisposable {
  return serve((request) => {
    const month = /(2021-0\d)\.csv\.gz$/.exec(request.url)?.[1] as typeof months[number];
    const etag = `"${month}"`;
    if (request.headers.get("if-none-match") === etag) {
      return new Response(null, { status: 304, headers: { etag } });
    }
    return new Response(gzip(demoMonth(month, rows)), { headers: { etag } });
  });
}

Deno.test("run loads a month a run, and the second time downloads nothing", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await using server = monthServer(2000);
  const run = [
    "run",
    "yellow_taxi",
    ...range,
    "--param",
    `base=${server.url}`,
    "--json",
    "--database",
    db.url,
  ];
  const outcome = await sluice.run(run);
  assert.equal(outcome.code, 0, outcome.stderr);
  const { dag, state, runs } = document(outcome);
  assert.deepEqual([dag, state, runs.length], ["yellow_taxi", "success", 3]);
  for (const [i, month] of months.entries()) {
    const { run_id, logical_date, interval, state, params, tasks, ...rest } = runs[i];
    assert.deepEqual(rest, { dag: "yellow_taxi" });
    assert.equal(logical_date, `${month}-02T06:00:00Z`);
    assert.equal(run_id, `manual__${month.replace("-", "")}02T060000Z`);
    assert.equal(interval.start, logical_date);
    assert.equal(state, "success");
    assert.deepEqual(params, { base: server.url });
    const [download, load] = tasks;
    for (const task of tasks) {
      assert.deepEqual(Object.keys(task), ["id", "state", "attempts", "seconds", "output"]);
      assert.deepEqual([task.state, task.attempts], ["success", 1]);
      assert.ok(task.seconds > 0 && task.seconds < 20);
    }
    assert.equal(download.id, "download");
    assert.equal(download.output.bytes, download.output.downloaded);
    assert.ok(download.output.bytes > 10_000);
    assert.match(download.output.sha256, /^[0-9a-f]{64}$/);
    assert.equal(load.id, "load");
    const table = `yellow_taxi_${month.replace("-", "_")}`;
    assert.deepEqual([load.output.table, load.output.rows], [table, 2000]);
    assert.equal(load.output.columns.length, 18);
    assert.deepEqual(await db.query(`SELECT count(*)::int FROM ${table}`), [{ count: 2000 }]);
  }
  server.log.length = 0;
  const again = document(await sluice.run(run));
  assert.equal(again.state, "success");
  for (const { tasks: [download, load] } of again.runs) {
    assert.equal(download.output.downloaded, 0);
    assert.ok(download.output.bytes > 10_000);
    assert.equal(load.output.rows, 2000);
  }
  assert.deepEqual(
    server.log,
    months.map((month) => `GET /yellow_tripdata_${month}.csv.gz 304`),
  );
});

Deno.test("run tells people of each run, its tasks and what they put out", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await using server = monthServer(2000);
  const run = [
    "run",
    "yellow_taxi",
    "--date",
    "2021-02-02",
    "--param",
    `base=${server.url}`,
    "--database",
    db.url,
  ];
  for (const [repeat, kept] of [["", ""], [".2", ", kept from before"]] as const) {
    const { code, stdout, stderr } = await sluice.run(run);
    assert.equal(code, 0, stderr);
    const [head, download, load, ...rest] = stderr.trimEnd().split("\n");
    assert.equal(head, `manual__20210202T060000Z${repeat}  success`);
    assert.match(download!, new RegExp(`^  download  success  \\d\\.\\d s  [\\d.]+ kB${kept}$`));
    assert.match(load!, /^ {2}load {6}success {2}\d\.\d s {2}yellow_taxi_2021_02: 2,000 rows$/);
    assert.deepEqual(rest, []);
    assert.match(
      stdout,
      /^yellow_taxi: success, 1 run, 2,000 rows in \d\.\d s \([\d,]+ rows\/s\)\n$/,
    );
  }
});

Deno.test("the load begins while the download is under way", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const chunks: Uint8Array[] = [];
  for await (const chunk of gzip(demoMonth("2021-01", 60_000))) chunks.push(chunk);
  const go = Promise.withResolvers<void>();
  let sent = 0;
  await using server = serve(() =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          if (sent === chunks.length - 1) await go.promise;
          if (sent < chunks.length) controller.enqueue(chunks[sent++]!);
          else controller.close();
        },
      }),
    )
  );
  const command = sluice.start(
    [
      "run",
      "yellow_taxi",
      "--date",
      "2021-01-02",
      "--param",
      `base=${server.url}`,
      "--json",
      "--database",
      db.url,
    ],
  );
  // Rows are in the database before the last bytes of the file have left the server.
  await until(() => sent === chunks.length - 1);
  await until(async () => {
    const [row] = await db.query("SELECT FROM pg_stat_progress_copy WHERE tuples_processed > 5000");
    return row !== undefined;
  });
  assert.equal(sent, chunks.length - 1);
  assert.deepEqual(await db.query("SELECT FROM pg_tables WHERE tablename LIKE 'yellow%'"), []);
  await command.says(/^manual__20210102T060000Z: download \d\.\d MB, .*; load [\d,]+ rows, .*\n/m);
  go.resolve();
  const { runs: [{ tasks: [, load] }] } = document(await command.ended);
  assert.equal(load.output.rows, 60_000);
});

/** A DAG whose load is as quick to try again as a test needs. */
const quick = (id: string, more = "") => `
import { copy, csv, dag, decompress, http, pipe } from "sluice";
const d = dag("${id}", { params: { url: "" }, defaults: { retries: 3, retryDelay: { seconds: 1 } }, ${more} });
const file = d.task("download", http({ url: (run) => run.params.url }));
d.task("load", pipe(file, decompress(), csv(), copy({ table: "quick" })));
export default d;
`;

Deno.test("a load that fails is tried again from what was downloaded", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await using server = serve(() => new Response("a\n1\n2\n"));
  sluice.file("flows/quick.ts", quick("quick"));
  // A view in the table's place: the load cannot but fail.
  await db.query("CREATE VIEW quick AS SELECT 1 AS a");
  const run = [
    "run",
    "quick",
    "--dags",
    "flows",
    "--param",
    `url=${server.url}/x`,
    "--json",
    "--database",
  ];
  const final = await sluice.run([...run, db.url]);
  assert.equal(final.code, 1);
  const [download, load] = document(final).runs[0].tasks;
  assert.deepEqual([download.state, load.state, load.output], ["success", "failed", null]);
  assert.match(load.error, /"quick".*view/);

  await db.query("DROP VIEW quick");
  server.log.length = 0;
  // For a while the database lets nobody in.
  const name = new URL(db.url).pathname.slice(1);
  const accept = (yes: boolean) =>
    postgres.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS ${yes}`);
  await accept(false);
  const command = sluice.start([...run, db.url]);
  const refused = `database "${name}" is not currently accepting connections`;
  await until(() => postgres.log().includes(refused));
  await accept(true);
  const outcome = await command.ended;
  assert.equal(outcome.code, 0, outcome.stderr);
  const { runs: [{ tasks }] } = document(outcome);
  assert.equal(tasks[0].attempts, 1);
  assert.ok(tasks[1].attempts > 1, outcome.stdout);
  assert.equal(tasks[1].output.rows, 2);
  assert.deepEqual(server.log, ["GET /x 200"]);
});

Deno.test("DAGs of the user's own are found, and broken ones told of", async (t) => {
  await using sluice = new Sluice();
  const hello = (id: string, options = "") => `
    import { dag } from "sluice";
    const d = dag("${id}", { ${options} });
    d.task("greet", (run) => run.params.names ?? "hello");
    export default d;
  `;
  sluice.file(
    "dags/hello.ts",
    hello("hello", "params: { names: ['a'], n: 1, on: false, s: 's', any: null }"),
  );
  sluice.file("dags/twice_1.ts", hello("twice"));
  sluice.file("dags/twice_2.js", hello("twice"));
  sluice.file("dags/broken.ts", "import nothing from './nowhere.ts'; export default nothing;");
  sluice.file("dags/throws.ts", "throw new Error('not today');");
  sluice.file("dags/_part.ts", "throw new Error('nobody asked');");
  sluice.file("dags/hello_test.ts", "throw new Error('nobody asked');");
  sluice.file("dags/README.md", "nothing");
  await t.step("one without a schedule runs once, now", async () => {
    const outcome = await sluice.run(["run", "hello", "--json"]);
    assert.equal(outcome.code, 0, outcome.stderr);
    const { runs: [{ logical_date, tasks: [task] }], runs } = document(outcome);
    assert.equal(runs.length, 1);
    assert.deepEqual(task.output, ["a"]);
    assert.ok(Math.abs(Date.parse(logical_date) - Date.now()) < 60_000);
    // The faults of others are told, naming files, and hide nothing.
    const faults = outcome.stderr.trimEnd().split("\n");
    assert.equal(faults.filter((line) => /broken\.ts/.test(line)).length, 1);
    assert.ok(faults.some((line) => /throws\.ts:1: not today$/.test(line)));
    assert.ok(faults.some((line) => /"twice".*twice_1\.ts.*twice_2\.js/.test(line)));
    assert.doesNotMatch(outcome.stderr, /nobody asked/);
  });
  await t.step("params are of the types of their defaults", async () => {
    const params = ["--param", 'names=["x"]', "--param", "n=2.5", "--param", "on=true"];
    const more = ["--param", "s=5", "--param", "any=free text"];
    const outcome = await sluice.run(["run", "hello", "--json", ...params, ...more]);
    assert.deepEqual(
      document(outcome).runs[0].params,
      { names: ["x"], n: 2.5, on: true, s: "5", any: "free text" },
    );
    for (const wrong of ["n=two", 'n="two"', "on=1", "names=x"]) {
      const refused = await sluice.here(["run", "hello", "--json", "--param", wrong]);
      assert.ok(
        refusal({ ...refused, stderr: refused.stderr.slice(refused.stderr.indexOf("sluice: ")) }, 2)
          .includes(wrong.split("=")[0]!),
      );
    }
  });
  await t.step("one without a schedule has no dates", async () => {
    const outcome = await sluice.here(["run", "hello", "--date", "2021-01-01"]);
    assert.equal(outcome.code, 2);
    assert.match(outcome.stderr, /"hello" has no schedule/);
  });
  await t.step("an unknown one is answered with those there are and what is broken", async () => {
    const { code, stderr } = await sluice.here(["run", "nope"]);
    assert.equal(code, 2);
    assert.match(stderr, /^sluice: Cannot find DAG "nope"; there are: "hello", "twice"$/m);
    assert.match(stderr, /throws\.ts:1: not today/);
    const near = await sluice.here(["run", "helo"]);
    assert.match(
      near.stderr,
      /^sluice: Cannot find DAG "helo"; did you mean "hello"\? there are: /m,
    );
  });
});

Deno.test("the rows of mapped tasks and of the ends of a tee are told and counted", async () => {
  await using sluice = new Sluice();
  sluice.file(
    "dags/many.ts",
    `import { dag, fn } from "sluice";
    const d = dag("many");
    const loaded = (table, rows) => ({ table, rows, columns: [] });
    const names = d.task("names", () => ["a", "b", "c"]);
    d.each("load", names, (name) => fn({ name }, ({ name }) => loaded("parts", name === "a" ? 1 : 2)));
    d.task("both", () => ({ one: loaded("one", 1), two: loaded("two", 10) }));
    export default d;`,
  );
  const { code, stdout, stderr } = await sluice.run(["run", "many"]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^ {2}load ×3 .* {2}parts: 5 rows$/m);
  assert.match(stderr, /^ {2}both .* {2}one: 1 row; two: 10 rows$/m);
  assert.match(stdout, /^many: success, 1 run, 16 rows in /);
});

Deno.test("as many runs go on at once as maxActiveRuns says", async () => {
  await using sluice = new Sluice();
  sluice.file(
    "dags/many.ts",
    `import { dag } from "sluice";
    const d = dag("many", { schedule: "@daily", start: "2021-01-01", maxActiveRuns: 2 });
    let now = 0, most = 0;
    const sleep = (n) => new Promise((resolve) => setTimeout(resolve, n));
    d.task("count", async () => {
      most = Math.max(most, ++now);
      while (most < 2) await sleep(10);
      await sleep(100);
      now--;
      return most;
    });
    export default d;`,
  );
  const outcome = await sluice.run([
    "run",
    "many",
    "--from",
    "2021-01-01",
    "--to",
    "2021-01-05",
    "--json",
  ]);
  const { runs } = document(outcome);
  // Nobody asked for a database, so none was made.
  assert.equal(await Deno.stat(`${sluice.home}/postgres`).catch(() => undefined), undefined);
  assert.equal(runs.length, 5);
  assert.deepEqual(
    Math.max(...runs.map((run: { tasks: { output: number }[] }) => run.tasks[0]!.output)),
    2,
  );
});

Deno.test("a run that fails ends with exit code 1, and says of which error", async () => {
  await using sluice = new Sluice();
  sluice.file(
    "dags/sad.ts",
    `import { dag, GiveUp } from "sluice";
    const d = dag("sad");
    const first = d.task("first", (): string => { throw new GiveUp("nothing to be done"); });
    d.task("second", () => 1, { after: first });
    export default d;`,
  );
  const { code, stdout, stderr } = await sluice.run(["run", "sad"]);
  assert.equal(code, 1);
  assert.match(stderr, /^ {2}first +failed +\d\.\d s +nothing to be done$/m);
  assert.match(stderr, /^ {2}second +upstream_failed$/m);
  assert.match(stdout, /^sad: failed, 1 run of which 1 failed/);
  const [run] = /^manual__\S+/m.exec(stderr)!;
  const { stdout: said } = await sluice.run(["logs", run, "first"]);
  assert.match(
    said,
    /^\S+ \S+ {2}error #1 {2}failed: GiveUp: nothing to be done\n {4}at .*\/dags\/sad\.ts:3:\d+\)?\n$/,
  );
});

Deno.test("tasks connect by the names that the environment has", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await using warehouse = await freshDatabase();
  sluice.file(
    "dags/two.ts",
    `import { csv, copy, dag, open, pipe } from "sluice";
    const d = dag("two");
    for (const connection of ["database", "warehouse"]) {
      d.task(connection, pipe(open({ file: "rows.csv" }), csv(), copy({ table: "rows", connection })));
    }
    d.task("lake", async (run) => void await run.connection("lake"));
    export default d;`,
  );
  sluice.file("rows.csv", "a\n1\n2\n");
  const { stderr } = await sluice.run(["run", "two", "--database", db.url], {
    env: { SLUICE_CONN_WAREHOUSE: warehouse.url, PGPASSWORD: "of another" },
  });
  assert.match(stderr, /there are "warehouse", "database"; .* SLUICE_CONN_<NAME>/);
  for (const one of [db, warehouse]) {
    assert.deepEqual(await one.query("SELECT count(*)::int AS n FROM rows"), [{ n: 2 }]);
  }
});

Deno.test("SIGINT ends a run at once, cancels the download and rolls back", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const gone = Promise.withResolvers<void>();
  await using server = serve(() => {
    const chunks = demoMonth("2021-01", 40_000);
    let n = 0;
    return new Response(
      new ReadableStream({
        pull: (controller) =>
          n++ < 12 ? controller.enqueue(chunks.next().value as Uint8Array) : new Promise(() => {}),
        cancel: () => gone.resolve(),
      }),
    );
  });
  const command = sluice.start(
    [
      "run",
      "yellow_taxi",
      ...range,
      "--param",
      `base=${server.url}`,
      "--json",
      "--database",
      db.url,
    ],
  );
  await until(async () => (await db.query("SELECT FROM pg_stat_progress_copy")).length > 0);
  const since = performance.now();
  command.kill("SIGINT");
  assert.equal(refusal(await command.ended, 130), "interrupted");
  await gone.promise;
  await until(async () =>
    (await db.query("SELECT FROM pg_stat_activity WHERE application_name = 'sluice'")).length === 0
  );
  assert.ok(performance.now() - since < 10_000);
  assert.equal(server.log.length, 1);
  assert.deepEqual(await db.query("SELECT FROM pg_class WHERE relname ~ '^(sluice_|yellow)'"), []);
});
