import type { JSX } from "preact";
import type { WholeDag } from "../documents.ts";
import { Panel } from "../parts/panel.tsx";

/** Tells of a run, beside its DAG. */
export function RunPanel(
  { run, onClose }: {
    readonly dag: WholeDag;
    readonly run: string;
    readonly onClose: () => void;
  },
): JSX.Element {
  return <Panel title={run} onClose={onClose} />;
}
