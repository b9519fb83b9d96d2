import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
// @ts-types="@types/pg"
import pg from "pg";
import {
  exists,
  installPrograms,
  removeAll,
  runProgram,
  spawnProgram,
} from "./_postgres_programs.ts";
import { findSite, locked, makeSite, type Site } from "./_postgres_site.ts";
import { shellWord } from "./shell_word.ts";

/** Options for {@linkcode embeddedPostgres}. */
export interface EmbeddedPostgresOptions {
  /** Gives up waiting for the server. */
  signal?: AbortSignal;
  /** Takes sentences about what is done, e.g. where the data is when it cannot be in the home folder. */
  log?: (message: string) => void;
  /** Leaves the server running until {@linkcode stopEmbedded}. @default {false} */
  keep?: boolean;
}

/** A server that runs, and how to reach it. */
export interface RunningPostgres {
  /** Where it is, with its password. */
  readonly url: string;
  /** A command line that opens psql on it, without the password in it. */
  readonly psql: string;
  /** The folder with its data, and its log: `server.log`. */
  readonly data: string;
}

/**
 * A Postgres of our own. When disposed of, it is stopped, unless somebody else uses it or it is to be kept. One that
 * crashes is started again, at the same place when its port is still free.
 */
export interface EmbeddedPostgres extends RunningPostgres, AsyncDisposable {}

/** The postmaster, as the pid file in its data folder has it. */
interface Postmaster {
  readonly pid: number;
  readonly port: number;
}

/** A session that holds the lease on the server. */
interface Lease {
  readonly client: pg.Client;
  readonly server: Postmaster;
  readonly password: string;
  /** What the server said as it went. */
  farewell?: string;
  /** The end of the program that started it, if that was us. */
  started?: Promise<unknown> | undefined;
}

const USER = "sluice";
/** What a session hears when somebody stops the server on purpose; its code is that of a crash, too. */
const STOPPED = "terminating connection due to administrator command";
/** The advisory lock that users of the server share; who gets it alone is the last. */
const LEASE = "0x736c, 0x7569";

/**
 * For loading: no WAL for tables made in the same transaction, few checkpoints; nothing that could lose a commit. The
 * user has the ledger's name: were its schema the first in the search path, what statements make without a schema would
 * be made beside the ledger once that is there, and hide tables of that name that were made before.
 */
const SETTINGS = `listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 50
fsync = on
synchronous_commit = on
full_page_writes = on
wal_level = minimal
max_wal_senders = 0
max_wal_size = '4GB'
checkpoint_timeout = '30min'
shared_buffers = '128MB'
maintenance_work_mem = '256MB'
jit = off
autovacuum = on
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
search_path = 'public, "$user"'
`;

/**
 * Starts the Postgres of a home folder, or joins the one that runs there, and waits until it answers.
 *
 * Its files are in `postgres/` below `home`: the programs, `data-18`, and the `password` of its user `sluice`, made when
 * it was. It listens on a free port of 127.0.0.1 only. As root it runs as `nobody`; when that user cannot enter the home
 * folder, its files are in /var/lib instead. Users in several processes share it; the last one out stops it. It outlives
 * a process that is killed, and is found again; when it is killed itself, it is started again and recovers.
 *
 * @throws {Error} when there are no programs for this platform, or the server does not start; with the end of its log
 */
export async function embeddedPostgres(
  home: string,
  { signal, log = () => {}, keep = false }: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const site = await findSite(home) ?? await makeSite(home, log);
  let lease: Lease;
  let left = false;

  async function enter(): Promise<void> {
    const mine = lease = await locked(site, async () => {
      const programs = await setUp(site, log);
      if (keep) await Deno.writeTextFile(site.keep, "");
      return await arrive(site, programs, signal);
    });
    mine.client.once("end", () => {
      if (left || mine.farewell === STOPPED) return;
      log("The embedded Postgres went away: starting it again");
      entered = enter().catch((error) => log((error as Error).message));
    });
  }

  let entered = enter();
  await entered;
  return {
    get url() {
      return describe(site, lease.server, lease.password).url;
    },
    get psql() {
      return describe(site, lease.server, lease.password).psql;
    },
    data: site.data,
    async [Symbol.asyncDispose]() {
      left = true;
      await entered;
      await locked(site, () => leave(site, lease));
      await lease.started;
    },
  };
}

/** Whether a home folder has a server of its own, be it that it runs or not. */
export async function hasEmbedded(home: string): Promise<boolean> {
  return await findSite(home) !== undefined;
}

/** The server of a home folder, if it runs and answers. */
export async function findEmbedded(home: string): Promise<RunningPostgres | undefined> {
  const site = await findSite(home);
  const server = site && await postmaster(site);
  if (!server) return undefined;
  const password = await readPassword(site);
  try {
    await (await login(server, password)).end();
    return describe(site, server, password);
  } catch {
    return undefined;
  }
}

/** Stops the server of a home folder, whoever uses it. Gives whether one ran. */
export async function stopEmbedded(home: string): Promise<boolean> {
  const site = await findSite(home);
  if (!site) return false;
  return await locked(site, async () => {
    await removeAll(site.keep);
    const server = await postmaster(site);
    if (server) await stop(site, server);
    return server !== undefined;
  });
}

function describe(site: Site, { port }: Postmaster, password: string): RunningPostgres {
  const secret = `"$(cat ${shellWord(site.password)})"`;
  return {
    url: `postgres://${USER}:${password}@127.0.0.1:${port}/postgres?sslmode=disable`,
    psql: `PGPASSWORD=${secret} psql -h 127.0.0.1 -p ${port} -U ${USER} postgres`,
    data: site.data,
  };
}

/** Makes what is missing and gives the folder of the programs. */
async function setUp(site: Site, log: (message: string) => void): Promise<string> {
  const { base, data, password, account } = site;
  const programs = join(await installPrograms(base), "bin");
  if (await exists(data)) return programs;
  log(`Making a Postgres in ${base}`);
  const fresh = `${data}.new`;
  await removeAll(fresh);
  await Deno.mkdir(fresh, { mode: 0o700 });
  await Deno.writeTextFile(password, randomBytes(24).toString("base64url"), { mode: 0o600 });
  for (const path of account.uid === undefined ? [] : [fresh, password]) {
    await Deno.chown(path, account.uid!, account.gid!);
  }
  await runProgram(join(programs, "initdb"), [
    `--pgdata=${fresh}`,
    `--username=${USER}`,
    `--pwfile=${password}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
  ], { cwd: base, ...account });
  await Deno.writeTextFile(join(fresh, "postgresql.conf"), "include 'sluice.conf'\n", {
    append: true,
  });
  await Deno.rename(fresh, data);
  return programs;
}

async function readPassword({ password, data }: Site): Promise<string> {
  try {
    return await Deno.readTextFile(password);
  } catch (cause) {
    throw new Error(
      `Cannot use the embedded Postgres: its password, ${password}, cannot be read. Put it back, or remove ${data} ` +
        "with all its tables to begin anew",
      { cause },
    );
  }
}

/** Takes a lease on the server, which is started when it does not run. */
async function arrive(site: Site, programs: string, signal?: AbortSignal): Promise<Lease> {
  const password = await readPassword(site);
  let child: Deno.ChildProcess | undefined;
  let started: Promise<unknown> | undefined;
  let failures = 0;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const server = await postmaster(site);
      if (server) {
        const lease = await takeLease(server, password, signal).catch(starting);
        if (lease) return Object.assign(lease, { started });
      } else if (!child) {
        child = await start(site, programs);
        started = child.status.then(({ success }) => {
          child = undefined;
          if (!success) failures++;
        });
      }
      // Sessions of a server that was killed may hold its memory a little longer: not the first failure counts.
      if (failures > 5) throw await failure(site);
      await sleep(failures > 0 ? 100 : 10);
    }
  } catch (error) {
    const server = started && await postmaster(site);
    if (server) await stop(site, server);
    await started;
    throw error;
  }
}

/** Passes over the errors that end by themselves: the server starts, recovers, or is about to stop. */
function starting(error: Error & { code?: string }): undefined {
  const passing = ["57P03", "57P01", "ECONNREFUSED", "ECONNRESET", "EPIPE"];
  const lost = /^Connection terminated|^timeout expired/.test(error.message);
  if (lost || passing.includes(error.code ?? "")) return undefined;
  throw new Error(`Cannot enter the embedded Postgres: ${error.message}`, { cause: error });
}

async function takeLease(
  server: Postmaster,
  password: string,
  signal?: AbortSignal,
): Promise<Lease> {
  const client = await login(server, password, signal);
  const lease: Lease = { client, server, password };
  client.on("error", (error) => lease.farewell ??= error.message);
  await client.query(`SELECT pg_advisory_lock_shared(${LEASE})`);
  return lease;
}

/** Gives the lease back, and stops the server when nobody else has one. */
async function leave(site: Site, { client, server, password, farewell }: Lease): Promise<void> {
  const session = farewell === undefined ? client : await login(server, password).catch(() => {});
  if (!session) return;
  const alone = await session.query<{ alone: boolean }>(
    `SELECT pg_try_advisory_lock(${LEASE}) AS alone FROM pg_advisory_unlock_all()`,
  ).then(({ rows }) => rows[0]!.alone, () => false);
  await session.end();
  if (alone && !await exists(site.keep)) await stop(site, server);
}

async function login(
  { port }: Postmaster,
  password: string,
  signal?: AbortSignal,
): Promise<pg.Client> {
  const client = new pg.Client({
    host: "127.0.0.1",
    port,
    user: USER,
    password,
    database: "postgres",
    ssl: false,
    application_name: "sluice",
    connectionTimeoutMillis: 5000,
    // Without it, pg takes what PGOPTIONS says.
    options: "-c statement_timeout=0",
  });
  // A lost session shows in its next query; without a listener it would end the process.
  client.on("error", () => {});
  const { stream } = (client as unknown as { connection: { stream: Duplex } }).connection;
  const abort = () => stream.destroy();
  signal?.addEventListener("abort", abort);
  try {
    await client.connect();
    return client;
  } catch (error) {
    stream.destroy();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** The postmaster that runs on the data folder, by its pid file. */
async function postmaster({ base, data }: Site): Promise<Postmaster | undefined> {
  // https://www.postgresql.org/docs/current/storage-file-layout.html: pid, data folder, start time, port, …
  const lines = (await Deno.readTextFile(join(data, "postmaster.pid")).catch(() => "")).split("\n");
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  return pid && port && (await commandOf(pid)).startsWith(`${base}/`) ? { pid, port } : undefined;
}

/** The command line of a process; empty when there is none, or nothing left of it but its pid. */
async function commandOf(pid: number): Promise<string> {
  if (Deno.build.os === "linux") {
    return await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
  }
  const ps = spawnProgram("ps", ["-o", "command=", "-p", `${pid}`], { stdout: "piped" });
  return new TextDecoder().decode((await ps.output()).stdout);
}

/** Runs the program that starts the server and waits until it answers, or fails. */
async function start({ base, data, account }: Site, programs: string): Promise<Deno.ChildProcess> {
  const settings = join(data, "sluice.conf");
  const before = /^port = (\d+)$/m.exec(await Deno.readTextFile(settings).catch(() => ""));
  const port = freePort(Number(before?.[1] ?? 0));
  await Deno.writeTextFile(settings, `${SETTINGS}port = ${port}\n`);
  await forgetPid(join(data, "postmaster.pid"));
  const log = join(data, "server.log");
  if (((await Deno.stat(log).catch(() => undefined))?.size ?? 0) > 16e6) await removeAll(log);
  // pg_ctl gives the server a session of its own, so that Ctrl-C in our terminal is ours alone.
  return spawnProgram(
    join(programs, "pg_ctl"),
    ["start", "--wait", "--timeout=86400", "-D", data, "-l", log],
    { cwd: base, ...account },
  );
}

/**
 * Puts a pid that cannot be into a pid file that was left behind: another program may have the old one by now, and
 * the server would not start. The rest stays, for by it the server knows whether sessions of the old one still run.
 */
async function forgetPid(path: string): Promise<void> {
  if (!await exists(path)) return;
  const [, ...rest] = (await Deno.readTextFile(path)).split("\n");
  await Deno.writeTextFile(path, ["9999999", ...rest].join("\n"));
}

/** The port asked for when it is free, else any. */
function freePort(wanted: number): number {
  try {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: wanted });
    return listener.addr.port;
  } catch (error) {
    if (wanted === 0) throw error;
    return freePort(0);
  }
}

/** Ends all sessions and the server: what was committed is on disk. Waits until it has gone, a minute at most. */
async function stop({ base }: Site, { pid }: Postmaster): Promise<void> {
  Deno.kill(pid, "SIGINT");
  for (let waits = 0; waits < 6000 && (await commandOf(pid)).startsWith(`${base}/`); waits++) {
    await sleep(10);
  }
}

async function failure({ data }: Site): Promise<Error> {
  const path = join(data, "server.log");
  const log = await Deno.readTextFile(path).catch(() => "");
  return new Error(
    `Cannot start the embedded Postgres. The end of its log, ${path}:\n${log.slice(-1000).trim()}`,
  );
}
