import { z } from "zod";
import { clearSpool, datasetsOf, listSpool, type SpoolEntry, unfinished } from "../engine/mod.ts";
import { Moment, named } from "./_documents.ts";
import { Metrics, PROMETHEUS } from "./_metrics.ts";
import { type Route, route } from "./_route.ts";
import { type Site, tell } from "./_site.ts";
import { Refusal } from "./refusal.ts";
import { ROLES } from "./tokens.ts";

const Pool = z.strictObject({
  name: z.string(),
  slots: z.int(),
  used: z.int(),
  waiting: z.int().meta({ description: "slots that tasks which could start wait for" }),
}).register(named, { id: "Pool" });

export const DatasetRow = z.strictObject({
  name: z.string(),
  written_by: z.array(z.strictObject({ dag: z.string(), task: z.string() })),
  schedules: z.array(z.string()).meta({ description: "the DAGs that are scheduled on it" }),
}).register(named, { id: "Dataset" });

const SpoolFile = z.strictObject({
  key: z.string().nullable(),
  validator: z.string().nullable(),
  bytes: z.number(),
  whole: z.boolean(),
  last_used: Moment,
  run: z.string().nullable(),
  task: z.string().nullable(),
  busy: z.boolean(),
  load: z.string().optional()
    .meta({ description: "the table of a load that goes on with it (`load --resume`)" }),
}).register(named, { id: "SpoolFile" });

const TokenRow = z.strictObject({
  id: z.string(),
  role: z.enum(ROLES),
  name: z.string(),
  created: Moment,
}).register(named, { id: "Token" });

const Status = z.strictObject({ status: z.string() });

/** How long the state may take to answer, in milliseconds, until the server is not ready. */
const READY = 2000;

/** What can be asked of the whole. */
export function systemRoutes(site: Site): Route[] {
  const { engine, store, home, tokens, version } = site;
  const metrics = new Metrics(engine);
  return [
    route({
      method: "get",
      path: "/healthz",
      access: "anyone",
      summary: "Whether the process lives",
      answers: { 200: { description: "It does", schema: Status } },
      handle: ({ c }) => tell(site, c, { status: "ok" }),
    }),
    route({
      method: "get",
      path: "/readyz",
      access: "anyone",
      summary: "Whether it can do what it is asked",
      answers: {
        200: { description: "It can", schema: Status },
        503: { description: "Its state cannot be read" },
      },
      handle: async ({ c }) => {
        const { promise, resolve } = Promise.withResolvers<boolean>();
        const timer = setTimeout(() => resolve(false), READY);
        engine.runs({ limit: 1 }).then(() => resolve(true), (error) => {
          site.onError(error);
          resolve(false);
        });
        const ready = await promise;
        clearTimeout(timer);
        if (ready) return tell(site, c, { status: "ready" });
        throw new Refusal(503, "the state cannot be read; the log of the server says why");
      },
    }),
    route({
      method: "get",
      path: "/api/version",
      access: "viewer",
      summary: "Which version this is",
      answers: {
        200: {
          description: "It, and that of its runtime",
          schema: z.strictObject({ name: z.string(), version: z.string(), deno: z.string() }),
        },
      },
      handle: ({ c }) => tell(site, c, { name: "sluice", version, deno: Deno.version.deno }),
    }),
    route({
      method: "get",
      path: "/metrics",
      access: "viewer",
      summary: "What there is to measure, as Prometheus reads it",
      answers: { 200: { description: "Gauges and counters", text: PROMETHEUS } },
      handle: async ({ c }) =>
        c.text(site.mask.text(await metrics.text(await pools())), 200, {
          "content-type": PROMETHEUS,
        }),
    }),
    route({
      method: "get",
      path: "/api/pools",
      access: "viewer",
      summary: "List the pools, and how many of their slots are taken",
      answers: {
        200: {
          description: "All of them",
          schema: z.strictObject({ pools: z.array(Pool) }),
        },
      },
      handle: async ({ c }) => tell(site, c, { pools: await pools() }),
    }),
    route({
      method: "get",
      path: "/api/datasets",
      access: "viewer",
      summary: "List the datasets: who writes them, and who waits for them",
      answers: {
        200: {
          description: "All that DAGs speak of, by name",
          schema: z.strictObject({ datasets: z.array(DatasetRow) }),
        },
      },
      handle: ({ c }) => tell(site, c, { datasets: datasets() }),
    }),
    route({
      method: "get",
      path: "/api/spool",
      access: "viewer",
      summary: "List what is kept of downloads and between tasks",
      answers: {
        200: {
          description: "The last used first",
          schema: z.strictObject({ bytes: z.number(), files: z.array(SpoolFile) }),
        },
      },
      handle: ({ c }) => {
        const files = home === undefined ? [] : listSpool(home);
        return tell(site, c, { bytes: sum(files), files: files.map(file) });
      },
    }),
    route({
      method: "post",
      path: "/api/spool/clear",
      access: "admin",
      summary: "Remove what no unfinished run needs",
      body: z.strictObject({
        key: z.string().max(10_000).optional().meta({ description: "only what is kept of this" }),
      }),
      answers: {
        200: {
          description: "What is gone, and what is still needed",
          schema: z.strictObject({
            freed: z.number(),
            removed: z.array(SpoolFile),
            kept: z.array(SpoolFile),
          }),
        },
      },
      handle: async ({ c, body: { key } }) => {
        if (home === undefined) throw new Refusal(404, "this server has no home folder");
        const { removed, kept } = await clearSpool(home, {
          ...store ? unfinished(store) : {},
          ...key === undefined ? {} : { key },
        });
        const freed = sum(removed);
        return tell(site, c, { freed, removed: removed.map(file), kept: kept.map(file) });
      },
    }),
    ...tokens ? tokenRoutes() : [],
  ];

  function tokenRoutes(): Route[] {
    return [
      route({
        method: "get",
        path: "/api/tokens",
        access: "admin",
        summary: "List who may ask",
        answers: {
          200: {
            description: "All that are kept; none of them itself",
            schema: z.strictObject({ tokens: z.array(TokenRow) }),
          },
        },
        handle: ({ c }) => tell(site, c, { tokens: tokens!.list() }),
      }),
      route({
        method: "post",
        path: "/api/tokens",
        access: "admin",
        summary: "Make a token; it is told this once",
        body: z.strictObject({ role: z.enum(ROLES), name: z.string().min(1).max(200) }),
        answers: {
          201: { description: "The token", schema: TokenRow.extend({ token: z.string() }) },
        },
        // The one answer that is a secret itself.
        handle: async ({ c, body }) => c.json(await tokens!.create(body.role, body.name), 201),
      }),
      route({
        method: "delete",
        path: "/api/tokens/{id}",
        access: "admin",
        summary: "Forget a token",
        parameters: z.object({ id: z.string() }),
        answers: { 204: { description: "It lets nobody in any more" } },
        handle: async ({ c, path: { id } }) => {
          if (await tokens!.remove(id)) return c.body(null, 204);
          throw new Refusal(404, `there is no token ${JSON.stringify(id)}`);
        },
      }),
    ];
  }

  async function pools(): Promise<z.input<typeof Pool>[]> {
    const all = new Map(
      Object.entries(site.pools).map(([name, slots]) => [name, { slots, used: 0, waiting: 0 }]),
    );
    for (const run of await engine.runs({ state: "running" })) {
      for (const [id, summary] of Object.entries(run.tasks)) {
        const { pool = "default", slots = 1 } = engine.dags.get(run.dag)?.tasks.get(id)?.options ??
          {};
        const at = all.get(pool);
        if (!at) continue;
        for (const { state } of run.mapped[id] ?? [summary]) {
          if (state === "running") at.used += slots;
          if (state === "scheduled" || state === "queued") at.waiting += slots;
        }
      }
    }
    return [...all].map(([name, at]) => ({ name, ...at }));
  }

  function datasets(): z.input<typeof DatasetRow>[] {
    const all = new Map<string, z.input<typeof DatasetRow>>();
    const at = (name: string) => {
      const row = all.get(name) ?? { name, written_by: [], schedules: [] };
      all.set(name, row);
      return row;
    };
    for (const dag of engine.dags.values()) {
      for (const { name } of datasetsOf(dag.options.schedule) ?? []) {
        at(name).schedules.push(dag.id);
      }
      for (const { id, options } of dag.tasks.values()) {
        for (const { name } of options.writes ?? []) {
          at(name).written_by.push({ dag: dag.id, task: id });
        }
      }
    }
    return [...all.values()].sort((a, b) => a.name < b.name ? -1 : 1);
  }
}

function file({ used, ...entry }: SpoolEntry): z.input<typeof SpoolFile> {
  return { ...entry, last_used: used };
}

function sum(files: readonly SpoolEntry[]): number {
  return files.reduce((total, { bytes }) => total + bytes, 0);
}
