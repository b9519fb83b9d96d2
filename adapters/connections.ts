import { userInfo } from "node:os";

/** What the environment says, by variable. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What a DSN may say, by libpq's names, and the variables that stand in for what it does not. */
const PARAMETERS = {
  host: "PGHOST",
  port: "PGPORT",
  user: "PGUSER",
  password: "PGPASSWORD",
  dbname: "PGDATABASE",
  sslmode: "PGSSLMODE",
  sslrootcert: "PGSSLROOTCERT",
  sslcert: "PGSSLCERT",
  sslkey: "PGSSLKEY",
  connect_timeout: "PGCONNECT_TIMEOUT",
  options: "PGOPTIONS",
  application_name: "PGAPPNAME",
  channel_binding: "PGCHANNELBINDING",
  passfile: "PGPASSFILE",
} as const;

/** Variables that lead libpq elsewhere and are not known here: what to set in their place. */
const ELSEWHERE = {
  PGSERVICE: "what that service says into the DSN, or into PGHOST, PGPORT, PGUSER and PGDATABASE",
  PGHOSTADDR: "the address into the DSN as its host, or into PGHOST",
};

/** What a DSN may say besides, for here it is so anyway or of no account. */
const PASSED_OVER: Readonly<Record<string, RegExp>> = {
  target_session_attrs: /^(any|read-write)$/,
  gssencmode: /^(disable|prefer)$/,
  keepalives: /^/,
  keepalives_idle: /^/,
  keepalives_interval: /^/,
  keepalives_count: /^/,
  tcp_user_timeout: /^/,
  fallback_application_name: /^/,
};

const MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/** Where servers keep their sockets: Debian's and Red Hat's, and that of Postgres as it comes. */
const SOCKET_FOLDERS = ["/var/run/postgresql", "/tmp"];

const NAMES = Object.keys(PARAMETERS) as (keyof typeof PARAMETERS)[];
/** Those that stay parameters in the URL. */
const OPTIONS = NAMES.slice(NAMES.indexOf("sslmode"));

type Settings = Partial<Record<keyof typeof PARAMETERS, string>>;

/**
 * Makes a URL with everything in it of a DSN: `postgres://user:password@host:port/database?sslmode=…`, with
 * `host=/folder` among its parameters for a unix socket.
 *
 * The DSN may be a URI (`postgres://` or `postgresql://`) or keywords (`host=db dbname='my data'`), as libpq takes them:
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING. What it leaves out comes from the PG*
 * variables, then from libpq's defaults: the unix socket in /var/run/postgresql or /tmp when one is there for the port,
 * else localhost; port 5432; the user of the operating system; the database named like the user. A password that is
 * still missing may be in a passfile: {@linkcode withPassfile}.
 *
 * @throws {TypeError} when the DSN is malformed, without showing it, for its password; when a variable leads elsewhere
 */
export function connectionUrl(dsn: string, env: Environment): string {
  for (const [variable, instead] of Object.entries(ELSEWHERE)) {
    if (!env[variable]) continue;
    throw malformed(`${variable} is set, which is not known here. Put ${instead}, and unset it`);
  }
  const given = /^postgres(ql)?:/.test(dsn) ? parseUri(dsn) : parseKeywords(dsn);
  for (const name of NAMES) {
    // As in libpq, what is given empty is not given.
    const value = given[name] || env[PARAMETERS[name]];
    if (value) given[name] = value;
    else delete given[name];
  }
  check(given);
  const { port = "5432", host = defaultHost(port), user = defaultUser(env), password } = given;
  const { dbname = user } = given;
  const secret = password === undefined ? "" : `:${encodeURIComponent(password)}`;
  const socket = host.startsWith("/");
  const place = socket ? "localhost" : host.includes(":") ? `[${host}]` : encodeURIComponent(host);
  const options = OPTIONS.flatMap((name) => given[name] === undefined ? [] : [[name, given[name]]]);
  if (socket) options.unshift(["host", host]);
  const query = options.map(([name, value]) => `${name}=${encodeURIComponent(value!)}`).join("&");
  const url = `postgres://${encodeURIComponent(user)}${secret}@${place}:${port}/${
    encodeURIComponent(dbname)
  }${query && `?${query}`}`;
  if (!URL.canParse(url)) throw malformed("its host is not one");
  return url;
}

/** Options for {@linkcode withPassfile}. */
export interface PassfileOptions {
  /** The home folder of the user, where `.pgpass` is looked for when the URL names no passfile. */
  home: string | undefined;
  /** Takes a sentence when a passfile is there that must not be used. */
  warn: (message: string) => void;
}

/**
 * Completes a URL of {@linkcode connectionUrl} with a password from a passfile, by libpq's rules: the first line of
 * `host:port:database:user:password` that fits, with `*` for anything, `\:` and `\\` for a colon and a backslash.
 * https://www.postgresql.org/docs/current/libpq-pgpass.html
 */
export async function withPassfile(
  url: string,
  { home, warn }: PassfileOptions,
): Promise<string> {
  const parsed = new URL(url);
  const path = parsed.searchParams.get("passfile") ?? (home && `${home}/.pgpass`);
  // What is left is as it was written: `searchParams.delete` would write it anew.
  const rest = parsed.search.slice(1).split("&").filter((pair) => !pair.startsWith("passfile="));
  parsed.search = rest.join("&");
  if (parsed.password === "" && path) {
    const socket = parsed.searchParams.get("host");
    const host = socket === null
      ? decodeURIComponent(parsed.hostname).replace(/^\[|\]$/g, "")
      : SOCKET_FOLDERS.includes(socket)
      ? "localhost"
      : socket;
    const wanted = [
      host,
      parsed.port,
      decodeURIComponent(parsed.pathname.slice(1)),
      decodeURIComponent(parsed.username),
    ];
    const password = findPassword(await readPassfile(path, warn), wanted);
    if (password !== undefined) parsed.password = encodeURIComponent(password);
  }
  return parsed.href;
}

/** Shows where a URL leads, without its password. */
export function maskUrl(url: string): string {
  if (!URL.canParse(url)) return "postgres://…";
  const parsed = new URL(url);
  if (parsed.password !== "") parsed.password = "***";
  return parsed.href;
}

async function readPassfile(path: string, warn: (message: string) => void): Promise<string> {
  try {
    const { isFile, mode } = await Deno.stat(path);
    const why = !isFile
      ? "it is not a plain file"
      : (mode ?? 0) & 0o077
      ? "others may read it; chmod 600 it"
      : undefined;
    if (why === undefined) return await Deno.readTextFile(path);
    warn(`Passing over the password file ${path}: ${why}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      warn(`Passing over the password file ${path}: ${(error as Error).message}`);
    }
  }
  return "";
}

/** The password of the first line whose four fields fit. */
function findPassword(passfile: string, wanted: readonly string[]): string | undefined {
  const unescape = (text: string) => text.replace(/\\(.)/g, "$1");
  const field = String.raw`((?:[^:\\]|\\.)*)`;
  const line = new RegExp(`^${field}:${field}:${field}:${field}:(.*)$`);
  for (const text of passfile.split(/\r?\n/)) {
    const [, ...fields] = text.startsWith("#") ? [] : line.exec(text) ?? [];
    const password = fields.pop();
    if (password && fields.every((it, i) => it === "*" || unescape(it) === wanted[i])) {
      return unescape(password);
    }
  }
  return undefined;
}

function parseUri(dsn: string): Settings {
  const userinfo = "(?:(?<user>[^:/?]*?)(?::(?<password>[^/?]*))?@)?";
  const place = String.raw`(?<host>\[[^\]/?]*\]|[^:/?@[\]]*)(?::(?<port>[^/?@]*))?`;
  const uri = new RegExp(
    `^postgres(?:ql)?://${userinfo}${place}(?:/(?<dbname>[^?@]*))?(?:[?](?<query>.*))?$`,
    "s",
  );
  const parts = uri.exec(dsn)?.groups;
  if (!parts) {
    throw malformed(
      'it does not read as postgres://user:password@host:port/database. Within a part, "@" is ' +
        'written %40, "/" %2F, ":" %3A, "?" %3F and "%" %25',
    );
  }
  const settings: Settings = {};
  for (const name of ["user", "password", "host", "port", "dbname"] as const) {
    if (parts[name]) settings[name] = decode(parts[name]);
  }
  if (settings.host) settings.host = settings.host.replace(/^\[|\]$/g, "");
  for (const pair of (parts.query ?? "").split("&").filter((pair) => pair !== "")) {
    const [name, value, ...rest] = pair.split("=").map(decode);
    if (value === undefined || rest.length > 0) {
      throw malformed('what follows "?" is not name=value&name=value');
    }
    set(settings, name!, value);
  }
  return settings;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed('a "%" in it is not followed by two hexadecimal digits; write it as %25');
  }
}

/** `name = value` and `name = 'a value'`, with \' and \\ for a quote and a backslash. */
function parseKeywords(dsn: string): Settings {
  const settings: Settings = {};
  const pair =
    /\s*(?<name>[^\s='\\]+)\s*=\s*(?:'(?<quoted>(?:[^'\\]|\\.)*)'|(?<bare>(?:[^\s'\\]|\\.)*))(?=\s|$)/sy;
  while (dsn.slice(pair.lastIndex).trim() !== "") {
    const { name, quoted, bare } = pair.exec(dsn)?.groups ?? {};
    if (name === undefined) {
      throw malformed(
        "it is neither a URI (postgres://user:password@host:port/database) nor keywords " +
          "(host=… port=… user=… dbname='…')",
      );
    }
    set(settings, name, (quoted ?? bare ?? "").replace(/\\(.)/gs, "$1"));
  }
  return settings;
}

/** Takes a parameter. @throws {TypeError} for one that is not known, or asks for what is not done here */
function set(settings: Settings, name: string, value: string): void {
  if (Object.hasOwn(PARAMETERS, name)) {
    settings[name as keyof Settings] = value;
    return;
  }
  if (Object.hasOwn(PASSED_OVER, name)) {
    if (value === "" || PASSED_OVER[name]!.test(value)) return;
    throw malformed(`its ${name} is one that does not work here; leave it out`);
  }
  // Only a plain word is shown: anything else may be a part of a password.
  const shown = /^\w+$/.test(name) ? `its parameter "${name}"` : "one of its parameters";
  throw malformed(
    `${shown} is not known here. Known are ${[...NAMES, ...Object.keys(PASSED_OVER)].join(", ")}`,
  );
}

function check({ host, port, sslmode, connect_timeout, channel_binding }: Settings): void {
  if (host?.includes(",") || /^\d*,/.test(port ?? "")) {
    throw malformed("it names several hosts, and one is what works here");
  }
  // Neither is shown: after a forgotten "@host" it is the password.
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && +port > 0 && +port < 65536)) {
    throw malformed("its port is not a number from 1 to 65535");
  }
  if (connect_timeout !== undefined && !/^-?\d{1,9}$/.test(connect_timeout)) {
    throw malformed("its connect_timeout is not a number of seconds");
  }
  if (sslmode !== undefined && !MODES.includes(sslmode)) {
    throw malformed(`its sslmode is not one of ${MODES.join(", ")}`);
  }
  if (channel_binding !== undefined && !/^(disable|prefer|require)$/.test(channel_binding)) {
    throw malformed("its channel_binding is not one of disable, prefer, require");
  }
}

function defaultHost(port: string): string {
  const there = SOCKET_FOLDERS.find((folder) => {
    try {
      return Deno.statSync(`${folder}/.s.PGSQL.${port}`).isSocket;
    } catch {
      return false;
    }
  });
  return there ?? "localhost";
}

function defaultUser(env: Environment): string {
  try {
    return userInfo().username;
  } catch {
    const user = env.USER || env.LOGNAME;
    if (user) return user;
    throw malformed("it names no user, and this process runs as nobody with a name");
  }
}

function malformed(why: string): TypeError {
  return new TypeError(`Cannot read the address of the database: ${why}`);
}
