import { buildCommand } from "@stricli/core";
import type { Instance, Mark } from "../engine/mod.ts";
import { openControl } from "./control.ts";
import * as flags from "./flags.ts";
import { countPlaces, placeDocuments, placeLines, readPlaces, together } from "./places.ts";
import { print, tell, UsageError, verb, type World } from "./world.ts";

interface MarkFlags {
  readonly dryRun: boolean;
  readonly home?: string;
  readonly dags?: string;
  readonly json: boolean;
}

/** `sluice mark RUN [TASK…] success|failed`: a state that somebody says. */
export const mark = buildCommand<MarkFlags, [string, ...string[]], World>({
  func: verb<MarkFlags, [string, ...string[]]>(async (world, options, id, ...words) => {
    const { dryRun, json } = options;
    const { to, names } = readWords(words);
    const isWhole = names.length === 0;
    // A run that is marked ends here, its teardowns included; of single tasks nothing begins.
    await using control = await openControl(world, { ...options, does: isWhole ? "work" : "note" });
    await control.run(id);
    const chosen: (readonly Instance[])[] = [];
    for (const place of readPlaces(names)) {
      chosen.push(await control.mark(id, to, { ...place, dryRun }));
    }
    if (isWhole && !dryRun && !control.serves) await control.done(id, world.signal);
    const marked = together(chosen);
    const run = await control.run(id);
    if (json) {
      const instances = placeDocuments(marked);
      print(
        world,
        JSON.stringify({ run_id: id, to, dry_run: dryRun, state: run.state, instances }),
      );
    } else if (dryRun) {
      print(world, [...placeLines(marked), countPlaces(marked)].join("\n"));
    } else {print(
        world,
        isWhole ? `${id} is marked as ${to}` : `Marked ${countPlaces(marked)} as ${to}`,
      );}
    if (
      !isWhole && !dryRun && !control.serves && (run.state === "queued" || run.state === "running")
    ) {
      tell(world, `The run goes on with the next \`${world.command} serve\``);
    }
    return 0;
  }),
  parameters: {
    positional: {
      kind: "array",
      parameter: {
        parse: String,
        placeholder: "RUN [TASK…] success|failed",
        brief: "The run, tasks or groups of it (load, load[3]) or else all of it, and what it is",
      },
      minimum: 2,
    },
    flags: { dryRun: flags.dryRun, dags: flags.dags, home: flags.home, json: flags.json },
  },
  docs: {
    brief: "Say that a task, or a run, is a success or failed",
    fullDescription: [
      "Marks TASKs of RUN, or the run as a whole. What runs of it is stopped. What comes behind a task",
      "that is marked as a success and could not run for it is tried again. A run that is marked as",
      "failed still runs its teardowns.",
      "",
      "Examples:",
      "  sluice mark scheduled__20210102T060000Z download success",
      "  sluice mark scheduled__20210102T060000Z 'load[7]' failed",
      "  sluice mark scheduled__20210102T060000Z failed",
    ].join("\n"),
  },
});

/** What is to be marked, and as what: that comes last. */
function readWords(words: readonly string[]): { to: Mark; names: readonly string[] } {
  const to = words.at(-1);
  if (to === "success" || to === "failed") return { to, names: words.slice(0, -1) };
  throw new UsageError(`Say what to mark it as: the last word is success or failed, not "${to}"`);
}
