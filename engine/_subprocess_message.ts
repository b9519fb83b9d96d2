import type { FileState } from "./_follower.ts";
import type { LogLine } from "./_context.ts";
import type { Json } from "./json.ts";
import type { Reading } from "./meter.ts";
import type { Kept, Origin } from "./source.ts";
import type { Run, StreamState } from "./state.ts";
import type { RunQuery } from "./store.ts";
import type { PackedError } from "./_subprocess_error.ts";
import type { Connection, Network } from "./work.ts";

/** What a child is to do. */
export interface JobMessage {
  readonly dag: string;
  /** With those of its tasks alone that the job may ask for. */
  readonly run: Run;
  readonly task: string;
  readonly index?: number;
  readonly attempt: number;
  /** The interval after the run's. */
  readonly next?: { readonly start: string; readonly end: string };
  /** The names of what it can connect to. */
  readonly connections: readonly string[];
  /** Where its requests may go. */
  readonly network: Network;
  /** The folder for the records that it refuses. */
  readonly rejects?: string | undefined;
}

/** What a child may ask, and what it gets as the answer. */
export interface Questions {
  kept: { readonly ask: { readonly key: string }; readonly answer: Kept | null };
  connection: { readonly ask: { readonly name: string }; readonly answer: Connection };
  runs: { readonly ask: { readonly query: RunQuery }; readonly answer: readonly Run[] };
  /** The file that a reader follows, once there is more than `bytes` of it or it has ended. */
  file: {
    readonly ask: { readonly reader: number; readonly bytes: number };
    readonly answer: FileState;
  };
}

/** A question; it has the number that its answer will have. */
export type Question = {
  [K in keyof Questions]: { readonly type: K; readonly id: number } & Questions[K]["ask"];
}[keyof Questions];

/** What the engine tells a child; first of all, what to do. */
export type ToChild =
  | { readonly type: "job"; readonly job: JobMessage }
  | { readonly type: "answer"; readonly id: number; readonly value: unknown }
  | { readonly type: "refusal"; readonly id: number; readonly error: PackedError }
  /** It is to end: there is no time left, or nobody wants it any more. */
  | { readonly type: "stop"; readonly reason: PackedError };

/** What a child tells the engine. Bytes between `stream` and `done` are what it puts out. */
export type FromChild =
  | { readonly type: "log"; readonly line: LogLine }
  | { readonly type: "meters"; readonly readings: Reading[] }
  | Question
  /** The answer to a question is of no use any more. */
  | { readonly type: "forget"; readonly id: number }
  /** It begins to read what another task writes or wrote. */
  | {
    readonly type: "follow";
    readonly reader: number;
    readonly writer: string;
    readonly stream: StreamState;
  }
  | { readonly type: "stream"; readonly origin: Origin | null }
  | { readonly type: "done"; readonly output: Json; readonly readings: Reading[] }
  | {
    readonly type: "failed";
    readonly error: PackedError;
    /** The readers that found another file than was written. */
    readonly damaged: readonly number[];
    readonly readings: Reading[];
  };
