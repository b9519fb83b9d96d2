import type { AnyDag } from "./dag.ts";

/** The pools there always are: `default` has 32 slots unless it is said otherwise. */
export const POOLS: Readonly<Record<string, number>> = { default: 32 };

/** Options for {@linkcode checkLimits}: what there is for tasks to ask for. */
export interface CheckLimitsOptions {
  /** How many slots each pool has, by name. @default {{ default: 32 }} */
  readonly pools?: Readonly<Record<string, number>>;
  /** The names of the executors. @default {["inProcess"]} */
  readonly executors?: readonly string[];
}

/** Refuses a DAG of which a task could never start. @throws {TypeError} naming the task */
export function checkLimits(
  dag: AnyDag,
  { pools = POOLS, executors = ["inProcess"] }: CheckLimitsOptions = {},
): void {
  for (const { id, options } of dag.tasks.values()) {
    const { pool = "default", slots = 1, executor = "inProcess" } = options;
    const fail = (why: string): TypeError =>
      new TypeError(`Cannot run task "${id}" of "${dag.id}": ${why}`);
    const size = Object.hasOwn(pools, pool) ? pools[pool]! : undefined;
    if (size === undefined) {
      throw fail(`there is no pool "${pool}"; there are ${Object.keys(pools).join(", ")}`);
    }
    if (slots > size) throw fail(`it takes ${slots} slots of pool "${pool}", which has ${size}`);
    if (!executors.includes(executor)) {
      throw fail(`there is no executor "${executor}"; there are ${executors.join(", ")}`);
    }
  }
}
