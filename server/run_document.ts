import type { Json, Run } from "../engine/mod.ts";

/** A run as it is told outside: an element of `runs` of `run --json`, and the answer of `GET /api/runs/{id}`. */
export interface RunDocument {
  /** Its identity. */
  readonly run_id: string;
  /** The DAG's id. */
  readonly dag: string;
  /** An instant in UTC. */
  readonly logical_date: string;
  /** The slice of time it is for, as instants in UTC. */
  readonly interval: { readonly start: string; readonly end: string };
  /** What the trigger set, and the defaults of the rest. */
  readonly params: Readonly<Record<string, Json>>;
  /** queued, running, success or failed. */
  readonly state: string;
  /** In the DAG's order. */
  readonly tasks: readonly {
    readonly id: string;
    readonly state: string;
    readonly attempts: number;
    /** How long the last attempt took, or has taken; null when none has begun. */
    readonly seconds: number | null;
    readonly output: Json;
    /** What the last attempt failed of. */
    readonly error?: string;
  }[];
}

/** Tells of a run; `now` is the end of what has not ended. */
export function runDocument(run: Run, now: Temporal.Instant): RunDocument {
  return {
    run_id: run.id,
    dag: run.dag,
    logical_date: run.logicalDate,
    interval: { start: toUtc(run.interval.start), end: toUtc(run.interval.end) },
    params: run.params,
    state: run.state,
    tasks: Object.entries(run.tasks).map(
      ([id, { state, attempt, started, ended, output, error }]) => {
        const last = ended ? Temporal.Instant.from(ended) : now;
        const ms = started && last.since(Temporal.Instant.from(started)).total("milliseconds");
        return {
          id,
          state,
          attempts: attempt,
          seconds: typeof ms === "number" ? Math.round(ms) / 1000 : null,
          output: output ?? null,
          ...error ? { error: error.message } : {},
        };
      },
    ),
  };
}

/** Instants are told in UTC, whatever zone the DAG has. */
function toUtc(moment: string): string {
  return Temporal.Instant.from(moment).toString();
}
