import type { JSX } from "preact";
import type { GridRun } from "../documents.ts";
import { date, words } from "../format.ts";
import { Button } from "../parts/button.tsx";
import { Square } from "../parts/square.tsx";
import { goBeside } from "../router.ts";

/** Chooses the run that is shown: one of the last, or the one before or behind. */
export function RunPicker(
  { runs, run }: { readonly runs: readonly GridRun[]; readonly run: string | undefined },
): JSX.Element | null {
  if (runs.length === 0) return <span class="faint">It has not run yet.</span>;
  const at = runs.findIndex(({ run_id }) => run_id === run);
  const step = (by: number): void => {
    const next = runs[at + by];
    if (next) goBeside(next.run_id);
  };
  return (
    <div class="line run-picker">
      {at >= 0 && <Square state={runs[at]!.state} />}
      <select
        class="input"
        aria-label="Run"
        value={run}
        onChange={({ currentTarget: { value } }) => goBeside(value)}
      >
        {at < 0 && <option value={run}>{run}</option>}
        {runs.toReversed().map(({ run_id, logical_date, state, kind }) => (
          <option key={run_id} value={run_id}>
            {date(logical_date)} · {words(state)}
            {kind === "scheduled" ? "" : ` · ${kind}`}
          </option>
        ))}
      </select>
      <Button
        kind="quiet"
        icon="left"
        label="The run before"
        disabled={at <= 0}
        onClick={() => step(-1)}
      />
      <Button
        kind="quiet"
        icon="right"
        label="The run behind"
        disabled={at < 0 || at === runs.length - 1}
        onClick={() => step(1)}
      />
    </div>
  );
}
