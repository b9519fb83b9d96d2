import { buildCommand } from "@stricli/core";
import { findDags } from "./dags.ts";
import { Database, homeFolder, type PlaceFlags } from "./database.ts";
import * as flags from "./flags.ts";
import { messageOf, print, tell, UsageError, verb, type World } from "./world.ts";

interface ServeFlags extends PlaceFlags {
  readonly port: number;
  readonly dags?: string;
}

/** `sluice serve`: the HTTP API. */
export const serve = buildCommand<ServeFlags, [], World>({
  func: verb(async (world, options: ServeFlags & { json?: boolean }) => {
    const found = await findDags(world, options.dags);
    for (const fault of found.faults) tell(world, fault);
    await using database = await Database.from(world, options);
    const { engine } = await import("../engine/mod.ts");
    const { server } = await import("../server/mod.ts");
    await using etl = await engine({
      dags: [...found.dags.values()],
      home: homeFolder(world, options),
      connections: { database: database.connect },
      log: ({ at, level, run, task, message }) =>
        tell(world, `${at} ${level} ${run} ${task}: ${message}`),
    });
    const http = listen(
      world,
      options.port,
      server(etl, { onError: (error) => tell(world, messageOf(error)) }).fetch,
    );
    await http.finished;
    // Asked to stop: that is how a server ends well.
    return 0;
  }),
  parameters: {
    flags: {
      port: {
        kind: "parsed",
        parse: (text: string) => {
          const port = Number(text);
          if (Number.isInteger(port) && port >= 0 && port < 65536) return port;
          throw new RangeError("a port is a number up to 65535");
        },
        default: "8080",
        placeholder: "PORT",
        brief: "The port to listen on; 0 for a free one",
      },
      dags: flags.dags,
      database: flags.database,
      home: flags.home,
    },
  },
  docs: {
    brief: "Serve the HTTP API",
    fullDescription: [
      "Listens on 127.0.0.1, where programs of this machine can trigger DAGs and see how they fare.",
      "",
      "Examples:",
      "  sluice serve --port 8080",
      "  curl -X POST localhost:8080/api/dags/yellow_taxi/runs \\",
      "    -H 'content-type: application/json' -d '{\"logical_date\": \"2021-01-02\"}'",
      "  curl localhost:8080/api/runs/manual__20210102T060000Z",
    ].join("\n"),
  },
});

function listen(
  world: World,
  port: number,
  fetch: (request: Request) => Response | Promise<Response>,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({
      hostname: "127.0.0.1",
      port,
      signal: world.signal,
      onListen: (address) => print(world, `Sluice listens on http://127.0.0.1:${address.port}`),
    }, fetch);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new UsageError(
      `Cannot listen on port ${port}: somebody else does; choose another with --port`,
    );
  }
}
