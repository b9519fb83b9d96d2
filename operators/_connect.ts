import type { EventEmitter } from "node:events";
import { isIP } from "node:net";
import { type Duplex, finished } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
// @ts-types="@types/pg"
import pg from "pg";
import { type Connection, GiveUp } from "../engine/mod.ts";

/** Options for {@linkcode connect}. */
export interface ConnectOptions {
  /** Closes the socket when aborted, at any time in the life of the session. */
  signal: AbortSignal;
  /** Shown by the server beside the session. @default {what the URL says, else "sluice"} */
  application?: string;
  /** Milliseconds to go on asking a server that starts up or is full; 3,000 of them when nothing listens. @default {10_000} */
  patience?: number;
}

/** What a connection's URL says, taken apart. */
interface Address {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly options: URLSearchParams;
}

type WriteCallback = (error?: Error | null) => void;

type Tls = false | {
  rejectUnauthorized: boolean;
  ca?: string;
  cert?: string;
  key?: string;
  checkServerIdentity?: () => undefined;
};

/** What a session must be like; settings the server does not know are passed over. */
const SETTINGS = {
  client_encoding: "UTF8",
  DateStyle: "ISO, MDY",
  IntervalStyle: "postgres",
  TimeZone: "UTC",
  extra_float_digits: "1",
  standard_conforming_strings: "on",
  statement_timeout: "0",
  transaction_timeout: "0",
  idle_session_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  // A client that vanished without a word must not hold its locks for two hours.
  tcp_keepalives_idle: "30",
  tcp_keepalives_interval: "10",
  tcp_keepalives_count: "3",
  tcp_user_timeout: "60000",
  // The same for one that hung up while its session waits for a lock. Only Linux is sure to take it.
  client_connection_check_interval: "1000",
  // Under wal_level=minimal a COMMIT waits until a new table is on disk: it goes there as it comes. Where Linux is not below,
  // there may be no way to ask for that.
  backend_flush_after: "1MB",
};

const SETUP = `SELECT set_config(name, value, false) FROM (VALUES ${
  Object.entries(SETTINGS).map(([name, value]) => `('${name}', '${value}')`).join(", ")
}) AS wanted (name, value) WHERE current_setting(name, true) IS NOT NULL
  AND (name NOT IN ('client_connection_check_interval', 'backend_flush_after') OR version() LIKE '%linux%')
  AND (name <> 'backend_flush_after' OR current_setting('wal_level', true) = 'minimal')`;

/**
 * Opens a session with Postgres.
 *
 * The URL is `postgres://user:password@host:port/database` with the parameters of libpq: `sslmode` (disable, allow,
 * prefer, require, verify-ca, verify-full; prefer without one), `sslrootcert` (a file, or `system`), `sslcert`,
 * `sslkey`, `connect_timeout` in seconds, `options` for the server, `application_name`, `channel_binding=require`, and
 * `host` for the folder of a unix socket. Nothing is read from the environment.
 *
 * @throws {GiveUp} when trying again will not help: wrong password, no such database, an untrusted certificate
 */
export async function connect(
  connection: Connection,
  { signal, application: given, patience = 10_000 }: ConnectOptions,
): Promise<pg.Client> {
  const address = parse(connection.url);
  const application = given ?? address.options.get("application_name") ?? "sluice";
  const attempts = await encryption(address);
  let waited = 0;
  for (let delay = 50;; delay = Math.min(delay * 2, 1000)) {
    try {
      return await first(address, attempts, application, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (waited >= allowance(error, patience)) throw explain(error, address, waited);
    }
    await sleep(delay, undefined, { signal }).catch(() => signal.throwIfAborted());
    waited += delay;
  }
}

const losses = new WeakMap<pg.Client, Error>();

/** How a session was lost, if it was: ended by somebody else than us. */
export function lossOf(client: pg.Client): Error | undefined {
  return losses.get(client);
}

/** Ends a session surely: says goodbye, and closes the socket when that takes longer than `patience` milliseconds. */
export async function disconnect(client: pg.Client, patience = 1000): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, patience);
  try {
    // A socket that does not report its end must not keep us: Deno 2.4 has such, with TLS.
    await Promise.race([client.end(), late.promise]);
  } finally {
    clearTimeout(timer);
    destroy(client);
  }
}

/** Closes the socket at once; the server rolls back. */
export function destroy(client: pg.Client): void {
  (client as unknown as { connection: { stream: Duplex } }).connection.stream.destroy();
}

/** The first of the ways of encryption that works, or the error of the last. */
async function first(
  address: Address,
  attempts: readonly Tls[],
  application: string,
  signal: AbortSignal,
): Promise<pg.Client> {
  let failure: unknown, plain = false;
  for (const [i, tls] of attempts.entries()) {
    const without = tls && attempts.includes(false, i + 1) ? () => plain = true : undefined;
    try {
      return await open(address, tls, without, application, signal);
    } catch (error) {
      signal.throwIfAborted();
      // The first answer is the clearer one, where the other is a no to that way alone.
      const isBeside = lacksTls(error) || codeOf(error) === "28000";
      if (failure === undefined || !isBeside) failure = error;
      if (plain) break; // it was tried the other way already
      if (["28P01", "3D000", "53300", "57P03", "ECONNREFUSED"].includes(codeOf(error))) break;
    }
  }
  throw failure;
}

async function open(
  { host, port, user, password, database, options }: Address,
  ssl: Tls,
  without: (() => void) | undefined,
  application: string,
  signal: AbortSignal,
): Promise<pg.Client> {
  signal.throwIfAborted();
  const timeout = Number(options.get("connect_timeout") || 0);
  const binds = options.get("channel_binding") === "require";
  const client = new pg.Client({
    host,
    port,
    user,
    database,
    ssl,
    password: () => {
      binding?.offered();
      if (password === "") throw new Refusal(NO_PASSWORD);
      return password;
    },
    application_name: application,
    connectionTimeoutMillis: timeout > 0 ? timeout * 1000 : 30_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    ...{ sslnegotiation: "postgres", enableChannelBinding: binds },
  });
  const binding = binds ? watchBinding(client) : undefined;
  // What was left out above, pg takes from PGOPTIONS and PGREPLICATION.
  Object.assign((client as unknown as { connectionParameters: object }).connectionParameters, {
    options: options.get("options") ?? undefined,
    replication: undefined,
  });
  // A lost connection fails the query under way or the next one; without a listener it would end the process.
  client.on("error", (error) => losses.set(client, losses.get(client) ?? error));
  const abort = () => destroy(client);
  signal.addEventListener("abort", abort, { once: true });
  client.once("end", () => signal.removeEventListener("abort", abort));
  try {
    const connected = client.connect();
    if (without) goOnWithoutTls(client, without);
    await connected;
    binding?.done();
    hearOut((client as unknown as { connection: { stream: Duplex } }).connection.stream);
    await client.query(SETUP);
    return client;
  } catch (error) {
    destroy(client);
    throw error;
  }
}

/**
 * Watches how a session that is about to begin proves who is at its two ends, for `channel_binding=require`: with pg, a
 * server that does not offer to bind that to the TLS between them gets in as well. Both throw where it is not bound.
 */
function watchBinding(client: pg.Client): { offered(): void; done(): void } {
  const { connection } = client as unknown as { connection: EventEmitter };
  let offered = false, done = false;
  connection.on("authenticationSASL", ({ mechanisms }: { mechanisms: readonly string[] }) => {
    offered = mechanisms.includes("SCRAM-SHA-256-PLUS");
  });
  for (const asks of ["authenticationCleartextPassword", "authenticationMD5Password"]) {
    connection.on(asks, () => offered = false);
  }
  // Where the server's proof is wrong, the session fails.
  connection.on("authenticationSASLFinal", () => done = offered);
  const insist = (is: boolean) => {
    if (!is) throw new Refusal(NOT_BOUND);
  };
  return { offered: () => insist(offered), done: () => insist(done) };
}

/**
 * Has the session go on as it is where the server says that it has no TLS, as libpq does; pg would hang up. To be called
 * when pg has just begun to connect, and waits for that answer.
 */
function goOnWithoutTls(client: pg.Client, told: () => void): void {
  const { connection } = client as unknown as {
    connection: EventEmitter & { stream: Duplex; attachListeners(stream: Duplex): void };
  };
  const { stream } = connection, [answered] = stream.listeners("data");
  stream.once("data", (answer: Uint8Array) => {
    if (answer.length !== 1 || answer[0] !== "N".charCodeAt(0)) return answered!(answer);
    told();
    connection.attachListeners(stream);
    connection.emit("sslconnect");
  });
  stream.removeListener("data", answered as () => void);
}

/**
 * Lets what the server sent before it hung up be read before a write that failed for it ends the session: there it says
 * why. Told of the write first, the socket would throw that away.
 */
function hearOut(stream: Duplex): void {
  const write = stream._write.bind(stream), writev = stream._writev!.bind(stream);
  const later = (callback: WriteCallback): WriteCallback => (error) => {
    if (!error) return callback();
    const tell = () => {
      clearTimeout(timer);
      forget();
      callback(error);
    };
    const timer = setTimeout(tell, 100);
    const forget = finished(stream, { writable: false }, tell);
  };
  stream._write = (chunk, encoding, callback) => write(chunk, encoding, later(callback));
  stream._writev = (chunks, callback) => writev(chunks, later(callback));
}

/** Takes a URL apart. @throws {TypeError} without showing it, for its password */
function parse(url: string): Address {
  if (!URL.canParse(url)) throw new TypeError("Cannot connect to Postgres: its URL is malformed");
  const { hostname, port, username, password, pathname, searchParams } = new URL(url);
  return {
    host: searchParams.get("host") ?? decodeURIComponent(hostname).replace(/^\[|\]$/g, ""),
    port: Number(port || 5432),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)),
    options: searchParams,
  };
}

/**
 * The ways to encrypt that `sslmode` allows, in the order in which to try them.
 * https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-SSLMODE-STATEMENTS
 */
async function encryption({ host, options }: Address): Promise<Tls[]> {
  const mode = options.get("sslmode") ?? "prefer";
  // Over a unix socket there is nobody to hide from.
  if (host.startsWith("/") || mode === "disable") return [false];
  const root = options.get("sslrootcert");
  const verify = mode.startsWith("verify-") || (mode === "require" && root !== null);
  const tls: Tls = {
    rejectUnauthorized: verify,
    ...await files({ ca: root === "system" || !verify ? null : root }, "sslrootcert"),
    ...await files({ cert: options.get("sslcert") }, "sslcert"),
    ...await files({ key: options.get("sslkey") }, "sslkey"),
    ...(mode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
  };
  if (mode === "prefer") return [tls, false];
  if (mode === "allow") return [false, tls];
  if (["require", "verify-ca", "verify-full"].includes(mode)) return [tls];
  throw new TypeError(
    `Cannot connect to Postgres: sslmode "${mode}" is none of disable, allow, prefer, require, verify-ca, verify-full`,
  );
}

/** Reads the file behind an option, when there is one. */
async function files<K extends string>(
  option: Record<K, string | null>,
  name: string,
): Promise<{ [P in K]?: string }> {
  const [[key, path]] = Object.entries(option) as [[K, string | null]];
  if (path === null) return {};
  try {
    return { [key]: await Deno.readTextFile(path) } as { [P in K]?: string };
  } catch (cause) {
    throw new GiveUp(`Cannot connect to Postgres: its ${name} "${path}" cannot be read`, { cause });
  }
}

/** What we refuse, and what to do about it. */
class Refusal extends Error {}

const NO_PASSWORD =
  "the server asks for a password, and none was given. Set it in the URL, PGPASSWORD or ~/.pgpass";
const NOT_BOUND = "the server does not bind the password to TLS, which channel_binding asks for. " +
  "Leave channel_binding=require out, or have TLS and scram-sha-256 there";

function lacksTls(error: unknown): boolean {
  return /does not support SSL/.test((error as Error).message);
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code ?? "");
}

/** How many milliseconds of waiting an error is worth. */
function allowance(error: unknown, patience: number): number {
  const code = codeOf(error);
  if (code === "57P03" || code === "53300") return patience;
  const down = ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOENT", "57P01", "57P02"].includes(code) ||
    (error as Error).message === "Connection terminated unexpectedly";
  return down ? Math.min(patience, 3000) : 0;
}

/** Makes a sentence of what went wrong, and of what to do about it. */
function explain(cause: unknown, { host, port, user, database }: Address, waited: number): Error {
  const place = host.startsWith("/")
    ? `${host}/.s.PGSQL.${port}`
    : `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  const where = `Cannot connect to Postgres at ${place} as "${user}"`;
  const message = (cause as Error).message;
  const lost = `nothing answers there (asked for ${waited / 1000} s)`;
  switch (codeOf(cause)) {
    case "28P01":
      return new GiveUp(`${where}: ${message}. Check the user and the password`, { cause });
    case "28000":
      return new GiveUp(`${where}: ${message}. Check the user and the server's pg_hba.conf`, {
        cause,
      });
    case "3D000":
      return new GiveUp(`${where}: ${message}. Create it (createdb), or name another`, { cause });
    case "53300":
      return new Error(`${where}: ${message}. Close sessions, or raise max_connections`, { cause });
    case "57P03":
      return new Error(`${where}: ${message}, still after ${waited / 1000} s`, { cause });
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new Error(`${where}: the host is not known. Check its name`, { cause });
    case "ECONNREFUSED":
    case "ENOENT":
      return new Error(`${where}: ${lost}. Start the server, or check host and port`, { cause });
  }
  if (cause instanceof Refusal) {
    return new GiveUp(`${where}: ${message}`, { cause });
  }
  if (message === "timeout expired") {
    return new Error(`${where}: no answer in time. Check host, port and firewall`, { cause });
  }
  if (lacksTls(cause)) {
    return new GiveUp(`${where}: the server has no TLS, which sslmode asks for`, { cause });
  }
  if (/certificate|issuer|altname|self.signed/i.test(message)) {
    return new GiveUp(
      `${where}: its certificate is not to be trusted: ${message}. Check sslrootcert and the host`,
      { cause },
    );
  }
  return new Error(`${where}, database "${database}": ${message}`, { cause });
}
