import { buildApplication, buildRouteMap, run } from "@stricli/core";
import { db } from "./db.ts";
import { demo } from "./demo.ts";
import { load } from "./load.ts";
import { run as runVerb } from "./run.ts";
import { serve } from "./serve.ts";
import type { World } from "./world.ts";

/** Sluice's version. */
export const VERSION = "0.1.0";

const app = buildApplication(
  buildRouteMap({
    routes: { load, run: runVerb, demo, serve, db },
    docs: {
      brief: "Streams into Postgres, and DAGs of them",
      fullDescription: [
        "Sluice pipes downloads through decompression and CSV parsing into Postgres, and runs DAGs of such",
        "tasks on their schedules. `sluice VERB --help` teaches a verb by example.",
        "",
        "Start here:",
        "  sluice load https://example.com/trips.csv.gz --into trips",
        "  sluice demo",
        "",
        "Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 130 interrupted.",
      ].join("\n"),
    },
  }),
  {
    name: "sluice",
    versionInfo: { currentVersion: VERSION },
    scanner: { caseStyle: "allow-kebab-for-camel", allowArgumentEscapeSequence: true },
    documentation: { disableAnsiColor: true },
  },
);

/** Runs the command line; returns the exit code. */
export async function sluice(world: World, args: readonly string[]): Promise<number> {
  await run(app, args.length === 0 ? ["--help"] : args, world);
  const code = Number(world.process.exitCode ?? 0);
  // stricli tells its own faults, such as an unknown flag, by negative codes.
  return code < 0 || code > 130 ? 2 : code;
}
