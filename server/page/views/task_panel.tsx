import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { base, get } from "../api.ts";
import { ClearDialog } from "../dialogs/clear_dialog.tsx";
import { MarkDialog } from "../dialogs/mark_dialog.tsx";
import type { Attempt, WholeTask } from "../documents.ts";
import { meterKey, meters, onDag, onEvent } from "../live.ts";
import { openDialog } from "../overlay.ts";
import { Button } from "../parts/button.tsx";
import { Bones, Empty } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { Panel } from "../parts/panel.tsx";
import { State } from "../parts/square.tsx";
import { Tabs } from "../parts/tabs.tsx";
import { Ago, Moment, Took } from "../parts/time.tsx";
import { useResource } from "../resource.ts";
import { soon } from "../soon.ts";
import { goBeside, goQuery, place } from "../router.ts";
import { rateOf } from "../throughput.ts";
import { LogView } from "./log_view.tsx";
import { SpeedView } from "./speed_view.tsx";
import { HistoryView, OutputView } from "./task_history.tsx";
import { OptionsView } from "./task_options.tsx";

/** What tells of a task is given. */
export interface TaskPanelProps {
  readonly run: string;
  readonly task: string;
  /** Which instance of a mapped task. */
  readonly index?: number;
  readonly onClose: () => void;
}

const TABS = [
  { id: "log", label: "Log" },
  { id: "options", label: "Options" },
  { id: "output", label: "Output" },
  { id: "history", label: "History" },
] as const;

/** Tells of a task of a run, beside its DAG. */
export function TaskPanel({ run, task: id, index, onClose }: TaskPanelProps): JSX.Element {
  const { data, error, reload } = useResource(
    (signal) => get<WholeTask>(`/api/runs/${run}/tasks/${id}`, { index }, signal),
    [run, id, index],
  );
  useEffect(() =>
    onEvent((event) => {
      const { run_id, task } = event;
      if (run_id === run && (!task || task.id === id && task.index === index)) reload();
    }), [run, id, index]);
  const task = data.value;
  const name = index === undefined ? id : `${id}[${index}]`;
  return (
    <Panel
      title={name}
      subtitle={
        <button
          type="button"
          class="link"
          onClick={() => goBeside(run)}
        >
          {run}
        </button>
      }
      actions={task && (
        <>
          <Button icon="again" onClick={() => openDialog(<ClearDialog run={run} tasks={[id]} />)}>
            Clear
          </Button>
          <Button onClick={() => openDialog(<MarkDialog run={run} tasks={[id]} />)}>Mark</Button>
        </>
      )}
      onClose={onClose}
    >
      {task
        ? <Told run={run} task={task} index={index} />
        : error.value
        ? <ErrorBox error={error.value} retry={reload} />
        : <Bones />}
    </Panel>
  );
}

function Told(
  { run, task, index }: {
    readonly run: string;
    readonly task: WholeTask;
    readonly index: number | undefined;
  },
): JSX.Element {
  const { query, path } = place.value;
  const view = TABS.find(({ id }) => id === query.get("view"))?.id ?? "log";
  const chosen = Number(query.get("attempt") ?? task.attempts);
  const attempt = task.attempt_list.find((one) => one.attempt === chosen);
  const isLast = chosen === task.attempts;
  const key = meterKey(run, task.id, index);
  const live = isLast && task.state === "running" ? meters.value.get(key) : undefined;
  const tabs = TABS.map(({ id, label }) => {
    const changed = new URLSearchParams(query);
    changed.set("view", id);
    return { id, label, to: `${path}?${changed}` };
  });
  return (
    <>
      <Facts task={task} attempt={isLast ? undefined : attempt} />
      {isLast && !attempt?.error && <Why run={run} task={task} index={index} />}
      {attempt?.error && <ErrorBox error={attempt.error} />}
      {live ? <SpeedView {...live} rate={rateOf(key)} /> : attempt && <SpeedView {...attempt} />}
      <div class="task-tabs">
        <Tabs tabs={tabs} current={view} />
        {task.attempts > 1 && <Attempts task={task} chosen={chosen} />}
      </div>
      {view === "log" && (task.instances !== undefined
        ? <Instances run={run} task={task} />
        : task.attempts === 0
        ? <Empty title="It has not begun">Its log is here once it does.</Empty>
        : <LogView key={chosen} run={run} task={task.id} index={index} attempt={chosen} />)}
      {view === "options" && (
        <OptionsView run={run} task={task.id} index={index} attempt={Math.max(1, chosen)} />
      )}
      {view === "output" && <OutputView task={task} />}
      {view === "history" && <HistoryView task={task} />}
    </>
  );
}

function Facts(
  { task, attempt }: { readonly task: WholeTask; readonly attempt: Attempt | undefined },
): JSX.Element {
  const { state, started, ended } = attempt ?? task;
  const { due, stream } = task;
  return (
    <dl class="facts">
      <dt>State</dt>
      <dd>
        <State state={state} />
      </dd>
      {started !== null && (
        <>
          <dt>Started</dt>
          <dd>
            <Moment at={started} />{" "}
            <span class="faint">
              UTC, <Ago at={started} />
            </span>
          </dd>
          <dt>{ended === null ? "So far" : "Took"}</dt>
          <dd>
            <Took from={started} to={ended} />
          </dd>
        </>
      )}
      {due !== null && !attempt && (
        <>
          <dt>Next attempt</dt>
          <dd>
            <Ago at={due} />
          </dd>
        </>
      )}
      {stream && (
        <>
          <dt>Stream</dt>
          <dd>{stream.whole ? "All of it is in the spool" : "It is being written to the spool"}</dd>
        </>
      )}
    </dl>
  );
}

/** Why it does not run, as long as it does not. */
function Why(
  { run, task, index }: {
    readonly run: string;
    readonly task: WholeTask;
    readonly index: number | undefined;
  },
): JSX.Element | null {
  const { id, state, reason } = task;
  const asks = !/^(running|success)$/.test(state);
  const { data, reload } = useResource(
    async (signal) => {
      if (!asks) return [];
      type Answer = { tasks: { reasons: string[] }[] };
      const query = { task: id, index };
      const { tasks } = await get<Answer>(`/api/runs/${run}/why`, query, signal);
      return tasks.flatMap(({ reasons }) => reasons);
    },
    [run, id, index, state, reason],
  );
  useEffect(() => {
    const reloadSoon = soon(reload, 50);
    // It may wait for whatever there is.
    const unsubscribe = asks ? [onEvent(reloadSoon), onDag(reloadSoon)] : [];
    return () => unsubscribe.forEach((stop) => stop());
  }, [reload, asks]);
  if (!asks || !data.value?.length) return null;
  return (
    <section class="why" aria-label="Why">
      <ul>{data.value.map((sentence) => <li key={sentence}>{sentence}</li>)}</ul>
    </section>
  );
}

/** Chooses among the attempts. */
function Attempts(
  { task, chosen }: { readonly task: WholeTask; readonly chosen: number },
): JSX.Element {
  return (
    <label class="attempts">
      <span class="unseen">Attempt</span>
      <select
        class="input"
        value={String(chosen)}
        onChange={(event) => {
          const { value } = event.currentTarget;
          goQuery({ attempt: Number(value) === task.attempts ? null : value, line: null });
        }}
      >
        {Array.from({ length: task.attempts }, (_, i) => i + 1).map((attempt) => {
          const state = task.attempt_list.find((one) => one.attempt === attempt)?.state;
          return (
            <option key={attempt} value={String(attempt)}>
              {`Attempt ${attempt}${state ? `: ${state}` : ""}`}
            </option>
          );
        })}
      </select>
    </label>
  );
}

/** The instances of a mapped task: each has a log of its own. */
function Instances(
  { run, task }: { readonly run: string; readonly task: WholeTask },
): JSX.Element {
  const { data } = useResource(
    async (signal) => {
      const { tasks } = await get<{ tasks: WholeTask[] }>(`/api/runs/${run}/tasks`, {}, signal);
      return tasks.filter((one) => one.id === task.id && one.index !== undefined);
    },
    [run, task],
  );
  if (task.instances === 0) {
    return <Empty title="Its list was empty">There was nothing to do.</Empty>;
  }
  return (
    <ul class="instances">
      {data.value?.map(({ index, state, started, ended }) => (
        <li key={index}>
          <a href={`${base}${place.value.path}?${withIndex(index!)}`}>
            <span>{`${task.id}[${index}]`}</span>
            <State state={state} />
            <span class="faint">
              <Took from={started} to={ended} />
            </span>
          </a>
        </li>
      ))}
    </ul>
  );
}

function withIndex(index: number): string {
  const query = new URLSearchParams(place.value.query);
  for (const name of ["attempt", "line"]) query.delete(name);
  query.set("index", String(index));
  return query.toString();
}
