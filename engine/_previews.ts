import { runName } from "./_create.ts";
import type { Loop } from "./_loop.ts";
import { findDag } from "./_scheduled.ts";
import type { Schedules } from "./_schedules.ts";
import { chooseInterval, type TriggerOptions } from "./_trigger.ts";
import type { Dag } from "./dag.ts";
import type { Json } from "./json.ts";
import { resolveParams } from "./params.ts";
import { render, type RenderedStep } from "./_render.ts";
import type { Scope } from "./ref.ts";
import type { Run, TaskRun } from "./state.ts";
import type { Store } from "./store.ts";
import type { Each } from "./task.ts";
import { placeIn } from "./why.ts";
import type { Interval } from "./work.ts";

/** What a trigger would make, were it one. */
export interface Preview {
  /** The slice of time its run would be for. */
  readonly interval: Interval;
  /** Those given, checked, and the defaults of the rest. */
  readonly params: Readonly<Record<string, Json>>;
  /** The tasks in the DAG's order, and what their operators would be given. */
  readonly tasks: readonly { readonly id: string; readonly steps: readonly RenderedStep[] }[];
}

/** What the operators of a task of a run were given, or will be. */
export interface RenderedTask {
  /** Its operators in their order. */
  readonly steps: readonly RenderedStep[];
  /** Whether the DAG is as it was when the run began; else this may not be what they were given. */
  readonly current: boolean;
}

/** What options are, without starting anything. */
export interface Previews {
  preview<P>(dag: Dag<P> | string, options?: TriggerOptions<P>): Promise<Preview>;
  rendered(run: string, task: string, attempt?: number): Promise<RenderedTask>;
}

/** Tells what options come out as. */
export function previews(
  { store, loop, schedules, now }: {
    readonly store: Store;
    readonly loop: Loop;
    readonly schedules: Schedules;
    readonly now: () => Temporal.Instant;
  },
): Previews {
  return {
    async preview(target, options = {}) {
      const { dag, timetable } = findDag(schedules.dags, target, "preview");
      const params = await resolveParams(dag, options.params);
      const interval = chooseInterval(dag, timetable, options, now());
      const kind = "manual";
      const what = {
        dag: dag.id,
        run: runName(kind, interval.start.toInstant()),
        kind,
        attempt: 1,
        interval,
        next: timetable.next(interval.end),
        params,
        now,
        scope: NOTHING,
      } as const;
      const tasks = [...dag.tasks.values()]
        .map((task) => ({ id: task.id, steps: render(task, what) }));
      return { interval, params, tasks };
    },

    async rendered(id, name, attempt) {
      const run = loop.get(id)?.run ?? await store.get(id);
      if (!run) throw new TypeError(`Cannot render options of run "${id}": there is none`);
      const { task: taskId, index } = placeIn(run, name);
      const scheduled = schedules.dags.get(run.dag);
      const dag = loop.get(id)?.dag ?? scheduled?.dag;
      const task = dag?.tasks.get(taskId);
      if (!dag || !task) {
        throw new TypeError(
          `Cannot render options of task "${taskId}" of "${run.dag}": it is not here any more`,
        );
      }
      const end = Temporal.ZonedDateTime.from(run.interval.end);
      const at = index === undefined ? run.tasks[taskId] : run.mapped[taskId]?.[index];
      const steps = render(task, {
        dag: run.dag,
        run: id,
        kind: run.kind,
        index,
        attempt: attempt ?? Math.max(1, at?.attempt ?? 1),
        interval: { start: Temporal.ZonedDateTime.from(run.interval.start), end },
        next: scheduled?.timetable.next(end),
        params: run.params,
        now,
        scope: scopeOf(run, task.each, index),
      });
      return { steps, current: run.hash === scheduled?.hash };
    },
  };
}

const NOTHING: Scope = {
  output() {
    throw new TypeError("nothing was put out yet");
  },
};

/** What the tasks of a run put out, as far as it is known and no stream. */
function scopeOf(run: Run, each: Each | undefined, index: number | undefined): Scope {
  const known = ({ state, stream, output }: TaskRun): unknown => {
    if (state !== "success" || stream || output === undefined) return NOTHING.output("");
    return output;
  };
  const here: Scope = { output: (id) => run.mapped[id]?.map(known) ?? known(run.tasks[id]!) };
  if (!each || index === undefined) return here;
  return {
    ...here,
    item() {
      const over = each.over === undefined ? undefined : run.mapped[each.over]?.[index];
      return over ? known(over) : each.list.read(here)[index];
    },
  };
}
