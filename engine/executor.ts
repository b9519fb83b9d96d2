import { type Attempt, attempt, type Outcome, type Surroundings } from "./attempt.ts";
import { type DoJob, doJob } from "./_job.ts";

/** Where attempts are made. Disposing of it ends those under way. */
export interface Executor extends AsyncDisposable {
  /** How many attempts it takes at once. */
  readonly slots: number;
  /** Makes an attempt. Never throws; resolves when everything that was begun for it has ended. */
  execute(attempt: Attempt, around: Surroundings): Promise<Outcome>;
}

/** Makes attempts within the process: the cheapest way, and the one that shares its memory and its thread. */
export function inProcess(options: { readonly slots?: number } = {}): Executor {
  const { slots = 64 } = options;
  return executorOf(slots, doJob);
}

/** An executor whose attempts differ only in where the work is done. */
export function executorOf(slots: number, doJob: DoJob): Executor {
  if (!Number.isInteger(slots) || slots < 1) {
    throw new TypeError(`Cannot make an executor of ${slots} slots: it takes one or more`);
  }
  const stop = new AbortController();
  const underWay = new Set<Promise<Outcome>>();
  return {
    slots,
    async execute(what, around) {
      const signal = AbortSignal.any([what.signal, stop.signal]);
      const outcome = attempt({ ...what, signal }, around, doJob);
      underWay.add(outcome);
      try {
        return await outcome;
      } finally {
        underWay.delete(outcome);
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort(new Error("The executor was closed"));
      await Promise.all(underWay);
    },
  };
}
