import type { When } from "./dag.ts";
import { isDone, type TaskState } from "./state.ts";

/** What a trigger rule says of a task. */
export type Decision = "run" | "skip" | "upstream_failed" | "wait";

/** Decides by the states of the direct upstream tasks, as early as they allow; without any, a task runs. */
export function decide(rule: When, upstream: readonly TaskState[]): Decision {
  const has = (...states: TaskState[]): boolean => upstream.some((state) => states.includes(state));
  if (upstream.every((state) => state === "removed")) return "run";
  const success = has("success");
  const failed = has("failed", "upstream_failed");
  const skipped = has("skipped");
  const open = upstream.some((state) => !isDone(state));
  switch (rule) {
    case "all_success":
      return failed ? "upstream_failed" : skipped ? "skip" : open ? "wait" : "run";
    case "all_failed":
      return success || skipped ? "skip" : open ? "wait" : "run";
    case "all_done":
      return open ? "wait" : "run";
    case "all_done_min_one_success":
      return open ? "wait" : success ? "run" : failed ? "upstream_failed" : "skip";
    case "all_skipped":
      return success || failed ? "skip" : open ? "wait" : "run";
    case "one_success":
      return success ? "run" : open ? "wait" : failed ? "upstream_failed" : "skip";
    case "one_failed":
      return failed ? "run" : open ? "wait" : "skip";
    case "one_done":
      return success || has("failed") ? "run" : open ? "wait" : "skip";
    case "none_failed":
      return failed ? "upstream_failed" : open ? "wait" : "run";
    case "none_failed_min_one_success":
      return failed ? "upstream_failed" : open ? "wait" : success ? "run" : "skip";
    case "none_skipped":
      return skipped ? "skip" : open ? "wait" : "run";
    case "always":
      return "run";
  }
}
