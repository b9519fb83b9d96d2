import { buildCommand } from "@stricli/core";
import type { PlaceFlags } from "./database.ts";
import * as flags from "./flags.ts";
import { openHost } from "./host.ts";
import { messageOf, print, tell, UsageError, verb, type World } from "./world.ts";

interface ServeFlags extends PlaceFlags {
  readonly host: string;
  readonly port: number;
  readonly dags?: string;
  readonly unpaused: boolean;
  readonly grace: number;
}

/** `sluice serve`: the scheduler and the HTTP API. */
export const serve = buildCommand<ServeFlags, [], World>({
  func: verb(async (world, options: ServeFlags & { json?: boolean }) => {
    const guard = guardOf(world, options.host);
    await using host = await openHost(world, {
      ...options,
      startPaused: !options.unpaused,
      log: ({ at, level, run, task, message }) =>
        tell(world, `${at} ${level} ${run} ${task}: ${message}`),
    });
    const { server } = await import("../server/mod.ts");
    const app = server(host.engine, {
      ...guard,
      onError: (error) => tell(world, messageOf(error)),
    });
    const following = host.follow(world.signal);
    await host.engine.start();
    const http = listen(world, options, app.fetch);
    await http.finished;
    await following;
    tell(world, `Waiting up to ${options.grace} s for tasks to finish; ask again to end at once`);
    await host.engine.drain(AbortSignal.timeout(options.grace * 1000));
    // Asked to stop: that is how a server ends well.
    return 0;
  }),
  parameters: {
    flags: {
      host: {
        kind: "parsed",
        parse: String,
        default: "127.0.0.1",
        placeholder: "H",
        brief: "The address to listen on; any but this machine's own asks for a SLUICE_TOKEN",
      },
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
      unpaused: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Have DAGs that are new start by themselves at once; else they wait to be unpaused",
      },
      grace: {
        kind: "parsed",
        parse: (text: string) => {
          const seconds = Number(text);
          if (text.trim() !== "" && seconds >= 0 && seconds <= 86_400) return seconds;
          throw new RangeError("give a number of seconds, up to a day's");
        },
        default: "30",
        placeholder: "SECONDS",
        brief: "How long tasks may take to finish when it is asked to stop",
      },
      dags: flags.dags,
      database: flags.database,
      home: flags.home,
    },
  },
  docs: {
    brief: "Run DAGs on their schedules, and serve the HTTP API",
    fullDescription: [
      "Runs DAGs when they are due, until it is stopped; what it knows is kept in the home folder, and",
      "it goes on from there when it is started again. DAGs are read again when their files change.",
      "Asked to stop (Ctrl-C, SIGTERM), it begins nothing any more and gives tasks time to finish;",
      "what does not is made again at the next start.",
      "",
      "Listens on 127.0.0.1, where programs of this machine can trigger DAGs and see how they fare.",
      "With --host it listens elsewhere, but only with a token in SLUICE_TOKEN, which each request",
      "must bring as `authorization: Bearer …`.",
      "",
      "Examples:",
      "  sluice serve --port 8080",
      "  curl -X POST localhost:8080/api/dags/yellow_taxi/runs \\",
      "    -H 'content-type: application/json' -d '{\"logical_date\": \"2021-01-02\"}'",
      "  curl localhost:8080/api/runs/manual__20210102T060000Z",
    ].join("\n"),
  },
});

/** The names of this machine itself, as a request has them. */
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** Who may ask: on this machine whoever asks for this machine, elsewhere who has the token. */
function guardOf(world: World, host: string): { token?: string; hosts?: readonly string[] } {
  const token = world.process.env["SLUICE_TOKEN"] || undefined;
  if (host === "::1" || LOOPBACK.includes(host)) {
    return { hosts: LOOPBACK, ...token ? { token } : {} };
  }
  if (token) return { token };
  throw new UsageError(
    `Cannot listen on ${host} for everybody: put a token into SLUICE_TOKEN, which requests then must bring`,
  );
}

function listen(
  world: World,
  { host, port }: ServeFlags,
  fetch: (request: Request) => Response | Promise<Response>,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({
      hostname: host,
      port,
      signal: world.signal,
      onListen: (address) => {
        const name = host.includes(":") ? `[${host}]` : host;
        print(world, `Sluice listens on http://${name}:${address.port}`);
      },
    }, fetch);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) {
      throw new UsageError(`Cannot listen on ${host}, port ${port}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    throw new UsageError(
      `Cannot listen on port ${port}: somebody else does; choose another with --port`,
    );
  }
}
