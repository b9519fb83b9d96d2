import { isAbsolute, join } from "node:path";
import type { EmbeddedPostgres } from "../adapters/mod.ts";
import type { Connection } from "../engine/mod.ts";
import { fromUser, tell, type World } from "./world.ts";

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

/** The database that work uses; our own one is started when it is first asked for. */
export class Database implements AsyncDisposable {
  readonly #world: World;
  readonly #url: string | undefined;
  readonly #home: string;
  #embedded: Promise<EmbeddedPostgres> | undefined;

  private constructor(world: World, url: string | undefined, home: string) {
    this.#world = world;
    this.#url = url;
    this.#home = home;
  }

  /** Finds out which one it is. @throws {UsageError} for a DSN that cannot be read */
  static async from(world: World, flags: PlaceFlags): Promise<Database> {
    const { connectionUrl, withPassfile } = await import("../adapters/mod.ts");
    const { env } = world.process;
    const dsn = flags.database ?? (env["DATABASE_URL"] || undefined);
    let url: string | undefined;
    if (dsn !== undefined) {
      url = await withPassfile(fromUser(() => connectionUrl(dsn, env)), {
        home: env["HOME"],
        warn: (message) => tell(world, message),
      });
    }
    return new Database(world, url, homeFolder(world, flags));
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
    const { maskUrl } = await import("../adapters/mod.ts");
    if (this.#url !== undefined) return `psql '${maskUrl(this.#url)}'`;
    const usual = homeFolder(this.#world, {}) === this.#home;
    const start = `${this.#world.command} db start${usual ? "" : ` --home '${this.#home}'`}`;
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

/** Tells how to open psql on it. */
export async function tellHow(world: World, database: Database): Promise<void> {
  const how = (await database.howToConnect()).replaceAll("\n", "\n  ");
  const where = database.started ? " in the Postgres that Sluice brought along" : "";
  tell(world, `Look at it${where}:\n  ${how}`);
}
