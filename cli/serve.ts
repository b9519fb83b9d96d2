import { isAbsolute } from "node:path";
import { buildCommand } from "@stricli/core";
import type { PlaceFlags } from "./database.ts";
import * as flags from "./flags.ts";
import { type Host, openHost } from "./host.ts";
import type { Listener, ServerOptions, Tokens } from "../server/mod.ts";
import { VERSION } from "./version.ts";
import { messageOf, print, tell, UsageError, verb, type World } from "./world.ts";

interface ServeFlags extends PlaceFlags {
  readonly host: string;
  readonly port: number;
  readonly dags?: string;
  readonly unpaused: boolean;
  readonly privateNetwork: boolean;
  readonly grace: number;
  readonly keep?: Temporal.Duration;
}

/** `sluice serve`: the scheduler and the HTTP API. */
export const serve = buildCommand<ServeFlags, [], World>({
  func: verb(async (world, options: ServeFlags & { json?: boolean }) => {
    const given = world.process.env["SLUICE_TOKEN"] || undefined;
    const isOpen = isLoopback(options.host) && given === undefined;
    const network = isOpen || options.privateNetwork ? "any" : "public";
    if (network === "public") tell(world, PUBLIC_ONLY);
    await using host = await openHost(world, {
      ...options,
      network,
      startPaused: !options.unpaused,
      log: ({ at, level, run, task, message }) =>
        tell(world, `${at} ${level} ${run} ${task}: ${message}`),
    });
    const { announce, makeToken, openReceipts, openTokens, server } = await import(
      "../server/mod.ts"
    );
    const own = makeToken();
    const tokens = await openTokens(host.home, {
      also: [own, ...given === undefined ? [] : [given]].map((token) => ({ token, role: "admin" })),
    });
    if (!isLoopback(options.host) && given === undefined) await makeFirst(world, tokens);
    using receipts = openReceipts(host.home);
    const onError = (error: unknown): void => tell(world, messageOf(error));
    const app = server(host.engine, {
      store: host.store,
      logs: host.logs,
      home: host.home,
      auth: (token) => token === undefined ? isOpen ? "admin" : undefined : tokens.role(token),
      ...hostsOf(world, options.host),
      secrets: () => secretsOf(world, host, own),
      ...knowledgeOf(host),
      version: VERSION,
      tokens,
      receipts,
      onError,
    });
    const following = host.follow(world.signal);
    await host.engine.start();
    {
      await using http = await listen(options, app.fetch, onError);
      await announce(host.home, { address: http.url, token: own });
      print(world, `Sluice listens on ${http.url}`);
      await aborted(world.signal);
    }
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
        brief: "The address to listen on; any but this machine's own wants a token of each request",
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
      privateNetwork: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Let tasks send requests to private addresses, though others may start runs",
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
      keep: {
        kind: "parsed",
        parse: flags.duration,
        optional: true,
        placeholder: "DURATION",
        brief: "Forget runs that were over longer ago, and their logs, e.g. 90d [they are kept]",
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
      "With --host it listens elsewhere, and each request must bring a token, as `authorization: Bearer …`:",
      "that in SLUICE_TOKEN, or one that is made and shown at the first start. SLUICE_HOSTS has the names",
      "it may be asked for by, when not all.",
      "",
      "Where tokens are wanted, who starts a run may be somebody else: tasks then send requests to public",
      'addresses alone, unless their code says `network: "any"`, or --private-network is given.',
      "",
      "Examples:",
      "  sluice serve --port 8080",
      "  curl -X POST localhost:8080/api/dags/yellow_taxi/runs \\",
      "    -H 'content-type: application/json' -d '{\"logical_date\": \"2021-01-02\"}'",
      "  curl localhost:8080/api/runs/manual__20210102T060000Z",
    ].join("\n"),
  },
});

/** Told where others may choose, by a param, where a task's requests go. */
const PUBLIC_ONLY =
  "Tasks may send requests to public addresses alone; --private-network lets them to private ones, too";

/** The names of this machine itself, as a request has them. */
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** Whether only this machine gets to an address. */
function isLoopback(host: string): boolean {
  return host === "::1" || LOOPBACK.includes(host);
}

/** The names a server may be asked for by: on this machine its own, elsewhere those it was told, if any. */
function hostsOf(world: World, host: string): { readonly hosts?: readonly string[] } {
  const told = (world.process.env["SLUICE_HOSTS"] ?? "").split(",")
    .map((name) => name.trim().toLowerCase()).filter((name) => name !== "");
  if (isLoopback(host)) return { hosts: [...LOOPBACK, ...told] };
  return told.length > 0 ? { hosts: [...LOOPBACK, ...told] } : {};
}

/** Makes a token when nobody has one, and shows it: only its hash is kept. */
async function makeFirst(world: World, tokens: Tokens): Promise<void> {
  if (tokens.list().some(({ role }) => role === "admin")) return;
  const { token } = await tokens.create("admin", "made when serve first listened for others");
  tell(world, `The token of an admin, shown this once: ${token}`);
}

/** What must not be told by any answer. */
function* secretsOf(
  { process: { env } }: World,
  { database }: Host,
  own: string,
): Generator<string> {
  yield own;
  for (const name of ["SLUICE_TOKEN", "PGPASSWORD"]) if (env[name]) yield env[name];
  yield* database.secrets;
}

/** What the server is told that it cannot find out: where DAGs come from, and what the database knows. */
function knowledgeOf(
  { files, database }: Host,
): Required<Pick<ServerOptions, "source" | "faults" | "loads" | "rejects">> {
  return {
    source(id) {
      const known = files().dags.get(id);
      if (!known) return undefined;
      const { file, hash } = known;
      return { file, hash, ...isAbsolute(file) ? { read: () => Deno.readTextFile(file) } : {} };
    },
    faults: () => files().faults,
    async loads(query) {
      const { listLoads } = await import("../operators/mod.ts");
      const connection = await database.find();
      return connection ? await listLoads(connection, query) : [];
    },
    rejects: rejectsOf(database),
  };
}

/** What the database keeps of rows that were refused. */
function rejectsOf(database: Host["database"]): NonNullable<ServerOptions["rejects"]> {
  return {
    async tables() {
      const { listRejectTables } = await import("../operators/mod.ts");
      const connection = await database.find();
      return connection ? await listRejectTables(connection) : [];
    },
    async rows(query) {
      const { listRejects } = await import("../operators/mod.ts");
      const connection = await database.find();
      return connection ? await asRequested(listRejects(connection, query)) : [];
    },
    async replay(order) {
      const { replayRejects } = await import("../operators/mod.ts");
      return await asRequested(replayRejects(await database.connect(), order));
    },
  };
}

/** What was asked for in vain is the request's fault. @throws {TypeError} */
async function asRequested<T>(answer: Promise<T>): Promise<T> {
  const { GiveUp } = await import("../engine/mod.ts");
  return await answer.catch((error) => {
    throw error instanceof GiveUp ? new TypeError(error.message, { cause: error }) : error;
  });
}

async function listen(
  { host, port }: ServeFlags,
  fetch: (request: Request) => Response | Promise<Response>,
  onError: (error: unknown) => void,
): Promise<Listener> {
  const { listen } = await import("../server/mod.ts");
  try {
    return await listen(fetch, { host, port, onError });
  } catch (cause) {
    if ((cause as { code?: string }).code !== "EADDRINUSE") {
      throw new UsageError(`Cannot listen on ${host}, port ${port}: ${messageOf(cause)}`, {
        cause,
      });
    }
    throw new UsageError(
      `Cannot listen on port ${port}: somebody else does; choose another with --port`,
      { cause },
    );
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
