import type { AnyDag } from "./dag.ts";

/** What follows from a DAG's edges alone. */
export interface Shape {
  /** The tasks that come directly after each. */
  readonly downstream: ReadonlyMap<string, readonly string[]>;
  /** The tasks that read what each puts out. */
  readonly readers: ReadonlyMap<string, readonly string[]>;
  /** The tasks by whose states a run ends well or not. */
  readonly leaves: readonly string[];
  /** The tasks that choose what comes after them. */
  readonly deciders: readonly string[];
  /** Whether any task depends on the run before. */
  readonly dependsOnPast: boolean;
}

const shapes = new WeakMap<AnyDag, Shape>();

/** The shape of a DAG, which must be complete by now. */
export function shapeOf(dag: AnyDag): Shape {
  let shape = shapes.get(dag);
  if (!shape) shapes.set(dag, shape = draw(dag));
  return shape;
}

function draw(dag: AnyDag): Shape {
  const tasks = [...dag.tasks.values()];
  const downstream = new Map<string, string[]>(tasks.map(({ id }) => [id, []]));
  const readers = new Map<string, string[]>(tasks.map(({ id }) => [id, []]));
  for (const { id, upstream, reads } of tasks) {
    for (const other of upstream) downstream.get(other)!.push(id);
    for (const other of reads) readers.get(other)!.push(id);
  }
  const isTeardown = (id: string): boolean => dag.tasks.get(id)!.setups.length > 0;
  const leaves = tasks.filter(({ id, options }) => {
    if (isTeardown(id)) return options.failsRun === true;
    return downstream.get(id)!.every(isTeardown);
  });
  return {
    downstream,
    readers,
    leaves: leaves.map(({ id }) => id),
    deciders: tasks.filter(({ work }) => work.decides !== undefined).map(({ id }) => id),
    dependsOnPast: tasks.some(({ options }) => Boolean(options.dependsOnPast)),
  };
}

/** All tasks that come after some, in any number of steps, and those themselves. */
export function reach({ downstream }: Shape, from: readonly string[]): Set<string> {
  const reached = new Set(from);
  // A set grows under its own iteration.
  for (const id of reached) for (const next of downstream.get(id) ?? []) reached.add(next);
  return reached;
}
