import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { pathToFileURL } from "node:url";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { tableFromArrays, tableToIPC } from "apache-arrow";
import { zipSync } from "fflate";
import { demoMonth } from "../../cli/_demo_data.ts";
// @ts-types="@types/pg"
import pg from "pg";
import { freshDatabase, sharedPostgres, type TestDatabase } from "../_postgres.ts";
import { document, refusal, screen, serve, Sluice, until } from "./_sluice.ts";

await sharedPostgres();

const text = 'id,name,"born on"\n1,Ada,1815-12-10\n2,"Grace ""Amazing""",1906-12-09\n3,,\n';
const plain = new TextEncoder().encode(text);
const columns = [
  { name: "id", type: "integer" },
  { name: "name", type: "text" },
  { name: "born on", type: "date" },
];

const dialect = {
  format: "csv",
  encoding: "utf-8",
  delimiter: ",",
  quote: '"',
  escape: '"',
  header: true,
  skipped_lines: 0,
};

/** Nothing on stderr, but for what is said of a load that took a second or more. */
const QUIET = /^(The pace was set by .*\n)?$/;

async function rowsOf(db: TestDatabase, table: string): Promise<unknown[]> {
  return await db.query(`SELECT id, name, "born on"::text FROM ${table} ORDER BY id`);
}
const rows = [
  { id: 1, name: "Ada", "born on": "1815-12-10" },
  { id: 2, name: 'Grace "Amazing"', "born on": "1906-12-09" },
  { id: 3, name: null, "born on": null },
];

Deno.test("load takes URLs, files and stdin, compressed or not, and tells what it did", async (t) => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const zipped = new Uint8Array(gzipSync(plain));
  await using server = serve(() => new Response(zipped));
  const files: Record<string, Uint8Array> = {
    "people.csv": plain,
    "ünï cödé 100%.csv.gz": zipped,
    "people.zst": new Uint8Array(zstdCompressSync(plain)),
    "people.zip": zipSync({ "people.csv": plain }),
  };
  const paths = Object.entries(files).map(([name, content]) => sluice.file(name, content));
  const cases: [what: string, source: string, read: number, stdin?: Uint8Array][] = [
    ["a URL", `${server.url}/people.csv.gz`, zipped.length],
    ...Object.entries(files).map(([name, { length }]) =>
      [name, name, length] as [string, string, number]
    ),
    ["a whole path", paths[1]!, zipped.length],
    ["a file URL", pathToFileURL(paths[1]!).href, zipped.length],
    ["stdin", "-", plain.length, plain],
    ["compressed stdin", "-", zipped.length, zipped],
  ];
  for (const [what, source, read, stdin] of cases) {
    await t.step(what, async () => {
      const outcome = await sluice.run(
        ["load", source, "--into", "people", "--database", db.url, "--json"],
        stdin ? { stdin } : {},
      );
      assert.equal(outcome.code, 0, outcome.stderr);
      const { seconds, ...told } = document(outcome);
      assert.deepEqual(told, {
        table: "people",
        rows: 3,
        rejected: 0,
        bytes_read: read,
        bytes_decompressed: plain.length,
        columns,
        dialect,
      });
      assert.ok(seconds > 0 && seconds * 1000 < outcome.ms, `${seconds} s`);
      assert.equal(outcome.stderr, "");
      assert.deepEqual(await rowsOf(db, "people"), rows);
    });
  }
  assert.deepEqual(server.log, ["GET /people.csv.gz 200"]);
});

Deno.test("load says on a line what came of it, and each column's type", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const file = sluice.file("people.csv", text);
  // The database may as well be given by the environment.
  const { code, stdout, stderr } = await sluice.run(["load", file, "--into", "people"], {
    env: { DATABASE_URL: db.url },
  });
  assert.equal(code, 0, stderr);
  const [head, ...lines] = stdout.trimEnd().split("\n");
  assert.match(head!, /^people: 3 rows in \d+(\.\d)? s \([\d,]+ rows\/s, [\d.]+ k?B\/s\)$/);
  assert.deepEqual(lines, ["  id       integer", "  name     text", "  born on  date"]);
  assert.match(stderr, QUIET);
  assert.deepEqual(await rowsOf(db, "people"), rows);
});

Deno.test("load reads the dialects it is told of", async (t) => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const cases: [what: string, text: string, flags: string[], rows: Record<string, unknown>[]][] = [
    ["tabs", "a\tb\n1\tx,y\n", ["--delimiter", "tab"], [{ a: 1, b: "x,y" }]],
    ["semicolons", "a;b\n1;x\n", ["--delimiter", ";"], [{ a: 1, b: "x" }]],
    ["other quotes", "a,b\n1,'x,''y'\n", ["--quote", "'"], [{ a: 1, b: "x,'y" }]],
    ["escapes", 'a\n"x\\"y"\n', ["--escape", "\\"], [{ a: 'x"y' }]],
    ["no quotes", 'a,b\n1,"x\n', ["--quote", "none"], [{ a: 1, b: '"x' }]],
    ["no header", "1,x\n2,y\n", ["--no-header"], [
      { column_1: 1, column_2: "x" },
      { column_1: 2, column_2: "y" },
    ]],
    ["words for NULL", "a,b\n1,NA\n-,\n", ["--null", "NA", "--null", "-"], [
      { a: 1, b: null },
      { a: null, b: "" },
    ]],
    [
      "declared types",
      "a,b,c\n1,7,2\n",
      ["--type", "a=text", "--type", "b=bigint", "--type", "c=double precision"],
      [{ a: "1", b: "7", c: 2 }],
    ],
  ];
  for (const [what, text, flags, rows] of cases) {
    await t.step(what, async () => {
      const outcome = await sluice.run(
        ["load", "-", "--into", "t", "--database", db.url, "--json", ...flags],
        { stdin: text },
      );
      assert.equal(outcome.code, 0, outcome.stderr);
      assert.deepEqual(await db.query("SELECT * FROM t"), rows);
    });
  }
});

Deno.test("load finds out how a source is written, says so, and takes it from flags", async (t) => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const ipc = tableToIPC(tableFromArrays({ a: Int32Array.of(1), b: ["x"] }), "file");
  const cases: [
    what: string,
    input: string | Uint8Array,
    flags: string[],
    rows: Record<string, unknown>[],
    found: Record<string, unknown>,
    says: RegExp,
  ][] = [
    ["semicolons", "a;b\n1;x\n", [], [{ a: 1, b: "x" }], { ...dialect, delimiter: ";" }, /";"/],
    [
      "a preamble and a footer",
      "Report\n\na,b\n1,x\n2,y\nTotal 2\n",
      ["--skip-lines", "2", "--skip-footer", "1"],
      [{ a: 1, b: "x" }, { a: 2, b: "y" }],
      { ...dialect, skipped_lines: 2 },
      /2 lines that were skipped/,
    ],
    [
      "Latin-1, comments, short rows and German numbers",
      Uint8Array.from("#x\na;ä;c\n1.234,5;\xfc\n", (c) => c.charCodeAt(0)),
      ["--encoding", "latin1", "--comment", "#", "--ragged", "pad", "--delimiter", ";"].concat(
        ["--decimal", ",", "--thousands", "."],
      ),
      [{ a: 1234.5, ä: "ü", c: null }],
      { ...dialect, encoding: "latin1", delimiter: ";" },
      /latin1/,
    ],
    [
      "dates, signs, NUL bytes and names",
      "a,a\n1/2/2021,5\0 %\n",
      ["--date-order", "dmy", "--sign", "%", "--nul", "remove", "--names", "mend"].concat(
        ["--type", "a=text"],
      ),
      [{ a: "1/2/2021", a_2: 5 }],
      dialect,
      /^$/,
    ],
    [
      "JSON lines",
      '{"a":1,"b":"x"}\n{"b":null}\n',
      [],
      [{ a: 1, b: "x" }, { a: null, b: null }],
      { format: "jsonl", encoding: "utf-8" },
      /JSON lines/,
    ],
    [
      "what looks like JSON lines, as CSV",
      '{"a"\n1\n',
      ["--format", "csv"],
      [{ '{"a"': 1 }],
      dialect,
      /^$/,
    ],
    ["Arrow", ipc, [], [{ a: 1, b: "x" }], { format: "arrow" }, /Arrow/],
  ];
  for (const [what, input, flags, rows, found, says] of cases) {
    await t.step(what, async () => {
      const outcome = await sluice.run(
        ["load", "-", "--into", "t", "--database", db.url, "--json", ...flags],
        { stdin: input as Uint8Array<ArrayBuffer> },
      );
      assert.equal(outcome.code, 0, outcome.stderr);
      assert.deepEqual(document(outcome).dialect, found);
      assert.match(outcome.stderr, says);
      assert.deepEqual(await db.query("SELECT * FROM t"), rows);
    });
  }
  const clash = ["load", "-", "--into", "t", "--database", db.url, "--format", "jsonl"];
  const outcome = await sluice.run([...clash, "--skip-lines", "1"], { stdin: "" });
  assert.match(refusal(outcome, 2), /--skip-lines is for CSV, but --format is jsonl/);
  const meant = await sluice.run(
    ["load", "-", "--into", "t", "--database", db.url, "--null", "NA"],
    { stdin: '{"a":"NA"}\n{"a":"1"}\n' },
  );
  assert.match(refusal(meant, 1), /first bytes are those of JSON lines, and --null is for CSV; /);
});

Deno.test("load --mode append adds rows to a table, and replace replaces them", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const load = ["load", "-", "--into", "t", "--database", db.url, "--json"];
  for (const [mode, n] of [["append", 2], ["append", 4], ["replace", 2], ["append", 4]] as const) {
    const outcome = await sluice.run([...load, "--mode", mode], { stdin: "a\n1\n2\n" });
    assert.equal(document(outcome).rows, 2, outcome.stderr);
    assert.deepEqual(await db.query("SELECT count(*)::int AS n FROM t"), [{ n }]);
  }
  const other = await sluice.run([...load, "--mode", "append"], { stdin: "a,b\n1,2\n" });
  assert.match(refusal(other, 1), /no column "b".*"a"/);
});

Deno.test("load merges, replaces slices, evolves tables, and knows a load again", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const load = async (text: string, ...flags: string[]) =>
    document(
      await sluice.run(["load", "-", "--into", "t", "--database", db.url, "--json", ...flags], {
        stdin: text,
      }),
    );
  const merge = ["--mode", "merge", "--on", "id"];
  await load("id,v\n1,a\n2,b\n3,c\n", ...merge);
  const merged = await load(
    "id,v,w\n2,B,1\n4,d,\n4,D,2\n",
    ...merge,
    "--delete-missing",
    "--evolution",
    "evolve",
  );
  assert.deepEqual(merged.merged, { inserted: 1, updated: 1, deleted: 2, duplicates: 1 });
  assert.deepEqual(await db.query("SELECT * FROM t"), [{ id: 2, v: "B", w: 1 }, {
    id: 4,
    v: "D",
    w: 2,
  }]);
  await load("v,id\nx,3\ny,4\n", "--mode", "partition", "--slice", "id=3..5");
  assert.deepEqual(await db.query("SELECT id, v FROM t ORDER BY id"), [
    { id: 2, v: "B" },
    { id: 3, v: "x" },
    { id: 4, v: "y" },
  ]);
  for (const unchanged of [undefined, true]) {
    const loaded = await load("id\n9\n", "--mode", "append", "--key", "nine");
    assert.equal(loaded.unchanged, unchanged);
  }
  for (const unchanged of [undefined, true]) {
    const loaded = await load(
      "id\n9\n",
      "--parallel",
      "2",
      "--if-unchanged",
      "skip",
      "--isolation",
      "mvcc",
    );
    assert.equal(loaded.unchanged, unchanged);
  }
  assert.deepEqual(await db.query("SELECT id FROM t"), [{ id: 9 }]);
  const file = sluice.file("a.csv", "id\n7\n");
  const said = await sluice.run(["load", file, "--into", "t", "--database", db.url, ...merge]);
  assert.match(
    said.stdout,
    /^t: 1 row in .*\n {2}1 inserted, 0 updated, 0 deleted, 0 duplicates\n/,
  );
  const again = ["load", file, "--into", "u", "--database", db.url, "--if-unchanged", "skip"];
  await sluice.run(again);
  const { stdout } = await sluice.run(again);
  assert.equal(stdout, "u: unchanged, 1 row\n");
  const [entry] = await db.query<{ source_url: string; bytes: string }>(
    `SELECT source_url, bytes FROM sluice.loads WHERE target LIKE '%"u"'`,
  ) as [{ source_url: string; bytes: string }];
  assert.deepEqual({ ...entry }, { source_url: file, bytes: "5" });
});

Deno.test("what nobody reads the end of is done all the same, and quietly", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const file = sluice.file("a.csv", "a\n1\n");
  const unread = ["bash", "-c", '"$@" | true; exit ${PIPESTATUS[0]}', "bash"];
  const load = ["load", file, "--into", "t", "--database", db.url];
  const outcome = await sluice.run(load, { under: unread });
  assert.equal(outcome.code, 0);
  assert.match(outcome.stderr, QUIET);
  assert.deepEqual(await db.query("SELECT * FROM t"), [{ a: 1 }]);
});

Deno.test("load refuses what does not go together", async () => {
  await using sluice = new Sluice();
  const cases: [flags: string[], why: RegExp][] = [
    [["--mode", "merge"], /mode merge needs .* --on id/],
    [["--mode", "partition"], /mode partition needs .* --slice day=/],
    [["--on", "id"], /--on, --delete-missing and --duplicates .* belong to mode merge/],
    [
      ["--mode", "merge", "--on", "id", "--if-unchanged", "skip"],
      /--if-unchanged skip .* in mode merge needs a key by which .*: add --key NAME/,
    ],
    [
      ["--mode", "partition", "--slice", "a=1..2", "--if-unchanged", "skip"],
      /--if-unchanged skip .* in mode partition needs a key/,
    ],
    [["--slice", "a=1..2"], /--slice \(in code slice\) belongs to mode partition/],
    [["--mode", "partition", "--slice", "a"], /write it as COLUMN=FROM\.\.TO/],
    [
      ["--mode", "partition", "--slice", "d=01.01.2021..01.02.2021"],
      /is not a date as in ISO 8601/,
    ],
    [["--mode", "partition", "--slice", "d=2021-02-01..2021-01-01"], /must be the lower one/],
    [["--parallel", "0"], /a whole number from 1 to 64/],
    [
      ["--mode", "append", "--isolation", "mvcc"],
      /--isolation mvcc \(in code isolation: "mvcc"\) belongs to mode replace/,
    ],
    [["--mode", "merge", "--on", "a", "--parallel", "2"], /add --duplicates fail/],
  ];
  for (const [flags, why] of cases) {
    const outcome = await sluice.here(
      ["load", "-", "--into", "t", "--database", "postgres://nobody@127.0.0.1:1/x", ...flags],
    );
    assert.equal(outcome.code, 2, outcome.stderr);
    assert.match(outcome.stderr, why);
  }
});

Deno.test("tables may have any name, in any schema", async (t) => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await db.query(`CREATE SCHEMA staff; CREATE SCHEMA "odd.one"; CREATE TABLE bystander ()`);
  const names: [into: string, schema: string, table: string][] = [
    ["people", "public", "people"],
    ["staff.people", "staff", "people"],
    ['"odd.one"."a ""b"" c"', "odd.one", 'a "b" c'],
    ['staff."people.2"', "staff", "people.2"],
    ["Großer Täblé 表", "public", "Großer Täblé 表"],
    ['x"; DROP TABLE bystander; --', "public", 'x"; DROP TABLE bystander; --'],
    ["select", "public", "select"],
    ['"a.b.c"', "public", "a.b.c"],
    ["it's", "public", "it's"],
  ];
  for (const [into, schema, table] of names) {
    await t.step(into, async () => {
      const outcome = await sluice.run(
        ["load", "-", "--into", into, "--database", db.url, "--json"],
        { stdin: 'select,"a""b","x""); DROP TABLE bystander; --"\n1,2,3\n' },
      );
      assert.equal(document(outcome).rows, 1, outcome.stderr);
      const found = await db.query(
        `SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
         WHERE nspname = $1 AND relname = $2 AND reltuples <> 0`,
        [schema, table],
      );
      assert.equal(found.length, 1);
    });
  }
  assert.deepEqual(await db.query("SELECT * FROM bystander"), []);
  const two = await sluice.run(["load", "-", "--into", "a.b.c", "--database", db.url], {
    stdin: "a\n",
  });
  assert.match(refusal(two, 2), /Cannot tell schema and table apart in "a\.b\.c"/);
});

Deno.test("a load goes where PGOPTIONS leads, and nowhere by variables that are not known", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await db.query("CREATE SCHEMA s1");
  const args = ["load", sluice.file("x.csv", "a\n1\n"), "--into", "t", "--database", db.url];
  const outcome = await sluice.here(args, { PGOPTIONS: "-c search_path=s1" });
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.deepEqual(await db.query("SELECT a FROM s1.t"), [{ a: 1 }]);
  for (const variable of ["PGSERVICE", "PGHOSTADDR"]) {
    const said = refusal(await sluice.here(args, { [variable]: "x" }), 2);
    assert.match(said, new RegExp(`${variable} is set, which is not known here\\. Put .* into`));
  }
});

Deno.test("help teaches by example", async () => {
  await using sluice = new Sluice();
  for (
    const args of [["--help"], [], ["load", "--help"], ["run", "-h"], ["demo", "--help"], [
      "serve",
      "--help",
    ]]
  ) {
    const { code, stdout, stderr } = await sluice.here(args);
    assert.equal(code, 0);
    assert.match(stdout, /\n(Examples|Start here):\n {2}sluice /);
    assert.equal(stderr, "");
  }
});

/** A CSV file whose second half comes when it is asked for. */
function halves(): {
  body: () => ReadableStream<Uint8Array>;
  go: () => void;
  gone: Promise<void>;
  rows: number;
} {
  const chunks = [...demoMonth("2021-01", 40_000)].map((chunk) => chunk.slice());
  const go = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  return {
    rows: 40_000,
    go: go.resolve,
    gone: gone.promise,
    body: () => {
      let i = 0;
      return new ReadableStream({
        async pull(controller) {
          if (i === chunks.length >> 1) await go.promise;
          if (i < chunks.length) controller.enqueue(chunks[i++]!);
          else controller.close();
        },
        cancel: () => gone.resolve(),
      });
    },
  };
}

Deno.test("where there is no terminal, load writes a line every few seconds", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const file = halves();
  await using server = serve(() => new Response(file.body()));
  const command = sluice.start(["load", server.url, "--into", "t", "--database", db.url]);
  // In the end, for nothing more comes.
  await command.says(/^t: [\d,]+ rows, 1\.\d MB read, .*\/s; the pace is set by the source\n/m);
  file.go();
  const { code, stdout, stderr } = await command.ended;
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^t: 40,000 rows in /);
});

Deno.test("on a terminal, load draws each stage, and the summary takes the drawing's place below it", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const file = halves();
  await using server = serve(() => new Response(file.body()));
  const command = sluice.startOnTerminal(
    ["load", server.url, "--into", "t", "--database", db.url],
    { columns: 90, rows: 40 },
  );
  await command.says(/copy +[\d,]+ rows/);
  file.go();
  const { code, stdout } = await command.ended;
  assert.equal(code, 0, stdout);
  const shown = screen(stdout, { columns: 90, rows: 40 });
  assert.match(shown[0]!, /^t {2}\d+(\.\d)? s$/);
  assert.deepEqual(
    shown.slice(1, 5).map((line) => line.trim().split(" ")[0]),
    ["http", "decompress", "csv", "copy"],
  );
  assert.match(shown[4]!, /40,000 rows .*MB\/s/);
  assert.match(shown[5]!, /^t: 40,000 rows in /);
  assert.equal(shown[6], "  VendorID               integer");
  assert.deepEqual(shown.slice(24).filter((line) => !line.startsWith("The pace")), [""]);
  for (const line of shown) assert.ok(line.length < 90, line);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`${signal} ends a load at once, cancels the download and rolls back`, async () => {
    await using sluice = new Sluice();
    await using db = await freshDatabase();
    const file = halves();
    await using server = serve(() => new Response(file.body()));
    await db.query("CREATE TABLE t AS SELECT 1 AS a");
    const command = sluice.start([
      "load",
      server.url,
      "--into",
      "t",
      "--database",
      db.url,
      "--json",
    ]);
    await until(async () => (await db.query("SELECT FROM pg_stat_progress_copy")).length > 0);
    const since = performance.now();
    command.kill(signal);
    // As one Ctrl-C does that reaches us by way of `deno task`; half a second later it would be another one.
    for (const end = performance.now() + 5; performance.now() < end;);
    command.kill(signal);
    const outcome = await command.ended;
    assert.equal(refusal(outcome, 130), "interrupted");
    await file.gone;
    assert.deepEqual(await db.query("SELECT * FROM t"), [{ a: 1 }]);
    await until(async () =>
      (await db.query("SELECT FROM pg_stat_activity WHERE application_name = 'sluice'")).length ===
        0
    );
    assert.ok(performance.now() - since < 10_000, `${performance.now() - since} ms`);
    assert.deepEqual(await db.query("SELECT FROM pg_class WHERE relname LIKE 'sluice\\_%'"), []);
  });
}

/** A gzip file that holds a January as often as it takes, each in a member of its own: it is made once. */
function* months(bytes: number): Generator<Uint8Array<ArrayBuffer>> {
  const text = Buffer.concat([...demoMonth("2021-01", 200_000)].map((chunk) => chunk.slice()));
  const behind = text.indexOf(10) + 1;
  yield new Uint8Array(gzipSync(text.subarray(0, behind)));
  const month = new Uint8Array(gzipSync(text.subarray(behind), { level: 1 }));
  for (let sent = 0; sent < bytes; sent += text.length - behind) {
    for (let at = 0; at < month.length; at += 1 << 16) yield month.slice(at, at + (1 << 16));
  }
}

Deno.test("100 MB of CSV are loaded in at most 128 MiB of memory", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  await using server = serve(() => new Response(ReadableStream.from(months(100e6))));
  const outcome = await sluice.run(
    ["load", server.url, "--into", "t", "--database", db.url, "--json"],
    { patience: 60_000 },
  );
  assert.equal(outcome.code, 0, outcome.stderr);
  const { rows, bytes_decompressed: bytes } = document(outcome);
  assert.ok(bytes >= 100e6, `${bytes} bytes`);
  assert.equal(rows % 200_000, 0);
  assert.deepEqual(await db.query("SELECT count(*)::int AS rows FROM t"), [{ rows }]);
  console.log(`peak: ${outcome.peak.toFixed(0)} MiB in ${(outcome.ms / 1000).toFixed(1)} s`);
  assert.ok(outcome.peak > 40 && outcome.peak <= 128, `${outcome.peak} MiB`);
});

Deno.test("a table that is locked slows the download down, and goes on when it is freed", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const length = 200e6;
  // Rows of 1000 bytes: quickly made, so that nothing but the database can hold them up.
  const row = new TextEncoder().encode(`${"x".repeat(998)}\n`);
  const block = new Uint8Array(row.length * 256);
  for (let at = 0; at < block.length; at += row.length) block.set(row, at);
  const header = new TextEncoder().encode("a\n");
  await db.query(`CREATE TABLE t (a text)`);
  let sent = 0;
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const rows = Math.ceil(length / block.length) * 256;
  const served = (async () => {
    using connection = await listener.accept();
    await connection.read(new Uint8Array(4096));
    const head = `HTTP/1.1 200 OK\r\ncontent-length: ${rows * row.length + header.length}\r\n\r\n`;
    for (const bytes of [new TextEncoder().encode(head), header]) await connection.write(bytes);
    for (let n = 0; n < rows / 256; n++) {
      for (let at = 0; at < block.length;) {
        const wrote = await connection.write(block.subarray(at));
        at += wrote;
        sent += wrote;
      }
    }
  })();
  served.catch(() => {}); // what fails before it is waited for is not to be hidden by this
  const holder = new pg.Client(db.url);
  await holder.connect();
  await holder.query("BEGIN; LOCK TABLE t");
  const command = sluice.start(
    [
      "load",
      `http://127.0.0.1:${listener.addr.port}/`,
      "--into",
      "t",
      "--mode",
      "append",
      "--database",
      db.url,
      "--json",
    ],
    { patience: 60_000 },
  );
  await until(() => sent > 1e6);
  let early = 0;
  while (early < sent) {
    early = sent;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  console.log(`sent until it stands still: ${(early / 1e6).toFixed(1)} MB`);
  assert.ok(early <= 16e6, `${early} bytes`);
  // Frees it.
  await holder.end();
  const outcome = await command.ended;
  assert.equal(document(outcome).rows, rows, outcome.stderr);
  await served;
});
