import { buildCommand } from "@stricli/core";
import { openControl } from "./control.ts";
import * as flags from "./flags.ts";
import { print, verb, type World } from "./world.ts";

interface WhyFlags {
  readonly home?: string;
  readonly dags?: string;
  readonly json: boolean;
}

/** `sluice why RUN TASK`: the scheduler's own reasons. */
export const why = buildCommand<WhyFlags, [string, string], World>({
  func: verb(async (world, options, id, task) => {
    await using control = await openControl(world, { ...options, does: "look" });
    const { state } = await control.run(id);
    const reasons = await control.why(id, task);
    print(
      world,
      options.json ? JSON.stringify({ run_id: id, state, task, reasons }) : reasons.join("\n"),
    );
    return 0;
  }),
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [
        { parse: String, placeholder: "RUN", brief: "The id of the run" },
        { parse: String, placeholder: "TASK", brief: "One of its tasks, or an instance: load[3]" },
      ],
    },
    flags: { dags: flags.dags, home: flags.home, json: flags.json },
  },
  docs: {
    brief: "Say why a task does not run, or what became of it",
    fullDescription: [
      "Tells in sentences what TASK of RUN waits for, or how it ended: the reasons of the scheduler",
      "itself. It only looks.",
      "",
      "Examples:",
      "  sluice why scheduled__20210102T060000Z load",
      "  sluice why scheduled__20210102T060000Z 'load[7]' --json",
    ].join("\n"),
  },
});
