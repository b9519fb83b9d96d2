import {
  type AnyContext,
  checkOptionNames,
  type Context,
  GiveUp,
  type Input,
  operator,
  type OptionNames,
  type Work,
} from "../engine/mod.ts";
import { localPath, reason } from "./_open_file.ts";
import { type Ran, runStatement, type SqlValue } from "./_statement.ts";
import { quoteName } from "./_table.ts";

/** Options for {@linkcode sql}; one of `statement` and `file` is needed. */
export interface SqlOptions<C = Context> {
  /**
   * What to run, as it stands: one or more statements, with `$1`, `$2`, … where parameters belong and `:"name"` where
   * names do. It cannot be a function or a handle, so that no value is ever taken for SQL.
   */
  readonly statement?: string;
  /** A file of such text: a path or a file URL. */
  readonly file?: Input<string, C>;
  /** The parameters, each maybe a function of the run or a handle; with some, there can be only one statement. @default {[]} */
  readonly params?: readonly Input<SqlValue, C>[];
  /** The names of tables and the like that stand as `:"name"`, each maybe a function of the run or a handle. @default {{}} */
  readonly names?: { readonly [name: string]: Input<string, C> };
  /** The connection to use, by its name in the engine's `connections`. @default {"database"} */
  readonly connection?: Input<string, C>;
}

/**
 * Runs SQL in one transaction. Puts out how many rows the last statement returned or changed, and the first of those it
 * returned.
 *
 * ```ts
 * sql({
 *   statement: `INSERT INTO trips SELECT * FROM :"month" WHERE pickup >= $1`,
 *   names: { month: (run) => run.strftime("trips_%Y_%m") },
 *   params: [(run) => run.interval.start],
 * });
 * ```
 *
 * Booleans, numbers and JSON come as such, all else (bigints beyond 2^53, numeric, dates, …) as the text Postgres gives.
 *
 * @throws {Error} when Postgres refuses, or the connection is lost; all is rolled back
 */
export function sql<C extends AnyContext>(options: SqlOptions<C>): Work<Ran, void, C> {
  const { statement, file, params = [], names = {}, connection } = options;
  checkOptionNames("sql", options, SQL_OPTIONS);
  if ((statement === undefined) === (file === undefined)) {
    throw new TypeError("Cannot tell what SQL to run: give either `statement` or `file`");
  }
  checkStatement(statement ?? "");
  return run({
    statement,
    file,
    connection,
    count: params.length,
    ...Object.fromEntries(params.map((value, i) => [`$${i + 1}`, value])),
    ...Object.fromEntries(Object.entries(names).map(([name, value]) => [`:${name}`, value])),
  });
}

const SQL_OPTIONS: OptionNames<SqlOptions> = {
  statement: true,
  file: true,
  params: true,
  names: true,
  connection: true,
};

/** Refuses what is no plain text. @throws {TypeError} saying how values get in */
export function checkStatement(statement: unknown): void {
  if (typeof statement === "string") return;
  throw new TypeError(
    `Cannot make SQL of a ${typeof statement}: it is a plain string; pass values by \`params\`, as $1, ` +
      'and names by `names`, as :"name"',
  );
}

/** What {@linkcode sql} was given, resolved: parameters by `$1`, names by `:name`. */
interface Resolved {
  readonly statement?: string | undefined;
  readonly file?: string | undefined;
  readonly connection?: string | undefined;
  readonly count: number;
  readonly [parameter: `$${number}`]: SqlValue;
  readonly [name: `:${string}`]: string;
}

const run = operator("sql", async (options: Resolved, ctx): Promise<Ran> => {
  const { statement, file, connection, count } = options;
  const text = statement ?? await read(file!);
  const values = Array.from({ length: count }, (_, i) => options[`$${i + 1}`] ?? null);
  return await runStatement({ text: withNames(text, options), values, connection }, ctx);
});

/** Puts the names in, quoted. */
function withNames(text: string, names: Resolved): string {
  return text.replace(/(?<!:):"(\w+)"/g, (whole, name: string) => {
    const key = `:${name}` as const;
    return Object.hasOwn(names, key) ? quoteName(names[key]!, "table") : whole;
  });
}

async function read(file: string): Promise<string> {
  const path = localPath(file);
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new GiveUp(`Cannot read SQL from "${path}": ${reason(cause)}`, { cause });
  }
}
