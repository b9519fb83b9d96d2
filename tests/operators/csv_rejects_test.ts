import assert from "node:assert/strict";
import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { type CsvOptions, jsonLines, type JsonLinesOptions } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { CHUNKS, fed, sift, siftCsv } from "./_sifted.ts";

/** One reject as a test has it: record, line, rule, column, raw text. */
type Short = [
  record: number,
  line: number | null,
  rule: string,
  column: string | null,
  raw: string,
];

interface Case {
  readonly name: string;
  readonly text: string | Uint8Array;
  readonly options?: CsvOptions;
  readonly rows: unknown[][];
  readonly rejects: Short[];
}

const bytes = (...parts: (string | number[])[]) =>
  new Uint8Array(
    parts.flatMap((part) => typeof part === "string" ? [...new TextEncoder().encode(part)] : part),
  );
const ab: CsvOptions = { types: { a: "integer" } };

const CASES: Case[] = [
  {
    name: "too few and too many fields",
    text: "a,b\n1,x\n2\n3,y,z\n4,w\n",
    rows: [[1, "x"], [4, "w"]],
    rejects: [[2, 3, "fields", null, "2"], [3, 4, "fields", null, "3,y,z"]],
  },
  {
    name: "a ragged record over several lines",
    text: 'a,b\r\n1,"x\r\ny",z\r\n2,w\r\n',
    rows: [[2, "w"]],
    rejects: [[1, 2, "fields", null, '1,"x\r\ny",z']],
  },
  {
    name: "junk behind a quote",
    text: 'a,b\n1,"x"y\n2,"w"\n',
    rows: [[2, "w"]],
    rejects: [[1, 2, "quotes", null, '1,"x"y']],
  },
  {
    name: "each line of what may have been several records",
    text: 'a,b\n1,"x\n2,w\n\n3,"v"\n4,u\n',
    rows: [[4, "u"]],
    rejects: [
      [1, 2, "quotes", null, '1,"x'],
      [2, 3, "quotes", null, "2,w"],
      [3, 5, "quotes", null, '3,"v"'],
    ],
  },
  {
    name: "the line of a quote that is never closed, and nothing behind it",
    text: 'a,b\n1,"x\n2,w\n3,""\n4,u',
    rows: [[2, "w"], [3, ""], [4, "u"]],
    rejects: [[1, 2, "quotes", null, '1,"x']],
  },
  {
    name: "a value that is not of its declared type",
    text: "a,b\n1,x\nN/A,y\n2.5,z\n2147483648,w\n5,v\n",
    options: ab,
    rows: [[1, "x"], [5, "v"]],
    rejects: [
      [2, 3, "type", "a", "N/A,y"],
      [3, 4, "type", "a", "2.5,z"],
      [4, 5, "type", "a", "2147483648,w"],
    ],
  },
  {
    name: "bytes that are no UTF-8, and NUL bytes",
    text: bytes("a,b\n1,x", [0xff], "\n2,\0y\n3,ü\n", [0xc3], ",z\n"),
    options: ab,
    rows: [[3, "ü"]],
    rejects: [
      [1, 2, "encoding", "b", "1,x\ufffd"],
      [2, 3, "encoding", "b", "2,\ufffdy"],
      [4, 5, "encoding", "a", "\ufffd,z"],
    ],
  },
  {
    name: "what windows-1252 does not define",
    text: bytes("a,b\n1,", [0x80], "\n2,", [0x81], "\n"),
    options: { encoding: "windows-1252" },
    rows: [[1, "€"]],
    rejects: [[2, 3, "encoding", "b", "2,\ufffd"]],
  },
  {
    name: "half a character of UTF-16",
    text: bytes([0xff, 0xfe], [..."a,b\n1,x\n2,"].flatMap((c) => [c.charCodeAt(0), 0]), [
      ...[0, 0xd8],
      ...[10, 0, 51, 0, 44, 0, 122, 0, 10, 0],
    ]),
    rows: [[1, "x"], [3, "z"]],
    rejects: [[2, 3, "encoding", "b", "2,\ufffd"]],
  },
  {
    name: "what is no Shift JIS",
    text: bytes("a,b\n1,", [0x82, 0xa0], "\n2,", [0xff], "\n"),
    options: { encoding: "shift_jis" },
    rows: [[1, "あ"]],
    rejects: [[2, 3, "encoding", "b", "2,\ufffd"]],
  },
  {
    name: "a field that is too long",
    text: `a,b\n1,x\n2,${"y".repeat(1_200_000)}\n3,z\n`,
    options: { maxFieldBytes: 100_000, sampleBytes: 512 },
    rows: [[1, "x"], [3, "z"]],
    rejects: [[2, 3, "length", null, `2,${"y".repeat((1 << 16) - 2)}`]],
  },
  {
    name: "fields that are too long, among others that are not",
    text: `a,b\n1,x\n2,${"y".repeat(41)}\n3,z\n4\n5,"${"y".repeat(41)}"\n6,${"y".repeat(40)}\n`,
    options: { maxFieldBytes: 40, sampleBytes: 512 },
    rows: [[1, "x"], [3, "z"], [6, "y".repeat(40)]],
    rejects: [
      [2, 3, "length", null, `2,${"y".repeat(41)}`],
      [4, 5, "fields", null, "4"],
      [5, 6, "quotes", null, `5,"${"y".repeat(41)}"`],
    ],
  },
  {
    name: "records behind comments, empty lines and such as are filled up",
    text: 'a,b\n#no\n1\n\n2,x,y\n#,\n3,"z"z\n4,w\n',
    options: { comment: "#", ragged: "pad" },
    rows: [[1, null], [4, "w"]],
    rejects: [[2, 5, "fields", null, "2,x,y"], [3, 7, "quotes", null, '3,"z"z']],
  },
  {
    name: "where NULL has a spelling, and numbers have another",
    text: 'a;b\n1,5;-\n-;x\n2.5;"-"\n"";y\n',
    options: { nulls: ["-"], decimal: ",", types: { a: "double precision" }, delimiter: ";" },
    rows: [[1.5, null], [null, "x"]],
    rejects: [[3, 4, "type", "a", '2.5;"-"'], [4, 5, "type", "a", '"";y']],
  },
  {
    name: "lines that end with CR alone, the last with nothing",
    text: "a,b\r1,x\r2\r3,y,z\rq,w",
    options: ab,
    rows: [[1, "x"]],
    rejects: [
      [2, 3, "fields", null, "2"],
      [3, 4, "fields", null, "3,y,z"],
      [4, 5, "type", "a", "q,w"],
    ],
  },
];

const short = ({ rejects }: Awaited<ReturnType<typeof sift>>): Short[] =>
  rejects.map((one) => [one.record, one.line, one.rule, one.column_name, one.raw]);

for (const { name, text, options = {}, rows, rejects } of CASES) {
  Deno.test(`csv refuses ${name}, and no more, in chunks of any size`, async () => {
    const long = text.length > 100_000;
    for (const size of long ? CHUNKS.filter((size) => size > 7) : CHUNKS) {
      const found = await siftCsv(fed(text, size), options);
      assert.deepEqual(found.rows, rows, `chunks of ${size}`);
      assert.deepEqual(short(found), rejects, `chunks of ${size}`);
      assert.equal(found.records, rows.length + rejects.length);
    }
  });
}

Deno.test("without the option the first of them ends the reading, as before", async () => {
  for (const { text, options = {} } of CASES) {
    await assert.rejects(siftCsv(fed(text, Infinity), { ...options, onReject: "fail" }));
  }
});

Deno.test("csv refuses nothing for a type that was inferred: the column becomes wider", async () => {
  const text = `a,b\n${"1,x\n".repeat(500)}N/A,y\n7,z,\n`;
  const { rows, rejects } = await siftCsv(text, { sampleBytes: 512 });
  assert.equal(rows.length, 501);
  assert.deepEqual(rows[500], ["N/A", "y"]);
  assert.deepEqual(rejects.map(({ line, rule }) => [line, rule]), [[503, "fields"]]);
});

Deno.test("a bad record in the sample does not hide how the file is written", async () => {
  const good = Array.from({ length: 30 }, (_, i) => `${i};x`).join("\n");
  const { rows, rejects } = await siftCsv(`a;b\n${good}\n1;2;3\n4;"y"y\n`);
  assert.equal(rows.length, 30);
  assert.deepEqual(rejects.map(({ raw }) => raw), ["1;2;3", '4;"y"y']);
});

Deno.test("a reject has its values by column, its bytes and its place", async () => {
  const text = bytes('a,b,c\n1,x,2021-01-01\n"z",,31.12.2021\n', [51, 0xfe], ',"",2.2.2022\n');
  const { rejects } = await siftCsv(text, { types: { a: "integer" }, dateOrder: "dmy" });
  assert.deepEqual(
    rejects.map(({ row, bytes, from_byte, to_byte }) => ({
      ...{ bytes, from_byte, to_byte },
      row: JSON.parse(row!),
    })),
    [
      {
        row: { a: "z", b: null, c: "31.12.2021" },
        bytes: null,
        from_byte: 21,
        to_byte: 36,
      },
      {
        row: { a: "3\ufffd", b: "", c: "2.2.2022" },
        bytes: btoa('3\xfe,"",2.2.2022'),
        from_byte: 37,
        to_byte: 51,
      },
    ],
  );
});

const JSON_CASES: {
  name: string;
  text: string;
  options?: JsonLinesOptions;
  rows: unknown[][];
  rejects: Short[];
}[] = [
  {
    name: "lines that are no objects, and end too early",
    text: '{"a":1,"b":"x"}\n[1]\n{"a":2,"b":"y"\n\n{"a":3,"b":"z"} 1\r\n{"b":"w","a":4}',
    rows: [[1, "x"], [4, "w"]],
    rejects: [
      [2, 2, "json", null, "[1]"],
      [3, 3, "json", null, '{"a":2,"b":"y"'],
      [4, 5, "json", null, '{"a":3,"b":"z"} 1'],
    ],
  },
  {
    name: "columns that only refused lines have brought",
    text: '{"a":1}\n{"a":2,"x":3,"y":"\n{"a":3}\n{"b":null}\n',
    rows: [[1, null], [3, null], [null, null]],
    rejects: [[2, 2, "json", null, '{"a":2,"x":3,"y":"']],
  },
  {
    name: "values not of a declared type, and such as Postgres cannot keep",
    text: '{"a":1,"b":"x"}\n{"a":"y","b":"z"}\n{"a":2,"b":"\\u0000"}\n{"a":3,"b":null}\n',
    options: { types: { a: "integer" } },
    rows: [[1, "x"], [3, null]],
    rejects: [
      [2, 2, "type", "a", '{"a":"y","b":"z"}'],
      [3, 3, "encoding", "b", '{"a":2,"b":"\\u0000"}'],
    ],
  },
  {
    name: "a line that is too long",
    text: `{"a":1}\n{"a":"${"x".repeat(400_000)}"}\n{"a":2}\n`,
    options: { maxLineBytes: 100_000, sampleBytes: 512 },
    rows: [[1], [2]],
    rejects: [[2, 2, "length", null, `{"a":"${"x".repeat((1 << 16) - 6)}`]],
  },
];

for (const { name, text, options = {}, rows, rejects } of JSON_CASES) {
  Deno.test(`jsonLines refuses ${name}, and no more, in chunks of any size`, async () => {
    const tolerant = { ...options, onReject: { limit: Infinity } };
    for (const size of text.length > 100_000 ? CHUNKS.filter((size) => size > 7) : CHUNKS) {
      const batches = await perform(jsonLines(tolerant as never), testContext(), fed(text, size));
      const found = await sift(batches);
      assert.deepEqual(found.rows, rows, `chunks of ${size}`);
      assert.deepEqual(short(found), rejects, `chunks of ${size}`);
    }
  });
}

Deno.test("what is refused and what is not are all the records, and csv-parse reads the others so", async () => {
  const text = fc.array(fc.constantFrom("x", "ü", '"', ",", "\n", " "), { maxLength: 6 })
    .map((parts) => parts.join(""));
  const quoted = (value: string) => `"${value.replaceAll('"', '""')}"`;
  const good = fc.tuple(
    fc.integer(),
    text,
    fc.boolean(),
    fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
  )
    .map(([a, b, c, d]) => ({ bad: false, raw: [a, quoted(b), c, d ?? ""].join(",") }));
  const bad = fc.constantFrom(
    "1,x",
    "1,x,true,1.5,y",
    "one,x,true,",
    '1,"x"y,true,',
    "1,x,maybe,1",
    "1,\0,true,1",
    "1,x,,zero",
  )
    .map((raw) => ({ bad: true, raw }));
  // A good one comes last: records of another width up to the end would be another table.
  const records = fc.tuple(
    fc.array(
      fc.oneof({ weight: 5, arbitrary: good }, { weight: 1, arbitrary: bad }),
      { maxLength: 60 },
    ),
    good,
  ).map(([some, last]) => [...some, last]);
  const types = { a: "integer", b: "text", c: "boolean", d: "double precision" };
  await fc.assert(
    fc.asyncProperty(
      records,
      fc.constantFrom("\n", "\r\n", "\r"),
      fc.integer({ min: 1, max: 900 }),
      async (records, end, size) => {
        const header = `a,b,c,d${end}`;
        const whole = header + records.map(({ raw }) => raw + end).join("");
        const encoded = new TextEncoder().encode(whole);
        const found = await siftCsv(fed(encoded, size), {
          types,
          sampleBytes: 512,
          maxFieldBytes: 1 << 20,
        });
        const wanted = records.flatMap(({ bad, raw }, i) => bad ? [{ record: i + 1, raw }] : []);
        assert.deepEqual(
          found.rejects.map(({ record, raw, bytes }) => ({
            record,
            raw: bytes ? atob(bytes) : raw,
          })),
          wanted,
        );
        assert.equal(found.rows.length + found.rejects.length, records.length);
        assert.equal(found.records, records.length);
        for (const { from_byte, to_byte, raw, bytes } of found.rejects) {
          const slice = new TextDecoder().decode(encoded.subarray(from_byte!, to_byte!));
          assert.equal(slice, bytes ? atob(bytes) : raw);
        }
        const rest = header + records.flatMap(({ bad, raw }) => bad ? [] : [raw + end]).join("");
        const expected: string[][] = parse(rest, {
          from_line: 1,
          record_delimiter: end,
          relax_quotes: false,
          skip_empty_lines: true,
        });
        const shown = found.rows.map((
          [a, b, c, d],
        ) => [String(a), b, String(c), d === null ? "" : Object.is(d, -0) ? "0" : String(d)]);
        assert.deepEqual(
          shown,
          expected.slice(1).map(([a, b, c, d]) =>
            [a, b, c, d === "" ? "" : String(Number(d))].map((v) => v === "-0" ? "0" : v)
          ),
        );
      },
    ),
    { numRuns: 300 },
  );
});
