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
import type { EventSchema, MetersSchema } from "../_events.ts";
import type { GridSchema } from "../_grid.ts";
import type { LoadSchema } from "../_loads.ts";
import type { PreviewSchema, RenderedSchema, StepSchema } from "../_previews.ts";
import type {
  RefusedRow as RefusedRowSchema,
  RefusedTable as RefusedTableSchema,
} from "../_rejects.ts";
import type { DatasetRow } from "../_system.ts";
import type { AttemptSchema, FullTask, Line as LineSchema } from "../_tasks.ts";

/** What the API answers, as its own schemas say. */
export type Dag = z.output<typeof DagRow>;
export type WholeDag = z.output<typeof FullDag>;
export type Node = z.output<typeof DagTask>;
export type Next = z.output<typeof NextRun>;
export type Run = z.output<typeof FullRunSchema>;
export type RunHead = z.output<typeof RunHeadSchema>;
export type RunState = z.output<typeof RunStateSchema>;
export type Task = z.output<typeof TaskSchema>;
export type TaskState = z.output<typeof TaskStateSchema>;
export type Reading = z.output<typeof ReadingSchema>;
export type Happening = z.output<typeof EventSchema>;
export type Meters = z.output<typeof MetersSchema>;
export type Grid = z.output<typeof GridSchema>;
export type Calendar = z.output<typeof CalendarSchema>;
export type Dataset = z.output<typeof DatasetRow>;
export type WholeTask = z.output<typeof FullTask>;
export type Attempt = z.output<typeof AttemptSchema>;
export type Line = z.output<typeof LineSchema>;
export type Preview = z.output<typeof PreviewSchema>;
export type Rendered = z.output<typeof RenderedSchema>;
export type Step = z.output<typeof StepSchema>;
export type BackfillPlan = z.output<typeof PlannedSchema>;
export type Load = z.output<typeof LoadSchema>;
export type RefusedTable = z.output<typeof RefusedTableSchema>;
export type RefusedRow = z.output<typeof RefusedRowSchema>;
export type GridRun = Grid["runs"][number];
export type Meter = Meters["attempts"][number];
