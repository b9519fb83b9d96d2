import assert from "node:assert/strict";
import fc from "fast-check";
// @ts-types="@types/pg"
import pg from "pg";
import { pipe, ReadAgain, tee } from "../../engine/mod.ts";
import {
  type Copied,
  copy,
  type CopyOptions,
  csv,
  type CsvOptions,
  jsonLines,
  parquet,
} from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { nothingLeft, rows } from "./_load.ts";
import { once } from "./_once.ts";
import { chunked } from "./_read_csv.ts";

await sharedPostgres();

function context(database: TestDatabase, said: string[] = []) {
  const say = (message: string): void => void said.push(message);
  return testContext({
    connection: () => Promise.resolve({ url: database.url }),
    log: { info: say, warn: say, error: say },
  });
}

type Options = Partial<CopyOptions> & Pick<CsvOptions, "types" | "onReject">;

/** Loads a text into `t`, or another table; tells how often it was read. */
async function load(
  database: TestDatabase,
  text: string,
  { types = {}, onReject, ...options }: Options = {},
): Promise<Copied & { reads: number }> {
  const said: string[] = [];
  const work = pipe(
    once(text),
    csv({ sampleBytes: 512, types, ...onReject && { onReject } } as never),
    copy({ table: "t", key: crypto.randomUUID(), ...options } as CopyOptions),
  );
  const copied = await perform(work, context(database, said));
  const again = said.filter((message) => message.startsWith("reading the source again")).length;
  return { ...copied, reads: 1 + again };
}

/** Wide enough that a few rows are a block. */
const WIDE = "x".repeat(250);
const ROWS = 1400;
/** Where a disagreeing value may stand: first behind the sample, in the middle, last. */
const PLACES = [5, ROWS / 2, ROWS - 1];

/** Columns, each with its values and one that does not agree. */
function table(columns: readonly (readonly [value: string, late: string])[], at: number): string {
  const names = columns.map((_, i) => `c${i}`);
  const line = (i: number) => columns.map(([value, late]) => i === at ? late : value).join(",");
  const lines = Array.from({ length: ROWS }, (_, i) => `${i},${line(i)},${WIDE}`);
  return `id,${names.join(",")},wide\n${lines.join("\n")}\n`;
}

/** A column that becomes a bigint in row 1000, and one that becomes text there. */
const NUMBERS = table([["1", "5000000000"]], 1000);
const DOUBLES = table([["1.50", "N/A"]], 1000);

/** What Postgres can cast, and what it cannot. */
const CAST: readonly (readonly [string, string])[] = [
  ["1", "5000000000"],
  ["1", "1.25"],
  ["1", "007"],
  ["5000000000", "1e30"],
  ["5000000000", "N/A"],
  ["-1.5", "0.12345678901234567890"],
  ["0.1", "N/A"],
  ["1.2500000000000000001", "N/A"],
  ["true", "N/A"],
  ["2021-01-31", "2021-01-31 10:00"],
  ["2021-01-31", "N/A"],
  ["2021-01-31 10:00:00.25", "N/A"],
  ["01234567-89ab-cdef-0123-456789abcdef", "N/A"],
  ["", "1"],
];
const REREAD: readonly (readonly [string, string])[] = [
  ["1.50", "N/A"],
  ["1e3", "N/A"],
  ["7.10", "0.12345678901234567890"],
  ["t", "N/A"],
  ["2021-01-31T10:00:00", "N/A"],
  ["2021-01-31 10:00:00+01:00", "N/A"],
];

for (const [what, columns, reads] of [["cast", CAST, 1], ["read again", REREAD, 2]] as const) {
  for (const at of PLACES) {
    Deno.test(`a column that has to be ${what} is as if declared, with the value in row ${at}`, async () => {
      await using database = await freshDatabase();
      const text = table(columns, at);
      const { widened = [], rows: count, ...wide } = await load(database, text);
      assert.deepEqual([count, wide.reads], [ROWS, reads]);
      assert.ok(widened.every(({ line, reread }) => line === at + 2 && reread === (reads > 1)));
      const types = Object.fromEntries(wide.columns.map(({ name, type }) => [name, type]));
      await load(database, text, { table: "declared", types });
      const got = await rows(database), declared = await rows(database, "declared");
      assert.deepEqual(got, declared);
      // What became text is as it was written.
      const row = (await database.query(`SELECT * FROM t WHERE id = 0`))[0]!;
      for (const [i, [value]] of columns.entries()) {
        if (types[`c${i}`] === "text" && value) assert.equal(row[`c${i}`], value);
      }
      await nothingLeft(database);
    });
  }
}

/** A number, text, time or truth, in one of the ways in which they are written. */
const value = fc.oneof(
  fc.integer({ min: -1000, max: 1000 }).map(String),
  fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }).map(String),
  fc.tuple(fc.integer({ min: -99, max: 99 }), fc.stringMatching(/^[0-9]{0,3}$/)).map((n) =>
    n.join(".")
  ),
  fc.double({ noDefaultInfinity: true }).map(String),
  fc.stringMatching(/^[-+]?0?[0-9]{1,3}e-?[0-9]$/),
  fc.constantFrom("true", "false", "t", "True"),
  fc.date({ min: new Date("0100-01-01"), max: new Date("9999-01-01"), noInvalidDate: true })
    .chain((date) =>
      fc.constantFrom(...[10, 16, 19, 22, 24].map((n) => date.toISOString().slice(0, n)))
    ),
  fc.date({ min: new Date("0100-01-01"), max: new Date("9999-01-01"), noInvalidDate: true })
    .map((date) => date.toISOString().slice(0, 19).replace("T", " ")),
  fc.uuid(),
  fc.constantFrom("", "N/A", '""', "Infinity", "007", "+5", "a \u00e9"),
);

/** Columns of rows: mostly of one kind, with others somewhere. */
const column = fc.record({
  usual: value,
  others: fc.array(fc.record({ at: fc.nat(ROWS - 1), value }), { maxLength: 3 }),
});

Deno.test("whatever a column holds, its table is as if the types had been declared, and its text as written", async () => {
  await using database = await freshDatabase();
  await fc.assert(
    fc.asyncProperty(
      fc.array(column, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(1, 3),
      async (columns, parallel) => {
        const cells = columns.map(({ usual, others }) => {
          const cells = Array<string>(ROWS).fill(usual);
          for (const { at, value } of others) cells[at] = value;
          return cells;
        });
        const lines = Array.from(
          { length: ROWS },
          (_, i) => `${i},${cells.map((column) => column[i]).join(",")},${WIDE}`,
        );
        const text = `id,${columns.map((_, i) => `c${i}`)},wide\n${lines.join("\n")}\n`;
        const wide = await load(database, text, { parallel });
        assert.ok(wide.reads <= 3);
        const types = Object.fromEntries(wide.columns.map(({ name, type }) => [name, type]));
        await load(database, text, { table: "declared", types });
        const differ = await database.query(
          `(TABLE t EXCEPT ALL TABLE declared) UNION ALL (TABLE declared EXCEPT ALL TABLE t)`,
        );
        assert.deepEqual(differ, []);
        for (const [i, column] of cells.entries()) {
          if (types[`c${i}`] !== "text") continue;
          const got = await database.query<{ c: string }>(`SELECT c${i} AS c FROM t ORDER BY id`);
          const want = column.map((cell) => cell === "" ? null : cell === '""' ? "" : cell);
          assert.deepEqual(got.map(({ c }) => c), want);
        }
      },
    ),
    { numRuns: 10 },
  );
  await nothingLeft(database);
});

Deno.test("where very many columns become wider the source is sooner read again than cast each time", async () => {
  await using database = await freshDatabase();
  const lines = Array.from({ length: 8 * 700 }, (_, i) => {
    const cells = Array.from({ length: 8 }, (_, c) => i === 700 * (c + 1) - 1 ? "x" : "1");
    return `${cells.join(",")},${WIDE}\n`;
  });
  const { rows: count, reads, widened } = await load(
    database,
    `a,b,c,d,e,f,g,h,wide\n${lines.join("")}`,
  );
  assert.deepEqual([count, reads, widened!.length], [lines.length, 2, 8]);
});

for (const [text, reads] of [[NUMBERS, 1], [DOUBLES, 2]] as const) {
  for (const parallel of [1, 3]) {
    const how = `in ${reads} readings over ${parallel} connections`;
    Deno.test(`what is refused is refused once, ${how}`, async () => {
      await using database = await freshDatabase();
      const lines = text.split("\n");
      lines.splice(600, 0, "no number,1,x", "7,1", '8,"1"2,x');
      const { rows: count, rejected, widened, ...rest } = await load(database, lines.join("\n"), {
        parallel,
        types: { id: "integer" },
        onReject: { limit: 3 },
      });
      assert.deepEqual([count, rejected, rest.reads], [ROWS, 3, reads]);
      assert.deepEqual(widened!.map(({ line }) => line), [1005]);
      const refused = await database.query("SELECT line::integer FROM t__rejects ORDER BY line");
      assert.deepEqual(refused, [601, 602, 603].map((line) => ({ line })));
    });
  }
}

Deno.test("over a table with a view the wider rows go in where its columns take them, or the load is refused", async () => {
  await using database = await freshDatabase();
  await database.query(
    "CREATE TABLE t (id integer, c0 bigint, wide text); INSERT INTO t VALUES (-1, 7, ''); CREATE VIEW v AS SELECT c0 FROM t",
  );
  const { reads } = await load(database, NUMBERS);
  assert.equal(reads, 1);
  const sum = await database.query("SELECT sum(c0), count(*)::integer FROM v");
  assert.deepEqual(sum, [{ sum: String(5000000000 + ROWS - 1), count: ROWS }]);
  await assert.rejects(load(database, table([["1", "N/A"]], 1000)), {
    name: "GiveUp",
    message: /its column "c0" is bigint, what arrives is text from line 1002 on.*frozen/,
  });
  assert.deepEqual(await database.query("SELECT sum(c0), count(*)::integer FROM v"), sum);
  await nothingLeft(database);
});

/** Modes that put rows into a table that stays. */
const MODES: readonly Partial<CopyOptions>[] = [
  { mode: "append" },
  { mode: "append", parallel: 3 },
  { mode: "merge", on: ["id"] },
  { mode: "partition", slice: { column: "id", from: 0, to: ROWS } },
  { mode: "replace", isolation: "mvcc" },
];

for (const options of MODES) {
  const what = JSON.stringify(options);
  Deno.test(`with ${what} a frozen table refuses wider rows with a diff, and one that evolves takes them`, async () => {
    await using database = await freshDatabase();
    await database.query(
      "CREATE TABLE t (id integer PRIMARY KEY, c0 integer, wide text); INSERT INTO t VALUES (-1, 7, '')",
    );
    const before = await rows(database);
    await assert.rejects(load(database, NUMBERS, options), {
      name: "GiveUp",
      message: /its column "c0" is integer, what arrives is bigint from line 1002 on.*frozen/,
    });
    assert.deepEqual(await rows(database), before);
    const { widened } = await load(database, NUMBERS, { ...options, evolution: "evolve" });
    assert.deepEqual(widened?.map(({ column, from, to, line }) => [column, from, to, line]), [
      ["c0", "integer", "bigint", 1002],
    ]);
    const sum = await database.query(
      "SELECT sum(c0)::bigint, pg_typeof(max(c0))::text AS type FROM t WHERE id >= 0",
    );
    assert.deepEqual(sum, [{ sum: String(5000000000 + ROWS - 1), type: "bigint" }]);
    await nothingLeft(database);
  });
}

Deno.test("a table that takes wider rows than arrived at first gets them all", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE t (id integer, c0 bigint, wide text)");
  await load(database, NUMBERS, { mode: "append" });
  const sum = await database.query("SELECT sum(c0), count(*)::integer FROM t");
  assert.deepEqual(sum, [{ sum: String(5000000000 + ROWS - 1), count: ROWS }]);
});

for (const { mode, ...options } of MODES.filter(({ mode }) => mode !== "replace")) {
  const what = JSON.stringify({ mode, ...options });
  Deno.test(`with ${what} a new table is as wide as its rows`, async () => {
    await using database = await freshDatabase();
    for (const text of [NUMBERS, DOUBLES]) {
      await assert.rejects(
        load(database, `${text}1,2\n`, { mode: mode!, ...options }),
        /has 2 fields/,
      );
      assert.deepEqual(await database.query("SELECT 1 FROM pg_class WHERE relname = 't'"), []);
      await load(database, text, { mode: mode!, ...options });
      const [row] = await database.query("SELECT c0 FROM t WHERE id = 1000");
      assert.deepEqual(row, { c0: text === NUMBERS ? "5000000000" : "N/A" });
      await database.query("DROP TABLE t");
    }
    await nothingLeft(database);
  });
}

Deno.test("the same source is known again, however its types became wider", async () => {
  await using database = await freshDatabase();
  for (const options of [{ mode: "append" }, { ifUnchanged: "skip" }] as const) {
    const named = { ...options, table: options.mode ?? "r", key: "k" } as const;
    const first = await load(database, NUMBERS, named);
    assert.deepEqual([first.rows, first.unchanged, first.reads], [ROWS, undefined, 2]);
    const second = await load(database, NUMBERS, named);
    assert.deepEqual([second.rows, second.unchanged], [ROWS, true]);
    const count = await database.query(`SELECT count(*)::integer FROM ${named.table}`);
    assert.deepEqual(count, [{ count: ROWS }]);
  }
});

Deno.test("a reader in a snapshot older than the load sees all of a table or nothing, never the part behind a cast", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE t (id integer, c0 integer, wide text)");
  const reader = new pg.Client(database.url);
  await reader.connect();
  try {
    await reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
    await load(database, NUMBERS);
    const { rows: [{ count }] } = await reader.query("SELECT count(*)::integer FROM t");
    assert.ok(count === 0 || count === ROWS, `${count} of ${ROWS} rows are seen`);
  } finally {
    await reader.end();
  }
});

Deno.test("doubles that Postgres would round for others are cast as they were written", async () => {
  await using database = await freshDatabase();
  const name = new URL(database.url).pathname.slice(1);
  await database.query(`ALTER DATABASE "${name}" SET extra_float_digits = -3`);
  await load(database, table([["0.123456789012345", "N/A"]], 1000));
  const [row] = await database.query("SELECT c0 FROM t WHERE id = 0");
  assert.deepEqual(row, { c0: "0.123456789012345" });
});

Deno.test("JSON lines load as wide as they must be", async () => {
  await using database = await freshDatabase();
  const lines = Array.from({ length: ROWS }, (_, i) => {
    return `{"id":${i},"v":${i === 1200 ? '"N/A"' : "1.50"},"wide":"${WIDE}"}\n`;
  });
  const work = pipe(
    once(lines.join("")),
    jsonLines({ sampleBytes: 512 }),
    copy({ table: "t", key: "k" }),
  );
  const { widened } = await perform(work, context(database));
  assert.deepEqual(widened, [
    { column: "v", from: "double precision", to: "text", line: 1201, reread: true },
  ]);
  const kinds = await database.query(
    "SELECT v, count(*)::integer FROM t GROUP BY v ORDER BY v",
  );
  assert.deepEqual(kinds, [{ v: "1.50", count: ROWS - 1 }, { v: "N/A", count: 1 }]);
});

Deno.test("two ends of one stream begin anew together where one of them cannot cast", async () => {
  await using database = await freshDatabase();
  const path = await Deno.makeTempFile({ suffix: ".parquet" });
  try {
    const ends = tee({ table: copy({ table: "t", key: "k" }), file: parquet({ path }) });
    const work = pipe(once(NUMBERS), csv({ sampleBytes: 512 }), ends);
    const { table, file } = await perform(work, context(database));
    assert.deepEqual([table.rows, file.rows], [ROWS, ROWS]);
    assert.equal(table.widened![0]!.reread, true);
    await nothingLeft(database);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("without a pipe that can read again the load fails, says what to declare, and leaves all as it was", async () => {
  await using database = await freshDatabase();
  const ctx = context(database);
  const batches = await perform(csv({ sampleBytes: 512 }), ctx, chunked(DOUBLES));
  await assert.rejects(perform(copy({ table: "t" }), ctx, batches), (error: Error) => {
    assert.ok(error instanceof ReadAgain);
    assert.match(error.message, /column "c0" is text, not double precision, as line 1002 shows/);
    assert.match(error.message, /declare the types \(--type, in code types\)$/);
    return true;
  });
  assert.deepEqual(await database.query("SELECT 1 FROM pg_class WHERE relname = 't'"), []);
  await nothingLeft(database);
});
