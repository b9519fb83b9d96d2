import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { CopyOptions } from "../../operators/mod.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
// @ts-types="@types/pg"
import pg from "pg";
import { load, Made } from "./_made.ts";
import { invariants } from "./_invariants.ts";
import { soak } from "./_soak.ts";

await sharedPostgres();

/** What a table that is swapped may be, and how it is swapped. */
const SWAPS: readonly (readonly [what: string, options: Partial<CopyOptions>, sql?: string])[] = [
  ["a plain table", {}],
  ["a plain table, in parallel", { parallel: 2 }],
  ["a plain table, in committed staging", { staging: "committed" }],
  ["a table with a view", {}, "CREATE VIEW shown AS SELECT * FROM t"],
  ["a table with a view, in parallel", { parallel: 2 }, "CREATE VIEW shown AS SELECT * FROM t"],
  [
    "a table that others refer to",
    {},
    "ALTER TABLE t ADD k int GENERATED ALWAYS AS IDENTITY PRIMARY KEY; CREATE TABLE o (k int REFERENCES t)",
  ],
  ["by deletes and inserts", { isolation: "mvcc" }],
  [
    "a partition",
    { mode: "partition", slice: { column: "v", from: 0, to: 10_000 } },
    "ALTER TABLE t RENAME TO old; CREATE TABLE t (LIKE old) PARTITION BY RANGE (v); " +
    "ALTER TABLE t ATTACH PARTITION old FOR VALUES FROM (0) TO (10000)",
  ],
  ["a slice", { mode: "partition", slice: { column: "v", from: 0, to: 10_000 } }],
  ["by a merge", { mode: "merge", on: ["n"], deleteMissing: true, duplicates: "fail" }],
];
const LOADS = soak ? 300 : 30;

for (const [what, options, sql] of SWAPS) {
  Deno.test(`readers that never stop see old rows or new ones, while ${LOADS} loads swap them: ${what}`, async () => {
    await using database = await freshDatabase();
    await load(database.url, new Made(0));
    if (sql) await database.query(sql);
    let done = false, reads = 0, longest = 0;
    const seen = new Set<number>();
    // Of one load all rows have the same version, by which it is known how many there are.
    const look =
      `SELECT count(*)::int AS rows, min(v) AS least, max(v) AS most, count(DISTINCT n)::int AS ns
      FROM ${sql?.includes("VIEW") ? "shown" : "t"}`;
    const reader = async (): Promise<void> => {
      const client = new pg.Client(database.url);
      await client.connect();
      try {
        while (!done) {
          const began = performance.now();
          const { rows: [row] } = await client.query(look);
          longest = Math.max(longest, performance.now() - began);
          const rows = 500 + row.least; // as many as a file of that version has
          assert.deepEqual(row, { rows, least: row.least, most: row.least, ns: rows });
          seen.add(row.least);
          reads++;
        }
      } finally {
        await client.end();
      }
    };
    const readers = [reader(), reader()];
    for (const reader of readers) reader.catch(() => done = true);
    for (let version = 1; version <= LOADS && !done; version++) {
      await load(database.url, new Made(version), { ...options, key: "again" });
      // However slow they are, each table is there for somebody.
      for (const before = reads; reads === before && !done;) await sleep(1);
    }
    done = true;
    await Promise.all(readers);
    assert.ok(seen.size > 2 && reads > 5, `${seen.size} tables in ${reads} reads`);
    assert.ok(longest < 10_000, `a reader waited for ${longest} ms`);
    const last = new Made(LOADS);
    const ledger = [{ key: "v0", rows: 500 }, { key: "again", rows: last.rows }] as Made[];
    await invariants(database, [{ table: [last], ledger }]);
  });
}
