export { checkId, Dag, dag, Task } from "./dag.ts";
export type { AnyWork, DagOptions, Schedule, TaskOptions, When } from "./dag.ts";
export { Meter, Meters } from "./meter.ts";
export type { Reading } from "./meter.ts";
export { pipe, tee } from "./pipe.ts";
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
