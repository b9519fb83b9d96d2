import type { Engine, Reading } from "../engine/mod.ts";
import { isDone } from "../engine/mod.ts";

/** The text format that Prometheus reads: https://prometheus.io/docs/instrumenting/exposition_formats */
export const PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Readonly<Record<string, string>>;

/** Counts what happens in an engine, from when it is first asked on. */
export class Metrics {
  readonly #engine: Engine;
  readonly #counters = new Map<string, Map<string, number>>();
  /** The DAG of each run that is under way. */
  readonly #dags = new Map<string, string>();
  #watching = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** What there is to tell now. */
  async text(pools: readonly { name: string; slots: number; used: number }[]): Promise<string> {
    this.#watch();
    const engine = this.#engine;
    const open = [
      ...await engine.runs({ state: "queued" }),
      ...await engine.runs({ state: "running" }),
    ];
    const families: [name: string, type: string, help: string, values: [Labels, number][]][] = [];
    const add = (name: string, type: string, help: string, values: [Labels, number][]): void => {
      families.push([name, type, help, values]);
    };
    add("sluice_dags", "gauge", "DAGs that are here.", [[{}, engine.dags.size]]);
    const states = ["queued", "running"] as const;
    const runs = [...engine.dags.keys()].flatMap((dag) =>
      states.map((state): [Labels, number] => {
        const fits = open.filter((run) => run.dag === dag && run.state === state);
        return [{ dag, state }, fits.length];
      })
    );
    add("sluice_runs", "gauge", "Runs that are not over.", runs);
    const sum = (field: "rows" | "bytes" | "rejected"): [Labels, number][] =>
      open.filter(({ state }) => state === "running").map((run) => {
        const readings = Object.values(engine.readings(run.id)).flat() as Reading[];
        return [
          { dag: run.dag, run: run.id },
          readings.reduce((sum, reading) => sum + (reading[field] ?? 0), 0),
        ];
      });
    add(
      "sluice_stage_rows",
      "gauge",
      "Rows that stages of running runs have put out.",
      sum("rows"),
    );
    add("sluice_stage_bytes", "gauge", "Bytes that they have put out.", sum("bytes"));
    add("sluice_stage_rejected", "gauge", "Records that they have refused.", sum("rejected"));
    const slots = (field: "slots" | "used"): [Labels, number][] =>
      pools.map((pool) => [{ pool: pool.name }, pool[field]]);
    add("sluice_pool_slots", "gauge", "Slots of pools.", slots("slots"));
    add("sluice_pool_slots_used", "gauge", "Slots that are taken.", slots("used"));
    const counted = (name: string): [Labels, number][] =>
      [...this.#counters.get(name) ?? []].map(([labels, n]) => [JSON.parse(labels), n]);
    for (const [name, help] of COUNTERS) add(name, "counter", help, counted(name));
    return families.flatMap(([name, type, help, values]) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...values.map(([labels, value]) => `${name}${show(labels)} ${value}`),
    ]).join("\n") + "\n";
  }

  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    (async () => {
      for await (const event of this.#engine.watch(new AbortController().signal)) {
        const dag = this.#dags.get(event.run) ?? (await this.#engine.get(event.run))?.dag;
        if (dag === undefined) continue;
        this.#dags.set(event.run, dag);
        if (event.type === "run_changed" && /^(success|failed)$/.test(event.to)) {
          this.#dags.delete(event.run);
          this.#count("sluice_runs_ended_total", { dag, state: event.to });
        } else if (event.type === "task_changed") {
          const { state } = event.to;
          if (isDone(state)) this.#count("sluice_tasks_ended_total", { dag, state });
        }
      }
    })().catch(() => this.#watching = false);
  }

  #count(name: string, labels: Labels): void {
    const counts = this.#counters.get(name) ?? new Map<string, number>();
    this.#counters.set(name, counts);
    const key = JSON.stringify(labels);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
}

const COUNTERS: readonly [name: string, help: string][] = [
  ["sluice_runs_ended_total", "Runs that ended."],
  ["sluice_tasks_ended_total", "Tasks and instances that ended."],
];

function show(labels: Labels): string {
  const text = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
    return `${name}="${escaped}"`;
  });
  return text.length > 0 ? `{${text.join(",")}}` : "";
}
