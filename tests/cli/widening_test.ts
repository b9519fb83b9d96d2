import assert from "node:assert/strict";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";
import { document, refusal, serve, Sluice, until } from "./_sluice.ts";

await sharedPostgres();

/** More than a sample of prices, and then one that is none. */
const LINES = Array.from(
  { length: 40_000 },
  (_, i) => `${i},1.50,${String(i).padStart(40, "x")}\n`,
);
const TEXT = `id,price,note\n${LINES.join("")}5000000000,N/A,y\n`;

Deno.test("load tells which column became wider, at which line, and that it read stdin again", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const args = ["load", "-", "--into", "prices", "--database", db.url];
  const told = document(await sluice.run([...args, "--json"], { stdin: TEXT }));
  assert.equal(told.rows, 40_001);
  assert.equal(told.bytes_read, TEXT.length);
  assert.deepEqual(told.columns.map(({ type }: { type: string }) => type), [
    "bigint",
    "text",
    "text",
  ]);
  assert.deepEqual(told.widened, [
    { column: "id", from: "integer", to: "bigint", line: 40_002, reread: true },
    { column: "price", from: "double precision", to: "text", line: 40_002, reread: true },
  ]);
  const { stdout, stderr } = await sluice.run(args, { stdin: TEXT.replace("N/A", "2.50") });
  assert.match(stdout, /^ {2}id: integer until line 40,002, which made it bigint$/m);
  assert.match(stderr, /^column "id" is bigint, not integer, as line 40002 shows$/m);
  assert.doesNotMatch(stdout + stderr, /again/);
});

Deno.test("load tells which key of JSON lines is new, at which line, and makes it a column", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const lines = LINES.map((_, i) => `{"id":${i},"note":"${String(i).padStart(40, "x")}"}\n`);
  const stdin = `${lines.join("")}{"id":-1,"tip":0.5}\n`;
  const args = ["load", "-", "--into", "trips", "--database", db.url];
  const { stdout, stderr } = await sluice.run(args, { stdin });
  const tip = "tip: double precision, new on line 40,001, read again from the start";
  assert.ok(stdout.includes(`  ${tip}\n`), stdout);
  assert.match(stderr, /^column "tip", which is double precision, is new on line 40001$/m);
  assert.deepEqual(
    await db.query("SELECT count(*)::integer AS all, count(tip)::integer AS tips FROM trips"),
    [{ all: 40_001, tips: 1 }],
  );
  const refused = refusal(await sluice.run([...args, "--unknown-keys", "error"], { stdin }), 1);
  assert.match(refused, /line 40001 has the key "tip", which the first lines had not/);
});

Deno.test("what is kept of a source that comes only once is seen by nobody, and gone when the load is killed", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const over = Promise.withResolvers<void>();
  await using server = serve(() =>
    new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode(TEXT)),
        pull: () => over.promise,
      }),
    )
  );
  const temporary = `${sluice.folder}/temporary`;
  Deno.mkdirSync(temporary);
  const load = sluice.start(
    ["load", `${server.url}/prices.csv`, "--into", "prices", "--database", db.url],
    { env: { TMPDIR: temporary } },
  );
  const kept = (): string[] => {
    const folder = `/proc/${load.pid}/fd`;
    const links = [...Deno.readDirSync(folder)].map(({ name }) => {
      try {
        return Deno.readLinkSync(`${folder}/${name}`);
      } catch {
        return ""; // closed meanwhile
      }
    });
    return links.filter((link) => link.includes("sluice-replay-"));
  };
  await until(() => kept().some((link) => link.endsWith("(deleted)")));
  assert.deepEqual([...Deno.readDirSync(temporary)], []);
  load.kill("SIGKILL");
  await load.ended;
  over.resolve();
  assert.deepEqual([...Deno.readDirSync(temporary)], []);
});

Deno.test("where nothing can be kept, stdin is loaded all the same, unless it has to be read again", async () => {
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const args = ["load", "-", "--into", "prices", "--database", db.url];
  const env = { TMPDIR: `${sluice.folder}/nowhere` };
  const cast = await sluice.run(args, { env, stdin: TEXT.replace("N/A", "2.50") });
  assert.equal(cast.code, 0, cast.stderr);
  assert.match(cast.stderr, /^the source cannot be kept, so that it could be read only once: /m);
  const sentence = refusal(await sluice.run(args, { env, stdin: TEXT }), 1);
  assert.match(sentence, /column "price" is text, not double precision, as line 40002 shows/);
  assert.match(sentence, /declare the types \(--type, in code types\)$/);
  const [row] = await db.query("SELECT count(*)::integer, max(price) FROM prices");
  assert.deepEqual(row, { count: 40_001, max: 2.5 }, "the table is as it was");
});
