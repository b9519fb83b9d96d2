import type { JSX } from "preact";
import { Panel } from "../parts/panel.tsx";

/** What tells of a task is given. */
export interface TaskPanelProps {
  readonly run: string;
  readonly task: string;
  /** Which instance of a mapped task. */
  readonly index?: number;
  readonly onClose: () => void;
}

/** Tells of a task of a run, beside its DAG. */
export function TaskPanel({ run, task, index, onClose }: TaskPanelProps): JSX.Element {
  const name = index === undefined ? task : `${task}[${index}]`;
  return <Panel title={name} subtitle={run} onClose={onClose} />;
}
