import type { Happening, RunHead, RunState } from "./documents.ts";

/** Runs as an event leaves them; `limit`: only the last so many by logical date are kept. */
export function afterEvent<T extends RunHead>(
  runs: readonly T[],
  event: Happening,
  { limit, make }: { readonly limit: number; readonly make: (head: RunHead) => T },
): readonly T[] {
  const { run_id, run, state, at } = event;
  if (run) {
    if (runs.some((one) => one.run_id === run_id)) return runs;
    const after = runs.findLastIndex((one) => one.logical_date <= run.logical_date) + 1;
    return runs.toSpliced(after, 0, make(run)).slice(-limit);
  }
  const place = runs.findIndex((one) => one.run_id === run_id);
  if (place < 0 || state === undefined) return runs;
  return runs.with(place, { ...runs[place]!, ...changed(state, at, runs[place]!) });
}

function changed(
  state: RunState,
  at: string,
  { started }: RunHead,
): Pick<RunHead, "state" | "started" | "ended"> {
  if (state === "queued") return { state, started: null, ended: null };
  if (state === "running") return { state, started: started ?? at, ended: null };
  return { state, started, ended: at };
}

/** Whether nothing becomes of it any more. */
export function isOver({ state }: Pick<RunHead, "state">): boolean {
  return state === "success" || state === "failed";
}

/** How long it took, or has taken, in seconds; undefined before it began. */
export function secondsOf({ started, ended }: RunHead, now: number): number | undefined {
  if (started === null) return undefined;
  return Math.max(0, (ended === null ? now : Date.parse(ended)) - Date.parse(started)) / 1000;
}
