import type { Node } from "./documents.ts";
import type { Arrow } from "./graph_layout.ts";

/** A node of the picture: a task, or a folded group. */
export interface Drawn {
  readonly id: string;
  /** The task; none where it is a group. */
  readonly task?: Node;
  readonly inside: readonly string[];
}

/** An edge of the picture. */
export interface Channel extends Arrow {
  readonly kind: Node["edges"][number]["kind"];
}

/** Tasks as nodes; when they fold, those of a group as one. */
export function picture(
  tasks: readonly Node[],
  folds: boolean,
): { readonly nodes: readonly Drawn[]; readonly edges: readonly Channel[] } {
  const names = new Map(
    tasks.map(({ id, group }) => [id, folds && group !== null ? group.split(".")[0]! : id]),
  );
  const inside = Map.groupBy(tasks, ({ id }) => names.get(id)!);
  const nodes = [...inside].map(([id, some]): Drawn => {
    const alone = some.length === 1 && some[0]!.id === id ? { task: some[0]! } : {};
    return { id, ...alone, inside: some.map(({ id }) => id) };
  });
  const edges = new Map<string, Channel>();
  for (const { id, edges: list } of tasks) {
    for (const { from: upstream, kind } of list) {
      const [from, to] = [names.get(upstream), names.get(id)!];
      if (from === undefined || from === to) continue;
      const key = `${from} ${to}`;
      if (kind === "stream" || !edges.has(key)) edges.set(key, { from, to, kind });
    }
  }
  return { nodes, edges: [...edges.values()] };
}

/** What a node is called beside the others of its group. */
export function nameOf({ id, task }: Drawn): string {
  const group = task?.group;
  return group && id.startsWith(`${group}.`) ? id.slice(group.length + 1) : id;
}

/** How wide a node is drawn, for what is written in it: below its name its operators, and how long they took. */
export function widthOf(node: Drawn): number {
  const about = node.task ? (node.task.operators.join(" → ").length + 9) * 6.1 : 0;
  return Math.round(Math.min(280, Math.max(132, nameOf(node).length * 7.4 + 52, about + 40)));
}
