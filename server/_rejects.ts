import { z } from "zod";
import type { Json } from "../engine/mod.ts";
import { Flag, Moment, named, whole } from "./_documents.ts";
import { type Route, route } from "./_route.ts";
import { definedOf } from "./_runs.ts";
import { type Site, tell } from "./_site.ts";
import { byRequest } from "./_trigger.ts";

export const RefusedTable = z.strictObject({
  schema: z.string(),
  table: z.string(),
  rejects: z.string().meta({ description: "the table that has them" }),
  waiting: z.int(),
  replayed: z.int(),
  rules: z.record(z.string(), z.int()).meta({ description: "how many broke which rule" }),
  loads: z.int(),
  last: Moment.nullable(),
}).register(named, { id: "RefusedTable" });

const Row = z.record(z.string(), z.unknown());

export const RefusedRow = z.strictObject({
  id: z.string(),
  load: z.string(),
  run: z.string(),
  source: z.string().nullable(),
  record: z.int().meta({ description: "which of the source, from 1" }),
  line: z.int().nullable(),
  from: z.int().nullable().meta({ description: "the byte at which it begins" }),
  to: z.int().nullable(),
  column: z.string().nullable(),
  rule: z.string(),
  message: z.string(),
  raw: z.string().meta({ description: "as it stood in the source" }),
  bytes: z.string().nullable().meta({ description: "the same in base64, where text is not it" }),
  row: Row.nullable().meta({ description: "as far as it could be read" }),
  refused: Moment,
  replayed: Moment.nullable(),
}).register(named, { id: "RefusedRow" });

const Name = z.string().min(1).max(500);
const RejectId = z.string().regex(/^\d{1,18}$/, "it is the id of a reject");

const ReplayBody = z.strictObject({
  table: Name,
  schema: Name.optional(),
  ids: z.array(RejectId).max(10_000).optional()
    .meta({ description: "only these; without, all that can be tried as they are" }),
  rows: z.array(z.strictObject({ id: RejectId, row: Row })).max(10_000).optional()
    .meta({ description: "corrected ones: values by column; those left out stay the record's" }),
});

const ReplayOutcome = z.strictObject({
  table: z.string(),
  replayed: z.int(),
  rejected: z.int().meta({ description: "refused again" }),
  skipped: z.int().meta({ description: "replayed before, or with nothing to try" }),
}).register(named, { id: "ReplayOutcome" });

/** What can be asked of rows that were refused. */
export function rejectRoutes(site: Site): Route[] {
  const { rejects } = site;
  if (!rejects) return [];
  return [
    route({
      method: "get",
      path: "/api/rejects",
      access: "viewer",
      summary: "List the tables that have rejects",
      answers: {
        200: {
          description: "All of them",
          schema: z.strictObject({ tables: z.array(RefusedTable) }),
        },
      },
      handle: async ({ c }) => tell(site, c, { tables: await rejects.tables() }),
    }),
    route({
      method: "get",
      path: "/api/rejects/rows",
      access: "viewer",
      summary: "List the rows that a table refused, the oldest first",
      query: z.strictObject({
        table: Name,
        schema: Name.optional(),
        after: RejectId.optional().meta({ description: "`next` of the page before" }),
        limit: whole(1, 1000).default(100),
        all: Flag.meta({ description: "those that were replayed, too" }),
      }),
      answers: {
        200: {
          description: "A page of them; `next` asks for the page behind it",
          schema: z.strictObject({ rows: z.array(RefusedRow), next: z.string().nullable() }),
        },
      },
      handle: async ({ c, query: { limit, ...query } }) => {
        const order = { ...definedOf(query), limit: limit + 1 };
        const found = await byRequest(() => rejects.rows(order));
        const rows = found.slice(0, limit);
        return tell(site, c, { rows, next: found.length > limit ? rows.at(-1)!.id : null });
      },
    }),
    route({
      method: "post",
      path: "/api/rejects/replay",
      access: "runner",
      summary: "Put rejects into their table, as they are or corrected, once",
      body: ReplayBody,
      answers: { 200: { description: "What became of them", schema: ReplayOutcome } },
      handle: async ({ c, body: { rows, ...order } }) => {
        const corrected = rows as { id: string; row: Record<string, Json> }[] | undefined;
        const replay = definedOf({ ...order, rows: corrected });
        return tell(site, c, await byRequest(() => rejects.replay(replay)));
      },
    }),
  ];
}
