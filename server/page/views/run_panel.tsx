import type { ComponentChildren, JSX } from "preact";
import { base } from "../api.ts";
import { CancelDialog } from "../dialogs/cancel_dialog.tsx";
import { ClearDialog } from "../dialogs/clear_dialog.tsx";
import { MarkDialog } from "../dialogs/mark_dialog.tsx";
import type { Run, Task } from "../documents.ts";
import { count, date, duration } from "../format.ts";
import { meterKey } from "../live.ts";
import { openDialog } from "../overlay.ts";
import { Bones } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { Menu } from "../parts/menu.tsx";
import { Panel } from "../parts/panel.tsx";
import { meterOf, progressOf, Speed } from "../parts/speed.tsx";
import { Square, State } from "../parts/square.tsx";
import { LogicalDate, Moment, now, Took } from "../parts/time.tsx";
import { Values } from "../parts/values.tsx";
import { goBeside } from "../router.ts";
import { useRun } from "../run_model.ts";
import { isOver } from "../runs.ts";
import { rateOf } from "../throughput.ts";
import { SpeedView } from "./speed_view.tsx";

/** Tells of a run, beside its DAG. */
export function RunPanel(
  { run: id, onClose }: {
    readonly run: string;
    readonly onClose: () => void;
  },
): JSX.Element {
  const { run, tasks, error } = useRun(id);
  const whole = run.value;
  return (
    <Panel
      title={whole ? date(whole.logical_date) : id}
      subtitle={<span class="mono">{id}</span>}
      actions={<RunMenu id={id} run={whole} />}
      onClose={onClose}
    >
      {error.value && <ErrorBox error={error.value} />}
      {!whole && !error.value && <Bones height={180} />}
      {whole && <Facts run={whole} />}
      {whole && <Tasks run={id} tasks={[...tasks.value.values()]} />}
      {whole && Object.keys(whole.params).length > 0 && (
        <Part title="Params">
          <Values values={whole.params} />
        </Part>
      )}
    </Panel>
  );
}

/** A part of a panel, with its name above. */
export function Part(
  { title, children }: { readonly title: string; readonly children: ComponentChildren },
): JSX.Element {
  return (
    <section class="part">
      <h3>{title}</h3>
      {children}
    </section>
  );
}

function RunMenu(
  { id, run }: { readonly id: string; readonly run: Run | undefined },
): JSX.Element {
  return (
    <Menu
      label="What can be done with this run"
      choices={[
        { label: "Clear tasks…", onChoose: () => openDialog(<ClearDialog run={id} />) },
        { label: "Mark as…", onChoose: () => openDialog(<MarkDialog run={id} />) },
        ...run && isOver(run) ? [] : [{
          label: "Cancel the run…",
          kind: "danger" as const,
          onChoose: () => openDialog(<CancelDialog run={id} />),
        }],
      ]}
    />
  );
}

function Facts({ run }: { readonly run: Run }): JSX.Element {
  const { state, reason, kind, interval, created, started, ended, late, backfill, causes } = run;
  return (
    <dl class="facts">
      <dt>State</dt>
      <dd class="line">
        <State state={state} />
        {reason !== null && <span class="muted">{reason}</span>}
      </dd>
      {started !== null && (
        <>
          <dt>Took</dt>
          <dd>
            <Took from={started} to={ended} />
          </dd>
        </>
      )}
      <dt>Interval</dt>
      <dd>
        <LogicalDate at={interval.start} /> – <LogicalDate at={interval.end} />
      </dd>
      <dt>Made</dt>
      <dd>
        <Moment at={created} /> <span class="muted">{kind}</span>
      </dd>
      {late !== null && (
        <>
          <dt>Late</dt>
          <dd>
            its deadline was missed at <Moment at={late} />
          </dd>
        </>
      )}
      {backfill !== null && (
        <>
          <dt>Backfill</dt>
          <dd class="mono">{backfill}</dd>
        </>
      )}
      {causes.length > 0 && (
        <>
          <dt>Triggered by</dt>
          <dd>{causes.map((cause) => <Written key={cause.dataset} cause={cause} />)}</dd>
        </>
      )}
    </dl>
  );
}

/** The dataset, and a link to the task that wrote it. */
function Written({ cause }: { readonly cause: Run["causes"][number] }): JSX.Element {
  const { dataset, dag, run_id, task } = cause;
  const query = new URLSearchParams({ run: run_id, task });
  return (
    <div>
      <span class="mono">{dataset}</span> <span class="muted">by</span>{" "}
      <a class="link" href={`${base}/dags/${dag}/grid?${query}`}>{`${dag} / ${task}`}</a>
    </div>
  );
}

function Tasks(
  { run, tasks }: { readonly run: string; readonly tasks: readonly Task[] },
): JSX.Element {
  return (
    <>
      {tasks.filter(({ error, state }) => error !== undefined && /fail|retry/.test(state)).slice(
        0,
        3,
      )
        .map(({ id, error }) => <ErrorBox key={id} error={`${id}: ${error}`} />)}
      {tasks.map(({ id, state }) => {
        const meter = state === "running" ? meterOf(run, id) : undefined;
        if (!meter || meter.readings.length < 2) return null;
        return (
          <Part key={id} title={id}>
            <SpeedView {...meter} rate={rateOf(meterKey(run, id))} />
          </Part>
        );
      })}
      <Part title="Tasks">
        <ul class="task-list">
          {tasks.map((task) => (
            <li key={task.id}>
              <button
                type="button"
                data-row
                data-task={task.id}
                onClick={() => goBeside(run, task.id)}
              >
                <Square state={task.state} progress={progressOf(meterOf(run, task.id))} />
                <span class="clip grow" title={task.id}>{task.id}</span>
                {task.attempts > 1 && <span class="faint">attempt {task.attempts}</span>}
                {task.instances !== undefined && (
                  <span class="faint">× {count(task.instances)}</span>
                )}
                {task.state === "running"
                  ? <Speed run={run} task={task.id} />
                  : <span class="faint number">{secondsOf(task)}</span>}
              </button>
            </li>
          ))}
        </ul>
      </Part>
    </>
  );
}

function secondsOf({ started, ended }: Task): string {
  if (started === null) return "";
  const end = ended === null ? now.peek() : Date.parse(ended);
  return duration(Math.max(0, end - Date.parse(started)) / 1000);
}
