import assert from "node:assert/strict";
import fc from "fast-check";
import type { RecordBatch } from "apache-arrow";
import { operator, pipe } from "../../engine/mod.ts";
import { sqlType } from "../../operators/_canonical.ts";
import { SiftedBatch } from "../../operators/_reject.ts";
import { widenings } from "../../operators/_widening.ts";
import {
  type Batches,
  type Copied,
  copy,
  type CopyOptions,
  jsonLines,
  type JsonLinesOptions,
  type Widening,
} from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { nothingLeft, rows } from "./_load.ts";
import { once } from "./_once.ts";
import { rowsOf } from "./_read_csv.ts";

await sharedPostgres();

/** What the last reading of a text gave, and how many there were. */
interface Reading {
  names: string[];
  types: string[];
  rows: unknown[][];
  /** The types of the columns in the batch of each row: those before another are cast to it by whoever takes them. */
  typesOf: string[][];
  rejected: number;
  widened: readonly Widening[];
  readings: number;
}

async function read(text: string, options: JsonLinesOptions = {}): Promise<Reading> {
  let readings = 0;
  const collect = operator("collect", async (_, __, batches: Batches): Promise<Reading> => {
    readings++;
    const found: RecordBatch[] = await Array.fromAsync(batches);
    const { schema } = found.at(-1)!;
    const sifted = found.filter((batch) => batch instanceof SiftedBatch);
    return {
      names: schema.fields.map(({ name }) => name),
      types: schema.fields.map(sqlType),
      rows: found.flatMap((batch) => rowsOf(batch)),
      typesOf: found.flatMap((batch) =>
        Array(batch.numRows).fill(batch.schema.fields.map(sqlType))
      ),
      rejected: sifted.reduce((n, { sifting }) => n + sifting.rejects.length, 0),
      widened: widenings(schema),
      readings,
    };
  })();
  const work = pipe(once(text), jsonLines({ sampleBytes: 512, ...options } as never), collect);
  return await perform(work, testContext());
}

/** Lines of a column `a`, more than a sample and a block have. */
const MANY = 40_000;
const before = (n = MANY): string => Array.from({ length: n }, (_, i) => `{"a":${i}}\n`).join("");
const added = (column: string, to: string, line: number) => ({
  column,
  from: null,
  to,
  line,
  reread: true,
});

/** What comes behind many lines of `a`: the columns, the last row, and what is said of them. */
const LATE: readonly (readonly [
  what: string,
  text: string,
  columns: Record<string, string>,
  last: unknown[],
  widened: unknown[],
])[] = [
  ["a key on the last line", '{"a":1,"z":true}\n', { a: "integer", z: "boolean" }, [1, true], [
    added("z", "boolean", MANY + 1),
  ]],
  [
    "several keys, blocks apart, and one that becomes wider itself",
    `{"y":1}\n${before()}{"x":"2021-01-01"}\n${before()}{"y":0.5,"a":1,"w":null}\n`,
    { a: "integer", y: "numeric", x: "date", w: "text" },
    [1, "0.5", null, null],
    [
      added("y", "integer", MANY + 1),
      { column: "y", from: "integer", to: "numeric", line: 3 * MANY + 3, reread: true },
      added("x", "date", 2 * MANY + 2),
      added("w", "text", 3 * MANY + 3),
    ],
  ],
  [
    "a key, and another kind of values in a column that was there",
    '{"z":1}\n{"a":"N/A"}\n',
    { a: "text", z: "integer" },
    ["N/A", null],
    [
      { column: "a", from: "integer", to: "text", line: MANY + 2, reread: true },
      added("z", "integer", MANY + 1),
    ],
  ],
];

for (const [what, text, columns, last, widened] of LATE) {
  Deno.test(`jsonLines() reads ${what}: its source is read again once`, async () => {
    const reading = await read(before() + text);
    const { names, types, rows, readings } = reading;
    assert.deepEqual([names, types], [Object.keys(columns), Object.values(columns)]);
    assert.deepEqual(rows.at(-1), last);
    assert.deepEqual(reading.widened, widened);
    assert.equal(rows.length, (before() + text).split("\n").length - 1);
    assert.equal(readings, 2);
    assert.ok(rows.slice(0, MANY).every((row, i) => String(row[0]) === String(i)));
  });
}

Deno.test("a key of a line that is refused is no column", async () => {
  const text = `${before()}{"z":1,"a":}\n{"a":1,"z":2,"z":3}\n{"y":1}\n{"x":01}\n{"a":7}\n`;
  const { names, rejected, rows, readings } = await read(text, { onReject: { limit: 3 } });
  assert.deepEqual([names, rejected, rows.length, readings], [["a", "y"], 3, MANY + 2, 2]);
});

Deno.test("where all keys of the sample are declared, another one is an error, or a reject", async () => {
  const text = `${before()}{"z":1}\n{"a":1}\n`;
  const types = { a: "bigint" };
  await assert.rejects(read(text, { types }), /line 40001 has the key "z".*unknownKeys: "column"/);
  const { names, rejected, rows, readings } = await read(text, { types, onReject: { limit: 1 } });
  assert.deepEqual([names, rejected, rows.length, readings], [["a"], 1, MANY + 1, 1]);
  const column = await read(text, { types, unknownKeys: "column" });
  assert.deepEqual([column.names, column.readings], [["a", "z"], 2]);
});

Deno.test("keys without end are refused, and take no more memory than a few", async () => {
  const text = (n: number) =>
    Array.from({ length: n }, (_, i) => `{"key ${i}":${i},"a":1}\n`).join("");
  const { names, rows, readings } = await read(text(1500), { sampleBytes: 1 << 20 });
  assert.deepEqual([names.length, rows.length, readings], [1501, 1500, 2]);
  rows.forEach((row, i) => assert.equal(row[names.indexOf(`key ${i}`)], i));
  const keys = Array.from({ length: 8192 }, (_, i) => `"key ${i}":${i}`);
  await assert.rejects(
    read(`{"a":1}\n{${keys}}\n`),
    /line 2 has the key "key 8191", and 8192 others came before/,
  );
});

/** Values of all kinds, and how likely a key has another kind than it mostly has. */
const KINDS: readonly fc.Arbitrary<unknown>[] = [
  fc.integer(),
  fc.integer({ min: 0, max: 1e15 }),
  fc.constantFrom(0.5, -1.25, 1e300),
  fc.string({ maxLength: 5 }).map((text) => text.replaceAll("\0", "")),
  fc.boolean(),
  fc.constantFrom("2021-01-01", "2022-12-31", "2021-01-01T10:00:00"),
  fc.constantFrom({ n: 1 }, [1, "x"], {}),
];

/** Lines in parts, each of which has keys of its own. */
const LINES = fc.array(
  fc.record({
    length: fc.integer({ min: 1, max: 60 }),
    keys: fc.array(
      fc.record({
        key: fc.constantFrom("a", "b", "c", "ä", 'q"', "d", "e", "constructor"),
        values: fc.oneof(
          { weight: 4, arbitrary: fc.nat(KINDS.length - 1) },
          fc.constant(undefined),
        ).chain((kind) =>
          fc.array(
            kind === undefined ? fc.oneof(fc.constant(null), ...KINDS) : KINDS[kind]!,
            { minLength: 1, maxLength: 4 },
          )
        ),
        often: fc.constantFrom(1, 2, 7, 1000),
      }),
      { maxLength: 4 },
    ),
    broken: fc.boolean(),
  }),
  { minLength: 1, maxLength: 6 },
);

Deno.test("whatever keys come whenever, the table is what JSON.parse makes of each line", async () => {
  let rereadings = 0;
  await fc.assert(
    fc.asyncProperty(LINES, async (parts) => {
      // Long enough that a few lines are a block.
      const pad = "x".repeat(4000);
      const texts = parts.flatMap(({ length, keys, broken }, part) =>
        Array.from({ length }, (_, i) => {
          const object: Record<string, unknown> = { pad };
          for (const { key, values, often } of keys) {
            if (i % often === 0) object[key] = values[i % values.length];
          }
          const text = JSON.stringify(object);
          // It would bring a key of its own.
          return broken && i === 0 && part > 0 ? text.replace("{", '{"broken":1,,') : text;
        })
      );
      const objects = texts.flatMap((text) => {
        try {
          return [new Map<string, unknown>(Object.entries(JSON.parse(text)))];
        } catch {
          return [];
        }
      });
      const reading = await read(texts.join("\n"), { onReject: { limit: 10 } });
      const { names, types, rows, typesOf, readings } = reading;
      assert.equal(reading.rejected, texts.length - objects.length);
      assert.deepEqual(new Set(names), new Set(objects.flatMap((object) => [...object.keys()])));
      assert.equal(rows.length, objects.length);
      objects.forEach((object, r) =>
        names.forEach((name, i) => {
          const value = object.get(name) ?? null, mine = rows[r]![i];
          if (value === null) return assert.equal(mine, null);
          const text = typeof value === "string" ? value : JSON.stringify(value);
          const type = typesOf[r]![i]!;
          if (type === "text") return assert.equal(mine, text);
          const [days, time = "00:00:00"] = text.split("T");
          const at = Date.parse(`${days}T${time}Z`);
          if (type === "date") assert.equal(mine, at);
          else if (type === "timestamp") assert.equal(mine, BigInt(at) * 1000n);
          else if (type === "boolean") assert.equal(mine, value);
          else assert.equal(Number(mine), value, `${name} is ${type}`);
        })
      );
      // What has one kind of values is no text for being late.
      for (const [i, name] of names.entries()) {
        const kinds = new Set(objects.map((object) => typeof object.get(name)));
        kinds.delete("undefined");
        if (kinds.size === 1 && /number|boolean/.test([...kinds][0]!)) {
          assert.notEqual(types[i], "text", name);
        }
      }
      const late = reading.widened.filter(({ from }) => from === null);
      assert.ok(readings <= 2, `${readings} readings`);
      if (late.length > 0) rereadings++;
      for (const { column, line } of late) {
        assert.equal(
          line,
          1 + texts.findIndex((text) => {
            return !text.includes(",,") && Object.hasOwn(JSON.parse(text), column);
          }),
        );
      }
    }),
    { numRuns: 60 },
  );
  assert.ok(rereadings > 10, `only ${rereadings} were read again`);
});

async function load(
  database: TestDatabase,
  text: string,
  { onReject, ...options }: Partial<CopyOptions> & Pick<JsonLinesOptions, "onReject"> = {},
): Promise<Copied> {
  const work = pipe(
    once(text),
    jsonLines({ sampleBytes: 512, ...onReject && { onReject } } as never),
    copy({ table: "t", key: crypto.randomUUID(), ...options } as CopyOptions),
  );
  const ctx = testContext({ connection: () => Promise.resolve({ url: database.url }) });
  return await perform(work, ctx);
}

Deno.test("a key that comes late is a column of the table, NULL before", async () => {
  await using database = await freshDatabase();
  const text = `${before()}{"a":-1,"z":"x"}\n`;
  const { widened, columns } = await load(database, text);
  assert.deepEqual(widened, [added("z", "text", MANY + 1)]);
  assert.deepEqual(columns, [{ name: "a", type: "integer" }, { name: "z", type: "text" }]);
  const [counts] = await database.query(
    "SELECT count(*)::integer, count(z)::integer AS z, min(a) FROM t",
  );
  assert.deepEqual(counts, { count: MANY + 1, z: 1, min: -1 });
  await nothingLeft(database);
});

Deno.test("of very many keys that come late, each is a column, and the first are told", async () => {
  await using database = await freshDatabase();
  const keys = Array.from({ length: 1000 }, (_, i) => `"key ${i}":${i}`);
  const { widened, columns } = await load(database, `${before(500)}{${keys}}\n`);
  assert.deepEqual([columns.length, widened!.length], [1001, 100]);
  assert.deepEqual(widened![99], added("key 99", "integer", 501));
  const one = await database.query('SELECT "key 999" AS last FROM t WHERE "key 999" IS NOT NULL');
  assert.deepEqual(one, [{ last: 999 }]);
});

Deno.test("a table that stays refuses a key that comes late, takes it, or goes without", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE t (a integer)");
  const text = `${before(500)}{"a":-1,"z":2}\n`;
  await assert.rejects(
    load(database, text, { mode: "append" }),
    /it has no column "z", which is new on line 501; its columns are "a".*frozen/,
  );
  assert.deepEqual(await rows(database), []);
  await load(database, text, { mode: "append", evolution: "discard" });
  assert.equal((await rows(database)).at(-1), "(-1)");
  await load(database, text, { mode: "append", evolution: "evolve" });
  assert.equal((await rows(database)).at(-1), "(-1,2)");
  const refused = { onReject: { limit: 1 }, mode: "append" } as const;
  const { rows: kept, rejected } = await load(
    database,
    `${before(500)}{"z":01}\n{"a":9,"z":3}\n`,
    refused,
  );
  assert.deepEqual([kept, rejected], [501, 1]);
  await nothingLeft(database);
});
