import { buildCommand, buildRouteMap } from "@stricli/core";
import { homeFolder } from "./database.ts";
import * as flags from "./flags.ts";
import { print, tell, UsageError, verb, type World } from "./world.ts";

interface DbFlags {
  readonly home?: string;
  readonly json: boolean;
}

const parameters = { flags: { home: flags.home, json: flags.json } } as const;

const start = buildCommand<DbFlags, [], World>({
  func: verb(async (world, options) => {
    const { embeddedPostgres } = await import("../adapters/mod.ts");
    const home = homeFolder(world, options);
    await using server = await embeddedPostgres(home, {
      keep: true,
      signal: world.signal,
      log: (message) => tell(world, message),
    });
    if (options.json) print(world, JSON.stringify({ url: server.url, data: server.data }));
    else {print(
        world,
        `Postgres runs, and stays until \`${world.command} db stop\`. Open it with:\n  ${server.psql}`,
      );}
    return 0;
  }),
  parameters,
  docs: { brief: "Start the embedded Postgres and keep it running" },
});

const stop = buildCommand<DbFlags, [], World>({
  func: verb(async (world, options) => {
    const { stopEmbedded } = await import("../adapters/mod.ts");
    const stopped = await stopEmbedded(homeFolder(world, options));
    if (options.json) print(world, JSON.stringify({ stopped }));
    else print(world, stopped ? "Postgres is stopped." : "Postgres was not running.");
    return 0;
  }),
  parameters,
  docs: { brief: "Stop it" },
});

const url = buildCommand<DbFlags, [], World>({
  func: verb(async (world, options) => {
    const { findEmbedded } = await import("../adapters/mod.ts");
    const server = await findEmbedded(homeFolder(world, options));
    if (!server) {
      throw new UsageError(
        `The embedded Postgres does not run; start it: ${world.command} db start`,
      );
    }
    print(world, options.json ? JSON.stringify({ url: server.url }) : server.url);
    return 0;
  }),
  parameters,
  docs: {
    brief: "Print where it is, password included",
    fullDescription: 'Prints the URL of the embedded Postgres, for: psql "$(sluice db url)"',
  },
});

/** `sluice db start|stop|url`: the Postgres that Sluice brings along. */
export const db = buildRouteMap({
  routes: { start, stop, url },
  docs: { brief: "Start, stop or find the embedded Postgres" },
});
