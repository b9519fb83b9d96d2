import { buildCommand } from "@stricli/core";
import { demoServer } from "./_demo_server.ts";
import { Database, tellHow } from "./database.ts";
import * as flags from "./flags.ts";
import { several, table } from "./format.ts";
import { loadsOf } from "./loaded.ts";
import { runDag } from "./run.ts";
import { print, tell, verb, type World } from "./world.ts";

interface DemoFlags {
  readonly rows?: number;
  readonly database?: string;
  readonly home?: string;
  readonly json: boolean;
}

/** `sluice demo`: the main job, without any network or server. */
export const demo = buildCommand<DemoFlags, [], World>({
  func: verb(async (world, options) => {
    // DATABASE_URL may lead to tables somebody needs: a demonstration takes no such hint.
    const env = { ...world.process.env, DATABASE_URL: undefined };
    const here: World = { ...world, process: { ...world.process, env } };
    const { default: taxi } = await import("../dags/yellow_taxi.ts");
    await using months = await demoServer({
      signal: world.signal,
      ...options.rows === undefined ? {} : { rows: options.rows },
    });
    tell(world, `Three months of yellow taxis, made up, are served at ${months.url}`);
    await using database = await Database.from(here, options);
    const range = {
      from: "2021-01-01",
      to: "2021-03-28",
      param: [["base", months.url]] as const,
      json: options.json,
    };
    // Each time at another port: what is downloaded is worth nothing to the next demonstration.
    const outcome = await runDag(here, { dag: taxi }, range, database, undefined);
    if (outcome.state !== "success") return 1;
    if (options.json) return 0;
    const loads = outcome.runs.flatMap(({ tasks }) =>
      tasks.flatMap(({ output }) => loadsOf(output))
    );
    print(world, table(loads.map((load) => [load.table, several(load.rows, "row")]), "  "));
    const columns = loads[0]!.columns.map(({ name, type }) => [name, type]);
    print(world, `each with ${columns.length} columns:\n${table(columns, "  ")}`);
    await tellHow(here, database);
    return 0;
  }),
  parameters: {
    flags: {
      rows: {
        kind: "parsed",
        parse: (text: string) => {
          const rows = /^\d+$/.test(text) ? Number(text) : NaN;
          if (Number.isSafeInteger(rows)) return rows;
          throw new RangeError("give a whole number, 0 or more");
        },
        optional: true,
        placeholder: "N",
        brief: "Make each month that small [1,369,765 and 1,371,708 and 1,925,152]",
      },
      database: {
        ...flags.database,
        brief: "The Postgres to use [one of our own in the home folder]",
      },
      home: flags.home,
      json: flags.json,
    },
  },
  docs: {
    brief: "Load three months of made-up taxi rides, without any network",
    fullDescription: [
      "Serves three months of made-up rides of New York's yellow taxis on this machine, in the real",
      "files' shape and number of rows, and has the DAG yellow_taxi stream them into three tables.",
      "",
      "Examples:",
      "  sluice demo",
      "  sluice demo --rows 10000 --json",
    ].join("\n"),
  },
});
