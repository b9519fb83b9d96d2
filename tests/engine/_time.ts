import { setImmediate } from "node:timers/promises";
import type { Sleep } from "../../engine/mod.ts";

/** More turns of the event loop than anything takes that waits neither for a clock nor for a disk. */
const TURNS = 50;

/** A clock that goes on only when told to. */
export interface VirtualTime {
  readonly now: () => Temporal.Instant;
  readonly clock: () => number;
  readonly sleep: Sleep;
  /** How many sleep. */
  readonly sleepers: () => number;
  /** Goes on, waking who is due on the way, each at its moment. */
  advance(duration: Temporal.DurationLike): Promise<void>;
  /** Lets all that can happen now happen, but for what the disk is asked. */
  settle(): Promise<void>;
}

/** Makes one that stands at a moment. */
export function virtualTime(start: string): VirtualTime {
  const origin = Temporal.Instant.from(start);
  const sleepers = new Set<{ at: number; wake: () => void }>();
  let ms = 0;
  const settle = async (): Promise<void> => {
    for (let i = 0; i < TURNS; i++) await setImmediate();
  };
  return {
    now: () => origin.add({ milliseconds: ms }),
    clock: () => ms,
    sleepers: () => sleepers.size,
    settle,
    sleep: (wait, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { at: ms + wait, wake: resolve };
        sleepers.add(sleeper);
        signal.addEventListener("abort", () => {
          sleepers.delete(sleeper);
          reject(signal.reason);
        });
      }),
    async advance(duration) {
      const end = ms + Temporal.Duration.from(duration).total("milliseconds");
      await settle();
      for (;;) {
        const [next] = [...sleepers].sort((a, b) => a.at - b.at);
        if (!next || next.at > end) break;
        sleepers.delete(next);
        ms = Math.max(ms, next.at);
        next.wake();
        await settle();
      }
      ms = end;
      await settle();
    },
  };
}
