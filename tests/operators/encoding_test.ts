import assert from "node:assert/strict";
import { csv, type CsvOptions, jsonLines, SiftedBatch } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { chunked, every, readCsv, rowsOf } from "./_read_csv.ts";

/** Writes text in an encoding, with a byte order mark where one is asked for. */
function encode(text: string, encoding: string, mark = false): Uint8Array<ArrayBuffer> {
  const whole = mark ? `\ufeff${text}` : text;
  const size = encoding.startsWith("utf-16") ? 2 : 4;
  const units = size === 2
    ? Array.from({ length: whole.length }, (_, i) => whole.charCodeAt(i))
    : [...whole].map((char) => char.codePointAt(0)!);
  const view = new DataView(new ArrayBuffer(units.length * size));
  units.forEach((unit, i) =>
    size === 2
      ? view.setUint16(i * 2, unit, encoding.endsWith("le"))
      : view.setUint32(i * 4, unit, encoding.endsWith("le"))
  );
  return new Uint8Array(view.buffer);
}

const bytes = (...parts: (string | number[])[]) =>
  new Uint8Array(
    parts.flatMap((part) =>
      typeof part === "string" ? [...part].map((c) => c.charCodeAt(0)) : part
    ),
  );

const TEXT = 'größe,zeichen\r\n1,é€\n2,"𝄞\n日本"\n3,\u{10ffff}\uffff\n';
const ROWS = [[1, "é€"], [2, "𝄞\n日本"], [3, "\u{10ffff}\uffff"]];

const WIDE = ["utf-16le", "utf-16be", "utf-32le", "utf-32be"];

for (const encoding of WIDE) {
  Deno.test(`${encoding} is known by its byte order mark, and read wherever it is split`, async () => {
    const file = encode(TEXT, encoding, true);
    for (const size of [1, 2, 3, 7, file.length]) {
      for (const options of [{}, { encoding }, { encoding: encoding.slice(0, 6) }]) {
        const { names, rows } = await readCsv(chunked(file, every(size, file.length)), options);
        assert.deepEqual([names, rows], [["größe", "zeichen"], ROWS]);
      }
    }
    const without = encode(TEXT, encoding);
    assert.deepEqual((await readCsv(without, { encoding })).rows, ROWS);
  });

  Deno.test(`${encoding} is read across the borders of chunks and blocks`, async () => {
    const text = `a,b\n${"1,𝄞é\n".repeat(90_000)}`;
    const file = encode(text, encoding, true);
    for (const size of [65_535, 65_536, 65_537]) {
      const { rows } = await readCsv(chunked(file, every(size, file.length)));
      assert.equal(rows.length, 90_000);
      assert.ok(rows.every(([, b]) => b === "𝄞é"));
    }
  });
}

/** Bytes of one to a character, their encoding, and the text. */
const NARROW: readonly (readonly [encoding: string, file: Uint8Array, text: string])[] = [
  ["latin1", bytes("é", [0xe4, 0x80, 0x9f, 0xff]), "éä\x80\x9fÿ"],
  ["ISO-8859-1", bytes([0xe4]), "ä"],
  ["windows-1252", bytes([0xe4, 0x80, 0x9f, 0xff]), "ä€Ÿÿ"],
  ["cp1252", bytes([0x93, 0x94]), "“”"],
  ["iso-8859-15", bytes([0xa4]), "€"],
  ["windows-1251", bytes([0xcc, 0xe8, 0xf0]), "Мир"],
  ["shift_jis", bytes([0x93, 0xfa, 0x96, 0x7b]), "日本"],
  ["gb18030", bytes([0xc8, 0xd5, 0xb1, 0xbe]), "日本"],
  ["utf-8", bytes([0xc3, 0xa4]), "ä"],
];

for (const [encoding, file, text] of NARROW) {
  Deno.test(`${encoding} is read when it is told, wherever it is split`, async () => {
    const whole = bytes("a,b\r\n1,", [...file], '\r\n2,"\n', [...file], '"\r\n');
    for (const size of [1, 2, 3, 7, whole.length]) {
      const { rows } = await readCsv(chunked(whole, every(size, whole.length)), { encoding });
      assert.deepEqual(rows, [[1, text], [2, `\n${text}`]]);
    }
  });
}

/** Writes text in an encoding, whichever it is. */
function write(text: string, encoding: string): Uint8Array<ArrayBuffer> {
  if (WIDE.includes(encoding)) return encode(text, encoding);
  if (encoding === "utf-8") return new TextEncoder().encode(text);
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  const chars = new TextDecoder(encoding).decode(all);
  return Uint8Array.from(text, (char) => chars.indexOf(char));
}

/** Where rejects and rows of CSV with columns a (an integer) and b lie: from, to, and their text. */
async function places(
  file: Uint8Array<ArrayBuffer>,
  size: number,
  options: CsvOptions,
): Promise<[from: number | null, to: number | null, raw: string][]> {
  const onReject = { limit: Infinity }, types = { a: "integer" };
  const given = { types, onReject, sampleBytes: 512, ...options };
  const found: [number | null, number | null, string][] = [];
  const source = chunked(file, every(size, file.length));
  for await (const batch of await perform(csv(given), testContext(), source)) {
    const { rejects, placed } = (batch as SiftedBatch).sifting;
    for (const { from_byte, to_byte, raw } of rejects) found.push([from_byte, to_byte, raw]);
    for (const row of rowsOf(placed())) {
      const [from, to] = row.slice(-3).map((at) => at === null ? null : Number(at));
      found.push([from!, to!, row.at(-1) as string]);
    }
  }
  return found;
}

for (const encoding of [...WIDE, "utf-8", "windows-1252", "iso-8859-15", "koi8-r"]) {
  Deno.test(`where a record lies in a file in ${encoding} is told in the bytes of the file`, async () => {
    const special = WIDE.includes(encoding) ? '"𝄞,é"' : encoding === "koi8-r" ? "Мир" : '"é"';
    const records = ["1,x", `q,${special}`, "2,y,z", `3,${special}`];
    const line = encoding === "utf-8"
      ? (text: string) => new TextEncoder().encode(text)
      : undefined;
    const put = line ?? ((text: string) => write(text, encoding));
    const mark = WIDE.includes(encoding) ? put("\ufeff") : put("");
    const file = new Uint8Array([
      ...mark,
      ...put(`a,b\r\n${`${records.join("\r\n")}\n`.repeat(5_000)}the end,\n\n`),
    ]);
    const written = new Map(records.map((record) => [record, put(record).join()]));
    const options = WIDE.includes(encoding) ? {} : { encoding };
    const found = await places(file, 65_537, { ...options, delimiter: ",", skipFooter: 1 });
    assert.equal(found.length, 20_000);
    for (const [from, to, raw] of found) {
      assert.equal(file.subarray(from!, to!).join(), written.get(raw));
    }
  });
}

Deno.test("characters that are broken do not move where the records behind them lie", async () => {
  const line = (text: string) => encode(text, "utf-16le");
  const lone = [[0x34, 0xd8], [0x1e, 0xdd]].map((unit) => new Uint8Array(unit));
  const parts = [
    line("a,b\n1,"),
    lone[0]!,
    line("x"),
    lone[1]!,
    line("\nq,𝄞"),
    lone[0]!,
    line("\nr,\n"),
  ];
  const file = new Uint8Array(parts.flatMap((part) => [...part]));
  const found = await places(file, 3, { encoding: "utf-16le", delimiter: "," });
  const texts = found.map(([from, to]) =>
    new TextDecoder("utf-16le").decode(file.subarray(from!, to!))
  );
  assert.deepEqual(texts, ["1,\ufffdx\ufffd", "q,𝄞\ufffd", "r,"]);
});

Deno.test("where that cannot be told of a record, nothing is said of it", async () => {
  const text = "a,b\n1,x\nq,y\n";
  for (
    const options of [{ nul: "remove" }, { encoding: "shift_jis" }, {
      nul: "remove",
      skipFooter: 1,
    }] as const
  ) {
    for (const [from, to] of await places(bytes(text), 100, options)) {
      assert.deepEqual([from, to], [null, null]);
    }
  }
});

Deno.test("a mark is dropped at the beginning only", async () => {
  for (const encoding of WIDE) {
    assert.deepEqual((await readCsv(encode("a\n\ufeffx\n", encoding, true))).rows, [["\ufeffx"]]);
  }
});

Deno.test("JSON lines are read in other encodings, too", async () => {
  const file = encode('{"ä":"€"}\n{"ä":"𝄞"}\n', "utf-16le", true);
  const rows: unknown[][] = [];
  const work = perform(jsonLines(), testContext(), chunked(file, every(3, file.length)));
  for await (const batch of await work) rows.push(...rowsOf(batch));
  assert.deepEqual(rows, [["€"], ["𝄞"]]);
});

/** What is refused, the file, options, and the message. */
const REFUSED: readonly (readonly [
  what: string,
  file: Uint8Array,
  options: CsvOptions,
  message: string,
])[] = [
  [
    "half a surrogate pair",
    encode("a\n1\n\ud834x\n", "utf-16le", true),
    {},
    "line 3 is not valid utf-16le: at byte 10 (of the file from 0) is no character",
  ],
  [
    "the other half",
    encode("a\r\n\udd1e\n", "utf-16be", true),
    {},
    "line 2 is not valid utf-16be: at byte 8 (of the file from 0) is no character",
  ],
  [
    "half a pair at the end",
    encode("a\n\ud834", "utf-16le", true),
    {},
    "line 2 is not valid utf-16le: at byte 6 (of the file from 0) it ends within a character",
  ],
  [
    "half a character",
    encode("a\n1", "utf-16le", true).slice(0, -1),
    {},
    "line 2 is not valid utf-16le: at byte 6 (of the file from 0) it ends within a character",
  ],
  [
    "a number that is no character",
    Uint8Array.of(0, 0, 0xfe, 0xff, 0, 0x11, 0, 0),
    {},
    "line 1 is not valid utf-32be: at byte 4 (of the file from 0) is no character",
  ],
  [
    "a byte that Windows does not know",
    bytes("a\n1\n", [0x81], "\n"),
    { encoding: "windows-1252" },
    "line 3 is not valid windows-1252: at byte 4 (of the file from 0) is no character",
  ],
  [
    "half a kanji",
    bytes("a\n", [0x93], "\n"),
    { encoding: "shift_jis" },
    "it is not valid shift_jis: on line 1 or behind it, from byte 0 (of the file from 0) to 4",
  ],
  [
    "UTF-16 without a mark",
    encode("a,b\n", "utf-16le"),
    {},
    'it looks like utf-16le without a byte order mark; if it is, say so: --encoding utf-16le (in code encoding: "utf-16le")',
  ],
  [
    "UTF-16 of which nobody says which end comes first",
    encode("a,b\n", "utf-16le"),
    { encoding: "UTF-16" },
    "it begins without a byte order mark; name its encoding in full, utf-16le or utf-16be",
  ],
  [
    "another encoding than the mark says",
    encode("a\n", "utf-16le", true),
    { encoding: "latin1" },
    "its byte order mark says that it is in utf-16le, but the encoding latin1 was given",
  ],
];

for (const [what, file, options, message] of REFUSED) {
  Deno.test(`csv() refuses ${what}`, async () => {
    for (const size of [1, 3, file.length]) {
      await assert.rejects(readCsv(chunked(file, every(size, file.length)), options), {
        name: "GiveUp",
        message: size < 4 && what === "half a kanji"
          ? /is not valid shift_jis/
          : `Cannot read CSV: ${message}`,
      });
    }
  });
}
