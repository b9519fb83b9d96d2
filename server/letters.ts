import type { TaskState } from "../engine/mod.ts";

/** A letter for each state, so that a thousand tasks of a hundred runs are told at once. */
export const LETTERS: Readonly<Record<TaskState, string>> = {
  none: "-",
  scheduled: "c",
  queued: "q",
  running: "r",
  success: "s",
  failed: "f",
  skipped: "k",
  upstream_failed: "u",
  up_for_retry: "t",
  up_for_reschedule: "w",
  removed: "x",
};
