import assert from "node:assert/strict";
import { type Context, dag, engine, NotYet, type Work } from "../../engine/mod.ts";
import {
  dagDone,
  fileReady,
  httpReady,
  sqlReady,
  type SqlReadyOptions,
  type SqlValue,
  timeReached,
  until,
} from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { nothingLeft } from "./_load.ts";
import { Server } from "./_server.ts";

await sharedPostgres();

/** Whether it is ready; any other failure is thrown. */
async function ready(work: Work<unknown, void, Context>, ctx?: Context): Promise<boolean> {
  try {
    await perform(work, ctx);
    return true;
  } catch (error) {
    if (error instanceof NotYet) return false;
    throw error;
  }
}

Deno.test("until asks its function with the run, each time anew", async () => {
  let asked = 0;
  const flow = dag("flow", { params: { least: 2 } });
  const { work } = flow.task("wait", until((run) => ++asked > run.params.least));
  const ctx = { ...testContext(), params: { least: 2 } } as Context;
  const answers = [];
  for (let i = 0; i < 4; i++) answers.push(await ready(work, ctx));
  assert.deepEqual(answers, [false, false, true, true]);
  assert.equal(await ready(until(() => Promise.resolve(false))), false);
  assert.equal(await ready(until(() => Promise.resolve(true))), true);
  await assert.rejects(ready(until(() => Promise.reject(new Error("no")))), { message: "no" });
});

const etag = { etag: '"v1"' };
const dated = {
  "last-modified": "Fri, 01 Jan 2021 00:00:00 GMT",
  date: "Fri, 01 Jan 2021 01:00:00 GMT",
};

const answers: {
  status: string;
  headers?: Record<string, string>;
  options?: Partial<Parameters<typeof httpReady>[0]>;
  is: string | null | "not yet" | RegExp;
}[] = [
  { status: "200 OK", is: null },
  { status: "204 No Content", headers: etag, is: '"v1"' },
  { status: "200 OK", headers: dated, is: dated["last-modified"] },
  { status: "404 Not Found", is: "not yet" },
  { status: "410 Gone", is: "not yet" },
  { status: "429 Too Many Requests", is: "not yet" },
  { status: "500 Internal Server Error", is: "not yet" },
  { status: "503 Service Unavailable", is: "not yet" },
  { status: "304 Not Modified", is: "not yet" },
  {
    status: "401 Unauthorized",
    is:
      /^GiveUp: Cannot ask for ".*": the server answers 401 Unauthorized; check the rights to it$/,
  },
  { status: "403 Forbidden", is: /^GiveUp: .* 403 Forbidden/ },
  { status: "404 Not Found", options: { status: 404 }, is: null },
  { status: "200 OK", options: { status: 404 }, is: "not yet" },
  { status: "200 OK", headers: etag, options: { version: '"v1"' }, is: '"v1"' },
  { status: "200 OK", headers: etag, options: { version: '"v2"' }, is: "not yet" },
  { status: "200 OK", options: { version: '"v2"' }, is: "not yet" },
  { status: "200 OK", headers: etag, options: { versionOtherThan: '"v1"' }, is: "not yet" },
  { status: "200 OK", headers: etag, options: { versionOtherThan: '"v0"' }, is: '"v1"' },
];

for (const { status, headers = {}, options = {}, is } of answers) {
  Deno.test(`httpReady on ${status}, ${JSON.stringify({ ...headers, ...options })}`, async () => {
    await using server = new Server((visit) => visit.send(status, headers));
    const running = perform(httpReady({ url: server.url, ...options }));
    if (is instanceof RegExp) {
      await assert.rejects(running, (error) => {
        assert.match(String(error), is);
        return true;
      });
    } else if (is === "not yet") await assert.rejects(running, NotYet);
    else assert.equal(await running, is);
    assert.deepEqual(server.visits.map(({ line }) => line), ["HEAD /data.csv HTTP/1.1"]);
  });
}

Deno.test("httpReady asks a server that knows no HEAD by GET, and reads no body", async () => {
  let sent = 0;
  await using server = new Server(async (visit) => {
    if (visit.line.startsWith("HEAD")) return await visit.send("405 Method Not Allowed");
    await visit.send("200 OK", { ...etag, "content-length": 1e9 });
    for (; sent < 1e9; sent += 1e6) await visit.more(new Uint8Array(1e6));
  });
  assert.equal(await perform(httpReady({ url: server.url })), '"v1"');
  assert.ok(sent < 100e6, `${sent} bytes were sent`);
});

Deno.test("httpReady is not ready where nobody answers, and stops when it is told to", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  assert.equal(await ready(httpReady({ url: `http://127.0.0.1:${port}/` })), false);
  await using server = new Server(({ gone }) => gone);
  const slow = httpReady({ url: server.url, timeout: { milliseconds: 50 } });
  assert.equal(await ready(slow), false);
  const signal = AbortSignal.timeout(50);
  await assert.rejects(ready(httpReady({ url: server.url }), testContext({ signal })), {
    name: "TimeoutError",
  });
  await assert.rejects(ready(httpReady({ url: "nope" })), {
    name: "GiveUp",
    message: 'Cannot ask for "nope": this is not a valid http or https URL',
  });
});

Deno.test("fileReady waits for a file or folder, and until nobody writes to it", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/day.csv`;
  assert.equal(await ready(fileReady({ path })), false);
  await Deno.writeTextFile(path, "a\n");
  assert.equal(await ready(fileReady({ path })), true);
  assert.equal(await ready(fileReady({ path: `file://${path}` })), true);
  assert.equal(await ready(fileReady({ path: folder })), true);
  const rested = fileReady({ path: () => path, untouchedFor: { minutes: 1 } });
  assert.equal(await ready(rested), false);
  const then = (Date.now() - 61_000) / 1000;
  await Deno.utime(path, then, then);
  assert.equal(await ready(rested), true);
  await assert.rejects(
    ready(fileReady({ path: `${path}/x` })),
    /^Error: Cannot look for ".*csv\/x": /,
  );
  await assert.rejects(ready(fileReady({ path: "ftp://x" })), { name: "GiveUp" });
  await Deno.remove(folder, { recursive: true });
});

const queries: [query: string, is: boolean, params?: SqlValue[]][] = [
  ["SELECT 1", true],
  ["SELECT -0.5", true],
  ["SELECT 'no'", true],
  ["SELECT true, false", true],
  ["SELECT '{}'::jsonb", true],
  ["SELECT now()", true],
  ["SELECT 0", false],
  ["SELECT 0::numeric(10, 2)", false],
  ["SELECT false, true", false],
  ["SELECT NULL", false],
  ["SELECT ''", false],
  ["SELECT 1 WHERE false", false],
  ["SELECT count(*) FROM pg_class WHERE relname = $1", false, ["nope"]],
  ["SELECT count(*) FROM pg_class WHERE relname = $1", true, ["pg_class"]],
];

Deno.test("sqlReady takes the first value for an answer", async () => {
  await using database = await freshDatabase();
  const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
  for (const [query, is, params = []] of queries) {
    assert.equal(await ready(sqlReady({ query, params }), ctx), is, query);
  }
  await nothingLeft(database);
  await assert.rejects(ready(sqlReady({ query: "SELECT x" }), ctx), {
    name: "Error",
    message: /^Cannot run SQL: Postgres says: column "x" does not exist \(42703\) in line 1\./,
  });
  assert.throws(() => sqlReady({ query: () => "SELECT 1" } as unknown as SqlReadyOptions), {
    name: "TypeError",
  });
});

const now = Temporal.Now.instant();
const times: [options: NonNullable<Parameters<typeof timeReached>[0]>, is: boolean | RegExp][] = [
  [{ at: now }, true],
  [{ at: now.add({ hours: 1 }) }, false],
  [{ at: now.toZonedDateTimeISO("Asia/Tokyo").subtract({ seconds: 1 }) }, true],
  [{ at: "2021-01-01" }, true],
  [{ at: "2999-01-01T06:00" }, false],
  [{ at: (run) => run.interval.end }, true],
  [{ after: { days: 1 } }, true],
  [{ after: { years: 900 } }, false],
  [{}, /^GiveUp: Cannot tell when the time is reached: give either `at` or `after`$/],
  [{ at: "soon" }, /^TypeError: Cannot read the time "soon"/],
];

for (const [options, is] of times) {
  Deno.test(`timeReached ${String(options.at)} ${JSON.stringify(options.after ?? {})}`, async () => {
    if (typeof is === "boolean") assert.equal(await ready(timeReached(options)), is);
    else {
      await assert.rejects(ready(timeReached(options)), (error) => {
        assert.match(String(error), is);
        return true;
      });
    }
  });
}

Deno.test("a time without a zone is read in that of the DAG", async () => {
  const zone = "Pacific/Auckland";
  const wall = now.toZonedDateTimeISO(zone).toPlainDateTime();
  const start = now.toZonedDateTimeISO(zone);
  const ctx = { ...testContext(), interval: { start, end: start } };
  assert.equal(await ready(timeReached({ at: wall.subtract({ hours: 1 }).toString() }), ctx), true);
  assert.equal(await ready(timeReached({ at: wall.add({ hours: 1 }).toString() }), ctx), false);
});

Deno.test("a time that has not come says when it will", async () => {
  await assert.rejects(
    perform(timeReached({ at: "2999-01-01T06:00" })),
    (error) => error instanceof NotYet && String(error.due) === "2999-01-01T06:00:00Z",
  );
});

Deno.test("dagDone waits for the run of another DAG that has its logical date", async () => {
  const at = (iso: string) => Temporal.Instant.from(iso).toZonedDateTimeISO("UTC");
  let fails = true;
  const other = dag("other", { schedule: "@daily", start: "2021-01-01", catchup: "none" });
  const first = other.task("first", () => 1);
  other.task("second", () => {
    if (fails) throw new Error("not this time");
  }, { after: first });
  await using etl = await engine({ dags: [other] });
  const ctx = {
    ...testContext(),
    date: at("2021-01-02T00:00:00Z"),
    runs: (query: Parameters<typeof etl.runs>[0]) => etl.runs(query),
  };
  const run = async (date: string) => (await (await etl.trigger(other, { date })).done).state;
  assert.equal(await ready(dagDone({ dag: "other" }), ctx), false);
  assert.equal(await run("2021-01-02"), "failed");
  assert.equal(await ready(dagDone({ dag: "other" }), ctx), false);
  assert.equal(await ready(dagDone({ dag: "other", states: ["failed"] }), ctx), true);
  assert.equal(await ready(dagDone({ dag: "other", task: "first" }), ctx), true);
  fails = false;
  assert.equal(await run("2021-01-03"), "success");
  assert.equal(await ready(dagDone({ dag: "other" }), ctx), false);
  const next = dagDone({ dag: "other", date: (run) => run.date.add({ days: 1 }) });
  assert.equal(await ready(next, ctx), true);
  assert.equal(await run("2021-01-02"), "success");
  assert.equal(await ready(dagDone({ dag: "other" }), ctx), true);
});
