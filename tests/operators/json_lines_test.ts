import assert from "node:assert/strict";
import fc from "fast-check";
import { sqlType } from "../../operators/_canonical.ts";
import { jsonLines, type JsonLinesOptions } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { chunked, every, rowsOf, type Table } from "./_read_csv.ts";
import type { Bytes } from "../../engine/mod.ts";

async function read(
  input: string | Uint8Array | Bytes,
  options: JsonLinesOptions = {},
): Promise<Table> {
  const bytes = input instanceof ReadableStream ? input : chunked(input);
  let names: string[] = [], types: string[] = [];
  const rows: unknown[][] = [];
  for await (const batch of await perform(jsonLines(options as never), testContext(), bytes)) {
    names = batch.schema.fields.map(({ name }) => name);
    types = batch.schema.fields.map(sqlType);
    rows.push(...rowsOf(batch));
  }
  return { names, types, rows };
}

const day = (text: string) => Date.parse(`${text}T00:00:00Z`);

/** What is read: the lines, the names and types of the columns, and the rows. */
const READ: readonly (readonly [
  what: string,
  text: string,
  columns: Record<string, string>,
  rows: unknown[][],
  options?: JsonLinesOptions,
])[] = [
  [
    "all kinds of values",
    '{"i":1,"b":true,"s":"x","d":1.5,"o":{"a":[1, 2]},"l":[],"n":null}\n',
    {
      i: "integer",
      b: "boolean",
      s: "text",
      d: "double precision",
      o: "text",
      l: "text",
      n: "text",
    },
    [[1, true, "x", 1.5, '{"a":[1, 2]}', "[]", null]],
  ],
  [
    "keys in any order, and missing ones",
    '{"a":1,"b":2}\n{"b":3,"a":4}\n{"c":5}\n{}\n',
    { a: "integer", b: "integer", c: "integer" },
    [[1, 2, null], [4, 3, null], [null, null, 5], [null, null, null]],
  ],
  [
    "numbers with all their digits",
    '{"a":9007199254740993,"b":12345678901234567890,"c":0.1234567890123456789,"d":1e400,"e":-0}\n',
    { a: "bigint", b: "numeric", c: "numeric", d: "numeric", e: "double precision" },
    [[9007199254740993n, "12345678901234567890", "0.1234567890123456789", "1e400", -0]],
  ],
  [
    "white space, empty lines, CRLF, no last line end and a mark",
    '\ufeff\r\n { "a" : 1 , "b" : "x" } \r\n\r\n\t{"a":2,"b":"y"}',
    { a: "integer", b: "text" },
    [[1, "x"], [2, "y"]],
  ],
  [
    "escapes",
    '{"a\\u0062":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud834\\udd1e"}\n{"ab":"é"}\n',
    { ab: "text" },
    [['"\\/\b\f\n\r\té𝄞'], ["é"]],
  ],
  [
    "strings of one kind",
    '{"d":"2021-01-31","t":"2021-01-31T12:00:00","z":"2021-01-31T12:00:00Z","u":"00000000-0000-0000-0000-000000000001"}\n',
    { d: "date", t: "timestamp", z: "timestamptz", u: "uuid" },
    [[
      day("2021-01-31"),
      BigInt(day("2021-01-31")) * 1000n + 43_200_000_000n,
      BigInt(day("2021-01-31")) * 1000n + 43_200_000_000n,
      Uint8Array.from([...Array(15).fill(0), 1]),
    ]],
  ],
  [
    "numbers and truths in strings, which stay text",
    '{"a":"1","b":"true","c":"1.5","d":""}\n',
    { a: "text", b: "text", c: "text", d: "text" },
    [["1", "true", "1.5", ""]],
  ],
  [
    "kinds mixed in a column, which is text",
    '{"a":1}\n{"a":"x"}\n{"a":[1]}\n{"a":true}\n{"a":null}\n',
    { a: "text" },
    [["1"], ["x"], ["[1]"], ["true"], [null]],
  ],
  [
    "an empty string in a column of dates, which is text",
    '{"a":"2021-01-01"}\n{"a":""}\n',
    { a: "text" },
    [["2021-01-01"], [""]],
  ],
  ["names that want quotes", '{"":1,"a\\"b":2,"ä b":3}\n', {
    "": "integer",
    'a"b': "integer",
    "ä b": "integer",
  }, [[1, 2, 3]]],
  [
    "declared types, also of keys that come later",
    '{"a":"1","b":2}\n',
    {
      a: "bigint",
      b: "text",
      z: "date",
    },
    [[1n, "2", null]],
    { types: { a: "bigint", b: "text", z: "date" } },
  ],
];

for (const [what, text, columns, rows, options] of READ) {
  Deno.test(`jsonLines() reads ${what}, however it is cut`, async () => {
    const bytes = new TextEncoder().encode(text);
    for (const size of [1, 2, 3, 7, bytes.length]) {
      const table = await read(chunked(bytes, every(size, bytes.length)), options);
      assert.deepEqual(table, {
        names: Object.keys(columns),
        types: Object.values(columns),
        rows,
      });
    }
  });
}

/** What is refused: lines, and the message. */
const REFUSED: readonly (readonly [
  what: string,
  text: string | Uint8Array,
  message: RegExp,
  options?: JsonLinesOptions,
])[] = [
  ["an empty file", "\n\n", /: the file is empty$/],
  ["objects without keys", "{}\n{}\n", /no keys/],
  ["a list", '{"a":1}\n[1]\n', /line 2 is no JSON object/],
  ["a number", "1\n", /line 1 is no JSON object/],
  ["an object over several lines", '{\n"a":1\n}\n', /line 1 .*key/],
  ["two objects on a line", '{"a":1}{"a":2}\n', /line 1 has more than one object/],
  ["a comma at the end", '{"a":1,}\n', /line 1 has no key/],
  ["no comma", '{"a":1 "b":2}\n', /line 1 has no comma/],
  ["no colon", '{"a" 1}\n', /line 1 has no colon/],
  ["no value", '{"a":}\n', /line 1 has "" where a value/],
  ["a line that is cut", '{"a":1}\n{"a":', /line 2 ends where a value/],
  ["a string that is cut", '{"a":1}\n\n{"a":"x', /line 3 has a string that does not end/],
  ["an object that is cut", '{"a":1\n', /line 1 ends within an object/],
  ["a nested value that is cut", '{"a":{"b":1}\n', /line 1 .*/],
  ["a nested value that is none", '{"a":{"b":01}}\n', /line 1 has a value that is no JSON/],
  ["a number with a leading zero", '{"a":01}\n', /line 1 has "01" where a value/],
  ["a number with a plus", '{"a":+1}\n', /line 1 has "\+1"/],
  ["NaN", '{"a":NaN}\n', /line 1 has "NaN"/],
  ["an escape that is none", '{"a":"\\x"}\n', /line 1 has a string that is no JSON/],
  ["a tab in a string", '{"a":"\t"}\n', /line 1 has a control character/],
  ["half a character", '{"a":"\\ud834"}\n', /line 1 has a string with half a character/],
  ["a NUL character", '{"a":"x\\u0000"}\n', /column "a", line 1: it holds a NUL character/],
  ["a key twice", '{"a":1}\n{"a":1,"b":2,"a":3}\n', /line 2 has the key "a" twice/],
  [
    "a key that is new",
    `${'{"a":1}\n'.repeat(500)}{"a":1,"z":1}\n`,
    /line 501 has the key "z", which the first lines had not/,
    { unknownKeys: "error" },
  ],
  ["a declared type that does not fit", '{"a":"x"}\n', /"x" as integer .*declared/, {
    types: { a: "integer" },
  }],
  [
    "a line without end",
    `{"a":"${"x".repeat(5000)}`,
    /line 1 does not end within 1000 bytes \(maxLineBytes\)/,
    { maxLineBytes: 1000 },
  ],
  [
    "Latin-1",
    Uint8Array.from('{"a":"\xfc"}\n', (c) => c.charCodeAt(0)),
    /line 1: it is not valid UTF-8; .*encoding/,
  ],
];

for (const [what, text, message, options] of REFUSED) {
  Deno.test(`jsonLines() refuses ${what}`, async () => {
    await assert.rejects(read(text, { sampleBytes: 512, ...options }), (error: Error) => {
      assert.equal(error.name, "GiveUp");
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("keys that come later are left out when that is told", async () => {
  const text = `${'{"a":1}\n'.repeat(500)}{"z":{"a":"}"},"a":2}\n`;
  const { names, rows } = await read(text, { sampleBytes: 512, unknownKeys: "ignore" });
  assert.deepEqual([names, rows.length, rows.at(-1)], [["a"], 501, [2]]);
});

Deno.test("many lines are read across the borders of chunks and blocks", async () => {
  const lines = Array.from(
    { length: 60_000 },
    (_, i) => JSON.stringify({ n: i, s: `é\n"${i}"`, ...i % 3 ? { o: { i } } : {} }),
  );
  const bytes = new TextEncoder().encode(lines.join("\n"));
  for (const size of [65_535, 65_536, 65_537]) {
    const { rows } = await read(chunked(bytes, every(size, bytes.length)));
    assert.equal(rows.length, lines.length);
    rows.forEach((row, i) => assert.deepEqual(row, [i, `é\n"${i}"`, i % 3 ? `{"i":${i}}` : null]));
  }
});

const value = fc.oneof(
  fc.string({ unit: "grapheme" }).map((s) => s.replaceAll("\0", "")),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
  fc.jsonValue({ maxDepth: 2, noUnicodeString: false } as never),
);

Deno.test("what JSON.stringify writes is read back, as text where kinds are mixed", async () => {
  const keys = fc.constantFrom("a", "b", "ä", 'q"', "");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.dictionary(keys, value, { noNullPrototype: true }), { minLength: 1 }),
      fc.nat(50),
      async (objects, size) => {
        const known = [...new Set(objects.flatMap((object) => Object.keys(object)))];
        const text = objects.map((object) => JSON.stringify(object)).join("\n");
        if (known.length === 0 || text.includes("\\ud") || text.includes("\\u0000")) return;
        const types = Object.fromEntries(known.map((key) => [key, "text"]));
        const bytes = new TextEncoder().encode(text);
        const { rows } = await read(chunked(bytes, every(size + 1, bytes.length)), { types });
        const expected = objects.map((object) =>
          known.map((key) => {
            const value = Object.hasOwn(object, key) ? object[key] : null;
            return value === null
              ? null
              : typeof value === "string"
              ? value
              : JSON.stringify(value);
          })
        );
        assert.deepEqual(rows, expected);
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("a line that is changed at random is read as JSON.parse reads it, or refused where it does", async () => {
  const line = fc.dictionary(fc.constantFrom("a", "b"), value, {
    noNullPrototype: true,
    minKeys: 1,
  })
    .map((object) => JSON.stringify(object));
  const change = fc.tuple(fc.nat(), fc.constantFrom(...'"\\{}[],:0-.etn ', ""));
  let taken = 0, refused = 0;
  await fc.assert(
    fc.asyncProperty(line, change, async (line, [place, sign]) => {
      const at = place % line.length;
      const text = line.slice(0, at) + sign + line.slice(at + 1);
      if (text.includes("\\u") || text.includes("__proto__")) return;
      let theirs: unknown;
      try {
        theirs = JSON.parse(text);
      } catch { /* no JSON */ }
      const isObject = typeof theirs === "object" && theirs !== null && !Array.isArray(theirs);
      let mine: Table | undefined;
      try {
        mine = await read(text);
      } catch (error) {
        assert.equal((error as Error).name, "GiveUp", String((error as Error).stack));
        // A key twice, none at all, and half a character are refused beyond what JSON is.
        const beyond = /twice|no keys|half a character|NUL/.test((error as Error).message);
        assert.ok(!isObject || beyond, `${text}: ${(error as Error).message}`);
        refused++;
        return;
      }
      assert.ok(isObject, `${text} was read as ${Deno.inspect(mine.rows)}`);
      assert.deepEqual(new Set(mine.names), new Set(Object.keys(theirs as object)));
      taken++;
    }),
    { numRuns: 1500 },
  );
  assert.ok(taken > 100 && refused > 100, `${taken} taken, ${refused} refused`);
});
