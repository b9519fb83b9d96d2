import { buildCommand } from "@stricli/core";
import type { ClearOptions, Instance } from "../engine/mod.ts";
import { confirm, type ConfirmFlags } from "./confirm.ts";
import { openControl, whenItStarts } from "./control.ts";
import * as flags from "./flags.ts";
import { several } from "./format.ts";
import {
  countPlaces,
  placeDocuments,
  placeLines,
  placeName,
  type Places,
  readPlaces,
  together,
} from "./places.ts";
import { print, tell, verb, type World } from "./world.ts";

interface ClearFlags extends ConfirmFlags {
  readonly upstream: boolean;
  readonly downstream: boolean;
  readonly past: boolean;
  readonly future: boolean;
  readonly onlyFailed: boolean;
  readonly index?: readonly number[];
  readonly fresh: boolean;
  readonly home?: string;
  readonly dags?: string;
  readonly json: boolean;
}

/** `sluice clear RUN [TASK…]`: tasks that are to run again. */
export const clear = buildCommand<ClearFlags, [string, ...string[]], World>({
  func: verb<ClearFlags, [string, ...string[]]>(async (world, options, id, ...names) => {
    const { upstream, downstream, past, future, onlyFailed, index, fresh, json } = options;
    const selection = { upstream, downstream, past, future, onlyFailed };
    const places = readPlaces(names, index);
    await using control = await openControl(world, { ...options, does: "note" });
    const run = await control.run(id);
    const clearAll = async (dryRun: boolean, more: ClearOptions = {}): Promise<Instance[]> => {
      const one = (place: Places) =>
        control.clear(id, { ...place, ...selection, fresh, dryRun, ...more });
      const chosen: (readonly Instance[])[] = [];
      for (const place of places) chosen.push(await one(place));
      return together(chosen);
    };
    const document = (dry_run: boolean, instances: readonly Instance[]): string =>
      JSON.stringify({ run_id: id, dry_run, instances: placeDocuments(instances) });
    const meant = await clearAll(true);
    const listing = meant.length > 0
      ? [...placeLines(meant), countPlaces(meant)].join("\n")
      : "There is nothing to clear";
    if (!downstream && meant.length > 0) {
      const behind = await clearAll(true, { downstream: true, onlyFailed: true });
      const left = leftBehind(meant, behind);
      if (left !== undefined) tell(world, left);
    }
    if (options.dryRun || meant.length === 0) {
      print(world, json ? document(true, meant) : listing);
      return 0;
    }
    if (!await confirm(world, options, listing, "Clear them?")) {
      if (json) print(world, document(true, meant));
      return 1;
    }
    const cleared = await clearAll(false);
    print(world, json ? document(false, cleared) : `Cleared ${countPlaces(cleared)}`);
    const note = whenItStarts(world, control, await control.dag(run.dag));
    if (note !== undefined) tell(world, note);
    return 0;
  }),
  parameters: {
    positional: {
      kind: "array",
      parameter: {
        parse: String,
        placeholder: "RUN [TASK…]",
        brief: "The id of the run, and of tasks or groups of it: load, load[3] [all tasks]",
      },
      minimum: 1,
    },
    flags: {
      upstream: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "The tasks before them, too",
      },
      downstream: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "The tasks behind them, too; those that read what they put out come in any case",
      },
      past: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "In the runs of earlier logical dates, too",
      },
      future: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "In the runs of later logical dates, too",
      },
      onlyFailed: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Of all these only what failed",
      },
      index: {
        kind: "parsed",
        parse: instanceNumber,
        variadic: true,
        optional: true,
        placeholder: "N",
        brief: "Of a mapped TASK only instance N; may be given again",
      },
      fresh: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Download anew, whatever is kept of it",
      },
      dryRun: flags.dryRun,
      yes: flags.yes,
      dags: flags.dags,
      home: flags.home,
      json: flags.json,
    },
  },
  docs: {
    brief: "Have tasks of a run run again",
    fullDescription: [
      "Puts tasks of RUN back to where they have not begun, with all their retries, and the run goes on.",
      "What runs is stopped first. A task that reads what a cleared one put out comes along, others behind",
      "it with --downstream. What was downloaded is kept, so a cleared load downloads nothing. It lists what it is about and asks, or",
      "goes ahead with --yes.",
      "",
      "Examples:",
      "  sluice clear scheduled__20210102T060000Z load --dry-run",
      "  sluice clear scheduled__20210102T060000Z --only-failed --yes",
      "  sluice clear scheduled__20210102T060000Z load --future --yes",
      "  sluice clear scheduled__20210102T060000Z 'load[7]' --yes",
      "  sluice clear scheduled__20210102T060000Z download --fresh --yes",
    ].join("\n"),
  },
});

/** Says which of those behind them do not begin anew though they failed, or could not begin. */
function leftBehind(meant: readonly Instance[], behind: readonly Instance[]): string | undefined {
  const cleared = new Set(meant.map((one) => placeName(one, true)));
  const left = behind.filter((one) => !cleared.has(placeName(one, true)));
  if (left.length === 0) return undefined;
  const names = [...new Set(left.map(({ task }) => task))];
  const some = names.slice(0, 3).join(", ") + (names.length > 3 ? ", …" : "");
  return `${several(left.length, "task instance")} behind them (${some}) ` +
    `${left.length === 1 ? "stays" : "stay"} failed or upstream_failed: --downstream clears ` +
    `${left.length === 1 ? "it" : "them"}, too`;
}

function instanceNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new RangeError("instances count from 0");
}
