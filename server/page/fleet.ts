import { signal } from "@preact/signals";
import { get } from "./api.ts";
import type { Dag, DagChange, Happening } from "./documents.ts";
import { faults, onDag, onEvent, readBehind } from "./live.ts";
import { afterEvent } from "./runs.ts";

/** How many runs of each DAG are shown. */
export const LAST = 14;

/** All DAGs by id; undefined until they came. */
export const fleet = signal<ReadonlyMap<string, Dag> | undefined>(undefined);
/** Why they did not come. */
export const fleetError = signal<Error | undefined>(undefined);

/** Reads all of them. */
export async function loadFleet(): Promise<void> {
  try {
    await readBehind(
      () => get<{ dags: Dag[]; faults: string[] }>("/api/dags", { runs: LAST }),
      (answer) => {
        fleet.value = new Map(answer.dags.map((dag) => [dag.id, dag]));
        faults.value = answer.faults;
      },
      apply,
      change,
    );
    fleetError.value = undefined;
  } catch (error) {
    fleetError.value = error as Error;
  }
}

/** Puts what is known better in place of a DAG. */
function changeDag(id: string, change: (dag: Dag) => Dag): void {
  const dag = fleet.value?.get(id);
  if (dag) fleet.value = new Map(fleet.value).set(id, change(dag));
}

function apply(event: Happening): void {
  const dag = event.dag === null ? undefined : fleet.value?.get(event.dag);
  if (!dag) return;
  const runs = afterEvent(dag.runs, event, { limit: LAST, make: (head) => head });
  if (runs !== dag.runs) changeDag(dag.id, (dag) => ({ ...dag, runs: [...runs] }));
}

function change({ dag, status }: DagChange): void {
  if (status) changeDag(dag, (one) => ({ ...one, ...status }));
}

onEvent(apply);
onDag(change);
