import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { type Engine, type LogFiles, type Store, webhookSecrets } from "../engine/mod.ts";
import { backfillRoutes } from "./_backfills.ts";
import { calendarRoutes } from "./_calendar.ts";
import { dagRoutes } from "./_dags.ts";
import { eventRoutes } from "./_events.ts";
import { gridRoutes } from "./_grid.ts";
import { hookRoutes } from "./_hooks.ts";
import { servePage } from "./_page.ts";
import { admit, type Env, type Route, route, serveRoutes } from "./_route.ts";
import { loadRoutes } from "./_loads.ts";
import { rejectRoutes } from "./_rejects.ts";
import { previewRoutes } from "./_previews.ts";
import { runRoutes } from "./_runs.ts";
import type { DagSource, Site } from "./_site.ts";
import { systemRoutes } from "./_system.ts";
import { taskRoutes } from "./_tasks.ts";
import { Desk } from "./_trigger.ts";
import { z } from "zod";
import { guard, type GuardOptions } from "./guard.ts";
import type { Load, LoadsQuery } from "./loads.ts";
import { mask } from "./mask.ts";
import { openApi } from "./openapi.ts";
import { openReceipts, type Receipts } from "./receipts.ts";
import type { Rejects } from "./rejects.ts";
import { Refusal } from "./refusal.ts";
import type { Tokens } from "./tokens.ts";

/** Options for {@linkcode server}. */
export interface ServerOptions extends GuardOptions {
  /** That of the engine: with it, events can be resumed, and tasks tell their history. @default {none} */
  readonly store?: Store;
  /** Those of the engine. @default {no log is told} */
  readonly logs?: LogFiles;
  /** That of the engine, whose spool is told of. @default {none} */
  readonly home?: string;
  /** Those of the engine. @default {{ default: 32 }} */
  readonly pools?: Readonly<Record<string, number>>;
  /** Remembers which request made which run. @default {for as long as the process lives} */
  readonly receipts?: Receipts;
  /** Lets admins make and remove tokens. @default {nobody does} */
  readonly tokens?: Tokens;
  /** Where a DAG comes from. @default {nobody knows} */
  readonly source?: (dag: string) => DagSource | undefined;
  /** Looks into the ledger of the database that is loaded into, the latest loads first. @default {nobody does} */
  readonly loads?: (query: LoadsQuery) => Promise<readonly Load[]>;
  /** What that database keeps of rows that were refused. @default {nothing} */
  readonly rejects?: Rejects;
  /** What could not be loaded, in sentences. @default {nothing} */
  readonly faults?: () => readonly string[];
  /** What must not be told, in whatever answer, beside the secrets of webhooks. @default {nothing} */
  readonly secrets?: () => Iterable<string>;
  /** How many runs may wait until triggers are refused. @default {1000} */
  readonly maxQueuedRuns?: number;
  /** After how long without an event those who follow are told that the connection lives, in milliseconds. @default {15_000} */
  readonly heartbeat?: number;
  /** That of Sluice. @default {"0.0.0"} */
  readonly version?: string;
  /** The time. @default {the system's} */
  readonly now?: () => Temporal.Instant;
  /** Takes what went wrong in here; who asked is not told. @default {it is written to the console} */
  readonly onError?: (error: unknown) => void;
}

/**
 * The HTTP API of an engine, to be served alone or mounted in a host's app, as `GET /api/openapi.json` describes it. Errors
 * are `{ error: { message } }`.
 *
 * Unless `auth` says otherwise, whoever gets here may do all: that is for the host's own app to decide.
 */
export function server(engine: Engine, options: ServerOptions = {}): Hono<Env> {
  const { onError = (error) => console.error(error), secrets = () => [] } = options;
  function* allSecrets(): Generator<string> {
    yield* secrets();
    for (const { options } of engine.dags.values()) {
      if (options.webhook) yield* webhookSecrets(options.webhook).good;
    }
  }
  const site: Site = {
    engine,
    store: options.store,
    logs: options.logs,
    home: options.home,
    pools: { default: 32, ...options.pools },
    receipts: options.receipts ?? openReceipts(),
    tokens: options.tokens,
    mask: mask(allSecrets),
    loads: options.loads,
    rejects: options.rejects,
    source: options.source ?? (() => undefined),
    faults: options.faults ?? (() => []),
    maxQueuedRuns: options.maxQueuedRuns ?? 1000,
    heartbeat: options.heartbeat ?? 15_000,
    version: options.version ?? "0.0.0",
    now: options.now ?? Temporal.Now.instant,
    onError,
  };
  const desk = new Desk(site);
  const routes: Route[] = [
    ...systemRoutes(site),
    ...dagRoutes(site),
    ...gridRoutes(site),
    ...calendarRoutes(site),
    ...runRoutes(site, desk),
    ...previewRoutes(site),
    ...taskRoutes(site),
    ...backfillRoutes(site),
    ...loadRoutes(site),
    ...rejectRoutes(site),
    ...eventRoutes(site),
    ...hookRoutes(site, desk),
  ];
  let described: Record<string, unknown> | undefined;
  routes.push(route({
    method: "get",
    path: "/api/openapi.json",
    access: "viewer",
    summary: "This description",
    answers: { 200: { description: "OpenAPI 3.1", schema: z.record(z.string(), z.unknown()) } },
    handle: ({ c }) => c.json(described ??= openApi(routes, site.version)),
  }));

  const app = new Hono<Env>();
  const check = guard(options);
  // Whatever is not matched by a route, is looked for by nobody whose role is not known.
  app.use(check);
  serveRoutes(app, routes);
  servePage(app);
  app.all("*", (c) => {
    admit("viewer", c.get("role"));
    throw new Refusal(404, `there is nothing at ${c.req.path}`);
  });
  app.onError((error, c) => {
    const { status, message, headers } = explain(error);
    if (status === 500 || status === 507) onError(error);
    const text = site.mask.text(message);
    return c.json({ error: { message: text } }, status as ContentfulStatusCode, headers);
  });
  return app;
}

/** What is told of an error to who asked. */
function explain(error: Error): Refusal {
  if (error instanceof Refusal) return error;
  if (isFull(error)) {
    const headers = { "retry-after": "30" };
    return new Refusal(507, "there is no room on the disk to keep that", { headers });
  }
  return new Refusal(500, "something went wrong here; the log of the server says what");
}

/** Whether something went wrong since the disk is full. */
function isFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === "StoreFull" || /database or disk is full|ENOSPC/.test(error.message) ||
    isFull(error.cause);
}
