import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { base, get, Refused } from "../api.ts";
import { differences, nameOf } from "../columns.ts";
import type { Load } from "../documents.ts";
import { count, moment } from "../format.ts";
import { onEvent } from "../live.ts";
import { Button } from "../parts/button.tsx";
import { Bones, Empty } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { Icon } from "../parts/icon.tsx";
import { Bytes } from "../parts/quantity.tsx";
import { Tabs } from "../parts/tabs.tsx";
import { Ago, Took } from "../parts/time.tsx";
import { useResource } from "../resource.ts";
import { goQuery, place } from "../router.ts";
import { RejectsView } from "./rejects_view.tsx";

interface Page {
  readonly loads: readonly Load[];
  readonly next: string | null;
}

const TABS = [
  { id: "loads", label: "Loads", to: "/loads" },
  { id: "rejects", label: "Rejects", to: "/loads/rejects" },
];

/** What was loaded into tables, and what was refused by them. */
export function LoadsView({ tab }: { readonly tab: string }): JSX.Element {
  return (
    <div class="wide loads">
      <h1>{tab === "rejects" ? "Rejects" : "Loads"}</h1>
      <Tabs tabs={TABS} current={tab} />
      {tab === "rejects" ? <RejectsView /> : <LoadList />}
    </div>
  );
}

function LoadList(): JSX.Element {
  const target = place.value.query.get("table") ?? undefined;
  const { data, error, reload, set } = useResource(
    (signal) => get<Page>("/api/loads", { target }, signal),
    [target],
  );
  useEffect(() =>
    onEvent(({ task }) => {
      if (task?.state === "success") reload();
    }), [reload]);
  const more = async (): Promise<void> => {
    const { loads, next } = data.value!;
    const page = await get<Page>("/api/loads", { target, before: next ?? undefined });
    set({ loads: [...loads, ...page.loads], next: page.next });
  };
  if (!data.value) {
    if (error.value instanceof Refused && error.value.status === 404) {
      return <Empty title="No database is known here">The host of this page lent it none.</Empty>;
    }
    return error.value ? <ErrorBox error={error.value} retry={reload} /> : <Bones height={240} />;
  }
  const { loads, next } = data.value;
  return (
    <>
      {target !== undefined && (
        <p class="line">
          <span>
            Loads into <strong>{nameOf(target)}</strong>
          </span>
          <Button kind="quiet" icon="close" onClick={() => goQuery({ table: null })}>
            All tables
          </Button>
        </p>
      )}
      {loads.length === 0
        ? (
          <Empty title="Nothing was loaded yet">
            <p>
              Each table that <code>copy</code>{" "}
              writes is listed here: its rows, its columns, and how they have changed.
            </p>
          </Empty>
        )
        : (
          <div class="card">
            <ul class="load-list" aria-label="Loads">
              {loads.map((load, i) => (
                <LoadRow
                  key={load.id}
                  load={load}
                  before={loads.slice(i + 1).find((older) => older.target === load.target)}
                />
              ))}
            </ul>
          </div>
        )}
      {next !== null && <Button onClick={more}>Show earlier ones</Button>}
    </>
  );
}

function LoadRow(
  { load, before }: { readonly load: Load; readonly before: Load | undefined },
): JSX.Element {
  const open = useSignal(false);
  const { target, mode, rows, rejected, unverified, began, committed, columns } = load;
  const changed = differences(columns, before?.columns);
  return (
    <li data-row="" tabIndex={-1}>
      <button
        type="button"
        class="load-row"
        aria-expanded={open.value}
        onClick={() => open.value = !open.value}
      >
        <span class="turn">
          <Icon name="right" />
        </span>
        <strong class="clip">{nameOf(target)}</strong>
        <span class="load-tags">
          <span class="tag">{mode}</span>
          {rejected > 0 && <span class="tag" data-tone="bad">{`${count(rejected)} rejected`}</span>}
          {unverified && (
            <span class="tag" data-tone="bad" title="Nothing told where the source ends">
              unverified
            </span>
          )}
          {changed.length > 0 && (
            <span class="tag" data-tone="changed">
              {changed.length === 1 ? "1 column changed" : `${changed.length} columns changed`}
            </span>
          )}
        </span>
        <span class="number">
          {count(rows)} <span class="faint">rows</span>
        </span>
        <span class="number muted took">
          <Took from={began} to={committed} />
        </span>
        <span class="number faint">
          <Ago at={committed} />
        </span>
      </button>
      {open.value && <LoadFacts load={load} before={before} />}
    </li>
  );
}

function LoadFacts(
  { load, before }: { readonly load: Load; readonly before: Load | undefined },
): JSX.Element {
  const { dag, run_id, task, attempt, source, validator, sha256 } = load;
  const { key, committed, bytes, columns } = load;
  const changed = new Map(
    differences(columns, before?.columns).map(({ name, ...what }) => [name, what]),
  );
  return (
    <div class="load-facts">
      <dl class="facts">
        <dt>By</dt>
        <dd>
          {dag === null ? "a load without a DAG" : (
            <>
              <a class="link" href={`${base}/dags/${dag}/grid?run=${run_id}&task=${task}`}>
                {`${dag} › ${task}`}
              </a>{" "}
              <span class="faint">{`attempt ${attempt}`}</span>
            </>
          )}
        </dd>
        <dt>Committed</dt>
        <dd>
          <time dateTime={committed}>{moment(committed)}</time> <span class="faint">UTC</span>
        </dd>
        {source !== null && (
          <>
            <dt>From</dt>
            <dd>
              <code>{source}</code>
            </dd>
          </>
        )}
        {bytes > 0 && (
          <>
            <dt>Read</dt>
            <dd>
              <Bytes n={bytes} />
            </dd>
          </>
        )}
        {validator !== null && (
          <>
            <dt>Version</dt>
            <dd>
              <code>{validator}</code>
            </dd>
          </>
        )}
        {sha256 !== null && (
          <>
            <dt>SHA-256</dt>
            <dd>
              <code>{sha256}</code>
            </dd>
          </>
        )}
        <dt>Key</dt>
        <dd>
          <code>{key}</code>
        </dd>
      </dl>
      <Button
        kind="quiet"
        icon="table"
        onClick={() => goQuery({ table: load.target })}
      >
        All loads into this table
      </Button>
      <ul class="columns" aria-label="Columns">
        {columns.map(({ name, type }) => {
          const change = changed.get(name);
          return (
            <li key={name} data-changed={change ? "" : undefined}>
              <span class="clip" title={name}>{name}</span>
              <code>
                {change?.was && <s>{change.was}</s>} {type}
              </code>
              {change && !change.was && <span class="tag" data-tone="changed">new</span>}
            </li>
          );
        })}
        {[...changed].filter(([, { gone }]) => gone).map(([name, { was }]) => (
          <li key={name} data-changed="">
            <s class="clip">{name}</s>
            <code>
              <s>{was}</s>
            </code>
            <span class="tag" data-tone="changed">gone</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
