import type { Dataset } from "./dataset.ts";
import { type EachOptions, WHENS } from "./task.ts";

/** Refuses options that a task or a DAG cannot be run with. `where` names it. @throws {TypeError} naming the option */
export function checkOptions(where: string, options: object, rules: Rules): void {
  for (const [name, rule] of Object.entries(rules)) {
    const value = (options as Record<string, unknown>)[name];
    if (value === undefined) continue;
    const wanted = rule(value);
    if (wanted === undefined) continue;
    throw new TypeError(`Cannot use ${show(value)} as \`${name}\` of ${where}: ${wanted}`);
  }
}

/** Says for each option what it should be when it is not. */
export type Rules = Readonly<Record<string, (value: unknown) => string | undefined>>;

/** What the options of a task must be. */
export const TASK_RULES: Rules = {
  when: oneOf(...WHENS),
  retries: whole(0),
  retryDelay: duration(0),
  backoff: oneOf("fixed", "exponential"),
  backoffFactor: (value) =>
    typeof value === "number" && value >= 1 ? undefined : "it is a number, 1 or more",
  maxRetryDelay: duration(1),
  retryOn: callable,
  timeout: duration(1),
  pool: name,
  slots: whole(1),
  priority: (value) => Number.isFinite(value) ? undefined : "it is a number",
  executor: name,
  dependsOnPast: oneOf(true, false, "run"),
  poke: duration(1),
  limit: whole(1),
  onSuccess: callable,
  onFailure: callable,
  onRetry: callable,
} satisfies { [K in keyof EachOptions]: Rules[string] };

/** What the options of a DAG must be. */
export const DAG_RULES: Rules = {
  schedule(value) {
    const isDataset = (one: unknown): boolean => typeof (one as Dataset | null)?.name === "string";
    const isFine = !Array.isArray(value) || value.length > 0 && value.every(isDataset);
    return isFine ? undefined : "a list is one of datasets";
  },
  mode: oneOf("interval", "trigger"),
  catchup: oneOf(true, false, "all", "latest", "none"),
  catchupWindow: duration(1),
  maxActiveRuns: whole(1),
  timeout: duration(1),
  deadline: duration(1),
  failWhen: oneOf("leaf", "any"),
  onSuccess: callable,
  onFailure: callable,
  onDeadline: callable,
};

function oneOf(...known: unknown[]): Rules[string] {
  const wanted = `it is one of ${known.map(show).join(", ")}`;
  return (value) => known.includes(value) ? undefined : wanted;
}

function whole(least: number): Rules[string] {
  const wanted = `it is a whole number, ${least} or more`;
  return (value) => Number.isSafeInteger(value) && (value as number) >= least ? undefined : wanted;
}

/** A duration, which may be zero when `sign` is 0. */
function duration(sign: 0 | 1): Rules[string] {
  return (value) => {
    const wanted = "it is a duration like { minutes: 5 }";
    try {
      const { sign: is } = Temporal.Duration.from(value as Temporal.DurationLike);
      return is >= sign
        ? undefined
        : `${wanted}, and ${sign ? "longer than none" : "not negative"}`;
    } catch {
      return wanted;
    }
  };
}

function callable(value: unknown): string | undefined {
  return typeof value === "function" ? undefined : "it is a function";
}

function name(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? undefined : "it is a name";
}

function show(value: unknown): string {
  return typeof value === "function" ? "a function" : JSON.stringify(value) ?? String(value);
}
