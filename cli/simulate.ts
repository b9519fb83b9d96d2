import { buildCommand } from "@stricli/core";
import type { AnyDag, SimulateOptions, Simulation } from "../engine/mod.ts";
import { loadDags, pickDag } from "./dags.ts";
import * as flags from "./flags.ts";
import { several, table } from "./format.ts";
import { momentInWords } from "./outlook.ts";
import { fromUser, print, tell, verb, type World } from "./world.ts";

interface SimulateFlags {
  readonly from: string;
  readonly to: string;
  readonly now?: string;
  readonly catchup?: Catchup;
  readonly pausedUntil?: string;
  readonly dags?: string;
  readonly json: boolean;
}

type Catchup = NonNullable<SimulateOptions["catchup"]>;

/** `sluice simulate DAG`: the runs a DAG would make by itself. */
export const simulate = buildCommand<SimulateFlags, [string], World>({
  func: verb(async (world, { dags, json, ...options }, id) => {
    const { simulate } = await import("../engine/mod.ts");
    const found = await loadDags(world, dags);
    const { dag } = pickDag(found, id);
    for (const fault of found.faults) tell(world, fault);
    const simulation = fromUser(() => simulate(dag, options));
    if (json) print(world, JSON.stringify({ dag: dag.id, ...simulation }));
    else print(world, page(dag, simulation));
    return 0;
  }),
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ parse: String, placeholder: "DAG", brief: "The id of the DAG" }],
    },
    flags: {
      from: {
        kind: "parsed",
        parse: String,
        placeholder: "A",
        brief: "Tell of the runs whose logical dates lie between A …",
      },
      to: {
        kind: "parsed",
        parse: String,
        placeholder: "B",
        brief: "… and B, both inclusive",
      },
      now: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "T",
        brief: "Activate the DAG at T and tell what it makes at once, and nothing later",
      },
      catchup: {
        kind: "parsed",
        parse: catchup,
        optional: true,
        placeholder: "all|latest|none",
        brief: "Which of the missed intervals to make up for [as the DAG says]",
      },
      pausedUntil: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "T",
        brief: "The DAG is paused until T",
      },
      dags: flags.dags,
      json: flags.json,
    },
  },
  docs: {
    brief: "Tell which runs a DAG would make by itself",
    fullDescription: [
      "Lets a clock of its own go over a range, and tells which runs DAG would make by the rules of its",
      "schedule: no task is run, and nothing is written down. Days on which the clocks are changed are",
      "flagged. Without --now and --paused-until the DAG is active all the while, so it misses nothing;",
      "with them, what it missed is made up for as --catchup says.",
      "",
      "Examples:",
      "  sluice simulate yellow_taxi --from 2021-01-01 --to 2021-03-28",
      "  sluice simulate yellow_taxi --from 2021-01-01 --to 2021-03-28 --now 2021-03-15 --catchup latest",
      "  sluice simulate yellow_taxi --from 2021-01-01 --to 2021-12-31 --paused-until 2021-02-15 --json",
    ].join("\n"),
  },
});

function catchup(text: string): Catchup {
  if (text === "all" || text === "true") return "all";
  if (text === "latest" || text === "false") return "latest";
  if (text === "none") return "none";
  throw new SyntaxError("it is one of all, latest, none");
}

/** The runs in lines, in the time of the DAG's zone. */
function page(dag: AnyDag, { runs, notes }: Simulation): string {
  const zone = dag.options.timezone ?? "UTC";
  const words = (moment: string): string =>
    momentInWords(Temporal.Instant.from(moment).toZonedDateTimeISO(zone));
  const rows = runs.map(({ interval: { start, end }, dst }) => {
    const flag = dst === "gap" ? "clocks go forward" : dst ? "clocks go back" : "";
    return [words(start), `until ${words(end)}`, flag];
  });
  const total = `${several(runs.length, "run")} of ${dag.id}, ` +
    `each made at the end of its interval; times are those of ${zone}`;
  return [...rows.length > 0 ? [table(rows)] : [], total, ...notes.map((note) => `${note}.`)].join(
    "\n",
  );
}
