import { z } from "zod";
import { Id, named } from "./_documents.ts";
import { type Route, route } from "./_route.ts";
import { findDag, type Site, tell } from "./_site.ts";

const Day = z.strictObject({
  day: z.iso.date().meta({ description: "in the DAG's time zone" }),
  queued: z.int(),
  running: z.int(),
  success: z.int(),
  failed: z.int(),
  last: z.string().meta({ description: "the run of the latest logical date" }),
}).register(named, { id: "Day" });

export const CalendarSchema = z.strictObject({ days: z.array(Day) });

/** How many runs are counted. */
const MOST = 10_000;

/** How the runs of a DAG fared, day by day. */
export function calendarRoutes(site: Site): Route[] {
  const { engine } = site;
  return [
    route({
      method: "get",
      path: "/api/dags/{id}/calendar",
      access: "viewer",
      summary: `Count the last ${
        MOST.toLocaleString("en-US")
      } runs by the day of their logical date`,
      parameters: z.object({ id: Id }),
      answers: { 200: { description: "The days that have runs", schema: CalendarSchema } },
      handle: async ({ c, path }) => {
        const dag = findDag(site, path.id);
        const zone = dag.options.timezone ?? "UTC";
        const runs = await engine.runs({
          dag: dag.id,
          limit: MOST,
          order: "logical_date",
          tasks: false,
        });
        const days = new Map<string, z.input<typeof Day>>();
        for (const { id, state, logicalDate } of runs.toReversed()) {
          const day = Temporal.Instant.from(logicalDate).toZonedDateTimeISO(zone).toPlainDate()
            .toString();
          const known = days.get(day) ??
            { day, queued: 0, running: 0, success: 0, failed: 0, last: id };
          known[state]++;
          known.last = id;
          days.set(day, known);
        }
        return tell(site, c, { days: [...days.values()] });
      },
    }),
  ];
}
