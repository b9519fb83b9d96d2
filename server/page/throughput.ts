import { signal } from "@preact/signals";
import type { Meters } from "./documents.ts";
import { meters } from "./live.ts";

/** Bytes that come in each second, of all attempts under way: in all, and by DAG. */
export interface Throughput {
  readonly all: number;
  readonly dags: ReadonlyMap<string, number>;
}

/** What flows at this moment. */
export const throughput = signal<Throughput>({ all: 0, dags: new Map() });

/** What flows in a run: what comes in, and what tasks read of each other, which is the same once more. */
interface Flow {
  readonly dag: string;
  fresh: number;
  read: number;
}

/** How far each attempt had come, when. */
let seen = new Map<
  string,
  { readonly bytes: number; readonly at: number; readonly rate: number }
>();

meters.subscribe((attempts) => {
  const at = performance.now();
  const next: typeof seen = new Map();
  const runs = new Map<string, Flow>();
  for (const [key, attempt] of attempts) {
    const bytes = movedBy(attempt);
    const last = seen.get(key);
    const fresh = last && at > last.at
      ? 1000 * Math.max(0, bytes - last.bytes) / (at - last.at)
      : 0;
    // Smoothed, so that figures can be read.
    const rate = last && last.rate > 0 ? 0.5 * last.rate + 0.5 * fresh : fresh;
    next.set(key, { bytes, at, rate });
    const flow = runs.get(attempt.run_id) ?? { dag: attempt.dag, fresh: 0, read: 0 };
    flow[attempt.readings[0]?.stage === "read" ? "read" : "fresh"] += rate;
    runs.set(attempt.run_id, flow);
  }
  const dags = new Map<string, number>();
  for (const { dag, fresh, read } of runs.values()) {
    dags.set(dag, (dags.get(dag) ?? 0) + (fresh || read));
  }
  seen = next;
  throughput.value = { all: [...dags.values()].reduce((sum, rate) => sum + rate, 0), dags };
});

/** Bytes each second of one attempt; 0 when none is under way. */
export function rateOf(key: string): number {
  return seen.get(key)?.rate ?? 0;
}

/** Bytes that came into an attempt. */
export function movedBy({ readings }: Pick<Meters["attempts"][number], "readings">): number {
  return readings.find(({ bytes }) => bytes > 0)?.bytes ?? 0;
}
