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

/** How a body came. */
export interface Delivery {
  /** The headers of the request, their names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}
