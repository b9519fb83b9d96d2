import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo } from "preact/hooks";
import { get } from "../api.ts";
import type { WholeDag } from "../documents.ts";
import { GridModel } from "../grid_model.ts";
import { onDag, onEpoch, onEvent } from "../live.ts";
import { Bones } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { Tabs } from "../parts/tabs.tsx";
import { useResource } from "../resource.ts";
import { go, goBeside, place } from "../router.ts";
import { addShortcuts } from "../shortcuts.ts";
import { Beside } from "./beside.tsx";
import { CalendarView } from "./calendar_view.tsx";
import { CodeView } from "./code_view.tsx";
import { DagDatasetsView } from "./dag_datasets_view.tsx";
import { DagHead } from "./dag_head.tsx";
import { GanttView } from "./gantt_view.tsx";
import { GraphView } from "./graph_view.tsx";
import { GridView } from "./grid_view.tsx";
import { ParamsView } from "./params_view.tsx";
import { RunPanel } from "./run_panel.tsx";
import { TaskPanel } from "./task_panel.tsx";

/** What a tab of a DAG is given. */
export interface TabProps {
  readonly dag: WholeDag;
  readonly grid: GridModel;
}

const TABS: readonly {
  readonly id: string;
  readonly label: string;
  readonly show: (props: TabProps) => JSX.Element;
}[] = [
  { id: "grid", label: "Grid", show: (props) => <GridView {...props} /> },
  { id: "graph", label: "Graph", show: (props) => <GraphView {...props} /> },
  { id: "gantt", label: "Gantt", show: (props) => <GanttView {...props} /> },
  { id: "calendar", label: "Calendar", show: (props) => <CalendarView {...props} /> },
  { id: "code", label: "Code", show: (props) => <CodeView {...props} /> },
  { id: "params", label: "Params", show: (props) => <ParamsView {...props} /> },
  { id: "datasets", label: "Datasets", show: (props) => <DagDatasetsView {...props} /> },
];

/** One DAG: its head, its tabs, and beside them a run or a task of one. */
export function DagView(
  { dag: id, tab }: { readonly dag: string; readonly tab: string },
): JSX.Element {
  const { data, error, reload, set } = useResource(
    (signal) => get<WholeDag>(`/api/dags/${id}`, {}, signal),
    [id],
  );
  useEffect(() =>
    onDag(({ dag, status }) => {
      const known = data.peek();
      if (dag !== id || !status) return;
      if (!known) return void reload();
      set({ ...known, ...status });
      // The runs behind the next one are others, too.
      if (status.next_run?.run_after !== known.next_run?.run_after) reload();
    }), [data]);
  const grid = useGrid(id);
  // Before it is painted: a key may be pressed as soon as it is seen.
  useLayoutEffect(() =>
    addShortcuts(TABS.map(({ id: tab, label }, i) => ({
      keys: String(i + 1),
      does: `Show ${label.toLowerCase()}`,
      run: () => go(tabOf(id, tab)),
    }))), [id]);
  const dag = data.value;
  if (!dag) {
    return (
      <div class="wide">
        {error.value ? <ErrorBox error={error.value} retry={reload} /> : <Bones height={280} />}
      </div>
    );
  }
  const current = TABS.find((one) => one.id === tab) ?? TABS[0]!;
  return (
    <div class="dag">
      <DagHead dag={dag} />
      <Tabs
        tabs={TABS.map(({ id, label }) => ({
          id,
          label,
          to: tabOf(dag.id, id),
        }))}
        current={current.id}
      />
      <div class="dag-body">
        <div class="dag-view">{current.show({ dag, grid })}</div>
        <Opened />
      </div>
    </div>
  );
}

/** The address of a tab; what is open beside it stays. */
function tabOf(dag: string, tab: string): string {
  const query = place.value.query.toString();
  return `/dags/${dag}/${tab}${query ? `?${query}` : ""}`;
}

/** The grid of a DAG, kept by events while it is shown. */
function useGrid(dag: string): GridModel {
  const grid = useMemo(() => new GridModel(dag), [dag]);
  useEffect(() => {
    const end = new AbortController();
    const load = (): void => void grid.load(end.signal).catch(() => {});
    const unsubscribe = [onEvent((event) => grid.apply(event)), onEpoch(load)];
    return () => {
      end.abort();
      for (const stop of unsubscribe) stop();
    };
  }, [grid]);
  return grid;
}

/** What the address says is open: `?run=…`, or `?run=…&task=…&index=…`. */
function Opened(): JSX.Element | null {
  const { query } = place.value;
  const run = query.get("run");
  const task = query.get("task");
  const index = query.get("index");
  const close = (): void => goBeside(null);
  useLayoutEffect(
    () => addShortcuts([{ keys: "Escape", does: "Close the panel", run: close }]),
    [],
  );
  if (run === null) return null;
  return (
    <Beside>
      {task === null ? <RunPanel key={run} run={run} onClose={close} /> : (
        <TaskPanel
          key={`${run} ${task} ${index}`}
          run={run}
          task={task}
          {...index === null ? {} : { index: Number(index) }}
          onClose={close}
        />
      )}
    </Beside>
  );
}
