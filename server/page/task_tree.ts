import type { Node } from "./documents.ts";

/** A row of a tree of tasks. */
export interface TreeRow {
  /** The id of the task, or the path of the group. */
  readonly id: string;
  /** What it is called where it stands. */
  readonly label: string;
  readonly depth: number;
  /** The tasks in it, where it is a group. */
  readonly inside?: readonly string[];
  /** Whether those are shown. */
  readonly isOpen?: boolean;
}

/** Tasks in rows below their groups; a group stands where the first of its tasks does. `folded` are the paths of those that are closed. */
export function treeRows(
  tasks: readonly string[],
  nodes: ReadonlyMap<string, Node>,
  folded: ReadonlySet<string>,
): TreeRow[] {
  const leaves = tasks.map((id) => ({ id, path: nodes.get(id)?.group?.split(".") ?? [] }));
  return rowsBelow(leaves, 0, folded);
}

interface Leaf {
  readonly id: string;
  readonly path: readonly string[];
}

function rowsBelow(
  leaves: readonly Leaf[],
  depth: number,
  folded: ReadonlySet<string>,
): TreeRow[] {
  const children = new Map<string, Leaf[]>();
  for (const leaf of leaves) {
    const { id, path } = leaf;
    const key = path.length > depth ? `group ${path[depth]}` : id;
    const known = children.get(key);
    if (known) known.push(leaf);
    else children.set(key, [leaf]);
  }
  return [...children.values()].flatMap((inside) => {
    const { id, path } = inside[0]!;
    if (path.length <= depth) {
      const label = depth === 0 ? id : id.slice(path.join(".").length + 1);
      return [{ id, label, depth }];
    }
    const group = path.slice(0, depth + 1).join(".");
    const isOpen = !folded.has(group);
    const row = {
      id: group,
      label: path[depth]!,
      depth,
      inside: inside.map(({ id }) => id),
      isOpen,
    };
    return isOpen ? [row, ...rowsBelow(inside, depth + 1, folded)] : [row];
  });
}

/** The paths of all groups. */
export function groupsOf(nodes: Iterable<Node>): Set<string> {
  const groups = new Set<string>();
  for (const { group } of nodes) {
    const path = group?.split(".") ?? [];
    path.forEach((_, i) => groups.add(path.slice(0, i + 1).join(".")));
  }
  return groups;
}
