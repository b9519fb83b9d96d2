import type { Engine, Run, Store } from "../engine/mod.ts";
import type { RunDocument } from "../server/mod.ts";
import type { Control, ControlOptions, DagFacts, RunFacts, Slice } from "./_control.ts";
import { remoteControl } from "./_remote_control.ts";
import { openExecutors } from "./attempt.ts";
import { loadDags } from "./dags.ts";
import { openHistory } from "./history.ts";
import { openHost } from "./host.ts";
import { pickRun } from "./logs.ts";
import { tell, UsageError, type World } from "./world.ts";

export type {
  BackfillDocument,
  BackfillOrder,
  Control,
  ControlOptions,
  DagFacts,
  RunFacts,
  Slice,
  TriggerOrder,
} from "./_control.ts";

/**
 * Reaches the process that holds the home folder or, when there is none, opens the folder here. What the order does not
 * fit is a {@linkcode UsageError}.
 *
 * @throws {Error} when a process holds the folder that takes no orders, as a `run` does
 */
export async function openControl(world: World, options: ControlOptions): Promise<Control> {
  const remote = await remoteControl(world, options);
  if (remote) return remote;
  return options.does === "look" ? await onlooker(world, options) : await holder(world, options);
}

/** When a run that was just made will start, if not at once. */
export function whenItStarts(
  world: World,
  { serves }: Pick<Control, "serves">,
  { id, paused }: Pick<DagFacts, "id" | "paused">,
): string | undefined {
  const { command } = world;
  if (paused) {
    return `"${id}" is paused: what is made waits until \`${command} unpause ${id}\`` +
      `${serves ? "" : `, and then for the next \`${command} serve\``}`;
  }
  return serves
    ? undefined
    : `No \`serve\` runs in this home folder: it starts with the next \`${command} serve\``;
}

/** Refuses to wait for what nobody would start meanwhile. @throws {UsageError} when the DAG is paused */
export function checkWait(world: World, { serves }: Control, { id, paused }: DagFacts): void {
  if (!paused || serves) return;
  const { command } = world;
  throw new UsageError(
    `Cannot wait for runs of "${id}": it is paused. \`${command} unpause ${id}\` first, ` +
      `or \`${command} run ${id}\`, which heeds no pause`,
  );
}

/** Runs when they are over, each given to `tellOf` as it ends. Interrupted, it says what becomes of the others. */
export async function ended(
  world: World,
  control: Control,
  runs: readonly string[],
  tellOf: (run: RunDocument) => void,
): Promise<RunDocument[]> {
  let open = runs.length;
  try {
    return await Promise.all(runs.map(async (id) => {
      const run = await control.done(id, world.signal);
      open--;
      tellOf(run);
      return run;
    }));
  } catch (error) {
    if (world.signal.aborted) {
      const who = control.serves ? "the `serve` that runs" : `the next \`${world.command} serve\``;
      tell(world, `${open} of ${runs.length} runs are not over: ${who} goes on with them`);
    }
    throw error;
  }
}

/** What the folder's process would do, done here. */
async function holder(world: World, options: ControlOptions): Promise<Control> {
  const { does } = options;
  await using opening = new AsyncDisposableStack();
  const host = opening.use(
    await openHost(world, {
      ...options,
      // A DAG nobody has seen yet is paused under `serve`; to wait for its run here is to want it run.
      startPaused: does === "note",
      obeyPauses: does === "note",
      resume: false,
      warns: false,
      log: ({ level, run, task, message }) =>
        tell(world, `${level === "info" ? "" : `${level}: `}${run} ${task}: ${message}`),
    }),
  );
  // What was asked for is put on record; nothing begins.
  if (does === "note") await host.engine.drain(AbortSignal.abort());
  const resources = opening.move();
  return {
    ...orders(host.engine, host.store),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Looks at the folder, also while a `run` writes to it. */
async function onlooker(world: World, options: ControlOptions): Promise<Control> {
  const { engine } = await import("../engine/mod.ts");
  await using opening = new AsyncDisposableStack();
  const store = await openHistory(world, options);
  if (!store) throw new UsageError("Nothing has run in this home folder yet");
  opening.use(store);
  const { dags } = await loadDags(world, options.dags);
  const executors = await openExecutors(options.dags, opening);
  const all = [...dags.values()];
  const etl = opening.use(
    await engine({ dags: all, store, executors, startPaused: true, resume: false }),
  );
  const resources = opening.move();
  const { command } = world;
  return {
    ...orders(etl, store),
    async why(id, task) {
      const { isOver } = await import("../engine/mod.ts");
      const reasons = await refused(() => etl.why(id, task));
      const run = await pickRun(store, id);
      if (isOver(run)) return reasons;
      return [
        ...reasons,
        `No \`serve\` runs in this home folder: what no process is at goes on with the next ` +
        `\`${command} serve\`.`,
      ];
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function orders(engine: Engine, store: Store): Omit<Control, typeof Symbol.asyncDispose> {
  const facts = (run: Run): RunFacts => ({
    run_id: run.id,
    dag: run.dag,
    logical_date: run.logicalDate,
    state: run.state,
    interval: slice({
      start: Temporal.Instant.from(run.interval.start),
      end: Temporal.Instant.from(run.interval.end),
    }),
  });
  const run = async (id: string): Promise<RunFacts> => facts(await pickRun(store, id));
  return {
    serves: false,
    dag: (id) =>
      refused(async () => {
        const { paramsSchema } = await import("../engine/mod.ts");
        const status = engine.status(id);
        const { options } = engine.dags.get(id)!;
        const params = paramsSchema(engine.dags.get(id)!);
        return { ...status, params, timezone: options.timezone ?? "UTC" };
      }),
    run,
    trigger: (id, { interval, ...rest }) =>
      refused(async () => {
        const { span } = await import("../engine/mod.ts");
        const zone = engine.dags.get(id)?.options.timezone ?? "UTC";
        const moment = (text: string, what: string) => span(`${what} of the interval`, text, zone);
        const chosen = interval && {
          start: moment(interval.start, "start").start,
          end: moment(interval.end, "end").start,
        };
        if (chosen && Temporal.ZonedDateTime.compare(chosen.start, chosen.end) > 0) {
          throw new RangeError(`The interval ends, at ${chosen.end}, before it starts`);
        }
        const handle = await engine.trigger(id, { ...rest, ...chosen && { interval: chosen } });
        handle.done.catch(() => {});
        return await run(handle.id);
      }),
    cancel: (id) =>
      refused(async () => {
        await engine.cancel(id);
        return await run(id);
      }),
    clear: (id, options) => refused(() => engine.clear(id, options)),
    mark: (id, to, options) => refused(() => engine.mark(id, to, options)),
    pause: (id) => refused(() => engine.pause(id)),
    unpause: (id, options) => refused(() => engine.unpause(id, options)),
    backfill: (id, order) =>
      refused(async () => {
        const backfill = await engine.backfill(id, order);
        for (const id of backfill.runs) engine.done(id).catch(() => {});
        return {
          id: backfill.runs.length > 0 ? backfill.id ?? null : null,
          dry_run: order.dryRun,
          create: backfill.create.map(slice),
          clear: backfill.clear,
          skip: backfill.skip.map(({ interval, run = null, reason }) => {
            return { interval: slice(interval), run_id: run, reason };
          }),
          runs: backfill.runs,
        };
      }),
    why: (id, task) => refused(() => engine.why(id, task)),
    async done(id, signal) {
      const { runDocument } = await import("../server/mod.ts");
      const interrupted = Promise.withResolvers<never>();
      const stop = (): void => interrupted.reject(signal.reason);
      signal.addEventListener("abort", stop);
      if (signal.aborted) stop();
      try {
        const run = await Promise.race([engine.done(id), interrupted.promise]);
        return runDocument(run, Temporal.Now.instant());
      } finally {
        signal.removeEventListener("abort", stop);
      }
    },
  };
}

function slice(
  { start, end }: { start: Moment; end: Moment },
): Slice {
  return { start: utc(start), end: utc(end) };
}

type Moment = Temporal.Instant | Temporal.ZonedDateTime;

function utc(moment: Moment): string {
  return (moment instanceof Temporal.Instant ? moment : moment.toInstant()).toString();
}

/** What the engine refuses is the fault of who asks for it. */
async function refused<T>(order: () => T | Promise<T>): Promise<T> {
  try {
    return await order();
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    throw new UsageError(error.message, { cause: error });
  }
}
