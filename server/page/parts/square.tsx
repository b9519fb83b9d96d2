import type { JSX } from "preact";
import type { RunState, TaskState } from "../documents.ts";
import { words } from "../format.ts";

/** What a square is given. */
export interface SquareProps {
  readonly state: TaskState | RunState;
  /** How far it has come, from 0 to 1, where that is known. */
  readonly progress?: number | undefined;
  /** What it stands for, for those who do not see it. */
  readonly label?: string;
}

/** A state as a small square: a colour and a shape. */
export function Square({ state, progress, label }: SquareProps): JSX.Element {
  const metered = state === "running" && progress !== undefined;
  return (
    <span
      class="square"
      data-state={state}
      data-metered={metered ? "" : undefined}
      role="img"
      aria-label={label ?? words(state)}
    >
      {metered && <i style={{ transform: `scaleY(${Math.min(1, progress)})` }} />}
    </span>
  );
}

/** A state as a square and a word. */
export function State({ state }: { readonly state: TaskState | RunState }): JSX.Element {
  return (
    <span class="state" data-state={state}>
      <span class="square" data-state={state} aria-hidden="true" />
      {words(state)}
    </span>
  );
}
