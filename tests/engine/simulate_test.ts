import assert from "node:assert/strict";
import { dag } from "../../engine/dag.ts";
import { simulate, type SimulateOptions } from "../../engine/simulate.ts";
import golden from "../golden/schedules.json" with { type: "json" };

for (const the of golden.schedules.filter(({ lastEnd }) => lastEnd === null)) {
  Deno.test(`a simulation makes what the golden schedule ${the.name} says, mode ${the.mode}`, () => {
    const { cron: schedule, tz: timezone, start, end, now, catchup } = the;
    const mode = the.mode as "interval" | "trigger";
    const bounds = end === null ? { start } : { start, end };
    const { runs } = simulate(dag("d", { schedule, timezone, mode, catchup, ...bounds }), {
      from: start,
      to: end ?? now,
      now,
    });
    const seen = runs.map(({ interval: { start, end }, run_after }) => {
      assert.equal(run_after, end);
      return mode === "trigger" ? [end, end] : [start, end];
    });
    assert.deepEqual(seen, the.runs);
  });
}

const daily = { schedule: "@daily", start: "2024-01-03" };
const january = { from: "2024-01-01", to: "2024-01-08" };

const cases: Readonly<
  Record<string, [Parameters<typeof dag>[1], Partial<SimulateOptions>, days: readonly number[]]>
> = {
  "all of a range, when the clock goes over it": [daily, {}, [3, 4, 5, 6, 7, 8]],
  "no more than the schedule's own bounds hold": [
    { ...daily, end: "2024-01-05" },
    {},
    [3, 4, 5],
  ],
  "what is made up for when a pause ends, all of it": [
    daily,
    { pausedUntil: "2024-01-06T12:00", catchup: "all" },
    [3, 4, 5, 6, 7, 8],
  ],
  "what is made up for when a pause ends, the latest": [
    daily,
    { pausedUntil: "2024-01-06T12:00", catchup: "latest" },
    [5, 6, 7, 8],
  ],
  "what is made up for when a pause ends, nothing": [
    daily,
    { pausedUntil: "2024-01-06T12:00", catchup: "none" },
    [6, 7, 8],
  ],
  "what came to be due between a pause and now": [
    daily,
    { pausedUntil: "2024-01-06T12:00", now: "2024-01-08" },
    [5, 6, 7],
  ],
  "nothing during a pause": [daily, { pausedUntil: "2024-01-06", now: "2024-01-05" }, []],
  "what is due now, all of it": [daily, { now: "2024-01-06", catchup: true }, [3, 4, 5]],
  "what is due now, the latest": [daily, { now: "2024-01-06" }, [5]],
  "what is due now, nothing": [daily, { now: "2024-01-06", catchup: "none" }, []],
  "the newest only when it lies within the range": [daily, { now: "2024-02-06" }, []],
  "all since the range's start, when the schedule has none": [
    { schedule: "@daily", catchup: "all" },
    { now: "2024-01-04" },
    [1, 2, 3],
  ],
  "the first moment of a range in mode trigger": [
    { schedule: "@daily", mode: "trigger", catchup: "none" },
    { to: "2024-01-02" },
    [31, 1],
  ],
  "the one run of @once": [{ ...daily, schedule: "@once" }, {}, [3]],
  "what a function says, counted from its start": [
    { ...daily, schedule: (after) => ({ start: after, end: after.add({ days: 2 }) }) },
    { from: "2024-01-04" },
    [5, 7],
  ],
  "the first run of @continuous": [
    { ...daily, schedule: "@continuous" },
    { now: "2024-01-06" },
    [3],
  ],
  "no run of @continuous that nobody can foresee": [{ ...daily, schedule: "@continuous" }, {}, []],
  "nothing without a schedule": [{}, {}, []],
};

for (const [name, [options, range, days]] of Object.entries(cases)) {
  Deno.test(`a simulation makes ${name}`, () => {
    const { runs, notes } = simulate(dag("d", options), { ...january, ...range });
    assert.deepEqual(runs.map(({ logical_date }) => Number(logical_date.slice(8, 10))), days);
    for (const note of notes) assert.match(note, /^[A-Z].* (no schedule|paused|@continuous)/);
  });
}

Deno.test("a simulation flags the days on which the clocks are changed", () => {
  const zone = "America/New_York";
  const flags = (schedule: string, from: string, to: string) => {
    const { runs, notes } = simulate(dag("d", { schedule, timezone: zone }), { from, to });
    return [runs.map(({ dst }) => dst ?? ""), notes] as const;
  };
  const forward = `On 2024-03-10 the clocks of ${zone} go forward from 02:00 to 03:00`;
  const back = `On 2024-11-03 the clocks of ${zone} go back from 02:00 to 01:00`;
  assert.deepEqual(flags("@daily", "2024-03-09", "2024-03-11"), [["", "gap", ""], [forward]]);
  assert.deepEqual(flags("30 2 * * *", "2024-03-09", "2024-03-10"), [["", "gap"], [forward]]);
  assert.deepEqual(flags("@daily", "2024-11-02", "2024-11-04"), [["", "overlap", ""], [back]]);
  assert.deepEqual(flags("@daily", "2024-03-11", "2024-11-02"), [Array(237).fill(""), []]);
  const [hours] = flags("@hourly", "2024-03-09", "2024-11-03");
  assert.equal(hours.filter((flag) => flag === "gap").length, 23);
  assert.equal(hours.filter((flag) => flag === "overlap").length, 25);
});

Deno.test("a simulation of a year of @hourly takes a moment", () => {
  for (const timezone of ["UTC", "America/New_York"]) {
    const hourly = dag("d", { schedule: "@hourly", timezone, start: "2010-01-01" });
    const began = performance.now();
    const { runs } = simulate(hourly, { from: "2023-01-01", to: "2023-12-31" });
    assert.equal(runs.length, 8760);
    // Ten times what it may take where nothing else runs.
    assert.ok(performance.now() - began < 10_000);
    const caughtUp = simulate(hourly, {
      from: "2023-01-01",
      to: "2023-12-31",
      now: "2024-06-01",
      catchup: "all",
    });
    assert.deepEqual(caughtUp.runs, runs);
    assert.match(caughtUp.notes[0]!, /^8,760 runs are due at once/);
  }
});

Deno.test("a simulation says what is wrong with its range", () => {
  const simulated = (range: Partial<SimulateOptions>) => () =>
    simulate(dag("d", daily), { ...january, ...range });
  assert.throws(simulated({ to: "2023-01-01" }), /^RangeError: .*2023-01-01: it ends before it/);
  assert.throws(
    simulated({ from: "soon" }),
    /^TypeError: Cannot read the begin of the range "soon"/,
  );
  assert.throws(simulated({ now: "soon" }), /^TypeError: Cannot read the now "soon"/);
});
