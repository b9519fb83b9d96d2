import assert from "node:assert/strict";
import type { RecordBatch } from "apache-arrow";
import type { Connection } from "../../engine/mod.ts";
import { copy } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { type Load, load, nothingLeft, rows } from "./_load.ts";
import { batchesOf, chunked } from "./_read_csv.ts";

await sharedPostgres();

Deno.test("copy makes a table, and tells its rows and columns", async () => {
  await using database = await freshDatabase();
  const copied = await load(database, 'id,name,at\n1,"a ""b""",2021-01-31\n2,,\n3,"",0044-01-01\n');
  assert.deepEqual(copied, {
    table: "t",
    rows: 3,
    rejected: 0,
    columns: [{ name: "id", type: "integer" }, { name: "name", type: "text" }, {
      name: "at",
      type: "date",
    }],
  });
  assert.deepEqual(await rows(database), [
    '(1,"a ""b""",2021-01-31)',
    "(2,,)",
    '(3,"",0044-01-01)',
  ]);
  await nothingLeft(database);
});

Deno.test("copy reads bytes as CSV", async () => {
  await using database = await freshDatabase();
  const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
  const copied = await perform(copy({ table: "t" }), ctx, chunked("a,b\n1,x\n2,y\n", [1, 5]));
  assert.equal(copied.rows, 2);
  assert.deepEqual(await rows(database), ["(1,x)", "(2,y)"]);
});

Deno.test("copy replaces a table, its columns too", async () => {
  await using database = await freshDatabase();
  await load(database, "a,b\n1,x\n");
  await load(database, "c\n2021-01-01\n2021-01-02\n");
  assert.deepEqual(await rows(database), ["(2021-01-01)", "(2021-01-02)"]);
  await nothingLeft(database);
});

Deno.test("copy splits large batches, and keeps the order of rows", async () => {
  await using database = await freshDatabase();
  const lines = Array.from({ length: 120_000 }, (_, i) => `${i},${i % 7 ? `text ${i}` : ""}`);
  await load(database, `n,t\n${lines.join("\n")}\n`);
  const [sum] = await database.query(`SELECT count(*)::int AS count, count(t)::int AS texts,
    bool_and(t IS NOT DISTINCT FROM CASE WHEN n % 7 > 0 THEN 'text ' || n END) AS right FROM t`);
  assert.deepEqual(sum, { count: 120_000, texts: 102_857, right: true });
});

Deno.test("readers see the old table or the new one, never none and never half", async () => {
  await using database = await freshDatabase();
  const months = [0, 1].map((m) => `m,n\n${`${m},1\n`.repeat(3000)}`);
  await load(database, months[0]!);
  let done = false;
  const seen = new Set<string>();
  const reader = (async () => {
    while (!done) {
      const [row] = await database.query("SELECT count(*) AS n, min(m) AS a, max(m) AS b FROM t");
      seen.add(JSON.stringify(row));
    }
  })();
  for (let i = 1; i <= 20; i++) await load(database, months[i % 2]!);
  done = true;
  await reader;
  assert.deepEqual([...seen].sort(), ['{"n":"3000","a":0,"b":0}', '{"n":"3000","a":1,"b":1}']);
});

Deno.test("append makes a table, or adds to it", async () => {
  await using database = await freshDatabase();
  await load(database, "a,b\n1,x\n", { mode: "append" });
  const copied = await load(database, "b,a\ny,2\n", { mode: "append" });
  assert.equal(copied.rows, 1);
  assert.deepEqual(await rows(database), ["(1,x)", "(2,y)"]);
});

/** The column of a table, CSV, and what the table then holds, or why it is refused. */
const APPENDED: readonly (readonly [column: string, field: string, row: string | RegExp])[] = [
  ["integer", "5", "(5)"],
  ["smallint", "5", "(5)"],
  [
    "smallint",
    "70000",
    /column "v" is out of range for smallint: "70000" in record 1\. All was rolled back: the table is as it was/,
  ],
  ["bigint", "5", "(5)"],
  ["numeric", "5", "(5)"],
  ["numeric", "12345678901234567890", "(12345678901234567890)"],
  ["double precision", "5", "(5)"],
  ["double precision", "9999999999", /its column "v" is double precision, what arrives is bigint/],
  ["integer", "2.5", /its column "v" is integer, what arrives is double precision; declare/],
  ["real", "2.5", /its column "v" is real, what arrives is double precision/],
  ["integer", "x", /its column "v" is integer, what arrives is text/],
  ["integer", "9999999999", /out of range for integer: "9999999999" in record 1/],
  ["text", "5", "(5)"],
  ["text", "2021-01-31", "(2021-01-31)"],
  ["text", "x", "(x)"],
  ["character varying(5)", "x", "(x)"],
  [
    "character varying(5)",
    "xxxxxx",
    /"v" is longer than character varying\(5\): "xxxxxx" in record 1/,
  ],
  ["date", "2021-01-31", "(2021-01-31)"],
  ["timestamp", "2021-01-31", '("2021-01-31 00:00:00")'],
  ["timestamp", "2021-01-31 12:00", '("2021-01-31 12:00:00")'],
  ["timestamptz", "2021-01-31T12:00Z", '("2021-01-31 12:00:00+00")'],
  ["timestamptz", "2021-01-31 12:00", /is timestamp with time zone, what arrives is timestamp;/],
  ["boolean", "true", "(t)"],
  ["uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "(6ba7b810-9dad-11d1-80b4-00c04fd430c8)"],
];

for (const mode of ["append", "replace"] as const) {
  Deno.test(`${mode} casts where no value changes, and refuses the rest`, async () => {
    await using database = await freshDatabase();
    for (const [i, [column, field, row]] of APPENDED.entries()) {
      const table = `t${i}`;
      await database.query(`CREATE TABLE ${table} (other int DEFAULT 7, v ${column} CHECK (true))`);
      const what = `${column} ${field}`;
      const loaded = load(database, `w,v\n,${field}\n`, { table, mode });
      await assert.rejects(loaded, /it has no column "w"; its columns are "other", "v"/, what);
      const copied = load(database, `v\n${field}\n`, { table, mode });
      if (typeof row === "string") {
        await copied;
        assert.deepEqual(await rows(database, table), [`(7,${row.slice(1)}`], what);
      } else {
        await assert.rejects(copied, row, what);
        assert.deepEqual(await rows(database, table), [], what);
      }
    }
    await nothingLeft(database);
  });
}

/** What keeps a table the same table. */
const KEPT: readonly (readonly [what: string, sql: string])[] = [
  ["a view", "CREATE VIEW v AS SELECT * FROM t"],
  ["a materialized view", "CREATE MATERIALIZED VIEW v AS SELECT * FROM t"],
  ["an index", "CREATE INDEX ON t (a)"],
  ["a primary key", "ALTER TABLE t ADD PRIMARY KEY (a)"],
  ["a grant", "GRANT SELECT ON t TO PUBLIC"],
  ["a grant on a column", "GRANT SELECT (a) ON t TO PUBLIC"],
  [
    "a foreign key",
    "CREATE TABLE o (a int PRIMARY KEY); INSERT INTO o VALUES (1), (2); ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o",
  ],
  ["a comment", "COMMENT ON TABLE t IS 'mine'"],
  ["a comment on a column", "COMMENT ON COLUMN t.a IS 'mine'"],
  ["a check", "ALTER TABLE t ADD CHECK (a > 0)"],
  ["a default", "ALTER TABLE t ALTER b SET DEFAULT 'x'"],
  ["a column that must be there", "ALTER TABLE t ALTER a SET NOT NULL"],
  [
    "a trigger",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
  ],
  ["a policy", "ALTER TABLE t ENABLE ROW LEVEL SECURITY"],
  ["a child", "CREATE TABLE c () INHERITS (t)"],
  ["a table of its rows", "CREATE TABLE o (x t[])"],
  [
    "a function of many of its rows",
    "CREATE FUNCTION h(t[]) RETURNS int LANGUAGE sql AS 'SELECT 1'",
  ],
  ["how replicas know its rows", "ALTER TABLE t REPLICA IDENTITY FULL"],
  ["how a column is stored", "ALTER TABLE t ALTER b SET STORAGE EXTERNAL"],
  ["how a column is compressed", "ALTER TABLE t ALTER b SET COMPRESSION pglz"],
  ["how a column is counted", "ALTER TABLE t ALTER b SET STATISTICS 500"],
  ["what is known of a column", "ALTER TABLE t ALTER b SET (n_distinct = -0.5)"],
  ["how a column is compared", 'ALTER TABLE t ALTER b TYPE text COLLATE "C"'],
  ["a type of its own", "CREATE TYPE y AS (a int, b text); ALTER TABLE t OF y"],
  ["statistics", "CREATE STATISTICS s ON a, b FROM t"],
  ["a function of its type", "CREATE FUNCTION h(t) RETURNS int LANGUAGE sql AS 'SELECT 1'"],
  ["a storage setting", "ALTER TABLE t SET (fillfactor = 50)"],
  ["another column", "ALTER TABLE t ADD c int DEFAULT 3"],
];

Deno.test("a table that others hold on to stays the same table", async () => {
  await using database = await freshDatabase();
  for (const [what, sql] of KEPT) {
    await database.query(
      "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE t (a int, b text)",
    );
    await database.query("INSERT INTO t VALUES (1, 'old')");
    await database.query(sql);
    const oid = () => database.query("SELECT 't'::regclass::oid");
    const before = await oid();
    await load(database, "a,b\n2,new\n");
    assert.deepEqual(await oid(), before, what);
    const now = await database.query("SELECT a, b FROM t");
    assert.deepEqual(now, [{ a: 2, b: "new" }], what);
    if (what === "a view") assert.deepEqual(await rows(database, "v"), ["(2,new)"]);
    await nothingLeft(database);
  }
});

/** What may be done to a table, and the rows that it then has itself. */
const HEIRLESS: readonly (readonly [options: Load, text: string, left: readonly string[]])[] = [
  [{}, "a,b\n1,new\n", ["(1,new)"]],
  [{ isolation: "mvcc" }, "a,b\n1,new\n", ["(1,new)"]],
  [{ parallel: 2 }, "a,b\n1,new\n", ["(1,new)"]],
  [{ allowEmpty: true }, "a,b\n", []],
  [{ mode: "append" }, "a,b\n1,new\n", ["(5,old)", "(1,new)"]],
  [{ mode: "partition", slice: { column: "a", from: 1, to: 99 } }, "a,b\n1,new\n", ["(1,new)"]],
  [{ mode: "merge", on: ["a"] }, "a,b\n7,new\n", ["(5,old)", "(7,new)"]],
  [{ mode: "merge", on: ["a"], deleteMissing: true }, "a,b\n7,new\n", ["(7,new)"]],
  [{ mode: "merge", on: ["a"], deleteMissing: true, allowEmpty: true }, "a,b\n", []],
];

Deno.test("tables that inherit from one keep their rows, whatever is done to it", async () => {
  await using database = await freshDatabase();
  for (const [options, text, left] of HEIRLESS) {
    await database.query(
      `DROP TABLE IF EXISTS t CASCADE; CREATE TABLE t (a int, b text); INSERT INTO t VALUES (5, 'old');
       CREATE TABLE c (PRIMARY KEY (a)) INHERITS (t); INSERT INTO c VALUES (7, 'theirs')`,
    );
    await load(database, text, options);
    const what = JSON.stringify(options);
    assert.deepEqual(await rows(database, "ONLY t"), left, what);
    assert.deepEqual(await rows(database, "c"), ["(7,theirs)"], what);
  }
  await database.query("TRUNCATE ONLY t");
  assert.equal((await load(database, "a,b\n")).rows, 0, "it has no rows that none could replace");
  await nothingLeft(database);
});

Deno.test("a table on whose rows others depend is left alone", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)");
  await database.query(
    "CREATE TABLE o (a int REFERENCES t ON DELETE CASCADE); INSERT INTO o VALUES (1)",
  );
  await assert.rejects(
    load(database, "a\n2\n"),
    /table "o" refers to its rows ON DELETE CASCADE \(o_a_fkey\), and would lose its own; use mode merge/,
  );
  assert.deepEqual([await rows(database), await rows(database, "o")], [["(1)"], ["(1)"]]);
  await nothingLeft(database);
});

Deno.test("what is no table is refused by what it is", async () => {
  await using database = await freshDatabase();
  await database.query(
    "CREATE VIEW t AS SELECT 1; CREATE SEQUENCE s; CREATE MATERIALIZED VIEW m AS SELECT 1",
  );
  for (
    const [table, what] of [["t", "a view"], ["s", "a sequence"], ["m", "a materialized view"]]
  ) {
    for (const mode of ["replace", "append"] as const) {
      await assert.rejects(load(database, "a\n1\n", { table: table!, mode }), {
        name: "GiveUp",
        message: `Cannot load into "${table}": it is ${what}; name a table`,
      });
    }
  }
});

Deno.test("only a header does not replace rows, unless that is allowed", async () => {
  await using database = await freshDatabase();
  assert.equal((await load(database, "a,b\n")).rows, 0, "a new table");
  assert.equal((await load(database, "a,b\n")).rows, 0, "an empty table");
  for (const kept of [false, true]) {
    await load(database, "a,b\n1,x\n");
    if (kept) await database.query("CREATE INDEX ON t (a)");
    await assert.rejects(load(database, "a,b\n"), {
      name: "GiveUp",
      message:
        'Cannot replace table "t", which has rows, by none: the source has only a header; if that is meant, ' +
        "allow it: --allow-empty (in code allowEmpty: true)",
    });
    assert.deepEqual(await rows(database), ["(1,x)"]);
    assert.equal((await load(database, "a,b\n", { mode: "append" })).rows, 0);
    assert.deepEqual(await rows(database), ["(1,x)"]);
    assert.equal((await load(database, "a,b\n", { allowEmpty: true })).rows, 0);
    assert.deepEqual(await rows(database), []);
  }
  await nothingLeft(database);
});

Deno.test("a stream of nothing at all is refused", async () => {
  await using database = await freshDatabase();
  const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
  const none = ReadableStream.from([] as RecordBatch[]);
  await assert.rejects(perform(copy({ table: "t" }), ctx, none), {
    name: "GiveUp",
    message: 'Cannot load into "t": nothing tells the columns',
  });
});

Deno.test("a table without columns can be added to by none of them", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE t ()");
  await assert.rejects(
    load(database, "a\n1\n", { mode: "append" }),
    /it has no column "a"; its columns are none\. /,
  );
});

Deno.test("a connection is looked up by its name", async () => {
  await using database = await freshDatabase();
  const asked: (string | undefined)[] = [];
  const connection = (name?: string): Promise<Connection> => {
    asked.push(name);
    return Promise.resolve({ url: database.url });
  };
  await perform(
    copy({ table: "t", connection: "other" }),
    testContext({ connection }),
    await batchesOf("a\n1\n"),
  );
  assert.deepEqual(asked, ["other"]);
});
