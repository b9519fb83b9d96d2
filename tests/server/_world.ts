import assert from "node:assert/strict";
import { z } from "zod";
import {
  chain,
  dag,
  dataset,
  type Engine,
  engine,
  file,
  fn,
  logFiles,
  operator,
  param,
} from "../../engine/mod.ts";
import { type Load, openReceipts, openTokens, type Rejects } from "../../server/mod.ts";
import { server } from "./_checked.ts";
import { Api } from "./_api.ts";

export const trips = dataset("postgres://warehouse/trips");

export const taxi = dag("taxi", {
  schedule: "@daily",
  start: "2021-01-01",
  end: "2021-01-05",
  catchup: false,
  description: "Yellow cabs",
  tags: ["cabs"],
  paused: true,
  params: {
    base: "https://example.com",
    color: param({ enum: ["yellow", "green"], default: "yellow" }),
    limit: z.number().int().optional(),
    db_password: "hunter22",
  },
});
const months = taxi.task("months", ({ log, params }) => {
  log.info("listing", { base: params.base });
  log.warn("few");
  return [1, 2, 3];
});
const sums = taxi.each("sum", months, (item) => fn({ item }, ({ item }) => Number(item) * 2));
const fragile = taxi.task(
  "fragile",
  ({ params, attempt }) => {
    if (params.base === "fail") throw new Error(`it broke in attempt ${attempt}`);
    return "fine";
  },
  { after: sums, retries: 1, retryDelay: { seconds: 0 } },
);
const put = operator(
  "put",
  (_: { url: string; table: string; headers: unknown; sums: unknown }) => null,
);
const last = taxi.task(
  "last",
  put({
    url: (run) => `${run.params.base}/${run.params.db_password}/trips.csv`,
    table: (run) => run.strftime("trips_%Y_%m"),
    headers: { authorization: "Bearer of bad news" },
    sums,
  }),
  { writes: [trips] },
);
chain(fragile, last);

const report = dag("report", {
  schedule: trips,
  webhook: { secret: "the secret of a report", map: (body) => body ? {} : undefined },
});
report.task("draw", () => "drawn");

/** Three loads, the latest first. */
const loads: readonly Load[] = ["3", "2", "1"].map((id) => ({
  id,
  target: id === "2" ? '"public"."other"' : '"public"."trips"',
  ...{ key: `taxi/last/${id}`, mode: "replace", dag: "taxi", run: `run${id}`, task: "last" },
  ...{
    attempt: 1,
    rows: 10,
    rejected: 1,
    bytes: 100,
    source: "https://me:secret@example.com/a.csv",
  },
  ...{ validator: '"v1"', sha256: null, unverified: id === "2" },
  ...{ columns: [{ name: "<b>", type: "integer" }] },
  ...{ began: "2021-01-02T00:00:00Z", committed: "2021-01-02T00:00:01Z" },
}));

/** Two rows that table trips refused. */
const rejects: Rejects = {
  tables: () =>
    Promise.resolve([{
      ...{ schema: "public", table: "trips", rejects: "trips_rejects", waiting: 2, replayed: 0 },
      ...{ rules: { type: 2 }, loads: 1, last: "2021-01-02T00:00:00Z" },
    }]),
  rows: ({ table, after = "0", limit }) => {
    if (table !== "trips") return Promise.reject(new TypeError(`Cannot find table "${table}"`));
    const all = ["1", "2"].map((id) => ({
      ...{ id, load: "taxi/last/1", run: "taxi/run1/last/1", source: null, record: 7, line: 8 },
      ...{ from: 100, to: 110, column: "fare", rule: "type", message: "no integer", raw: "x,y" },
      ...{ bytes: null, row: { fare: "y" }, refused: "2021-01-02T00:00:00Z", replayed: null },
    }));
    return Promise.resolve(all.filter(({ id }) => id > after).slice(0, limit));
  },
  replay: ({ table, ids = [], rows = [] }) =>
    Promise.resolve({ table, replayed: ids.length + rows.length, rejected: 0, skipped: 0 }),
};

/** Lets `slow` go on. */
export let open = Promise.withResolvers<void>();
const slow = dag("slow", { maxActiveRuns: 1 });
slow.task("hold", ({ signal }) =>
  Promise.race([
    open.promise,
    new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  ]));

/** An engine on a home folder, as `serve` has it, and its API. */
export class World implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack;
  readonly api: Api;
  readonly engine: Engine;

  readonly app: ReturnType<typeof server>;

  private constructor(
    resources: AsyncDisposableStack,
    engine: Engine,
    app: ReturnType<typeof server>,
  ) {
    this.#resources = resources;
    this.engine = engine;
    this.app = app;
    this.api = new Api(app);
  }

  static async open(): Promise<World> {
    open = Promise.withResolvers();
    await using opening = new AsyncDisposableStack();
    const home = await Deno.makeTempDir({ prefix: "sluice-api-" });
    opening.defer(() => Deno.remove(home, { recursive: true }));
    const store = opening.use(await file(home));
    const logs = logFiles(home);
    const etl = opening.use(await engine({ dags: [taxi, report, slow], home, store, logs }));
    const app = server(etl, {
      store,
      logs,
      home,
      receipts: opening.use(openReceipts(home)),
      tokens: await openTokens(home),
      version: "1.2.3",
      source: (dag) => ({
        file: `/dags/${dag}.ts`,
        hash: "abc",
        ...dag === "taxi" ? { read: () => Promise.resolve("const url = 'pg://me:pw12@db';") } : {},
      }),
      loads: ({ limit, before = "4", target }) =>
        Promise.resolve(
          loads.filter((load) => load.id < before && (target ?? load.target) === load.target)
            .slice(0, limit),
        ),
      rejects,
      faults: () => ["Cannot load broken.ts"],
    });
    return new World(opening.move(), etl, app);
  }

  /** Triggers a run and waits for its end. */
  async run(dag: string, body: unknown = {}): Promise<string> {
    const { json, status, text } = await this.api.post(`/api/dags/${dag}/runs`, body);
    assert.equal(status, 201, text);
    await this.engine.done(json.run_id);
    return json.run_id;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    open.resolve();
    await this.#resources.disposeAsync();
  }
}
