import { strftime } from "./strftime.ts";
import type { AnyContext } from "./work.ts";

type Moment = Temporal.ZonedDateTime;

/** Text with values of the run in it; fits wherever an option may be a function of the run. */
export interface Template {
  /** The text for a run. */
  (ctx: AnyContext): string;
  /** As it was written. */
  readonly text: string;
  /** The params it names. */
  readonly params: readonly string[];
}

/** A value of the run: a moment until it is formatted, or text. */
type Expression =
  | { readonly type: "moment"; readonly of: (ctx: AnyContext) => Moment }
  | { readonly type: "text"; readonly of: (ctx: AnyContext) => string };

const MOMENTS: Readonly<Record<string, (ctx: AnyContext) => Moment>> = {
  logical_date: (ctx) => ctx.date,
  execution_date: (ctx) => ctx.date,
  data_interval_start: (ctx) => ctx.interval.start,
  data_interval_end: (ctx) => ctx.interval.end,
};

/** Ways to write a moment; of the logical date when they stand alone. */
const FORMATS: Readonly<Record<string, (moment: Moment) => string>> = {
  ds: (moment) => strftime(moment, "%Y-%m-%d"),
  ds_nodash: (moment) => strftime(moment, "%Y%m%d"),
  ts: (moment) => moment.toString({ timeZoneName: "never" }),
  ts_nodash: (moment) => strftime(moment, "%Y%m%dT%H%M%S"),
};

const NAMES: Readonly<Record<string, (ctx: AnyContext) => string>> = {
  run_id: (ctx) => ctx.run,
  dag_id: (ctx) => ctx.dag,
  "dag.dag_id": (ctx) => ctx.dag,
  task_id: (ctx) => ctx.task,
  "task.task_id": (ctx) => ctx.task,
};

const KNOWN = [
  ...Object.keys(FORMATS),
  ...Object.keys(MOMENTS),
  ...Object.keys(NAMES),
  "params.<name>",
  "strftime('<format>')",
];

/**
 * Text with values of the run between double braces, by the names Airflow has for them.
 *
 * ```ts
 * http({ url: template("https://example.com/{{ params.color }}_{{ ds }}.csv.gz") });
 * copy({ table: template("yellow_taxi_{{ execution_date.strftime('%Y_%m') }}") });
 * ```
 *
 * `ds ds_nodash ts ts_nodash` are the logical date; `logical_date` (or `execution_date`), `data_interval_start` and
 * `data_interval_end` are moments, written in full or by `.strftime('%Y_%m')`, `| ds` and the like; `strftime('%Y')` alone
 * is the logical date's. Also: `params.x`, `run_id`, `dag_id`, `task_id`. Dates are in the DAG's time zone. Quoted text is
 * itself: `{{ '{{' }}` writes two braces. There is nothing else, and nothing is run.
 *
 * @throws {TypeError} naming the place and the names there are
 */
export function template(text: string): Template {
  const reader = new Reader(text);
  const parts: (string | Expression)[] = [];
  for (let from = 0;;) {
    const open = text.indexOf("{{", from);
    const literal = text.slice(from, open < 0 ? undefined : open);
    const statement = literal.indexOf("{%");
    if (statement >= 0) {
      throw reader.fault("there are no statements, only values in {{ }}", from + statement);
    }
    parts.push(literal);
    if (open < 0) break;
    reader.at = open + 2;
    parts.push(reader.expression());
    from = reader.at;
  }
  const render = (ctx: AnyContext): string =>
    parts.map((part) => {
      if (typeof part === "string") return part;
      return part.type === "text" ? part.of(ctx) : FORMATS.ts!(part.of(ctx));
    }).join("");
  return Object.assign(render, { text, params: [...reader.params] });
}

/** Whether an option was given as a template. */
export function isTemplate(input: unknown): input is Template {
  return typeof input === "function" && "text" in input && "params" in input;
}

/** Reads one expression after the other. */
class Reader {
  readonly params: Set<string> = new Set();
  at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  expression(): Expression {
    const start = this.#skip();
    const quoted = this.#quoted();
    let value: Expression = quoted === undefined
      ? this.#name(start)
      : { type: "text", of: () => quoted };
    for (this.#skip(); this.#take("|"); this.#skip()) {
      const at = this.#skip();
      const filter = this.#word();
      const format = filter && Object.hasOwn(FORMATS, filter) ? FORMATS[filter] : undefined;
      if (!format) {
        throw this.fault(
          `there is no filter ${this.#near(at)}; there are ${Object.keys(FORMATS).join(", ")}`,
          at,
        );
      }
      if (value.type === "text") throw this.fault(`the filter "${filter}" is for dates`, at);
      const { of } = value;
      value = { type: "text", of: (ctx) => format(of(ctx)) };
    }
    if (this.#take("}}")) return value;
    throw this.fault(
      this.at >= this.#text.length
        ? 'a "}}" is missing'
        : `${this.#near(this.at)} was not expected, but "}}"`,
      this.at,
    );
  }

  #name(start: number): Expression {
    const word = this.#word();
    const known = (names: object): boolean => word !== undefined && Object.hasOwn(names, word);
    if (word === "params") return this.#param(start);
    if (word === "strftime") return this.#strftime(MOMENTS.logical_date!);
    if (known(MOMENTS)) {
      const of = MOMENTS[word!]!;
      if (!this.#take(".")) return { type: "moment", of };
      const at = this.at;
      if (this.#word() === "strftime") return this.#strftime(of);
      throw this.fault(`a date has no ${this.#near(at)}, only strftime('<format>')`, at);
    }
    if (known(FORMATS)) return { type: "text", of: (ctx) => FORMATS[word!]!(ctx.date) };
    const name = this.#take(".") ? `${word}.${this.#word() ?? ""}` : word ?? "";
    if (Object.hasOwn(NAMES, name)) return { type: "text", of: NAMES[name]! };
    throw this.fault(`there is no ${this.#near(start)}; there are ${KNOWN.join(", ")}`, start);
  }

  #param(start: number): Expression {
    let name: string | undefined;
    if (this.#take(".")) name = this.#word();
    else if (this.#take("[")) {
      name = this.#quoted();
      if (!this.#take("]")) name = undefined;
    }
    if (name === undefined) {
      throw this.fault('a param is written params.x or params["x"]', start);
    }
    const param = name;
    this.params.add(param);
    return { type: "text", of: ({ params }) => show(params[param]) };
  }

  #strftime(of: (ctx: AnyContext) => Moment): Expression {
    const at = this.at;
    this.#take("(");
    this.#skip();
    const pattern = this.#quoted();
    this.#skip();
    if (pattern === undefined || !this.#take(")")) {
      throw this.fault("strftime takes a format in quotes: strftime('%Y_%m')", at);
    }
    try {
      strftime(SAMPLE, pattern);
    } catch (cause) {
      throw this.fault((cause as Error).message, at, cause);
    }
    return { type: "text", of: (ctx) => strftime(of(ctx), pattern) };
  }

  #word(): string | undefined {
    return this.#match(/[A-Za-z_]\w*/y);
  }

  #quoted(): string | undefined {
    return this.#match(/'[^']*'|"[^"]*"/y)?.slice(1, -1);
  }

  /** Takes white space; where it is then. */
  #skip(): number {
    this.#match(/\s*/y);
    return this.at;
  }

  #take(token: string): boolean {
    if (!this.#text.startsWith(token, this.at)) return false;
    this.at += token.length;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const [match] = pattern.exec(this.#text) ?? [];
    this.at += match?.length ?? 0;
    return match;
  }

  /** What stands somewhere, up to where it ends or gets long. */
  #near(at: number): string {
    const [token = ""] = /^(?:[\w.]+|[^])/.exec(this.#text.slice(at, at + 40)) ?? [];
    return token ? `"${token}"` : "more text";
  }

  fault(why: string, at: number, cause?: unknown): TypeError {
    const before = this.#text.slice(0, at).split("\n");
    const shown = this.#text.length > 80 ? `${this.#text.slice(0, 80)}…` : this.#text;
    const line = before.length > 1 ? `line ${before.length}, ` : "";
    return new TypeError(
      `Cannot read the template "${shown}" at ${line}column ${before.at(-1)!.length + 1}: ${why}`,
      { cause },
    );
  }
}

/** Any moment: to see whether a format can be read. */
const SAMPLE: Moment = Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO("UTC");

function show(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}
