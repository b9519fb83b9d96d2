import type { Meter, Meters } from "./meter.ts";
import { rejectFile } from "./_reject_name.ts";
import type { Kept } from "./source.ts";
import type { Run, RunKind } from "./state.ts";
import type { RunQuery } from "./store.ts";
import { strftime } from "./strftime.ts";
import {
  type Connection,
  type Context,
  GiveUp,
  type Interval,
  type Logger,
  type Network,
} from "./work.ts";

/** Where connections come from, by name. */
export type Connections = Readonly<Record<string, () => Promise<Connection>>>;

/** A line that an attempt had to say. */
export interface LogLine {
  /** An ISO string in UTC. */
  readonly at: string;
  /** How much it matters. */
  readonly level: "info" | "warn" | "error";
  /** Whose attempt it is: the DAG … */
  readonly dag: string;
  /** … the run … */
  readonly run: string;
  /** … the task … */
  readonly task: string;
  /** … and its number, from 1. */
  readonly attempt: number;
  /** Which instance of a mapped task it is. */
  readonly index?: number;
  /** What is said. */
  readonly message: string;
  /** What else belongs to it. */
  readonly fields?: Record<string, unknown>;
}

/** Whose lines they are. */
export interface Speaker {
  readonly dag: string;
  readonly run: string;
  readonly task: string;
  readonly index?: number | undefined;
  readonly attempt: number;
  readonly now: () => Temporal.Instant;
}

/** What a context is made of. */
export interface ContextParts extends Speaker {
  readonly kind: RunKind;
  readonly index: number | undefined;
  readonly interval: Interval;
  readonly next: Interval | undefined;
  readonly params: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
  readonly meter: Meter;
  readonly meters: Meters;
  readonly kept: ((key: string) => Promise<Kept | undefined>) | undefined;
  readonly connections: Connections;
  readonly network: Network;
  /** The folder for what the attempt refuses. */
  readonly rejects: string | undefined;
  readonly log: (line: LogLine) => void;
  readonly runs: (query: RunQuery) => Promise<readonly Run[]>;
}

/** Makes lines of what an attempt has to say. */
export function logger(who: Speaker, log: (line: LogLine) => void): Logger {
  const { dag, run, task, index, attempt, now } = who;
  const write = (level: LogLine["level"]): Logger["info"] => (message, fields) =>
    log({
      at: now().toString(),
      level,
      dag,
      run,
      task,
      attempt,
      ...index === undefined ? {} : { index },
      message,
      ...fields ? { fields } : {},
    });
  return { info: write("info"), warn: write("warn"), error: write("error") };
}

/** Makes the context of one attempt. */
export function context(parts: ContextParts): Context {
  const { connections, log, rejects, ...rest } = parts;
  const { task, interval } = rest;
  return {
    ...rest,
    date: interval.start,
    log: logger(parts, log),
    async connection(name = "database") {
      if (Object.hasOwn(connections, name)) return await connections[name]!();
      const known = Object.keys(connections).map((known) => `"${known}"`).join(", ");
      throw new GiveUp(
        `Cannot connect to "${name}" in task "${task}": there is no connection of that name; ` +
          (known ? `there are ${known}` : "none are configured") +
          "; the engine is given them as its `connections`, by the command in SLUICE_CONN_<NAME>",
      );
    },
    strftime: (pattern) => strftime(interval.start, pattern),
    rejects: (name) => rejects === undefined ? undefined : rejectFile(rejects, name),
  };
}
