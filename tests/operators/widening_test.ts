import assert from "node:assert/strict";
import type { RecordBatch } from "apache-arrow";
import { GiveUp, ReadAgain } from "../../engine/mod.ts";
import { sqlType } from "../../operators/_canonical.ts";
import { COLUMN_TYPES, type ColumnType } from "../../operators/_column_type.ts";
import { joined, wider } from "../../operators/_lattice.ts";
import { type Widening, widenings } from "../../operators/_widening.ts";
import { csv, type CsvOptions, jsonLines } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import { chunked, every } from "./_read_csv.ts";

Deno.test("what two types become together is as wide as each, whatever their order", () => {
  const isWithin = (a: ColumnType, b: ColumnType) => a === b || wider(a).includes(b);
  for (const a of COLUMN_TYPES) {
    assert.equal(joined(a, a), a);
    assert.equal(joined(a, "text"), "text");
    for (const b of COLUMN_TYPES) {
      const both = joined(a, b);
      assert.equal(joined(b, a), both);
      assert.ok(isWithin(a, both) && isWithin(b, both), `${a} and ${b} are within ${both}`);
      for (const c of COLUMN_TYPES) {
        assert.equal(joined(joined(a, b), c), joined(a, joined(b, c)), `${a}, ${b}, ${c}`);
      }
    }
  }
});

/** What a reading came to: the types at its end, the steps, whether it asked to read again, the rows per section. */
interface Reading {
  type: string;
  widened: readonly Widening[];
  again: boolean;
  rows: number;
}

/** Reads to the end; the type is that of the first column. */
async function reading(
  open: (ctx: ReturnType<typeof testContext>) => Promise<ReadableStream<RecordBatch>>,
  learnt?: unknown,
): Promise<Reading> {
  const read: Reading = { type: "", widened: [], again: false, rows: 0 };
  try {
    for await (const batch of await open({ ...testContext(), learnt })) {
      read.type = sqlType(batch.schema.fields[0]!);
      read.widened = widenings(batch.schema);
      read.rows += batch.numRows;
    }
  } catch (error) {
    if (!(error instanceof ReadAgain)) throw error;
    assert.ok(error instanceof GiveUp, "for whoever cannot read again");
    read.again = true;
    read.widened = error.learnt as Widening[];
    read.type = read.widened.at(-1)!.to;
  }
  return read;
}

const readCsv = (text: string, options: CsvOptions = {}, learnt?: unknown) =>
  reading(
    (ctx) => perform(csv({ sampleBytes: 512, ...options } as never), ctx, chunked(text)),
    learnt,
  );

/** A file whose column has one value, and far behind the sample another. */
const file = (value: string, late: string): string =>
  `v|n\n${`${value}|1\n`.repeat(1000)}${late}|1\n`;

const UUID = "01234567-89ab-cdef-0123-456789abcdef";

/** What a column has, what comes then, what it becomes, and whether it has to be read again. */
const WIDENED: readonly [value: string, late: string, type: ColumnType, again: boolean][] = [
  ["1", "2147483648", "bigint", false],
  ["1", "9223372036854775808", "numeric", false],
  ["-7", "1.5", "numeric", false],
  ["1", "1e3", "numeric", false],
  ["1", "007", "text", false],
  ["1", "+5", "text", false],
  ["1", "-0x1", "text", false],
  ["1", "N/A", "text", false],
  ["1", '""', "text", false],
  ["1", "2021-01-31", "text", false],
  ["5000000000", "0.1", "numeric", false],
  ["5000000000", "99999999999999999999", "numeric", false],
  ["5000000000", "x", "text", false],
  ["1.5", "0.1234567890123456789", "numeric", false],
  ["-0.25", "12345678901234567890", "numeric", false],
  ["1.5", "1e400", "numeric", false],
  ["1.5", "x", "text", false],
  ["0.0001", "x", "text", false],
  ["1.50", "x", "text", true],
  ["1.50", "12345678901234567890", "numeric", true],
  ["1.0", "x", "text", true],
  ["1e3", "x", "text", true],
  [".5", "x", "text", true],
  ["5.", "x", "text", true],
  ["-0.0", "x", "text", true],
  ["0.00001", "x", "text", true],
  ["NaN", "x", "text", true],
  ["123456789.25", "x", "text", false],
  ["123456789.20", "x", "text", true],
  ["12345678901234567890.5", "x", "text", false],
  ["12345678901234567890.50", "x", "text", false],
  ["12345678901234567890e1", "x", "text", true],
  ["-.12345678901234567890", "x", "text", true],
  ["true", "x", "text", false],
  ["false", "1", "text", false],
  ["True", "x", "text", true],
  ["t", "x", "text", true],
  ["FALSE", "x", "text", true],
  ["2021-01-31", "2021-01-31 10:00", "timestamp", false],
  ["2021-01-31", "2021-01-31T10:00:00.5", "timestamp", false],
  ["2021-01-31", "2021-02-30", "text", false],
  ["2021-01-31", "2021-01-31T10:00Z", "text", false],
  ["2021-01-31 10:00:00", "x", "text", false],
  ["2021-01-31 10:00:00.25", "x", "text", false],
  ["2021-01-31 10:00:00.50", "x", "text", true],
  ["2021-01-31 10:00", "x", "text", true],
  ["2021-01-31T10:00:00", "x", "text", true],
  ["2021-01-31 10:00:00+01", "x", "text", true],
  ["2021-01-31 10:00:00+00", "2021-01-31 10:00:00", "text", true],
  [UUID, "x", "text", false],
  [UUID.toUpperCase(), "x", "text", true],
];

Deno.test("a late value makes a column as wide as it must be, and no wider", async (t) => {
  for (const [value, late, type, again] of WIDENED) {
    await t.step(`${value}, then ${late}`, async () => {
      const read = await readCsv(file(value, late));
      assert.deepEqual([read.type, read.again], [type, again]);
      const from = (await readCsv(`v|n\n${value}|1\n`)).type;
      assert.deepEqual(read.widened, [
        { column: "v", from, to: type, line: 1002, reread: again },
      ]);
      // With what was learnt nothing is left to learn.
      const learnt = read.widened.map((widening) => ({ ...widening, reread: true }));
      const second = await readCsv(file(value, late), {}, learnt);
      assert.deepEqual(second, { type, widened: learnt, again: false, rows: 1001 });
    });
  }
});

Deno.test("a declared type is enforced, and text that is none stays an error", async () => {
  await assert.rejects(readCsv(file("1", "x"), { types: { v: "integer" } }), {
    name: "GiveUp",
    message:
      'Cannot parse "x" as integer in column "v", line 1002: that type was declared; declare ' +
      "another, mend the file, or keep such records aside: --on-reject keep (in code onReject: { limit: 100 })",
  });
  await assert.rejects(readCsv(file("1", "\0")), {
    name: "GiveUp",
    message: /as text in column "v", line 1002: it holds a NUL byte/,
  });
});

Deno.test("a record that is refused makes no column wider", async () => {
  for (const onReject of [{ limit: 10 }, { limit: 0.5 }]) {
    const text = file("1", "\0").replace("|1\n", "|1\n5000000000|1\n");
    const { type, rows, widened } = await readCsv(text, { onReject });
    assert.deepEqual([type, rows, widened], ["bigint", 1001, []]);
    const late = await readCsv(`${file("1", "\0")}5000000000|1\n\0|1\n`, { onReject });
    assert.deepEqual([late.type, late.rows], ["bigint", 1001]);
    assert.deepEqual(late.widened.map(({ line }) => line), [1003]);
  }
});

Deno.test("steps add up, and what was a date first does not print back as it was written", async () => {
  const rows = (value: string) => `${value}|${"x".repeat(100)}\n`.repeat(4000);
  const steps = (...values: string[]) => readCsv(`v|n\n${values.map(rows).join("")}`);
  const told = ({ widened }: Reading) =>
    widened.map(({ from, to, line }) => `${from} ${to} ${line}`);
  const numbers = await steps("1", "5000000000", "0.5", "x");
  assert.equal(numbers.again, false);
  assert.deepEqual(told(numbers), [
    "integer bigint 4002",
    "bigint numeric 8002",
    "numeric text 12002",
  ]);
  const times = await steps("2021-01-31", "2021-01-31 10:00:00", "x");
  assert.equal(times.again, true);
  assert.deepEqual(told(times), ["date timestamp 4002", "timestamp text 8002"]);
});

Deno.test("what is to be read again is read to its end first, for all there is to learn", async () => {
  const row = (a: string, b: string) => `${a},${b},${"x".repeat(100)}\n`;
  const text = `a,b,c\n${row("1.50", "1").repeat(4000)}${row("x", "1").repeat(4000)}${
    row("1", "N/A")
  }`;
  const { widened, again } = await readCsv(text);
  assert.equal(again, true);
  assert.deepEqual(widened.map(({ column, to, line }) => [column, to, line]), [
    ["a", "text", 4002],
    ["b", "text", 8002],
  ]);
  const broken = readCsv(`${text}1,2\n`);
  await assert.rejects(broken, { message: /line 8003 has 2 fields, expected 3/ });
});

Deno.test("numbers and dates with a spelling become wider in it, and text as it was written", async () => {
  const options: CsvOptions = { delimiter: "|", decimal: ",", thousands: ".", dateOrder: "dmy" };
  const cases: [value: string, late: string, type: ColumnType, again: boolean][] = [
    ["1.234", "5.000.000.000", "bigint", false],
    ["1.234", "1,5", "numeric", false],
    ["1.234", "x", "text", true],
    ["1,5", "1,12345678901234567890", "numeric", true],
    ["31.1.2021", "31.1.2021 10:00", "timestamp", false],
    ["31.1.2021", "1/31/2021", "text", true],
  ];
  for (const [value, late, type, again] of cases) {
    const read = await readCsv(file(value, late), options);
    assert.deepEqual([read.type, read.again], [type, again], `${value}, then ${late}`);
    const second = await readCsv(file(value, late), options, read.widened);
    assert.deepEqual([second.type, second.again, second.rows], [type, false, 1001]);
  }
});

Deno.test("however the bytes come, the same rows have the same types", async () => {
  const rows = (value: string) => `${value},${"é".repeat(60)}\n`.repeat(2500);
  const text = `v,n\n${rows("1")}${rows("5000000000")}${rows('"N/\nA"')}`;
  const bytes = new TextEncoder().encode(text);
  const borders = [0, 512, bytes.length];
  for (let at = 512 + (1 << 18); at < bytes.length; at += 1 << 18) borders.push(at);
  const read = async (size: number) => {
    const batches: unknown[] = [];
    // Small chunks are many: only around where a block, or what is in it, may change.
    const cuts = every(size, bytes.length).filter((cut) =>
      size > 500 || borders.some((border) => Math.abs(cut - border) < 300)
    );
    const input = chunked(bytes, cuts);
    const stream = await perform(csv({ sampleBytes: 512 }), testContext(), input);
    for await (const { numRows, schema } of stream) {
      batches.push([numRows, schema.fields.map(sqlType), widenings(schema)]);
    }
    return batches;
  };
  const whole = await read(bytes.length);
  assert.ok(new Set(whole.map((batch) => JSON.stringify(batch))).size > 3);
  for (const size of [1, 2, 3, 7, 511, 512, 513, 65535, 65536, 65537, 262143, 262144, 262145]) {
    assert.deepEqual(await read(size), whole, `in chunks of ${size}`);
  }
});

/** The same for values of JSON. */
const WIDENED_JSON: typeof WIDENED = [
  ["1", "5000000000", "bigint", false],
  ["1", "2.5", "numeric", false],
  ["1", '"2"', "text", false],
  ["1", "true", "text", false],
  ["1", "[1, 2]", "text", false],
  ["1.5", '"N/A"', "text", false],
  ["1.50", '"N/A"', "text", true],
  ["1.5", "12345678901234567890", "numeric", false],
  ["true", '"t"', "text", false],
  ["true", "1", "text", false],
  ['"2021-01-31"', '"2021-01-31 10:00"', "timestamp", false],
  ['"2021-01-31"', '"N/A"', "text", false],
  ['"2021-01-31"', "20210131", "text", false],
  ['"2021-01-31T10:00:00Z"', '"N/A"', "text", true],
  [`"${UUID}"`, "0", "text", false],
];

Deno.test("values of JSON lines make a column wider as those of CSV do", async (t) => {
  for (const [value, late, type, again] of WIDENED_JSON) {
    await t.step(`${value}, then ${late}`, async () => {
      const text = `${`{"v":${value}}\n`.repeat(1000)}{"v":${late}}\n`;
      const read = (learnt?: unknown) =>
        reading(
          (ctx) => perform(jsonLines({ sampleBytes: 512 }), ctx, chunked(text)),
          learnt,
        );
      const first = await read();
      assert.deepEqual([first.type, first.again], [type, again]);
      assert.deepEqual(first.widened.map(({ to, line }) => [to, line]), [[type, 1001]]);
      const second = await read(first.widened);
      assert.deepEqual([second.type, second.again, second.rows], [type, false, 1001]);
    });
  }
});

Deno.test("of a source that is stopped nothing is concluded: a record cut in half widens no column", async () => {
  const said: string[] = [];
  const waiting = Promise.withResolvers<void>();
  const chunks = [new TextEncoder().encode(`when\n${"2021-01-01\n".repeat(100)}2021-0`)];
  const bytes = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      const chunk = chunks.shift();
      if (chunk) return controller.enqueue(chunk);
      waiting.resolve();
      return new Promise(() => {});
    },
  }, { highWaterMark: 0 });
  const log = { info: (message: string) => void said.push(message), warn() {}, error() {} };
  const batches = await perform(csv({ sampleBytes: 512 }), testContext({ log }), bytes);
  const reader = batches.getReader();
  assert.ok((await reader.read()).value);
  const reading = reader.read();
  await waiting.promise;
  await reader.cancel(new DOMException("stopped", "AbortError"));
  assert.equal((await reading).done, true);
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(said, []);
});
