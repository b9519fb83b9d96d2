import assert from "node:assert/strict";
import { type BackfillRange, planBackfill } from "../../engine/backfill.ts";
import { dag, type DagOptions } from "../../engine/dag.ts";
import { parseSchedule } from "../../engine/schedule.ts";
import { reduceAll, type Run, type RunKind, type RunState } from "../../engine/state.ts";

const NOW = "2024-01-20T12:00:00Z";

/** A run for a day of January; `created` tells which of several came last. */
function run(day: number, state: RunState, kind: RunKind = "scheduled", created = NOW): Run {
  const start = `2024-01-${String(day).padStart(2, "0")}T00:00:00Z`;
  const id = `${kind}_${day}_${state}`;
  return reduceAll(undefined, [
    {
      type: "run_created",
      run: id,
      at: created,
      dag: "d",
      kind,
      interval: { start, end: start },
      logicalDate: start,
      runAfter: start,
      params: {},
      tasks: [],
    },
    { type: "run_changed", run: id, at: created, to: state },
  ])!;
}

const week = { from: "2024-01-01", to: "2024-01-05" };
const some = [run(1, "success"), run(2, "failed"), run(3, "running"), run(4, "queued", "manual")];

interface Case {
  readonly range?: Partial<BackfillRange>;
  readonly options?: DagOptions<unknown>;
  readonly runs?: readonly Run[];
  readonly create: readonly number[];
  readonly clear?: readonly string[];
  readonly skip?: readonly string[];
}

const cases: Readonly<Record<string, Case>> = {
  "makes all runs of a range, both ends inclusive": { create: [1, 2, 3, 4, 5] },
  "makes the latest first": { range: { reverse: true }, create: [5, 4, 3, 2, 1] },
  "leaves runs that exist": {
    runs: some,
    create: [5],
    skip: ["1 it exists, success", "2 it exists, failed", "3 it is running", "4 it is queued"],
  },
  "makes only what is missing": {
    range: { reprocess: "missing" },
    runs: some.slice(0, 2),
    create: [3, 4, 5],
    skip: ["1 it exists, success", "2 it exists, failed"],
  },
  "runs again what failed": {
    range: { reprocess: "failed" },
    runs: some,
    create: [5],
    clear: ["scheduled_2_failed"],
    skip: ["1 it exists, success", "3 it is running", "4 it is queued"],
  },
  "runs again all that is completed, in its order": {
    range: { reprocess: "completed", reverse: true },
    runs: some,
    create: [5],
    clear: ["scheduled_2_failed", "scheduled_1_success"],
    skip: ["4 it is queued", "3 it is running"],
  },
  "takes a date as run whose runs failed until one succeeded": {
    range: { to: "2024-01-01", reprocess: "failed" },
    runs: [run(1, "success", "manual", "2024-01-02T00:00:00Z"), run(1, "failed")],
    create: [],
    skip: ["1 it exists, success"],
  },
  "runs the latest of several failed runs of a date again": {
    range: { to: "2024-01-01", reprocess: "failed" },
    runs: [run(1, "failed", "manual", "2024-01-02T00:00:00Z"), run(1, "failed")],
    create: [],
    clear: ["scheduled_1_failed"],
  },
  "leaves a date of which any run is under way": {
    range: { to: "2024-01-01", reprocess: "completed" },
    runs: [run(1, "success"), run(1, "running", "webhook", "2024-01-02T00:00:00Z")],
    create: [],
    skip: ["1 it is running"],
  },
  "makes no run before its interval is over": {
    range: { from: "2024-01-19", to: "2024-01-21" },
    create: [19],
    skip: [
      "20 its interval lasts until 2024-01-21T00:00:00Z",
      "21 its interval lasts until 2024-01-22T00:00:00Z",
    ],
  },
  "keeps within the schedule's own bounds": {
    options: { start: "2024-01-02", end: "2024-01-03" },
    create: [2, 3],
  },
  "takes a day as it is in the DAG's zone": {
    options: { timezone: "America/New_York", schedule: "0 23 * * *" },
    range: { to: "2024-01-01" },
    create: [2], // in UTC
  },
};

for (
  const [what, { options = {}, range, runs = [], create, clear = [], skip = [] }] of Object.entries(
    cases,
  )
) {
  Deno.test(`a backfill ${what}`, () => {
    const d = dag("d", { schedule: "@daily", ...options });
    const timetable = parseSchedule(d.options.schedule, d.options);
    const plan = planBackfill(d, timetable, runs, {
      ...week,
      now: Temporal.Instant.from(NOW),
      ...range,
    });
    const day = (start: Temporal.ZonedDateTime): number => start.withTimeZone("UTC").day;
    assert.deepEqual(plan.create.map(({ start }) => day(start)), create);
    assert.deepEqual(plan.clear, clear);
    const skipped = plan.skip.map(({ interval, reason }) => `${day(interval.start)} ${reason}`);
    assert.deepEqual(skipped, skip);
    for (const { run, reason } of plan.skip) assert.equal(run === undefined, /lasts/.test(reason));
  });
}

Deno.test("a backfill is refused that cannot be", () => {
  const plan = (options: DagOptions<unknown>, range: Partial<BackfillRange> = {}) => () => {
    const d = dag("d", options);
    d.task("t", () => 1, { dependsOnPast: true });
    const now = Temporal.Instant.from(NOW);
    return planBackfill(d, parseSchedule(options.schedule, options), [], {
      ...week,
      now,
      ...range,
    });
  };
  const daily = { schedule: "@daily" };
  assert.throws(plan({}), /^TypeError: Cannot backfill "d": it has no schedule/);
  assert.throws(plan({ schedule: "@continuous", start: "2024-01-01" }), /it has no schedule/);
  assert.throws(plan({ schedule: { name: "trips" } }), /it has no schedule/);
  assert.throws(plan(daily, { reverse: true }), /latest first: task "t" depends on the run before/);
  assert.throws(plan(daily, { to: "2023-01-01" }), /^RangeError: .*the range ends first/);
});
