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
    const place = task === undefined ? undefined : pickPlace(run, task);
    const { logFiles } = await import("../engine/mod.ts");
    const files = logFiles(homeFolder(world, options), { mode: "read" });
    const reader = new LogReader(files, place, options.attempt);
    const lines: LogLine[] = [];
    const take = (more: readonly LogLine[]): void => {
      if (options.json) lines.push(...more);
      else {for (const line of more) {
          print(world, text(line, place === undefined || isMapped(run, place)));
        }}
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
        {
          parse: String,
          placeholder: "TASK",
          brief: "The id of one of its tasks; of a mapped one, all instances, or one as in load[2]",
          optional: true,
        },
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
      "  sluice logs scheduled__20210102T060000Z 'load[7]'",
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

/** A task of a run, or one instance of a mapped one. */
interface Place {
  readonly task: string;
  readonly index?: number;
}

/** Reads `load` or `load[2]`. @throws {UsageError} naming the tasks there are */
function pickPlace(run: Run, text: string): Place {
  const [, task = text, index] = /^(.*)\[(\d+)\]$/.exec(text) ?? [];
  if (!Object.hasOwn(run.tasks, task)) {
    const there = Object.keys(run.tasks).map((known) => `"${known}"`).join(", ") || "none";
    throw new UsageError(`Cannot find task "${task}" in run "${run.id}"; there are: ${there}`);
  }
  return index === undefined ? { task } : { task, index: Number(index) };
}

/** Reads the logs of a run on and on: each line once. */
class LogReader {
  readonly #files: LogFiles;
  readonly #place: Place | undefined;
  readonly #attempt: number | undefined;
  /** How far each log was read. */
  readonly #offsets = new Map<string, number>();

  constructor(files: LogFiles, place: Place | undefined, attempt: number | undefined) {
    this.#files = files;
    this.#place = place;
    this.#attempt = attempt;
  }

  /** The lines that came since it was last called, in the order of their times. */
  async read(run: Run): Promise<LogLine[]> {
    const found: LogLine[] = [];
    for (const key of keysOf(run)) {
      const { task = key.task, index = key.index } = this.#place ?? {};
      if (key.task !== task || key.index !== index) continue;
      if (this.#attempt !== undefined && key.attempt !== this.#attempt) continue;
      const place = `${name(key)} ${key.attempt}`;
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
function* keysOf({ dag, id, tasks, mapped }: Run): Generator<LogKey, void> {
  for (const [task, whole] of Object.entries(tasks)) {
    const instances = mapped[task] ?? [];
    const places = [{ to: whole }, ...instances.map((to, index) => ({ to, index }))];
    for (const { to, ...place } of places) {
      for (let attempt = 1; attempt <= to.attempt; attempt++) {
        yield { dag, run: id, task, ...place, attempt };
      }
    }
  }
}

function name({ task, index }: Pick<LogKey, "task" | "index">): string {
  return index === undefined ? task : `${task}[${index}]`;
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
function text(line: LogLine, all: boolean): string {
  const { at, level, attempt, message, fields } = line;
  const whose = `${all ? `${name(line)} ` : ""}#${attempt}`;
  const more = fields ? `  ${JSON.stringify(fields)}` : "";
  const head = `${at.slice(0, 19).replace("T", " ")}  ${level === "info" ? "" : `${level} `}`;
  return `${head}${whose}  ${message}${more}`;
}

/** Whether lines of several instances stand side by side. */
function isMapped({ mapped }: Run, { task, index }: Place): boolean {
  return index === undefined && Object.hasOwn(mapped, task);
}
