import type { JSX } from "preact";
import { Dialog } from "../parts/dialog.tsx";

/** Stands here until it can be asked for. */
export function CancelDialog({ run }: { readonly run: string }): JSX.Element {
  return <Dialog title={`Cancel ${run}`} />;
}
