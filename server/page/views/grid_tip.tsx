import type { JSX } from "preact";
import type { GridRun, TaskState } from "../documents.ts";
import { date, duration } from "../format.ts";
import { Speed } from "../parts/speed.tsx";
import { State } from "../parts/square.tsx";
import { now } from "../parts/time.tsx";
import { secondsOf } from "../runs.ts";

/** What is told of a run that is pointed at. */
export function RunTip({ run }: { readonly run: GridRun }): JSX.Element {
  const seconds = secondsOf(run, now.value);
  return (
    <>
      <div class="line">
        <strong>{date(run.logical_date)}</strong>
        <span class="muted">{run.kind}</span>
      </div>
      <div class="line">
        <State state={run.state} />
        {seconds !== undefined && <span class="muted">{duration(seconds)}</span>}
      </div>
    </>
  );
}

/** What is told of a square that is pointed at. */
export function CellTip(
  { run, task, state }: {
    readonly run: GridRun;
    readonly task: string;
    readonly state: TaskState;
  },
): JSX.Element {
  const mapped = run.mapped[task];
  return (
    <>
      <strong>{task}</strong>
      <div class="line">
        <State state={state} />
        <span class="muted">{date(run.logical_date)}</span>
      </div>
      {mapped && (
        <p>
          {mapped.done} of {mapped.instances} instances done
          {mapped.failed > 0 && `, ${mapped.failed} failed`}
        </p>
      )}
      {state === "running" && <Speed run={run.run_id} task={task} />}
    </>
  );
}
