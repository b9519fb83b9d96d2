import type { Definition } from "./_create.ts";
import type { AnyDag } from "./dag.ts";
import { nearestName } from "./option_names.ts";
import type { Timetable } from "./schedule.ts";
import type { DagRecord } from "./store.ts";

/** A DAG as it is scheduled. */
export interface Scheduled extends Definition {
  readonly timetable: Timetable;
  record: DagRecord;
  /** When to look at it again: now if `true`, not by the clock if undefined. */
  look: Temporal.Instant | true | undefined;
}

/** A DAG by its id, or itself. @throws {TypeError} when it is not there, naming those that are */
export function findDag(
  dags: ReadonlyMap<string, Scheduled>,
  target: AnyDag | string,
  verb: string,
): Scheduled {
  const id = typeof target === "string" ? target : target.id;
  const scheduled = dags.get(id);
  if (scheduled && (scheduled.dag === target || id === target)) return scheduled;
  if (scheduled) {
    throw new TypeError(`Cannot ${verb} "${id}": the engine has another DAG of that id`);
  }
  const known = [...dags.keys()].map((id) => `"${id}"`).join(", ");
  const meant = nearestName(id, [...dags.keys()]);
  throw new TypeError(
    `Cannot ${verb} "${id}": there is no such DAG; ${meant ? `did you mean "${meant}"? ` : ""}${
      known ? `there are ${known}` : "there are none"
    }`,
  );
}
