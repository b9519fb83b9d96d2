import { z } from "zod";
import { isOver, type Run } from "../engine/mod.ts";
import { Id, named, RunState, Span, spanDocument } from "./_documents.ts";
import { type Route, route } from "./_route.ts";
import { definedOf } from "./_runs.ts";
import { findDag, type Site, tell } from "./_site.ts";
import { byRequest } from "./_trigger.ts";
import { Refusal } from "./refusal.ts";

const Body = z.strictObject({
  from: z.string().max(100).meta({ description: "the first logical date" }),
  to: z.string().max(100).meta({ description: "the last one, inclusive" }),
  reprocess: z.enum(["none", "failed", "completed", "missing"]).default("none")
    .meta({ description: "which of the runs that exist are run again" }),
  reverse: z.boolean().default(false),
  max_active_runs: z.int().min(1).optional(),
  params: z.record(z.string(), z.unknown()).optional(),
  dry_run: z.boolean().default(false),
});

export const PlannedSchema = z.strictObject({
  id: z.string().nullable().meta({ description: "null when nothing was begun" }),
  dry_run: z.boolean(),
  create: z.array(Span),
  clear: z.array(z.string()),
  skip: z.array(
    z.strictObject({ interval: Span, run_id: z.string().nullable(), reason: z.string() }),
  ),
  runs: z.array(z.string()),
}).register(named, { id: "BackfillPlan" });

const Backfill = z.strictObject({
  id: z.string(),
  dag: z.string(),
  max_active_runs: z.int(),
  reverse: z.boolean(),
  state: RunState.meta({
    description: "running until all its runs are over, then failed if one is",
  }),
  counts: z.strictObject({
    queued: z.int(),
    running: z.int(),
    success: z.int(),
    failed: z.int(),
  }),
  runs: z.array(z.strictObject({ run_id: z.string(), logical_date: z.string(), state: RunState })),
}).register(named, { id: "Backfill" });

/** What can be asked of backfills. */
export function backfillRoutes(site: Site): Route[] {
  const { engine } = site;
  const one = { parameters: z.object({ id: z.string().max(100) }) };
  return [
    route({
      method: "post",
      path: "/api/dags/{id}/backfills",
      access: "runner",
      summary: "Make the runs of a range that are missing; a dry run tells which",
      parameters: z.object({ id: Id }),
      body: Body,
      answers: {
        200: {
          description: "What it would do, or that there is nothing to do",
          schema: PlannedSchema,
        },
        201: { description: "What it does", schema: PlannedSchema },
      },
      handle: async ({ c, path, body }) => {
        const dag = findDag(site, path.id);
        const { max_active_runs: maxActiveRuns, dry_run: dryRun, ...rest } = body;
        const options = definedOf({ ...rest, maxActiveRuns, dryRun });
        const { id = null, create, clear, skip, runs } = await byRequest(() =>
          engine.backfill(dag.id, options)
        );
        const plan = {
          id: runs.length > 0 ? id : null,
          dry_run: dryRun,
          create: create.map(spanDocument),
          clear,
          skip: skip.map(({ interval, run = null, reason }) => ({
            interval: spanDocument(interval),
            run_id: run,
            reason,
          })),
          runs,
        };
        if (runs.length === 0) return tell(site, c, plan);
        return tell(site, c, plan, 201, { location: `/api/backfills/${id}` });
      },
    }),
    route({
      method: "get",
      path: "/api/backfills",
      access: "viewer",
      summary: "List backfills, the latest first",
      query: z.strictObject({ dag: Id.optional() }),
      answers: {
        200: {
          description: "All that made runs",
          schema: z.strictObject({ backfills: z.array(Backfill) }),
        },
      },
      handle: async ({ c, query }) => {
        const runs = await engine.runs({ ...definedOf(query), kind: "backfill" });
        const groups = Map.groupBy(runs, ({ backfill }) => backfill?.id);
        groups.delete(undefined);
        return tell(site, c, { backfills: [...groups.values()].map(document) });
      },
    }),
    route({
      method: "get",
      path: "/api/backfills/{id}",
      access: "viewer",
      summary: "Show a backfill: how its runs fare",
      ...one,
      answers: { 200: { description: "The backfill", schema: Backfill } },
      handle: async ({ c, path }) => tell(site, c, document(await find(path.id))),
    }),
    route({
      method: "post",
      path: "/api/backfills/{id}/cancel",
      access: "runner",
      summary: "Cancel the runs of a backfill that are not over",
      ...one,
      body: z.strictObject({}),
      answers: {
        200: {
          description: "The runs that are being stopped",
          schema: z.strictObject({ id: z.string(), cancelled: z.array(z.string()) }),
        },
      },
      handle: async ({ c, path }) => {
        const open = (await find(path.id)).filter((run) => !isOver(run));
        // Those that wait first, so that none of them takes the place of one that is stopped.
        open.sort((a, b) => a.state < b.state ? -1 : 1);
        for (const { id } of open) engine.cancel(id).catch(site.onError);
        return tell(site, c, { id: path.id, cancelled: open.map(({ id }) => id) });
      },
    }),
  ];

  async function find(id: string): Promise<Run[]> {
    const runs = (await engine.runs({ kind: "backfill" })).filter((run) => run.backfill?.id === id);
    if (runs.length > 0) return runs;
    throw new Refusal(404, `there is no backfill ${JSON.stringify(id)}`);
  }
}

function document(runs: readonly Run[]): z.input<typeof Backfill> {
  const [{ dag, backfill }] = runs as readonly [Run];
  const { id, maxActiveRuns, reverse = false } = backfill!;
  const count = (state: Run["state"]): number => runs.filter((run) => run.state === state).length;
  const counts = {
    queued: count("queued"),
    running: count("running"),
    success: count("success"),
    failed: count("failed"),
  };
  const state = counts.queued + counts.running > 0
    ? "running"
    : counts.failed > 0
    ? "failed"
    : "success";
  return {
    id,
    dag,
    max_active_runs: maxActiveRuns,
    reverse,
    state,
    counts,
    runs: runs.map(({ id, logicalDate, state }) => ({
      run_id: id,
      logical_date: logicalDate,
      state,
    })).reverse(),
  };
}
