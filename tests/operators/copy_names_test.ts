import assert from "node:assert/strict";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { type Load, load, nothingLeft, rows } from "./_load.ts";

await sharedPostgres();

const HOSTILE = [
  'a"b',
  '"',
  '""',
  "a b",
  " ",
  "a.b",
  "public.t",
  "Größe",
  "日本",
  "𝄞",
  "T",
  "select",
  "a'b",
  "\\",
  "$1",
  "%s",
  "a\nb",
  '"; DROP TABLE x; --',
  "'; DROP TABLE x; --",
  "x".repeat(63),
  "é".repeat(31),
  "--",
  "/*",
  "\u202e",
  "null",
];

Deno.test("names are nothing but names, of tables, columns and schemas", async () => {
  await using database = await freshDatabase();
  await database.query("CREATE TABLE x (a int)");
  const text = `${HOSTILE.map((name) => `"${name.replaceAll('"', '""')}"`).join(",")}\n${
    HOSTILE.map(() => "1").join(",")
  }\n`;
  for (const name of HOSTILE) {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    await database.query(`CREATE SCHEMA ${quoted}`);
    for (const mode of ["replace", "replace", "append"] as const) {
      await load(database, text, { table: name, schema: name, mode });
    }
    const found = await database.query(
      `SELECT n.nspname, c.relname, (SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
       WHERE attrelid = c.oid AND attnum > 0) AS names FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
       WHERE nspname = $1`,
      [name],
    );
    assert.deepEqual(found, [{ nspname: name, relname: name, names: HOSTILE }]);
    assert.equal((await rows(database, `${quoted}.${quoted}`)).length, 2);
  }
  assert.deepEqual(await rows(database, "x"), []);
});

Deno.test("of very many columns what a task puts out has no more than it may", async () => {
  await using database = await freshDatabase();
  const names = Array.from({ length: 1600 }, (_, i) => `${i}`.padStart(63, "é").slice(-31));
  const copied = await load(database, `${names}\n${names.map(() => 1)}\n`, { table: "wide" });
  const bytes = new TextEncoder().encode(JSON.stringify(copied)).length;
  assert.ok(bytes < 48 * 1024 && bytes > 36 * 1024, `${bytes} bytes`);
  assert.equal(copied.columnsInAll, 1600);
  assert.deepEqual(
    copied.columns.map(({ name }) => name),
    names.slice(0, copied.columns.length),
  );
  assert.equal((await rows(database, "wide")).length, 1);
});

/** Loads that are refused before anything is made: options, CSV, and the message. */
const REFUSED: readonly (readonly [options: Load, text: string, message: string])[] = [
  [
    { table: "x".repeat(64) },
    "a\n1\n",
    `Cannot name a table "${"x".repeat(64)}": it has 64 bytes, and Postgres ` +
    "keeps 63; give it a shorter name",
  ],
  [
    { table: "é".repeat(32) },
    "a\n1\n",
    `Cannot name a table "${"é".repeat(32)}": it has 64 bytes, and Postgres ` +
    "keeps 63; give it a shorter name",
  ],
  [{ table: "" }, "a\n1\n", 'Cannot use "" as the name of a table: it is empty'],
  [{ table: "a\0b" }, "a\n1\n", 'Cannot name a table "a\\u0000b": it holds a NUL byte'],
  [
    { schema: "x".repeat(64) },
    "a\n1\n",
    `Cannot name a schema "${"x".repeat(64)}": it has 64 bytes, and Postgres ` +
    "keeps 63; give it a shorter name",
  ],
  [
    { schema: "nowhere" },
    "a\n1\n",
    'Cannot make table "nowhere.t": schema "nowhere" does not exist; make it (CREATE SCHEMA "nowhere"), or name another',
  ],
  [
    {},
    `${"c".repeat(64)}\n1\n`,
    `Cannot name a column "${"c".repeat(64)}": it has 64 bytes, and Postgres keeps ` +
    '63; give it a shorter name, or have it cut: --names mend (in code names: "mend")',
  ],
  [
    {},
    `${Array.from({ length: 1601 }, (_, i) => `c${i}`).join(",")}\n`,
    "Cannot make a table of 1601 columns: " +
    "Postgres has at most 1600",
  ],
];

Deno.test("what Postgres would cut or cannot hold is refused", async () => {
  await using database = await freshDatabase();
  for (const [options, text, message] of REFUSED) {
    await assert.rejects(load(database, text, options), { name: "GiveUp", message });
  }
  await load(database, `${Array.from({ length: 1600 }, (_, i) => `c${i}`).join(",")}\n`);
  await nothingLeft(database);
});

Deno.test("no table is made beside the ledger, though its schema be the first of the search path", async () => {
  await using database = await freshDatabase();
  const [{ name }] = await database.query<{ name: string }>(
    "SELECT current_database() AS name",
  ) as [{ name: string }];
  await database.query(`ALTER DATABASE "${name}" SET search_path = sluice, public`);
  for (const table of ["first", "second"]) await load(database, "x\n1\n", { table });
  const tables = "SELECT schemaname FROM pg_tables WHERE tablename IN ('first', 'second')";
  assert.deepEqual(await database.query(tables), [
    { schemaname: "public" },
    { schemaname: "public" },
  ]);
});

Deno.test("the schema that has the table is found along the search path, else the first one", async () => {
  await using database = await freshDatabase();
  await database.query(
    "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE b.t (x int); CREATE TABLE a.u (x int)",
  );
  const [{ name }] = await database.query<{ name: string }>(
    "SELECT current_database() AS name",
  ) as [{ name: string }];
  await database.query(`ALTER DATABASE "${name}" SET search_path = nowhere, a, b`);
  await load(database, "x\n1\n");
  await load(database, "x\n2\n", { table: "new" });
  await load(database, "x\n3\n", { table: "u", schema: "b" });
  assert.deepEqual(await rows(database, "b.t"), ["(1)"]);
  assert.deepEqual(await rows(database, "a.new"), ["(2)"]);
  assert.deepEqual([await rows(database, "a.u"), await rows(database, "b.u")], [[], ["(3)"]]);
  await database.query(`ALTER DATABASE "${name}" SET search_path = nowhere`);
  await assert.rejects(load(database, "x\n1\n"), {
    name: "GiveUp",
    message: 'Cannot make table "t": no schema of the search path exists',
  });
});
