import assert from "node:assert/strict";
import { GiveUp } from "../../engine/mod.ts";
import { connect, type ConnectOptions, disconnect } from "../../operators/_connect.ts";
import { CopyIn } from "../../operators/_copy_in.ts";
import { hasOpenssl, sharedPostgres, testPostgres } from "../_postgres.ts";
import { Proxy } from "../faults/_proxy.ts";

const PASSWORD = "p@ss/w:rd%21";
const plain = await sharedPostgres();
const server = await testPostgres({
  auth: "scram-sha-256",
  password: PASSWORD,
  tls: hasOpenssl,
  settings: { statement_timeout: "5s", DateStyle: "German, DMY", TimeZone: "Asia/Kathmandu" },
});

interface Place {
  user?: string;
  password?: string;
  host?: string;
  port?: number;
  database?: string;
  query?: string;
}

function urlOf(
  { user = "tester", password = PASSWORD, host = "localhost", port, database, query = "" }: Place,
): string {
  const secret = password === "" ? "" : `:${encodeURIComponent(password)}`;
  return `postgres://${user}${secret}@${host}:${port ?? server.port}/${
    database ?? "tester"
  }?${query}`;
}

async function open(url: string, options: Partial<ConnectOptions> = {}) {
  const signal = new AbortController().signal;
  const client = await connect({ url }, { signal, ...options });
  return {
    client,
    rows: async (sql: string) => (await client.query(sql)).rows,
    [Symbol.asyncDispose]: () => disconnect(client),
  };
}

/** What goes wrong; it must not say the password anywhere. */
async function failureOf(url: string, options: Partial<ConnectOptions> = {}): Promise<Error> {
  try {
    await using _ = await open(url, options);
  } catch (error) {
    const all = Deno.inspect(error, { depth: 9 });
    for (const secret of ["hunter2", PASSWORD, encodeURIComponent(PASSWORD)]) {
      assert.ok(!all.includes(secret), all);
    }
    return error as Error;
  }
  throw new assert.AssertionError({ message: `connected to ${url}` });
}

/** Sends all that comes to a port on to another. */
function proxy(port: number, target: number) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  const all: Promise<unknown>[] = [];
  const serving = (async () => {
    for await (const here of listener) {
      const there = await Deno.connect({ hostname: "127.0.0.1", port: target });
      all.push(here.readable.pipeTo(there.writable).catch(() => {}));
      all.push(there.readable.pipeTo(here.writable).catch(() => {}));
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
      await Promise.all(all);
    },
  };
}

Deno.test("a session has the settings that loading relies on, whatever the server's are", async () => {
  await using session = await open(urlOf({}), { application: "my load" });
  const [row] = await session.rows(
    `SELECT current_setting('client_encoding') AS encoding, current_setting('DateStyle') AS dates,
      current_setting('TimeZone') AS zone, current_setting('statement_timeout') AS timeout,
      current_setting('tcp_keepalives_idle') AS idle, current_setting('application_name') AS name`,
  );
  assert.deepEqual(row, {
    encoding: "UTF8",
    dates: "ISO, MDY",
    zone: "UTC",
    timeout: "0",
    idle: "30",
    name: "my load",
  });
});

Deno.test("nothing comes from the environment", async () => {
  const variables: Record<string, string> = {
    PGHOST: "wrong.invalid",
    PGPORT: "1",
    PGUSER: "wrong",
    PGPASSWORD: PASSWORD,
    PGDATABASE: "wrong",
    PGSSLMODE: "verify-full",
    PGOPTIONS: "-c work_mem=77MB",
    PGAPPNAME: "wrong",
    PGREPLICATION: "database",
    PGSSLNEGOTIATION: "direct",
  };
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
  try {
    await using session = await open(urlOf({}));
    const [row] = await session.rows(
      "SELECT current_user AS who, current_setting('work_mem') AS memory, current_setting('application_name') AS app",
    );
    assert.deepEqual(row, { who: "tester", memory: "4MB", app: "sluice" });
    assert.match((await failureOf(urlOf({ password: "" }))).message, /asks for a password/);
  } finally {
    for (const name of Object.keys(variables)) Deno.env.delete(name);
  }
});

Deno.test("options go to the server, and do not stand over what loading relies on", async () => {
  const query = `options=${encodeURIComponent("-c work_mem=77MB -c TimeZone=Asia/Tokyo")}`;
  await using session = await open(urlOf({ query }));
  const [row] = await session.rows(
    "SELECT current_setting('work_mem') AS memory, current_setting('TimeZone') AS zone",
  );
  assert.deepEqual(row, { memory: "77MB", zone: "UTC" });
});

Deno.test("a unix socket is the folder in the parameter host", async () => {
  await using session = await open(urlOf({ query: `host=${encodeURIComponent(server.folder)}` }));
  assert.deepEqual(await session.rows("SELECT inet_server_addr() AS address"), [{ address: null }]);
});

const at = `localhost:${server.port}`;
const REFUSED: [what: string, place: Place, message: RegExp, forGood: boolean][] = [
  [
    "a wrong password",
    { password: "hunter2" },
    new RegExp(`^Cannot connect to Postgres at ${at} as "tester": password authentication failed`),
    true,
  ],
  ["a user nobody knows", { user: "nobody" }, /as "nobody": password authentication failed/, true],
  ["no password", { password: "" }, /asks for a password, and none was given\. Set it/, true],
  ["a database that is missing", { database: "nope" }, /database "nope" does not exist/, true],
  ["an unknown host", { host: "nowhere.invalid" }, /at nowhere\.invalid:\d+ .*host is not/, false],
  [
    "a root certificate that is missing",
    { query: "sslmode=verify-ca&sslrootcert=/missing.crt" },
    /its sslrootcert "\/missing\.crt" cannot be read/,
    true,
  ],
];

for (const [what, place, message, forGood] of REFUSED) {
  Deno.test(`${what} is refused at once`, async () => {
    const started = performance.now();
    const error = await failureOf(urlOf({ query: "sslmode=disable", ...place }));
    assert.match(error.message, message);
    assert.equal(error instanceof GiveUp, forGood);
    // Who asks again does so for 3.55 s at the least.
    assert.ok(performance.now() - started < 3500);
  });
}

Deno.test("a malformed URL is refused without being shown", async () => {
  const error = await failureOf("postgres://u:hunter2@a b:x/d");
  assert.match(error.message, /URL is malformed/);
});

Deno.test("a port where nothing listens is asked again for a while", async () => {
  const url = urlOf({ port: 1 });
  const error = await failureOf(url, { patience: 150 });
  assert.match(
    error.message,
    /at localhost:1 as "tester": nothing answers there \(asked for 0\.15/,
  );
});

Deno.test("a server that comes up a little later is met", async () => {
  const { port } = await (async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    return await Promise.resolve(listener.addr);
  })();
  const opening = open(urlOf({ host: "127.0.0.1", port, query: "sslmode=disable" }));
  await new Promise((resolve) => setTimeout(resolve, 200));
  await using _proxy = proxy(port, server.port);
  await using session = await opening;
  assert.deepEqual(await session.rows("SELECT 1 AS one"), [{ one: 1 }]);
});

Deno.test("a server that is full is asked again until a place is free", async () => {
  await using small = await testPostgres({
    settings: { max_connections: 2, superuser_reserved_connections: 0, autovacuum: "off" },
  });
  const signal = new AbortController().signal;
  const first = await connect({ url: small.url }, { signal });
  await using _second = await open(small.url);
  const error = await failureOf(small.url, { patience: 100 });
  assert.match(error.message, /too many clients already\. Close sessions, or raise max_conn/);
  const third = open(small.url);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await disconnect(first);
  await using session = await third;
  assert.deepEqual(await session.rows("SELECT 1 AS one"), [{ one: 1 }]);
});

Deno.test("an abort ends the wait for a server that does not answer", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const stop = new AbortController();
  const url = urlOf({ host: "127.0.0.1", port: listener.addr.port });
  const opening = failureOf(url, { signal: stop.signal });
  using _connection = await accepted;
  const reason = new Error("stopped");
  stop.abort(reason);
  assert.equal(await opening, reason);
  assert.equal(await failureOf(url, { signal: stop.signal }), reason);
});

Deno.test("an abort ends the session, also one that waits for a lock", async () => {
  await plain.query("CREATE TABLE held ()");
  await using holder = await open(plain.url);
  await holder.rows("BEGIN; LOCK held");
  const stop = new AbortController();
  await using session = await open(plain.url, { signal: stop.signal });
  const [{ pid }] = await session.rows("SELECT pg_backend_pid() AS pid");
  const waiting = assert.rejects(session.rows("SELECT FROM held"));
  await until(async () => (await activity(pid))?.wait_event_type === "Lock");
  stop.abort();
  await waiting;
  await until(async () => await activity(pid) === undefined);
});

Deno.test("a session that the server ends fails the next query, and nothing else", async () => {
  await using session = await open(plain.url);
  const [{ pid }] = await session.rows("SELECT pg_backend_pid() AS pid");
  const ended = new Promise((resolve) => session.client.once("end", resolve));
  await plain.query("SELECT pg_terminate_backend($1)", [pid]);
  await ended;
  await assert.rejects(session.rows("SELECT 1"));
});

for (const mode of ["disable", ...hasOpenssl ? ["require"] : []]) {
  Deno.test(`who writes hears why the server hung up: sslmode=${mode}`, async () => {
    await using session = await open(urlOf({ query: `sslmode=${mode}` }));
    const [{ pid }] = await session.rows("SELECT pg_backend_pid() AS pid");
    await session.rows("CREATE TEMPORARY TABLE numbers (n integer)");
    const copy = new CopyIn(session.client, "COPY numbers FROM STDIN");
    const rows = new TextEncoder().encode("1\n".repeat(1 << 20));
    await copy.write(rows);
    Deno.kill(pid, "SIGTERM");
    // Nothing is read here until the server has gone.
    const never = new Int32Array(new SharedArrayBuffer(4));
    for (let tries = 0; tries < 500 && exists(`/proc/${pid}`); tries++) {
      Atomics.wait(never, 0, 0, 10);
    }
    const lost = /terminating connection due to administrator command/;
    await assert.rejects(async () => {
      for (let i = 0; i < 100; i++) await copy.write(rows);
    }, lost);
    await assert.rejects(copy.finish(), lost);
  });
}

Deno.test("a session whose server hangs is closed all the same", async () => {
  const session = await open(plain.url);
  const [{ pid }] = await session.rows("SELECT pg_backend_pid() AS pid");
  Deno.kill(pid, "SIGSTOP");
  try {
    await disconnect(session.client, 100);
  } finally {
    Deno.kill(pid, "SIGCONT");
  }
});

Deno.test("a new table goes to the disk as it comes where the COMMIT waits for it", async () => {
  await using replica = await testPostgres({ settings: { wal_level: "replica" } });
  for (const [{ url }, expected] of [[plain, "1MB"], [replica, "0"]] as const) {
    await using session = await open(url);
    const flushed = "SELECT current_setting('backend_flush_after') AS flushed";
    assert.deepEqual(await session.rows(flushed), [{ flushed: expected }]);
  }
});

const ROOT = server.certificates.root;
const STRANGER = server.certificates.stranger;
const TRUST = /certificate is not to be trusted/;
const MODES: [query: string, host: string, ssl: boolean | RegExp][] = [
  ["", "localhost", true],
  ["sslmode=disable", "localhost", false],
  ["sslmode=allow", "localhost", false],
  ["sslmode=prefer", "localhost", true],
  ["sslmode=require", "127.0.0.1", true],
  [`sslmode=require&sslrootcert=${STRANGER}`, "localhost", TRUST],
  [`sslmode=verify-ca&sslrootcert=${ROOT}`, "127.0.0.1", true],
  [`sslmode=verify-ca&sslrootcert=${STRANGER}`, "localhost", TRUST],
  ["sslmode=verify-ca&sslrootcert=system", "localhost", TRUST],
  [`sslmode=verify-full&sslrootcert=${ROOT}`, "localhost", true],
  [`sslmode=verify-full&sslrootcert=${ROOT}`, "127.0.0.1", TRUST],
  [`sslmode=verify-full&sslrootcert=${STRANGER}`, "localhost", TRUST],
  ["sslmode=verify-full", "localhost", TRUST],
  ["sslmode=on", "localhost", /sslmode "on" is none of disable, allow/],
];

for (const [query, host, expected] of MODES) {
  const name = query.replaceAll(/\/tmp\/[^/]*\//g, "");
  Deno.test({
    name: `TLS with ${name || "no sslmode"} at ${host}`,
    ignore: !hasOpenssl,
    async fn() {
      const url = urlOf({ host, query });
      if (expected instanceof RegExp) return assert.match((await failureOf(url)).message, expected);
      await using session = await open(url);
      assert.deepEqual(
        await session.rows("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"),
        [{ ssl: expected }],
      );
    },
  });
}

Deno.test("a server without TLS is taken by prefer and refused by require", async () => {
  await using through = new Proxy(plain.port, () => ({}));
  await using session = await open(through.of(plain.url).replace("=disable", "=prefer"));
  assert.deepEqual(
    await session.rows("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"),
    [{ ssl: false }],
  );
  assert.equal(through.connections, 1, "it goes on as it is where the server has no TLS");
  const error = await failureOf(`${plain.url}?sslmode=require`);
  assert.match(error.message, /the server has no TLS, which sslmode asks for/);
  const stranger = plain.url.replace("//", "//nobody@").replace(/\/\/nobody@[^@/]*@/, "//nobody@");
  for (const mode of ["disable", "allow", "prefer"]) {
    const refused = await failureOf(`${stranger}?sslmode=${mode}`);
    assert.match(
      refused.message,
      /as "nobody": role "nobody" does not exist\. Check the user/,
      mode,
    );
  }
  const before = through.connections;
  await failureOf(through.of(stranger).replace("=disable", "=prefer"));
  assert.equal(through.connections, before + 1, "who is refused without TLS is refused once");
});

Deno.test({
  name: "channel_binding=require binds the password to TLS, or sends none",
  ignore: !hasOpenssl,
  async fn() {
    await using session = await open(urlOf({ query: "sslmode=require&channel_binding=require" }));
    assert.deepEqual(await session.rows("SELECT 1 AS one"), [{ one: 1 }]);
    const unbound = /does not bind the password to TLS, which channel_binding asks for/;
    const strict = "channel_binding=require";
    const bare = await failureOf(urlOf({ query: `sslmode=disable&${strict}` }));
    assert.match(bare.message, unbound);
    assert.ok(bare instanceof GiveUp);
    for (const auth of ["trust", "password"] as const) {
      await using other = await testPostgres({ auth, password: PASSWORD, tls: true });
      const query = `sslmode=require&${strict}`;
      const error = await failureOf(urlOf({ port: other.port, query }));
      assert.match(error.message, unbound, auth);
    }
  },
});

Deno.test("a session is named as the URL says", async () => {
  await using session = await open(urlOf({ query: "application_name=a%20load" }));
  const name = "SELECT current_setting('application_name') AS name";
  assert.deepEqual(await session.rows(name), [{ name: "a load" }]);
});

Deno.test({
  name: "a client certificate lets in, and without one the server's reason is given",
  ignore: !hasOpenssl,
  async fn() {
    await using strict = await testPostgres({ auth: "cert", tls: true });
    await using session = await open(strict.url);
    assert.deepEqual(await session.rows("SELECT current_user AS who"), [{ who: "tester" }]);
    const bare = urlOf({ port: strict.port, password: "" });
    assert.match(
      (await failureOf(`${bare}sslmode=require`)).message,
      /connection requires a valid client certificate/,
    );
    assert.match((await failureOf(`${bare}sslmode=disable`)).message, /no pg_hba.conf entry/);
    assert.match((await failureOf(`${bare}sslmode=prefer`)).message, /valid client certificate/);
  },
});

function exists(path: string): boolean {
  try {
    return Deno.statSync(path) !== undefined;
  } catch {
    return false;
  }
}

async function activity(pid: number): Promise<{ wait_event_type: string } | undefined> {
  const rows = await plain.query<{ wait_event_type: string }>(
    "SELECT wait_event_type FROM pg_stat_activity WHERE pid = $1",
    [pid],
  );
  return rows[0];
}

async function until(done: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 800; tries++) {
    if (await done()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new assert.AssertionError({ message: "it did not come to pass within 20 s" });
}
