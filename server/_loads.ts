import { z } from "zod";
import { Id, Moment, named, whole } from "./_documents.ts";
import { type Route, route } from "./_route.ts";
import { definedOf } from "./_runs.ts";
import { type Site, tell } from "./_site.ts";

export const LoadSchema = z.strictObject({
  id: z.string().meta({ description: "grows with each load" }),
  target: z.string().meta({ description: "the table, quoted as SQL has it" }),
  key: z.string().meta({ description: "names the load: of one key, the latest attempt counts" }),
  mode: z.string(),
  dag: z.string().nullable().meta({ description: "null for a load without a DAG" }),
  run_id: z.string().nullable(),
  task: z.string().nullable(),
  attempt: z.int().nullable(),
  rows: z.number(),
  rejected: z.number().meta({ description: "records that were refused" }),
  bytes: z.number(),
  source: z.string().nullable().meta({ description: "where it came from, without secrets" }),
  validator: z.string().nullable().meta({ description: "the ETag of the source, or its time" }),
  sha256: z.string().nullable(),
  unverified: z.boolean().meta({ description: "nothing told where the source ends" }),
  columns: z.array(z.strictObject({ name: z.string(), type: z.string() })),
  began: Moment,
  committed: Moment,
}).register(named, { id: "Load" });

/** What was loaded into tables. */
export function loadRoutes(site: Site): Route[] {
  const { loads } = site;
  if (!loads) return [];
  return [
    route({
      method: "get",
      path: "/api/loads",
      access: "viewer",
      summary: "List what was loaded into tables, the latest first",
      query: z.strictObject({
        target: z.string().max(500).optional(),
        dag: Id.optional(),
        run: Id.optional(),
        limit: whole(1, 1000).default(100),
        before: z.string().regex(/^\d{1,18}$/, "it is the id of a load").optional()
          .meta({ description: "`next` of the page before" }),
      }),
      answers: {
        200: {
          description: "A page of them; `next` asks for the page behind it",
          schema: z.strictObject({ loads: z.array(LoadSchema), next: z.string().nullable() }),
        },
      },
      handle: async ({ c, query: { limit, ...query } }) => {
        const found = await loads({ ...definedOf(query), limit: limit + 1 });
        const page = found.slice(0, limit);
        const next = found.length > limit ? page.at(-1)!.id : null;
        return tell(site, c, {
          loads: page.map(({ run, ...load }) => ({ ...load, run_id: run })),
          next,
        });
      },
    }),
  ];
}
