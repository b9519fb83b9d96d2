import type { AnyDag } from "./dag.ts";
import type { Executor } from "./executor.ts";

/** Refuses what could never start. @throws {TypeError} naming the task */
export function checkLimits(
  dag: AnyDag,
  pools: Readonly<Record<string, number>>,
  executors: Readonly<Record<string, Executor>>,
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
    if (!Object.hasOwn(executors, executor)) {
      const known = Object.keys(executors).join(", ");
      throw fail(`there is no executor "${executor}"; there are ${known}`);
    }
  }
}
