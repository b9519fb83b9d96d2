import assert from "node:assert/strict";
import { listLoads, listRejects } from "../../operators/mod.ts";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { type Load, load, nothingLeft, rows } from "./_load.ts";

await sharedPostgres();

/** Options of loads that put up with whatever is refused. */
const KEEP = { onReject: { limit: Infinity } } as const;

/** The rejects of table t: record and rule. */
async function refused(database: TestDatabase): Promise<string[]> {
  const found = await listRejects(database, { table: "t" });
  return found.map(({ record, rule }) => `${record} ${rule}`).sort();
}

/** What makes a table refuse each row whose v is 10 or more: at once, or only when it is tried. */
const REFUSING = {
  check: "ALTER TABLE t ADD CHECK (v < 10)",
  "foreign key":
    `DROP TABLE IF EXISTS f; CREATE TABLE f (v int PRIMARY KEY); INSERT INTO f SELECT generate_series(0, 9);
    ALTER TABLE t ADD FOREIGN KEY (v) REFERENCES f`,
  trigger: `CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF new.v > 9 THEN RAISE ''too large''; END IF; RETURN new; END';
    CREATE TRIGGER g BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()`,
};

const EMPTIED: readonly (readonly [what: string, options: Load])[] = [
  ["a table", {}],
  ["a table", { isolation: "mvcc" }],
  ["a slice of table", { mode: "partition", slice: { column: "id", from: 0, to: 9 } }],
  ["a table", { types: { v: "integer" } }],
];

Deno.test("rows are not replaced by none because all were refused, nor by too few that were not", async () => {
  await using database = await freshDatabase();
  for (const refuses of Object.values(REFUSING)) {
    for (const [what, options] of EMPTIED) {
      await database.query(
        `DROP TABLE IF EXISTS t, t__rejects, f; CREATE TABLE t (id int, v int); ${refuses}; INSERT INTO t VALUES (1, 1)`,
      );
      const value = options.types ? 99999999999 : 99; // one is not of its type at all
      const bad = `id,v\n2,${value}\n3,${value}\n`;
      const said = what.replace("a table", "table");
      const error = await load(database, bad, { ...KEEP, ...options }).then(
        () => assert.fail(),
        (e) => e,
      );
      assert.match(
        error.message,
        new RegExp(
          `^Cannot replace ${said} "t", which has rows, by none: all 2 records of the source were refused; if that is ` +
            "meant, allow it: --allow-empty \\(in code allowEmpty: true\\). The rejects are in \\S+; the first are\\n  record 1, line 2: ",
        ),
      );
      const file = /rejects are in (\S+);/.exec(error.message)![1]!;
      assert.equal((await Deno.readTextFile(file)).trimEnd().split("\n").length, 2);
      await Deno.remove(file);
      assert.deepEqual(await rows(database), ["(1,1)"]);
      const few = load(database, `${bad}4,4\n`, { ...KEEP, ...options, minRows: 2 });
      await assert.rejects(few, (e: Error) => {
        Deno.removeSync(/rejects are in (\S+);/.exec(e.message)![1]!);
        return /the source has 1 rows, without the 2 that were refused, and at least 2/.test(
          e.message,
        );
      });
      assert.deepEqual(await rows(database), ["(1,1)"]);
      await load(database, `${bad}4,4\n`, { ...KEEP, ...options, minRows: 1 });
      assert.deepEqual(await rows(database), ["(4,4)"]);
      await load(database, bad, { ...KEEP, ...options, allowEmpty: true });
      assert.deepEqual(await rows(database), []);
    }
  }
  await nothingLeft(database);
});

/** Rows of one source, and what becomes of a table that has (1,0): its rows, the rejects, and how many were beaten. */
const BEATEN:
  readonly (readonly [source: string, left: string, refused: string, beaten: number])[] = [
    ["1,2 1,99", "1,2", "2", 0],
    ["1,99 1,2", "1,2", "", 1],
    ["1,2 1,98 1,99 2,5 2,6", "1,2 2,6", "2 3", 1],
    ["1,98 1,99", "1,0", "1 2", 0],
    ["1,2 1,93 1,94 2,2 1,95 1,96 1,97 1,98 2,99", "1,2 2,2", "2 3 5 6 7 8 9", 0],
    ["1,1 1,98 1,2 1,99 3,3 4,97", "1,2 3,3", "4 6", 2],
    ["1,97 2,1 2,98 1,98 2,99 1,99", "1,0 2,1", "1 3 4 5 6", 0],
  ];

Deno.test("of rows that come twice the last one wins that is not refused", async () => {
  await using database = await freshDatabase();
  for (const [by, refuses] of Object.entries(REFUSING)) {
    for (const [source, left, of, beaten] of BEATEN) {
      await database.query(
        `DROP TABLE IF EXISTS t, t__rejects, f; CREATE TABLE t (id int PRIMARY KEY, v int); ${refuses}; INSERT INTO t VALUES (1, 0)`,
      );
      const records = source.split(" ");
      const merge = { mode: "merge", on: ["id"], types: { id: "integer", v: "integer" } } as const;
      const copied = await load(database, `id,v\n${records.join("\n")}\n`, { ...KEEP, ...merge });
      const what = `${source}, by a ${by}`;
      assert.deepEqual(
        (await rows(database)).sort(),
        left.split(" ").map((row) => `(${row})`),
        what,
      );
      const told = (await refused(database)).map((text) => text.split(" ")[0]);
      assert.equal(told.join(" "), of, what);
      const { rejected, merged } = copied;
      assert.deepEqual(
        [copied.rows + rejected, merged!.duplicates],
        [records.length, beaten],
        what,
      );
      const [entry] = await listLoads(database);
      assert.deepEqual([entry!.rows, entry!.rejected], [copied.rows, copied.rejected]);
    }
  }
  await nothingLeft(database);
});

const REFERRED =
  `DROP TABLE IF EXISTS o, t, t__rejects; CREATE TABLE t (id int PRIMARY KEY, v int CHECK (v < 10), d date, u text UNIQUE);
  INSERT INTO t VALUES (1, 1), (9, 9); CREATE TABLE o (id int REFERENCES t); INSERT INTO o VALUES (1)`;

Deno.test("rows of a table that others refer to are refused by themselves, but for those that others need", async () => {
  await using database = await freshDatabase();
  const text = "id,v,d,u\n1,2,2021-01-01,a\n2,99,,b\n3,3,N/A,c\n4,4,,a\n,5,,d\n1,6,,e\n7,7,,f\n";
  for (const options of [{}, { isolation: "mvcc" }, { parallel: 2 }] as const) {
    await database.query(REFERRED);
    const copied = await load(database, text, { ...KEEP, ...options });
    assert.deepEqual([copied.rows, copied.rejected], [2, 5]);
    assert.deepEqual(await rows(database), ["(1,2,2021-01-01,a)", "(7,7,,f)"]);
    assert.deepEqual(await rows(database, "o"), ["(1)"]);
    assert.deepEqual(await refused(database), [
      "2 check",
      "3 value",
      "4 unique",
      "5 not_null",
      "6 unique",
    ]);
    await nothingLeft(database);
  }
  await assert.rejects(
    load(database, "id,v\n1,99\n2,2\n", KEEP),
    /violates foreign key constraint "o_id_fkey" on table "o"/,
  );
  assert.deepEqual(await rows(database), ["(1,2,2021-01-01,a)", "(7,7,,f)"]);
  await nothingLeft(database);
});
