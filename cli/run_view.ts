import type { Reading, Run, TaskRun } from "../engine/mod.ts";
import { bytes, count, table } from "./format.ts";
import { bottleneck, remaining, stageRow } from "./stages.ts";

const SIGNS: Readonly<Record<string, string>> = {
  success: "✓",
  failed: "✗",
  running: "▶",
  upstream_failed: "✗",
  skipped: "–",
  up_for_retry: "↻",
};

/** A run under way: its tasks, and below those that run their stages. */
export function runLines(
  run: Run,
  readings: Readonly<Record<string, readonly Reading[]>>,
): string[] {
  const lines = [`${run.id}  ${run.state}`];
  for (const [id, task] of Object.entries(run.tasks)) {
    lines.push(`  ${SIGNS[task.state] ?? "·"} ${id}  ${taskStatus(task, readings[id] ?? [])}`);
    const stages = task.state === "running" ? readings[id] ?? [] : [];
    const rows = stages.map((_, i) => stageRow(stages, i));
    if (rows.length > 0) lines.push(...table(rows, "      ").split("\n"));
  }
  return lines;
}

function taskStatus(task: TaskRun, readings: readonly Reading[]): string {
  const parts: (string | undefined)[] = [task.state];
  if (task.attempt > 1) parts.push(`attempt ${task.attempt}`);
  if (task.state === "up_for_retry" && task.due) {
    parts.push(`next at ${task.due.slice(11, 19)} UTC`);
  }
  if (task.state === "running") parts.push(remaining(readings));
  if (task.error && task.state !== "success") parts.push(task.error.message);
  return parts.filter(Boolean).join(", ");
}

/** The same in one line, for a log. */
export function runLine(run: Run, readings: Readonly<Record<string, readonly Reading[]>>): string {
  const tasks = Object.entries(run.tasks).map(([id, task]) => {
    const stages = readings[id] ?? [];
    const last = stages.at(-1);
    if (task.state !== "running" || !last) return `${id} ${task.state}`;
    const rows = last.rows > 0 ? `${count(last.rows)} rows` : bytes(last.bytes);
    return `${id} ${rows}, pace set by ${bottleneck(stages)}`;
  });
  return `${run.id}: ${tasks.join("; ")}`;
}
