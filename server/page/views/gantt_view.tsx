import type { JSX } from "preact";
import type { Run, Task, WholeDag } from "../documents.ts";
import { bytes, duration } from "../format.ts";
import type { GridModel } from "../grid_model.ts";
import { Bones, Empty } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { Speed } from "../parts/speed.tsx";
import { Square } from "../parts/square.tsx";
import { now } from "../parts/time.tsx";
import { goBeside } from "../router.ts";
import { useRun } from "../run_model.ts";
import { chosenRun } from "./chosen_run.ts";
import { RunPicker } from "./run_picker.tsx";

const ROW = 32;

/** When each task of a run began and ended: streams show that both of their ends ran at once. */
export function GanttView(
  { dag, grid }: { readonly dag: WholeDag; readonly grid: GridModel },
): JSX.Element {
  const runs = grid.runs.value;
  const id = chosenRun(runs);
  const { run, tasks, error } = useRun(id);
  return (
    <div class="gantt-view">
      <div class="tools">
        <RunPicker runs={runs} run={id} />
      </div>
      {error.value && <ErrorBox error={error.value} />}
      {id === undefined
        ? (
          <Empty title="It has not run yet">
            <p>Once it has, this shows which of its tasks ran when, and which at the same time.</p>
          </Empty>
        )
        : run.value
        ? <Gantt dag={dag} run={run.value} tasks={tasks.value} />
        : !error.value && <Bones height={200} />}
    </div>
  );
}

/** A task that began, from when to when in milliseconds. */
interface Bar {
  readonly task: Task;
  readonly from: number;
  readonly to: number;
}

function Gantt(
  { dag, run, tasks }: {
    readonly dag: WholeDag;
    readonly run: Run;
    readonly tasks: ReadonlyMap<string, Task>;
  },
): JSX.Element {
  const isOpen = [...tasks.values()].some(({ state }) => state === "running");
  const time = isOpen ? now.value : 0;
  const bars = [...tasks.values()].flatMap((task): Bar[] => {
    if (task.started === null) return [];
    const from = Date.parse(task.started);
    const to = task.ended !== null && task.state !== "running"
      ? Date.parse(task.ended)
      : Math.max(from, time);
    return [{ task, from, to }];
  }).sort((a, b) => a.from - b.from);
  if (bars.length === 0) {
    return (
      <Empty title="No task of this run has begun">
        <p>It is {run.state}.</p>
      </Empty>
    );
  }
  const first = Math.min(...bars.map(({ from }) => from));
  const last = Math.max(first + 100, ...bars.map(({ to }) => to));
  const at = (ms: number): number => 100 * (ms - first) / (last - first);
  const row = new Map(bars.map(({ task }, i) => [task.id, i]));
  const streams = dag.tasks.flatMap(({ id, edges }) =>
    edges.filter(({ kind }) => kind === "stream").map(({ from }) => ({ from, to: id }))
  );
  return (
    <div class="gantt" style={{ "--height": `${bars.length * ROW}px` }}>
      <div class="gantt-names">
        {bars.map(({ task }) => (
          <button
            key={task.id}
            type="button"
            data-row
            onClick={() => goBeside(run.run_id, task.id)}
          >
            <Square state={task.state} />
            <span class="clip" title={task.id}>{task.id}</span>
          </button>
        ))}
      </div>
      <div class="gantt-plane">
        <div class="gantt-times" aria-hidden="true">
          {ticks((last - first) / 1000).map((seconds) => (
            <span key={seconds} style={{ left: `${at(first + seconds * 1000)}%` }}>
              {seconds === 0 ? "0" : duration(seconds)}
            </span>
          ))}
        </div>
        <div class="gantt-bars">
          {streams.map(({ from, to }) => (
            <Overlap
              key={`${from} ${to}`}
              writer={bars[row.get(from) ?? -1]}
              reader={bars[row.get(to) ?? -1]}
              rows={[row.get(from) ?? 0, row.get(to) ?? 0]}
              at={at}
            />
          ))}
          {bars.map(({ task, from, to }, i) => {
            const width = at(to) - at(from);
            return (
              <button
                key={task.id}
                type="button"
                class="gantt-bar"
                data-state={task.state}
                data-task={task.id}
                data-from={from}
                data-to={to}
                title={`${task.id}: ${duration((to - from) / 1000)}`}
                style={{ left: `${at(from)}%`, width: `${width}%`, top: `${i * ROW}px` }}
                onClick={() => goBeside(run.run_id, task.id)}
              >
                <span data-side={at(to) > 78 ? (width > 25 ? "in" : "before") : "behind"}>
                  {duration((to - from) / 1000)}
                  {task.state === "running" && <Speed run={run.run_id} task={task.id} />}
                </span>
              </button>
            );
          })}
        </div>
      </div>
    </div>
  );
}

/** The time in which a stream had both ends at work: what it saved. */
function Overlap(
  { writer, reader, rows: [a, b], at }: {
    readonly writer: Bar | undefined;
    readonly reader: Bar | undefined;
    readonly rows: readonly [number, number];
    readonly at: (ms: number) => number;
  },
): JSX.Element | null {
  if (!writer || !reader) return null;
  const from = Math.max(writer.from, reader.from);
  const to = Math.min(writer.to, reader.to);
  if (to <= from) return null;
  const moved = writer.task.stream?.bytes ?? 0;
  return (
    <div
      class="overlap"
      data-from={writer.task.id}
      data-to={reader.task.id}
      title={`${writer.task.id} and ${reader.task.id} ran at once for ${
        duration((to - from) / 1000)
      }`}
      style={{
        left: `${at(from)}%`,
        width: `${at(to) - at(from)}%`,
        top: `${Math.min(a, b) * ROW + ROW / 2}px`,
        height: `${Math.abs(a - b) * ROW}px`,
      }}
    >
      {moved > 0 && at(to) - at(from) > 8 && <span>{bytes(moved)}</span>}
    </div>
  );
}

/** Seconds to be marked on an axis: about six of them, at round numbers. */
function ticks(seconds: number): number[] {
  const steps = [
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    21_600,
  ];
  const step = steps.find((step) => seconds / step <= 7) ?? 86_400;
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => i * step);
}
