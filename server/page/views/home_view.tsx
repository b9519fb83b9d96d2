import { useComputed } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { Dag } from "../documents.ts";
import { fleet, fleetError, loadFleet } from "../fleet.ts";
import { count } from "../format.ts";
import { faults, onEpoch } from "../live.ts";
import { Bones, Empty } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { Icon } from "../parts/icon.tsx";
import { goQuery, place } from "../router.ts";
import { isOver } from "../runs.ts";
import { DagRow } from "./dag_row.tsx";

/** Which DAGs can be asked for; the first are all of them. */
const SHOWN: readonly {
  readonly id: string;
  readonly label: string;
  readonly fits: (dag: Dag) => boolean;
}[] = [
  { id: "all", label: "All", fits: () => true },
  { id: "running", label: "Running", fits: isRunning },
  { id: "failing", label: "Failing", fits: isFailing },
  { id: "on", label: "On", fits: (dag) => !dag.paused },
  { id: "paused", label: "Paused", fits: (dag) => dag.paused },
];

const ORDERS = {
  failing: "Failing first",
  name: "By name",
  next: "Next to run",
  last: "Last to run",
} as const;

type Order = keyof typeof ORDERS;

/** All DAGs, with their last runs. */
export function HomeView(): JSX.Element {
  useEffect(() => onEpoch(() => void loadFleet()), []);
  const dags = useComputed(() => [...fleet.value?.values() ?? []]);
  const { query } = place.value;
  const search = (query.get("q") ?? "").toLowerCase();
  const tag = query.get("tag");
  const show = query.get("show") ?? "all";
  const order = (query.get("order") ?? "failing") as Order;
  const found = dags.value
    .filter((dag) => tag === null || dag.tags.includes(tag))
    .filter((dag) => search.split(/\s+/).every((word) => textOf(dag).includes(word)));
  const fits = SHOWN.find(({ id }) => id === show)?.fits ?? (() => true);
  const rows = found.filter(fits).sort(inOrder(order));
  return (
    <div class="wide home">
      <header class="home-head">
        <h1>DAGs</h1>
        <div class="chips" role="group" aria-label="Which DAGs">
          {SHOWN.map(({ id, label, fits }) => (
            <button
              key={id}
              type="button"
              class="chip"
              data-chip={id}
              aria-pressed={id === show}
              onClick={() => goQuery({ show: id === "all" ? null : id }, { replace: true })}
            >
              {label} <span>{count(found.filter(fits).length)}</span>
            </button>
          ))}
        </div>
        {tag !== null && (
          <button
            type="button"
            class="tag"
            aria-pressed="true"
            title="Show those without it, too"
            onClick={() => goQuery({ tag: null })}
          >
            {tag} ×
          </button>
        )}
        <label class="search">
          <Icon name="search" />
          <input
            class="input"
            type="search"
            placeholder="Search"
            aria-label="Search for DAGs"
            value={query.get("q") ?? ""}
            onInput={(event) =>
              goQuery({ q: event.currentTarget.value || null }, { replace: true })}
          />
          <kbd>/</kbd>
        </label>
        <select
          class="input order"
          aria-label="Order"
          value={order}
          onChange={({ currentTarget: { value } }) =>
            goQuery({ order: value === "failing" ? null : value }, { replace: true })}
        >
          {Object.entries(ORDERS).map(([id, label]) => <option key={id} value={id}>{label}
          </option>)}
        </select>
      </header>
      {fleetError.value && <ErrorBox error={fleetError.value} retry={loadFleet} />}
      {faults.value.map((fault) => <ErrorBox key={fault} error={fault} />)}
      {fleet.value === undefined
        ? !fleetError.value && <Bones height={320} />
        : rows.length > 0
        ? (
          <div class="card dags">
            <div class="dag-heads" aria-hidden="true">
              <span />
              <span>DAG</span>
              <span>Last runs</span>
              <span>Took</span>
              <span>Schedule</span>
              <span>Next run</span>
            </div>
            <ul>{rows.map((dag) => <DagRow key={dag.id} dag={dag} />)}</ul>
          </div>
        )
        : <Nothing isThereAny={dags.value.length > 0} />}
    </div>
  );
}

function Nothing({ isThereAny }: { readonly isThereAny: boolean }): JSX.Element {
  if (isThereAny) {
    return (
      <div class="card">
        <Empty title="No DAG fits">
          <p>
            <button
              type="button"
              class="link"
              onClick={() => goQuery({ q: null, tag: null, show: null })}
            >
              Show all of them
            </button>
          </p>
        </Empty>
      </div>
    );
  }
  return (
    <div class="card">
      <Empty title="There are no DAGs yet">
        <p>
          Put a file that exports one into the folder that <code>serve</code>{" "}
          was started with; it shows up here by itself. <code>sluice init</code> makes a first one.
        </p>
      </Empty>
    </div>
  );
}

/** Whether something of it runs, or waits for its turn; a pause is not a turn. */
function isRunning({ runs, paused }: Dag): boolean {
  return runs.some((run) => run.state === "running" || run.state === "queued" && !paused);
}

/** Whether the last run that is over failed. */
function isFailing({ runs }: Dag): boolean {
  return runs.findLast(isOver)?.state === "failed";
}

function textOf({ id, description, tags }: Dag): string {
  return [id, description ?? "", ...tags].join(" ").toLowerCase();
}

function inOrder(order: Order): (a: Dag, b: Dag) => number {
  const rank = (dag: Dag): number => {
    if (order === "failing") {
      if (isFailing(dag)) return 0;
      if (isRunning(dag)) return 1;
      return dag.paused ? 3 : 2;
    }
    const next = dag.paused ? undefined : dag.next_run?.run_after;
    if (order === "next") return next ? Date.parse(next) : Infinity;
    const last = dag.runs.at(-1)?.created;
    return order === "last" && last ? -Date.parse(last) : 0;
  };
  return (a, b) => {
    const [x, y] = [rank(a), rank(b)];
    return x === y ? (a.id < b.id ? -1 : 1) : x - y;
  };
}
