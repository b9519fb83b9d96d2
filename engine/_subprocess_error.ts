import { SourceChanged } from "./source.ts";
import { SpoolDamaged } from "./_spool_file.ts";
import type { Failure } from "./state.ts";
import { GiveUp, NotYet, Skip } from "./work.ts";

/** The classes that mean something to the engine. */
const KINDS = { Skip, NotYet, GiveUp, SourceChanged, SpoolDamaged };

/** An error as it goes from one process to another. */
export interface PackedError extends Failure {
  readonly kind?: keyof typeof KINDS;
  /** Milliseconds to wait before a retry. */
  readonly retryAfter?: number;
  /** When a sensor is to ask again: a moment, or how long to wait. */
  readonly due?: string;
  readonly cause?: PackedError;
}

/** Packs an error, with its causes. */
export function pack(error: unknown, depth = 8): PackedError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message, stack, cause } = error;
  const kind = (Object.keys(KINDS) as (keyof typeof KINDS)[])
    .find((kind) => error instanceof KINDS[kind]);
  return {
    name,
    message,
    ...stack === undefined ? {} : { stack },
    ...kind ? { kind } : {},
    ..."retryAfter" in error ? { retryAfter: Number(error.retryAfter) } : {},
    ...error instanceof NotYet && error.due !== undefined ? { due: dueToText(error.due) } : {},
    ...cause === undefined || depth === 0 ? {} : { cause: pack(cause, depth - 1) },
  };
}

/** The error that was packed: of its class if that means something, otherwise an `Error` of its name. */
export function unpack(packed: PackedError): Error {
  const { name, message, stack, kind, retryAfter, due, cause } = packed;
  const options = cause ? { cause: unpack(cause) } : {};
  const error = new (kind ? KINDS[kind] : Error)(message, options);
  error.name = name;
  if (stack === undefined) delete error.stack;
  else error.stack = stack;
  return Object.assign(error, {
    ...retryAfter === undefined ? {} : { retryAfter },
    ...due === undefined ? {} : { due: textToDue(due) },
  });
}

function dueToText(due: NonNullable<NotYet["due"]>): string {
  return (due instanceof Temporal.Instant ? due : Temporal.Duration.from(due)).toString();
}

function textToDue(due: string): Temporal.Instant | Temporal.Duration {
  return /^[+-]?P/.test(due) ? Temporal.Duration.from(due) : Temporal.Instant.from(due);
}
