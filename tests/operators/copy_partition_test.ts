import assert from "node:assert/strict";
import { type Copied, copy, type CopyOptions } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { load, nothingLeft } from "./_load.ts";
import { batchesOf } from "./_read_csv.ts";

await sharedPostgres();

/** Loads CSV into `t` as the run of a month of 2021 does. */
async function loadMonth(
  database: TestDatabase,
  month: number,
  text: string,
  options: Partial<CopyOptions> = {},
  zone = "UTC",
): Promise<Copied> {
  const start = Temporal.ZonedDateTime.from(
    `2021-${String(month).padStart(2, "0")}-01T00:00[${zone}]`,
  );
  const ctx = {
    ...testContext({ connection: () => Promise.resolve({ url: database.url }) }),
    date: start,
    interval: { start, end: start.add({ months: 1 }) },
  };
  const work = copy({ table: "t", mode: "partition", slice: { column: "at" }, ...options });
  return await perform(work, ctx, await batchesOf(text));
}

function all(database: TestDatabase) {
  return database.query<{ at: string; v: string }>("SELECT at::text, v FROM t ORDER BY at, v")
    .then((rows) => rows.map(({ at, v }) => `${at} ${v}`));
}

function partitions(database: TestDatabase) {
  return database.query<{ name: string; bounds: string }>(
    `SELECT relname AS name, pg_get_expr(relpartbound, oid) AS bounds FROM pg_class
     WHERE relispartition AND relkind = 'r' ORDER BY relname`,
  );
}

/** The tables a slice can be in. */
const TABLES: readonly (readonly [what: string, sql: string | undefined])[] = [
  ["a new table", undefined],
  ["a plain table", "CREATE TABLE t (at date, v text)"],
  ["a table of timestamps", "CREATE TABLE t (at timestamp, v text)"],
  [
    "one that others refer to",
    "CREATE TABLE t (at date, v text, k int GENERATED ALWAYS AS IDENTITY PRIMARY KEY); CREATE TABLE o (k int REFERENCES t)",
  ],
  [
    "a table of monthly partitions",
    "CREATE TABLE t (at date, v text) PARTITION BY RANGE (at); CREATE TABLE p1 PARTITION OF t FOR VALUES FROM ('2021-01-01') TO ('2021-02-01')",
  ],
  [
    "a table of yearly partitions",
    "CREATE TABLE t (at date, v text) PARTITION BY RANGE (at); CREATE TABLE p PARTITION OF t FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')",
  ],
  [
    "a table with a partition for the rest",
    "CREATE TABLE t (at date, v text) PARTITION BY RANGE (at); CREATE TABLE p PARTITION OF t DEFAULT",
  ],
  [
    "a table partitioned by another column",
    "CREATE TABLE t (at date, v text) PARTITION BY LIST (v); CREATE TABLE p PARTITION OF t DEFAULT",
  ],
];

for (const [what, sql] of TABLES) {
  Deno.test(`a run replaces the rows of its interval and no others: ${what}`, async () => {
    await using database = await freshDatabase();
    if (sql) await database.query(sql);
    await loadMonth(database, 1, "at,v\n2021-01-01,a\n2021-01-31,b\n");
    await loadMonth(database, 2, "at,v\n2021-02-01,c\n");
    await loadMonth(database, 1, "at,v\n2021-01-02,A\n");
    await loadMonth(database, 1, "at,v\n2021-01-02,A\n2021-01-03,B\n");
    const time = what.includes("timestamps") ? " 00:00:00" : "";
    assert.deepEqual(await all(database), [
      `2021-01-02${time} A`,
      `2021-01-03${time} B`,
      `2021-02-01${time} c`,
    ]);
    for (const row of ["2021-02-01,x", "2020-12-31,x", ",x"]) {
      await assert.rejects(
        loadMonth(database, 1, `at,v\n2021-01-05,y\n${row}\n`),
        /^GiveUp: Cannot replace a slice of table "t": 1 rows of the source are not in it, since their "at" is not from 2021-01-01/,
      );
    }
    assert.equal((await all(database)).length, 3);
    await assert.rejects(
      loadMonth(database, 1, "at,v\n"),
      /a slice of table "t", which has rows, by none/,
    );
    await loadMonth(database, 1, "at,v\n", { allowEmpty: true });
    assert.deepEqual(await all(database), [`2021-02-01${time} c`]);
    assert.deepEqual(
      await database.query("SELECT load_key, rows::int FROM sluice.loads ORDER BY load_key"),
      [
        { load_key: "test/test/2021-01-01T00:00:00Z", rows: 0 },
        { load_key: "test/test/2021-02-01T00:00:00Z", rows: 1 },
      ],
    );
    await nothingLeft(database);
  });
}

Deno.test("a partition is exchanged for another with its name and indexes, and made where there is none", async () => {
  await using database = await freshDatabase();
  await database.query(
    `CREATE TABLE t (at timestamptz NOT NULL, v text DEFAULT 'd' CHECK (v <> 'bad'), n int DEFAULT 5) PARTITION BY RANGE (at);
     CREATE INDEX ON t (v); ALTER TABLE t ADD PRIMARY KEY (at); ALTER TABLE t ALTER v SET STORAGE EXTERNAL;
     CREATE TABLE o (n int PRIMARY KEY); INSERT INTO o VALUES (5); ALTER TABLE t ADD FOREIGN KEY (n) REFERENCES o;
     CREATE SCHEMA store;
     CREATE TABLE store.first PARTITION OF t FOR VALUES FROM ('2020-12-31 23:00Z') TO ('2021-01-31 23:00Z')`,
  );
  const oid = () => database.query("SELECT 'store.first'::regclass::oid");
  const zone = "Europe/Berlin";
  for (const key of ["one", "two"]) {
    const before = await oid();
    const text = "at,v\n2020-12-31T23:00Z,a\n2021-01-31T22:59:59Z,b\n";
    await loadMonth(database, 1, text, { key }, zone);
    assert.notDeepEqual(await oid(), before, key);
  }
  await loadMonth(database, 2, "at,v\n2021-01-31T23:00Z,c\n", {}, zone);
  assert.deepEqual(await partitions(database), [
    {
      name: "first",
      bounds: "FOR VALUES FROM ('2020-12-31 23:00:00+00') TO ('2021-01-31 23:00:00+00')",
    },
    {
      name: "t_20210131230000",
      bounds: "FOR VALUES FROM ('2021-01-31 23:00:00+00') TO ('2021-02-28 23:00:00+00')",
    },
  ]);
  assert.deepEqual(await database.query("SELECT n, v FROM store.first ORDER BY v"), [{
    n: 5,
    v: "a",
  }, {
    n: 5,
    v: "b",
  }]);
  const [indexes] = await database.query(
    "SELECT count(*)::int AS n FROM pg_index WHERE indrelid = 'store.first'::regclass AND indisvalid",
  );
  assert.deepEqual(indexes, { n: 2 });
  await assert.rejects(
    loadMonth(database, 2, "at,v\n2021-02-01T00:00Z,bad\n", {}, zone),
    /violates check constraint/,
  );
  await assert.rejects(
    loadMonth(database, 2, "at,v\n2021-02-01T00:00Z,x\n2021-02-01T00:00Z,y\n", {}, zone),
    /duplicate key/,
  );
  assert.equal((await all(database)).length, 3);
  await nothingLeft(database);
});

/** What a partition or its table has, that another partition would not. */
const HELD: readonly (readonly [what: string, sql: string])[] = [
  ["a view", "CREATE VIEW w AS SELECT * FROM p1"],
  ["a grant", "GRANT SELECT ON p1 TO PUBLIC"],
  ["a comment", "COMMENT ON TABLE p1 IS 'mine'"],
  ["a check", "ALTER TABLE p1 ADD CHECK (v <> 'bad')"],
  ["a key", "ALTER TABLE p1 ADD UNIQUE (v)"],
  ["an index", "CREATE INDEX ON p1 (v)"],
  ["a default", "ALTER TABLE p1 ALTER v SET DEFAULT 'its'"],
  ["a column that must be there", "ALTER TABLE p1 ALTER v SET NOT NULL"],
  ["how replicas know its rows", "ALTER TABLE p1 REPLICA IDENTITY FULL"],
  ["how a column is stored", "ALTER TABLE p1 ALTER v SET STORAGE EXTERNAL"],
  ["how a column is counted", "ALTER TABLE p1 ALTER v SET STATISTICS 500"],
  ["a grant on a column", "GRANT SELECT (v) ON p1 TO PUBLIC"],
  [
    "a trigger of its own",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER g AFTER INSERT ON p1 FOR EACH ROW EXECUTE FUNCTION f()",
  ],
  [
    "a trigger",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := NEW.v; RETURN NEW; END'; CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
  ],
  [
    "a foreign key to it",
    "ALTER TABLE p1 ADD PRIMARY KEY (at); CREATE TABLE o (at date REFERENCES p1)",
  ],
];

Deno.test("a partition that others hold on to stays the same table", async () => {
  await using database = await freshDatabase();
  for (const [what, sql] of HELD) {
    await database.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    await database.query(TABLES.find(([what]) => what.includes("monthly"))![1]!);
    await database.query(sql);
    const oid = () => database.query("SELECT 'p1'::regclass::oid");
    const before = await oid();
    await loadMonth(database, 1, "at,v\n2021-01-01,a\n");
    await loadMonth(database, 1, "at,v\n2021-01-01,b\n", { key: "again" });
    assert.deepEqual(await oid(), before, what);
    assert.deepEqual(await all(database), ["2021-01-01 b"], what);
    await loadMonth(database, 1, "at,v\n2021-01-01,bad\n").then(
      () => assert.notEqual(what, "a check"),
      (error) => assert.match(error.message, /violates check constraint/),
    );
    if (what === "a view") assert.equal((await database.query("SELECT FROM w")).length, 1);
    await nothingLeft(database);
  }
});

Deno.test("a slice may have bounds of its own, of any type", async () => {
  await using database = await freshDatabase();
  await load(database, "n,s\n1,a\n2,b\n3,c\n4,it's\n");
  const slice = (column: string, from: string | number, to: string | number, text: string) =>
    load(database, text, { mode: "partition", slice: { column, from, to } });
  await slice("n", 2, 4, "n,s\n2,B\n");
  await slice("s", "c", "it's\\", "n,s\n4,it's\n5,d\n");
  const rows = await database.query("SELECT n, s FROM t ORDER BY n");
  assert.deepEqual(rows, [{ n: 1, s: "a" }, { n: 2, s: "B" }, { n: 4, s: "it's" }, {
    n: 5,
    s: "d",
  }]);
});

/** Slices that are refused, and why. */
const REFUSED: readonly (readonly [options: Partial<CopyOptions>, why: RegExp])[] = [
  [
    { slice: { column: "no" } },
    /^GiveUp: Cannot replace a slice of table "t": it has no column "no"/,
  ],
  [
    { slice: { column: "v" } },
    /its column "v" is text, neither a date nor a timestamp; give the slice its from and to/,
  ],
  [{ slice: { column: "v", from: "a" } }, /^TypeError: .*a slice has both bounds/],
  [{ slice: { column: "v" }, mode: "append" }, /slice\) belongs to mode partition/],
  ...[
    [
      "at",
      "x",
      "y",
      'slice of table "t" by "at", which is date: the bound "x" is not a date as in ISO',
    ],
    ["at", "01.01.2021", "01.02.2021", 'the bound "01.01.2021" is not a date as in ISO 8601'],
    ["v", "1/2/2021", "1/3/2021", 'the bound "1/2/2021" is not a date as in ISO 8601'],
    ["at", "2021-02-30", "2021-03-01", 'the bound "2021-02-30" is not a date'],
    ["at", "2021-01-03", "2021-01-02", "no row is from 2021-01-03 on and before 2021-01-02"],
    ["at", "2021-01-02", "2021-01-02", "the first bound must be the lower one"],
  ].map(([column, from, to, why]) => {
    return [{ slice: { column: column!, from: from!, to: to! } }, new RegExp(why!)] as const;
  }),
];

Deno.test("a slice that cannot be told is refused", async () => {
  await using database = await freshDatabase();
  await loadMonth(database, 1, "at,v\n2021-01-01,a\n");
  for (const [options, why] of REFUSED) {
    await assert.rejects(loadMonth(database, 1, "at,v\n2021-01-02,b\n", options), why);
  }
  await assert.rejects(
    loadMonth(database, 1, "v\nb\n"),
    /^GiveUp: .* the source has no column "at", which tells the rows of the slice; its columns are "v"/,
  );
  await assert.rejects(
    perform(
      copy({ table: "t", mode: "partition" }),
      testContext({ connection: () => Promise.resolve({ url: database.url }) }),
      await batchesOf("at,v\n2021-01-02,b\n"),
    ),
    /mode partition needs the column that tells the slice/,
  );
  assert.deepEqual(await all(database), ["2021-01-01 a"]);
  await nothingLeft(database);
});

Deno.test("months that are loaded at once do not disturb one another", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE t (at date, v text) PARTITION BY RANGE (at)");
  const months = [1, 2, 3, 4];
  for (let round = 0; round < 2; round++) {
    await Promise.all(
      months.map((month) => loadMonth(database, month, `at,v\n2021-0${month}-02,${round}\n`)),
    );
  }
  assert.deepEqual(await all(database), months.map((month) => `2021-0${month}-02 1`));
  assert.equal((await partitions(database)).length, 4);
  await nothingLeft(database);
});
