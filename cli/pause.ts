import { buildCommand } from "@stricli/core";
import { openControl } from "./control.ts";
import * as flags from "./flags.ts";
import { print, verb, type World } from "./world.ts";

interface PauseFlags {
  readonly home?: string;
  readonly dags?: string;
  readonly json: boolean;
}

/** `sluice pause DAG`: a DAG that is to start nothing. */
export const pause = buildCommand<PauseFlags, [string], World>({
  func: verb(async (world, options, id) => {
    await using control = await openControl(world, { ...options, does: "note" });
    await control.pause(id);
    print(
      world,
      options.json
        ? JSON.stringify({ dag: id, paused: true })
        : `"${id}" is paused: what runs finishes, nothing else of it starts`,
    );
    return 0;
  }),
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ parse: String, placeholder: "DAG", brief: "The id of the DAG" }],
    },
    flags: { dags: flags.dags, home: flags.home, json: flags.json },
  },
  docs: {
    brief: "Have a DAG start nothing",
    fullDescription: [
      "Has DAG make no runs by itself, and start no task: what runs finishes, what was made by hand",
      "waits. It lasts until `unpause`, also from one `serve` to the next.",
      "",
      "Examples:",
      "  sluice pause yellow_taxi",
    ].join("\n"),
  },
});
