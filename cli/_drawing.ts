import { type AnyDag, Ref, type Task } from "../engine/mod.ts";
import { several } from "./format.ts";

type Node = Task<unknown>;

/** How a task depends on one before it: it reads its stream, its output, or only comes after it. */
export type Edge = "stream" | "output" | "order";

const STROKES: Readonly<Record<Edge, string>> = { stream: "═", output: "─", order: "╌" };
const LEGEND: Readonly<Record<Edge, string>> = {
  stream: "═ reads its stream while that is written",
  output: "─ reads what it puts out",
  order: "╌ only comes after it",
};

/** What lies between a task and one that it comes after. */
export function edge(dag: AnyDag, task: Node, upstream: string): Edge {
  if (!task.reads.includes(upstream)) return "order";
  const from = task.work.steps[0]?.inputs["from"];
  const flows = from instanceof Ref && from.ids.includes(upstream);
  return flows || isStream(dag.tasks.get(upstream)!) ? "stream" : "output";
}

/**
 * A DAG as a tree in lines: each task stands once, below the last of those it comes after; the others are named beside it.
 */
export function drawTasks(dag: AnyDag): string[] {
  const order = [...dag.tasks.keys()];
  const parents = new Map([...dag.tasks.values()].map((task) => {
    return [task.id, order.findLast((id) => task.upstream.includes(id))];
  }));
  const drawn: [tree: string, rest: string][] = [];
  const seen = new Set<Edge>();
  function stroke(task: Node, upstream: string): string {
    const kind = edge(dag, task, upstream);
    seen.add(kind);
    return STROKES[kind];
  }
  function draw(parent: string | undefined, indent: string): void {
    const children = order.filter((id) => parents.get(id) === parent);
    children.forEach((id, i) => {
      const task = dag.tasks.get(id)!;
      const last = i === children.length - 1;
      const branch = parent === undefined ? "" : `${last ? "└" : "├"}${stroke(task, parent)} `;
      const others = task.upstream.filter((one) => one !== parent)
        .map((one) => `${stroke(task, one)} ${one}`);
      drawn.push([`${indent}${branch}${id}`, [describe(task), ...others].join("  ")]);
      draw(id, parent === undefined ? "" : `${indent}${last ? "   " : "│  "}`);
    });
  }
  draw(undefined, "");
  const width = Math.max(0, ...drawn.map(([tree]) => tree.length));
  const lines = drawn.map(([tree, rest]) => `${tree.padEnd(width)}  ${rest}`.trimEnd());
  const kinds = (Object.keys(STROKES) as Edge[]).filter((kind) => seen.has(kind));
  if (kinds.length > 0) lines.push("", ...kinds.map((kind) => LEGEND[kind]));
  return lines;
}

/** What a task does, and what is special about how it is run. */
function describe({ work, options, each, setups }: Node): string {
  const stages = work.steps.filter(({ inputs }) => !(inputs["from"] instanceof Ref));
  const { when = "all_success", retries = 0, pool = "default", writes = [] } = options;
  const notes = [
    each ? `each of ${(each.over === undefined ? each.reads : [each.over]).join(", ")}` : "",
    setups.length === 0 ? "" : `tears down ${setups.join(", ")}`,
    when === "all_success" ? "" : when,
    retries === 0 ? "" : several(retries, "retry", "retries"),
    pool === "default" ? "" : `pool ${pool}`,
    writes.length === 0 ? "" : `writes ${writes.map(({ name }) => name).join(", ")}`,
  ].filter(Boolean);
  const what = stages.map(({ name }) => name).join(" → ");
  return notes.length === 0 ? what : `${what} (${notes.join(", ")})`;
}

function isStream({ work }: Node): boolean {
  const last = work.steps.at(-1);
  return last?.stream === true;
}
