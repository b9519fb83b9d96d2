import { Replay } from "./_replay.ts";
import { Provenance } from "./provenance.ts";
import { Ref, type Scope } from "./ref.ts";
import { Edge, Source } from "./source.ts";
import { type AnyContext, operator, ReadAgain, type Work } from "./work.ts";

// deno-lint-ignore no-explicit-any
type AnyWork = Work<any, any, any>;

/** Joins work end to end: what one puts out flows into the next. The first may be what an upstream task puts out. */
export function pipe<A, Z, C extends AnyContext, I = void>(
  a: Work<A, I, C> | Ref<A>,
  z: Work<Z, A, C>,
): Work<Z, I, C>;
/** Joins three stages. */
export function pipe<A, B, Z, C extends AnyContext, I = void>(
  a: Work<A, I, C> | Ref<A>,
  b: Work<B, A, C>,
  z: Work<Z, B, C>,
): Work<Z, I, C>;
/** Joins four stages. */
export function pipe<A, B, D, Z, C extends AnyContext, I = void>(
  a: Work<A, I, C> | Ref<A>,
  b: Work<B, A, C>,
  d: Work<D, B, C>,
  z: Work<Z, D, C>,
): Work<Z, I, C>;
/** Joins five stages. */
export function pipe<A, B, D, E, Z, C extends AnyContext, I = void>(
  a: Work<A, I, C> | Ref<A>,
  b: Work<B, A, C>,
  d: Work<D, B, C>,
  e: Work<E, D, C>,
  z: Work<Z, E, C>,
): Work<Z, I, C>;
/** Joins six stages; more by joining pipes. */
export function pipe<A, B, D, E, F, Z, C extends AnyContext, I = void>(
  a: Work<A, I, C> | Ref<A>,
  b: Work<B, A, C>,
  d: Work<D, B, C>,
  e: Work<E, D, C>,
  f: Work<F, E, C>,
  z: Work<Z, F, C>,
): Work<Z, I, C>;
export function pipe(...stages: (AnyWork | Ref<unknown>)[]): AnyWork {
  const works = stages.flatMap((stage): readonly AnyWork[] => {
    if (stage instanceof Ref) return [reading(stage)];
    return stage instanceof Pipe ? stage.works : [stage];
  });
  return new Pipe(works);
}

/** How often a source is read again, at most: each time teaches something, unless it changes all the time. */
const MAX_REREADS = 4;

/** Work joined end to end. A pipe in a pipe is part of it: the source of one is the source of the other. */
class Pipe implements AnyWork {
  readonly works: readonly AnyWork[];
  readonly steps: AnyWork["steps"];

  constructor(works: readonly AnyWork[]) {
    this.works = works;
    this.steps = works.flatMap((work) => work.steps);
  }

  async run(scope: Scope, ctx: AnyContext, input: unknown): Promise<unknown> {
    const rereads = this.steps.some((step) => step.rereads);
    const mark = ctx.meters.count;
    // The first stage that puts out a stream is where all comes from.
    let source = 0, before = input, flow = input;
    for (; !isStream(flow) && source < this.works.length; source++) {
      before = flow;
      flow = await this.#run([source, source + 1], scope, ctx, before);
    }
    const rest = [source, this.works.length] as const;
    if (!rereads || source === 0 || source === this.works.length || !isStream(flow)) {
      return await this.#run(rest, scope, ctx, flow);
    }
    const work = this.works[source - 1]!;
    const keep = (stream: ReadableStream<unknown>) =>
      new Replay(stream, (cause) => {
        ctx.log.warn(`the source cannot be kept, so that it could be read only once: ${cause}`);
      });
    let from = new Provenance(flow);
    let read = from.through(flow);
    let replay = isLasting(work, flow) ? undefined : keep(read);
    let opened = replay ? ctx.meters.count : mark;
    let output: unknown, failure: unknown = new Error("the pipe has ended");
    try {
      for (let tries = 0, here = ctx;; tries++) {
        try {
          from.again();
          output = await this.#run(rest, scope, { ...here, source: from }, replay?.open() ?? read);
          return output;
        } catch (error) {
          failure = error;
          const readable = tries < MAX_REREADS && (replay?.whole ?? true);
          if (!(error instanceof ReadAgain) || !readable) throw error;
          ctx.signal.throwIfAborted();
          ctx.log.info("reading the source again, from its start");
          here = { ...ctx, learnt: error.learnt };
          ctx.meters.rewind(opened);
          if (replay) continue;
          const last = flow;
          flow = await this.#run([source - 1, source], scope, ctx, before);
          if (!isStream(flow)) throw error;
          from = new Provenance(flow);
          read = from.through(flow);
          if (isSame(work, last, flow)) continue;
          ctx.log.warn(
            "the source has changed since it was read: beginning anew with what it is now",
          );
          here = ctx;
          replay = keep(read);
          opened = ctx.meters.count;
        }
      }
    } finally {
      if (isStream(output)) replay?.last();
      else await replay?.close(failure);
    }
  }

  /** Runs the stages from the first to behind the last of a range. */
  async #run(
    [from, to]: readonly [number, number],
    scope: Scope,
    ctx: AnyContext,
    input: unknown,
  ): Promise<unknown> {
    // Only what leaves the task is kept: between stages, back-pressure reaches the source.
    const inner = { ...ctx, kept: undefined };
    let flow = input;
    try {
      for (const work of this.works.slice(from, to)) {
        flow = await work.run(scope, work === this.works.at(-1) ? ctx : inner, flow);
      }
    } catch (error) {
      // A stage that fails before it takes its input would leave the source open.
      if (isStream(flow) && !flow.locked) await flow.cancel(error).catch(() => {});
      throw error;
    }
    return flow;
  }
}

function isStream(flow: unknown): flow is ReadableStream<unknown> {
  return flow instanceof ReadableStream;
}

/** Whether a stage gives the same stream when it is run again, or one that is known to be another, from the start. */
function isLasting(work: AnyWork, flow: unknown): boolean {
  if (ofTasks.has(work)) return true; // what a task puts out is in the spool
  const validator = flow instanceof Source ? flow.origin.validator : undefined;
  return validator !== undefined && !validator.startsWith("W/");
}

/** Whether a stage that was run again, as it is lasting, gave the same stream. */
function isSame(work: AnyWork, last: unknown, flow: unknown): boolean {
  if (ofTasks.has(work)) return true;
  if (!(last instanceof Source && flow instanceof Source)) return false;
  const { key, validator, length } = last.origin;
  const now = flow.origin;
  return now.key === key && now.validator === validator &&
    (now.length ?? length) === (length ?? now.length);
}

/** Sends one stream to several ends at once; waits for them all. The slowest end sets the pace. */
export function tee<
  T,
  C extends AnyContext,
  W extends Record<string, Work<unknown, ReadableStream<T>, C>>,
>(
  ends: W,
): Work<
  { [K in keyof W]: W[K] extends Work<infer O, ReadableStream<T>, C> ? O : never },
  ReadableStream<T>,
  C
> {
  return {
    // What a tee puts out is no stream, whatever its ends do.
    steps: Object.values(ends).flatMap((end) => end.steps.map(({ stream: _, ...step }) => step)),
    async run(scope, ctx, input) {
      const names = Object.keys(ends);
      const branches = split(input, names.length);
      const outputs = await Promise.all(
        names.map(async (name, i) => {
          try {
            return await ends[name]!.run(scope, { ...ctx, kept: undefined }, branches[i]!);
          } catch (error) {
            // One end that failed ends them all, so that none waits for a branch nobody reads.
            for (const branch of branches) if (!branch.locked) branch.cancel(error).catch(() => {});
            throw error;
          }
        }),
      );
      return Object.fromEntries(names.map((name, i) => [name, outputs[i]])) as never;
    },
  };
}

/** Makes `n` streams of one that all get each chunk; the next is read when all have taken the last. */
function split<T>(input: ReadableStream<T>, n: number): ReadableStream<T>[] {
  const reader = input.getReader();
  const controllers: ReadableStreamDefaultController<T>[] = [];
  let open = n;
  let asked = 0;
  let turn = Promise.withResolvers<void>();
  async function pull(): Promise<void> {
    const mine = turn.promise;
    if (++asked < open) return await mine;
    asked = 0;
    const { resolve, reject } = turn;
    turn = Promise.withResolvers();
    try {
      const { done, value } = await reader.read();
      for (const controller of controllers) done ? controller.close() : controller.enqueue(value!);
      resolve();
    } catch (error) {
      mine.catch(() => {});
      reject(error);
      throw error;
    }
  }
  return Array.from({ length: n }, () =>
    new ReadableStream<T>({
      start: (controller) => void controllers.push(controller),
      pull,
      // An end that stops early stops all: half a stream is never a result.
      cancel: async (reason) => {
        open = 0;
        for (const controller of controllers.splice(0)) {
          try {
            controller.error(reason);
          } catch { /* the one that was cancelled */ }
        }
        await reader.cancel(reason);
      },
    }, { highWaterMark: 0 }));
}

const read = operator("read", ({ from }: { from: unknown }, { meter }) => {
  if (from instanceof Edge) meter.length = from.length;
  return from;
});

/** Works that read what a task puts out. */
const ofTasks = new WeakSet<AnyWork>();

function reading(from: Ref<unknown>): AnyWork {
  const work = read({ from });
  ofTasks.add(work);
  return work;
}
