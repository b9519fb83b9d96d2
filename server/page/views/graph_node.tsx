import type { JSX } from "preact";
import type { Task, TaskState } from "../documents.ts";
import { count, duration, words } from "../format.ts";
import { meterOf, progressOf } from "../parts/speed.tsx";
import { Square } from "../parts/square.tsx";
import { goBeside, place } from "../router.ts";
import { type Drawn, nameOf } from "../graph_picture.ts";

/** What a node is given. */
export interface GraphNodeProps {
  readonly node: Drawn;
  readonly run: string | undefined;
  readonly state: TaskState;
  /** The task in the run. */
  readonly task: Task | undefined;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** Shows the tasks of a group. */
  readonly onUnfold: () => void;
}

/** A task in the picture, or a group of them. */
export function GraphNode(
  { node, run, state, task, x, y, width, height, onUnfold }: GraphNodeProps,
): JSX.Element {
  const { id, inside } = node;
  const meter = run === undefined ? undefined : meterOf(run, id);
  const progress = progressOf(meter);
  const isChosen = place.value.query.get("task") === id;
  return (
    <button
      type="button"
      class="node"
      data-state={state}
      data-task={id}
      data-group={node.task ? undefined : ""}
      aria-pressed={isChosen}
      style={{ left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` }}
      onClick={() => {
        if (!node.task) onUnfold();
        else if (run !== undefined) goBeside(run, id);
      }}
    >
      <span class="line">
        <Square state={state} progress={progress} />
        <span class="clip node-name" title={id}>{nameOf(node)}</span>
      </span>
      <span class="clip faint">{about()}</span>
      {progress !== undefined && (
        <i class="node-progress" style={{ transform: `scaleX(${Math.min(1, progress)})` }} />
      )}
    </button>
  );

  function about(): string {
    if (!node.task) return `${count(inside.length)} tasks, ${words(state)}`;
    const parts = [node.task.operators.join(" → ")];
    if (task?.instances !== undefined) parts.push(`× ${task.instances}`);
    if (task && task.seconds !== null && state !== "running") parts.push(duration(task.seconds));
    return parts.filter((part) => part !== "").join(" · ");
  }
}
