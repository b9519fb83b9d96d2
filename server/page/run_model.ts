import { type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { get } from "./api.ts";
import type { Happening, Run, Task } from "./documents.ts";
import { onEpoch, onEvent, readBehind } from "./live.ts";
import { afterEvent } from "./runs.ts";

/** A run and its tasks, kept by events. */
export interface RunModel {
  /** Undefined until it came. */
  readonly run: ReadonlySignal<Run | undefined>;
  /** By id; of mapped ones, all instances as one. */
  readonly tasks: ReadonlySignal<ReadonlyMap<string, Task>>;
  /** The instances of mapped tasks, by the id of those. */
  readonly instances: ReadonlySignal<ReadonlyMap<string, readonly Task[]>>;
  /** Why it did not come. */
  readonly error: ReadonlySignal<Error | undefined>;
}

/** Reads a run, and keeps it as long as a component is there; undefined: none. */
export function useRun(id: string | undefined): RunModel {
  const model = useMemo(() => make(id), [id]);
  useEffect(() => {
    if (id === undefined) return;
    const end = new AbortController();
    const unsubscribe = [
      onEvent((event) => model.apply(event)),
      onEpoch(() => void model.load(end.signal)),
    ];
    return () => {
      end.abort();
      for (const stop of unsubscribe) stop();
    };
  }, [model]);
  return model;
}

interface Kept extends RunModel {
  readonly load: (end: AbortSignal) => Promise<void>;
  readonly apply: (event: Happening) => void;
}

function make(id: string | undefined): Kept {
  const run = signal<Run | undefined>(undefined);
  const tasks = signal<ReadonlyMap<string, Task>>(new Map());
  const instances = signal<ReadonlyMap<string, readonly Task[]>>(new Map());
  const error = signal<Error | undefined>(undefined);

  function take([whole, list]: readonly [Run, { readonly tasks: readonly Task[] }]): void {
    tasks.value = new Map(
      list.tasks.filter(({ index }) => index === undefined).map((task) => [task.id, task]),
    );
    instances.value = Map.groupBy(
      list.tasks.filter(({ index }) => index !== undefined),
      (task) => task.id,
    );
    run.value = whole;
    error.value = undefined;
  }

  function apply(event: Happening): void {
    if (event.run_id !== id || !run.peek()) return;
    const [next] = afterEvent([run.peek()!], event, { limit: 1, make: () => run.peek()! });
    run.value = next;
    const { task } = event;
    if (!task) return;
    if (task.index === undefined) {
      tasks.value = new Map(tasks.peek()).set(task.id, { ...tasks.peek().get(task.id), ...task });
    } else {
      const before = instances.peek().get(task.id) ?? [];
      const after = [...before];
      after[task.index] = task;
      instances.value = new Map(instances.peek()).set(task.id, after);
    }
  }

  return {
    run,
    tasks,
    instances,
    error,
    apply,
    async load(end) {
      const read = () =>
        Promise.all([
          get<Run>(`/api/runs/${id}`, { full: 1 }, end),
          get<{ tasks: Task[] }>(`/api/runs/${id}/tasks`, {}, end),
        ]);
      try {
        await readBehind(read, take, apply);
      } catch (reason) {
        if (!end.aborted) error.value = reason as Error;
      }
    },
  };
}
