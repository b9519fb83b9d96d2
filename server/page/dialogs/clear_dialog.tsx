import type { JSX } from "preact";
import { Dialog } from "../parts/dialog.tsx";

/** What is asked about: a run, or only these tasks of it. */
export interface ClearDialogProps {
  readonly run: string;
  readonly tasks?: readonly string[];
}

/** Stands here until it can be asked for. */
export function ClearDialog({ run, tasks }: ClearDialogProps): JSX.Element {
  return <Dialog title={`Clear ${tasks?.join(", ") ?? run}`} />;
}
