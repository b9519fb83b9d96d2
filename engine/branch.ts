import { type AnyContext, GiveUp, type Inputs, operator, type Work } from "./work.ts";

/** What a branch can say: the tasks directly behind it that are followed. */
export type Followed = string | readonly string[] | undefined | void;

/**
 * Chooses which of the tasks directly behind it are followed; the others are skipped, unless one that is followed leads
 * to them. `undefined` follows none. Where branches meet again, `when: "none_failed_min_one_success"` is the rule to take.
 *
 * ```ts
 * const choose = taxi.task("choose", branch((run) => run.date.dayOfWeek > 5 ? "weekend" : "workday"));
 * taxi.task("weekend", empty(), { after: choose });
 * taxi.task("workday", empty(), { after: choose });
 * ```
 *
 * With inputs first, like {@linkcode fn}, it decides by what other tasks put out:
 *
 * ```ts
 * branch({ rows: load.map((loaded) => loaded.rows) }, ({ rows }) => rows > 0 ? ["report", "mail"] : undefined);
 * ```
 */
export function branch<C extends AnyContext>(
  choose: (ctx: C) => Followed | Promise<Followed>,
): Work<readonly string[], void, C>;
/** Chooses by inputs. */
export function branch<P, C extends AnyContext>(
  inputs: Inputs<P, C>,
  choose: (options: P, ctx: C) => Followed | Promise<Followed>,
): Work<readonly string[], void, C>;
export function branch(...given: Given<Followed>): Work<readonly string[], void, AnyContext> {
  const asked = ask(given, "branch", (followed) => {
    const ids: readonly unknown[] = Array.isArray(followed) ? followed : [followed ?? []].flat();
    const wrong = ids.find((id) => typeof id !== "string");
    if (wrong === undefined) return [...new Set(ids as string[])];
    throw new GiveUp(`Cannot follow ${String(wrong)}: a branch answers with ids of tasks`);
  });
  return { ...asked, decides: "branch" };
}

/**
 * Goes on only if a function says so; else everything behind it is skipped, however far.
 *
 * ```ts
 * const news = taxi.task("news", shortCircuit({ rows }, ({ rows }) => rows > 0));
 * ```
 */
export function shortCircuit<C extends AnyContext>(
  proceed: (ctx: C) => boolean | Promise<boolean>,
): Work<boolean, void, C>;
/** Decides by inputs. */
export function shortCircuit<P, C extends AnyContext>(
  inputs: Inputs<P, C>,
  proceed: (options: P, ctx: C) => boolean | Promise<boolean>,
): Work<boolean, void, C>;
export function shortCircuit(...given: Given<boolean>): Work<boolean, void, AnyContext> {
  return { ...ask(given, "shortCircuit", Boolean), decides: "short_circuit" };
}

/**
 * Goes on only in the latest run of a schedule, so that catching up does not, say, mail a report for each day that was
 * missed: everything behind it is skipped once the next interval is over, too. Runs that are triggered always go on.
 */
export function latestOnly(): Work<boolean, void, AnyContext> {
  return shortCircuit(function latestOnly({ kind, next, now }: AnyContext): boolean {
    if (kind === "manual" || kind === "webhook" || next === undefined) return true;
    return Temporal.Instant.compare(now(), next.end.toInstant()) <= 0;
  });
}

type Given<T> =
  | [run: (ctx: AnyContext) => T | Promise<T>]
  | [
    inputs: Inputs<unknown, AnyContext>,
    run: (options: unknown, ctx: AnyContext) => T | Promise<T>,
  ];

/** Work that asks a function, with inputs or without, and makes its output of the answer. */
function ask<T, O>(
  given: Given<T>,
  name: string,
  convert: (answer: T) => O,
): Work<Awaited<O>, void, AnyContext> {
  const [inputs, run] = given.length === 1
    ? [{}, (_: unknown, ctx: AnyContext) => given[0](ctx)] as const
    : given;
  const make = operator(name, async (options, ctx) => convert(await run(options, ctx)));
  const work = make(inputs);
  return { ...work, steps: [{ name, inputs, fn: given.at(-1) as never }] };
}
