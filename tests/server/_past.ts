import type { AnyDag, Event, Store, TaskState } from "../../engine/mod.ts";

/** A past that nobody lived through. */
export interface Past {
  /** The logical dates of the runs. */
  readonly dates: readonly Date[];
  /** How long their intervals are. */
  readonly days: number;
  readonly nameOf: (run: number) => string;
  /** What became of the nth task of a run. */
  readonly stateOf: (run: number, task: number) => TaskState;
  /** How long a run took. */
  readonly secondsOf: (run: number) => number;
}

/** Writes down runs of a DAG as if they had been. */
export async function past(
  store: Store,
  dag: AnyDag,
  { dates, days, nameOf, stateOf, secondsOf }: Past,
): Promise<void> {
  const ids = [...dag.tasks.keys()];
  for (const [n, date] of dates.entries()) {
    const start = date.toISOString();
    const due = new Date(date.getTime() + days * 86_400_000);
    const at = (part: number): string =>
      new Date(due.getTime() + 1000 * secondsOf(n) * part).toISOString();
    const states = ids.map((_, i) => stateOf(n, i));
    const end = states.some((state) => /failed/.test(state)) ? "failed" : "success";
    const run = nameOf(n);
    const interval = { start, end: due.toISOString() };
    const events: Event[] = [
      {
        ...{ type: "run_created", run, at: at(0), dag: dag.id, kind: "scheduled", interval },
        ...{ logicalDate: start, params: {}, runAfter: due.toISOString(), tasks: ids },
      },
      { type: "run_changed", run, at: at(0), to: "running" },
      ...ids.map((task, i): Event => {
        const times = { started: at(i / ids.length), ended: at((i + 1) / ids.length) };
        const ran = /^(success|failed)$/.test(states[i]!);
        const to = { state: states[i]!, attempt: ran ? 1 : 0, retries: 0, ...ran ? times : {} };
        return { type: "task_changed", run, at: times.ended, task, to };
      }),
      { type: "run_changed", run, at: at(1), to: end },
    ];
    await store.append(run, 0, events);
  }
}
