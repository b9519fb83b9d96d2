import assert from "node:assert/strict";
import { chunked, every, readCsv } from "../operators/_read_csv.ts";
import { soak } from "./_soak.ts";

/** Fields with all that a border between pieces could tear. */
const FIELDS = [
  '"a ""quoted"" one"',
  '"two\r\nlines"',
  "Zoë",
  "🎈🎈",
  "",
  '""',
  "-1.5e3",
  "é\u0301",
];

function lines(count: number): string {
  const header = FIELDS.map((_, i) => `c${i}`);
  const rows = Array.from({ length: count }, (_, i) => `${i},${FIELDS.join(",")}\r\n`);
  return `n,${header}\r\n${rows.join("")}`;
}

Deno.test("in whatever pieces a file comes, its rows are the same", async () => {
  const few = new TextEncoder().encode(lines(20)), many = lines(1500);
  const { rows: whole } = await readCsv(few);
  for (const size of [1, 2, 3, 7]) {
    assert.deepEqual((await readCsv(chunked(few, every(size, few.length)))).rows, whole);
  }
  const { rows } = await readCsv(many);
  assert.ok(many.length > 1 << 16 && rows.length === 1500);
  // What lies on the border is another byte each time; a row has fewer than 100 of them.
  for (let pad = 0; pad < 100; pad += soak ? 1 : 3) {
    const bytes = new TextEncoder().encode("x".repeat(pad) + many);
    assert.deepEqual((await readCsv(chunked(bytes, every(1 << 16, bytes.length)))).rows, rows);
  }
});
