import assert from "node:assert/strict";
// @ts-types="@types/pg"
import pg from "pg";
import { copy, type CopyOptions, csv, listRejects } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { nothingLeft } from "./_load.ts";
import { chunked } from "./_read_csv.ts";

await sharedPostgres();

const PARENT = `CREATE TABLE parent (x integer, y integer, PRIMARY KEY (x, y));
  INSERT INTO parent SELECT i, j FROM generate_series(1, 6) i, generate_series(1, 6) j;
  CREATE TABLE one (id integer PRIMARY KEY); INSERT INTO one SELECT generate_series(1, 8);`;

/** Tables that refuse some of any rows, each in its way. */
const TABLES: readonly (readonly [what: string, columns: string, more?: string])[] = [
  ["a key", "a integer PRIMARY KEY, b integer, c integer, s text"],
  [
    "a key and a check",
    "a integer PRIMARY KEY, b integer CHECK (b > 2), c integer NOT NULL, s text",
  ],
  ["two keys", "a integer UNIQUE, b integer UNIQUE, c integer, s text"],
  ["a key of two columns", "a integer, b integer, c integer CHECK (c < 9), s text, UNIQUE (a, b)"],
  ["a key of texts", "a integer, b integer, c integer, s text UNIQUE"],
  ["a key by bytes", `a integer, b integer, c integer, s text COLLATE "C" UNIQUE`],
  [
    "a key of some rows",
    "a integer, b integer, c integer, s text",
    "CREATE UNIQUE INDEX ON t (a) WHERE b > 4",
  ],
  [
    "a key of an expression",
    "a integer, b integer, c integer, s text",
    "CREATE UNIQUE INDEX ON t ((a % 7))",
  ],
  [
    "a key looked at late",
    "a integer UNIQUE DEFERRABLE INITIALLY DEFERRED, b integer, c integer, s text",
  ],
  ["a key of another type", "a bigint UNIQUE, b numeric CHECK (b > 2), c integer, s text"],
  ["a key that leaves out", "a integer, b integer, c integer, s text, EXCLUDE (a WITH =)"],
  ["another table", "a integer REFERENCES one, b integer, c integer CHECK (c > 1), s text"],
  [
    "another table by two columns, a key, and a check",
    "a integer, b integer, c integer UNIQUE, s text CHECK (s <> 'b'), FOREIGN KEY (a, b) REFERENCES parent",
  ],
  [
    "another table, whose rows a trigger makes",
    "a integer REFERENCES one, b integer UNIQUE, c integer, s text",
    `CREATE FUNCTION make() RETURNS trigger LANGUAGE plpgsql AS
       'BEGIN INSERT INTO one VALUES (new.a) ON CONFLICT DO NOTHING; RETURN NULL; END';
     CREATE TRIGGER "A first" AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION make()`,
  ],
  [
    "another table, which nobody looks at",
    "a integer REFERENCES one, b integer UNIQUE, c integer, s text",
    "ALTER TABLE t DISABLE TRIGGER ALL",
  ],
  [
    "columns of any name",
    `a integer UNIQUE, b integer, c integer, s text, state text, record integer, n integer`,
  ],
];

/** Numbers that look like chance and are the same each time. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => (state = (state * 1103515245 + 12345) & 0x7fffffff) % 65536 % sides;
}

type Row = readonly (string | null)[];

function someRows(seed: number, n: number): Row[] {
  const roll = dice(seed);
  const number = (most: number) => roll(12) === 0 ? null : String(roll(most));
  return Array.from(
    { length: n },
    () => [
      number(3 * n),
      number(3 * n),
      number(3 * n),
      roll(9) === 0 ? null : "abcdefgh"[roll(8)]! + roll(n),
    ],
  );
}

/** What Postgres refuses when it is given one row after the other: which record, and why. */
async function oneByOne({ url }: TestDatabase, rows: readonly Row[]): Promise<[number, string][]> {
  const client = new pg.Client(url);
  await client.connect();
  const refused: [number, string][] = [];
  await client.query("BEGIN; SET CONSTRAINTS ALL IMMEDIATE");
  for (const [i, row] of rows.entries()) {
    await client.query("SAVEPOINT one");
    try {
      await client.query("INSERT INTO t (a, b, c, s) VALUES ($1, $2, $3, $4)", [...row]);
    } catch (error) {
      await client.query("ROLLBACK TO SAVEPOINT one");
      refused.push([i + 1, (error as { code: string }).code]);
    }
  }
  await client.query("ROLLBACK");
  await client.end();
  return refused;
}

/** The same by a load. */
async function atOnce(
  database: TestDatabase,
  rows: readonly Row[],
  options: Partial<CopyOptions>,
): Promise<[number, string][]> {
  const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
  const types = { a: "integer", b: "integer", c: "integer", s: "text" };
  const text = `a,b,c,s\n${
    rows.map((row) => row.map((value) => value ?? "").join(",")).join("\n")
  }\n`;
  const reading = csv({ types, onReject: { limit: Infinity } } as never);
  const batches = await perform(reading, ctx, chunked(text));
  const copied = await perform(
    copy({ table: "t", key: crypto.randomUUID(), ...options } as CopyOptions),
    ctx,
    batches,
  );
  const rejects = await listRejects(database, { table: "t", limit: 10_000 });
  assert.deepEqual([copied.rejected, copied.rows], [rejects.length, rows.length - rejects.length]);
  return rejects.map(({ record, message }): [number, string] => [record, message.slice(-6, -1)])
    .sort(([a], [b]) => a - b);
}

for (const [what, columns, more = ""] of TABLES) {
  Deno.test(`a load refuses what Postgres refuses row by row: ${what}`, async () => {
    await using database = await freshDatabase();
    await database.query(PARENT);
    for (let seed = 1; seed <= 3; seed++) {
      for (const mode of ["append", "replace"] as const) {
        const isolation = mode === "replace" && seed % 2 ? { isolation: "mvcc" as const } : {};
        const there = `INSERT INTO t (a, b, c, s) VALUES (3, 4, 8, 'x'), (5, 6, 7, 'y')`;
        const rows = someRows(seed, 20 * seed);
        await database.query(
          `DROP TABLE IF EXISTS t, t__rejects; DROP FUNCTION IF EXISTS make; CREATE TABLE t (${columns}); ${more};
           ${mode === "append" ? there : ""}`,
        );
        const expected = await oneByOne(database, rows);
        if (mode === "replace") await database.query(there);
        const shown = `${mode}, seed ${seed}`;
        const found = await atOnce(database, rows, { mode, ...isolation });
        // A row with two faults is told of one of them, not always of the same.
        const told = found.map(([record, code], i): [number, string] =>
          code === "23503" && expected[i]?.[1] === "23505" ? [record, "23505"] : [record, code]
        );
        assert.deepEqual(told, expected, shown);
      }
    }
    await nothingLeft(database);
  });
}
