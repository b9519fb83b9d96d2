import { logger } from "./_context.ts";
import { failureText } from "./_failure_text.ts";
import { nameOf } from "./_job.ts";
import { type Attempting, type Change, changed, type Live } from "./_live.ts";
import { Restart, type Surroundings } from "./attempt.ts";
import type { Executor } from "./executor.ts";
import type { LogFiles } from "./log_files.ts";
import type { TaskPlace } from "./plan.ts";
import { at, settle } from "./settle.ts";
import type { RejectFiles } from "./reject_files.ts";
import type { Event, Run, TaskRun } from "./state.ts";
import type { Store } from "./store.ts";
import type { Interval } from "./work.ts";

/** What attempts are made with. */
export interface AttemptOptions
  extends
    Pick<Surroundings, "spool" | "connections" | "network" | "log" | "now" | "clock" | "sleep"> {
  readonly store: Store;
  /** Where attempts are made, by name. */
  readonly executors: Readonly<Record<string, Executor>>;
  /** The interval after a run's. */
  readonly nextInterval: (run: Run) => Interval | undefined;
  /** Keeps what attempts have to say. */
  readonly logs?: LogFiles;
  /** Where attempts keep what they refuse. */
  readonly rejects?: RejectFiles;
}

/** What an attempt asks of the loop that began it. */
export interface Changes {
  /** Changes a run by what `events` makes of it; resolves when that is on record. */
  change(live: Live, events: Change["events"], then?: Change["then"]): Promise<Run>;
  /** Stops attempts at some places; resolves when they have ended. */
  stop(live: Live, places: readonly TaskPlace[], reason: Error): Promise<unknown>;
}

/**
 * Makes an attempt that is on record as running; resolves when its end is on record, too. `ended` is called before that:
 * what waits for its slots, or its place, can begin together with its end.
 */
export async function makeAttempt(
  live: Live,
  attempting: Attempting,
  loop: Changes,
  options: AttemptOptions,
  ended: () => void,
): Promise<void> {
  const { run, dag } = live;
  const { spool, now, executors, store, nextInterval, logs, rejects, ...rest } = options;
  const { task, index } = attempting;
  const place: TaskPlace = { task, index };
  const owner = { run: run.id, task: nameOf(task, index) };
  const next = nextInterval(run);
  const { attempt } = at(run, place);
  /** Itself on record, while it counts there: it may have been cleared, and begun anew before it has heard of that. */
  const self = (run: Run): TaskRun | undefined => {
    const there = at(run, place);
    return there.attempt === attempt && there.state === "running" ? there : undefined;
  };
  const key = { dag: run.dag, run: run.id, task, index, attempt };
  using lines = logs?.open(key);
  const log: Surroundings["log"] = (line) => {
    lines?.write(line);
    rest.log(line);
  };
  const outcome = await executors[attempting.executor]!.execute({
    dag,
    run,
    task: dag.tasks.get(task)!,
    ...index === undefined ? {} : { index },
    attempt,
    signal: attempting.stop.signal,
  }, {
    ...rest,
    rejects: rejects?.folder(key),
    log,
    ...next ? { next } : {},
    runs: (query) => store.list(query),
    spool,
    now,
    opened: async (stream) => {
      await loop.change(live, (run) => {
        const there = self(run);
        return there ? [changed(run, place, { ...there, stream }, now())] : [];
      });
    },
    replace: async () => {
      await loop.change(live, (run) => {
        const there = self(run);
        if (!there?.stream) return [];
        const { stream: _, ...rest } = there;
        return [changed(run, place, rest, now())];
      });
      const readers = [...live.attempts.values()].filter((other) => {
        const { reads, each } = dag.tasks.get(other.task)!;
        return reads.includes(task) && (each?.over !== task || other.index === index);
      });
      await loop.stop(live, readers, new Restart("What it reads was replaced"));
    },
    metered: (read) => void (attempting.readings = read),
  });
  if (outcome.state === "none") {
    for (const lost of outcome.lost) {
      live.attempts.get(lost)?.stop.abort(new Restart("What it wrote is gone"));
      await spool.drop({ run: run.id, task: lost }, true);
    }
  }
  ended();
  let events: readonly Event[] = [];
  await loop.change(live, (run) => {
    const readings = attempting.readings();
    const counts = self(run) !== undefined;
    events = counts ? settle(dag, run, { ...place, outcome, now: now(), readings }) : [];
    return events;
  }, () => {
    if (events.length > 0 && outcome.state === "success") spool.commit(owner);
    const end = howItFailed(events);
    if (end !== undefined) logger({ ...key, now }, log).error(end);
  });
}

/** What the last line of an attempt's log says where it failed; what became of the task is the first of its events. */
function howItFailed([event]: readonly Event[]): string | undefined {
  if (event?.type !== "task_changed" || !event.to.error) return undefined;
  const { state, error, reason, due } = event.to;
  // What was stopped from outside was thrown nowhere of interest.
  const why = reason === undefined ? failureText(error) : error.message;
  return `failed: ${why}${state === "up_for_retry" ? `\nwill be tried again at ${due}` : ""}`;
}
