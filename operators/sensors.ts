import {
  type AnyContext,
  checkOptionNames,
  type Context,
  GiveUp,
  type Input,
  type Network,
  NotYet,
  type Operator,
  operator,
  type OptionNames,
  sensor,
  span,
  type TaskState,
  type Work,
} from "../engine/mod.ts";
import { localPath, reason } from "./_open_file.ts";
import { aim, type Answer, Broken, request } from "./_request.ts";
import { runStatement, type SqlValue } from "./_statement.ts";
import { checkStatement } from "./sql.ts";

/**
 * Waits until a function says that it is time; it is asked anew at each poke.
 *
 * @throws {NotYet} until then
 */
export function until<C extends AnyContext>(
  ready: (ctx: C) => boolean | Promise<boolean>,
): Work<void, void, C> {
  return asked({ ready });
}

const asked = sensor("until", ({ ready }: { ready: boolean | Promise<boolean> }) => ready);

/** Options for {@linkcode httpReady}. */
export interface HttpReadyOptions {
  /** An http or https URL. */
  url: string;
  /** Sent along; `Authorization` and `Cookie` never reach another host. */
  headers?: HeadersInit;
  /** Where it may lead, as with `http`. @default {as the engine's `network` says} */
  network?: Network;
  /** The status to wait for. @default any 2xx */
  status?: number;
  /** The version to wait for: an ETag, or a Last-Modified where there is none. */
  version?: string;
  /** The version that must not stand there any more: what was seen last time. */
  versionOtherThan?: string;
  /** How long to wait for the answer. @default {{ seconds: 30 }} */
  timeout?: Temporal.DurationLike;
}

/**
 * Waits until a URL answers as it should, asking for its headers alone (HEAD). Puts out the version that stands there,
 * if the server tells one.
 *
 * A server that is down, too busy (408, 425, 429, 5xx) or does not have it (404, 410) is not ready.
 *
 * @throws {NotYet} until then
 * @throws {GiveUp} when the address is wrong, or the server refuses to say, as with 401 and 403
 */
export const httpReady: Operator<HttpReadyOptions, string | null> = operator(
  "httpReady",
  async (options: HttpReadyOptions, ctx): Promise<string | null> => {
    const { status, version, versionOtherThan, timeout = { seconds: 30 } } = options;
    const target = await aim(options, ctx, "ask for");
    const ms = Temporal.Duration.from(timeout).total("milliseconds");
    const ask = async (method: string): Promise<Answer> => {
      try {
        const answer = await request({ ...target, method }, {}, ms, ctx.signal);
        answer.close();
        return answer;
      } catch (error) {
        if (error instanceof Broken) throw new NotYet(`"${target.url}": ${error.message}`);
        throw error;
      }
    };
    let answer = await ask("HEAD");
    // Some servers do not know it.
    if ([405, 501].includes(answer.status)) answer = await ask("GET");
    const says = `${answer.status} ${answer.statusText}`.trim();
    if (status === undefined ? Math.floor(answer.status / 100) !== 2 : answer.status !== status) {
      const hopeless = answer.status >= 400 && answer.status < 500 &&
        ![404, 408, 410, 425, 429].includes(answer.status);
      if (!hopeless) throw new NotYet(`"${target.url}" answers ${says}`);
      throw new GiveUp(`${target.cannot}: the server answers ${says}; check the rights to it`);
    }
    const there = answer.validator ?? null;
    if (version !== undefined && there !== version || there === versionOtherThan) {
      throw new NotYet(`"${target.url}" is version ${there}`);
    }
    return there;
  },
  {
    options: {
      url: true,
      headers: true,
      network: true,
      status: true,
      version: true,
      versionOtherThan: true,
      timeout: true,
    },
  },
);

/** Options for {@linkcode fileReady}. */
export interface FileReadyOptions {
  /** The path of a file or folder, or a file URL. */
  path: string;
  /** How long nobody must have written to it, lest half a file be taken. @default {{ seconds: 0 }} */
  untouchedFor?: Temporal.DurationLike;
}

/**
 * Waits until a file or folder is there.
 *
 * @throws {NotYet} until then
 */
export const fileReady: Operator<FileReadyOptions, void> = sensor(
  "fileReady",
  async ({ path: place, untouchedFor = { seconds: 0 } }: FileReadyOptions) => {
    const path = localPath(place);
    try {
      const { mtime } = await Deno.stat(path);
      const ms = Temporal.Duration.from(untouchedFor).total("milliseconds");
      return ms === 0 || Date.now() - (mtime?.getTime() ?? 0) >= ms;
    } catch (cause) {
      if (cause instanceof Deno.errors.NotFound) return false;
      throw new Error(`Cannot look for "${path}": ${reason(cause)}`, { cause });
    }
  },
  { options: { path: true, untouchedFor: true } },
);

/** Options for {@linkcode sqlReady}. */
export interface SqlReadyOptions<C = Context> {
  /** What to ask, as it stands: one statement, with `$1`, `$2`, … where parameters belong. */
  readonly query: string;
  /** The parameters, each maybe a function of the run or a handle. @default {[]} */
  readonly params?: readonly Input<SqlValue, C>[];
  /** The connection to use, by its name in the engine's `connections`. @default {"database"} */
  readonly connection?: Input<string, C>;
}

/**
 * Waits until the first value of the first row is something: not NULL, false, zero or an empty text.
 *
 * @throws {NotYet} until then, and while there is no row
 * @throws {Error} when Postgres refuses, or cannot be reached
 */
export function sqlReady<C extends AnyContext>(options: SqlReadyOptions<C>): Work<void, void, C> {
  const { query, params = [], connection } = options;
  checkOptionNames("sqlReady", options, SQL_READY_OPTIONS);
  checkStatement(query);
  return queried({
    query,
    connection,
    count: params.length,
    ...Object.fromEntries(params.map((value, i) => [`$${i + 1}`, value])),
  });
}

const SQL_READY_OPTIONS: OptionNames<SqlReadyOptions> = {
  query: true,
  params: true,
  connection: true,
};

/** What {@linkcode sqlReady} was given, resolved. */
interface Query {
  readonly query: string;
  readonly connection?: string | undefined;
  readonly count: number;
  readonly [parameter: `$${number}`]: SqlValue;
}

const queried = sensor("sqlReady", async (options: Query, ctx) => {
  const { query: text, connection, count } = options;
  const values = Array.from({ length: count }, (_, i) => options[`$${i + 1}`] ?? null);
  const { result: [first] } = await runStatement({ text, values, connection }, ctx);
  const value = first && Object.values(first)[0];
  if (value === undefined || value === null || value === false) return false;
  return typeof value === "object" || Number(value) !== 0; // an empty text is 0 here
});

/** Options for {@linkcode timeReached}; one of the two is needed. */
export interface TimeReachedOptions {
  /** A moment; as text, an ISO date or date with a time, in the DAG's zone unless it names another. */
  at?: Temporal.ZonedDateTime | Temporal.Instant | string;
  /** As long after the end of the run's interval. */
  after?: Temporal.DurationLike;
}

/**
 * Waits until a moment has come.
 *
 * @throws {NotYet} until then
 */
export const timeReached: Operator<TimeReachedOptions, void> = sensor(
  "timeReached",
  ({ at, after }: TimeReachedOptions, { interval, now }) => {
    if ((at === undefined) === (after === undefined)) {
      throw new GiveUp("Cannot tell when the time is reached: give either `at` or `after`");
    }
    const zone = interval.start.timeZoneId;
    const moment = after !== undefined
      ? interval.end.add(after)
      : typeof at === "string"
      ? span("time", at, zone).start
      : at!;
    const due = Temporal.Instant.fromEpochMilliseconds(moment.epochMilliseconds);
    if (Temporal.Instant.compare(due, now()) <= 0) return true;
    throw new NotYet(`It is not ${due} yet`, { due });
  },
  { options: { at: true, after: true } },
);

/** Options for {@linkcode dagDone}. */
export interface DagDoneOptions {
  /** The id of the other DAG. */
  dag: string;
  /** The logical date of its run. @default {that of the run itself} */
  date?: Temporal.ZonedDateTime | Temporal.Instant;
  /** One of its tasks, to wait for that alone. @default {the whole run} */
  task?: string;
  /** What must have become of it. @default {["success"]} */
  states?: readonly TaskState[];
}

/**
 * Waits for the run of another DAG that has the same logical date, or another one.
 *
 * @throws {NotYet} until there is one and it has ended so
 */
export const dagDone: Operator<DagDoneOptions, void> = sensor(
  "dagDone",
  async ({ dag, date, task, states = ["success"] }: DagDoneOptions, ctx) => {
    const moment = Temporal.Instant
      .fromEpochMilliseconds((date ?? ctx.date).epochMilliseconds).toString();
    const runs = await ctx.runs({ dag, from: moment, to: moment });
    const found = runs.map((run) => task === undefined ? run.state : run.tasks[task]?.state);
    return found.some((state) => state !== undefined && (states as string[]).includes(state));
  },
  { options: { dag: true, date: true, task: true, states: true } },
);
