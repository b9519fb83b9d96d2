import { buildCommand, buildRouteMap } from "@stricli/core";
import { join } from "node:path";
import { kill } from "node:process";
import { homeFolder } from "./database.ts";
import * as flags from "./flags.ts";
import { count } from "./format.ts";
import { messageOf, print, tell, UsageError, verb, type World } from "./world.ts";

interface StateFlags {
  readonly home?: string;
  readonly json: boolean;
}

const parameters = { flags: { home: flags.home, json: flags.json } } as const;

const check = buildCommand<StateFlags, [], World>({
  func: verb(async (world, options) => {
    const home = homeFolder(world, options);
    await mustBeThere(home);
    const { checkState } = await import("../engine/mod.ts");
    const { runs, events, problems } = checkState(home);
    const writer = await writerOf(home);
    const ok = problems.length === 0;
    if (options.json) {
      print(world, JSON.stringify({ home, ok, runs, events, writer: writer ?? null, problems }));
    } else if (ok) {
      const who = writer === undefined
        ? "nobody writes to it"
        : writer.running
        ? `process ${writer.pid} writes to it`
        : `process ${writer.pid} wrote to it and died; the next one goes on`;
      print(world, `${home}: ${count(runs)} runs of ${count(events)} events, all is well; ${who}`);
    }
    for (const problem of problems) tell(world, problem);
    if (ok) return 0;
    tell(world, `\`${world.command} state repair\` makes the runs anew from their events.`);
    return 1;
  }),
  parameters,
  docs: {
    brief: "Look whether the state in the home folder is sound",
    fullDescription: [
      "Has SQLite check the database, makes each run anew from its events and compares it with what is",
      "stored, and tells which process holds the folder. Nothing is changed; it works beside a `serve`.",
      "Exit code 1 when something is wrong.",
      "",
      "Examples:",
      "  sluice state check",
      "  sluice state check --home /var/lib/sluice --json",
    ].join("\n"),
  },
});

const repair = buildCommand<StateFlags, [], World>({
  func: verb(async (world, options) => {
    const home = homeFolder(world, options);
    await mustBeThere(home);
    const { checkState, repairState } = await import("../engine/mod.ts");
    if (checkState(home).problems.length === 0) {
      if (options.json) print(world, JSON.stringify({ home, repaired: false }));
      else print(world, "All is well: nothing was changed.");
      return 0;
    }
    const { backup, runs, events, lost } = repairState(home);
    if (options.json) {
      print(world, JSON.stringify({ home, repaired: true, backup, runs, events, lost }));
    } else {
      print(world, `Made ${count(runs)} runs anew of ${count(events)} events.`);
      print(world, `What there was is in ${backup}`);
    }
    for (const sentence of lost) tell(world, sentence);
    return 0;
  }),
  parameters,
  docs: {
    brief: "Make a damaged state anew from its events",
    fullDescription: [
      "Does nothing when `state check` finds nothing. Else it reads the events that can still be read and",
      "makes a new database of them: each run as it was before the first event that is lost. The old one",
      "is kept beside it. Stop `serve` before.",
      "",
      "Examples:",
      "  sluice state repair",
      "  sluice state repair --json",
    ].join("\n"),
  },
});

/** `sluice state`: the state in the home folder. */
export const state = buildRouteMap({
  routes: { check, repair },
  docs: {
    brief: "Check and repair what is remembered of runs",
    fullDescription: [
      "Sluice keeps what happened in state.db in the home folder: the events of each run, and the run",
      "that they make.",
      "",
      "Examples:",
      "  sluice state check",
      "  sluice state repair",
    ].join("\n"),
  },
});

/** The process that holds a home folder, or held it when it died. */
export interface Writer {
  readonly pid: number;
  /** Whether it lives. */
  readonly running: boolean;
  /** Where its API listens. */
  readonly address?: string;
}

/** Looks who holds a home folder; undefined when nobody does. */
export async function writerOf(home: string): Promise<Writer | undefined> {
  let info: { pid?: unknown; address?: unknown };
  try {
    info = JSON.parse(await Deno.readTextFile(join(home, "engine.json")));
  } catch {
    return undefined;
  }
  if (typeof info.pid !== "number") return undefined;
  const { address } = info;
  return {
    pid: info.pid,
    running: isRunning(info.pid),
    ...typeof address === "string" ? { address } : {},
  };
}

function isRunning(pid: number): boolean {
  try {
    kill(pid, 0);
    return true;
  } catch (error) {
    // It is there, but somebody else's.
    return messageOf(error).includes("EPERM");
  }
}

async function mustBeThere(home: string): Promise<void> {
  try {
    await Deno.stat(join(home, "state.db"));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UsageError(`Cannot find a state in ${home}: nothing has run there yet`, {
      cause: error,
    });
  }
}
