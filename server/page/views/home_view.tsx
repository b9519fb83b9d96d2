import type { JSX } from "preact";
import { base, get } from "../api.ts";
import type { Dag } from "../documents.ts";
import { Bones } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { Square } from "../parts/square.tsx";
import { useResource } from "../resource.ts";

/** All DAGs, with their last runs. */
export function HomeView(): JSX.Element {
  const { data, error, reload } = useResource(
    (signal) => get<{ dags: Dag[]; faults: string[] }>("/api/dags", { runs: 14 }, signal),
    [],
  );
  return (
    <div class="wide">
      <h1>DAGs</h1>
      {error.value && <ErrorBox error={error.value} retry={reload} />}
      {!data.value && <Bones />}
      {data.value?.dags.map((dag) => (
        <a key={dag.id} data-row class="line" href={`${base}/dags/${dag.id}`}>
          <strong>{dag.id}</strong>
          {dag.runs.map((run) => <Square key={run.run_id} state={run.state} />)}
        </a>
      ))}
    </div>
  );
}
