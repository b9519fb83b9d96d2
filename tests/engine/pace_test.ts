import assert from "node:assert/strict";
import { pace, type Reading } from "../../engine/mod.ts";

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

Deno.test("the pace is set by whom the others wait for", () => {
  const setBy = (...readings: Reading[]) => pace(readings).setBy;
  assert.equal(setBy(...readings), "the database");
  assert.equal(setBy({ ...still, stage: "http" }, { ...still, starved: 900 }), "the source");
  assert.equal(setBy({ ...still, blocked: 900 }, { ...still, stage: "csv", starved: 100 }), "csv");
  assert.equal(setBy(), undefined);
});

Deno.test("each stage tells for whom it waits, the longest first, and not of nobody", () => {
  assert.deepEqual(pace(readings).waits, [
    [{ for: "csv", share: 0.6 }],
    [{ for: "copy", share: 0.7 }, { for: "http", share: 0.1 }],
    [{ for: "the database", share: 0.9 }, { for: "csv", share: 0.05 }],
  ]);
  // The last stage has nobody behind it, the first nobody before it; nobody waits longer than there is time.
  assert.deepEqual(pace([{ ...still, blocked: 5, starved: 5 }]).waits, [[]]);
  const [first] = pace([{ ...still, elapsed: 0, outside: { name: "you", waited: 9 } }]).waits;
  assert.deepEqual(first, [{ for: "you", share: 1 }]);
});

Deno.test("what is left is known where the length is", () => {
  assert.deepEqual(pace(readings).progress, { bytes: 10e6, length: 40e6, left: 3000 });
  const unknown: [what: string, reading: Reading][] = [
    ["no length", { ...still, bytes: 5 }],
    ["no byte yet", { ...still, length: 5 }],
    ["all of it", { ...still, length: 5, bytes: 5 }],
    ["the end", { ...still, length: 9, bytes: 5, done: true }],
  ];
  for (const [what, reading] of unknown) assert.equal(pace([reading]).progress, undefined, what);
});
