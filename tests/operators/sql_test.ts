import assert from "node:assert/strict";
import { type Context, dag, GiveUp, type Logger } from "../../engine/mod.ts";
import { type Ran, sql, type SqlOptions, type SqlValue } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { nothingLeft } from "./_load.ts";

await sharedPostgres();

function context(database: TestDatabase, options: Parameters<typeof testContext>[0] = {}): Context {
  return testContext({ connection: () => Promise.resolve({ url: database.url }), ...options });
}

function run(database: TestDatabase, options: SqlOptions): Promise<Ran> {
  return perform(sql(options), context(database));
}

const results: { statement: string; params?: SqlValue[]; rows: number; result: Ran["result"] }[] = [
  { statement: "CREATE TABLE t (a int)", rows: 0, result: [] },
  { statement: "SELECT 1 AS a, 'x' AS b", rows: 1, result: [{ a: 1, b: "x" }] },
  {
    statement: "SELECT generate_series(1, 3) AS n",
    rows: 3,
    result: [{ n: 1 }, { n: 2 }, { n: 3 }],
  },
  { statement: "SELECT count(*) FROM pg_class WHERE false", rows: 1, result: [{ count: 0 }] },
  { statement: "SELECT 1 WHERE false", rows: 0, result: [] },
  { statement: "SELECT 1 AS a, 2 AS b, 3 AS a", rows: 1, result: [{ a: 1, b: 2 }] },
  {
    statement:
      "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2); UPDATE t SET a = 3 WHERE a = 1",
    rows: 1,
    result: [],
  },
  { statement: "SELECT 1 AS a; SELECT 2 AS b; -- the end", rows: 1, result: [{ b: 2 }] },
  { statement: "SELECT 1 AS a; CREATE TABLE t (a int)", rows: 0, result: [] },
  { statement: "  -- nothing\n", rows: 0, result: [] },
  {
    statement:
      `SELECT true AS yes, 1.50 AS n, 0.5::float8 AS f, 'NaN'::float8 AS nan, 5000000000 AS big,
      9007199254740993 AS bigger, '{"a": [1]}'::jsonb AS j, date '2021-01-31' AS d, '{1,2}'::int[] AS a,
      '\\xff'::bytea AS b, null AS no`,
    rows: 1,
    result: [{
      yes: true,
      n: "1.50",
      f: 0.5,
      nan: "NaN",
      big: 5000000000,
      bigger: "9007199254740993",
      j: { a: [1] },
      d: "2021-01-31",
      a: "{1,2}",
      b: "\\xff",
      no: null,
    }],
  },
  {
    statement:
      "SELECT $1::text AS a, $2::int AS b, $3::jsonb AS c, $4::int[] AS d, $5::bigint AS e",
    params: ["'; DROP TABLE t; --", null, { x: [1] }, [1, 2], 9007199254740993n],
    rows: 1,
    result: [{
      a: "'; DROP TABLE t; --",
      b: null,
      c: { x: [1] },
      d: "{1,2}",
      e: "9007199254740993",
    }],
  },
  {
    statement: "SELECT $1::timestamptz AS a, $2::timestamptz AS b, $3::date AS c, $4::time AS d",
    params: [
      Temporal.ZonedDateTime.from("2021-01-01T00:00[Europe/Berlin]"),
      Temporal.Instant.from("2021-01-01T00:00Z"),
      Temporal.PlainDate.from("2021-01-31"),
      Temporal.PlainTime.from("12:30"),
    ],
    rows: 1,
    result: [{
      a: "2020-12-31 23:00:00+00",
      b: "2021-01-01 00:00:00+00",
      c: "2021-01-31",
      d: "12:30:00",
    }],
  },
];

for (const { statement, params = [], rows, result } of results) {
  Deno.test(`sql runs ${statement.replaceAll(/\s+/g, " ").slice(0, 70)}`, async () => {
    await using database = await freshDatabase();
    assert.deepEqual(await run(database, { statement, params }), { rows, result });
    await nothingLeft(database);
  });
}

Deno.test("params and names may be functions of the run and handles, and are never taken for SQL", async () => {
  await using database = await freshDatabase();
  const table = `month"; DROP TABLE target; --`;
  await database.query(
    `CREATE TABLE target (a int, b date); CREATE TABLE "${table.replaceAll('"', '""')}" (a int)`,
  );
  await database.query(`INSERT INTO "${table.replaceAll('"', '""')}" VALUES (1), (2), (3)`);
  const flow = dag("flow", { params: { table: "" } });
  const least = flow.task("least", () => 2);
  const task = flow.task(
    "merge",
    sql({
      statement: `INSERT INTO target SELECT a, $2::"date" FROM :"month" WHERE a >= $1`,
      params: [least, (run) => run.date],
      names: { month: (run) => run.params.table, date: "never" },
    }),
  );
  assert.deepEqual(task.upstream, ["least"]);
  const ctx = { ...context(database), params: { table } };
  assert.deepEqual(await task.work.run({ output: () => 2 }, ctx), { rows: 2, result: [] });
  assert.deepEqual(await database.query("SELECT a, b::text FROM target ORDER BY a"), [
    { a: 2, b: "2021-01-01" },
    { a: 3, b: "2021-01-01" },
  ]);
});

Deno.test("sql runs a file", async () => {
  await using database = await freshDatabase();
  const path = await Deno.makeTempFile({ suffix: ".sql" });
  await Deno.writeTextFile(path, "CREATE TABLE t (a int);\nINSERT INTO t SELECT 1;\nTABLE t;\n");
  assert.deepEqual(await run(database, { file: path }), { rows: 1, result: [{ a: 1 }] });
  await Deno.remove(path);
  await assert.rejects(run(database, { file: path }), {
    name: "GiveUp",
    message: `Cannot read SQL from "${path}": there is no such file or folder`,
  });
});

Deno.test("a result that is long is cut, and not kept in memory", async () => {
  await using database = await freshDatabase();
  const before = Deno.memoryUsage().rss;
  const { rows, result } = await run(database, {
    statement: "SELECT n, repeat('x', 400) AS t FROM generate_series(1, 600000) AS n",
  });
  assert.equal(rows, 600_000);
  assert.ok(JSON.stringify(result).length <= 48 * 1024);
  assert.ok(result.length > 100);
  assert.deepEqual(result.map(({ n }) => n), result.map((_, i) => i + 1));
  const grown = (Deno.memoryUsage().rss - before) / 1e6;
  assert.ok(grown < 200, `grew by ${grown} MB`);
});

Deno.test("what the server remarks is said", async () => {
  await using database = await freshDatabase();
  const lines: string[] = [];
  const log = { info: (line: string) => lines.push(line) } as unknown as Logger;
  const statement = "DO $$ BEGIN RAISE NOTICE 'half way'; END $$; DROP TABLE IF EXISTS t";
  await perform(sql({ statement }), context(database, { log }));
  assert.deepEqual(lines, ["half way", 'table "t" does not exist, skipping']);
});

const failures: [options: SqlOptions, message: RegExp][] = [
  [
    { statement: "INSERT INTO t VALUES (2);\n\nSELECT 1 / 0" },
    /^Error: Cannot run SQL: Postgres says: division by zero \(22012\)\. All was rolled back$/,
  ],
  [
    { statement: "INSERT INTO t VALUES (2);\n-- ü𝒳\nSELEC 1" },
    /^Error: .*: syntax error at or near "SELEC" \(42601\) in line 3\. All was rolled back$/,
  ],
  [
    { statement: "INSERT INTO t VALUES (1)" },
    /duplicate key .* \(23505\)\. Key \(a\)=\(1\) already exists\. All was rolled back$/,
  ],
  [
    { statement: "INSERT INTO t VALUES ($1); SELECT 1", params: [2] },
    /cannot insert multiple commands into a prepared statement/,
  ],
  [{ statement: "INSERT INTO t VALUES ($1)", params: [] }, /there is no parameter \$1/],
  [{ statement: `INSERT INTO :"other" VALUES (2)` }, /syntax error at or near ":"/],
  [
    { statement: "INSERT INTO t VALUES (2); VACUUM" },
    /VACUUM cannot run inside a transaction block/,
  ],
  [{ statement: "INSERT INTO t VALUES (2); COPY t FROM STDIN" }, /COPY from stdin failed/],
];

for (const [options, message] of failures) {
  Deno.test(`sql that fails changes nothing: ${options.statement?.replaceAll("\n", " ")}`, async () => {
    await using database = await freshDatabase();
    await database.query("CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)");
    await assert.rejects(run(database, options), (error) => {
      assert.match(String(error), message);
      return true;
    });
    assert.deepEqual(await database.query("SELECT * FROM t"), [{ a: 1 }]);
    await nothingLeft(database);
  });
}

Deno.test("a failure at the commit is one", async () => {
  await using database = await freshDatabase();
  await database.query(`CREATE TABLE t (a int PRIMARY KEY);
    CREATE TABLE u (a int REFERENCES t DEFERRABLE INITIALLY DEFERRED)`);
  await assert.rejects(run(database, { statement: "INSERT INTO u VALUES (1)" }), {
    name: "Error",
    message: /violates foreign key constraint .* All was rolled back$/,
  });
  assert.deepEqual(await database.query("SELECT * FROM u"), []);
});

for (const end of ["COMMIT", "ROLLBACK", "COMMIT; INSERT INTO t VALUES (3)"]) {
  Deno.test(`statements that end the transaction themselves are a fault: ${end}`, async () => {
    await using database = await freshDatabase();
    await database.query("CREATE TABLE t (a int)");
    const statement = `INSERT INTO t VALUES (1); ${end}`;
    await assert.rejects(run(database, { statement }), {
      name: "GiveUp",
      message: /^Cannot run SQL in one transaction: it has a COMMIT or ROLLBACK of its own/,
    });
  });
}

Deno.test("an abort ends the statement, here and on the server", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE t (a int)");
  const stop = new AbortController();
  const running = perform(
    sql({ statement: "INSERT INTO t VALUES (1); SELECT pg_sleep(60)" }),
    context(database, { signal: stop.signal }),
  );
  const busy =
    "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
  for (let tries = 0; (await database.query(busy)).length === 0; tries++) {
    assert.ok(tries < 1000);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const began = performance.now();
  stop.abort(new Error("enough"));
  await assert.rejects(running, { message: "enough" });
  assert.ok(performance.now() - began < 10_000);
  for (let tries = 0; (await database.query(busy)).length > 0; tries++) {
    assert.ok(tries < 400, "the server goes on");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.deepEqual(await database.query("SELECT * FROM t"), []);
});

Deno.test("a lost connection is told", async () => {
  await using database = await freshDatabase();
  await assert.rejects(
    run(database, { statement: "SELECT pg_terminate_backend(pg_backend_pid())" }),
    {
      name: "Error",
      message: /terminating connection/,
    },
  );
});

Deno.test("options that cannot be are refused when the task is defined", () => {
  const make = (options: unknown) => () => sql(options as SqlOptions);
  assert.throws(make({ statement: () => "SELECT 1" }), {
    name: "TypeError",
    message:
      /^Cannot make SQL of a function: it is a plain string; pass values by `params`, as \$1/,
  });
  const either = "Cannot tell what SQL to run: give either `statement` or `file`";
  assert.throws(make({}), { name: "TypeError", message: either });
  assert.throws(make({ statement: "", file: "" }), { name: "TypeError", message: either });
});

Deno.test("a name that can be none is refused", async () => {
  await using database = await freshDatabase();
  const options = { statement: `SELECT * FROM :"t"`, names: { t: "x".repeat(64) } };
  await assert.rejects(run(database, options), (error) => error instanceof GiveUp);
});
