import { checkOptionNames } from "./option_names.ts";
import { type EachOptions, type TaskOptions, WHENS } from "./task.ts";

/** Refuses options that a task or a DAG cannot be run with. `where` names it. @throws {TypeError} naming the option */
export function checkOptions(where: string, options: object, rules: Rules): void {
  checkOptionNames(where, options, rules);
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

/** What the options of a task must be; what is anything here is looked at where it is used. */
export const TASK_RULES: Rules = {
  after: anything,
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
  setup: anything,
  teardown: anything,
  failsRun: anything,
  poke: duration(1),
  writes: anything,
  onSuccess: callable,
  onFailure: callable,
  onRetry: callable,
} satisfies Record<keyof TaskOptions, Rules[string]>;

/** What the options must be that only a mapped task has. */
export const EACH_RULES: Rules = {
  limit: whole(1),
} satisfies Record<Exclude<keyof EachOptions, keyof TaskOptions>, Rules[string]>;

/** One of some values. */
export function oneOf(...known: unknown[]): Rules[string] {
  const wanted = `it is one of ${known.map(show).join(", ")}`;
  return (value) => known.includes(value) ? undefined : wanted;
}

/** A whole number. */
export function whole(least: number): Rules[string] {
  const wanted = `it is a whole number, ${least} or more`;
  return (value) => Number.isSafeInteger(value) && (value as number) >= least ? undefined : wanted;
}

/** A duration, which may be zero when `sign` is 0. */
export function duration(sign: 0 | 1): Rules[string] {
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

/** What is looked at elsewhere. */
export function anything(): undefined {}

/** A function. */
export function callable(value: unknown): string | undefined {
  return typeof value === "function" ? undefined : "it is a function";
}

function name(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? undefined : "it is a name";
}

function show(value: unknown): string {
  return typeof value === "function" ? "a function" : JSON.stringify(value) ?? String(value);
}
