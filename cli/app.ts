import {
  ArgumentScannerError,
  buildApplication,
  buildRouteMap,
  formatMessageForArgumentScannerError,
  run,
  text_en,
} from "@stricli/core";
import { ATTEMPT, serveAttempt } from "./attempt.ts";
import { backfill } from "./backfill.ts";
import { cancel } from "./cancel.ts";
import { clear } from "./clear.ts";
import { db } from "./db.ts";
import { demo } from "./demo.ts";
import { doctor } from "./doctor.ts";
import { init } from "./init.ts";
import { list } from "./list.ts";
import { load } from "./load.ts";
import { logs } from "./logs.ts";
import { mark } from "./mark.ts";
import { pause } from "./pause.ts";
import { rejects } from "./rejects.ts";
import { run as runVerb } from "./run.ts";
import { serve } from "./serve.ts";
import { show } from "./show.ts";
import { simulate } from "./simulate.ts";
import { spool } from "./spool.ts";
import { state } from "./state.ts";
import { trigger } from "./trigger.ts";
import { unpause } from "./unpause.ts";
import { why } from "./why.ts";
import { VERSION } from "./version.ts";
import { messageOf, print, type World } from "./world.ts";

export { VERSION } from "./version.ts";

const verbs = buildRouteMap({
  routes: {
    list,
    show,
    logs,
    load,
    run: runVerb,
    demo,
    serve,
    trigger,
    cancel,
    clear,
    mark,
    pause,
    unpause,
    backfill,
    why,
    simulate,
    state,
    spool,
    rejects,
    db,
    init,
    doctor,
  },
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
});

/** Runs the command line; returns the exit code. */
export async function sluice(world: World, args: readonly string[]): Promise<number> {
  if (args[0] === ATTEMPT) return await serveAttempt(world, args[1]);
  const faults: string[] = [];
  const fault = (message: string): string => {
    faults.push(message);
    return `sluice: ${message}`;
  };
  const app = buildApplication(verbs, {
    name: "sluice",
    versionInfo: { currentVersion: VERSION },
    scanner: { caseStyle: "allow-kebab-for-camel", allowArgumentEscapeSequence: true },
    documentation: { disableAnsiColor: true },
    localization: {
      text: {
        ...text_en,
        exceptionWhileParsingArguments: (error) => fault(explain(error)),
        noCommandRegisteredForInput: ({ input, corrections }) =>
          fault(
            `there is no verb ${JSON.stringify(input)}${
              meant(input.startsWith("-") ? [] : corrections)
            }`,
          ),
      },
    },
  });
  await run(app, args.length === 0 ? ["--help"] : args, world);
  // What a verb did not come to say, since its flags could not be read.
  if (faults.length > 0 && args.includes("--json")) {
    print(world, JSON.stringify({ error: { message: faults.join("; ") } }));
  }
  const code = Number(world.process.exitCode ?? 0);
  // stricli tells its own faults, such as an unknown flag, by negative codes.
  return code < 0 || code > 130 ? 2 : code;
}

/** A fault of the command line in a sentence. */
function explain(error: unknown): string {
  if (!(error instanceof ArgumentScannerError)) return messageOf(error);
  return formatMessageForArgumentScannerError(error, {
    ArgumentParseError: ({ externalFlagNameOrPlaceholder: name, input, exception }) =>
      `Cannot use ${JSON.stringify(input)} for --${name}: ${messageOf(exception)}`,
    EnumValidationError: ({ externalFlagName: name, input, values }) =>
      `Cannot use ${JSON.stringify(input)} for --${name}: it is one of ${values.join(", ")}`,
    FlagNotFoundError: ({ input, corrections }) =>
      `there is no flag ${dashed(input)}${meant(ELSEWHERE[input] ?? corrections.map(dashed))}`,
    AliasNotFoundError: ({ input }) =>
      `there is no flag -${input}; flags are written out, as --help`,
    UnexpectedPositionalError: ({ input }) =>
      `there is no use for ${JSON.stringify(input)}: a word too many`,
    UnsatisfiedFlagError: ({ externalFlagName: name }) => `--${name} is missing, or has no value`,
    UnsatisfiedPositionalError: ({ placeholder }) => `${placeholder} is missing`,
  });
}

/** Flags of other programs, and what they are here. */
const ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  table: ["--into"],
  file: ["SOURCE, without a flag"],
  db: ["--database"],
  dsn: ["--database"],
  sep: ["--delimiter"],
  separator: ["--delimiter"],
};

function dashed(name: string): string {
  return `--${name}`;
}

function meant(corrections: readonly string[]): string {
  return corrections.length > 0 ? `; did you mean ${corrections.join(" or ")}?` : "";
}
