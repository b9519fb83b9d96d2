import type { Executor, Run, Store } from "../../engine/mod.ts";

/** Bugs that a simulation must find. */
export const BUGS = [
  "lost retry",
  "doubled run",
  "leaked slot",
  "early commit",
  "skipped interval",
] as const;

/** One of them. */
export type Bug = typeof BUGS[number];

/** An executor with a bug, between the engine and what really happens. */
export function withExecutorBug(executor: Executor, bug: Bug | undefined): Executor {
  let leaked = 0;
  return {
    get slots() {
      return executor.slots - (bug === "leaked slot" ? leaked : 0);
    },
    async execute(attempt, around) {
      const outcome = await executor.execute(attempt, around);
      if (outcome.state === "failed") {
        leaked++;
        if (bug === "lost retry") return { ...outcome, final: true };
      }
      if (bug === "early commit" && outcome.state === "success" && outcome.stream) {
        const { run, task, index } = attempt;
        const name = index === undefined ? task.id : `${task.id}[${index}]`;
        around.spool.commit({ run: run.id, task: name });
      }
      return outcome;
    },
    [Symbol.asyncDispose]: () => executor[Symbol.asyncDispose](),
  };
}

/** A store with a bug, between the engine and what is really kept. */
export function withStoreBug(store: Store, bug: Bug | undefined): Store {
  let made = 0;
  return {
    ...store,
    async append(id, version, events) {
      const done = await store.append(id, version, events);
      const [first] = events;
      if (
        done && bug === "doubled run" && first?.type === "run_created" &&
        first.kind === "scheduled" && ++made % 3 === 0
      ) await store.append(`${id}.2`, 0, [{ ...first, run: `${id}.2` }]);
      return done;
    },
    async setDag(record) {
      const { cursor } = record;
      const before = (await store.dag(record.id))?.cursor;
      if (bug !== "skipped interval" || cursor === undefined || before === undefined) {
        return await store.setDag(record);
      }
      const [run] = await store.list({ dag: record.id, kind: "scheduled", limit: 1 });
      const moved = cursor !== before && run && ++made % 2 === 0 ? skip(cursor, run) : cursor;
      return await store.setDag({ ...record, cursor: moved });
    },
  };
}

/** One interval later. */
function skip(cursor: string, { interval: { start, end } }: Run): string {
  const length = Temporal.ZonedDateTime.from(start).until(Temporal.ZonedDateTime.from(end));
  return Temporal.Instant.from(cursor).add(length).toString();
}
