import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { WholeDag } from "../documents.ts";
import { words } from "../format.ts";
import type { GridModel } from "../grid_model.ts";
import { Button } from "../parts/button.tsx";
import { Bones, Empty } from "../parts/empty.tsx";
import { Icon } from "../parts/icon.tsx";
import { groupsOf, treeRows } from "../task_tree.ts";
import { GridTable } from "./grid_table.tsx";

/** With more tasks than that, groups are folded at first. */
const FOLDED = 100;

const LEGEND = [
  ...["success", "running", "failed", "upstream_failed", "up_for_retry"] as const,
  ...["queued", "skipped", "none"] as const,
];

/** Runs and tasks: what became of each. */
export function GridView(
  { dag, grid }: { readonly dag: WholeDag; readonly grid: GridModel },
): JSX.Element {
  const nodes = useMemo(() => new Map(dag.tasks.map((task) => [task.id, task])), [dag]);
  const groups = useMemo(() => groupsOf(dag.tasks), [dag]);
  const folded = useSignal<ReadonlySet<string>>(dag.tasks.length > FOLDED ? groups : new Set());
  const wanted = useSignal("");
  const tasks = grid.tasks.value;
  const rows = useMemo(() => {
    const search = wanted.value.toLowerCase();
    if (search === "") return treeRows(tasks, nodes, folded.value);
    // What is looked for is shown, whatever is folded.
    return treeRows(tasks.filter((id) => id.toLowerCase().includes(search)), nodes, new Set());
  }, [tasks, nodes, folded.value, wanted.value]);
  if (!grid.loaded.value) return <Bones height={280} />;
  if (tasks.length === 0) return <Empty title="This DAG has no tasks" />;
  return (
    <div class="grid-view">
      <div class="tools">
        <label class="search">
          <Icon name="search" />
          <input
            class="input"
            type="search"
            placeholder="Find a task"
            aria-label="Find a task"
            value={wanted.value}
            onInput={(event) => wanted.value = event.currentTarget.value}
          />
          <kbd>/</kbd>
        </label>
        {groups.size > 0 && (
          <Button
            kind="quiet"
            onClick={() => folded.value = folded.value.size > 0 ? new Set() : groups}
          >
            {folded.value.size > 0 ? "Unfold all" : "Fold all"}
          </Button>
        )}
        <span class="grow" />
        <ul class="legend" aria-label="What squares mean">
          {LEGEND.map((state) => (
            <li key={state}>
              <span class="square" data-state={state} aria-hidden="true" />{" "}
              {state === "none" ? "not begun" : words(state)}
            </li>
          ))}
        </ul>
      </div>
      {rows.length === 0 ? <Empty title={`No task is called "${wanted.value}"`} /> : (
        <GridTable
          dag={dag.id}
          grid={grid}
          rows={rows}
          onFold={(group) => {
            const next = new Set(folded.value);
            if (!next.delete(group)) next.add(group);
            folded.value = next;
          }}
        />
      )}
    </div>
  );
}
