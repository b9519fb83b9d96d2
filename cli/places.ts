import type { Instance } from "../engine/mod.ts";
import { several } from "./format.ts";

/** Tasks of a run, as orders name them. */
export interface Places {
  /** Ids of tasks, or of groups. */
  readonly tasks?: readonly string[];
  /** Of mapped tasks, only these instances. */
  readonly indexes?: readonly number[];
}

/** Reads `load`, `extract.load` and `load[3]`: each mapped task with single instances makes an order of its own. */
export function readPlaces(names: readonly string[], indexes: readonly number[] = []): Places[] {
  if (names.length === 0) return [indexes.length > 0 ? { indexes } : {}];
  const whole: string[] = [];
  const single = new Map<string, number[]>();
  for (const name of names) {
    const [, task, index] = /^(.*)\[(\d+)\]$/.exec(name) ?? [];
    if (task === undefined) whole.push(name);
    else single.set(task, [...single.get(task) ?? [], Number(index)]);
  }
  return [
    ...whole.length > 0 ? [{ tasks: whole, ...indexes.length > 0 ? { indexes } : {} }] : [],
    ...[...single].map(([task, chosen]) => ({ tasks: [task], indexes: chosen })),
  ];
}

/** What several orders chose, each once. */
export function together(chosen: readonly (readonly Instance[])[]): Instance[] {
  const all = new Map(chosen.flat().map((instance) => [placeName(instance, true), instance]));
  return [...all.values()];
}

/** Instances as lines, below the runs they are of. */
export function placeLines(instances: readonly Instance[]): string[] {
  return [...Map.groupBy(instances, ({ run }) => run)]
    .flatMap(([run, some]) => [run, ...some.map((instance) => `  ${placeName(instance)}`)]);
}

/** `3 task instances of 2 runs`. */
export function countPlaces(instances: readonly Instance[]): string {
  const runs = new Set(instances.map(({ run }) => run)).size;
  return `${several(instances.length, "task instance")} of ${several(runs, "run")}`;
}

/** Instances as JSON. */
export function placeDocuments(
  instances: readonly Instance[],
): { run_id: string; task: string; index?: number }[] {
  return instances.map(({ run, ...rest }) => ({ run_id: run, ...rest }));
}

/** How a place is told: `load[3]`, in `full` with its run before it. */
export function placeName({ run, task, index }: Instance, full = false): string {
  return `${full ? `${run} ` : ""}${task}${index === undefined ? "" : `[${index}]`}`;
}
