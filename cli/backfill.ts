import { buildCommand } from "@stricli/core";
import type { Reprocess } from "../engine/mod.ts";
import { confirm, type ConfirmFlags } from "./confirm.ts";
import {
  type BackfillDocument,
  checkWait,
  type DagFacts,
  ended,
  openControl,
  whenItStarts,
} from "./control.ts";
import type { PlaceFlags } from "./database.ts";
import * as flags from "./flags.ts";
import { several, table } from "./format.ts";
import { momentInWords } from "./outlook.ts";
import { readParams } from "./params.ts";
import { endedRun } from "./run_view.ts";
import { print, tell, verb, type World } from "./world.ts";

interface BackfillFlags extends PlaceFlags, ConfirmFlags {
  readonly from: string;
  readonly to: string;
  readonly reprocess: Reprocess;
  readonly reverse: boolean;
  readonly maxActiveRuns?: number;
  readonly param?: readonly (readonly [string, string])[];
  readonly wait: boolean;
  readonly dags?: string;
  readonly json: boolean;
}

/** `sluice backfill DAG`: the runs of a range. */
export const backfill = buildCommand<BackfillFlags, [string], World>({
  func: verb(async (world, options, id) => {
    const { from, to, reprocess, reverse, maxActiveRuns, wait, json } = options;
    const does = wait && !options.dryRun ? "work" : "note";
    await using control = await openControl(world, { ...options, does });
    const dag = await control.dag(id);
    const order = {
      ...{ from, to, reprocess, reverse },
      ...maxActiveRuns === undefined ? {} : { maxActiveRuns },
      params: readParams(id, dag.params, options.param ?? []),
    };
    const plan = await control.backfill(id, { ...order, dryRun: true });
    const page = listing(dag, plan);
    if (options.dryRun || plan.create.length + plan.clear.length === 0) {
      print(world, json ? JSON.stringify({ dag: id, ...plan }) : page);
      return 0;
    }
    if (does === "work") checkWait(world, control, dag);
    if (!await confirm(world, options, page, "Make them?")) {
      if (json) print(world, JSON.stringify({ dag: id, ...plan }));
      return 1;
    }
    const done = await control.backfill(id, { ...order, dryRun: false });
    const note = wait && !control.serves ? undefined : whenItStarts(world, control, dag);
    if (note !== undefined) tell(world, note);
    if (!wait) {
      print(world, json ? JSON.stringify({ dag: id, ...done }) : total(dag, done));
      return 0;
    }
    const tellOf = json ? () => {} : (run: Parameters<typeof endedRun>[0]) => {
      tell(world, endedRun(run));
    };
    const over = await ended(world, control, done.runs, tellOf);
    const failed = over.filter(({ state }) => state !== "success").length;
    const state = failed === 0 ? "success" : "failed";
    if (json) print(world, JSON.stringify({ dag: id, ...done, state, ended: over }));
    else {
      const which = failed === 0 ? "" : ` of which ${failed} failed`;
      print(world, `${id}: ${state}, ${several(over.length, "run")}${which}`);
    }
    return failed === 0 ? 0 : 1;
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
        brief: "The runs whose logical dates lie between A …",
      },
      to: {
        kind: "parsed",
        parse: String,
        placeholder: "B",
        brief: "… and B, both inclusive",
      },
      reprocess: {
        kind: "enum",
        values: ["none", "failed", "completed", "missing"],
        default: "none",
        brief: "Which of the runs that exist are run again; missing is another word for none",
      },
      reverse: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "The latest first",
      },
      maxActiveRuns: {
        kind: "parsed",
        parse: (text: string) => {
          if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
          throw new RangeError("give a whole number, 1 or more");
        },
        optional: true,
        placeholder: "N",
        brief: "How many of its runs may be under way at once [as the DAG says]",
      },
      param: flags.param,
      dryRun: flags.dryRun,
      yes: flags.yes,
      wait: flags.wait,
      dags: flags.dags,
      database: flags.database,
      home: flags.home,
      json: flags.json,
    },
  },
  docs: {
    brief: "Make the runs of a range that are missing",
    fullDescription: [
      "Makes a run of DAG for each interval of its schedule in a range that has none, and has those run",
      "again that --reprocess says. A run that exists is never doubled, and what the schedule does next",
      "does not change. It lists what it is about and asks, or goes ahead with --yes. The `serve` that",
      "holds the home folder starts the runs. When none does, they wait for the next one; with --wait",
      "they are run here.",
      "",
      "Examples:",
      "  sluice backfill yellow_taxi --from 2021-01-01 --to 2021-03-28 --dry-run",
      "  sluice backfill yellow_taxi --from 2021-01-01 --to 2021-03-28 --reprocess failed --yes",
      "  sluice backfill yellow_taxi --from 2021-01-01 --to 2021-03-28 --reverse --max-active-runs 2 --yes",
    ].join("\n"),
  },
});

/** What it would do, in lines; times are those of the DAG's zone. */
function listing(dag: DagFacts, plan: BackfillDocument): string {
  const words = (instant: string): string =>
    momentInWords(Temporal.Instant.from(instant).toZonedDateTimeISO(dag.timezone));
  const rows = [
    ...plan.create.map(({ start, end }) => ["make", words(start), `until ${words(end)}`]),
    ...plan.clear.map((run) => ["run again", run]),
    ...plan.skip.map(({ interval, reason }) => ["leave", words(interval.start), reason]),
  ];
  const left = plan.skip.length > 0 ? `, ${plan.skip.length} left as they are` : "";
  const total = `${several(plan.create.length, "run")} of ${dag.id} to make, ` +
    `${plan.clear.length} to run again${left}; times are those of ${dag.timezone}`;
  return [...rows.length > 0 ? [table(rows, "  ")] : [], total].join("\n");
}

function total({ id }: DagFacts, { create, clear }: BackfillDocument): string {
  const again = clear.length > 0 ? `, ${clear.length} to run again` : "";
  return `${several(create.length, "run")} of ${id} made${again}`;
}
