import { type AnyDag, isDone, pace, type Reading, type Run, type TaskRun } from "../engine/mod.ts";
import type { RunDocument } from "../server/mod.ts";
import { bytes, count, duration, several, table } from "./format.ts";
import { type Loaded, loadsOf } from "./loaded.ts";
import { refused, remaining, stageRow } from "./stages.ts";

const SIGNS: Readonly<Record<string, string>> = {
  success: "✓",
  failed: "✗",
  running: "▶",
  upstream_failed: "✗",
  skipped: "–",
  up_for_retry: "↻",
};

/** What stands on the meters of a run's tasks. */
type Readings = Readonly<Record<string, readonly Reading[]>>;

/** A run under way: the tree of its tasks, and below those that run their stages. */
export function runLines(dag: AnyDag, run: Run, readings: Readings): string[] {
  const tasks = [...dag.tasks.values()].flatMap(({ id, group }) => {
    const at = run.tasks[id];
    return at ? [{ id, path: group?.split(".") ?? [], at }] : [];
  });
  return [`${run.id}  ${run.state}`, ...treeLines(tasks, 0, run, readings)];
}

/** A task in the tree: under the groups of its path. */
interface Leaf {
  readonly id: string;
  readonly path: readonly string[];
  readonly at: TaskRun;
}

function treeLines(
  leaves: readonly Leaf[],
  depth: number,
  run: Run,
  readings: Readings,
): string[] {
  const indent = "  ".repeat(depth + 1);
  // A group stands where the first of its tasks does.
  const nodes = Map.groupBy(leaves, ({ id, path }) => path[depth] ?? id);
  return [...nodes].flatMap(([name, inside]) => {
    const [{ id, path, at }] = inside as [Leaf];
    if (path.length > depth) {
      const head = `${indent}${groupLine(name, inside)}`;
      // What is all done, or has not begun, is one line.
      const isOpen = inside.some(({ at }) => at.state !== "none") &&
        inside.some(({ at }) => !isDone(at.state));
      return isOpen ? [head, ...treeLines(inside, depth + 1, run, readings)] : [head];
    }
    const short = id.slice(depth === 0 ? 0 : path.join(".").length + 1);
    const instances = run.mapped[id];
    const stages = readings[id] ?? [];
    const status = instances
      ? mappedStatus(id, instances, readings)
      : `  ${taskStatus(at, stages)}`;
    const rows = at.state === "running" && !instances
      ? stages.map((_, i) => stageRow(stages, i))
      : [];
    return [
      `${indent}${SIGNS[at.state] ?? "·"} ${short}${status}`,
      ...rows.length > 0 ? table(rows, `${indent}    `).split("\n") : [],
    ];
  });
}

function groupLine(name: string, inside: readonly Leaf[]): string {
  const states = inside.map(({ at }) => at.state);
  const done = states.filter(isDone).length;
  const sign = states.some((state) => /failed/.test(state))
    ? SIGNS["failed"]
    : done === states.length
    ? SIGNS["success"]
    : states.every((state) => state === "none")
    ? "·"
    : SIGNS["running"];
  return `${sign} ${name}  ${done}/${states.length} done`;
}

function mappedStatus(id: string, instances: readonly TaskRun[], readings: Readings): string {
  const all = instances.map(({ state }) => state);
  const parts = (["running", "up_for_retry", "failed"] as const).flatMap((state) => {
    const some = all.filter((other) => other === state).length;
    return some > 0 ? [`${count(some)} ${state.replaceAll("_", " ")}`] : [];
  });
  const rows = instances.reduce(
    (sum, _, i) => sum + (readings[`${id}[${i}]`]?.at(-1)?.rows ?? 0),
    0,
  );
  const rejects = refused(instances.flatMap((_, i) => readings[`${id}[${i}]`] ?? []));
  return [
    `  ${count(all.filter(isDone).length)}/${count(all.length)} done`,
    ...parts,
    ...rows > 0 ? [several(rows, "row")] : [],
    ...rejects ? [rejects] : [],
  ].join(", ");
}

function taskStatus(task: TaskRun, readings: readonly Reading[]): string {
  const parts: (string | undefined)[] = [task.state];
  if (task.attempt > 1) parts.push(`attempt ${task.attempt}`);
  if (task.due && /^up_for/.test(task.state)) parts.push(`next at ${task.due.slice(11, 19)} UTC`);
  if (task.state === "running") parts.push(remaining(readings));
  if (task.error && task.state !== "success") parts.push(task.error.message);
  return parts.filter(Boolean).join(", ");
}

/** The same in one line, for a log. */
export function runLine(run: Run, readings: Readings): string {
  const tasks = Object.entries(run.tasks).map(([id, task]) => {
    const instances = run.mapped[id];
    if (instances) return `${id}${mappedStatus(id, instances, readings)}`.replace("  ", " ");
    const stages = readings[id] ?? [];
    const last = stages.at(-1);
    if (task.state !== "running" || !last) return `${id} ${task.state}`;
    const rows = last.rows > 0 ? several(last.rows, "row") : bytes(last.bytes);
    const rejects = refused(stages);
    return `${id} ${rows}, ${rejects && `${rejects}, `}pace set by ${pace(stages).setBy}`;
  });
  return `${run.id}: ${tasks.join("; ")}`;
}

/** A run that is over, in lines: its state, its tasks (the instances of mapped ones as one), what they put out or failed of. */
export function endedRun(run: RunDocument, mapped: Run["mapped"] = {}): string {
  const head = `${run.run_id}  ${run.state}`;
  const rows = run.tasks.map((task) => [
    mapped[task.id] ? `${task.id} ×${mapped[task.id]!.length}` : task.id,
    task.state,
    task.seconds === null ? "" : duration(task.seconds * 1000),
    task.attempts > 1 ? several(task.attempts, "attempt") : "",
    task.error ??
      (mapped[task.id]
        ? loadsInWords(mapped[task.id]!.flatMap(({ output }) => loadsOf(output)))
        : outputInWords(task.output)),
  ]);
  return `${head}\n${table(rows, "  ")}`;
}

/** What a task put out, where it is loads or a download. */
function outputInWords(output: unknown): string {
  const loads = loadsOf(output);
  if (loads.length > 0) return loadsInWords(loads);
  if (typeof output === "object" && output && "downloaded" in output && "bytes" in output) {
    const kept = output.downloaded === 0 ? ", kept from before" : "";
    return `${bytes(Number(output.bytes))}${kept}`;
  }
  return "";
}

/** How many tables loads tell of one by one. */
const TOLD = 3;

/** The rows of each table: `trips: 12 rows, 1 rejected; zones: 3 rows`. */
function loadsInWords(loads: readonly Loaded[]): string {
  const tables = [...Map.groupBy(loads, ({ table }) => table)].map(([table, some]) => {
    const rows = some.reduce((sum, load) => sum + load.rows, 0);
    const rejected = some.reduce((sum, load) => sum + (load.rejected ?? 0), 0);
    const file = some.find(({ rejects }) => rejects?.file)?.rejects?.file;
    const refused = rejected > 0 ? `, ${count(rejected)} rejected${file ? ` (${file})` : ""}` : "";
    return `${table}: ${several(rows, "row")}${refused}`;
  });
  const more = tables.length - TOLD;
  return [...tables.slice(0, TOLD), ...more > 0 ? [`and ${several(more, "table")} more`] : []].join(
    "; ",
  );
}
