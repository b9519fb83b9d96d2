import type { GridRun } from "../documents.ts";
import { place } from "../router.ts";

/** The run that is shown: the one that the address names, else one that runs, else the last. */
export function chosenRun(runs: readonly GridRun[]): string | undefined {
  const named = place.value.query.get("run");
  if (named !== null) return named;
  const running = runs.findLast(({ state }) => state === "running");
  return (running ?? runs.findLast(({ started }) => started !== null) ?? runs.at(-1))?.run_id;
}
