import assert from "node:assert/strict";
import fc from "fast-check";
import type { Block, Column, Reader } from "../../operators/_block.ts";
import { Kernel } from "../../operators/_kernel.ts";
import { readBigint, readDouble, readInteger } from "../../operators/_read_numbers.ts";
import { readText } from "../../operators/_read_text.ts";
import { readTimestamp, readTimestamptz } from "../../operators/_read_times.ts";
import { type Dialect, type Fault, Malformed, Tokenizer } from "../../operators/_tokenizer.ts";
import * as built from "../../operators/kernel/_built.ts";
import { compile, SOURCES } from "../../operators/kernel/build.ts";
import type { Bytes } from "../../engine/mod.ts";
import { batchesOf, rowsOf } from "./_read_csv.ts";

// What is not in the kernel is read by the same functions without one: they must not differ.

Deno.test("what stands built is what the kernels' sources make", async (t) => {
  for (const [name, source] of Object.entries(SOURCES) as [keyof typeof SOURCES, string][]) {
    const made = await compile(source).catch((error: Error) => error);
    if (made instanceof Error && !/^(?:ERROR|FAILURE)/m.test(made.message)) {
      console.log(`skipped: its compiler cannot be had here (${made.message.split("\n")[0]})`);
      return;
    }
    await t.step(
      `${source}, byte for byte; if not: deno task kernel`,
      () => assert.equal(made, built[name]),
    );
  }
});

const kernel = Kernel.open(1 << 20)!;
const RFC: Dialect = { delimiter: 44, quote: 34, escape: 34 };
const DIALECTS: readonly Dialect[] = [
  RFC,
  { ...RFC, escape: 92 },
  { ...RFC, delimiter: 59 },
  { ...RFC, delimiter: 9, quote: -1, escape: -1 },
  { delimiter: 124, quote: 39, escape: 39 },
];

/** All that a tokenizer found. */
type Found = { next: number; error: string } | {
  next: number;
  records: number;
  width: number;
  line: number;
  fields: (readonly [start: number, end: number, quoted: number])[];
  faults: readonly Fault[];
  error?: undefined;
};

function scanned(tokenizer: Tokenizer, bytes: Uint8Array, from: number, ...rest: Rest): Found {
  let next = -1, error: string | undefined;
  try {
    next = tokenizer.scan(bytes, from, ...rest);
  } catch (thrown) {
    if (!(thrown instanceof Malformed)) throw thrown;
    error = thrown.message;
  }
  // What it was about to do when it failed is nobody's business.
  if (error !== undefined) return { next, error };
  const { records, width, line, starts, ends, quoted, faults } = tokenizer;
  const fields = Array.from(
    { length: records * width },
    (_, k) => [starts[k]!, ends[k]!, quoted[k]!] as const,
  );
  return { next, records, width, line, fields, faults: structuredClone(faults ?? []) };
}

type Rest = [to: number, last: boolean, limit: number];

Deno.test("a kernel finds the records that are found without one, and the same faults", () => {
  const piece = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom(",", ",", ",", "\n", "\n", "\r\n", "\r", '"', "'", ";"),
    },
    { weight: 1, arbitrary: fc.constantFrom("\t", "|", "\\", '""', '"x"', '\\"', "ä€𝄞") },
    {
      weight: 3,
      arbitrary: fc.constantFrom("a", "12.5", "1,2,3\n", "a,b,c\r\n", "", "x".repeat(70)),
    },
  );
  const record = fc.array(
    fc.constantFrom("a", "", "12", '"q"', '"a""b"', '"l\nm"', "long".repeat(20)),
    {
      minLength: 3,
      maxLength: 3,
    },
  ).map((fields) => fields.join(","));
  const table = fc.array(record, { maxLength: 30 }).map((lines) => lines.join("\n"));
  const text = fc.oneof(
    fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join("")),
    fc.tuple(table, fc.array(piece, { maxLength: 4 }), table).map((parts) => parts.flat().join("")),
  );
  const cases = fc.record({
    text,
    dialect: fc.constantFrom(...DIALECTS),
    cut: fc.double({ min: 0, max: 1, noNaN: true }),
    lenient: fc.boolean(),
    limit: fc.constantFrom(Infinity, Infinity, 1, 3),
    most: fc.constantFrom(1 << 20, 50),
  });
  fc.assert(
    fc.property(cases, ({ text, dialect, cut, lenient, limit, most }) => {
      const whole = new TextEncoder().encode(text);
      const plain = new Uint8Array(whole.length + 1);
      const tokenizers = [new Tokenizer(dialect, most), new Tokenizer(dialect, most, kernel)];
      const places = [plain, kernel.bytes];
      kernel.quoted.fill(0);
      if (lenient) { for (const tokenizer of tokenizers) tokenizer.faults = []; }
      let from = 0;
      for (const to of [Math.floor(cut * whole.length), whole.length]) {
        for (let n = 0; n < 100; n++) {
          const [one, other] = tokenizers.map((tokenizer, i) => {
            places[i]!.set(whole.subarray(0, to));
            return scanned(tokenizer, places[i]!, from, to, to === whole.length, limit);
          });
          assert.deepEqual(other, one);
          if (one!.error !== undefined) return;
          const stuck = one!.next === from;
          from = one!.next;
          if (stuck || limit === Infinity) break;
        }
      }
    }),
    { numRuns: 3000 },
  );
});

/** A block of one column, in a kernel or not. */
function blockOf(values: readonly string[], kernel?: Kernel): Block {
  const bytes = new TextEncoder().encode(values.join("\n") + "\n");
  const place = kernel?.bytes ?? new Uint8Array(bytes.length + 1);
  place.set(bytes);
  kernel?.quoted.fill(0);
  const fields = new Tokenizer(RFC, 1 << 20, kernel);
  fields.scan(place, 0, bytes.length, true);
  return { bytes: place, fields, kernel };
}

function told(column: Column | number): unknown {
  if (typeof column === "number") return column;
  const { data, nullBitmap, valueOffsets, printsBack } = column;
  const bitmap = nullBitmap && [...nullBitmap];
  return {
    data: [...data].map(String),
    bitmap,
    offsets: valueOffsets && [...valueOffsets],
    printsBack,
  };
}

const digits = fc.stringMatching(/^-?\d{0,18}$/);
const decimals = fc.stringMatching(/^-?\d{0,9}(\.\d{0,9})?([eE][-+]?\d{1,3})?$/);
const times = fc.tuple(
  fc.stringMatching(/^(19|20|00|99)\d\d-(0[0-9]|1[0-3])-([0-2]\d|3[0-2])$/),
  fc.constantFrom("", " ", "T", "x"),
  fc.stringMatching(/^([01]\d|2[0-5]):[0-6]\d(:[0-6]\d(\.\d{0,7})?)?$/),
  fc.constantFrom("", "", "", "Z", "+01", "-0530", "+05:45"),
).map((parts) => parts.join(""));
const odd = fc.constantFrom(
  `${"\0".repeat(10)} 00:00:00`,
  ...["\0", "\0\0", "1\0", "\x001"],
  ...[
    "",
    '""',
    "0",
    "-0",
    "00",
    "007",
    "+1",
    "1.",
    ".5",
    "-.5",
    "1..2",
    "1.5.",
    ".",
    "-",
    "--1",
    "NaN",
    "Infinity",
  ],
  ...[
    "0.0001",
    "0.00009",
    "1e5",
    "1.10",
    "2147483647",
    "2147483648",
    "-2147483648",
    "9007199254740993",
    "1:2",
  ],
  ...[
    "9223372036854775807",
    "9223372036854775808",
    "0.1234567890123456",
    "1 ",
    " 1",
    "1-",
    "12a",
    "/",
    ":",
  ],
  ...[
    "2021-01-31",
    "2021-02-29 00:00:00",
    "2020-02-29 23:59:59",
    "0001-01-01 00:00:00",
    "2021-01-01 00:00",
  ],
  ...[
    "2021-01-01 00:00:00.",
    "2021-01-01 00:00:00.120",
    "2021-01-01T00:00:00",
    "ä",
    "€".repeat(12),
    '"a""b"',
  ],
);
const READERS: Readonly<Record<string, readonly [Reader, fc.Arbitrary<string>]>> = {
  readInteger: [readInteger, digits],
  readBigint: [readBigint, digits],
  readDouble: [readDouble, decimals],
  readTimestamp: [readTimestamp, times],
  readTimestamptz: [readTimestamptz, times],
  readText: [
    readText,
    fc.oneof(decimals, fc.string({ unit: "binary" }).map((s) => s.replace(/[",\r\n]/g, ""))),
  ],
};

for (const [name, [read, values]] of Object.entries(READERS)) {
  Deno.test(`${name} reads in a kernel what it reads without one`, () => {
    const column = fc.array(
      fc.oneof({ weight: 6, arbitrary: values }, { weight: 1, arbitrary: odd }, {
        weight: 2,
        arbitrary: fc.constantFrom("1", "12", "0.5", "161"),
      }),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(column, fc.boolean(), (values, exact) => {
        const plain = told(read(blockOf(values), 0, exact));
        assert.deepEqual(told(read(blockOf(values, kernel), 0, exact)), plain);
        // One by one, too: a whole column is seldom of one type.
        for (const value of values) {
          assert.deepEqual(
            told(read(blockOf([value, value], kernel), 0, exact)),
            told(read(blockOf([value, value]), 0, exact)),
            value,
          );
        }
      }),
      { numRuns: 2000 },
    );
  });
}

Deno.test("as many fields find room in a kernel as without one", () => {
  const whole = new TextEncoder().encode(",".repeat(99).concat("\n").repeat(10_000));
  kernel.bytes.set(whole);
  const one = new Tokenizer(RFC, 1 << 20), other = new Tokenizer(RFC, 1 << 20, kernel);
  const bytes = new Uint8Array(whole.length + 1);
  bytes.set(whole);
  assert.equal(other.scan(kernel.bytes, 0, whole.length, true), whole.length);
  assert.equal(one.scan(bytes, 0, whole.length, true), whole.length);
  assert.equal(other.records, 10_000);
  assert.ok(other.starts === kernel.starts, "it has not grown");
  assert.ok(one.ends.subarray(0, 1_000_000).every((end, k) => other.ends[k] === end));
});

Deno.test("what is read at once, or was cancelled while it was read, keeps out of other kernels", async () => {
  const lines = (n: number) => Array.from({ length: 3000 }, (_, i) => `${n},${i},t${n}-${i}`);
  const open = (n: number, wait = 0) => {
    const bytes = new TextEncoder().encode(`a,b,c\n${lines(n).join("\n")}\n`);
    let at = 0;
    const source: Bytes = new ReadableStream({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, wait));
        if (at >= bytes.length) return controller.close();
        controller.enqueue(bytes.slice(at, at += 7000));
      },
    }, { highWaterMark: 0 });
    return batchesOf(source, { sampleBytes: 10_000 });
  };
  for (let round = 0; round < 3; round++) {
    const readers = await Promise.all(
      Array.from({ length: 9 }, async (_, n) => (await open(n)).getReader()),
    );
    const found = readers.map((): unknown[][] => []);
    const stopped = new Set<number>();
    for (let turn = 0; stopped.size < readers.length; turn++) {
      for (const [n, reader] of readers.entries()) {
        if (stopped.has(n)) continue;
        const pending = reader.read();
        if (n % 3 === 2 && turn === 1) {
          await reader.cancel("enough");
          await pending;
          stopped.add(n);
          // What begins now may have what it had.
          assert.equal((await Array.fromAsync(await open(n + 100))).length > 0, true);
          continue;
        }
        const { value } = await pending;
        if (value) found[n]!.push(...rowsOf(value));
        else stopped.add(n);
      }
    }
    for (const [n, rows] of found.entries()) {
      if (n % 3 === 2) continue;
      assert.equal(rows.length, 3000);
      assert.deepEqual(rows.map((row) => row.join(",")), lines(n));
    }
  }
});

Deno.test("a kernel that is used again remembers no quotes", () => {
  const one = Kernel.open(12_345)!;
  one.quoted[7] = 1;
  one.close();
  const other = Kernel.open(12_345)!;
  assert.ok(other === one);
  assert.equal(other.quoted[7], 0);
});
