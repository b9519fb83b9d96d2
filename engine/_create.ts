import type { AnyDag } from "./dag.ts";
import type { Json } from "./json.ts";
import { type Cause, type Event, reduce, type Run, type RunKind } from "./state.ts";
import type { Store } from "./store.ts";
import type { Interval } from "./work.ts";

/** A DAG, and which version of its definition this is. */
export interface Definition {
  /** The DAG. */
  readonly dag: AnyDag;
  /** Tells versions of it apart, e.g. a hash of its file. */
  readonly hash?: string | undefined;
}

/** What a run is to be. */
export interface NewRun extends Definition {
  readonly kind: RunKind;
  readonly interval: Interval;
  readonly params: Readonly<Record<string, Json>>;
  /** When it was due. */
  readonly runAfter: Temporal.Instant;
  readonly backfill?: Run["backfill"];
  readonly causes?: readonly Cause[];
  readonly now: Temporal.Instant;
}

/** Puts a run on record; its id says its kind and its logical date. */
export async function createRun(store: Store, what: NewRun): Promise<Run> {
  const { dag, hash, kind, interval, params, runAfter, backfill, causes, now } = what;
  const start = interval.start.toInstant();
  const name = runName(kind, start);
  for (let n = 1;; n++) {
    const id = n === 1 ? name : `${name}.${n}`;
    const created: Event = {
      type: "run_created",
      run: id,
      at: now.toString(),
      dag: dag.id,
      kind,
      interval: { start: interval.start.toString(), end: interval.end.toString() },
      logicalDate: start.toString(),
      runAfter: runAfter.toString(),
      params,
      ...hash === undefined ? {} : { hash },
      ...backfill === undefined ? {} : { backfill },
      ...causes === undefined ? {} : { causes },
      tasks: [...dag.tasks.keys()],
    };
    if (await store.append(id, 0, [created])) return reduce(undefined, created);
  }
}

/** What a run is called by its kind and its logical date, when it is the first one of them. */
export function runName(kind: RunKind, date: Temporal.Instant): string {
  return `${kind}__${date.toString({ smallestUnit: "second" }).replaceAll(/[-:]/g, "")}`;
}
