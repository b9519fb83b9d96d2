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
