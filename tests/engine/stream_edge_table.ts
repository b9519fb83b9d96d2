// What becomes of the reader of a stream, by its trigger rule, its writer's state and its own.

import type { TaskRun, TaskState, When } from "../../engine/mod.ts";

/** A writer as it stands. */
export type Writer = keyof typeof writers;

const base = { attempt: 1, retries: 0 };
const whole = { key: "http://x/a", validator: '"1"', bytes: 9, whole: true };
const begun = { ...whole, bytes: 5, whole: false };
/** All moments are counted from here. */
export const now: Temporal.Instant = Temporal.Instant.from("2021-01-01T12:00:00Z");
const inSeconds = (seconds: number): string => now.add({ seconds }).toString();

/** The states of a writer that make a difference. */
export const writers = {
  "none": { state: "none", ...base },
  "scheduled": { state: "scheduled", ...base },
  "scheduled again, begun": { state: "scheduled", ...base, stream: begun },
  "queued": { state: "queued", ...base },
  "running, nothing yet": { state: "running", ...base },
  "running, begun": { state: "running", ...base, stream: begun },
  "to be retried, nothing yet": { state: "up_for_retry", ...base, due: inSeconds(30) },
  "to be retried soon": { state: "up_for_retry", ...base, stream: begun, due: inSeconds(60) },
  "to be retried late": { state: "up_for_retry", ...base, stream: begun, due: inSeconds(61) },
  "to ask again": { state: "up_for_reschedule", ...base, due: inSeconds(30) },
  "success": { state: "success", ...base, stream: whole, output: { sha256: "1" } },
  "failed": { state: "failed", ...base },
  "skipped": { state: "skipped", ...base },
  "upstream_failed": { state: "upstream_failed", attempt: 0, retries: 0 },
  "removed": { state: "removed", attempt: 0, retries: 0 },
} as const satisfies Record<string, TaskRun>;

/** What becomes of a reader that is not under way. */
export type Start = "start" | "wait" | "skip" | "upstream_failed";

/** Writers that have not ended, and whose stream has not begun. */
const idle = {
  "none": "wait",
  "scheduled": "wait",
  "queued": "wait",
  "running, nothing yet": "wait",
  "to be retried, nothing yet": "wait",
  "to ask again": "wait",
} as const;
/** Writers that have not ended, and whose stream has begun, for a reader that waits for its end. */
const flowing = {
  "scheduled again, begun": "wait",
  "running, begun": "wait",
  "to be retried soon": "wait",
  "to be retried late": "wait",
} as const;

function ended(
  success: Start,
  failed: Start,
  skipped: Start,
  upstreamFailed: Start = failed,
): Pick<Record<Writer, Start>, "success" | "failed" | "skipped" | "upstream_failed" | "removed"> {
  // One that was taken out of the DAG has no say.
  return { success, failed, skipped, upstream_failed: upstreamFailed, removed: "start" };
}

/** Of a reader that has not begun, or whose retry is due. */
export const starts: Readonly<Record<When, Readonly<Record<Writer, Start>>>> = {
  all_success: {
    ...idle,
    ...flowing,
    ...ended("start", "upstream_failed", "skip"),
    // The one rule by which it overlaps: while its writer runs, and has something to read.
    "running, begun": "start",
  },
  all_failed: { ...idle, ...flowing, ...ended("skip", "start", "skip") },
  all_done: { ...idle, ...flowing, ...ended("start", "start", "start") },
  all_done_min_one_success: {
    ...idle,
    ...flowing,
    ...ended("start", "upstream_failed", "skip"),
  },
  all_skipped: { ...idle, ...flowing, ...ended("skip", "skip", "start") },
  one_success: { ...idle, ...flowing, ...ended("start", "upstream_failed", "skip") },
  one_failed: { ...idle, ...flowing, ...ended("skip", "start", "skip") },
  one_done: { ...idle, ...flowing, ...ended("start", "start", "skip", "skip") },
  none_failed: { ...idle, ...flowing, ...ended("start", "upstream_failed", "start") },
  none_failed_min_one_success: {
    ...idle,
    ...flowing,
    ...ended("start", "upstream_failed", "skip"),
  },
  none_skipped: { ...idle, ...flowing, ...ended("start", "start", "skip") },
  // It asks for nothing, but to be read, a stream must have ended.
  always: { ...idle, ...flowing, ...ended("start", "start", "start") },
};

/** What becomes of a reader that runs: it stays, or is aborted and rolled back and then its rule is applied afresh. */
export type Rest = "stay" | `abort, ${Start}`;

/** Of a reader of the rule all_success; one of any other runs only when its writer has ended, and stays. */
export const rests: Readonly<Record<Writer, Rest>> = {
  "none": "abort, wait",
  // The next attempt goes on in the same file: readers notice nothing.
  "scheduled": "stay",
  "scheduled again, begun": "stay",
  "queued": "stay",
  "running, nothing yet": "stay",
  "running, begun": "stay",
  "to be retried, nothing yet": "stay",
  "to be retried soon": "stay",
  "to be retried late": "abort, wait",
  "to ask again": "stay",
  "success": "stay",
  "failed": "abort, upstream_failed",
  "skipped": "abort, skip",
  "upstream_failed": "abort, upstream_failed",
  "removed": "abort, start",
};

/** How a reader can have ended, and whether it begins anew once its writer has put out other bytes than before. */
export const ends: Readonly<Partial<Record<TaskState, "restart" | "stay">>> = {
  success: "restart",
  failed: "restart",
  skipped: "restart",
  upstream_failed: "restart",
  // One that has not ended reads the new file anyway.
  none: "stay",
  running: "stay",
  up_for_retry: "stay",
};

/** By the rule all_success, with two streams and something else upstream. */
export const joins: readonly (readonly [Writer, Writer, TaskState, Start])[] = [
  ["running, begun", "running, begun", "success", "start"],
  ["running, begun", "success", "success", "start"],
  ["success", "success", "success", "start"],
  ["running, begun", "running, nothing yet", "success", "wait"],
  ["running, begun", "running, begun", "running", "wait"],
  ["running, begun", "to be retried soon", "success", "wait"],
  ["running, begun", "failed", "success", "upstream_failed"],
  ["running, begun", "running, begun", "failed", "upstream_failed"],
  ["running, begun", "running, begun", "skipped", "skip"],
  ["running, begun", "skipped", "running", "skip"],
  ["failed", "skipped", "success", "upstream_failed"],
];
