import { buildCommand } from "@stricli/core";
import {
  isOver,
  type LogFiles,
  type LogKey,
  type LogLine,
  type Run,
  type Store,
} from "../engine/mod.ts";
import { homeFolder } from "./database.ts";
import * as flags from "./flags.ts";
import { openHistory } from "./history.ts";
import { print, tell, UsageError, verb, type World } from "./world.ts";

interface LogsFlags {
  readonly attempt?: number;
  readonly follow: boolean;
  readonly home?: string;
  readonly json: boolean;
}

/** How often it looks for more, in milliseconds. */
const POLL = 200;
/** How long the last lines of an attempt may take to be written after it is known to be over, in milliseconds. */
const LATE = 500;

/** `sluice logs RUN [TASK]`: what a run's tasks had to say. */
export const logs = buildCommand<LogsFlags, [string, string?], World>({
  func: verb<LogsFlags, [string, string?]>(async (world, options, id, task) => {
    await using history = await openHistory(world, options);
    const run = await pickRun(history, id);
    if (task !== undefined && !Object.hasOwn(run.tasks, task)) {
      const there = Object.keys(run.tasks).map((known) => `"${known}"`).join(", ") || "none";
      throw new UsageError(`Cannot find task "${task}" in run "${id}"; there are: ${there}`);
    }
    const { logFiles } = await import("../engine/mod.ts");
    const files = logFiles(homeFolder(world, options), { mode: "read" });
    const reader = new LogReader(files, task, options.attempt);
    const lines: LogLine[] = [];
    const take = (more: readonly LogLine[]): void => {
      if (options.json) lines.push(...more);
      else for (const line of more) print(world, text(line, task === undefined));
    };
    const ended = options.follow
      ? await follow(history!, run, reader, take, world.signal)
      : (take(await reader.read(run)), run);
    if (options.json) {
      const { id: run_id, dag, state } = ended;
      print(world, JSON.stringify({ run_id, dag, state, lines: lines.map(document) }));
    } else if (options.follow) tell(world, `${ended.id}: ${ended.state}`);
    return 0;
  }),
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [
        { parse: String, placeholder: "RUN", brief: "The id of the run" },
        { parse: String, placeholder: "TASK", brief: "The id of one of its tasks", optional: true },
      ],
    },
    flags: {
      attempt: {
        kind: "parsed",
        parse: (text: string) => {
          if (/^[1-9]\d*$/.test(text)) return Number(text);
          throw new RangeError("attempts count from 1");
        },
        optional: true,
        placeholder: "N",
        brief: "Only the lines of attempt N [all attempts]",
      },
      follow: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Go on with new lines until the run is over",
      },
      home: flags.home,
      json: flags.json,
    },
  },
  docs: {
    brief: "Print what a run's tasks had to say",
    fullDescription: [
      "Prints the log lines of RUN, or of one of its TASKs, those of all attempts in the order of their",
      "times. It only looks, and works beside a `serve`.",
      "",
      "Examples:",
      "  sluice logs scheduled__20210102T060000Z",
      "  sluice logs scheduled__20210102T060000Z load --attempt 2",
      "  sluice logs scheduled__20210102T060000Z --follow",
    ].join("\n"),
  },
});

/** Looks a run up. @throws {UsageError} naming the last ones there were */
export async function pickRun(history: Store | undefined, id: string): Promise<Run> {
  const run = await history?.get(id);
  if (run) return run;
  const last = await history?.list({ limit: 5 }) ?? [];
  const there = last.map((known) => `"${known.id}"`).join(", ") || "none";
  throw new UsageError(`Cannot find run "${id}"; the last ones are: ${there}`);
}

/** Reads the logs of a run on and on: each line once. */
class LogReader {
  readonly #files: LogFiles;
  readonly #task: string | undefined;
  readonly #attempt: number | undefined;
  /** How far each log was read. */
  readonly #offsets = new Map<string, number>();

  constructor(files: LogFiles, task: string | undefined, attempt: number | undefined) {
    this.#files = files;
    this.#task = task;
    this.#attempt = attempt;
  }

  /** The lines that came since it was last called, in the order of their times. */
  async read(run: Run): Promise<LogLine[]> {
    const found: LogLine[] = [];
    for (const key of keysOf(run)) {
      if (this.#task !== undefined && key.task !== this.#task) continue;
      if (this.#attempt !== undefined && key.attempt !== this.#attempt) continue;
      const place = `${key.task} ${key.attempt}`;
      for (let offset = this.#offsets.get(place) ?? 0;;) {
        const entries = await this.#files.read(key, { offset });
        if (entries.length === 0) break;
        found.push(...entries.map(({ line }) => line));
        offset = entries.at(-1)!.next;
        this.#offsets.set(place, offset);
      }
    }
    // Sorting is stable: lines of one moment stay as they were written.
    return found.sort((a, b) => a.at < b.at ? -1 : a.at > b.at ? 1 : 0);
  }
}

/** The logs that there may be of a run. */
function* keysOf({ dag, id, tasks }: Run): Generator<LogKey, void> {
  for (const [task, { attempt: last }] of Object.entries(tasks)) {
    for (let attempt = 1; attempt <= last; attempt++) yield { dag, run: id, task, attempt };
  }
}

/** Reads on until the run is over and no more can come; resolves with the run as it ended. */
async function follow(
  history: Store,
  run: Run,
  reader: LogReader,
  take: (lines: readonly LogLine[]) => void,
  signal: AbortSignal,
): Promise<Run> {
  let now: Run | undefined = run;
  for (let over: number | undefined; now;) {
    run = now;
    take(await reader.read(run));
    if (isOver(run)) over ??= performance.now();
    else over = undefined;
    // The last lines may be written after the end of the run is.
    if (over !== undefined && performance.now() - over > LATE) return run;
    await sleep(POLL, signal);
    now = await history.get(run.id);
  }
  return run;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}

function document({ dag: _, run: __, ...line }: LogLine): Omit<LogLine, "dag" | "run"> {
  return line;
}

/** A line for people: when, how bad, whose, what. */
function text({ at, level, task, attempt, message, fields }: LogLine, all: boolean): string {
  const whose = `${all ? `${task} ` : ""}#${attempt}`;
  const more = fields ? `  ${JSON.stringify(fields)}` : "";
  const head = `${at.slice(0, 19).replace("T", " ")}  ${level === "info" ? "" : `${level} `}`;
  return `${head}${whose}  ${message}${more}`;
}
