import assert from "node:assert/strict";
// @ts-types="@types/pg"
import pg from "pg";
import { embeddedPostgres, findEmbedded, stopEmbedded } from "../../adapters/mod.ts";

const MODULE = new URL("../../adapters/mod.ts", import.meta.url).href;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** A home folder; its server is stopped at the end, whatever happened. */
async function makeHome(parent?: string) {
  const path = await Deno.makeTempDir({ prefix: "sluice-home-", ...(parent && { dir: parent }) });
  return {
    path,
    async [Symbol.asyncDispose]() {
      await stopEmbedded(path);
      await Deno.remove(path, { recursive: true });
    },
  };
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url);
  client.on("error", () => {});
  try {
    await client.connect();
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function pidOf(data: string): Promise<number> {
  return Number((await Deno.readTextFile(`${data}/postmaster.pid`)).split("\n")[0]);
}

function isAlive(pid: number): boolean {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`) !== "";
  } catch {
    return false;
  }
}

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 3000; tries++) {
    if (await done()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new assert.AssertionError({ message: "it did not come to pass within a minute" });
}

/** Another process that uses the server of a home folder until its stdin ends. */
async function startUser(home: string, options: Deno.CommandOptions = {}) {
  const code = `import { embeddedPostgres } from ${JSON.stringify(MODULE)};
    const db = await embeddedPostgres(${JSON.stringify(home)});
    console.log(db.url);
    for await (const _ of Deno.stdin.readable);
    await db[Symbol.asyncDispose]();`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--config", CONFIG, code],
    stdin: "piped",
    stdout: "piped",
    ...options,
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await lines.read();
  assert.ok(value, "the other process did not start a server");
  return {
    url: value.trim(),
    async leave() {
      await child.stdin.close();
      assert.ok((await child.status).success);
      await lines.cancel();
    },
    async kill() {
      child.kill("SIGKILL");
      await child.status;
      await child.stdin.close().catch(() => {});
      await lines.cancel();
    },
  };
}

const hasPsql = await new Deno.Command("psql", { args: ["--version"] }).output()
  .then(({ success }) => success, () => false);
if (!hasPsql) console.log("no psql here: a test with it is left out");

const shared = await makeHome();
globalThis.addEventListener("unload", () => Deno.removeSync(shared.path, { recursive: true }));
/** What was said as its server was made: whichever test comes first, they all find it there. */
const made: string[] = [];
{
  await using _first = await embeddedPostgres(shared.path, {
    log: (message) => void made.push(message),
  });
}

Deno.test("a home folder gets a server, which goes with its user and keeps what it was told", async () => {
  assert.equal(made.length, 1);
  assert.match(made[0]!, /^Making a Postgres in /);
  const log: string[] = [];
  const options = { log: (message: string) => void log.push(message) };
  let pid: number;
  {
    await using db = await embeddedPostgres(shared.path, options);
    pid = await pidOf(db.data);
    await query(db.url, "CREATE TABLE kept AS SELECT 42 AS answer");
    assert.equal((await findEmbedded(shared.path))?.url, db.url);
  }
  assert.ok(!isAlive(pid));
  assert.equal(await findEmbedded(shared.path), undefined);
  const started = performance.now();
  await using db = await embeddedPostgres(shared.path, options);
  assert.ok(performance.now() - started < 15_000);
  assert.deepEqual(await query(db.url, "SELECT answer FROM kept"), [{ answer: 42 }]);
  assert.deepEqual(log, []);
});

Deno.test("it loses no commit, is open to this machine only, and counts in UTF-8", async () => {
  await using db = await embeddedPostgres(shared.path);
  const names = [
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "listen_addresses",
    "unix_socket_directories",
    "server_encoding",
    "jit",
  ];
  const rows = await query(
    db.url,
    `SELECT ${names.map((name) => `current_setting('${name}') AS ${name}`).join(", ")},
      upper('ä') AS upper`,
  );
  assert.deepEqual(rows, [{
    fsync: "on",
    synchronous_commit: "on",
    full_page_writes: "on",
    wal_level: "minimal",
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    server_encoding: "UTF8",
    jit: "off",
    upper: "Ä",
  }]);
});

Deno.test("the ledger's schema, which has its user's name, hides no table", async () => {
  await using db = await embeddedPostgres(shared.path);
  await query(db.url, "CREATE TABLE totals AS SELECT 1 AS day");
  await query(db.url, "CREATE SCHEMA sluice");
  await query(
    db.url,
    "CREATE TABLE IF NOT EXISTS totals (day integer); INSERT INTO totals SELECT 2",
  );
  assert.deepEqual(await query(db.url, "SELECT day FROM totals ORDER BY day"), [
    { day: 1 },
    { day: 2 },
  ]);
  const schema = "SELECT schemaname FROM pg_tables WHERE tablename = 'totals'";
  assert.deepEqual(await query(db.url, schema), [{ schemaname: "public" }]);
  await query(db.url, "DROP TABLE totals; DROP SCHEMA sluice");
});

Deno.test("its password is private, and needed", async () => {
  await using db = await embeddedPostgres(shared.path);
  const path = `${db.data}/../password`;
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  const { password } = new URL(db.url);
  assert.equal(await Deno.readTextFile(path), password);
  assert.ok(!db.psql.includes(password));
  assert.equal((await Deno.stat(shared.path)).mode! & 0o007, 0);
  await assert.rejects(query(db.url.replace(password, "guess"), "SELECT 1"), /password authent/);
});

Deno.test("the psql it names opens it", { ignore: !hasPsql }, async () => {
  await using db = await embeddedPostgres(shared.path);
  const args = ["-c", `${db.psql} -XAtc "SELECT 6 * 7"`];
  const { stdout } = await new Deno.Command("sh", { args }).output();
  assert.equal(new TextDecoder().decode(stdout), "42\n");
});

Deno.test("the psql it names opens it, whatever the home is called", {
  ignore: !hasPsql,
}, async () => {
  await using parent = await makeHome();
  await Deno.chmod(parent.path, 0o755);
  await using db = await embeddedPostgres(`${parent.path}/it's a home`);
  const args = ["-c", `${db.psql} -XAtc "SELECT 6 * 7"`];
  const { stdout } = await new Deno.Command("sh", { args }).output();
  assert.equal(new TextDecoder().decode(stdout), "42\n");
});

Deno.test("two users share one server, and the last one out stops it", async () => {
  const first = await embeddedPostgres(shared.path);
  const pid = await pidOf(first.data);
  const other = await startUser(shared.path);
  await using third = await embeddedPostgres(shared.path);
  assert.equal(other.url, first.url);
  await first[Symbol.asyncDispose]();
  await third[Symbol.asyncDispose]();
  assert.deepEqual(await query(other.url, "SELECT 1 AS one"), [{ one: 1 }]);
  await other.leave();
  assert.ok(!isAlive(pid));
});

Deno.test("users that come at once find one server", async () => {
  const all = await Promise.all([1, 2, 3].map(() => embeddedPostgres(shared.path)));
  assert.equal(new Set(all.map((db) => db.url)).size, 1);
  await Promise.all(all.map((db) => db[Symbol.asyncDispose]()));
  assert.equal(await findEmbedded(shared.path), undefined);
});

Deno.test("what a killed process leaves running is used again, and then stopped", async () => {
  const killed = await startUser(shared.path);
  await killed.kill();
  let pid: number;
  {
    await using db = await embeddedPostgres(shared.path);
    pid = await pidOf(db.data);
    assert.equal(db.url, killed.url);
  }
  assert.ok(!isAlive(pid));
});

Deno.test("a server that is killed comes back at the same place, with all that was committed", async () => {
  const log: string[] = [];
  await using db = await embeddedPostgres(shared.path, { log: (line) => void log.push(line) });
  const url = db.url;
  await query(url, "CREATE TABLE survivor AS SELECT generate_series(1, 1000) AS n");
  const pid = await pidOf(db.data);
  Deno.kill(pid, "SIGKILL");
  await until(async () =>
    await findEmbedded(shared.path) !== undefined && await pidOf(db.data) !== pid
  );
  assert.equal(db.url, url);
  assert.deepEqual(await query(url, "SELECT count(*)::int AS n FROM survivor"), [{ n: 1000 }]);
  assert.deepEqual(log, ["The embedded Postgres went away: starting it again"]);
});

Deno.test("a pid file that was left behind is no obstacle, whoever has the pid now", async () => {
  let file: string;
  let text: string;
  {
    await using db = await embeddedPostgres(shared.path);
    file = `${db.data}/postmaster.pid`;
    text = await Deno.readTextFile(file);
  }
  const { uid, gid } = await Deno.stat(new URL(".", `file://${file}`));
  // A process of the server's own user, so that Postgres itself would take it for a postmaster.
  const squatter = new Deno.Command("sleep", {
    args: ["60"],
    ...(Deno.uid() === 0 ? { uid: uid!, gid: gid! } : {}),
  }).spawn();
  try {
    for (const pid of [squatter.pid, 9999998]) {
      await Deno.writeTextFile(file, text.replace(/^\d+/, String(pid)));
      if (Deno.uid() === 0) await Deno.chown(file, uid, gid);
      await using db = await embeddedPostgres(shared.path);
      assert.deepEqual(await query(db.url, "SELECT 1 AS one"), [{ one: 1 }]);
    }
  } finally {
    squatter.kill("SIGKILL");
    await squatter.status;
  }
});

Deno.test("another port is taken when the old one is", async () => {
  const before = await embeddedPostgres(shared.path);
  const port = Number(new URL(before.url).port);
  await before[Symbol.asyncDispose]();
  using _listener = Deno.listen({ hostname: "127.0.0.1", port });
  await using db = await embeddedPostgres(shared.path);
  assert.notEqual(Number(new URL(db.url).port), port);
  assert.deepEqual(await query(db.url, "SELECT 1 AS one"), [{ one: 1 }]);
});

Deno.test("one that is to be kept runs until it is stopped, and then stays down", async () => {
  const db = await embeddedPostgres(shared.path, { keep: true });
  await db[Symbol.asyncDispose]();
  const pid = await pidOf(db.data);
  const log: string[] = [];
  const user = await embeddedPostgres(shared.path, { log: (line) => void log.push(line) });
  await user[Symbol.asyncDispose]();
  assert.ok(isAlive(pid));
  await using _last = await embeddedPostgres(shared.path);
  assert.equal(await stopEmbedded(shared.path), true);
  assert.ok(!isAlive(pid));
  assert.equal(await stopEmbedded(shared.path), false);
  assert.deepEqual(log, []);
});

Deno.test("an abort ends the wait for a server that does not answer", async () => {
  const db = await embeddedPostgres(shared.path, { keep: true });
  await db[Symbol.asyncDispose]();
  const pid = await pidOf(db.data);
  Deno.kill(pid, "SIGSTOP");
  try {
    const stop = new AbortController();
    const reason = new Error("stopped");
    const started = performance.now();
    const waiting = assert.rejects(embeddedPostgres(shared.path, { signal: stop.signal }), reason);
    setTimeout(() => stop.abort(reason), 100);
    await waiting;
    // By itself, the wait for an answer would end after 5 seconds.
    assert.ok(performance.now() - started < 4500);
  } finally {
    Deno.kill(pid, "SIGCONT");
  }
  assert.equal(await stopEmbedded(shared.path), true);
});

Deno.test("a server that cannot start is an error with the end of its log", async () => {
  const db = await embeddedPostgres(shared.path);
  await db[Symbol.asyncDispose]();
  const auto = `${db.data}/postgresql.auto.conf`;
  await Deno.writeTextFile(auto, "shared_buffers = 'nonsense'\n");
  try {
    await assert.rejects(
      embeddedPostgres(shared.path),
      /^Error: Cannot start the embedded Postgres\. The end of its log, .*server\.log:\n[^]*nonsense/,
    );
  } finally {
    await Deno.writeTextFile(auto, "");
  }
});

Deno.test("a folder that belongs to somebody else is refused", {
  ignore: Deno.uid() !== 0,
}, async () => {
  await using home = await makeHome();
  await Deno.mkdir(`${home.path}/postgres`);
  await Deno.chown(`${home.path}/postgres`, 12345, 12345);
  try {
    await assert.rejects(embeddedPostgres(home.path), /belongs to somebody else \(user 12345\)/);
  } finally {
    await Deno.remove(`${home.path}/postgres`);
  }
});

Deno.test("of folders made on the way only the home is private, and its server is in it", async () => {
  await using parent = await makeHome();
  await Deno.chmod(parent.path, 0o755);
  const home = `${parent.path}/a/b/c`;
  const log: string[] = [];
  const options = { log: (line: string) => void log.push(line) };
  await using db = await embeddedPostgres(home, options);
  assert.equal(db.data, `${await Deno.realPath(home)}/postgres/data-18`, log.join("\n"));
  assert.equal((await Deno.stat(`${parent.path}/a`)).mode! & 0o777, 0o777 & ~Deno.umask());
  assert.equal((await Deno.stat(home)).mode! & 0o007, 0);
});

Deno.test("where the server's user cannot go, its files are elsewhere, and that is said", {
  ignore: Deno.uid() !== 0,
}, async () => {
  await using parent = await makeHome();
  await using home = await makeHome(parent.path);
  const log: string[] = [];
  const db = await embeddedPostgres(home.path, { log: (line) => void log.push(line) });
  try {
    assert.match(db.data, /^\/var\/lib\/sluice-[0-9a-f]{12}\/data-18$/);
    assert.match(log[0]!, /others cannot enter .*: its data is in \/var\/lib\/sluice-/);
    assert.equal((await findEmbedded(home.path))?.url, db.url);
  } finally {
    await db[Symbol.asyncDispose]();
    await Deno.remove(db.data.replace(/\/data-18$/, ""), { recursive: true });
  }
});
