export { checkId, Dag, dag, Task } from "./dag.ts";
export type { AnyWork, DagOptions, Schedule, TaskOptions, When } from "./dag.ts";
export { Meter, Meters } from "./meter.ts";
export type { Reading } from "./meter.ts";
export { pipe, tee } from "./pipe.ts";
export type { AnyContext } from "./pipe.ts";
export { all, Ref } from "./ref.ts";
export type { Scope } from "./ref.ts";
export { Source, SourceChanged } from "./source.ts";
export type { Bytes, Kept, Origin } from "./source.ts";
export { GiveUp, NotYet, operator, sensor, Skip } from "./work.ts";
export type {
  Connection,
  Context,
  Input,
  Inputs,
  Interval,
  Logger,
  Nothing,
  Operator,
  Params,
  Step,
  Work,
} from "./work.ts";
export { engine } from "./engine.ts";
export type { Engine, EngineOptions, RunHandle } from "./engine.ts";
export type { Connections, LogLine } from "./_context.ts";
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
export { toJson } from "./json.ts";
export type { Json } from "./json.ts";
export { perform } from "./perform.ts";
export type { PerformOptions } from "./perform.ts";
export { admit, decide, plan } from "./plan.ts";
export type { AnyDag, Candidate, Decision } from "./plan.ts";
export { isDone, isOver, reduce, reduceAll } from "./state.ts";
export type {
  Ending,
  Event,
  Failure,
  Run,
  RunKind,
  RunState,
  StreamState,
  TaskRun,
  TaskState,
} from "./state.ts";
export { memory } from "./store.ts";
export type { DagRecord, Place, Recorded, RunQuery, Store } from "./store.ts";
export { file } from "./file_store.ts";
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
export type { Unfinished } from "./spool.ts";
export type { Need } from "./_spool_room.ts";
export { clearSpool, listSpool } from "./_spool_list.ts";
export type { ClearedSpool, ClearSpoolOptions, SpoolEntry } from "./_spool_list.ts";
