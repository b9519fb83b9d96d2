import assert from "node:assert/strict";
import { type Copied, copy, type CopyOptions, csv, type OnReject } from "../../operators/mod.ts";
import {
  http,
  jsonLines,
  listLoads,
  listRejects,
  listRejectTables,
  parquet,
} from "../../operators/mod.ts";
import { type Correction, replayRejects } from "../../operators/mod.ts";
import { GiveUp, pipe } from "../../engine/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, type TestDatabase } from "../_postgres.ts";
import { nothingLeft, rows } from "./_load.ts";
import { chunked } from "./_read_csv.ts";

interface Options extends Omit<CopyOptions, "table"> {
  table?: string;
  types?: Record<string, string>;
  onReject?: OnReject;
}

/** Loads CSV into `t`, whatever is refused of it. */
async function load(
  { url }: TestDatabase,
  text: string | ReadableStream<Uint8Array<ArrayBuffer>>,
  { types = {}, onReject = { limit: Infinity }, ...options }: Options = {},
): Promise<Copied> {
  const ctx = testContext({ connection: () => Promise.resolve({ url }) });
  const bytes = typeof text === "string" ? chunked(text) : text;
  const batches = await perform(csv({ types, onReject, sampleBytes: 512 } as never), ctx, bytes);
  return await perform(copy({ table: "t", ...options } as never), ctx, batches);
}

/** The rejects of a table: record, line, rule, column. */
async function refused(database: TestDatabase, table = "t"): Promise<unknown[][]> {
  const found = await listRejects(database, { table, all: true, limit: 10_000 });
  return found.map(({ record, line, rule, column }) => [record, line, rule, column]);
}

const INTEGER = { types: { a: "integer" } };

Deno.test("what is refused is in a table beside, and in the file that was asked for", async () => {
  await using database = await freshDatabase();
  const file = await Deno.makeTempFile();
  const source = { url: "https://user:secret@example.com/a.csv" };
  const copied = await load(database, 'a,b\n1,x\ny,"z"\n2,"w"v\n3,u\n', {
    ...INTEGER,
    onReject: { limit: 2, file },
    source,
    key: "k",
  });
  assert.deepEqual(copied.rejects, { table: "t__rejects", rules: { type: 1, quotes: 1 }, file });
  assert.deepEqual([copied.rows, copied.rejected], [2, 2]);
  assert.deepEqual(await rows(database), ["(1,x)", "(3,u)"]);
  const [first, second, ...others] = await listRejects(database, { table: "t" });
  assert.deepEqual(others, []);
  const { refused, ...rest } = first!;
  assert.ok(Math.abs(Date.parse(refused) - Date.now()) < 60_000);
  assert.deepEqual(rest, {
    id: "1",
    load: "k",
    run: "test/manual__20210101T000000Z/test/1",
    source: "https://example.com/a.csv",
    record: 2,
    line: 3,
    from: 8,
    to: 13,
    column: "a",
    rule: "type",
    message: '"y" is not of type integer',
    raw: 'y,"z"',
    bytes: null,
    row: { a: "y", b: "z" },
    replayed: null,
  });
  assert.equal(second!.raw, '2,"w"v');
  const lines = (await Deno.readTextFile(file)).trimEnd().split("\n").map((line) =>
    JSON.parse(line)
  );
  assert.deepEqual(
    lines.map(({ record, rule, raw, source, table }) => ({ record, rule, raw, source, table })),
    [
      { record: 2, rule: "type", raw: 'y,"z"', source: "https://example.com/a.csv", table: "t" },
      { record: 3, rule: "quotes", raw: '2,"w"v', source: "https://example.com/a.csv", table: "t" },
    ],
  );
  const [loaded] = await listLoads(database);
  assert.deepEqual([loaded!.rows, loaded!.rejected], [2, 2]);
  // A load of which nothing is refused leaves no file, and no rejects of what it replaced.
  assert.equal((await load(database, "a\n1\n", { onReject: { limit: 2, file } })).rejected, 0);
  await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
  assert.deepEqual(await listRejects(database, { table: "t" }), []);
});

const LIMITS: { limit: number; bad: number; of: number; loads: boolean }[] = [
  { limit: 0, bad: 0, of: 10, loads: true },
  { limit: 0, bad: 1, of: 10, loads: false },
  { limit: 3, bad: 2, of: 10, loads: true },
  { limit: 3, bad: 3, of: 10, loads: true },
  { limit: 3, bad: 4, of: 10, loads: false },
  { limit: 0.29, bad: 28, of: 100, loads: true },
  { limit: 0.29, bad: 29, of: 100, loads: true },
  { limit: 0.29, bad: 30, of: 100, loads: false },
  { limit: Infinity, bad: 9, of: 10, loads: true },
];

Deno.test("a limit, of records or as a share of them, is kept exactly; above it all is as it was", async () => {
  await using database = await freshDatabase();
  for (const { limit, bad, of, loads } of LIMITS) {
    if (!loads) await load(database, "a\n7\nx\n", INTEGER);
    const text = Array.from({ length: of }, (_, i) => i < bad ? "x" : String(i)).reverse().join(
      "\n",
    );
    const loading = load(database, `a\n${text}\n`, { ...INTEGER, onReject: { limit } });
    if (loads) {
      assert.equal((await loading).rejected, bad, `${bad} of ${of}, at most ${limit}`);
      assert.equal((await rows(database)).length + (await refused(database)).length, of);
    } else {
      const error: Error = await loading.then(
        () => assert.fail(`${bad} of ${of}, at most ${limit}`),
        (e) => e,
      );
      const [, file] =
        /The rejects are in (\S+\.jsonl); the first are\n {2}record \d+, line \d+: "x" is not of type integer \(type\)/
          .exec(error.message)!;
      // It ends at the first that is one too many, except where that is known at the end only.
      const written = (await Deno.readTextFile(file!)).trimEnd().split("\n").length;
      assert.equal(written, bad);
      await Deno.remove(file!);
      assert.deepEqual(await rows(database), ["(7)"]);
      assert.deepEqual(await refused(database), [[2, 3, "type", "a"]]);
    }
    await nothingLeft(database);
  }
});

Deno.test("limits that are none are refused", async () => {
  for (const limit of [-1, 1.5, NaN]) {
    const make = () => load({ url: "" } as never, "a\n", { onReject: { limit } });
    await assert.rejects(make, /as the limit of rejects/);
  }
});

const TABLE = `CREATE TABLE parent (id integer PRIMARY KEY);
  INSERT INTO parent VALUES (1), (2);
  CREATE TABLE t (id integer PRIMARY KEY, day date NOT NULL, b text CHECK (b <> 'bad'),
    p integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED, self integer REFERENCES t, n smallint, s varchar(3));
  CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF new.b = ''worse'' THEN RAISE ''no''; END IF; RETURN new; END';
  CREATE TRIGGER guard BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION guard()`;
const SOURCE = `id,day,b,p,self,n,s
1,2021-01-01,x,1,,1,abc
1,2021-01-02,y,1,,1,abc
2,,x,1,,1,abc
3,2021-01-01,bad,1,,1,abc
4,2021-01-01,x,3,,1,abc
5,2021-01-01,x,1,99,1,abc
6,2021-01-01,x,1,5,1,abc
7,2021-01-01,x,1,,70000,abc
8,2021-01-01,x,1,,1,abcd
10,2021-01-01,worse,1,,1,abc
11,2021-01-01,x,1
12,2021-01-01,x,1,9,1,abc
9,2021-01-01,x,2,1,1,ab
`;
const TYPES = {
  ...{ id: "integer", day: "date", b: "text", p: "integer" },
  ...{ self: "integer", n: "integer", s: "text" },
};
/** All but the second row with one key, of which a merge keeps the last. */
const REFUSED = [
  [3, 4, "not_null", "day"],
  [4, 5, "check", null],
  [5, 6, "foreign_key", null],
  [6, 7, "foreign_key", null],
  [7, 8, "foreign_key", null],
  [8, 9, "value", "n"],
  [9, 10, "value", "s"],
  [10, 11, "other", null],
  [11, 12, "fields", null],
];
const MODES: { name: string; options: Options }[] = [
  { name: "append", options: { mode: "append" } },
  { name: "replace", options: { mode: "replace", isolation: "mvcc" } },
  { name: "merge", options: { mode: "merge", on: ["id"] } },
  { name: "partition", options: { mode: "partition", slice: { column: "id", from: 1, to: 100 } } },
  { name: "append over two connections", options: { mode: "append", parallel: 2 } },
  {
    name: "append, committed as it comes",
    options: { mode: "append", staging: "committed", key: "c" },
  },
];

for (const { name, options } of MODES) {
  Deno.test(`rows that Postgres refuses are refused by themselves: ${name}`, async () => {
    await using database = await freshDatabase();
    await database.query(TABLE);
    const merges = options.mode === "merge";
    const all = { types: TYPES, key: "k", ...options };
    const copied = await load(database, SOURCE, all);
    const expected = merges ? REFUSED : [[2, 3, "unique", null], ...REFUSED];
    const found = await refused(database);
    assert.deepEqual(found.toSorted(([a], [b]) => Number(a) - Number(b)), expected);
    assert.equal(copied.rejected, expected.length);
    assert.equal(copied.rows, 13 - expected.length);
    assert.equal(copied.merged?.duplicates ?? 0, merges ? 1 : 0);
    const ids = await database.query<{ id: number }>("SELECT id FROM t ORDER BY id");
    // The twelfth refers to one that comes behind it.
    assert.deepEqual(ids.map(({ id }) => id), [1, 9, 12]);
    const [loaded] = await listLoads(database);
    assert.deepEqual([loaded!.rows, loaded!.rejected], [copied.rows, copied.rejected]);
    await nothingLeft(database);
    // Without the option the first of them ends the load.
    await assert.rejects(load(database, SOURCE, { ...all, key: "other", onReject: "fail" }));
  });
}

Deno.test("the file and the table have the same rejects, whoever refused them and however many they are", async () => {
  await using database = await freshDatabase();
  await database.query(
    "CREATE TABLE t (a integer NOT NULL, at timestamp, x double precision CHECK (x < 1e20), s text CHECK (s <> 'bad'))",
  );
  const file = await Deno.makeTempFile();
  const records = Array.from({ length: 9000 }, (_, i) => {
    const a = i % 3 === 0 ? "" : i % 500 === 1 ? "none" : i;
    return `${a},2021-01-02 03:04:05,${i % 7 === 1 ? "1e+20" : 1.5},${
      i % 9 === 2 ? "bad" : '"é\\"'
    }`;
  });
  const copied = await load(database, `a,at,x,s\n${records.join("\n")}\n`, {
    ...{ types: { a: "integer", at: "timestamp", x: "double precision", s: "text" } },
    ...{ mode: "append", onReject: { limit: Infinity, file } },
  });
  const listed = await listRejects(database, { table: "t", limit: 10_000 });
  const written = (await Deno.readTextFile(file)).trimEnd().split("\n").map((line) =>
    JSON.parse(line)
  );
  const shown = (
    { record, line, raw, rule, message, row, column, column_name }: typeof written[0],
  ) => ({
    ...{ record, line, raw, rule, message, row },
    column: column ?? column_name ?? null,
  });
  const inOrder = (all: typeof written) => all.map(shown).sort((a, b) => a.record - b.record);
  assert.deepEqual(inOrder(written), inOrder(listed));
  assert.deepEqual([copied.rows + copied.rejected, copied.rejected], [9000, listed.length]);
  const type = 12, not_null = 3000;
  const check = records.filter((text) => /^\d/.test(text) && /1e\+20|bad/.test(text)).length;
  assert.deepEqual(copied.rejects!.rules, { type, not_null, check });
  // A value is as Postgres writes it, and so can be read again.
  assert.deepEqual(listed.find(({ record }) => record === 9)!.row, {
    ...{ a: "8", at: "2021-01-02 03:04:05", x: "1e+20", s: "é\\" },
  });
});

Deno.test("checks are asked of all rows at once where that is the same, and else of one after the other", async () => {
  await using database = await freshDatabase();
  const trigger = "CREATE TRIGGER mend BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION mend()";
  const cases: [what: string, columns: string, more: string, refused: unknown[][]][] = [
    ["alike", "a integer NOT NULL, b integer CHECK (b / 2 > 0)", "", [
      [2, 3, "not_null", "a"],
      [3, 4, "check", null],
    ]],
    ["a check that fails itself", "a integer, b integer CHECK (10 / b > 1)", "", [
      [4, 5, "value", null],
    ]],
    ["of another type, by which halves count", "a integer, b numeric CHECK (b / 2 > 0)", "", [
      [4, 5, "check", null],
    ]],
    ["behind a trigger that mends", "a integer NOT NULL, b integer CHECK (b > 0)", trigger, []],
  ];
  await database.query(`CREATE FUNCTION mend() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN new.a = 1; new.b = 1; RETURN new; END'`);
  for (const [what, columns, more, refusals] of cases) {
    await database.query(
      `DROP TABLE IF EXISTS t, t__rejects; CREATE TABLE t (${columns}); ${more}`,
    );
    const zero = what === "alike" ? "" : "4,0\n";
    const types = { a: "integer", b: "integer" };
    await load(database, `a,b\n1,4\n,5\n3,1\n${zero}`, { mode: "append", types, key: what });
    const found = await refused(database);
    assert.deepEqual(found.toSorted(([a], [b]) => Number(a) - Number(b)), refusals, what);
  }
});

Deno.test("what is refused while the others are put is refused once, also where the table has a rule", async () => {
  await using database = await freshDatabase();
  const table = "a integer CHECK (a > 0), b integer UNIQUE";
  const types = { a: "integer", b: "integer" };
  for (
    const more of ["", "CREATE RULE also AS ON INSERT TO t DO ALSO INSERT INTO log VALUES (new.a)"]
  ) {
    await database.query(
      `DROP TABLE IF EXISTS t, t__rejects, log; CREATE TABLE log (a integer); CREATE TABLE t (${table}); ${more}`,
    );
    const text = "a,b\n1,1\n0,2\n2,1\n-1,3\n3,4\n";
    const append = { mode: "append", types, key: "k" } as const;
    assert.deepEqual((await load(database, text, append)).rows, 2, more);
    assert.deepEqual(await refused(database), [
      [2, 3, "check", null],
      [3, 4, "unique", null],
      [4, 5, "check", null],
    ], more);
    assert.deepEqual(await rows(database), ["(1,1)", "(3,4)"]);
    // None of them can be put.
    assert.equal((await load(database, "a,b\n0,5\n-1,6\n", { ...append, key: "l" })).rejected, 2);
    await assert.rejects(
      load(database, "a,b\n0,5\n-1,6\n", { types, isolation: "mvcc" }),
      /by none: all 2 records of the source were refused/,
    );
    assert.deepEqual(await rows(database), ["(1,1)", "(3,4)"]);
  }
  await nothingLeft(database);
});

Deno.test("columns may be called as anything of ours is", async () => {
  await using database = await freshDatabase();
  const names = ["r", "record", "at", "why", "kept"], types = { r: "integer", record: "integer" };
  await database.query(
    `CREATE TABLE t (r integer NOT NULL, record integer PRIMARY KEY, at integer CHECK (at > 0), why text, kept text)`,
  );
  const text = `${names}\n1,1,1,,\n,2,1,,\n3,1,1,,\n4,4,0,,\n5,5,1,,\n`;
  const copied = await load(database, text, { types, mode: "append" });
  assert.deepEqual([copied.rows, copied.rejected], [2, 3]);
  const found = await listRejects(database, { table: "t" });
  assert.deepEqual(found.map(({ record, rule }) => [record, rule]), [
    [2, "not_null"],
    [3, "unique"],
    [4, "check"],
  ]);
  assert.deepEqual(found[1]!.row, { r: "3", record: "1", at: "1", why: null, kept: null });
});

Deno.test("values that are not of the types of a table that stays are refused, wherever they show", async () => {
  await using database = await freshDatabase();
  const path = await Deno.makeTempFile();
  await database.query(
    "CREATE TABLE t (a integer PRIMARY KEY, b double precision, d date, z timestamptz)",
  );
  const good = (n: number) =>
    Array.from({ length: n }, (_, i) => `${i},1.5,2021-01-02,2021-01-02 03:04:00+00\n`);
  const bad = [
    "N/A,1,,\n",
    "-1,1e3,01/02/2021,\n",
    "-2,x,2021-01-02,2021-01-02 03:04:00+00\n",
    "-3,7,,soon\n",
    "-5,07,2021-01-02,\n",
  ];
  for (const [mode, n] of [["append", 2], ["append", 40_000], ["replace", 2]] as const) {
    await database.query("TRUNCATE t");
    const text = `a,b,d,z\n${[...good(n), ...bad, "-4,7.0,2021-01-02,\n"].join("")}`;
    // The columns become text on the way, for which the source is read again.
    await Deno.writeTextFile(path, text);
    const { rows: count } = await perform(
      pipe(
        http({ url: path }),
        csv({ sampleBytes: 512, onReject: { limit: 5 } }),
        copy({ table: "t", mode, key: `${mode}${n}` }),
      ),
      testContext({ connection: () => Promise.resolve(database) }),
    );
    assert.equal(count, n + 1);
    const found = await listRejects(database, { table: "t", limit: 1000 });
    const shown = found.slice(-5).map(({ rule, raw }) => `${rule} ${raw}\n`);
    assert.deepEqual(shown, bad.map((raw) => `value ${raw}`));
    const [row] = await database.query("SELECT b::text, d::text FROM t WHERE a = -4");
    assert.deepEqual(row, { b: "7", d: "2021-01-02" });
  }
});

Deno.test("a merge refuses keys that are NULL, and is refused itself where it would delete what was refused", async () => {
  await using database = await freshDatabase();
  const merge = { mode: "merge", on: ["a"] } as const;
  const { rows: count, rejected } = await load(database, "a,b\n1,x\n,y\n2,z\n", {
    ...merge,
    ...INTEGER,
  });
  assert.deepEqual([count, rejected], [2, 1]);
  assert.deepEqual(await refused(database), [[2, 3, "not_null", "a"]]);
  await assert.rejects(
    load(database, "a,b\n1,x\n", { ...merge, deleteMissing: true }),
    /--delete-missing .* would delete the rows whose records are refused/,
  );
});

Deno.test("appended rejects add up by load, and a load made twice has them once", async () => {
  await using database = await freshDatabase();
  const append = { mode: "append", ...INTEGER } as const;
  await load(database, "a\n1\nx\n", { ...append, key: "one" });
  await load(database, "a\n2\ny\nz\n", { ...append, key: "two" });
  const again = await load(database, "a\n1\nx\n", { ...append, key: "one" });
  assert.deepEqual([again.unchanged, again.rows, again.rejected], [true, 1, 1]);
  const found = await listRejects(database, { table: "t" });
  assert.deepEqual(found.map(({ load, raw }) => [load, raw]), [["one", "x"], ["two", "y"], [
    "two",
    "z",
  ]]);
  const [{ waiting, loads, rules, replayed }] = await listRejectTables(database) as [
    Awaited<ReturnType<typeof listRejectTables>>[0],
  ];
  assert.deepEqual({ waiting, loads, rules, replayed }, {
    waiting: 3,
    loads: 2,
    rules: { type: 3 },
    replayed: 0,
  });
});

Deno.test("a load that nobody knows again does not look through the rejects of others", async () => {
  await using database = await freshDatabase();
  const scans = async () => {
    await nothingLeft(database); // a session tells what it did when it ends
    const [found] = await database.query<{ seq_scan: string }>(
      "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 't__rejects'",
    );
    return Number(found!.seq_scan);
  };
  const counts: number[] = [];
  for (const key of [undefined, undefined, "k", "k"]) {
    await load(database, "a,b\n1,x\ny,z\n", { ...INTEGER, mode: "append", ...key && { key } });
    counts.push(await scans());
  }
  const [first, again, known, unchanged] = counts;
  assert.deepEqual([again, known, unchanged], [first, first! + 1, first! + 1]);
});

Deno.test("JSON lines that are refused come into the table, too", async () => {
  await using database = await freshDatabase();
  const ctx = testContext({ connection: () => Promise.resolve(database) });
  const text = '{"a":1}\nnothing\n{"a":"x"}\n{"a":2}\n';
  const options = { types: { a: "integer" }, onReject: { limit: 2 } };
  const batches = await perform(jsonLines(options as never), ctx, chunked(text));
  const { rows: count, rejected } = await perform(copy({ table: "t" }), ctx, batches);
  assert.deepEqual([count, rejected], [2, 2]);
  assert.deepEqual(await refused(database), [[2, 2, "json", null], [3, 3, "type", "a"]]);
});

Deno.test("a Parquet file, which has no place for them, is refused with them", async () => {
  const path = await Deno.makeTempFile();
  const options = { types: { a: "integer" }, onReject: { limit: 2 } };
  const batches = await perform(csv(options as never), testContext(), chunked("a\n1\nx\n"));
  await assert.rejects(
    perform(parquet({ path }), testContext(), batches),
    /no place for records that are refused/,
  );
});

const NAMES = [
  "t".repeat(54),
  "t".repeat(55),
  "t".repeat(63),
  `${"t".repeat(62)}u`,
  "ü".repeat(31),
  `a"b`,
  "a'b; DROP TABLE x --",
  "A.b\\c",
  "sluice",
];

Deno.test("a file that has no rejects is not taken for them, and the load fails before it does anything", async () => {
  await using database = await freshDatabase();
  const file = await Deno.makeTempFile();
  await load(database, "a\n1\n");
  for (
    const [url, text, why] of [
      [file, "a\n2\n", /it is the source itself/],
      ["-", "a\n2\n", /there is a file that has no rejects/],
    ] as const
  ) {
    await Deno.writeTextFile(file, text);
    await assert.rejects(
      load(database, text, { source: { url }, onReject: { limit: 1, file } }),
      (error) => error instanceof GiveUp && why.test(error.message),
    );
    assert.equal(await Deno.readTextFile(file), text);
  }
  assert.deepEqual(await rows(database), ["(1)"]);
  await Deno.remove(file);
});

Deno.test("each table has rejects of its own, whatever its name", async () => {
  await using database = await freshDatabase();
  for (const table of NAMES) await load(database, `a\n1\n${table}\n`, { ...INTEGER, table });
  const tables = await listRejectTables(database);
  assert.deepEqual(tables.map(({ table }) => table).sort(), [...NAMES].sort());
  for (const { rejects } of tables) assert.ok(new TextEncoder().encode(rejects).length <= 63);
  assert.equal(new Set(tables.map(({ rejects }) => rejects)).size, NAMES.length);
  for (const table of NAMES) {
    assert.deepEqual((await listRejects(database, { table })).map(({ raw }) => raw), [table]);
    assert.equal((await replayRejects(database, { table })).rejected, 1);
  }
});

Deno.test("another table of that name is left alone, and keeps the load from keeping rejects", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE t__rejects (mine text); INSERT INTO t__rejects VALUES ('x')");
  assert.equal((await load(database, "a\n1\n", INTEGER)).rows, 1);
  await assert.rejects(load(database, "a\n1\nx\n", INTEGER), /there is another table "t__rejects"/);
  assert.deepEqual(await rows(database, "t__rejects"), ["(x)"]);
  assert.deepEqual(await listRejectTables(database), []);
});

Deno.test("a load that dies on its way leaves the rejects of the one before, and nothing else", async () => {
  await using database = await freshDatabase();
  await load(database, "a\n1\nx\n", INTEGER);
  const good = "2\n".repeat(300_000);
  const dies: ((pull: number) => Promise<void>)[] = [
    () => Promise.reject(new Error("the source has failed")),
    async () => {
      await database.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'sluice%' AND datname = current_database()",
      );
    },
  ];
  for (const die of dies) {
    let pulls = 0;
    const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        if (pulls++ === 3) await die(pulls);
        if (pulls === 8) controller.close();
        else {controller.enqueue(
            new TextEncoder().encode(`${pulls === 1 ? "a\n" : ""}y\n${good}z\n`),
          );}
      },
    }, { highWaterMark: 0 });
    await assert.rejects(load(database, source, INTEGER));
    assert.deepEqual(await rows(database), ["(1)"]);
    assert.deepEqual(await refused(database), [[2, 3, "type", "a"]]);
    await nothingLeft(database);
  }
});

Deno.test("rejects are replayed once, corrected or as they are, and those that are refused again stay", async () => {
  await using database = await freshDatabase();
  await database.query(
    "CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE t (a integer PRIMARY KEY REFERENCES p, d date, s varchar(3), j jsonb)",
  );
  await database.query("INSERT INTO p SELECT generate_series(1, 4)");
  const text =
    'a,d,s,j\n1,2021-01-01,abc,{}\n9,2021-01-01,abc,"{""k"":[1]}"\n2,01/02/2021,abc,\n3,2021-01-01,abcd,\n4\n';
  const types = { a: "integer", d: "date", s: "text", j: "text" };
  // What has no type of its own is cast by nobody: the column is not loaded here.
  const fails = await load(database, text, { types, mode: "append" }).then(
    () => undefined,
    (error) => error,
  );
  assert.match(fails.message, /its column "j" is jsonb/);
  await database.query("ALTER TABLE t ALTER j TYPE text");
  assert.equal((await load(database, text, { types, mode: "append", key: "k" })).rejected, 4);
  await database.query("ALTER TABLE t ALTER j TYPE jsonb USING j::jsonb");
  const rules = async () =>
    (await listRejects(database, { table: "t" })).map(({ id, rule }) => `${id} ${rule}`);
  assert.deepEqual(await rules(), ["1 type", "2 fields", "3 value", "4 foreign_key"]);
  // As they are: one may be tried by now, two are wrong still, and one cannot be told apart.
  await database.query("INSERT INTO p VALUES (9)");
  const outcome = (replayed: number, rejected: number, skipped: number) => ({
    table: "t",
    replayed,
    rejected,
    skipped,
  });
  assert.deepEqual(await replayRejects(database, { table: "t" }), outcome(1, 2, 1));
  assert.deepEqual(await rules(), ["1 value", "2 fields", "3 value"]);
  assert.deepEqual(await database.query("SELECT j FROM t WHERE a = 9"), [{ j: { k: [1] } }]);
  const corrected: Correction[] = [
    { id: "1", row: { a: "2", d: "2021-02-01", s: "abc" } },
    { id: "2", row: { a: 4, d: null, j: { x: 1 } } },
    { id: "3", row: { a: "1", d: "2021-01-01", s: "abc", j: null } },
  ];
  assert.deepEqual(
    await replayRejects(database, { table: "t", rows: corrected }),
    outcome(2, 1, 0),
  );
  assert.deepEqual(await rules(), ["3 unique"]);
  assert.deepEqual(
    await replayRejects(database, { table: "t", rows: corrected }),
    outcome(0, 1, 2),
  );
  const all = await database.query("SELECT a, d::text, s, j FROM t ORDER BY a");
  assert.deepEqual(all, [
    { a: 1, d: "2021-01-01", s: "abc", j: {} },
    { a: 2, d: "2021-02-01", s: "abc", j: null },
    { a: 4, d: null, s: null, j: { x: 1 } },
    { a: 9, d: "2021-01-01", s: "abc", j: { k: [1] } },
  ]);
  // Two at once replay it once: the other waits, and finds it done.
  const last: Correction[] = [{ id: "3", row: { a: "3" } }];
  const both = await Promise.all(
    [1, 2].map(() => replayRejects(database, { table: "t", rows: last })),
  );
  assert.deepEqual(both.map(({ replayed }) => replayed).sort(), [0, 1]);
});

Deno.test("a replay that asks for what is not there does nothing at all", async () => {
  await using database = await freshDatabase();
  await load(database, "a\n1\nx\n2,3\n", INTEGER);
  const row = { a: "5" };
  for (
    const [wanted, why] of [
      [[{ id: "1", row }, { id: "77", row }], /"t" has none of that id/],
      [[{ id: "1", row }, { id: "2", row: { b: "1" } }], /has no column "b"/],
      [[{ id: "1", row }, { id: "2", row: { a: 2 ** 60 } }], /write it as text/],
    ] as const
  ) {
    await assert.rejects(replayRejects(database, { table: "t", rows: wanted }), why);
    assert.deepEqual(await rows(database), ["(1)"]);
  }
  await assert.rejects(replayRejects(database, { table: "nothing" }), /there is no such table/);
});
