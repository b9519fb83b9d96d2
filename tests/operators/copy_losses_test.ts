import assert from "node:assert/strict";
import fc from "fast-check";
// @ts-types="@types/pg"
import pg from "pg";
import { type Copied, copy, type CopyOptions, csv } from "../../operators/mod.ts";
import { listRejects, open, replayRejects } from "../../operators/mod.ts";
import { pipe } from "../../engine/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { load, nothingLeft, rows } from "./_load.ts";
import { chunked, readCsv } from "./_read_csv.ts";

await sharedPostgres();

/** Loads CSV into `t`, whatever is refused of it. */
async function tolerate(
  { url }: TestDatabase,
  text: string,
  { types = {}, ...options }: Omit<CopyOptions, "table"> & { types?: Record<string, string> } = {},
): Promise<Copied> {
  const ctx = testContext({ connection: () => Promise.resolve({ url }) });
  const tolerance = { types, onReject: { limit: Infinity } };
  const batches = await perform(csv(tolerance as never), ctx, chunked(text));
  return await perform(copy({ table: "t", key: crypto.randomUUID(), ...options }), ctx, batches);
}

const MODES: Omit<CopyOptions, "table">[] = [
  { mode: "append" },
  { mode: "append", parallel: 2 },
  { mode: "append", staging: "committed" },
  { mode: "append", evolution: "evolve" },
  { mode: "merge", on: ["id"] },
  { mode: "replace" },
  { mode: "replace", isolation: "mvcc" },
  { mode: "partition", slice: { column: "id", from: 0, to: 100 } },
];

/** The type of a column of the table, what is declared to arrive, a value that goes in, one that does not, and why. */
const LIMITED: [type: string, declared: string, fits: string, not: string, why: string][] = [
  ["numeric(10,2)", "numeric", "1.50", "1.005", "would be rounded by numeric(10,2)"],
  ["numeric(4,2)", "numeric", "-99.99", "100", "is too large for numeric(4,2)"],
  ["numeric(4,0)", "integer", "9999", "10000", "is too large for numeric(4,0)"],
  [
    "timestamp(0)",
    "timestamp",
    "2021-01-01T10:00:00.000",
    "2021-01-01T10:00:00.75",
    "would be rounded by timestamp(0) without time zone",
  ],
  [
    "timestamptz(3)",
    "timestamptz",
    "2021-01-01T10:00:00.123Z",
    "2021-01-01T10:00:00.1234Z",
    "would be rounded by timestamp(3) with time zone",
  ],
  ["varchar(3)", "text", "äöü", "ab  ", "is longer than character varying(3)"],
  ["smallint", "integer", "-32768", "32768", "is out of range for smallint"],
  ["integer", "bigint", "2147483647", "-2147483649", "is out of range for integer"],
];

Deno.test("no mode rounds or cuts a value to what its column keeps: it fails, and says which", async () => {
  await using database = await freshDatabase();
  for (const [type, declared, fits, not, why] of LIMITED) {
    await database.query(
      `DROP TABLE IF EXISTS t; CREATE TABLE t (id integer PRIMARY KEY, v ${type});
      INSERT INTO t VALUES (7, NULL)`,
    );
    for (const mode of type === LIMITED[0]![0] ? MODES : MODES.slice(0, 1)) {
      const what = `${type} ${JSON.stringify(mode)}`;
      const text = `id,v\n1,${fits}\n2,${not}\n`;
      const error: Error = await load(database, text, { types: { v: declared }, ...mode }).then(
        () => assert.fail(what),
        (error) => error,
      );
      assert.equal(error.name, "GiveUp", what);
      const told = `Cannot load into "t": a value of column "v" ${why}: `;
      assert.equal(error.message.slice(0, told.length), told, what);
      const numbered = mode.mode !== "merge" && mode.parallel === undefined;
      assert.equal(error.message.includes(" in record 2. "), numbered, what);
      assert.deepEqual(await rows(database), ["(7,)"], what);
    }
  }
  await nothingLeft(database);
});

Deno.test("where rows may be refused, those are whose value would be another, and none else", async () => {
  await using database = await freshDatabase();
  for (const [type, declared, fits, not] of LIMITED) {
    for (const mode of type === LIMITED[0]![0] ? MODES : MODES.slice(0, 1)) {
      const what = `${type} ${JSON.stringify(mode)}`;
      await database.query(`DROP TABLE IF EXISTS t, t__rejects;
        CREATE TABLE t (id integer PRIMARY KEY, v ${type})`);
      const text = `id,v\n1,${fits}\n2,${not}\n3,\n`;
      const copied = await tolerate(database, text, { types: { v: declared }, ...mode });
      assert.deepEqual([copied.rows, copied.rejected], [2, 1], what);
      const [row] = await database.query(`SELECT v = '${fits}' AS same FROM t WHERE id = 1`);
      assert.deepEqual(row, { same: true }, what);
      const [{ record, rule, column, row: values }, ...more] = await listRejects(database, {
        table: "t",
      }) as [Awaited<ReturnType<typeof listRejects>>[number]];
      assert.deepEqual([record, rule, column, more], [2, "value", "v", []], what);
      assert.equal(values!.id, "2", what);
    }
  }
});

Deno.test("a second merge writes nothing, whatever limits the columns have", async () => {
  await using database = await freshDatabase();
  await database.query(
    "CREATE TABLE t (id integer PRIMARY KEY, n numeric(10,2), at timestamp(0), s varchar(5))",
  );
  const text = "id,n,at,s\n1,1.5,2021-01-01T10:00:00.00,ab \n2,3,2021-01-01T10:00:00,x\n";
  const options = {
    mode: "merge",
    on: ["id"],
    types: { n: "numeric", at: "timestamp", s: "text" },
  } as const;
  const first = await load(database, text, options), second = await load(database, text, options);
  assert.deepEqual(first.merged, { inserted: 2, updated: 0, deleted: 0, duplicates: 0 });
  assert.deepEqual(second.merged, { inserted: 0, updated: 0, deleted: 0, duplicates: 0 });
});

Deno.test("of rows with one key, the last one counts whose values stay the same", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE t (id integer PRIMARY KEY, v numeric(10,2))");
  const text = "id,v\n1,1.5\n1,2.5\n1,3.555\n2,4.444\n2,5.555\n";
  const { rejected, rows: count, merged } = await tolerate(database, text, {
    mode: "merge",
    on: ["id"],
    types: { v: "numeric" },
  });
  assert.deepEqual(await rows(database), ["(1,2.50)"]);
  assert.deepEqual([count, rejected, merged!.duplicates], [2, 3, 1]);
});

/** Types of a column, the type it is read as, and a value of no other that is as narrow; then some that are like them. */
const KINDS: [type: string, read: string, of: string, like: string[]][] = [
  ["smallint", "integer", "7", ["32767", "-32768", "40000"]],
  ["integer", "integer", "7", ["2147483647", "-2147483648", "1234567890"]],
  ["bigint", "bigint", "5000000000", ["9223372036854775807", "12345678901234567890"]],
  ["double precision", "double precision", "0.5", [
    ...["12345678901234567890", "0.1234567890123456789", "0.30000000000000004", "1e400", "1e-400"],
    ...[
      "4.9e-324",
      "5e-324",
      "1.7976931348623157e308",
      "1.7976931348623159e308",
      "9007199254740993",
    ],
    ...["1e22", "123456789012345678", "2.2250738585072011e-308", "1e99999", "Infinity", "-inf"],
    ...["1e23", "-2.0e23", "5e22", "100000000000000000000000", "9007199254740992", "1e15", "1e16"],
  ]],
  ["numeric", "numeric", "0.12345678901234567890123", ["12345678901234567890", "1e400", "1e-400"]],
  ["date", "date", "2021-01-31", ["2020-02-29", "2021-02-29", "0000-01-01", "9999-12-31"]],
  ["timestamp", "timestamp", "2021-01-31T10:00", [
    ...["2021-01-31 23:59:59.999999", "2021-01-31 24:00", "2021-01-31 10:00:60", "2021-01-31"],
    ...["2021-01-31T10:00:00.1234567", "2021-01-31T10:00:00+09:00", "2021-01-31T22:15Z"],
  ]],
  ["timestamptz", "timestamptz", "2021-01-31T10:00Z", [
    ...["2021-01-31 10:00:00.5+05", "2021-01-31 10:00+0530", "2021-01-31 10:00-15:59"],
    ...["2021-01-31 10:00+16:00", "2021-01-31 10:00", "2021-06-01 10:00 America/New_York"],
  ]],
  ["uuid", "uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", [
    ...["6BA7B810-9dad-11d1-80b4-00c04fd430c8", "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}"],
    "6ba7b8109dad11d180b400c04fd430c8",
  ]],
];

/** What Postgres takes for numbers and times, and more. */
const STRANGE = [
  ...["00491", "+7", "-0", "0", "-7", " 7", "7 ", "1_000", "0x1F", "7.", ".5", "-.5", ".", "1e3"],
  ...["1E+03", "07.5", "2.50", "NaN", "nan", "infinity", "now", "today", "epoch", "1,5", "١"],
  ...["2021-01-31 BC", "20210131", "2021-1-31", "01/02/2021", "31.01.2021", "t", "true", ""],
];

/** Texts that are like some of these. */
function near(like: readonly string[]): fc.Arbitrary<string> {
  const signs = [..."0123456789+-.:eETZ nNaf_"];
  return fc.tuple(
    fc.constantFrom(...like),
    fc.array(fc.tuple(fc.nat(), fc.nat(2), fc.constantFrom(...signs)), { maxLength: 2 }),
  ).map(([text, edits]) =>
    edits.reduce((text, [at, remove, sign]) => {
      const i = at % (text.length + 1);
      return text.slice(0, i) + (remove === 2 ? "" : sign) + text.slice(i + (remove === 0 ? 0 : 1));
    }, text)
  );
}

for (const [type, read, of, like] of KINDS) {
  Deno.test(`text in a column of ${type} is what it would be had the column no other text`, async () => {
    await using database = await freshDatabase();
    /** The values of a column, by number, and those that are stored of them. */
    const stored = async (values: ReadonlyMap<number, string>): Promise<Map<number, string>> => {
      await database.query("TRUNCATE t");
      const lines = Array.from(values, ([id, v]) => `${id},"${v}"`.replace(/"([^, ]*)"$/, "$1"));
      await tolerate(database, `id,v\n${lines.join("\n")}\n`, { mode: "append" });
      const found = await database.query<{ id: number; v: string }>(
        "SELECT id, v::text FROM t WHERE id > 0 AND v IS NOT NULL ORDER BY id",
      );
      return new Map(found.map(({ id, v }) => [id, v]));
    };
    await database.query(`CREATE TABLE t (id integer, v ${type})`);
    const all = [of, ...like, ...STRANGE];
    const check = async (values: readonly string[]): Promise<void> => {
      const numbered = values.map((v, i) => [i + 1, v] as const);
      const alone = new Map<number, string>([[0, of]]);
      for (const [id, v] of numbered) {
        const { types } = await readCsv(
          `id,v\n1,${of}\n2,"${v}"\n`.replace(/"([^, ]*)"\n$/, "$1\n"),
        );
        if (types[1] === read) alone.set(id, v);
      }
      const expected = await stored(alone);
      const found = await stored(new Map([[-1, "N/A"], ...numbered]));
      const named = (map: Map<number, string>) => [...map].map(([id, v]) => [values[id - 1], v]);
      assert.deepEqual(named(found), named(expected));
    };
    await check(all);
    await fc.assert(
      fc.asyncProperty(fc.array(near(all), { minLength: 50, maxLength: 200 }), check),
      { numRuns: 2, endOnFailure: true },
    );
  });
}

Deno.test("text whose numbers are written otherwise is not read as Postgres would", async () => {
  await using database = await freshDatabase();
  for (const before of ["N/A;N/A", "1,5;1,5"]) {
    await database.query(
      "DROP TABLE IF EXISTS t, t__rejects; CREATE TABLE t (n double precision, m double precision)",
    );
    const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
    const text = `n;m\n${before}\n1.234;1\n2;2\n${"5;5\n".repeat(300)}N/A;N/A\n3;1.234\n4;1234,5\n`;
    const path = await Deno.makeTempFile();
    await Deno.writeTextFile(path, text);
    await perform(
      pipe(
        open({ file: path }),
        csv({ decimal: ",", sampleBytes: 512, onReject: { limit: Infinity } } as never),
        copy({ table: "t", mode: "append" }),
      ),
      ctx,
    );
    const found = await database.query("SELECT n, m FROM t WHERE n <> 5 ORDER BY n");
    assert.deepEqual(found, [{ n: 2, m: 2 }], before);
    await replayRejects(database, { table: "t" });
    assert.deepEqual(await database.query("SELECT FROM t WHERE 1.234 IN (n, m)"), [], before);
  }
});

Deno.test("a replay makes no other value of a reject than a load would", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE t (id integer PRIMARY KEY, n integer, v numeric(10,2))");
  await tolerate(database, "id,n,v\n1,N/A,1\n2,007,1\n3,7,1.005\n", {
    mode: "append",
    types: { v: "numeric" },
  });
  assert.deepEqual((await replayRejects(database, { table: "t" })).rejected, 3);
  assert.deepEqual(await rows(database), []);
  const found = await listRejects(database, { table: "t" });
  assert.deepEqual(found.map(({ rule, column }) => [rule, column]), [
    ["value", "n"],
    ["value", "n"],
    ["value", "v"],
  ]);
  const corrected = [{ id: "2", row: { id: "2", n: "7", v: "1.00" } }];
  assert.equal((await replayRejects(database, { table: "t", rows: corrected })).replayed, 1);
  assert.deepEqual(await rows(database), ["(2,7,1.00)"]);
});

Deno.test("a row with characters that the database lacks is refused, and told without them", async () => {
  const server = await sharedPostgres();
  for (const encoding of ["LATIN1", "WIN1252"]) {
    const name = `lacks_${encoding.toLowerCase()}`;
    await server.query(
      `CREATE DATABASE ${name} TEMPLATE template0 ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C'`,
    );
    const client = new pg.Client(server.url.replace(/[^/]*$/, name));
    await client.connect();
    try {
      const database = { ...server, url: server.url.replace(/[^/]*$/, name) };
      const text = "a,b\n1,é\n2,€\nテ,x\n3,z\\u20ac\n4,😀 ü\n5,ÿ\n6,c\nq,d\n7,\n";
      const lacks = encoding === "LATIN1" ? ["2", "4"] : ["4"];
      for (const mode of MODES.filter(({ slice }) => !slice)) {
        const what = `${encoding} ${JSON.stringify(mode)}`;
        await client.query("DROP TABLE IF EXISTS t, t__rejects");
        if (mode.mode === "append") {
          await client.query("CREATE TABLE t (a integer CHECK (a <> 6), b text)");
        }
        const on = mode.on && { on: ["a"] };
        const options = { types: { a: "integer" }, ...mode, ...on };
        const copied = await tolerate(database, text, options);
        const checked = mode.mode === "append" ? 1 : 0;
        assert.equal(copied.rejected, 2 + lacks.length + checked, what);
        const found = await client.query("SELECT a::text, b FROM t ORDER BY a");
        const all = [["1", "é"], ["2", "€"], ["3", "z\\u20ac"], ["5", "ÿ"], ["6", "c"], [
          "7",
          null,
        ]];
        const expected = all.filter(([a]) => !lacks.includes(a!) && !(checked && a === "6"));
        assert.deepEqual(found.rows.map(({ a, b }) => [a, b]), expected, what);
        const { rows: refused } = await client.query(
          `SELECT record::text, line::text, rule, column_name, raw, "row" FROM t__rejects WHERE rule = 'encoding' ORDER BY id`,
        );
        const shown = [
          ["2", "3", "b", "2,\\u20ac", { a: "2", b: "\\u20ac" }],
          ["5", "6", "b", "4,\\ud83d\\ude00 ü", { a: "4", b: "\\ud83d\\ude00 ü" }],
        ].slice(-lacks.length);
        assert.deepEqual(
          refused.map((r) => [r.record, r.line, r.column_name, r.raw, r.row]),
          shown,
          what,
        );
        const { rows: typed } = await client.query(
          "SELECT raw FROM t__rejects WHERE rule = 'type' ORDER BY id",
        );
        assert.deepEqual(typed, [{ raw: "\\u30c6,x" }, { raw: "q,d" }], what);
      }
    } finally {
      await client.end();
      await server.query(`DROP DATABASE ${name} WITH (FORCE)`);
    }
  }
});

Deno.test("what cannot be a load of columns is told before Postgres has to", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE t (a integer)");
  const discard = { evolution: "discard" } as const;
  await assert.rejects(load(database, "id,v\n1,2\n", { mode: "append", ...discard }), {
    name: "GiveUp",
    message: /"t": it has none of the columns that arrive, "id", "v"/,
  });
  await assert.rejects(load(database, "id,a\n1,2\n", { mode: "merge", on: ["id"], ...discard }), {
    name: "GiveUp",
    message: 'Cannot merge into "t" on column "id": source and table have "a"',
  });
  const names = Array.from({ length: 1598 }, (_, i) => `c${i}`);
  const wide = `${names}\n${names.map(() => 1)}\n`;
  await assert.rejects(tolerate(database, wide, { mode: "append", schema: "public" }), {
    name: "GiveUp",
    message: /it has no column "c0"/,
  });
  await database.query("DROP TABLE t");
  await assert.rejects(tolerate(database, wide, { mode: "append" }), {
    name: "GiveUp",
    message: /Cannot keep aside what is refused of 1598 columns.*5 more.*at most 1600/,
  });
  await nothingLeft(database);
});
