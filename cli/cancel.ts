import { buildCommand } from "@stricli/core";
import { openControl } from "./control.ts";
import * as flags from "./flags.ts";
import { print, verb, type World } from "./world.ts";

interface CancelFlags {
  readonly home?: string;
  readonly dags?: string;
  readonly json: boolean;
}

/** `sluice cancel RUN`: a run is to end. */
export const cancel = buildCommand<CancelFlags, [string], World>({
  func: verb(async (world, options, id) => {
    await using control = await openControl(world, { ...options, does: "work" });
    const before = await control.run(id);
    const wasOver = before.state === "success" || before.state === "failed";
    const { run_id, dag, state } = wasOver ? before : await control.cancel(id);
    if (options.json) print(world, JSON.stringify({ run_id, dag, state, cancelled: !wasOver }));
    else if (wasOver) print(world, `${run_id} was over already: ${state}`);
    else if (state === "failed") print(world, `${run_id} is cancelled`);
    else print(world, `${run_id} is being cancelled: its tasks are told to stop`);
    return 0;
  }),
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ parse: String, placeholder: "RUN", brief: "The id of the run" }],
    },
    flags: { dags: flags.dags, home: flags.home, json: flags.json },
  },
  docs: {
    brief: "End a run",
    fullDescription: [
      "Ends RUN as failed: what has not begun is left out, what runs is stopped, and the teardowns of",
      "setups that succeeded still run. A run that is over stays as it is.",
      "",
      "Examples:",
      "  sluice cancel manual__20210102T060000Z",
    ].join("\n"),
  },
});
