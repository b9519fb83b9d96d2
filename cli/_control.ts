import type {
  ClearOptions,
  DagStatus,
  Instance,
  Mark,
  MarkOptions,
  ParamsSchema,
  Reprocess,
  Unpaused,
} from "../engine/mod.ts";
import type { RunDocument } from "../server/mod.ts";
import type { PlaceFlags } from "./database.ts";

/** Options for {@linkcode openControl}. */
export interface ControlOptions extends PlaceFlags {
  /** Where DAGs are; a process that holds the home folder has its own. */
  readonly dags?: string;
  /**
   * What is done here when no process can be asked: `look`, and change nothing; `note` what is to be done, for the next
   * `serve` to do; or `work`, and do it here as far as it is waited for.
   */
  readonly does: "look" | "note" | "work";
}

/** What an order has to know of a DAG. */
export interface DagFacts extends DagStatus {
  /** What its params must be like. */
  readonly params: ParamsSchema;
  /** The zone of its schedule. */
  readonly timezone: string;
}

/** A run as far as orders go. */
export type RunFacts = Pick<RunDocument, "run_id" | "dag" | "logical_date" | "state" | "interval">;

/** A run to be made. Moments are as people write them, in the DAG's zone. */
export interface TriggerOrder {
  readonly date?: string;
  readonly interval?: { readonly start: string; readonly end: string };
  readonly params: Readonly<Record<string, unknown>>;
}

/** A backfill to be made. Moments are as people write them, in the DAG's zone. */
export interface BackfillOrder {
  readonly from: string;
  readonly to: string;
  readonly reprocess: Reprocess;
  readonly reverse: boolean;
  readonly maxActiveRuns?: number;
  readonly params: Readonly<Record<string, unknown>>;
  readonly dryRun: boolean;
}

/** A slice of time, as instants in UTC. */
export interface Slice {
  readonly start: string;
  readonly end: string;
}

/** What a backfill does, or would do: its dry run. */
export interface BackfillDocument {
  /** null when nothing was begun. */
  readonly id: string | null;
  readonly dry_run: boolean;
  /** The intervals runs are made for. */
  readonly create: readonly Slice[];
  /** The ids of the runs that are run again. */
  readonly clear: readonly string[];
  readonly skip: readonly {
    readonly interval: Slice;
    readonly run_id: string | null;
    readonly reason: string;
  }[];
  /** The ids of all its runs. */
  readonly runs: readonly string[];
}

/** What people do to DAGs and runs by hand: the same, whether a process is asked or the home folder is opened here. */
export interface Control extends AsyncDisposable {
  /** Whether a process is asked that holds the home folder, and schedules. */
  readonly serves: boolean;
  /** How a DAG is doing. @throws {UsageError} when there is no such DAG */
  dag(id: string): Promise<DagFacts>;
  /** How a run is doing. @throws {UsageError} when there is no such run */
  run(id: string): Promise<RunFacts>;
  /** Makes a run. */
  trigger(dag: string, order: TriggerOrder): Promise<RunFacts>;
  /** Ends a run; it may still be stopping when a process was asked. */
  cancel(run: string): Promise<RunFacts>;
  /** Has tasks run again; tells which. */
  clear(run: string, options: ClearOptions): Promise<readonly Instance[]>;
  /** Marks tasks, or a run; tells which. */
  mark(run: string, to: Mark, options: MarkOptions): Promise<readonly Instance[]>;
  /** Has a DAG start nothing by itself. */
  pause(dag: string): Promise<void>;
  /** Has it start by itself again; tells how many runs are due at once. */
  unpause(dag: string, options: { readonly all: boolean }): Promise<Unpaused>;
  /** Makes the runs of a range. */
  backfill(dag: string, order: BackfillOrder): Promise<BackfillDocument>;
  /** Why a task, as `load` or `load[3]`, does not run. */
  why(run: string, task: string): Promise<readonly string[]>;
  /** A run when it is over. */
  done(run: string, signal: AbortSignal): Promise<RunDocument>;
}
