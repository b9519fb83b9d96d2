/** Something that tasks write and DAGs can be scheduled on: known by its name alone. */
export interface Dataset {
  /** Unique among all DAGs: an id, or the URI of where it is. */
  readonly name: string;
}

const NAME = /^[A-Za-z0-9][\x21-\x7e]{0,999}$/;

/**
 * Names a dataset. A DAG that is scheduled on one runs when a task that writes it has succeeded.
 *
 * ```ts
 * const trips = dataset("postgres://warehouse/trips");
 * const load = dag("load", { schedule: "@daily", start: "2021-01-01" });
 * load.task("copy", pipe(http({ url }), csv(), copy({ table: "trips" })), { writes: [trips] });
 * const report = dag("report", { schedule: trips });
 * ```
 *
 * @throws {TypeError} when the name is neither an id nor a URI
 */
export function dataset(name: string): Dataset {
  if (typeof name === "string" && NAME.test(name)) return Object.freeze({ name });
  throw new TypeError(
    `Cannot name a dataset ${JSON.stringify(name)}: write an id or a URI, with no spaces, ` +
      `1000 characters at most`,
  );
}

/** The datasets that a schedule is made of; undefined when it is another kind of schedule. */
export function datasetsOf(schedule: unknown): readonly Dataset[] | undefined {
  if (typeof schedule !== "object" || schedule === null) return undefined;
  if (Array.isArray(schedule)) return schedule;
  return "name" in schedule ? [schedule as Dataset] : undefined;
}

/** The names of the datasets that a schedule is made of, each once; none when it is another kind of schedule. */
export function datasetNames(schedule: unknown): ReadonlySet<string> {
  return new Set(datasetsOf(schedule)?.map(({ name }) => name));
}
