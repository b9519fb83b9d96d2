import { createRun } from "./_create.ts";
import { type Live, pastOf } from "./_live.ts";
import type { Loop } from "./_loop.ts";
import { limitsOf, maxActiveOf } from "./_round.ts";
import { findDag } from "./_scheduled.ts";
import type { Schedules } from "./_schedules.ts";
import { Cancelled, Restart } from "./attempt.ts";
import { type BackfillPlan, type BackfillRange, planBackfill } from "./backfill.ts";
import {
  clear,
  type Instance,
  instancesOf,
  running,
  selectInstances,
  type Selection,
} from "./clear.ts";
import type { AnyDag, Dag } from "./dag.ts";
import type { Executor } from "./executor.ts";
import { type Mark, mark, markRun } from "./mark.ts";
import { type GivenParams, resolveParams } from "./params.ts";
import { between } from "./schedule.ts";
import { at } from "./settle.ts";
import { type Event, isDone, isOver, reduceAll, type Run } from "./state.ts";
import type { Store } from "./store.ts";
import { placeIn, why } from "./why.ts";

/** Options for {@linkcode Engine.clear}. */
export interface ClearOptions extends Omit<Selection, "run"> {
  /** Has downloads begin anew, whatever is kept of them. @default {false} */
  readonly fresh?: boolean;
  /** Only tells what it would clear. @default {false} */
  readonly dryRun?: boolean;
}

/** Options for {@linkcode Engine.mark}. */
export interface MarkOptions {
  /** The ids of tasks, or of groups for all of theirs. @default {the run as a whole} */
  readonly tasks?: readonly string[];
  /** Of `tasks`, which must be mapped, only these instances. @default {all} */
  readonly indexes?: readonly number[];
  /** Only tells what it would mark. @default {false} */
  readonly dryRun?: boolean;
}

/** Options for {@linkcode Engine.backfill}. */
export interface BackfillOptions<P> extends Omit<BackfillRange, "now"> {
  /** How many of its runs may be under way at once; they do not count for the DAG's. @default {the DAG's} */
  readonly maxActiveRuns?: number;
  /** Set some of the DAG's params; the others have their defaults. */
  readonly params?: Partial<GivenParams<P>>;
  /** Only tells what it would do. @default {false} */
  readonly dryRun?: boolean;
}

/** A backfill that was begun, or would be. */
export interface Backfill extends BackfillPlan {
  /** Its runs have it as `backfill.id`; undefined when nothing was begun. */
  readonly id?: string;
  /** The ids of its runs, in their order. */
  readonly runs: readonly string[];
}

/** What people do to runs by hand, and what it takes. */
export interface Tools {
  readonly store: Store;
  readonly loop: Loop;
  readonly schedules: Schedules;
  readonly now: () => Temporal.Instant;
  /** Takes a run on that nobody has; undefined when its DAG is not here. */
  readonly take: (run: Run) => Live | undefined;
  readonly isPaused: (dag: string) => boolean;
  readonly slots: Readonly<Record<string, number>>;
  readonly executors: Readonly<Record<string, Executor>>;
  /** How many runs of all DAGs may be under way at once. */
  readonly maxActiveRuns: number;
}

/** What people do by hand. */
export interface Interventions {
  cancel(run: string): Promise<void>;
  clear(run: string, options?: ClearOptions): Promise<readonly Instance[]>;
  mark(run: string, to: Mark, options?: MarkOptions): Promise<readonly Instance[]>;
  backfill<P>(dag: Dag<P> | string, options: BackfillOptions<P>): Promise<Backfill>;
  why(run: string, task: string): Promise<readonly string[]>;
  /** Ends a run as failed. */
  end(live: Live, reason: string): Promise<void>;
}

/** How many runs are put on record at once. */
const BATCH = 100;

/** What people do to runs by hand. */
export function interventions(tools: Tools): Interventions {
  const { store, loop, schedules, now, take, isPaused, slots, executors, maxActiveRuns } = tools;

  async function find(id: string, verb: string): Promise<Run> {
    const run = loop.get(id)?.run ?? await store.get(id);
    if (run) return run;
    throw new TypeError(`Cannot ${verb} run "${id}": there is none`);
  }

  /** A run to work on, with its DAG. */
  async function hold(id: string, verb: string): Promise<{ run: Run; dag: AnyDag }> {
    const run = await find(id, verb);
    const dag = loop.get(id)?.dag ?? schedules.dags.get(run.dag)?.dag;
    if (dag) return { run, dag };
    throw new TypeError(`Cannot ${verb} run "${id}": its DAG "${run.dag}" is not here`);
  }

  async function end(live: Live, reason: string): Promise<void> {
    await loop.change(live, (run) => {
      if (isOver(run) || run.ending) return [];
      return [{ type: "run_ending", run: run.id, at: now().toString(), to: "failed", reason }];
    });
    await live.done.promise;
  }

  /** Ends a run whose DAG is not here. */
  async function abandon(run: Run): Promise<void> {
    const base = { run: run.id, at: now().toString() };
    const reason = "cancelled";
    const open = Object.keys(run.tasks).flatMap((task) => instancesOf(run, task))
      .filter(({ at }) => !isDone(at.state));
    const events: Event[] = [
      ...open.map(({ task, index, at: { due: _, ...rest } }): Event => {
        const place = index === undefined ? { task } : { task, index };
        return {
          type: "task_changed",
          ...base,
          ...place,
          to: { ...rest, state: "skipped", reason },
        };
      }),
      { type: "run_changed", ...base, to: "failed", reason },
    ];
    await store.append(run.id, run.version, events);
  }

  /** Changes instances that may be running: those are put back first, and their attempts stopped. */
  async function interrupt(
    run: Run,
    instances: readonly Instance[],
    events: (run: Run, dag: AnyDag) => Event[],
    reason: Error,
  ): Promise<void> {
    // One that was over is let go of again unless it is changed at once.
    const live = take(run)!;
    await loop.change(live, (run) => {
      const stopped = running(run, instances).map(({ task, index }): Event => {
        const place = index === undefined ? { task } : { task, index };
        const { attempt, retries } = at(run, place);
        const to = { state: "none", attempt, retries } as const;
        return { type: "task_changed", run: run.id, at: now().toString(), ...place, to };
      });
      return [...stopped, ...events(reduceAll(run, stopped)!, live.dag)];
    }, () => void loop.stop(live, instances, reason));
  }

  async function clearRun(
    id: string,
    { dryRun = false, fresh = false, ...selection }: ClearOptions = {},
  ): Promise<readonly Instance[]> {
    const { dag, run } = await hold(id, "clear");
    const runs = selection.past || selection.future ? await store.list({ dag: dag.id }) : [run];
    const instances = selectInstances(dag, runs, { ...selection, run: id });
    if (dryRun) return instances;
    for (const [id, chosen] of Map.groupBy(instances, ({ run }) => run)) {
      const { run } = await hold(id, "clear");
      const clean = (run: Run, dag: AnyDag): Event[] =>
        clear(dag, run, chosen, now().toString(), fresh);
      await interrupt(run, chosen, clean, new Restart("It was cleared"));
    }
    return instances;
  }

  return {
    end,
    async cancel(id) {
      const run = await find(id, "cancel");
      if (isOver(run)) return;
      const live = take(run);
      if (live) await end(live, "cancelled");
      else await abandon(run);
    },

    clear: clearRun,

    async mark(id, to, { tasks, indexes, dryRun = false } = {}) {
      const { run, dag } = await hold(id, "mark");
      const all = Object.keys(run.tasks).flatMap((task) => instancesOf(run, task));
      const chosen = tasks
        ? chooseMarked(dag, run, tasks, indexes)
        : all.filter(({ task, at }) => !isDone(at.state) && !dag.tasks.get(task)?.setups.length)
          .map(({ task, index }) => ({ run: id, task, ...index === undefined ? {} : { index } }));
      if (dryRun) return chosen;
      const moment = now().toString();
      const reason = new Cancelled(`It was marked as ${to}`);
      const changes = tasks
        ? (run: Run, dag: AnyDag): Event[] => mark(dag, run, chosen, to, moment)
        : (run: Run, dag: AnyDag): Event[] => markRun(dag, run, to, moment);
      // A run that is marked as failed ends as any that is told to: its teardowns may be running.
      await interrupt(run, tasks || to === "success" ? chosen : [], changes, reason);
      return chosen;
    },

    async backfill(target, { maxActiveRuns: most, params, dryRun = false, ...range }) {
      const { dag, hash, timetable } = findDag(schedules.dags, target, "backfill");
      const at = now();
      const values = await resolveParams(dag, params);
      const span = [...between(timetable, range.from, range.to)];
      const { plan, id, runs = [] } = await schedules.alone(async () => {
        const existing = span.length === 0 ? [] : await store.list({
          dag: dag.id,
          from: span[0]!.start.toInstant().toString(),
          to: span.at(-1)!.start.toInstant().toString(),
        });
        const plan = planBackfill(dag, timetable, existing, { ...range, now: at });
        if (dryRun) return { plan };
        const id = crypto.randomUUID();
        const backfill = {
          id,
          maxActiveRuns: most ?? dag.options.maxActiveRuns ?? 16,
          ...range.reverse ? { reverse: true } : {},
        };
        const runs: string[] = [];
        for (let i = 0; i < plan.create.length; i += BATCH) {
          const batch = plan.create.slice(i, i + BATCH).map((interval) => {
            const runAfter = interval.end.toInstant();
            const what = {
              dag,
              hash,
              kind: "backfill",
              interval,
              params: values,
              runAfter,
            } as const;
            return createRun(store, { ...what, backfill, now: at });
          });
          for (const run of await Promise.all(batch)) {
            loop.add(dag, run);
            runs.push(run.id);
          }
        }
        return { plan, id, runs };
      });
      if (id === undefined) return { ...plan, runs };
      for (const run of plan.clear) await clearRun(run);
      return { ...plan, id, runs: [...runs, ...plan.clear] };
    },

    async why(id, task) {
      const run = await find(id, "explain");
      const place = placeIn(run, task);
      const scheduled = schedules.dags.get(run.dag);
      if (!scheduled) return [`Its DAG "${run.dag}" is not here.`];
      const dag = loop.get(id)?.dag ?? scheduled.dag;
      const lives = [...loop.runs];
      const group = (run: Run): string => run.backfill?.id ?? run.dag;
      return why(dag, run, place, {
        now: now(),
        past: await pastOf(store, run),
        paused: isPaused(run.dag),
        active: lives.filter((live) =>
          live.run.state === "running" && group(live.run) === group(run)
        )
          .map((live) => live.run.id),
        maxActive: maxActiveOf(dag, run),
        all: {
          active: lives.filter((live) => live.run.state === "running").length,
          most: maxActiveRuns,
        },
        limits: limitsOf({ lives, pools: slots, executors }),
      });
    },
  };
}

/** What is to be marked: unlike what is cleared, nothing else comes along. */
function chooseMarked(
  dag: AnyDag,
  run: Run,
  tasks: readonly string[],
  indexes: readonly number[] | undefined,
): Instance[] {
  const ids = tasks.flatMap((id) => {
    const inside = [...dag.tasks.values()].filter(({ group }) =>
      group === id || group?.startsWith(`${id}.`)
    );
    return inside.length > 0 ? inside.map(({ id }) => id) : [placeIn(run, id).task];
  });
  return ids.flatMap((id) => instancesOf(run, id))
    .filter(({ index }) => !indexes || index !== undefined && indexes.includes(index))
    .map(({ task, index }) => ({ run: run.id, task, ...index === undefined ? {} : { index } }));
}
