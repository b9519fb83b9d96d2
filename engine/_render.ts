import { context } from "./_context.ts";
import { Meter, Meters } from "./meter.ts";
import { Ref, type Scope } from "./ref.ts";
import type { RunKind } from "./state.ts";
import type { Task } from "./task.ts";
import type { Context, Interval } from "./work.ts";
import type { Json } from "./json.ts";

/** An option of an operator as it comes out for a run. */
export type Rendered =
  /** What it is. */
  | { readonly value: Json }
  /** It is what these tasks put out, which is not known yet, or is a stream. */
  | { readonly reads: readonly string[] }
  /** Why it cannot be told. */
  | { readonly unknown: string };

/** An operator of a task, and its options as they come out for a run. */
export interface RenderedStep {
  /** Its name. */
  readonly operator: string;
  /** Those that were given; for the others the operator's defaults hold. */
  readonly options: Readonly<Record<string, Rendered>>;
}

/** What options are rendered for. */
export interface RenderFor {
  /** The id of the DAG. */
  readonly dag: string;
  /** The id of the run. */
  readonly run: string;
  readonly kind: RunKind;
  readonly index?: number | undefined;
  readonly attempt: number;
  readonly interval: Interval;
  readonly next: Interval | undefined;
  readonly params: Readonly<Record<string, unknown>>;
  readonly now: () => Temporal.Instant;
  /** Where outputs are looked up; what it throws says that they are not known. */
  readonly scope: Scope;
}

/** The most characters of an option that are told. */
const LONGEST = 10_000;

/**
 * The options of a task's operators as they come out for a run. Nothing is started: their functions are called, without a
 * connection to anywhere.
 */
export function render(task: Task<unknown>, what: RenderFor): RenderedStep[] {
  const ctx = contextOf(task, what);
  return task.work.steps.map(({ name, inputs }) => ({
    operator: name,
    options: Object.fromEntries(
      Object.entries(inputs)
        .filter(([, input]) => input !== undefined)
        .map(([key, input]) => [key, renderInput(input, ctx, what.scope)]),
    ),
  }));
}

function renderInput(input: unknown, ctx: Context, scope: Scope): Rendered {
  if (input instanceof Ref) {
    try {
      return { value: shown(input.read(scope)) };
    } catch {
      return { reads: input.ids };
    }
  }
  try {
    const value = typeof input === "function" ? input(ctx) : input;
    if (!(value instanceof Promise)) return { value: shown(value) };
    value.catch(() => {});
    return { unknown: "it is known when the task runs" };
  } catch (error) {
    return { unknown: error instanceof Error ? error.message : String(error) };
  }
}

function contextOf(task: Task<unknown>, { scope: _, ...what }: RenderFor): Context {
  const clock = (): number => 0;
  const offline = (): Promise<never> =>
    Promise.reject(new TypeError("Cannot look elsewhere while options are rendered"));
  const ctx = context({
    ...what,
    task: task.id,
    index: what.index,
    signal: new AbortController().signal,
    meter: new Meter(task.id, undefined, clock),
    meters: new Meters(clock),
    kept: undefined,
    connections: {},
    network: "public",
    rejects: undefined,
    log: () => {},
    runs: offline,
  });
  return { ...ctx, connection: offline };
}

/** A value as it can be told: JSON, with sentences for what is none. */
function shown(value: unknown): Json {
  if (typeof value === "function") return "(a function)";
  if (value instanceof ReadableStream) return "(a stream)";
  const text = JSON.stringify(value, (_, inner) => {
    if (typeof inner === "function") return "(a function)";
    if (typeof inner === "bigint") return String(inner);
    if (inner instanceof Headers) return Object.fromEntries(inner);
    if (ArrayBuffer.isView(inner)) return `(${inner.byteLength} bytes)`;
    return inner;
  });
  if (text === undefined) return null;
  if (text.length <= LONGEST) return JSON.parse(text);
  return typeof value === "string"
    ? `${value.slice(0, LONGEST)} … (${value.length} characters)`
    : `(JSON of ${text.length} characters)`;
}
