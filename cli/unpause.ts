import { buildCommand } from "@stricli/core";
import { openControl } from "./control.ts";
import * as flags from "./flags.ts";
import { several } from "./format.ts";
import { print, tell, verb, type World } from "./world.ts";

interface UnpauseFlags {
  readonly all: boolean;
  readonly home?: string;
  readonly dags?: string;
  readonly json: boolean;
}

/** `sluice unpause DAG`: a DAG that is to start by itself again. */
export const unpause = buildCommand<UnpauseFlags, [string], World>({
  func: verb(async (world, options, id) => {
    const { all, json } = options;
    await using control = await openControl(world, { ...options, does: "note" });
    const { due, held } = await control.unpause(id, { all });
    if (json) print(world, JSON.stringify({ dag: id, paused: false, due, held: held ?? null }));
    else if (held !== undefined) {
      print(world, `"${id}" is no longer paused, but held. ${held}`);
      tell(world, `Start them all: ${world.command} unpause ${id} --all`);
    } else {
      const when = control.serves ? "at once" : `with the next \`${world.command} serve\``;
      const what = due === 0
        ? "no run is due"
        : `${several(due, "run")} ${due === 1 ? "starts" : "start"} ${when}`;
      print(world, `"${id}" is no longer paused: ${what}`);
    }
    return 0;
  }),
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ parse: String, placeholder: "DAG", brief: "The id of the DAG" }],
    },
    flags: {
      all: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Start all that is due, be it more than 1000 runs",
      },
      dags: flags.dags,
      home: flags.home,
      json: flags.json,
    },
  },
  docs: {
    brief: "Have a DAG start by itself again",
    fullDescription: [
      "Has DAG make its runs by itself, and says how many are due by now: as its catchup says, all that",
      "it missed, the latest, or none; as many at once as its maxActiveRuns allows. When more than 1000",
      "are due none starts, until --all says that this is meant.",
      "",
      "Examples:",
      "  sluice unpause yellow_taxi",
      "  sluice unpause hourly_since_1999 --all",
    ].join("\n"),
  },
});
