import type { JSX } from "preact";
import { get } from "../api.ts";
import type { Dataset, WholeDag } from "../documents.ts";
import { Bones, Empty } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { useResource } from "../resource.ts";
import { Datasets } from "./datasets_view.tsx";

/** The datasets that a DAG writes or waits for. */
export function DagDatasetsView({ dag }: { readonly dag: WholeDag }): JSX.Element {
  const { data, error, reload } = useResource(
    (signal) => get<{ datasets: Dataset[] }>("/api/datasets", {}, signal),
    [dag.id],
  );
  const own = data.value?.datasets.filter(({ written_by, schedules }) =>
    schedules.includes(dag.id) || written_by.some((one) => one.dag === dag.id)
  );
  return (
    <div class="pad">
      {error.value && <ErrorBox error={error.value} retry={reload} />}
      {!own && !error.value && <Bones height={120} />}
      {own && own.length > 0 && <Datasets datasets={own} />}
      {own?.length === 0 && (
        <Empty title="It neither writes a dataset nor waits for one">
          <p>
            Tasks name what they write by <code>writes</code>, DAGs what they wait for by{" "}
            <code>schedule</code>.
          </p>
        </Empty>
      )}
    </div>
  );
}
