import { z } from "zod";
import {
  type Interval,
  pace,
  type Reading as Metered,
  type Run,
  type TaskRun,
} from "../engine/mod.ts";
import { runDocument } from "./run_document.ts";

/** The schemas that have a name in the API's description. */
export const named = z.registry<{ id: string }>();

const JsonValue = z.unknown().meta({ description: "any JSON" });

/** An instant in UTC. */
export const Moment = z.string().meta({ description: "an instant in UTC", format: "date-time" });

/** What ids are like: SEMANTICS of the engine, `checkId`. */
export const Id = z.string().regex(
  /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/,
  "an id has letters, digits, _, . and -, 200 at most",
);

/** A switch in a query. */
export const Flag = z.enum(["0", "1", "false", "true"]).default("0")
  .transform((value) => value === "1" || value === "true");

/** A whole number in a query. */
export function whole(least: number, most: number): z.ZodType<number> {
  return z.string().regex(/^\d{1,15}$/, "it is a whole number").transform(Number)
    .pipe(z.number().min(least).max(most));
}

export const Span = z.strictObject({ start: Moment, end: Moment })
  .register(named, { id: "Interval" });

export const TaskState = z.enum([
  ...["none", "scheduled", "queued", "running", "success", "failed", "skipped"] as const,
  ...["upstream_failed", "up_for_retry", "up_for_reschedule", "removed"] as const,
]).register(named, { id: "TaskState" });

export const RunState = z.enum(["queued", "running", "success", "failed"])
  .register(named, { id: "RunState" });

export const RunKind = z.enum(["scheduled", "manual", "backfill", "webhook", "dataset"])
  .register(named, { id: "RunKind" });

/** What a run's document has of it. */
const RunTask = z.strictObject({
  id: z.string(),
  state: TaskState,
  attempts: z.int(),
  seconds: z.number().nullable(),
  output: JsonValue,
  error: z.string().optional(),
});

export const RunSchema = z.strictObject({
  run_id: z.string(),
  dag: z.string(),
  logical_date: Moment,
  interval: Span,
  params: z.record(z.string(), JsonValue),
  state: RunState,
  tasks: z.array(RunTask),
}).register(named, { id: "Run" });

export const CauseSchema = z.strictObject({
  dataset: z.string(),
  dag: z.string().meta({ description: "the DAG that wrote it" }),
  run_id: z.string().meta({ description: "the run that did; of several, the last one" }),
  task: z.string(),
  at: Moment,
  interval: Span.meta({ description: "what was written is for; of several runs, all of theirs" }),
}).register(named, { id: "Cause" });

export const FullRunSchema = RunSchema.extend({
  kind: RunKind,
  reason: z.string().nullable(),
  run_after: Moment,
  created: Moment,
  started: Moment.nullable(),
  ended: Moment.nullable(),
  late: Moment.nullable().meta({ description: "when its deadline was missed" }),
  cleared: z.int(),
  backfill: z.string().nullable(),
  causes: z.array(CauseSchema)
    .meta({ description: "the writes of datasets that it was made for, one for each" }),
  dag_version: z.string().nullable(),
}).register(named, { id: "FullRun" });

export const RunHead = z.strictObject({
  run_id: z.string(),
  kind: RunKind,
  state: RunState,
  logical_date: Moment,
  created: Moment,
  started: Moment.nullable(),
  ended: Moment.nullable(),
}).register(named, { id: "RunHead" });

export const Triggered = z.strictObject({
  run_id: z.string(),
  state: RunState,
  note: z.string().optional().meta({ description: "why it waits, when its DAG is paused" }),
}).register(named, { id: "Triggered" });

export const Reading = z.strictObject({
  stage: z.string(),
  rows: z.number(),
  bytes: z.number(),
  rejected: z.int().optional().meta({ description: "records refused, where any are" }),
  length: z.number().nullable(),
  elapsed: z.number(),
  starved: z.number(),
  blocked: z.number(),
  done: z.boolean(),
  outside: z.strictObject({ name: z.string(), waited: z.number() }).nullable(),
  waits: z.array(z.strictObject({ for: z.string(), share: z.number() }))
    .meta({ description: "for whom, and which part of its time, from 0 to 1" }),
}).register(named, { id: "Reading" });

/** What stands on the meters of an attempt. */
export const Pace = z.strictObject({
  readings: z.array(Reading),
  set_by: z.string().nullable()
    .meta({ description: "the stage, or what is outside, for which the others wait" }),
  seconds_left: z.number().nullable(),
});

export const TaskSchema = z.strictObject({
  id: z.string(),
  index: z.int().optional().meta({ description: "which instance of a mapped task" }),
  instances: z.int().optional().meta({ description: "how many a mapped task has" }),
  state: TaskState,
  attempts: z.int(),
  retries: z.int(),
  started: Moment.nullable(),
  ended: Moment.nullable(),
  due: Moment.nullable(),
  seconds: z.number().nullable(),
  output: JsonValue,
  error: z.string().optional(),
  reason: z.string().optional(),
  stream: z.strictObject({ bytes: z.number(), whole: z.boolean() }).optional(),
  ...Pace.shape,
}).register(named, { id: "Task" });

export const InstanceSchema = z.strictObject({
  run_id: z.string(),
  task: z.string(),
  index: z.int().optional(),
}).register(named, { id: "Instance" });

/** What a run is told apart by. */
export function runHead(run: Run): z.input<typeof RunHead> {
  const { id, kind, state, logicalDate, created, started = null, ended = null } = run;
  return { run_id: id, kind, state, logical_date: logicalDate, created, started, ended };
}

/** All of a run. */
export function fullRun(run: Run, now: Temporal.Instant): z.input<typeof FullRunSchema> {
  const { kind, reason = null, runAfter, created, started = null, ended = null, cleared } = run;
  return {
    ...runDocument(run, now) as z.input<typeof RunSchema>,
    kind,
    reason,
    run_after: runAfter,
    created,
    started,
    ended,
    late: run.late ?? null,
    cleared,
    backfill: run.backfill?.id ?? null,
    causes: (run.causes ?? []).map(({ run, seq: _, ...cause }) => ({ run_id: run, ...cause })),
    dag_version: run.hash ?? null,
  };
}

/** A task of a run, or an instance of one. */
export function taskDocument(
  id: string,
  task: TaskRun,
  now: Temporal.Instant,
  extra: Partial<z.input<typeof TaskSchema>> = {},
  readings: readonly Metered[] = task.readings ?? [],
): z.input<typeof TaskSchema> {
  const { state, attempt, retries, started = null, ended = null, due = null } = task;
  const { output = null, error, reason, stream } = task;
  return {
    id,
    state,
    attempts: attempt,
    retries,
    started,
    ended,
    due,
    seconds: secondsOf(task, now),
    output,
    ...error ? { error: error.message } : {},
    ...reason === undefined ? {} : { reason },
    ...stream ? { stream: { bytes: stream.bytes, whole: stream.whole } } : {},
    ...paceDocument(readings),
    ...extra,
  };
}

/** What stands on the meters of an attempt, and what sets its pace. */
export function paceDocument(readings: readonly Metered[]): z.input<typeof Pace> {
  const { waits, setBy = null, progress } = pace(readings);
  return {
    readings: readings.map((reading, i) => ({ ...reading, waits: [...waits[i]!] })),
    set_by: setBy,
    seconds_left: progress ? progress.left / 1000 : null,
  };
}

/** How long an attempt took, or has taken. */
export function secondsOf(
  { started, ended }: Pick<TaskRun, "started" | "ended">,
  now: Temporal.Instant,
): number | null {
  if (started === undefined) return null;
  const last = ended === undefined ? now : Temporal.Instant.from(ended);
  return Math.round(last.since(Temporal.Instant.from(started)).total("milliseconds")) / 1000;
}

/** A slice of time. */
export function spanDocument({ start, end }: Interval): z.input<typeof Span> {
  return { start: start.toInstant().toString(), end: end.toInstant().toString() };
}
