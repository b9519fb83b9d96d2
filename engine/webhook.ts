import type { OptionNames } from "./option_names.ts";
import type { StandardSchema } from "./params.ts";

/** Lets another program trigger a DAG by `POST /hooks/{name}`, signed with a secret that both know. */
export interface Webhook<P = unknown> {
  /**
   * What requests are signed with, 16 characters or more; several while one replaces the other; a function where they are
   * not known yet when the DAG is defined.
   */
  readonly secret: string | readonly string[] | (() => string | readonly string[]);
  /** What it is called. @default {the DAG's id} */
  readonly name?: string;
  /** What the body must be; `map` is given what this makes of it. @default {any JSON} */
  readonly body?: StandardSchema;
  /**
   * Makes the run's params of the body; undefined: nothing is to be done.
   *
   * @default {the body is the params}
   */
  // deno-lint-ignore no-explicit-any -- what the body is, its own schema says
  readonly map?: (body: any, delivery: Delivery) => Partial<P> | undefined;
}

/** The names of what a webhook can have. */
export const WEBHOOK_OPTIONS: OptionNames<Webhook> = {
  secret: true,
  name: true,
  body: true,
  map: true,
};

/** The least characters of a secret: a shorter one could be guessed. */
const SHORTEST = 16;

/** The secrets of a webhook as they are now: those that let somebody in, and how many do not. */
export function webhookSecrets(
  { secret }: Pick<Webhook, "secret">,
): { readonly good: readonly string[]; readonly short: number } {
  const given = [typeof secret === "function" ? secret() : secret].flat();
  const good = given.filter((one) => typeof one === "string" && one.length >= SHORTEST);
  return { good, short: given.length - good.length };
}

/** How a body came. */
export interface Delivery {
  /** The headers of the request, their names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}
