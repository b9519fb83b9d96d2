import { z } from "zod";
import { isDone, type Run } from "../engine/mod.ts";
import { Id, named, RunHead, runHead, whole } from "./_documents.ts";
import { type Route, route } from "./_route.ts";
import { findDag, type Site, tell } from "./_site.ts";
import { LETTERS } from "./letters.ts";

const letters = Object.entries(LETTERS).map(([state, letter]) => `${letter} ${state}`).join(", ");

const Instances = z.strictObject({ instances: z.int(), done: z.int(), failed: z.int() });

const Column = RunHead.extend({
  states: z.string().meta({ description: `a letter for each of the tasks: ${letters}` }),
  mapped: z.record(z.string(), Instances).meta({ description: "how mapped tasks fare" }),
}).register(named, { id: "GridRun" });

export const GridSchema = z.strictObject({
  tasks: z.array(z.string()).meta({
    description: "the DAG's own, then those that runs still have",
  }),
  runs: z.array(Column).meta({ description: "by logical date, the latest last" }),
}).register(named, { id: "Grid" });

/** What is remembered of a run. */
interface Cells {
  readonly version: number;
  readonly tasks: readonly string[];
  readonly states: string;
  readonly mapped: z.input<typeof Column>["mapped"];
}

/** How many runs are remembered: what became of them is read again only when they changed. */
const REMEMBERED = 1000;

/** What becomes of a DAG's tasks, run by run, in few bytes. */
export function gridRoutes(site: Site): Route[] {
  const { engine } = site;
  const known = new Map<string, Cells>();
  return [
    route({
      method: "get",
      path: "/api/dags/{id}/grid",
      access: "viewer",
      summary: "Show the states of all tasks in the last runs",
      parameters: z.object({ id: Id }),
      query: z.strictObject({ runs: whole(1, 500).default(100) }),
      answers: { 200: { description: "Runs and their tasks' states", schema: GridSchema } },
      handle: async ({ c, path, query }) => {
        const dag = findDag(site, path.id);
        const heads = await engine.runs({
          dag: dag.id,
          limit: query.runs,
          order: "logical_date",
          tasks: false,
        });
        const columns = [];
        for (const head of heads.toReversed()) columns.push([head, await cellsOf(head)] as const);
        const all = new Set([
          ...dag.tasks.keys(),
          ...columns.flatMap(([, { tasks }]) => tasks),
        ]);
        const tasks = [...all];
        return tell(site, c, {
          tasks,
          runs: columns.map(([run, cells]) => ({
            ...runHead(run),
            states: inOrder(cells, tasks),
            mapped: cells.mapped,
          })),
        });
      },
    }),
  ];

  async function cellsOf(head: Run): Promise<Cells> {
    const same = known.get(head.id);
    if (same?.version === head.version) return same;
    const run = await engine.get(head.id) ?? head;
    const cells = {
      version: run.version,
      tasks: Object.keys(run.tasks),
      states: Object.values(run.tasks).map(({ state }) => LETTERS[state]).join(""),
      mapped: Object.fromEntries(
        Object.entries(run.mapped).map(([id, instances]) => [id, {
          instances: instances.length,
          done: instances.filter(({ state }) => isDone(state)).length,
          failed: instances.filter(({ state }) => /failed/.test(state)).length,
        }]),
      ),
    };
    if (known.size >= REMEMBERED) known.clear();
    known.set(head.id, cells);
    return cells;
  }
}

/** The states of a run by the order of these tasks; a run may have other ones than its DAG has now. */
function inOrder({ tasks, states }: Cells, order: readonly string[]): string {
  if (tasks.length === order.length && tasks.every((id, i) => id === order[i])) return states;
  const letters = new Map(tasks.map((id, i) => [id, states[i]!]));
  return order.map((id) => letters.get(id) ?? LETTERS.none).join("");
}
