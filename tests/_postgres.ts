// Real Postgres servers for tests: throw-away, on a free port of 127.0.0.1, stopped at the latest when the process ends.

import { setTimeout as pause } from "node:timers/promises";
// @ts-types="@types/pg"
import pg from "pg";
import { installPrograms } from "../adapters/_postgres_programs.ts";

/** Options for {@linkcode testPostgres}. */
export interface TestPostgresOptions {
  /** Lines of postgresql.conf, over those that make it fast and forgetful. */
  settings?: Readonly<Record<string, string | number>>;
  /** How the server lets people in over TCP; over its unix socket it trusts. @default {"trust"} */
  auth?: "trust" | "scram-sha-256" | "md5" | "password" | "cert";
  /** The password of its user "tester". @default {"secret"} */
  password?: string;
  /** Serves TLS too, with a certificate for `localhost` (and for no address). Needs {@linkcode hasOpenssl}. @default {false} */
  tls?: boolean;
}

/** A database to test against; goes when disposed of. */
export interface TestDatabase extends AsyncDisposable {
  /** With its user and, if it needs one, its password. */
  readonly url: string;
  /** Runs SQL as in a session of its own and gives the rows. */
  query<T = Record<string, unknown>>(sql: string, params?: unknown[]): Promise<T[]>;
}

/** A server to test against, and its database "tester". */
export interface TestPostgres extends TestDatabase {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** The data folder; also where its unix socket is. */
  readonly folder: string;
  /** PEM files: who signed the server's certificate, somebody else, and a certificate for the user "tester". */
  readonly certificates: {
    readonly root: string;
    readonly stranger: string;
    readonly cert: string;
    readonly key: string;
  };
  /** The postmaster's process id. */
  pid(): number;
  /** What the server has written to its log. */
  log(): string;
  /** A new, empty database on it. */
  fresh(): Promise<TestDatabase>;
}

/** Whether TLS can be tested here. */
export const hasOpenssl: boolean = await succeeds("openssl", "version");
if (!hasOpenssl) console.log("no openssl here: tests with TLS are left out");

/** Starts a server of its own for one test. */
export async function testPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const folder = await Deno.makeTempDir({ prefix: "sluice-pg-", dir: "/tmp" });
  // However we end, our end of its stdin is closed then.
  const server = await start(folder, options, "cat >/dev/null");
  return reach(folder, server.port, options, server.stop);
}

let shared: Promise<TestPostgres> | undefined;

/**
 * The server that all tests share, of all files: to start one takes longer than most tests. Call it outside of tests,
 * where nobody counts what is left open.
 */
export function sharedPostgres(): Promise<TestPostgres> {
  return shared ??= share();
}

async function share(): Promise<TestPostgres> {
  const folder = `/tmp/sluice-pg-of-${Deno.pid}`, port = `${folder}/port`;
  try {
    await Deno.mkdir(folder, { mode: 0o700 });
  } catch {
    for (let tries = 0; tries < 3000 && !await exists(port); tries++) await pause(20);
    return reach(folder, Number(await Deno.readTextFile(port)), {}, () => Promise.resolve());
  }
  const life = `while [ -d /proc/${Deno.pid} ] && kill -0 $pid 2>/dev/null; do sleep 0.5; done`;
  const server = await start(folder, {}, life);
  await Deno.writeTextFile(`${port}.new`, String(server.port));
  await Deno.rename(`${port}.new`, port);
  return reach(folder, server.port, {}, server.stop);
}

/** Makes a server in a folder, and starts it; it goes, with the folder, when the shell command `life` has ended. */
async function start(
  folder: string,
  options: TestPostgresOptions,
  life: string,
): Promise<{ port: number; stop(): Promise<void> }> {
  const { settings = {}, auth = "trust", password = "secret", tls = false } = options;
  const bin = await programs();
  const owner = serverUser();
  const data = `${folder}/data`;
  await Deno.writeTextFile(`${folder}/password`, password);
  if (tls) await certify(folder);
  if (owner.uid !== undefined) await run("chown", ["-R", `${owner.uid}:${owner.gid}`, folder]);
  await run(`${bin}/initdb`, [
    "--no-sync",
    "--username=tester",
    `--pwfile=${folder}/password`,
    "--auth-local=trust",
    `--auth-host=${auth === "cert" ? "scram-sha-256" : auth}`,
    "--encoding=UTF8",
    "--locale=C",
    data,
  ], owner);
  if (auth === "cert") {
    await Deno.writeTextFile(
      `${data}/pg_hba.conf`,
      "local all all trust\nhostssl all all all cert\n",
    );
  }
  const port = freePort();
  const lines = {
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: data,
    fsync: "off",
    synchronous_commit: "off",
    full_page_writes: "off",
    wal_level: "minimal",
    max_wal_senders: 0,
    max_connections: 50,
    ...(tls
      ? {
        ssl: "on",
        ssl_cert_file: `${folder}/server.crt`,
        ssl_key_file: `${folder}/server.key`,
        ssl_ca_file: `${folder}/root.crt`,
      }
      : {}),
    ...settings,
  };
  await Deno.writeTextFile(
    `${data}/postgresql.conf`,
    Object.entries(lines).map(([name, value]) => `${name} = '${value}'\n`).join(""),
    { append: true },
  );
  const shell = new Deno.Command("sh", {
    args: [
      "-c",
      `trap '' INT TERM
      "$0/postgres" -D "$1/data" >>"$1/log" 2>&1 &
      pid=$!
      ${life}
      kill -QUIT $pid 2>/dev/null
      wait $pid
      rm -rf "$1"`,
      bin,
      folder,
    ],
    cwd: folder,
    stdin: "piped",
    stdout: "null",
    stderr: "null",
    ...owner,
  }).spawn();
  shell.unref();
  const behind = { host: data, port, user: "tester", database: "postgres" };
  async function stop(): Promise<void> {
    shell.ref();
    await shell.stdin.close();
    await shell.status;
  }
  const log = () => Deno.readTextFileSync(`${folder}/log`);
  try {
    await ready(behind, log);
    await ask(behind, "CREATE DATABASE tester");
  } catch (cause) {
    await stop();
    throw cause;
  }
  return { port, stop };
}

/** A server that runs, as tests see it. */
function reach(
  folder: string,
  port: number,
  { auth = "trust", password = "secret" }: TestPostgresOptions,
  stop: () => Promise<void>,
): TestPostgres {
  const data = `${folder}/data`;
  const secret = auth === "trust" ? "" : `:${encodeURIComponent(password)}`;
  const query = auth === "cert"
    ? `?sslmode=require&sslcert=${folder}/tester.crt&sslkey=${folder}/tester.key`
    : "";
  const url = (database: string) =>
    `postgres://tester${secret}@127.0.0.1:${port}/${database}${query}`;
  // Behind the scenes the socket is used, whatever the test does to TCP.
  const behind = (database: string) => ({ host: data, port, user: "tester", database });
  let count = 0;
  // Several files may share the server.
  const prefix = `t${crypto.randomUUID().slice(0, 8)}`;
  return {
    url: url("tester"),
    port,
    user: "tester",
    password,
    folder: data,
    certificates: {
      root: `${folder}/root.crt`,
      stranger: `${folder}/stranger.crt`,
      cert: `${folder}/tester.crt`,
      key: `${folder}/tester.key`,
    },
    pid: () => Number(Deno.readTextFileSync(`${data}/postmaster.pid`).split("\n")[0]),
    log: () => Deno.readTextFileSync(`${folder}/log`),
    query: (sql, params) => ask(behind("tester"), sql, params),
    async fresh() {
      const name = `${prefix}_${++count}`;
      // Where it can be had, since version 15: to log each page of a copy takes twice as long.
      const [{ version }] = await ask<{ version: number }>(
        behind("tester"),
        "SELECT current_setting('server_version_num')::int AS version",
      ) as [{ version: number }];
      const strategy = version >= 150000 ? "STRATEGY file_copy" : "";
      await ask(behind("tester"), `CREATE DATABASE ${name} ${strategy}`);
      const session = new KeptSession(behind(name));
      return {
        url: url(name),
        query: (sql, params) => session.ask(sql, params),
        [Symbol.asyncDispose]: async () => {
          await session.end();
          await ask(behind("tester"), `DROP DATABASE ${name} WITH (FORCE)`);
        },
      };
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** A new, empty database on the {@linkcode sharedPostgres}. */
export async function freshDatabase(): Promise<TestDatabase> {
  return await (await sharedPostgres()).fresh();
}

/** The folder of Debian's server programs, newest version first, or what PATH has. */
async function programs(): Promise<string> {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  try {
    const versions = [...Deno.readDirSync("/usr/lib/postgresql")].map((entry) =>
      Number(entry.name)
    );
    versions.sort((a, b) => b - a);
    folders.unshift(...versions.map((version) => `/usr/lib/postgresql/${version}/bin`));
  } catch { /* not Debian */ }
  for (const folder of folders) {
    if (await succeeds(`${folder}/postgres`, "--version")) return folder;
  }
  // Nothing is installed here: Sluice brings its own.
  const base = `/tmp/sluice-test-programs-${Deno.uid()}`;
  await Deno.mkdir(base, { recursive: true, mode: 0o755 });
  using lock = await Deno.open(`${base}/lock`, { write: true, create: true });
  await lock.lock(true);
  return `${await installPrograms(base)}/bin`;
}

/** Postgres does not run as root: there, somebody who always exists runs it. */
function serverUser(): { uid?: number; gid?: number } {
  if (Deno.uid() !== 0) return {};
  const nobody = Deno.readTextFileSync("/etc/passwd").match(/^nobody:[^:]*:(\d+):(\d+)/m);
  return { uid: Number(nobody?.[1] ?? 65534), gid: Number(nobody?.[2] ?? 65534) };
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Makes two authorities, a certificate for localhost and one for the user "tester". */
async function certify(folder: string): Promise<void> {
  const options = { cwd: folder };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  for (const name of ["root", "stranger"]) {
    await run(
      "openssl",
      `req -x509 ${key.join(" ")} -keyout ${name}.key -out ${name}.crt -days 2 -subj /CN=${name}`
        .split(" "),
      options,
    );
  }
  await Deno.writeTextFile(`${folder}/server.ext`, "subjectAltName=DNS:localhost\n");
  await Deno.writeTextFile(`${folder}/tester.ext`, "extendedKeyUsage=clientAuth\n");
  for (const name of ["server", "tester"]) {
    await run(
      "openssl",
      `req ${key.join(" ")} -keyout ${name}.key -out ${name}.csr -subj /CN=${name}`.split(" "),
      options,
    );
    await run(
      "openssl",
      (`x509 -req -in ${name}.csr -CA root.crt -CAkey root.key -CAcreateserial -days 2 ` +
        `-extfile ${name}.ext -out ${name}.crt`).split(" "),
      options,
    );
  }
  await Deno.chmod(`${folder}/server.key`, 0o600);
}

async function ready(where: pg.ClientConfig, log: () => string): Promise<void> {
  for (let tries = 0; tries < 3000; tries++) {
    try {
      return void await ask(where, "SELECT 1");
    } catch {
      await pause(20);
    }
  }
  throw new Error(`Cannot test: Postgres does not start: ${log().slice(-1000)}`);
}

async function ask<T>(where: pg.ClientConfig, sql: string, params: unknown[] = []): Promise<T[]> {
  const client = new pg.Client(where);
  client.on("error", () => {});
  try {
    await client.connect();
    return (await client.query(sql, params)).rows;
  } finally {
    await client.end();
  }
}

/** What a session has left of, or is to have of, when it goes on: settings, and what it holds until its end. */
const LASTING = /\b(RE)?SET\b|set_config|advisory|\bTEMP/i;

/**
 * Asks in one session as long as that is no different from one for each question: while no other is under way, and
 * nothing lasts. To begin one takes ten times as long as what most of them ask.
 */
class KeptSession {
  readonly #where: pg.ClientConfig;
  #idle: pg.Client | undefined;

  constructor(where: pg.ClientConfig) {
    this.#where = where;
  }

  async ask<T>(sql: string, params: unknown[] = []): Promise<T[]> {
    if (LASTING.test(sql)) {
      await this.end();
      return await ask(this.#where, sql, params);
    }
    const client = this.#idle ?? await this.#begin();
    this.#idle = undefined;
    try {
      return (await client.query(sql, params)).rows;
    } finally {
      if (client.getTransactionStatus() === "I" && !this.#idle) this.#idle = client;
      else await client.end();
    }
  }

  async end(): Promise<void> {
    const client = this.#idle;
    this.#idle = undefined;
    await client?.end();
  }

  async #begin(): Promise<pg.Client> {
    const client = new pg.Client(this.#where);
    client.on("error", () => {});
    client.on("end", () => {
      if (this.#idle === client) this.#idle = undefined;
    });
    try {
      await client.connect();
    } catch (error) {
      await client.end();
      throw error;
    }
    return client;
  }
}

async function run(
  program: string,
  args: string[],
  options: Deno.CommandOptions = {},
): Promise<void> {
  const { success, stderr, stdout } = await new Deno.Command(program, {
    args,
    cwd: "/",
    ...options,
  }).output();
  if (success) return;
  const decoder = new TextDecoder();
  throw new Error(`${program} failed: ${decoder.decode(stdout)}${decoder.decode(stderr)}`);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function succeeds(program: string, argument: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: [argument] }).output()).success;
  } catch {
    return false;
  }
}
