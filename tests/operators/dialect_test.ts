import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import type { CsvOptions, ReadAs } from "../../operators/mod.ts";
import { csv, PLAIN_CSV } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { chunked, every, readCsv } from "./_read_csv.ts";

/** How a file is said to be read. */
async function told(input: string | Uint8Array, options: CsvOptions = {}): Promise<ReadAs> {
  let dialect: unknown = PLAIN_CSV; // where nothing is said
  const log = {
    info: (_: string, fields?: Record<string, unknown>) =>
      void (dialect = fields?.dialect ?? dialect),
    warn() {},
    error() {},
  };
  const batches = await perform(csv(options as never), testContext({ log }), chunked(input));
  for await (const _ of batches);
  return dialect as ReadAs;
}

/** What a file is, its text, what is found where it is not plain, the names of its columns and its rows. */
const FOUND: readonly (readonly [
  what: string,
  text: string,
  found: Partial<ReadAs>,
  names: string[],
  rows: unknown[][],
])[] = [
  ["commas", "a,b\n1,x\n2,y\n", {}, ["a", "b"], [[1, "x"], [2, "y"]]],
  ["commas, with semicolons in fields", "a,b\n1;2,x\n3;4,y\n", {}, ["a", "b"], [["1;2", "x"], [
    "3;4",
    "y",
  ]]],
  ["semicolons", "a;b\n1;x\n2;y\n", { delimiter: ";" }, ["a", "b"], [[1, "x"], [2, "y"]]],
  ["semicolons, with decimal commas", "a;b\n1,5;x\n2;y,z,\n", { delimiter: ";" }, ["a", "b"], [
    ["1,5", "x"],
    ["2", "y,z,"],
  ]],
  ["tabs", 'a\tb\n1\t"x\ty"\n', { delimiter: "\t" }, ["a", "b"], [[1, "x\ty"]]],
  ["bars", "a|b\r\n1|\r\n", { delimiter: "|" }, ["a", "b"], [[1, null]]],
  ["carets", "a^b\n1^x\n", { delimiter: "^" }, ["a", "b"], [[1, "x"]]],
  ["tildes", "a~b\n1~x\n", { delimiter: "~" }, ["a", "b"], [[1, "x"]]],
  ["Hive's fields", "a\x01b\n1\x01x\n", { delimiter: "\x01" }, ["a", "b"], [[1, "x"]]],
  ["unit separators", "a\x1fb\n1\x1fx\n", { delimiter: "\x1f" }, ["a", "b"], [[1, "x"]]],
  ["escapes", 'a,b\n"x\\"y",1\n"\\\\",2\n', { escape: "\\" }, ["a", "b"], [['x"y', 1], ["\\", 2]]],
  ["escapes and semicolons", 'a;b\n"x\\";y";1\n', { escape: "\\", delimiter: ";" }, ["a", "b"], [
    ['x";y', 1],
  ]],
  [
    "apostrophes",
    "a,b\n'x,y',1\n'it''s, ',2\n",
    { quote: "'", escape: "'" },
    ["a", "b"],
    [["x,y", 1], ["it's, ", 2]],
  ],
  [
    "a preamble",
    "Report of 2021\nAll figures in EUR\n\nid,name\n1,x\n2,y\n",
    { skipped_lines: 2 },
    ["id", "name"],
    [[1, "x"], [2, "y"]],
  ],
  [
    "a preamble and semicolons",
    '"Report\nof"\nid;name\n1;x\n2;y\n',
    { skipped_lines: 2, delimiter: ";" },
    ["id", "name"],
    [[1, "x"], [2, "y"]],
  ],
  [
    "a spreadsheet's own word",
    "sep=;\na;b\n1;x\n",
    { skipped_lines: 1, delimiter: ";" },
    ["a", "b"],
    [[1, "x"]],
  ],
  [
    "a spreadsheet's own word for a comma, above two columns",
    "sep=,\na,b\n1,x\n",
    { skipped_lines: 1, delimiter: "," },
    ["a", "b"],
    [[1, "x"]],
  ],
  [
    "no header, but dates",
    "2021-01-01,5,x\n2021-01-02,6,y\n",
    { header: false },
    ["column_1", "column_2", "column_3"],
    [["2021-01-01", 5, "x"], ["2021-01-02", 6, "y"]],
  ],
  ["numbers for names", "1,2\n3,4\n5,6\n", {}, ["1", "2"], [[3, 4], [5, 6]]],
  ["years for names", "country,2019,2020\nA,1.5,2.5\nB,1.5,\n", {}, ["country", "2019", "2020"], [
    ["A", 1.5, 2.5],
    ["B", 1.5, null],
  ]],
  ["days for names", "who,2021-01-01,2021-01-02\nA,1,2\n", {}, [
    "who",
    "2021-01-01",
    "2021-01-02",
  ], [["A", 1, 2]]],
  ["one column", "a\nx;y\nz\n", {}, ["a"], [["x;y"], ["z"]]],
  ["times in one column", "12:30\n12:31\n12:32\n", {}, ["12:30"], [["12:31"], ["12:32"]]],
  ["a header alone", "a;b\n", {}, ["a;b"], []],
  ["a quote within a field", 'a,b\nx"y,1\n', {}, ["a", "b"], [['x"y', 1]]],
  ["tags for names", "<A>,<B>\nx,1\n", {}, ["<A>", "<B>"], [["x", 1]]],
  ["tags for names, and semicolons", "<A>;<B>\nx;1\n", { delimiter: ";" }, ["<A>", "<B>"], [[
    "x",
    1,
  ]]],
  ["tags for names, and tabs", "<A>\t<B>\nx\t1\n", { delimiter: "\t" }, ["<A>", "<B>"], [[
    "x",
    1,
  ]]],
  ["tags for names, and bars", "<A>|<B>\nx|1\n", { delimiter: "|" }, ["<A>", "<B>"], [["x", 1]]],
  ["a tag for a name", "<id>\n1\n2", {}, ["<id>"], [[1], [2]]],
  ["elements for values", "<i>x</i>,n\n<i>y</i>,1\n", {}, ["<i>x</i>", "n"], [["<i>y</i>", 1]]],
  ["what is less", "<5,n\n<6,1\n", {}, ["<5", "n"], [["<6", 1]]],
];

const plain = (value: unknown) =>
  typeof value === "number" && value > 1e11 ? new Date(value).toISOString().slice(0, 10) : value;

for (const [what, text, found, names, rows] of FOUND) {
  Deno.test(`csv() finds out ${what}, however it is cut`, async () => {
    assert.deepEqual(await told(text), { ...PLAIN_CSV, ...found });
    for (const size of [1, 2, 3, 7, text.length]) {
      const read = await readCsv(chunked(text, every(size, text.length)));
      assert.deepEqual(
        [read.names, read.rows.map((row) => row.map(plain))],
        [names, rows],
        `${size}`,
      );
    }
  });
}

const MARKUP = /so it is markup \(HTML or XML\) and no table; check the address/;

/** What is refused rather than guessed. */
const DOUBTS: readonly (readonly [what: string, text: string, message: RegExp])[] = [
  ["two delimiters that fit", "a;b|c\n1;2|3\n", /may be split by ";" or by "\|"; say by which/],
  [
    "a comma and another delimiter that fit",
    "city, state\tpop\nAustin, TX\t1\nReno, NV\t2\n",
    /may be split by "," or by "\\t"; say by which/,
  ],
  [
    "two ways to escape a quote",
    String.raw`a,"\",",x"` + "\n" + String.raw`b,"\",",y"` + "\n",
    /doubling them or by a backslash, and its fields differ by which; say by which \(--escape,/,
  ],
  ["two tables", "a,b\n1,2\n3,4\n\nx,y,z\n1,2,3\n", /line 5 has 3 fields, expected 2, and so/],
  ["a header too short", "a,b\n1,2,3\n4,5,6\n", /line 2 has 3 fields, expected 2/],
  ["a header too short, over text", "n\nAda,London\nGrace,York\n", /line 2 has 2 fields/],
  [
    "a table of one column before another one",
    "id\n1\n2\n\nname,n\nx,1\ny,2\nz,3\n",
    /line 5 has 2 fields, expected 1/,
  ],
  ["a header of one word", "name\nAda,London\nGrace,5\nBob,6\n", /line 2 has 2 fields, expected 1/],
  ["one ragged row", "a,b\n1,2\n3\n4,5\n", /line 3 has 1 field, expected 2/],
  ["one ragged row with apostrophes", "a,b\n1,2\n'x,y',3\n4,5\n", /line 3 has 3 fields/],
  ["XML", '<?xml version="1.0"?>\n<a/>', /so it is XML/],
  ["a piece of a web page", "<div>sorry</div>\n<p>x</p>", /begins with "<div>sorry<\/div>", so it/],
  ["a heading", "<h1>Error, again</h1>\n", MARKUP],
  ["a heading with attributes", '\n<h1 class="x">Error</h1>', MARKUP],
  ["a paragraph with others in it", "<p>No <b>such</b>, sorry</p>", MARKUP],
  ["a page that does not end in the beginning", `<div>\n  <p>${"x".repeat(600)}</p></div>`, MARKUP],
  ["a comment", "<!-- x -->\n<p>x</p>", MARKUP],
  ["an error of S3", "<Error><Code>AccessDenied</Code></Error>", MARKUP],
  ["an element over lines", "<Error>\r\n  <Code>1</Code>\r\n</Error>", MARKUP],
  ["an element with a prefix", '<s:Envelope xmlns:s="x"><s:Body/></s:Envelope>', MARKUP],
  ["an empty element", "<error/>", MARKUP],
  [
    "a Parquet file",
    "PAR1\x15\x04\x15\x00PK",
    /begins with "PAR1\\u0015", so it is a Parquet file/,
  ],
  ["a PDF", "%PDF-1.7\n%", /PDF/],
  ["a JSON array", '[\n{"a": 1}\n]', /JSON array; JSON is read one object to a line/],
];

for (const [what, text, message] of DOUBTS) {
  Deno.test(`csv() refuses ${what}, and does not guess`, async () => {
    await assert.rejects(readCsv(text), (error: Error) => {
      assert.equal(error.name, "GiveUp");
      assert.match(error.message, message);
      return true;
    });
  });
}

const binary = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
const tar = (magic: string) =>
  binary("a.csv".padEnd(257, "\0") + magic.padEnd(255, "\0") + "a,b\n1,2\n");
const STILL = "compressed twice, or read without decompress\\(\\); decompress it first$";

/** What is no text, and what is said of it. */
const BINARY: readonly (readonly [what: string, bytes: Uint8Array, message: RegExp])[] = [
  ["a tar archive", tar("ustar\x0000"), /begins with "a.csv", so it is a tar archive: extract/],
  [
    "a tar archive of GNU",
    tar("ustar  \0"),
    /begins with "a.csv", so it is a tar archive: extract/,
  ],
  ["gzip", gzipSync("a,b\n1,2\n"), RegExp(`still compressed with gzip: ${STILL}`)],
  ["bzip2", binary("BZh91AY&SY\xff\n"), RegExp(`still compressed with bzip2: ${STILL}`)],
  ["xz", binary("\xfd7zXZ\0\n"), RegExp(`still compressed with xz: ${STILL}`)],
  ["zstd", binary("\x28\xb5\x2f\xfd\n,"), RegExp(`still compressed with zstd: ${STILL}`)],
  ["zip", binary("PK\x03\x04\n,\n"), RegExp(`still compressed with zip: ${STILL}`)],
  ["a PNG", binary("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), /so it is an image and no table/],
  ["a JPEG", binary("\xff\xd8\xff\xe0\0\x10JFIF"), /so it is an image and no table/],
  ["a program", binary("\x7fELF\x02\x01\n,\n"), /begins with "\x7fELF", so it is a program/],
  ["an old Excel file", binary("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), /old Excel/],
];

for (const [what, bytes, message] of BINARY) {
  Deno.test(`csv() says that ${what} is that, whatever is told of text`, async () => {
    for (const options of [{}, { encoding: "windows-1252" }, { nul: "remove" }] as const) {
      for (const size of [1, bytes.length]) {
        const cuts = every(size, bytes.length);
        await assert.rejects(readCsv(chunked(bytes, cuts), options), { name: "GiveUp", message });
      }
    }
  });
}

/** What is told holds, whatever the bytes look like: options, a file, names and rows. */
const TOLD: readonly (readonly [CsvOptions, string, string[], unknown[][]])[] = [
  [{ delimiter: "," }, "a;b\n1;x\n2;y\n", ["a;b"], [["1;x"], ["2;y"]]],
  [{ delimiter: "," }, "sep=;\na\n", ["sep=;"], [["a"]]],
  [{ delimiter: ":" }, "a:b\n1:x\n", ["a", "b"], [[1, "x"]]],
  [{ quote: '"' }, "a;b\n1;x\n", ["a;b"], [["1;x"]]],
  [{ header: true }, "2021-01-01\n2021-01-02\n", ["2021-01-01"], [["2021-01-02"]]],
  [{ skipLines: 1 }, "Report\nid\n7\n", ["id"], [[7]]],
  [{ skipLines: 1 }, "<!-- Report -->\nid\n7\n", ["id"], [[7]]],
  [{ skipLines: 2 }, "a,b,c\r\n\r\nid;n\r\n7;x\r\n", ["id", "n"], [[7, "x"]]],
  [{ skipLines: 3, header: ["n"] }, "\r\r\n\n7\n", ["n"], [[7]]],
  [{ skipFooter: 1 }, "a,b\n1,2\nTotal: 1 row\n", ["a", "b"], [[1, 2]]],
  [{ skipFooter: 2 }, "a,b\r\n1,2\r\n\r\nTotal\r\n(end)\r\n\r\n", ["a", "b"], [[1, 2]]],
  [{ skipFooter: 1 }, "a\r1\r2", ["a"], [[1]]],
  [{ comment: "#" }, "# x,y\na,b\n#\n1,2\n\n# z\n3,4\n#", ["a", "b"], [[1, 2], [3, 4]]],
  [{ comment: "#" }, '# a\r\na;b\r\n1;"\n#x"\r\n2;#y\r\n', ["a", "b"], [[1, "\n#x"], [2, "#y"]]],
  [{ comment: "#" }, "a\n1\n\n#x\n2\n", ["a"], [[1], [null], [2]]],
  [{ ragged: "pad" }, 'a,b,c\n1\n2,x\n3,y,z,,\n"",\n', ["a", "b", "c"], [
    ["1", null, null],
    ["2", "x", null],
    ["3", "y", "z"],
    ["", null, null],
  ]],
  [{ nul: "remove" }, "a,b\n1\0,\0x\n", ["a", "b"], [[1, "x"]]],
  [{ names: "mend" }, "a,a,,a_2,\n1,2,3,4,5\n", ["a", "a_3", "column_3", "a_2", "column_5"], [
    [1, 2, 3, 4, 5],
  ]],
  [
    { names: "mend" },
    `${"ü".repeat(40)},${"ü".repeat(41)}\n1,2\n`,
    ["ü".repeat(31), `${"ü".repeat(30)}_2`],
    [[1, 2]],
  ],
];

for (const [options, text, names, rows] of TOLD) {
  Deno.test(`with ${JSON.stringify(options)}, ${JSON.stringify(text.slice(0, 40))} is read as told`, async () => {
    const bytes = new TextEncoder().encode(text);
    for (const size of [1, 2, 3, 7, bytes.length]) {
      const read = await readCsv(chunked(bytes, every(size, bytes.length)), options);
      assert.deepEqual(
        [read.names, read.rows.map((row) => row.map(plain))],
        [names, rows],
        `${size}`,
      );
    }
  });
}

/** What options do not let pass. */
const REFUSED: readonly (readonly [CsvOptions, string, RegExp])[] = [
  [{ ragged: "pad" }, "a,b\n1,2,3\n", /line 2 has 3 fields, expected 2; what is too much is not/],
  [{ ragged: "pad" }, 'a,b\n\n1,2,""\n', /line 3 has 3 fields, expected 2/],
  [{ comment: "#" }, "a,b\n#\n\n1\n", /line 4 has 1 field, expected 2/],
  [{ skipLines: 5 }, "a,b\n1,2\n", /no more than the 5 lines to skip/],
  [{ skipFooter: 3 }, "a,b\n1,2\n", /the file is empty/],
  [{ skipFooter: 2, maxFieldBytes: 100 }, `a\n1\n${"x".repeat(200)}\n`, /do not fit into 100/],
  [{ comment: "#", maxFieldBytes: 50 }, `a\n"${"x".repeat(50)}`, /line 2 is never closed/],
  [{ comment: "#", maxFieldBytes: 50 }, `a\n"${"x".repeat(51)}`, /is not closed within 50 bytes/],
  [{ comment: "#", maxFieldBytes: 50 }, `a\n${"x".repeat(51)}\n1\n`, /does not end within 50/],
  [{ names: "strict" }, "a,a\n", /columns 1 and 2 are both named "a"/],
];

for (const [options, text, message] of REFUSED) {
  Deno.test(`with ${JSON.stringify(options)}, ${JSON.stringify(text.slice(0, 30))} is refused`, async () => {
    for (const size of [1, 7, text.length]) {
      await assert.rejects(readCsv(chunked(text, every(size, text.length)), options), message);
    }
  });
}

for (
  const [options, message] of [
    [{ encoding: "klingon" }, /"klingon" as an encoding/],
    [{ skipLines: -1 }, /skipLines/],
    [{ skipFooter: 1.5 }, /skipFooter/],
    [{ comment: "," }, /"," for comments and for fields/],
    [{ comment: "//" }, /one ASCII character/],
    [{ thousands: "x" }, /"x" between thousands/],
    [{ thousands: ".", decimal: "." }, /both as the decimal sign and/],
    [{ decimal: "x" as "," }, /"x" as the decimal sign/],
    [{ dateOrder: "myd" as "dmy" }, /"myd" as the order of dates/],
    [{ signs: ["-"] }, /part of numbers/],
  ] as [CsvOptions, RegExp][]
) {
  Deno.test(`csv() refuses the options ${JSON.stringify(options)}`, async () => {
    await assert.rejects(readCsv("a\n1\n", options), { name: "TypeError", message });
  });
}

Deno.test("options that are loose read in blocks as others do, comments and short rows at their borders", async () => {
  const lines = Array.from(
    { length: 60_000 },
    (_, i) => i % 7 === 0 ? `# ${i}, "` : i % 5 === 0 ? `${i}` : `${i},"x\n#${i}"`,
  );
  const { rows } = await readCsv(`a,b\r\n${lines.join("\r\n")}`, {
    comment: "#",
    ragged: "pad",
    sampleBytes: 512,
  });
  const expected = lines.flatMap((_, i) =>
    i % 7 === 0 ? [] : [[i, i % 5 === 0 ? null : `x\n#${i}`]]
  );
  assert.equal(rows.length, expected.length);
  rows.forEach((row, i) => assert.deepEqual(row, expected[i]));
});

Deno.test("a footer is left out however far it is from the first block", async () => {
  const body = Array.from({ length: 100_000 }, (_, i) => `${i},x\n`).join("");
  const text = `a,b\n${body}Total;100000\n\nEnd of report\n`;
  const { rows } = await readCsv(chunked(text, every(65_536, text.length)), { skipFooter: 2 });
  assert.equal(rows.length, 100_000);
});

Deno.test("comments and short rows are read across the borders of chunks and blocks", async () => {
  const text = '1,x\r\n#, "\r\n\r\n2,"a\n#""b"\r\n3\r\n4,y,,\r\n#';
  const options: CsvOptions = { comment: "#", ragged: "pad", sampleBytes: 1 << 16 };
  for (let at = 0; at <= text.length; at++) {
    const head = "a,b\r\n";
    const pad = `${"x".repeat((1 << 16) - at - head.length - 3)},\r\n`;
    const file = head + pad + text;
    const { rows } = await readCsv(chunked(file, every(1 << 16, file.length)), options);
    assert.deepEqual(
      rows.slice(1).map((row) => row.map(String)),
      [["1", "x"], ["2", 'a\n#"b'], ["3", "null"], ["4", "y"]],
      `${at} bytes before the border`,
    );
  }
});
