import type { JSX } from "preact";
import { Dialog } from "../parts/dialog.tsx";

/** Stands here until it can be asked for. */
export function TriggerDialog({ dag }: { readonly dag: string }): JSX.Element {
  return <Dialog title={`Trigger ${dag}`} />;
}
