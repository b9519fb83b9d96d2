import assert from "node:assert/strict";
import { csv, type CsvOptions } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { batchesOf, chunked, every, readCsv } from "./_read_csv.ts";

const bytes = (...parts: (string | number[])[]) =>
  new Uint8Array(
    parts.flatMap((part) => typeof part === "string" ? [...new TextEncoder().encode(part)] : part),
  );

Deno.test("an empty field is NULL, a quoted empty one empty text", async () => {
  const { types, rows } = await readCsv('n,t,q\n1,a,""\n,,\n3,"",""\n');
  assert.deepEqual(types, ["integer", "text", "text"]);
  assert.deepEqual(rows, [[1, "a", ""], [null, null, null], [3, "", ""]]);
});

Deno.test("a quoted empty field makes text of a column of numbers, dates or truths", async () => {
  for (const value of ["1", "9999999999", "1.5", "12345678901234567890", "2021-01-01", "true"]) {
    const { types, rows } = await readCsv(`v\n${value}\n""\n`);
    assert.deepEqual([types, rows], [["text"], [[value], [""]]]);
  }
});

Deno.test("a column without a value is text", async () => {
  assert.deepEqual((await readCsv("a,b\n1,\n2,\n")).types, ["integer", "text"]);
});

Deno.test("what nulls lists is NULL where it is not quoted, and nothing else is", async () => {
  const text = 'a,b\n1,NA\n-,""\n"NA",x\n,"-"\n';
  const { types, rows } = await readCsv(text, { nulls: ["NA", "-"] });
  assert.deepEqual(types, ["text", "text"]);
  assert.deepEqual(rows, [["1", null], [null, ""], ["NA", "x"], ["", "-"]]);
  assert.deepEqual((await readCsv(text, { nulls: ["", "NA", "-"] })).rows[3], [null, "-"]);
  const numbers = await readCsv("a,b\n1,NULL\nNULL,2.5\n", { nulls: ["NULL"] });
  assert.deepEqual(numbers.types, ["integer", "double precision"]);
  assert.deepEqual((await readCsv("a\n\nx\n", { nulls: [] })).rows, [[""], ["x"]]);
});

Deno.test("nulls do not touch the names of columns", async () => {
  const { names, rows } = await readCsv("NA,b\nNA,1\n", { nulls: ["NA"] });
  assert.deepEqual([names, rows], [["NA", "b"], [[null, 1]]]);
});

Deno.test("nulls hold in every block, whatever lay at their place before", async () => {
  // Rows of another length than the block's make each field meet every other field's place.
  const lines = Array.from({ length: 40_000 }, (_, i) => i % 3 === 0 ? ",NA,x" : `NA,${i},`);
  const { rows } = await readCsv(`a,b,c\n${lines.join("\n")}\n`, {
    nulls: ["NA"],
    sampleBytes: 512,
    types: { a: "text", b: "text", c: "text" },
  });
  rows.forEach((row, i) => {
    assert.deepEqual(row, i % 3 === 0 ? ["", null, "x"] : [null, String(i), ""], `row ${i}`);
  });
  assert.equal(rows.length, lines.length);
});

/** Options, a file, and the names of its columns. */
const NAMES: readonly (readonly [options: CsvOptions, text: string, names: string[]])[] = [
  [{}, "a,b\n1,2\n", ["a", "b"]],
  [{}, '"a,b"," c ","d""e"\n1,2,3\n', ["a,b", " c ", 'd"e']],
  [{}, '\ufeff"a",b\n1,2\n', ["a", "b"]],
  [{}, "\ufeffä,日本\n1,2\n", ["ä", "日本"]],
  [{}, ',b,"",\n1,2,3,4\n', ["column_1", "b", "column_3", "column_4"]],
  [{}, "\n\n\r\na,b\n1,2\n", ["a", "b"]],
  [{ header: true }, "a,A\n1,2\n", ["a", "A"]],
  [{ header: false }, "a,b\n1,2\n", ["column_1", "column_2"]],
  [{ header: ["x", "y"] }, "a,b\n1,2\n", ["x", "y"]],
  [{ sampleBytes: 1 }, "\ufeffa,b\n1,2\n", ["a", "b"]],
];

for (const [options, text, names] of NAMES) {
  Deno.test(`with ${JSON.stringify(options)}, ${JSON.stringify(text)} has the columns ${names}`, async () => {
    assert.deepEqual((await readCsv(text, options)).names, names);
    assert.deepEqual((await readCsv(chunked(text, every(1, text.length)), options)).names, names);
  });
}

Deno.test("only a header gives its columns, and no rows", async () => {
  for (const text of ["a,b", "a,b\n", "a,b\r\n\r\n", "\ufeffa,b\r"]) {
    const { names, types, rows } = await readCsv(text);
    assert.deepEqual([names, types, rows], [["a", "b"], ["text", "text"], []]);
  }
  const declared = await readCsv("a,b\n", { types: { b: "date" } });
  assert.deepEqual(declared.types, ["text", "date"]);
});

const HINT = "; if the file is in another encoding, name it, e.g. " +
  '--encoding windows-1252 (in code encoding: "windows-1252")';
const MENDED = "give them names of their own in the file, or have them mended: " +
  '--names mend (in code names: "mend")';
const ASIDE = "--on-reject keep (in code onReject: { limit: 100 })";
const KEPT = `${ASIDE} keeps such records aside`;
const PADDED = `--ragged pad (in code ragged: "pad") fills up those that are short, ${KEPT}`;
const NUL = "it holds a NUL byte, which Postgres cannot keep; " +
  '--nul remove (in code nul: "remove") leaves such bytes out';

/** What is refused: a file, options, and the message behind "Cannot read CSV: ". */
const REFUSED: readonly (readonly [
  what: string,
  input: Uint8Array | string,
  message: string,
  options?: CsvOptions,
])[] = [
  ["an empty file", "", "the file is empty, not even a header is there"],
  ["a byte order mark alone", "\ufeff", "the file is empty, not even a header is there"],
  ["empty lines alone", "\n\r\n\r", "the file is empty, not even a header is there"],
  ["an empty file without a header", "", "the file is empty", { header: false }],
  [
    "a name twice",
    'a,b,"a"\n',
    `columns 1 and 3 are both named "a"; ${MENDED}`,
  ],
  [
    "a name twice, by way of an empty one",
    "column_2,\n",
    `columns 1 and 2 are both named "column_2"; ${MENDED}`,
  ],
  [
    "a name given twice",
    "1,2\n",
    `columns 1 and 2 are both named "x"; ${MENDED}`,
    { header: ["x", "x"] },
  ],
  ["too few names", "1,2\n", "its first record has 2 fields, but 1 names were given", {
    header: ["x"],
  }],
  [
    "a type for a column that is not there",
    "a,b\n",
    'it has no column "c", for which a type was declared; ' +
    'its columns are "a", "b"',
    { types: { c: "text" } },
  ],
  [
    "a web page",
    "\n <!DOCTYPE html>\n<html></html>",
    'it begins with "<!DOCTYPE html>", so it is a web page ' +
    "and no table; check the address",
  ],
  [
    "another web page",
    "\ufeff<html lang=en><head>",
    'it begins with "<html lang=en><head>", so it is a web ' +
    "page and no table; check the address",
  ],
  [
    "a name in Latin 1",
    bytes("a,", [0xe4], "\n"),
    `the name of column 2 is not valid UTF-8${HINT}`,
  ],
  ["a ragged record", "a,b\n\n1\n", `line 3 has 1 field, expected 2; ${PADDED}`],
  ["a ragged record after a header", "a,b,c\n1,2\n", `line 2 has 2 fields, expected 3; ${PADDED}`],
  [
    "a quote never closed",
    'a,b\n1,"2\n3,4\n',
    `the quote opened on line 2 is never closed; ${KEPT}`,
  ],
  [
    "a long field",
    `a\n"${"x".repeat(5000)}`,
    `the quote opened on line 2 is not closed within 1000 bytes (maxFieldBytes); ${KEPT}`,
    { maxFieldBytes: 1000, sampleBytes: 512 },
  ],
  [
    "a file without line ends",
    "x".repeat(5000),
    `a field on line 1 does not end within 1000 bytes (maxFieldBytes); ${KEPT}`,
    { maxFieldBytes: 1000, sampleBytes: 512 },
  ],
];

for (const [what, input, message, options] of REFUSED) {
  Deno.test(`csv() refuses ${what}`, async () => {
    await assert.rejects(readCsv(input, options), (error: Error) => {
      assert.equal(error.name, "GiveUp");
      assert.equal(error.message, `Cannot read CSV: ${message}`);
      assert.equal((error.cause as Error).name, "Malformed");
      return true;
    });
  });
}

/** Texts that are none, in a column of text. */
const NO_TEXT:
  readonly (readonly [what: string, input: Uint8Array, where: string, fault: string])[] = [
    [
      "Latin 1",
      bytes("a,b\nx,y\nx,m", [0xfc], "r\n"),
      '"m�r" as text in column "b", line 3',
      `it is not valid UTF-8 (byte 11 of the file, from 0)${HINT}`,
    ],
    [
      "two halves of a character in two records",
      bytes("a,b\nx,1\n", [0xc3], ",1\n", [0xbc], ",1\n"),
      '"�" as text in ' +
      'column "a", line 3',
      `it is not valid UTF-8 (byte 8 of the file, from 0)${HINT}`,
    ],
    [
      "halves with an empty field between",
      bytes("a,b\n", [0xc3], ",1\n,1\n", [0xbc], ",1\n"),
      '"�" as text in ' +
      'column "a", line 2',
      `it is not valid UTF-8 (byte 4 of the file, from 0)${HINT}`,
    ],
    [
      "half a character at the end",
      bytes("a,b\nx,1\n", [0xe2, 0x82], ",1\n"),
      '"�" as text in column "a", line 3',
      `it is not valid UTF-8 (byte 8 of the file, from 0)${HINT}`,
    ],
    [
      "a surrogate",
      bytes("a\n", [0xed, 0xa0, 0x80], "\n"),
      '"���" as text in column "a", line 2',
      `it is not valid UTF-8 (byte 2 of the file, from 0)${HINT}`,
    ],
    [
      "an overlong form",
      bytes("a\n", [0xc0, 0xaf], "\n"),
      '"��" as text in column "a", line 2',
      `it is not valid UTF-8 (byte 2 of the file, from 0)${HINT}`,
    ],
    [
      "a NUL byte",
      bytes("a,b\nx,1\r\n\r\nx\0y,1\n"),
      '"x\\u0000y" as text in column "a", line 4',
      NUL,
    ],
    [
      "a NUL byte in quotes",
      bytes('a,b\n"\n\n",1\n"""\0",1\n'),
      '"\\"\\u0000" as text in column "a", line 5',
      NUL,
    ],
    [
      "Latin 1 in a long field",
      bytes("a\n", "x".repeat(100), [0xfc], "\n"),
      `"${"x".repeat(80)}…" as text in column "a", line 2`,
      `it is not valid UTF-8 (byte 102 of the file, from 0)${HINT}`,
    ],
  ];

for (const [what, input, where, fault] of NO_TEXT) {
  Deno.test(`csv() refuses ${what} as text`, async () => {
    await assert.rejects(readCsv(input), {
      name: "GiveUp",
      message: `Cannot read ${where}: ${fault}`,
    });
  });
}

Deno.test("a value that breaks its declared type is named, with its column and line", async () => {
  const rows = (n: number) => Array.from({ length: n }, (_, i) => `${i},"x\r\ny",2021-01-01\r\n`);
  for (
    const [bad, message] of [
      ["12.5,x,2021-01-01", '"12.5" as integer in column "VendorID", line 6002'],
      ["1,x,2021-02-30", '"2021-02-30" as date in column "day", line 6002'],
      ['1,"\n",x', '"x" as date in column "day", line 6003'],
    ]
  ) {
    const text = ["VendorID,note,day\r\n", ...rows(3000), bad, "\r\n", ...rows(5)].join("");
    const types = { VendorID: "integer", day: "date" };
    await assert.rejects(readCsv(text, { sampleBytes: 512, types }), {
      name: "GiveUp",
      message: `Cannot parse ${message}: that type was declared; declare another, mend the file, ` +
        `or keep such records aside: ${ASIDE}`,
    });
  }
});

Deno.test("all of the sample is looked at, not only as many fields as fit at first", async () => {
  const text = `n\n${"1\n".repeat(300_000)}x\n`;
  assert.deepEqual((await readCsv(text)).types, ["text"]);
});

Deno.test("1,700 columns are read", async () => {
  const row = (f: (i: number) => unknown) => Array.from({ length: 1700 }, (_, i) => f(i)).join(",");
  const { names, types, rows } = await readCsv(
    `${row((i) => `c${i}`)}\n${row((i) => i)}\n`.repeat(1),
  );
  assert.deepEqual([names.length, new Set(types), rows[0]![1699]], [
    1700,
    new Set(["integer"]),
    1699,
  ]);
});

Deno.test("records longer than a block are read, and those behind them", async () => {
  const long = "x,\n".repeat(300_000);
  const text = `a,b\n1,${"y".repeat(700_000)}\n2,"${long}"\n3,z\n`;
  const { rows } = await readCsv(chunked(text, every(65_537, text.length)), { sampleBytes: 512 });
  assert.deepEqual(rows.map(([, b]) => String(b).length), [700_000, long.length, 1]);
  assert.equal(rows[1]![1], long);
});

Deno.test("a field is too long wherever it lies, and in chunks of any size", async () => {
  const x = (length: number) => "x".repeat(length), rows = "1,2\n".repeat(200_000);
  const files: [maxFieldBytes: number | undefined, text: string, line: number][] = [
    [1000, `a,b\n1,${x(5000)}\n3,4\n`, 2],
    [1000, `a,b\n1,2\n3,${x(1001)}`, 3],
    [1000, `a,${x(1001)}\n3,4\n`, 1],
    [300_000, `a,b\n${rows}1,${x(400_000)}\n${rows}`, 200_002],
    [undefined, `a,b\n${rows}1,${x(17_000_000)}\n3,4\n`, 200_002],
    [undefined, `a,b\n1,${x(24 << 20)}\n3,4\n`, 2],
  ];
  for (const [maxFieldBytes, text, line] of files) {
    const few = text.length > 10_000 ? [1 << 16, text.length] : [1, 100, 2000, text.length];
    const options = maxFieldBytes === undefined ? {} : { maxFieldBytes };
    for (const size of few) {
      await assert.rejects(
        readCsv(chunked(text, every(size, text.length)), options),
        new RegExp(`a field on line ${line} does not end within ${maxFieldBytes ?? 1 << 24} bytes`),
      );
    }
  }
});

Deno.test("a field as long as may be is read, quoted or not", async () => {
  for (const field of ["x".repeat(1 << 24), `"${"x".repeat(1 << 24)}"`]) {
    const { rows } = await readCsv(chunked(`a,b\n1,${field}\n3,4\n`, [1 << 20, 1 << 24]));
    assert.equal(rows.length, 2);
    assert.equal((rows[0]![1] as string).length, 1 << 24);
  }
});

Deno.test("many empty lines, before, between and behind, are passed over", async () => {
  const none = "\r\n".repeat(700_000);
  const { rows } = await readCsv(`${none}a,b\n1,2\n${none}3,4${none}`, { sampleBytes: 512 });
  assert.deepEqual(rows, [[1, 2], [3, 4]]);
});

/** Options that cannot be used. */
const BAD_OPTIONS: readonly (readonly [CsvOptions, string])[] = [
  [
    { delimiter: "" },
    'Cannot use "" as the delimiter: it must be one ASCII character, not a line end',
  ],
  [
    { delimiter: ",," },
    'Cannot use ",," as the delimiter: it must be one ASCII character, not a line end',
  ],
  [
    { quote: "\n" },
    'Cannot use "\\n" as the quote: it must be one ASCII character, not a line end',
  ],
  [{ escape: "ä" }, 'Cannot use "ä" as the escape: it must be one ASCII character, not a line end'],
  [{ delimiter: '"' }, 'Cannot use "\\"" both as the delimiter and for quotes'],
  [{ escape: "," }, 'Cannot use "," both as the delimiter and for quotes'],
  [
    { types: { a: "money" } },
    'Cannot use "money" as a column type: use one of boolean, integer, bigint, double ' +
    "precision, numeric, date, timestamp, timestamptz, uuid, text",
  ],
];

for (const [options, message] of BAD_OPTIONS) {
  Deno.test(`csv() refuses the options ${JSON.stringify(options)}`, async () => {
    const source = chunked("a\n1\n");
    await assert.rejects(batchesOf(source, options), { name: "TypeError", message });
    assert.equal(source.locked, false, "what was not read can still be cancelled");
  });
}

Deno.test("what fails, or is not wanted any more, cancels its source", async () => {
  for (const how of ["fails", "cancelled"]) {
    let reason: unknown;
    const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => controller.enqueue(bytes(how === "fails" ? "a,b\n1\n" : "a,b\n1,2\n")),
      cancel: (why) => void (reason = why),
    }, { highWaterMark: 0 });
    const reader = (await perform(csv({ sampleBytes: 512 }), testContext(), source)).getReader();
    if (how === "fails") await assert.rejects(reader.read(), /line 2 has 1 field/);
    else {
      await reader.read();
      await reader.cancel("enough");
    }
    assert.match(String(reason), how === "fails" ? /line 2 has 1 field/ : /enough/);
  }
});

Deno.test("a source that fails passes its own error on", async () => {
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => controller.error(new Error("the line was cut")),
  });
  await assert.rejects(readCsv(source), new Error("the line was cut"));
});

Deno.test("nothing is read before it is asked for, and then a block", async () => {
  let pulled = 0;
  const chunk = bytes("a,b\n".repeat(16_384));
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      pulled += chunk.length;
      controller.enqueue(chunk);
    },
  }, { highWaterMark: 0 });
  const reader = (await perform(csv(), testContext(), source)).getReader();
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(pulled, 0);
  await reader.read();
  assert.equal(pulled, 1 << 20);
  await reader.read();
  assert.equal(pulled, (1 << 20) + (1 << 18));
  await reader.cancel();
});
