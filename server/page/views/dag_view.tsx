import type { JSX } from "preact";
import { get } from "../api.ts";
import type { WholeDag } from "../documents.ts";
import { Bones, Empty } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { Tabs } from "../parts/tabs.tsx";
import { useResource } from "../resource.ts";
import { goQuery, place } from "../router.ts";
import { RunPanel } from "./run_panel.tsx";
import { TaskPanel } from "./task_panel.tsx";

/** What a tab of a DAG is given. */
export interface TabProps {
  readonly dag: WholeDag;
}

const TABS: readonly {
  readonly id: string;
  readonly label: string;
  readonly show: (dag: WholeDag) => JSX.Element;
}[] = [
  { id: "grid", label: "Grid", show: () => <Empty title="The grid" /> },
  { id: "graph", label: "Graph", show: () => <Empty title="The graph" /> },
  { id: "gantt", label: "Gantt", show: () => <Empty title="The gantt" /> },
  { id: "calendar", label: "Calendar", show: () => <Empty title="The calendar" /> },
  { id: "code", label: "Code", show: () => <Empty title="The code" /> },
  { id: "params", label: "Params", show: () => <Empty title="The params" /> },
  { id: "datasets", label: "Datasets", show: () => <Empty title="The datasets" /> },
];

/** One DAG: its head, its tabs, and beside them a run or a task of one. */
export function DagView(
  { dag: id, tab }: { readonly dag: string; readonly tab: string },
): JSX.Element {
  const { data, error, reload } = useResource(
    (signal) => get<WholeDag>(`/api/dags/${id}`, {}, signal),
    [id],
  );
  const dag = data.value;
  if (!dag) {
    return (
      <div class="wide">
        {error.value ? <ErrorBox error={error.value} retry={reload} /> : <Bones />}
      </div>
    );
  }
  const current = TABS.find((one) => one.id === tab) ?? TABS[0]!;
  return (
    <div class="dag">
      <header class="dag-head">
        <h1>{dag.id}</h1>
      </header>
      <Tabs
        tabs={TABS.map(({ id, label }) => ({ id, label, to: `/dags/${dag.id}/${id}` }))}
        current={current.id}
      />
      <div class="dag-body">
        <div class="dag-view">{current.show(dag)}</div>
        <Beside dag={dag} />
      </div>
    </div>
  );
}

/** What the address says is open: `?run=…`, or `?run=…&task=…&index=…`. */
function Beside({ dag }: TabProps): JSX.Element | null {
  const { query } = place.value;
  const run = query.get("run");
  const task = query.get("task");
  const index = query.get("index");
  if (run === null) return null;
  const close = (): void => goQuery({ run: null, task: null, index: null });
  if (task === null) return <RunPanel key={run} dag={dag} run={run} onClose={close} />;
  return (
    <TaskPanel
      key={`${run} ${task} ${index}`}
      run={run}
      task={task}
      {...index === null ? {} : { index: Number(index) }}
      onClose={close}
    />
  );
}
