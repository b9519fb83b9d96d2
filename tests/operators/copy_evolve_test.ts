import assert from "node:assert/strict";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { load, nothingLeft, rows } from "./_load.ts";

await sharedPostgres();

async function columns(database: TestDatabase): Promise<string> {
  const all = await database.query<{ name: string; type: string }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
  );
  return all.map(({ name, type }) => `${name} ${type}`).join(", ");
}

const MODES = [{ mode: "append" }, { mode: "merge", on: ["id"] }] as const;

for (const mode of MODES) {
  Deno.test(`frozen columns: a difference is an error that tells all of them: ${mode.mode}`, async () => {
    await using database = await freshDatabase();
    await database.query(
      `CREATE TABLE t (id int PRIMARY KEY, a int, b text, n int NOT NULL, g int GENERATED ALWAYS AS (a * 2) STORED);
       INSERT INTO t VALUES (1, 1, 'x', 0)`,
    );
    await assert.rejects(load(database, "id,a,c,g\n2,x,1,4\n", mode), {
      name: "GiveUp",
      message:
        'Cannot load into table "t": its column "a" is integer, what arrives is text; declare the column\'s type, ' +
        'or change the table; and it has no column "c"; its columns are "id", "a", "b", "n", "g"; and its column "g" is ' +
        'computed by Postgres, and the source has one, too; and its column "n" must not be NULL, and the source has none. ' +
        'Columns are frozen: --evolution evolve (in code evolution: "evolve") adds and widens them, --evolution discard ' +
        '(in code evolution: "discard") leaves out those the table lacks',
    });
    assert.deepEqual(await rows(database), ["(1,1,x,0,2)"]);
    await nothingLeft(database);
  });

  Deno.test(`discarded columns are left out, and types stay: ${mode.mode}`, async () => {
    await using database = await freshDatabase();
    await load(database, "id,a\n1,1\n", mode);
    const options = { ...mode, evolution: "discard" } as const;
    const copied = await load(database, "x,id,y,a\nfoo,2,bar,5\n", options);
    assert.equal(copied.rows, 1);
    assert.deepEqual(copied.columns.map(({ name }) => name), ["id", "a"]);
    assert.deepEqual(copied.discarded, ["x", "y"]);
    assert.deepEqual(await rows(database), ["(1,1)", "(2,5)"]);
    await assert.rejects(
      load(database, "id,a\n3,x\n", options),
      /its column "a" is integer, what arrives is text/,
    );
    assert.equal(await columns(database), "id integer, a integer");
  });

  Deno.test(`evolving columns are added and widened, with what was there: ${mode.mode}`, async () => {
    await using database = await freshDatabase();
    const options = { ...mode, evolution: "evolve" } as const;
    await load(database, "id,a\n1,1\n", mode);
    await database.query("CREATE INDEX ON t (a); COMMENT ON COLUMN t.a IS 'mine'");
    await load(database, "b,id,a\nx,2,9999999999\n", options);
    assert.equal(await columns(database), "id integer, a bigint, b text");
    await load(database, "id,a\n3,0.1\n", options);
    assert.equal(await columns(database), "id integer, a numeric, b text");
    await load(database, "id,a,b\n4,N/A,2021-01-01\n", options);
    assert.equal(await columns(database), "id integer, a text, b text");
    assert.deepEqual(await rows(database), [
      "(1,1,)",
      "(2,9999999999,x)",
      "(3,0.1,)",
      "(4,N/A,2021-01-01)",
    ]);
    await nothingLeft(database);
  });
}

/** The type and a value of a column, what arrives, and what the column is then, with its values; or why not. */
const WIDENED: readonly (readonly [
  type: string,
  value: string,
  arrives: string,
  then: string | RegExp,
  values?: string[],
])[] = [
  ["smallint", "7", "70000", "integer", ["7", "70000"]],
  ["integer", "7", "9999999999", "bigint", ["7", "9999999999"]],
  ["integer", "7", "2.5", "double precision", ["2.5", "7"]],
  ["bigint", "9007199254740993", "2.5", "numeric", ["2.5", "9007199254740993"]],
  ["double precision", "0.1", "9007199254740993", "numeric", ["0.1", "9007199254740993"]],
  ["double precision", "0.30000000000000004", "12345678901234567890123", "numeric", [
    "0.30000000000000004",
    "12345678901234567890123",
  ]],
  ["real", "0.1", "2.5", "double precision", ["0.1", "2.5"]],
  ["real", "2.5", "0.1", "double precision", ["0.1", "2.5"]],
  ["numeric", "7", "0.30000000000000004", "numeric", ["0.30000000000000004", "7"]],
  ["date", "2021-01-01", "2021-01-31 12:00", "timestamp without time zone", [
    "2021-01-01 00:00:00",
    "2021-01-31 12:00:00",
  ]],
  ["date", "2021-01-01", "x", "text", ["2021-01-01", "x"]],
  ["date", "2021-01-01", "7", "text", ["2021-01-01", "7"]],
  ["boolean", "true", "x", "text", ["true", "x"]],
  ["uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "x", "text", [
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "x",
  ]],
  ["jsonb", '{"a": 1}', "x", "text", ["x", '{"a": 1}']],
  ["character varying(3)", "x", "y", "character varying(3)", ["x", "y"]],
  ["text", "x", "7", "text", ["7", "x"]],
  // What is spelled in ways that its type does not keep is not made text behind one's back.
  ["text", "x", "2.50", /what arrives is double precision; declare the column as text, so that/],
  ["date", "2021-01-01", "2.50", /what arrives is double precision; declare.*no type holds both/],
  ["boolean", "true", "7", "text", ["7", "true"]],
];

Deno.test("a column becomes the narrowest type that holds what it has and what comes", async () => {
  await using database = await freshDatabase();
  for (const [type, value, arrives, then, values] of WIDENED) {
    const what = `${type} ${arrives}`;
    await database.query(
      `DROP TABLE IF EXISTS t; CREATE TABLE t (v ${type}); INSERT INTO t VALUES ('${value}')`,
    );
    const loading = load(database, `v\n${arrives}\n`, { mode: "append", evolution: "evolve" });
    if (typeof then !== "string") {
      await assert.rejects(loading, then, what);
      continue;
    }
    await loading;
    assert.equal(await columns(database), `v ${then}`, what);
    const now = await database.query<{ v: string }>(
      `SELECT v::text FROM t ORDER BY v::text COLLATE "C"`,
    );
    assert.deepEqual(now.map(({ v }) => v), [...values!].sort(), what);
  }
  await nothingLeft(database);
});

Deno.test("a column that a view shows is not widened, and all is as it was", async () => {
  await using database = await freshDatabase();
  await database.query(
    "CREATE TABLE t (v int); INSERT INTO t VALUES (1); CREATE VIEW w AS SELECT v FROM t",
  );
  await assert.rejects(
    load(database, "v,n\nx,1\n", { mode: "append", evolution: "evolve" }),
    /cannot alter type of a column used by a view or rule .*rule _RETURN on view w.*All was rolled back/,
  );
  assert.equal(await columns(database), "v integer");
  await load(database, "v,n\n2,1\n", { mode: "append", evolution: "evolve" });
  assert.deepEqual(await rows(database), ["(1,)", "(2,1)"]);
});

Deno.test("loads that evolve one table at once, all come to their end", async () => {
  await using database = await freshDatabase();
  await load(database, "a\n0\n");
  const files = ["a,b\n1,x\n", "a,c\n9999999999,y\n", "b,a\nz,N/A\n", "a\n4\n"];
  await Promise.all(
    files.map((text) => load(database, text, { mode: "append", evolution: "evolve" })),
  );
  const now = await database.query("SELECT a::text, b, c FROM t ORDER BY 1");
  assert.deepEqual(now, [
    { a: "0", b: null, c: null },
    { a: "1", b: "x", c: null },
    { a: "4", b: null, c: null },
    { a: "9999999999", b: null, c: "y" },
    { a: "N/A", b: "z", c: null },
  ]);
  await nothingLeft(database);
});

/** Types of columns that no value comes for, and one that they have. */
const BLANKS: readonly (readonly [type: string, value: string])[] = [
  ["date", "2021-01-31"],
  ["integer", "7"],
  ["numeric(10,2)", "1.25"],
  ["timestamp(0) with time zone", "2021-01-31 00:00:00+00"],
  ["boolean", "true"],
  ["jsonb", "{}"],
  ["text[]", "{a}"],
  ["mood", "good"],
  ["character varying(3)", "abc"],
  ["character(3)", "abc"],
  ["text", "abc"],
];

for (const evolution of ["freeze", "discard", "evolve"] as const) {
  Deno.test(`a column without values is of the table's type, whatever that is: ${evolution}`, async () => {
    for (const onReject of [undefined, { limit: 1 }]) {
      await using database = await freshDatabase();
      const names = BLANKS.map((_, i) => `c${i}`);
      await database.query(
        `CREATE TYPE mood AS ENUM ('good', 'bad');
         CREATE TABLE t (id int, ${BLANKS.map(([type], i) => `c${i} ${type}`)});
         INSERT INTO t VALUES (1, ${BLANKS.map(([, value]) => `'${value}'`)});
         CREATE VIEW v AS SELECT * FROM t`,
      );
      const before = await columns(database);
      const text = `id,${names}\n2${",".repeat(names.length)}\n`;
      const options = { mode: "append", evolution, ...onReject && { onReject } } as const;
      assert.equal((await load(database, text, options)).rows, 1);
      assert.equal(await columns(database), before);
      const [all] = await database.query<{ row: string }>(
        "SELECT t::text AS row FROM t WHERE id = 2",
      );
      assert.equal(all!.row, `(2${",".repeat(names.length)})`);
    }
  });
}

Deno.test("a value that comes behind those of which all were NULL is read as the table's type", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE t (id int, d date, b boolean)");
  const behind = (line: string) => `id,d,b\n${"1,,\n".repeat(300_000)}${line}\n`;
  const options = { mode: "append" } as const;
  await load(database, behind("2,2021-01-31,"), options);
  assert.deepEqual(await database.query("SELECT count(*)::int AS n, max(d)::text AS d FROM t"), [
    { n: 300_001, d: "2021-01-31" },
  ]);
  await assert.rejects(
    load(database, behind("2,31.1.2021,"), options),
    /a value of column "d" is not of type date as it is written/,
  );
  await assert.rejects(
    load(database, behind("2,,true"), options),
    /a value of column "b" came behind .* all NULL, and no text is read as boolean/,
  );
  assert.deepEqual(await database.query("SELECT count(*)::int AS n FROM t"), [{ n: 300_001 }]);
});

Deno.test("decimals go into a numeric as they are, or not at all", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE t (amount numeric(30,2))");
  const options = { mode: "append" } as const;
  await load(database, "amount\n1.25\n1.5\n20000000000000000.25\n2.0e23\n1e22\n", options);
  await load(database, "amount\n0.1\n-1e3\n", options);
  assert.deepEqual(await rows(database), [
    "(1.25)",
    "(1.50)",
    "(20000000000000000.25)",
    "(200000000000000000000000.00)",
    "(10000000000000000000000.00)",
    "(0.10)",
    "(-1000.00)",
  ]);
  await assert.rejects(load(database, "amount\n1.255\n", options), /would be rounded by numeric/);
});
