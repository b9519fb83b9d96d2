import type { Run } from "./state.ts";

/** Something to do at times. */
export interface Chores {
  /** When there is next something to do; undefined: not by the clock. */
  due(): Temporal.Instant | undefined;
  /** Does it. */
  run(now: Temporal.Instant): Promise<void>;
  /** Told when a run is over. */
  ended(run: Run): void;
}

/** Does several of them, one after the other. */
export function together(all: readonly Chores[]): Chores {
  return {
    due: () => soonest(all.map((one) => one.due())),
    async run(now) {
      for (const one of all) await one.run(now);
    },
    ended: (run) => all.forEach((one) => one.ended(run)),
  };
}

/** The first of them. */
export function soonest(
  instants: readonly (Temporal.Instant | undefined)[],
): Temporal.Instant | undefined {
  return instants.filter((instant) => instant !== undefined).sort(Temporal.Instant.compare)[0];
}
