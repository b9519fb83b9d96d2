import type { z } from "zod";
import type { PlannedSchema } from "../_backfills.ts";
import type { CalendarSchema } from "../_calendar.ts";
import type { DagRow, DagTask, FullDag, NextRun } from "../_dags.ts";
import type {
  FullRunSchema,
  Reading as ReadingSchema,
  RunHead as RunHeadSchema,
  RunState as RunStateSchema,
  TaskSchema,
  TaskState as TaskStateSchema,
} from "../_documents.ts";
import type { DagChangeSchema, EventSchema, MetersSchema } from "../_events.ts";
import type { GridSchema } from "../_grid.ts";
import type { LoadSchema } from "../_loads.ts";
import type { PreviewSchema, RenderedSchema, StepSchema } from "../_previews.ts";
import type {
  RefusedRow as RefusedRowSchema,
  RefusedTable as RefusedTableSchema,
} from "../_rejects.ts";
import type { DatasetRow } from "../_system.ts";
import type { AttemptSchema, FullTask, Line as LineSchema } from "../_tasks.ts";

// What the API answers, as its own schemas say.

/** A DAG in the list of all. */
export type Dag = z.output<typeof DagRow>;
/** All there is to tell of a DAG. */
export type WholeDag = z.output<typeof FullDag>;
/** A task of a DAG, as it is declared. */
export type Node = z.output<typeof DagTask>;
/** A run to come. */
export type Next = z.output<typeof NextRun>;
/** A run, and its tasks. */
export type Run = z.output<typeof FullRunSchema>;
/** What a run is told apart by. */
export type RunHead = z.output<typeof RunHeadSchema>;
/** Where a run stands. */
export type RunState = z.output<typeof RunStateSchema>;
/** A task of a run, or an instance of one. */
export type Task = z.output<typeof TaskSchema>;
/** Where a task stands. */
export type TaskState = z.output<typeof TaskStateSchema>;
/** What a stage has moved, and for whom it waited. */
export type Reading = z.output<typeof ReadingSchema>;
/** An event of `/api/events`. */
export type Happening = z.output<typeof EventSchema>;
/** A DAG that is not as it was. */
export type DagChange = z.output<typeof DagChangeSchema>;
/** What stands on all meters. */
export type Meters = z.output<typeof MetersSchema>;
/** The states of all tasks in the last runs. */
export type Grid = z.output<typeof GridSchema>;
/** Runs, counted by days. */
export type Calendar = z.output<typeof CalendarSchema>;
/** A dataset: who writes it, who waits for it. */
export type Dataset = z.output<typeof DatasetRow>;
/** All there is to tell of a task of a run. */
export type WholeTask = z.output<typeof FullTask>;
/** One attempt of a task. */
export type Attempt = z.output<typeof AttemptSchema>;
/** A line of a log. */
export type Line = z.output<typeof LineSchema>;
/** What a trigger would make. */
export type Preview = z.output<typeof PreviewSchema>;
/** What the operators of a task were given. */
export type Rendered = z.output<typeof RenderedSchema>;
/** One of them. */
export type Step = z.output<typeof StepSchema>;
/** What a backfill makes, or would. */
export type BackfillPlan = z.output<typeof PlannedSchema>;
/** A load that is in the ledger. */
export type Load = z.output<typeof LoadSchema>;
/** A table that refused rows. */
export type RefusedTable = z.output<typeof RefusedTableSchema>;
/** A row that was refused. */
export type RefusedRow = z.output<typeof RefusedRowSchema>;
/** A run in the grid. */
export type GridRun = Grid["runs"][number];
/** What stands on the meters of one attempt. */
export type Meter = Meters["attempts"][number];
