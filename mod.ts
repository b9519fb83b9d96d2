/**
 * Sluice: streams into Postgres, and DAGs of them.
 *
 * A **Dag** is tasks, their order and a schedule. A **Task** is the unit of retry, and the handle by which others read
 * its output; where that is a byte stream, the reader runs while the writer writes. An **Operator** turns options into
 * work; each option is an **Input**: a value, a function of the run, or a handle. The **Context** is what one attempt
 * sees. **pipe** and **tee** join operators. For hosts: the **Engine** runs DAGs, the **Store** keeps what happened.
 *
 * ```ts
 * import { copy, csv, dag, decompress, engine, http, pipe } from "sluice";
 *
 * const trips = dag("trips");
 * const file = trips.task("download", http({ url: "https://example.com/trips.csv.gz" }));
 * trips.task("load", pipe(file, decompress(), csv(), copy({ table: "trips" })));
 *
 * await using etl = await engine({
 *   dags: [trips],
 *   connections: { database: () => Promise.resolve({ url: "postgres://localhost/trips" }) },
 * });
 * const run = await etl.trigger(trips);
 * console.log((await run.done).state);
 * ```
 *
 * @module
 */
export * from "./engine/mod.ts";
export * from "./operators/mod.ts";
export * from "./adapters/mod.ts";
export * from "./server/mod.ts";
