export { Dag, dag, onMade } from "./dag.ts";
export type { AnyDag, DagOptions, RunEvent, Schedule } from "./dag.ts";
export { Item, Task, WHENS } from "./task.ts";
export type {
  AnyWork,
  Each,
  EachOptions,
  TaskEvent,
  TaskOptions,
  TaskParts,
  Tasks,
  Upstream,
  When,
} from "./task.ts";
export { chain, checkId, Group } from "./group.ts";
export type { Doing, Link, Roster } from "./group.ts";
export { Graph } from "./graph.ts";
export { branch, latestOnly, shortCircuit } from "./branch.ts";
export type { Followed } from "./branch.ts";
export { dataset, datasetsOf } from "./dataset.ts";
export type { Dataset } from "./dataset.ts";
export { param, paramsSchema, resolveParams } from "./params.ts";
export type {
  GivenParam,
  GivenParams,
  Param,
  Parametrized,
  ParamOptions,
  ParamRules,
  ParamsOf,
  ParamsSchema,
  ParamTypes,
  SchemaIssue,
  SchemaResult,
  StandardSchema,
} from "./params.ts";
export { webhookSecrets } from "./webhook.ts";
export type { Delivery, Webhook } from "./webhook.ts";
export { lint } from "./lint.ts";
export type { Warning } from "./lint.ts";
export { template } from "./template.ts";
export type { Template } from "./template.ts";
export { Meter, Meters } from "./meter.ts";
export type { Reading } from "./meter.ts";
export { pace } from "./pace.ts";
export type { Headway, Pace, Wait } from "./pace.ts";
export { checkOptionNames, nearestName } from "./option_names.ts";
export type { OptionNames } from "./option_names.ts";
export { pipe, tee } from "./pipe.ts";
export { all, Ref } from "./ref.ts";
export type { Scope } from "./ref.ts";
export { keepSource } from "./kept_source.ts";
export type { KeepSourceOptions, KeptSource } from "./kept_source.ts";
export { Source, SourceChanged } from "./source.ts";
export type { Provenance } from "./provenance.ts";
export type { Bytes, Kept, Origin } from "./source.ts";
export { fn, GiveUp, NotYet, operator, ReadAgain, sensor, Skip } from "./work.ts";
export type {
  AnyContext,
  Connection,
  Context,
  Input,
  Inputs,
  Interval,
  Logger,
  Network,
  Nothing,
  NotYetOptions,
  Operator,
  OperatorOptions,
  Params,
  Step,
  Work,
} from "./work.ts";
export { checkLimits } from "./check_limits.ts";
export type { CheckLimitsOptions } from "./check_limits.ts";
export { engine } from "./engine.ts";
export type { Engine, EngineOptions, RunHandle } from "./engine.ts";
export type { DagChange } from "./_changes.ts";
export type { DagStatus, Statuses, Unpaused } from "./dag_status.ts";
export type { Writes } from "./_causes.ts";
export type { Definition } from "./_create.ts";
export type { Backfill, BackfillOptions, ClearOptions, MarkOptions } from "./_interventions.ts";
export type { Connections, LogLine } from "./_context.ts";
export type { UnderWay } from "./_live.ts";
export type { Preview, RenderedTask } from "./_previews.ts";
export type { Rendered, RenderedStep } from "./_render.ts";
export type { Sleep } from "./_deadline.ts";
export type { TriggerOptions } from "./_trigger.ts";
export { between, due, on, parseSchedule } from "./schedule.ts";
export type { Progress, ScheduleOptions, Timetable } from "./schedule.ts";
export { checkState, repairState } from "./state_check.ts";
export type { StateCheck, StateRepair } from "./state_check.ts";
export { upcoming } from "./upcoming.ts";
export { scheduleInWords } from "./words.ts";
export type { WordsOptions } from "./words.ts";
export { span } from "./span.ts";
export type { BackfillPlan, BackfillRange, Reprocess, Skipped } from "./backfill.ts";
export type { Instance, Selection } from "./clear.ts";
export type { Mark } from "./mark.ts";
export { simulate } from "./simulate.ts";
export type { Shift, SimulatedRun, SimulateOptions, Simulation } from "./simulate.ts";
export { toJson } from "./json.ts";
export type { Json } from "./json.ts";
export { perform } from "./perform.ts";
export type { PerformOptions } from "./perform.ts";
export { admit, admitRuns } from "./admit.ts";
export type { Candidate, Limits, RunCandidate } from "./admit.ts";
export { plan } from "./plan.ts";
export type { TaskPlace } from "./plan.ts";
export { decide } from "./trigger_rule.ts";
export type { Decision } from "./trigger_rule.ts";
export { isDone, isOver, reduce, reduceAll } from "./state.ts";
export type {
  Cause,
  Ending,
  Event,
  Failure,
  Founding,
  Happening,
  Run,
  RunKind,
  RunState,
  StreamState,
  TaskRun,
  TaskState,
} from "./state.ts";
export { memory, StoreFull } from "./store.ts";
export type { DagRecord, Place, Recorded, RunQuery, Store } from "./store.ts";
export { rejectFiles } from "./reject_files.ts";
export type { RejectFile, RejectFiles } from "./reject_files.ts";
export { retention } from "./retention.ts";
export type { RetentionOptions, RunFiles } from "./retention.ts";
export { file, makeHome } from "./file_store.ts";
export type { FileStoreOptions } from "./file_store.ts";
export { logFiles } from "./log_files.ts";
export type {
  LogEntry,
  LogFiles,
  LogFilesOptions,
  LogKey,
  LogRange,
  LogWriter,
} from "./log_files.ts";
export { unfinished } from "./spool.ts";
export type { SpoolOptions, Unfinished } from "./spool.ts";
export type { Need, SpoolLimits } from "./_spool_room.ts";
export { clearSpool, listSpool } from "./_spool_list.ts";
export type { ClearedSpool, ClearSpoolOptions, SpoolEntry } from "./_spool_list.ts";
export { inProcess } from "./executor.ts";
export type { Executor } from "./executor.ts";
export { subprocess } from "./subprocess.ts";
export type { SubprocessOptions } from "./subprocess.ts";
export { serveAttempt } from "./serve_attempt.ts";
export type { ServeAttemptOptions } from "./serve_attempt.ts";
export type { Attempt, Outcome, Surroundings } from "./attempt.ts";
export type { Supplies } from "./_job.ts";
