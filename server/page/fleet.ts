import { signal } from "@preact/signals";
import { get } from "./api.ts";
import type { Dag, Happening } from "./documents.ts";
import { onEvent } from "./live.ts";
import { afterEvent } from "./runs.ts";

/** How many runs of each DAG are shown. */
export const LAST = 14;

/** All DAGs by id; undefined until they came. */
export const fleet = signal<ReadonlyMap<string, Dag> | undefined>(undefined);
/** What could not be loaded, in sentences. */
export const faults = signal<readonly string[]>([]);
/** Why they did not come. */
export const fleetError = signal<Error | undefined>(undefined);

/** Reads all of them. */
export async function loadFleet(): Promise<void> {
  try {
    const answer = await get<{ dags: Dag[]; faults: string[] }>("/api/dags", { runs: LAST });
    fleet.value = new Map(answer.dags.map((dag) => [dag.id, dag]));
    faults.value = answer.faults;
    fleetError.value = undefined;
  } catch (error) {
    fleetError.value = error as Error;
  }
}

/** Puts what is known better in place of a DAG. */
export function changeDag(id: string, change: (dag: Dag) => Dag): void {
  const dag = fleet.value?.get(id);
  if (dag) fleet.value = new Map(fleet.value).set(id, change(dag));
}

let timer: ReturnType<typeof setTimeout> | undefined;

/** Reads all again, soon: many events ask for that at once. */
function reloadSoon(): void {
  clearTimeout(timer);
  timer = setTimeout(loadFleet, 1000);
}

function apply(event: Happening): void {
  const { dag: id } = event;
  const dag = id === null ? undefined : fleet.value?.get(id);
  if (!dag) return;
  const runs = afterEvent(dag.runs, event, { limit: LAST, make: (head) => head });
  if (runs !== dag.runs) changeDag(dag.id, (dag) => ({ ...dag, runs: [...runs] }));
  // A run that a schedule made has another one behind it.
  if (event.run?.kind === "scheduled") reloadSoon();
}

onEvent(apply);
// Others may have paused something: nothing tells of that.
document.addEventListener("visibilitychange", () => {
  if (fleet.value && !document.hidden) loadFleet();
});
