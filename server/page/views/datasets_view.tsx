import type { JSX } from "preact";
import { base, get } from "../api.ts";
import type { Dataset } from "../documents.ts";
import { Bones, Empty } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { Table } from "../parts/table.tsx";
import { useResource } from "../resource.ts";

/** All datasets: who writes them, and who waits for them. */
export function DatasetsView(): JSX.Element {
  const { data, error, reload } = useResource(
    (signal) => get<{ datasets: Dataset[] }>("/api/datasets", {}, signal),
    [],
  );
  return (
    <div class="wide">
      <h1>Datasets</h1>
      {error.value && <ErrorBox error={error.value} retry={reload} />}
      {data.value ? <Datasets datasets={data.value.datasets} /> : <Bones />}
    </div>
  );
}

/** Datasets as a table. */
export function Datasets({ datasets }: { readonly datasets: readonly Dataset[] }): JSX.Element {
  if (datasets.length === 0) {
    return (
      <Empty title="No DAG speaks of a dataset">
        <p>
          A task that has <code>writes: [dataset("trips")]</code> starts the DAGs whose{" "}
          <code>schedule</code> is that dataset.
        </p>
      </Empty>
    );
  }
  return (
    <div class="card">
      <Table
        keyOf={({ name }) => name}
        rows={datasets}
        columns={[
          { head: "Dataset", cell: ({ name }) => <strong>{name}</strong> },
          {
            head: "Written by",
            cell: ({ written_by }) =>
              written_by.map(({ dag, task }) => (
                <a key={`${dag} ${task}`} class="link" href={`${base}/dags/${dag}/graph`}>
                  {dag}.{task}
                </a>
              )),
          },
          {
            head: "Starts",
            cell: ({ schedules }) =>
              schedules.map((dag) => (
                <a key={dag} class="link" href={`${base}/dags/${dag}`}>{dag}</a>
              )),
          },
        ]}
      />
    </div>
  );
}
