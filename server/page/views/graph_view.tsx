import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { TaskState, WholeDag } from "../documents.ts";
import { layOut } from "../graph_layout.ts";
import { picture, widthOf } from "../graph_picture.ts";
import type { GridModel } from "../grid_model.ts";
import { stateOfAll } from "../grid_state.ts";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { useRun } from "../run_model.ts";
import { chosenRun } from "./chosen_run.ts";
import { GraphEdge } from "./graph_edge.tsx";
import { GraphNode } from "./graph_node.tsx";
import { RunPicker } from "./run_picker.tsx";

/** With more tasks than that, groups are folded at first. */
const FOLDED = 60;
const MARGIN = 28;
const HEIGHT = 52;

/** The tasks of a DAG, and what lies between them, as they are in one run. */
export function GraphView(
  { dag, grid }: { readonly dag: WholeDag; readonly grid: GridModel },
): JSX.Element {
  const folds = useSignal(dag.tasks.length > FOLDED);
  const { nodes, edges } = useMemo(() => picture(dag.tasks, folds.value), [dag, folds.value]);
  const layout = useMemo(() => {
    const boxes = nodes.map((node) => ({ id: node.id, width: widthOf(node), height: HEIGHT }));
    return layOut(boxes, edges);
  }, [nodes, edges]);
  const runs = grid.runs.value;
  const run = chosenRun(runs);
  const { tasks } = useRun(run);
  const hasGroups = dag.tasks.some(({ group }) => group !== null);
  if (dag.tasks.length === 0) return <Empty title="This DAG has no tasks" />;
  const stateOf = (inside: readonly string[]): TaskState =>
    stateOfAll(inside.map((id) => tasks.value.get(id)?.state ?? "none"));
  return (
    <div class="graph-view">
      <div class="tools">
        <RunPicker runs={runs} run={run} />
        {hasGroups && (
          <Button kind="quiet" onClick={() => folds.value = !folds.value}>
            {folds.value ? "Unfold groups" : "Fold groups"}
          </Button>
        )}
        <span class="grow" />
        <ul class="legend" aria-label="What lines mean">
          <li>
            <i class="edge-mark" data-kind="stream" /> a stream
          </li>
          <li>
            <i class="edge-mark" data-kind="output" /> a value
          </li>
          <li>
            <i class="edge-mark" data-kind="order" /> only the order
          </li>
        </ul>
      </div>
      <div class="graph">
        <div
          class="graph-size"
          style={{
            width: `${layout.width + 2 * MARGIN}px`,
            height: `${layout.height + 2 * MARGIN}px`,
          }}
        >
          <svg width={layout.width + 2 * MARGIN} height={layout.height + 2 * MARGIN}>
            <g transform={`translate(${MARGIN},${MARGIN})`}>
              {edges.map((edge, i) => (
                <GraphEdge
                  key={`${edge.from} ${edge.to}`}
                  edge={edge}
                  points={layout.lines[i]!}
                  run={run}
                  from={tasks.value.get(edge.from)}
                  to={tasks.value.get(edge.to)}
                />
              ))}
            </g>
          </svg>
          {nodes.map((node) => {
            const { x, y } = layout.places.get(node.id)!;
            return (
              <GraphNode
                key={node.id}
                node={node}
                run={run}
                state={run === undefined ? "none" : stateOf(node.inside)}
                task={tasks.value.get(node.id)}
                x={x + MARGIN}
                y={y + MARGIN}
                width={widthOf(node)}
                height={HEIGHT}
                onUnfold={() => folds.value = false}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}
