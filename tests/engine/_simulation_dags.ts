import {
  type AnyContext,
  type AnyDag,
  branch,
  type Bytes,
  dag,
  type Doing,
  fn,
  operator,
  type Params,
  pipe,
  type Ref,
  shortCircuit,
  Source,
  type Task,
  type TaskOptions,
  type Upstream,
  type When,
  WHENS,
} from "../../engine/mod.ts";
import type { Random } from "./_simulation_random.ts";

/** What a task of a simulation is. */
export type Kind =
  | "plain"
  | "list"
  | "mapped"
  | "branch"
  | "short_circuit"
  | "stream"
  | "source"
  | "reader"
  | "setup"
  | "teardown";

/** A task as it was made up, for those who check: the engine is not asked. */
export interface TaskPlan {
  readonly id: string;
  readonly kind: Kind;
  /** The tasks whose output it reads; the first is its list when it is mapped. */
  readonly reads: readonly string[];
  readonly after: readonly string[];
  readonly setups: readonly string[];
  readonly mapped: boolean;
  /** Whether its instances follow those of what it goes over. */
  readonly follows: boolean;
  readonly limit?: number;
  readonly options: Omit<TaskOptions, "after" | "setup" | "teardown"> & { readonly when: When };
}

/** A version of a DAG as it was made up. */
export interface DagPlan {
  readonly id: string;
  readonly hash: string;
  /** Minutes from one run to the next; without, it is only triggered. */
  readonly every?: number;
  readonly start: string;
  readonly end: string;
  readonly catchup: "all" | "latest" | "none";
  readonly maxActiveRuns: number;
  readonly failWhen: "leaf" | "any";
  /** Minutes that a run may take. */
  readonly timeout?: number;
  readonly tasks: readonly TaskPlan[];
}

/** What the tasks of a simulation do: they ask. */
export interface Actor {
  /** Ends as the simulation says. */
  act(ctx: AnyContext, what: "work" | "open" | "pull" | "middle"): Promise<string>;
  /** What there is to choose from. */
  readonly random: Random;
  /** Told of bytes that were read to their end. */
  sawEnd(ctx: AnyContext, bytes: number): void;
}

/** All that a task comes directly after. */
export function upstreamOf({ reads, after, setups }: TaskPlan): string[] {
  return [...new Set([...reads, ...after, ...setups])];
}

/** Whether others read a stream of it. */
export function isWriter({ kind }: TaskPlan): boolean {
  return kind === "stream" || kind === "source";
}

/** Makes a DAG up. */
export function inventDag(id: string, r: Random, now: Temporal.Instant): DagPlan {
  const pasts = r.chance(0.35);
  const tasks: TaskPlan[] = [];
  const wanted = r.int(5, 7);
  const streams = r.chance(0.5);
  while (tasks.length < wanted) tasks.push(...inventTasks(tasks, r, { pasts, streams }));
  const every = r.chance(0.75) ? r.pick([5, 10, 15, 20]) : undefined;
  // On a tick of each: it starts where the first interval does.
  const tick = now.round({ smallestUnit: "hour", roundingMode: "floor" });
  const start = tick.subtract({ minutes: (every ?? 0) * r.int(0, 3) });
  const end = start.add({ minutes: (every ?? 0) * r.int(5, 9) });
  return {
    id,
    hash: "1",
    ...every === undefined ? {} : { every },
    start: start.toString(),
    end: end.toString(),
    catchup: r.weigh({ all: 3, latest: 1, none: 1 }),
    maxActiveRuns: r.int(1, 3),
    failWhen: r.chance(0.2) ? "any" : "leaf",
    ...r.chance(0.2) ? { timeout: r.int(10, 60) } : {},
    tasks,
  };
}

/** Changes a DAG: some tasks go, others come, and options are not what they were. */
export function changeDag(plan: DagPlan, r: Random): DagPlan {
  const read = new Set(plan.tasks.flatMap(upstreamOf));
  const kept = plan.tasks
    .filter(({ id }) => read.has(id) || !r.chance(0.3))
    .map((task) => {
      const { limit: _, ...fresh } = inventOptions(r, { pasts: false });
      const { when, dependsOnPast } = task.options;
      const past = dependsOnPast === undefined ? {} : { dependsOnPast };
      return r.chance(0.3) ? { ...task, options: { ...fresh, when, ...past } } : task;
    });
  const more = r.chance(0.5) ? inventTasks(kept, r, { pasts: false, streams: false }) : [];
  const hash = String(Number(plan.hash) + 1);
  const ids = new Set(kept.map(({ id }) => id));
  const fresh = more.map((task) => ({ ...task, id: `${task.id}v${hash}` }))
    .filter(({ kind, after }) => kind === "plain" && after.every((id) => ids.has(id)));
  return { ...plan, hash, tasks: [...kept, ...fresh] };
}

function inventOptions(
  r: Random,
  { pasts }: { pasts: boolean },
): TaskPlan["options"] & { limit?: number } {
  return {
    when: r.chance(0.65) ? "all_success" : r.pick(WHENS),
    retries: r.pick([0, 0, 1, 1, 2]),
    retryDelay: { seconds: r.pick([0, 20, 90, 240]) },
    ...r.chance(0.2) ? { backoff: "exponential" } : {},
    ...r.chance(0.15) ? { timeout: { seconds: r.int(30, 400) } } : {},
    pool: r.chance(0.4) ? "small" : "default",
    slots: r.pick([1, 1, 1, 2]),
    priority: r.int(0, 2),
    executor: r.chance(0.2) ? "other" : "inProcess",
    poke: { seconds: r.int(10, 90) },
    ...pasts && r.chance(0.4) ? { dependsOnPast: r.chance(0.7) ? true : "run" } : {},
    ...r.chance(0.3) ? { limit: r.int(1, 2) } : {},
  };
}

/** One task more, or a few that belong together. */
function inventTasks(
  known: readonly TaskPlan[],
  r: Random,
  { pasts, streams }: { pasts: boolean; streams: boolean },
): TaskPlan[] {
  const name = (kind: Kind, n = 0): string => `${kind}${known.length + n}`;
  const ids = known.map(({ id }) => id);
  const behind = (p = 0.4): string[] => {
    const chosen = r.some(ids, Math.min(p, 1.6 / Math.max(1, ids.length)));
    return chosen.length > 0 || r.chance(0.3) ? chosen : ids.slice(-1);
  };
  const task = (kind: Kind, more: Partial<TaskPlan> = {}, n = 0): TaskPlan => {
    const { limit, ...options } = inventOptions(r, { pasts });
    const plain = { reads: [], after: [], setups: [], mapped: false, follows: false };
    const mapped = more.mapped && limit !== undefined ? { limit } : {};
    return { id: name(kind, n), kind, ...plain, options, ...mapped, ...more };
  };
  const strict = (one: TaskPlan): TaskPlan => {
    return { ...one, options: { ...one.options, when: "all_success" } };
  };
  switch (r.weigh({ plain: 5, map: 2, decide: 2, stream: streams ? 5 : 0, setup: 1 })) {
    case "plain":
      return [task("plain", { after: behind() })];
    case "map": {
      const list = strict(task("list", { after: behind() }));
      const over = strict(task("mapped", { reads: [list.id], mapped: true }, 1));
      if (!streams || r.chance(0.6)) return [list, over];
      const writer = { ...over, id: name("stream", 1), kind: "stream" as const };
      const more = { reads: [writer.id], mapped: true, follows: true };
      return [list, writer, strict(task("reader", more, 2))];
    }
    case "decide": {
      const kind = r.chance(0.7) ? "branch" : "short_circuit";
      const decider = task(kind, { after: behind() });
      const children = Array.from(
        { length: r.int(1, 3) },
        (_, i) =>
          task("plain", { after: [decider.id, ...r.chance(0.2) ? ids.slice(-1) : []] }, i + 1),
      );
      return [decider, ...children];
    }
    case "stream": {
      const writer = task(r.chance(0.5) ? "stream" : "source", { after: behind(0.2) });
      const readers = Array.from({ length: r.int(1, 2) }, (_, i) => {
        const reader = task("reader", { reads: [writer.id], after: r.some(ids, 0.1) }, i + 1);
        return r.chance(0.8) ? strict(reader) : reader;
      });
      return [writer, ...readers];
    }
    case "setup": {
      const setup = task("setup", { after: behind(0.2) });
      const between = task("plain", { after: [setup.id] }, 1);
      const failsRun = r.chance(0.3) ? { failsRun: true } : {};
      const down = task("teardown", { after: [between.id], setups: [setup.id] }, 2);
      const { when: _, dependsOnPast: __, ...options } = down.options;
      return [setup, between, { ...down, options: { ...options, ...failsRun } as never }];
    }
  }
}

/** Makes the DAG that a plan describes. */
export function makeDag(plan: DagPlan, actor: Actor): AnyDag {
  const { id, every, start, end, catchup, maxActiveRuns, failWhen, timeout } = plan;
  const made = dag(id, {
    ...every === undefined ? {} : { schedule: { minutes: every }, start, end, catchup },
    maxActiveRuns,
    failWhen,
    ...timeout === undefined ? {} : { timeout: { minutes: timeout } },
  });
  const tasks = new Map<string, Task<unknown>>();
  for (const task of plan.tasks) {
    const { id, kind, reads, after, setups, mapped, limit, options } = task;
    const behind: Upstream[] = after.map((id) => tasks.get(id)!);
    const all: TaskOptions = {
      ...options,
      after: behind,
      ...kind === "setup" ? { setup: true } : {},
      ...setups.length > 0 ? { teardown: setups.map((id) => tasks.get(id)!) } : {},
    };
    const first = tasks.get(reads[0]!) as Ref<unknown>;
    const children = plan.tasks.filter((one) => upstreamOf(one).includes(id)).map(({ id }) => id);
    const work = (from: Ref<unknown>): Doing<unknown, Params> =>
      workOf(kind, actor, children, from);
    const done = mapped
      ? made.each(id, first as Ref<unknown[]>, work, { ...all, ...limit ? { limit } : {} })
      : made.task(id, work(first), all);
    tasks.set(id, done as Task<unknown>);
  }
  return made;
}

function workOf(
  kind: Kind,
  actor: Actor,
  children: readonly string[],
  from: Ref<unknown>,
): Doing<unknown, Params> {
  const { random: r } = actor;
  switch (kind) {
    case "list":
      return async (ctx: AnyContext) => {
        await actor.act(ctx, "work");
        return Array.from({ length: r.int(0, 3) }, (_, i) => i);
      };
    case "mapped":
      return fn({ item: from }, async (_, ctx) => await actor.act(ctx, "work"));
    case "branch":
      return branch(async (ctx) => {
        await actor.act(ctx, "work");
        return r.some(children, 0.6);
      });
    case "short_circuit":
      return shortCircuit(async (ctx) => {
        await actor.act(ctx, "work");
        return r.chance(0.6);
      });
    case "stream":
      return operator("stream", async (_: { x?: 1 }, ctx) => {
        await actor.act(ctx, "open");
        return new ReadableStream(pulls(actor, ctx), { highWaterMark: 0 });
      }, { stream: true })();
    case "source":
      return operator("source", async (_: { x?: 1 }, ctx) => {
        await actor.act(ctx, "open");
        const key = `sim:${ctx.dag}/${ctx.task}`;
        const kept = await ctx.kept?.(key);
        const validator = kept && r.chance(0.8) ? kept.validator! : `"${r.int(1, 1e9)}"`;
        const same = kept?.validator === validator;
        if (same && kept!.whole) {
          return new Source({ key, validator, offset: 0, kept: true }, {
            pull: (controller) => controller.close(),
          });
        }
        return new Source({ key, validator, offset: same ? kept!.bytes : 0 }, pulls(actor, ctx));
      }, { stream: true })();
    case "reader":
      return pipe(
        from as Ref<Bytes>,
        operator("take", async (_: { x?: 1 }, ctx, bytes: Bytes) => {
          let n = 0;
          for await (const chunk of bytes) {
            n += chunk.length;
            if (r.chance(0.1)) await actor.act(ctx, "middle");
          }
          actor.sawEnd(ctx, n);
          await actor.act(ctx, "work");
          return n;
        })(),
      );
    default:
      return async (ctx: AnyContext) => await actor.act(ctx, "work");
  }
}

/** Bytes that come as the simulation says. */
function pulls(
  actor: Actor,
  ctx: AnyContext,
): UnderlyingDefaultSource<Uint8Array<ArrayBuffer>> {
  return {
    async pull(controller) {
      const what = await actor.act(ctx, "pull");
      if (what === "end") controller.close();
      else controller.enqueue(new Uint8Array(actor.random.int(1, 9)));
    },
  };
}
