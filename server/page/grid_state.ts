import type { TaskState } from "./documents.ts";

/** The state that stands for many: of a group, or of all instances. */
export function stateOfAll(states: Iterable<TaskState>): TaskState {
  const seen = new Set(states);
  const first = (["failed", "upstream_failed", "running", "up_for_retry"] as const)
    .find((state) => seen.has(state));
  if (first) return first;
  const rest = [...seen].filter((state) => state !== "removed");
  if (rest.every((state) => state === "skipped")) return rest.length > 0 ? "skipped" : "none";
  if (rest.every((state) => state === "success" || state === "skipped")) return "success";
  if (rest.length === 1) return rest[0]!;
  const isUnderWay = rest.some((state) => state !== "none" && state !== "skipped");
  return isUnderWay ? seen.has("success") ? "running" : rest.find((s) => s !== "none")! : "none";
}
