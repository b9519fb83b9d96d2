import { isAbsolute, join } from "node:path";
import type { EmbeddedPostgres } from "../adapters/mod.ts";
import type { Connection, Connections } from "../engine/mod.ts";
import { fromUser, messageOf, tell, UsageError, type World } from "./world.ts";

/** Flags that say which database and which home folder to use. */
export interface PlaceFlags {
  readonly database?: string;
  readonly home?: string;
}

/** The home folder: the flag, else SLUICE_HOME, else `.sluice` where we stand. */
export function homeFolder(world: World, { home }: PlaceFlags): string {
  const folder = home ?? (world.process.env["SLUICE_HOME"] || ".sluice");
  return isAbsolute(folder) ? folder : join(world.cwd, folder);
}

/** Variables that name a connection: `SLUICE_CONN_WAREHOUSE` says where `warehouse` is. */
const NAMED = /^SLUICE_CONN_(\w+)$/;

/**
 * The database that work uses, and those that it finds by names of their own; our own one is started when it is first
 * asked for.
 */
export class Database implements AsyncDisposable {
  /** The addresses of the others, by their names. */
  readonly named: ReadonlyMap<string, string>;
  readonly #world: World;
  readonly #url: string | undefined;
  readonly #home: string;
  #embedded: Promise<EmbeddedPostgres> | undefined;

  private constructor(
    world: World,
    url: string | undefined,
    named: ReadonlyMap<string, string>,
    home: string,
  ) {
    this.#world = world;
    this.#url = url;
    this.named = named;
    this.#home = home;
  }

  /** Finds out which one it is, and which others there are. @throws {UsageError} for a DSN that cannot be read */
  static async from(world: World, flags: PlaceFlags): Promise<Database> {
    const { env } = world.process;
    const dsn = flags.database ?? (env["DATABASE_URL"] || undefined);
    const url = dsn === undefined ? undefined : await urlOf(world, dsn, env);
    return new Database(world, url, await namedUrls(world), homeFolder(world, flags));
  }

  /** Where work can connect to: `database`, and the others by their names. */
  get connections(): Connections {
    const others = [...this.named].map(([name, url]) => [name, () => Promise.resolve({ url })]);
    return { ...Object.fromEntries(others), database: this.connect };
  }

  /** The passwords in all these addresses, as they stand there and as they are. */
  get secrets(): string[] {
    return [this.#url, ...this.named.values()].flatMap((url) => {
      const { password } = new URL(url ?? "postgres:");
      return [password, decodeURIComponent(password)];
    });
  }

  /** Where it can be reached. */
  readonly connect = async (): Promise<Connection> => {
    return { url: this.#url ?? (await this.#start()).url };
  };

  /** Where it can be reached; undefined when it would have to be made first. */
  async find(): Promise<Connection | undefined> {
    const { hasEmbedded } = await import("../adapters/mod.ts");
    const isThere = this.#url !== undefined || this.started || await hasEmbedded(this.#home);
    return isThere ? await this.connect() : undefined;
  }

  /** How to open psql on it, in lines; our own one stops with us, so it is started anew first. */
  async howToConnect(): Promise<string> {
    const { maskUrl, shellWord } = await import("../adapters/mod.ts");
    if (this.#url !== undefined) return `psql ${shellWord(maskUrl(this.#url))}`;
    const usual = homeFolder(this.#world, {}) === this.#home;
    const start = `${this.#world.command} db start${
      usual ? "" : ` --home ${shellWord(this.#home)}`
    }`;
    return `${start}\n${(await this.#start()).psql}`;
  }

  /** Whether our own one was started. */
  get started(): boolean {
    return this.#embedded !== undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const started = await this.#embedded?.catch(() => undefined);
    await started?.[Symbol.asyncDispose]();
  }

  #start(): Promise<EmbeddedPostgres> {
    return this.#embedded ??= (async () => {
      const { embeddedPostgres } = await import("../adapters/mod.ts");
      return await embeddedPostgres(this.#home, {
        signal: this.#world.signal,
        log: (message) => tell(this.#world, message),
      });
    })();
  }
}

/** Reads a DSN. @throws {UsageError} when it cannot be read */
async function urlOf(world: World, dsn: string, env: World["process"]["env"]): Promise<string> {
  const { connectionUrl, withPassfile } = await import("../adapters/mod.ts");
  return await withPassfile(fromUser(() => connectionUrl(dsn, env)), {
    home: world.process.env["HOME"],
    warn: (message) => tell(world, message),
  });
}

/** The addresses that the environment has by name. @throws {UsageError} naming the variable that cannot be read */
async function namedUrls(world: World): Promise<Map<string, string>> {
  const { env } = world.process;
  // What PG* says is of the one database, its password too.
  const own = Object.fromEntries(Object.entries(env).filter(([name]) => !/^PG/.test(name)));
  const urls = new Map<string, string>();
  for (const [variable, dsn] of Object.entries(env).sort()) {
    const name = NAMED.exec(variable)?.[1]?.toLowerCase();
    if (!name || !dsn) continue;
    const fault = (why: string): UsageError => new UsageError(`In ${variable}: ${why}`);
    if (name === "database") throw fault("that one is given by --database or DATABASE_URL");
    if (urls.has(name)) throw fault(`another variable names the connection "${name}", too`);
    urls.set(
      name,
      await urlOf(world, dsn, own).catch((error) => Promise.reject(fault(messageOf(error)))),
    );
  }
  return urls;
}

/** Tells how to open psql on it. */
export async function tellHow(world: World, database: Database): Promise<void> {
  const how = (await database.howToConnect()).replaceAll("\n", "\n  ");
  const where = database.started ? " in the Postgres that Sluice brought along" : "";
  tell(world, `Look at it${where}:\n  ${how}`);
}
