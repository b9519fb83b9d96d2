import assert from "node:assert/strict";
import { bytes, count, duration, table } from "../../cli/format.ts";
import { tableName } from "../../cli/load.ts";
import { remaining, stageRow } from "../../cli/stages.ts";
import type { Reading } from "../../engine/mod.ts";

Deno.test("bytes have three digits and a unit", () => {
  const cases: [number, string][] = [
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [33_444_444, "33.4 MB"],
    [99_400, "99.4 kB"],
    [99_960, "100 kB"],
    [999_499, "999 kB"],
    [999_500, "1.0 MB"],
    [2e12, "2.0 TB"],
    [2e15, "2000 TB"],
  ];
  for (const [n, text] of cases) assert.equal(bytes(n), text);
});

Deno.test("durations get coarser as they grow", () => {
  const cases: [number, string][] = [
    [0, "0.0 s"],
    [1949, "1.9 s"],
    [9949, "9.9 s"],
    [9960, "10 s"],
    [59_400, "59 s"],
    [59_600, "1 min 00 s"],
    [125_000, "2 min 05 s"],
    [3_599_600, "1 h 00 min"],
    [3_725_000, "1 h 02 min"],
  ];
  for (const [ms, text] of cases) assert.equal(duration(ms), text);
});

Deno.test("counts are whole and have their thousands apart", () => {
  const numbers = [0, 999.6, 12_345, 1_369_765, -123_456, -1_234_567, 2 ** 53];
  assert.deepEqual(numbers.map(count), numbers.map((n) => Math.round(n).toLocaleString("en-US")));
});

Deno.test("tables put quantities to the right, words to the left, and leave out what is empty", () => {
  const text = table(
    [["a", "1.5 MB", "", "x"], ["long", "12 kB", "", ""], ["b", "", "", "1"]],
    "> ",
  );
  assert.equal(text, "> a     1.5 MB  x\n> long   12 kB\n> b             1");
  assert.equal(table([]), "");
});

Deno.test("a table's name may have a schema, and quotes", () => {
  const cases: [string, { table: string; schema?: string }][] = [
    ["t", { table: "t" }],
    ["s.t", { schema: "s", table: "t" }],
    ['"s.x".t', { schema: "s.x", table: "t" }],
    ['s."a.b"', { schema: "s", table: "a.b" }],
    ['"a ""b"""', { table: 'a "b"' }],
    ['a"b', { table: 'a"b' }],
  ];
  for (const [text, name] of cases) assert.deepEqual(tableName(text), name);
  for (const text of ["a.b.c", ".t", "t.", 'a."b', "a..b"]) {
    assert.throws(
      () => tableName(text),
      /Cannot tell schema and table apart in .*stands in quotes/,
    );
  }
});

const still: Reading = {
  ...{ stage: "x", rows: 0, bytes: 0, length: null, elapsed: 1000 },
  ...{ starved: 0, blocked: 0, done: false, outside: null },
};
/** A source that sends 10 MB a second, and a table that takes no more. */
const readings: Reading[] = [
  { ...still, stage: "http", bytes: 10e6, length: 40e6, blocked: 600 },
  { ...still, stage: "csv", rows: 1000, starved: 100, blocked: 700 },
  {
    ...still,
    stage: "copy",
    rows: 900,
    bytes: 5e6,
    starved: 50,
    outside: { name: "the database", waited: 900 },
  },
];

Deno.test("a stage tells rows, bytes, rate, and for whom it waited", () => {
  assert.deepEqual(readings.map((_, i) => stageRow(readings, i)), [
    ["http", "", "10.0 MB", "10.0 MB/s", "waited 60 % for csv"],
    ["csv", "1,000 rows", "", "1,000 rows/s", "waited 70 % for copy, 10 % for http"],
    ["copy", "900 rows", "5.0 MB", "5.0 MB/s", "waited 90 % for the database, 5 % for csv"],
  ]);
  const [, cell] = stageRow([{ ...readings[2]!, rejected: 1200 }], 0);
  assert.equal(cell, "900 rows, 1,200 rejected");
});

Deno.test("what is left is told where the length is known", () => {
  assert.equal(remaining(readings), "25 % of 40.0 MB, 3.0 s left");
  assert.equal(remaining([{ ...still, bytes: 5 }]), undefined);
  assert.equal(remaining([{ ...still, length: 5 }]), undefined);
  assert.equal(remaining([{ ...still, length: 5, bytes: 5 }]), undefined);
});
