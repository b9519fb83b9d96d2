import assert from "node:assert/strict";
import { type Dialect, Malformed, QUOTED, Tokenizer } from "../../operators/_tokenizer.ts";
import { fieldText } from "../../operators/_block.ts";
import { Kernel } from "../../operators/_kernel.ts";
import { chunked, every, readCsv } from "./_read_csv.ts";

const RFC: Dialect = { delimiter: 44, quote: 34, escape: 34 };
const BACKSLASH: Dialect = { ...RFC, escape: 92 };

type Rows = (string | null)[][];

/** A dialect where it is not RFC 4180's, a file, and its records: null is an empty field that was not quoted. */
const CASES: readonly (readonly [name: string, text: string, rows: Rows, dialect?: Dialect])[] = [
  ["plain", "a,b\nc,d\n", [["a", "b"], ["c", "d"]]],
  ["no line end at the end", "a,b\nc,d", [["a", "b"], ["c", "d"]]],
  ["CRLF", "a,b\r\nc,d\r\n", [["a", "b"], ["c", "d"]]],
  ["CR", "a,b\rc,d\r", [["a", "b"], ["c", "d"]]],
  ["CR, no line end at the end", "a,b\rc,d", [["a", "b"], ["c", "d"]]],
  ["all line ends mixed", "a,b\r\nc,d\re,f\ng,h\r\n", [["a", "b"], ["c", "d"], ["e", "f"], [
    "g",
    "h",
  ]]],
  ["line feed, then carriage return", "a,b\n\rc,d", [["a", "b"], ["c", "d"]]],
  ["empty lines", "\n\r\n\ra,b\n\n\r\n\r\rc,d\n\n", [["a", "b"], ["c", "d"]]],
  ["one column", "a\nb\nc", [["a"], ["b"], ["c"]]],
  ["empty lines in one column", "a\n\nb\r\n\r\n", [["a"], [null], ["b"], [null]]],
  ["quoted", '"a","b"\n"c","d"\n', [["a", "b"], ["c", "d"]]],
  ["quoted, no line end at the end", '"a","b"\n"c","d"', [["a", "b"], ["c", "d"]]],
  ["quoted delimiter", '"a,b",c\n"d,e","f,"', [["a,b", "c"], ["d,e", "f,"]]],
  ["quoted line ends", '"a\nb","c\r\nd"\r\n"\r","\n\n"\n', [["a\nb", "c\r\nd"], ["\r", "\n\n"]]],
  ["doubled quotes", '"a""b",""""\n"""","""x"""\n', [['a"b', '"'], ['"', '"x"']]],
  ["quoted, empty", '"",x\n"",""\n', [["", "x"], ["", ""]]],
  ["quoted, empty, one column", 'a\n""\n\n""', [["a"], [""], [null], [""]]],
  ["empty fields", ",a,\n,,\nb,,c\n", [[null, "a", null], [null, null, null], ["b", null, "c"]]],
  ["empty field at the end of the file", "a,b\nc,", [["a", "b"], ["c", null]]],
  ["empty fields alone", ",\n,", [[null, null], [null, null]]],
  ["quotes within unquoted fields", 'a"b,c""\nd"e"f, "g"\n', [['a"b', 'c""'], ['d"e"f', ' "g"']]],
  ["spaces", " a , b \n  ,\t\n", [[" a ", " b "], ["  ", "\t"]]],
  ["unicode", 'ä,"ö,€"\n𝄞,日本\n', [["ä", "ö,€"], ["𝄞", "日本"]]],
  ["control bytes", "a\v,\f\n\x1f,\x7f\n", [["a\v", "\f"], ["\x1f", "\x7f"]]],
  ["semicolons", "a;b,c\n;d\n", [["a", "b,c"], [null, "d"]], { ...RFC, delimiter: 59 }],
  ["tabs", "a\tb\n\t\n", [["a", "b"], [null, null]], { ...RFC, delimiter: 9 }],
  ["bars", 'a|"b|c"\n|', [["a", "b|c"], [null, null]], { ...RFC, delimiter: 124 }],
  ["single quotes", "'a,b',\"c\n'','d''e'", [["a,b", '"c'], ["", "d'e"]], {
    delimiter: 44,
    quote: 39,
    escape: 39,
  }],
  ["no quotes", '"a,b"\n"",c\n', [['"a', 'b"'], ['""', "c"]], {
    delimiter: 44,
    quote: -1,
    escape: -1,
  }],
  ["backslash before a quote", '"a\\"b",c\n"\\"","d"\n', [['a"b', "c"], ['"', "d"]], BACKSLASH],
  [
    "backslash before itself",
    '"a\\\\","b\\\\\\""\n"\\\\",c',
    [["a\\", 'b\\"'], ["\\", "c"]],
    BACKSLASH,
  ],
  ["backslash before others", '"\\n","\\,"\n\\a,\\\n', [["\\n", "\\,"], ["\\a", "\\"]], BACKSLASH],
];

const kernel = Kernel.open(1 << 20)!;

/** Feeds a file so that blocks end where `cuts` say, keeping what was left over before each. */
function read(text: string, cuts: Iterable<number>, dialect = RFC, limit?: number): Rows {
  const rows = readBy(undefined, text, cuts, dialect, limit);
  assert.deepEqual(readBy(kernel, text, cuts, dialect, limit), rows, "in the kernel");
  return rows;
}

function readBy(
  kernel: Kernel | undefined,
  text: string,
  cuts: Iterable<number>,
  dialect: Dialect,
  limit?: number,
): Rows {
  const whole = new TextEncoder().encode(text);
  const bytes = kernel?.bytes ?? new Uint8Array(whole.length + 1);
  const fields = new Tokenizer(dialect, 1 << 20, kernel);
  const rows: Rows = [];
  let from = 0;
  for (const to of [...cuts, whole.length, whole.length]) {
    bytes.set(whole.subarray(0, to));
    const last = to === whole.length;
    for (;;) {
      from = fields.scan(bytes, from, to, last, limit);
      for (let r = 0; r < fields.records; r++) {
        rows.push(Array.from({ length: fields.width }, (_, f) => {
          const k = r * fields.width + f;
          const text = fieldText({ bytes, fields }, k);
          return text === "" && !fields.quoted[k] ? null : text;
        }));
      }
      if (limit === undefined || fields.records === 0) break;
    }
  }
  assert.equal(from, whole.length, "all was read");
  return rows;
}

for (const [name, text, rows, dialect] of CASES) {
  Deno.test(`the tokenizer reads ${name}, however it is cut`, () => {
    const { length } = new TextEncoder().encode(text);
    assert.deepEqual(read(text, [], dialect), rows, "whole");
    assert.deepEqual(read(text, [], dialect, 1), rows, "record by record");
    for (const size of [1, 2, 3, 7]) {
      assert.deepEqual(read(text, every(size, length), dialect), rows, `by ${size} bytes`);
    }
    for (let cut = 0; cut <= length; cut++) {
      assert.deepEqual(read(text, [cut], dialect), rows, `cut at ${cut}`);
    }
  });
}

const BORDERS = [1 << 16, 1 << 18, 1 << 20];

for (const [name, text, rows, dialect] of CASES) {
  // Padding of whole records, of the case's own width, brings each of its bytes to the border once.
  Deno.test(`csv() reads ${name} across the borders of its blocks`, async () => {
    const { delimiter, quote } = dialect ?? RFC;
    const options = {
      header: false,
      delimiter: String.fromCharCode(delimiter),
      quote: quote < 0 ? "" : String.fromCharCode(quote),
      ...dialect === BACKSLASH ? { escape: "\\" } : {},
      types: Object.fromEntries(rows[0]!.map((_, i) => [`column_${i + 1}`, "text"])),
    };
    const { length } = new TextEncoder().encode(text);
    const rest = String.fromCharCode(delimiter).repeat(rows[0]!.length - 1) + "\n";
    for (const border of BORDERS) {
      // The file's second block begins where the sample ends: at the border itself.
      for (let at = 0; at <= length; at += border === BORDERS[0] ? 1 : Math.ceil(length / 4)) {
        const pad = "x".repeat(border - at - rest.length) + rest; // ends where the case begins
        const { rows: [first, ...others] } = await readCsv(
          chunked(pad + text, every(1 << 16, border + length)),
          { ...options, sampleBytes: border === BORDERS[1] ? 512 : border },
        );
        assert.equal(String(first![0]).length, border - at - rest.length);
        // Padding makes the width known, so that leading empty lines count in one column.
        assert.deepEqual(others, rows, `border ${border}, ${at} bytes before it`);
      }
    }
  });
}

/** What is wrong, and the message. */
const FAULTS: readonly (readonly [text: string, message: string])[] = [
  ["a,b\n1\n", "line 2 has 1 field, expected 2"],
  ["a,b\n1,2\n1,2,3\n", "line 3 has 3 fields, expected 2"],
  ["a,b\r\n\r\n\n1,2,3", "line 4 has 3 fields, expected 2"],
  ["a,b\r\r1\r", "line 3 has 1 field, expected 2"],
  ['a,b\n"1\n\r\n\r2",3\n"\n",4,5\n', "line 6 has 3 fields, expected 2"],
  ['a,b\n"x\r\n",1\n2', "line 4 has 1 field, expected 2"],
  ['a,b\n""\n', "line 2 has 1 field, expected 2"],
  ["a\n1,2", "line 2 has 2 fields, expected 1"],
  ['a,b\n"1,2\n3,4\n', "the quote opened on line 2 is never closed"],
  ['a,b\n"1\n2","3\n4', "the quote opened on line 3 is never closed"],
  ['"', "the quote opened on line 1 is never closed"],
  ['a\n"""', "the quote opened on line 2 is never closed"],
  [
    'a,b\n"1"x,2\n',
    'line 2 has "x,2\\n" behind a closing quote, expected "," or the end of the line',
  ],
  ['a,b\n"\n1" ,2', 'line 3 has " ,2" behind a closing quote, expected "," or the end of the line'],
];

for (const [text, message] of FAULTS) {
  Deno.test(`the tokenizer says of ${JSON.stringify(text)}: ${message}`, () => {
    const { length } = new TextEncoder().encode(text);
    assert.throws(() => read(text, []), { name: "Malformed", message });
    // Junk is shown as far as it was read, so cuts matter there.
    const start = message.replace(/ has "[^]*/, "");
    const thrown = (cuts: number[]) => {
      try {
        return read(text, cuts);
      } catch (error) {
        return (error as Error).message.replace(/ has "[^]*/, "");
      }
    };
    assert.equal(thrown(every(1, length)), start);
    for (let cut = 0; cut <= length; cut++) assert.equal(thrown([cut]), start, `cut at ${cut}`);
  });
}

Deno.test("the tokenizer bounds a quote that is not closed, and a field that does not end", () => {
  const bytes = new TextEncoder().encode(`a,b\n1,"${"x".repeat(50)}?`);
  const quoted = new Tokenizer(RFC, 40);
  assert.throws(
    () => quoted.scan(bytes, 0, bytes.length - 1, false),
    { message: "the quote opened on line 2 is not closed within 40 bytes (maxFieldBytes)" },
  );
  const plain = new TextEncoder().encode(`a,b\n1,${"x".repeat(50)}?`);
  assert.throws(
    () => new Tokenizer(RFC, 40).scan(plain, 0, plain.length - 1, false),
    { message: "a field on line 2 does not end within 40 bytes (maxFieldBytes)" },
  );
  const patient = new Tokenizer(RFC, 60);
  assert.equal(patient.scan(bytes, 0, bytes.length - 1, false), 4);
  assert.equal(patient.records, 1);
});

Deno.test("the tokenizer bounds fields wherever they lie and a block ends, and not records", () => {
  const fits = "x".repeat(40), long = fits + "x";
  const scan = (text: string, cut: number) => {
    const kernel = Kernel.open(1 << 12)!, fields = new Tokenizer(RFC, 40, kernel);
    const encoded = new TextEncoder().encode(text);
    try {
      kernel.bytes.set(encoded);
      const from = fields.scan(kernel.bytes, 0, cut, false), { records } = fields;
      kernel.bytes.set(encoded); // without the sentinel
      fields.scan(kernel.bytes, from, encoded.length, true);
      return records + fields.records;
    } catch (error) {
      return (error as Error).message;
    } finally {
      kernel.close();
    }
  };
  const lines = (field: string) => `a,b\n1,2\n${field},${field}\n3,4\n5,6\n`;
  for (let cut = 0; cut <= 90; cut++) {
    assert.equal(scan(lines(fits), cut), 5, `${cut}`);
    assert.equal(scan(lines(`"${fits}"`), cut), 5, `${cut}`);
    assert.equal(
      scan(lines(long), cut),
      "a field on line 3 does not end within 40 bytes (maxFieldBytes)",
      `${cut}`,
    );
    assert.equal(
      scan(lines(`"${long}"`), cut),
      "the quote opened on line 3 is not closed within 40 bytes (maxFieldBytes)",
      `${cut}`,
    );
    assert.equal(
      scan(lines(`"${fits}""`), cut),
      "the quote opened on line 3 is not closed within 40 bytes (maxFieldBytes)",
      `${cut}`,
    );
  }
});

Deno.test("the tokenizer grows for many fields, and refuses a record without end", () => {
  const wide = new TextEncoder().encode(",".repeat(99_999) + "\n" + ",".repeat(99_999) + "\n?");
  const fields = new Tokenizer(RFC, 1 << 20);
  assert.equal(fields.scan(wide, 0, wide.length - 1, true), wide.length - 1);
  assert.deepEqual([fields.width, fields.records], [100_000, 2]);
  const many = new TextEncoder().encode("1\n".repeat((1 << 20) + 10) + "?");
  const narrow = new Tokenizer(RFC, 1 << 20);
  const from = narrow.scan(many, 0, many.length - 1, true);
  assert.equal(narrow.records, 1 << 20);
  narrow.scan(many, from, many.length - 1, true);
  assert.equal(narrow.records, 10);
  const endless = new TextEncoder().encode(",".repeat((1 << 20) + 10) + "?");
  assert.throws(
    () => new Tokenizer(RFC, 1 << 20).scan(endless, 0, endless.length - 1, false),
    new Malformed("line 1 has more than 1048576 fields"),
  );
});

Deno.test("the tokenizer forgets which fields of the last block were quoted", () => {
  const fields = new Tokenizer(RFC, 1 << 20);
  const bytes = new TextEncoder().encode('"a",""\nb,\n?');
  const from = fields.scan(bytes, 0, bytes.length - 1, false, 1);
  assert.deepEqual([...fields.quoted.subarray(0, 2)], [QUOTED, QUOTED]);
  fields.markQuoted(5);
  fields.scan(bytes, from, bytes.length - 1, true);
  assert.deepEqual([...fields.quoted.subarray(0, 6)], [0, 0, 0, 0, 0, 0]);
});
