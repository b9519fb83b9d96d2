import type { JSX } from "preact";
import type { GridRun } from "../documents.ts";
import type { GridModel } from "../grid_model.ts";
import { stateOfAll } from "../grid_state.ts";
import { Icon } from "../parts/icon.tsx";
import { meterOf, progressOf, Speed } from "../parts/speed.tsx";
import { goBeside } from "../router.ts";
import type { TreeRow } from "../task_tree.ts";

/** The height of a row, and the width of a column, in pixels. */
export interface Sizes {
  readonly row: number;
  readonly cell: number;
}

/** What a row is given. */
export interface GridRowProps {
  readonly row: TreeRow;
  readonly top: number;
  readonly grid: GridModel;
  readonly runs: readonly GridRun[];
  /** Which runs can be seen. */
  readonly from: number;
  readonly to: number;
  /** The width of the name. */
  readonly names: number;
  readonly sizes: Sizes;
  /** The run whose square was chosen here. */
  readonly chosen: string | null;
  readonly onFold: (group: string) => void;
}

/** A task, or a group of them, in all runs. */
export function GridRow(
  { row, top, grid, runs, from, to, names, sizes, chosen, onFold }: GridRowProps,
): JSX.Element {
  const { id, label, depth, inside, isOpen } = row;
  const tasks = inside ?? [id];
  for (const task of tasks) grid.changes(task).value;
  return (
    <div
      class="grid-row"
      data-row-of={id}
      data-open={isOpen ? "" : undefined}
      data-chosen={chosen === null ? undefined : ""}
      style={{ top: `${top}px` }}
    >
      <div class="grid-name" style={{ width: `${names}px`, paddingLeft: `${24 + depth * 14}px` }}>
        <button
          type="button"
          title={id}
          aria-expanded={inside ? isOpen : undefined}
          onClick={() => {
            if (inside) onFold(id);
            else if (runs.length > 0) goBeside(runs.at(-1)!.run_id, id);
          }}
        >
          {inside && <Icon name={isOpen ? "down" : "right"} />}
          <span class="clip">{label}</span>
          {inside && <span class="faint">{inside.length}</span>}
        </button>
      </div>
      <div class="grid-cells" style={{ left: `${names + from * sizes.cell}px` }}>
        {runs.slice(from, to).map(({ run_id, mapped }) => {
          const state = inside
            ? stateOfAll(inside.map((task) => grid.state(run_id, task)))
            : grid.state(run_id, id);
          if (state === "running" && !inside) {
            return <Running key={run_id} run={run_id} task={id} isChosen={chosen === run_id} />;
          }
          return (
            <i
              key={run_id}
              class="square"
              data-state={state}
              data-run={run_id}
              data-task={id}
              data-group={inside ? "" : undefined}
              data-mapped={mapped[id] ? "" : undefined}
              data-chosen={chosen === run_id ? "" : undefined}
            />
          );
        })}
      </div>
      {!inside && (
        <Flowing grid={grid} runs={runs} task={id} left={names + runs.length * sizes.cell} />
      )}
    </div>
  );
}

/** A square that fills as its task gets on. */
function Running(
  { run, task, isChosen }: {
    readonly run: string;
    readonly task: string;
    readonly isChosen: boolean;
  },
): JSX.Element {
  const progress = progressOf(meterOf(run, task));
  return (
    <i
      class="square"
      data-state="running"
      data-run={run}
      data-task={task}
      data-metered={progress === undefined ? undefined : ""}
      data-chosen={isChosen ? "" : undefined}
    >
      {progress !== undefined && <i style={{ transform: `scaleY(${Math.min(1, progress)})` }} />}
    </i>
  );
}

/** What flows in a task now, beside its squares. */
function Flowing(
  { grid, runs, task, left }: {
    readonly grid: GridModel;
    readonly runs: readonly GridRun[];
    readonly task: string;
    readonly left: number;
  },
): JSX.Element | null {
  const run = runs.findLast(({ run_id, state }) =>
    state === "running" && grid.state(run_id, task) === "running"
  );
  if (!run) return null;
  return (
    <div class="grid-speed" style={{ left: `${left + 10}px` }}>
      <Speed run={run.run_id} task={task} />
    </div>
  );
}
