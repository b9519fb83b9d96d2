import type { Meter, Meters } from "./meter.ts";
import { checkOptionNames, type OptionNames } from "./option_names.ts";
import type { Provenance } from "./provenance.ts";
import { Ref, type Scope } from "./ref.ts";
import type { Kept } from "./source.ts";
import type { Run, RunKind } from "./state.ts";
import type { RunQuery } from "./store.ts";

/** What a trigger may set. */
export type Params = Readonly<Record<string, unknown>>;

/** The slice of time a run is for: its start belongs to it, its end does not. */
export interface Interval {
  /** The first moment of it; the logical date. */
  readonly start: Temporal.ZonedDateTime;
  /** The first moment behind it. */
  readonly end: Temporal.ZonedDateTime;
}

/** Takes the lines an attempt has to say. */
export interface Logger {
  /** Something worth knowing. */
  info(message: string, fields?: Record<string, unknown>): void;
  /** Something that may need looking after. */
  warn(message: string, fields?: Record<string, unknown>): void;
  /** Something that went wrong. */
  error(message: string, fields?: Record<string, unknown>): void;
}

/** Where something outside can be reached: a URL with everything in it, its secrets too. */
export interface Connection {
  /** E.g. `postgres://user:password@host:5432/database?sslmode=require`. */
  readonly url: string;
}

/** Where tasks may send requests: to any address, or to those of the public internet alone. */
export type Network = "any" | "public";

/** What one attempt of a task can see: who it is, which slice of time it is for, and how to stop. */
export interface Context<P = Params> {
  /** The DAG's id. */
  readonly dag: string;
  /** The run's id. */
  readonly run: string;
  /** What made the run. */
  readonly kind: RunKind;
  /** The task's id. */
  readonly task: string;
  /** Which instance of a mapped task it is, from 0. */
  readonly index: number | undefined;
  /** Counts from 1. */
  readonly attempt: number;
  /** The logical date: where the interval this run covers begins. */
  readonly date: Temporal.ZonedDateTime;
  /** The slice of time the run is for. */
  readonly interval: Interval;
  /** The one after it, where the schedule has one. */
  readonly next: Interval | undefined;
  /** What the trigger set, and the defaults of the rest. */
  readonly params: P;
  /** Aborted when the attempt must stop; everything that waits listens to it. */
  readonly signal: AbortSignal;
  /** Takes what it has to say. */
  readonly log: Logger;
  /** Counts what the stage at work moves. */
  readonly meter: Meter;
  /** The meters of all stages; operators need {@linkcode Context.meter} only. */
  readonly meters: Meters;
  /**
   * What is kept of a source, by its key. Only there for the last stage of a task, whose byte stream becomes an
   * edge; an operator that finds it answers with a `Source`.
   */
  readonly kept: ((key: string) => Promise<Kept | undefined>) | undefined;
  /** What the stage that asked for its source again had learnt of it; see {@linkcode ReadAgain}. */
  readonly learnt?: unknown;
  /** What is known of the source of the pipe; there for the stages behind it, where one of them may read it again. */
  readonly source?: Provenance;
  /** Where requests may go, unless an operator's option says otherwise. */
  readonly network: Network;
  /** A place outside by its name. @default {"database"} */
  connection(name?: string): Promise<Connection>;
  /** Formats the logical date: `strftime("%Y_%m")` is `"2021_01"`. */
  strftime(pattern: string): string;
  /**
   * A file in the home folder for the records that the attempt refuses of those for `name`, a table; whoever has some
   * makes it, and the folder that it is in. Undefined where nothing is kept.
   */
  rejects(name: string): string | undefined;
  /** The time. */
  now(): Temporal.Instant;
  /** Runs that are or were, of this DAG and others. */
  runs(query: RunQuery): Promise<readonly Run[]>;
}

/** A context of any params: work is checked against them by the DAG that takes it. */
// deno-lint-ignore no-explicit-any
export type AnyContext = Context<any>;

/** How an option may be given: as a value, as a function of the run, or as what an upstream task puts out. */
export type Input<T, C = Context> = T | Ref<T> | ((ctx: C) => T);

/** The options of an operator, each given as an {@linkcode Input}. */
export type Inputs<P, C = Context> = {
  readonly [K in keyof P]: Input<P[K], C>;
};

/** One operator within a piece of work, and the options it was made with. */
export interface Step {
  /** The operator's name. */
  readonly name: string;
  /** Its options, before they are resolved. */
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Whether it is known to put out a stream. */
  readonly stream?: boolean;
  /** Whether it may throw {@linkcode ReadAgain}. */
  readonly rereads?: boolean;
  /** The plain function it does, when that is all it is. */
  readonly fn?: (...args: never[]) => unknown;
}

/** Something to do in a run: from a context and an input, an output. */
export interface Work<O, I = void, C = Context> {
  /** The operators it is made of, in their order. */
  readonly steps: readonly Step[];
  /**
   * What its output decides of the tasks behind it: `branch` puts out the ids of those that are followed, `short_circuit`
   * whether any is.
   */
  readonly decides?: "branch" | "short_circuit";
  /** Does it: takes what flows in, resolves with what it puts out. */
  run(scope: Scope, ctx: C, input: I): Promise<O>;
}

/** No options at all. */
export type Nothing = Record<never, never>;

/** Makes work out of options. */
export interface Operator<P, O, I = void> {
  // deno-lint-ignore no-explicit-any -- any params will do: the DAG that takes the work gives the type.
  <C extends Context<any>>(
    ...args: Nothing extends P ? [inputs?: Inputs<P, C>] : [inputs: Inputs<P, C>]
  ): Work<O, I, C>;
}

/** Options for {@linkcode operator}. */
export interface OperatorOptions<P = Nothing> {
  /** Whether it always puts out a stream, so that one read in the wrong place is refused early. @default {false} */
  stream?: boolean;
  /** Whether it may throw {@linkcode ReadAgain}, so that its pipe has to be able to read its source twice. @default {false} */
  rereads?: boolean;
  /** The names of its options, so that a misspelt one is refused when the DAG is defined. @default {any are taken} */
  options?: OptionNames<P>;
}

/**
 * Defines an operator: a plain function of its resolved options, the context, and what flows in.
 *
 * ```ts
 * const greet = operator("greet", ({ name }: { name: string }) => `Hello, ${name}!`, { options: { name: true } });
 * taxi.task("greet", greet({ name: (run) => run.params.name }));
 * ```
 */
export function operator<P, O, I = void>(
  name: string,
  run: (options: P, ctx: Context, input: I) => O | Promise<O>,
  { stream = false, rereads = false, options: names }: OperatorOptions<NoInfer<P>> = {},
): Operator<P, Awaited<O>, I> {
  function make(inputs: Record<string, unknown> = {}): Work<Awaited<O>, I> {
    if (names) checkOptionNames(name, inputs, names);
    return {
      steps: [{ name, inputs, ...stream && { stream }, ...rereads && { rereads } }],
      async run(scope, ctx, input): Promise<Awaited<O>> {
        const meter = ctx.meters.open(name);
        const here: Context = { ...ctx, meter };
        const options = resolve(inputs, scope, here);
        const output = await run(options as P, here, input);
        if (output instanceof ReadableStream) {
          ctx.source?.passed(`${name} ${run}`, options);
          return meter.through(output) as Awaited<O>;
        }
        meter.end();
        return output;
      },
    };
  }
  return make as unknown as Operator<P, Awaited<O>, I>;
}

function resolve(
  inputs: Record<string, unknown>,
  scope: Scope,
  ctx: Context,
): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const [key, input] of Object.entries(inputs)) {
    // What is left out may be given as undefined: the operator's default holds.
    if (input === undefined) continue;
    if (input instanceof Ref) options[key] = input.read(scope);
    else options[key] = typeof input === "function" ? input(ctx) : input;
  }
  return options;
}

/**
 * Does a plain function of inputs, which are resolved as an operator's are: this is how a function reads other tasks.
 *
 * ```ts
 * const rows = taxi.task("load", copy({ table: "trips" })).map((loaded) => loaded.rows);
 * taxi.task("check", fn({ rows, least: (run) => run.params.least }, ({ rows, least }, run) => {
 *   if (rows < least) throw new GiveUp(`Only ${rows} rows on ${run.date}`);
 * }));
 * ```
 */
export function fn<P, O, C extends AnyContext = AnyContext>(
  inputs: Inputs<P, C>,
  run: (options: P, ctx: C) => O | Promise<O>,
): Work<Awaited<O>, void, C> {
  const name = run.name || "function";
  const { run: perform } = operator(name, run as never)(inputs as never);
  return { steps: [{ name, inputs, fn: run }], run: perform as never };
}

/** An operator that waits: done once `ready` says so. */
export function sensor<P>(
  name: string,
  ready: (options: P, ctx: Context) => boolean | Promise<boolean>,
  { options: names }: Pick<OperatorOptions<NoInfer<P>>, "options"> = {},
): Operator<P, void> {
  return operator(name, async (options: P, ctx) => {
    if (!await ready(options, ctx)) throw new NotYet(name);
  }, { ...names && { options: names } });
}

/** Thrown to say: nothing to do, and that is fine. */
export class Skip extends Error {
  /** As `error.name` has it. */
  override name = "Skip";
}

/** Options for {@linkcode NotYet}. */
export interface NotYetOptions extends ErrorOptions {
  /** When to ask again: a moment, or how long to wait. @default {as the task's `poke` says} */
  due?: Temporal.Instant | Temporal.DurationLike;
}

/** Thrown to say: not yet, ask again. Does not use up a retry. */
export class NotYet extends Error {
  /** As `error.name` has it. */
  override name = "NotYet";
  /** When to ask again; without it, when the task's `poke` is over. */
  readonly due?: Temporal.Instant | Temporal.DurationLike;

  /** Says what is waited for. */
  constructor(message?: string, options: NotYetOptions = {}) {
    super(message, options);
    if (options.due) this.due = options.due;
  }
}

/** Thrown to say: trying again will not help. */
export class GiveUp extends Error {
  /** As `error.name` has it. */
  override name = "GiveUp";
}

/**
 * Thrown by a stage that has to begin anew, knowing what it could only learn from its source: the pipe reads the source
 * again from its start, and each stage finds in `Context.learnt` what was learnt. Whoever is not in a pipe gives up.
 */
export class ReadAgain extends GiveUp {
  /** As `error.name` has it. */
  override name = "ReadAgain";
  /** What the stage wants to know when it begins anew. */
  readonly learnt: unknown;

  /** Says what to do where the source cannot be read again. */
  constructor(message: string, learnt: unknown, options?: ErrorOptions) {
    super(message, options);
    this.learnt = learnt;
  }
}
