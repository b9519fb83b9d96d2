import type { Run, TaskRun } from "../../engine/mod.ts";
import { type VirtualTime, virtualTime } from "./_time.ts";

/** When tests begin, unless they say otherwise. */
export const START = "2021-01-05T12:00:00Z";

export const idle = (): number => 1;

export const broken = (): never => {
  throw new Error("broke");
};

/** A task, as it stands. */
export const told = ({ state, attempt }: TaskRun): string => `${state} ${attempt}`;

/** The tasks of a run, as they stand; of mapped ones the instances as well. */
export function states({ tasks, mapped }: Run): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tasks).map(([id, { state }]) => {
      const instances = mapped[id]?.map(({ state }) => state);
      return [id, instances ? `${state} [${instances}]` : state];
    }),
  );
}

/** What runs of one DAG are called, by their logical dates. */
export const days = (runs: readonly Run[]): string =>
  runs.map(({ logicalDate }) => logicalDate.slice(5, 10)).sort().join(" ");

/** A gate that tasks wait at, and who came to it. */
export interface Gate {
  readonly came: string[];
  /** A task that waits at it, until it is let through or aborted. */
  readonly wait: (
    ctx: { task: string; run: string; index?: number; signal: AbortSignal },
  ) => Promise<
    string
  >;
  /** Lets all through that wait, and all that will come. */
  open(): void;
}

export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  const came: string[] = [];
  return {
    came,
    async wait({ task, index, signal }) {
      came.push(index === undefined ? task : `${task}[${index}]`);
      const stopped = new Promise<void>((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason))
      );
      await Promise.race([promise, stopped]);
      return task;
    },
    open: resolve,
  };
}

/** A clock that can be set, too: then time has gone by without anybody waking. */
export interface Time extends VirtualTime {
  jump(by: Temporal.DurationLike): void;
}

export function time(start = START): Time {
  const virtual = virtualTime(start);
  let offset = Temporal.Duration.from({ seconds: 0 });
  return {
    ...virtual,
    now: () => virtual.now().toZonedDateTimeISO("UTC").add(offset).toInstant(),
    jump(by) {
      offset = offset.add(by);
    },
  };
}

/** Waits until something is so, on the real clock. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!await holds()) {
    if (performance.now() > end) throw new Error("It does not come to be so");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
