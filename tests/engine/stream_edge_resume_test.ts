import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { rangedServer } from "../cli/_ranged_server.ts";
import { document, Sluice, until } from "../cli/_sluice.ts";
import { freshDatabase, sharedPostgres } from "../_postgres.ts";

await sharedPostgres();

const ROWS = 40_000;
const CHILD = new URL("_resume_child.ts", import.meta.url).pathname;

Deno.test("a load that reads what another task downloads goes on when both were killed with their process", async () => {
  const lines = Array.from({ length: ROWS }, (_, n) => `${n},row ${n} ${"x".repeat(300)}`);
  // As large as what is in it: of that, more than a chunk comes, and the rest only when the first process is dead.
  const body = gzipSync(`n,s\n${lines.join("\n")}\n`, { level: 0 });
  let isDead = false;
  const arrived = (): number => isDead ? Infinity : 10e6;
  await using server = rangedServer(new Uint8Array(body), { pause: 0, arrived });
  await using sluice = new Sluice();
  await using db = await freshDatabase();
  const env = { SOURCE: `${server.url}/file`, DATABASE: db.url };
  const first = sluice.program(CHILD, { env });
  const committed = "SELECT rows::int FROM sluice.staging WHERE rows > 0";
  await until(() => db.query(committed).then((rows) => rows.length > 0, () => false), 60_000);
  first.kill("SIGKILL");
  assert.equal((await first.ended).stdout, "");
  isDead = true;
  const [kept] = await db.query<{ rows: number }>(committed);
  assert.deepEqual(await db.query("SELECT to_regclass('t') AS t"), [{ t: null }]);
  const { state, loaded } = document(await sluice.program(CHILD, { env }).ended);
  assert.deepEqual([state, loaded.rows], ["success", ROWS]);
  assert.equal(loaded.resumed.record, kept!.rows + 1);
  const [sum] = await db.query(
    "SELECT count(*)::int AS rows, count(DISTINCT n)::int AS ns, bool_and(s LIKE 'row ' || n || ' x%') AS good FROM t",
  );
  assert.deepEqual(sum, { rows: ROWS, ns: ROWS, good: true });
  assert.deepEqual(await db.query("SELECT * FROM sluice.staging"), []);
});
