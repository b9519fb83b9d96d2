import assert from "node:assert/strict";
import fc from "fast-check";
import { activate, owed, type Policy } from "../../engine/owed.ts";
import { due, parseSchedule, type ScheduleOptions, type Timetable } from "../../engine/schedule.ts";
import type { Interval } from "../../engine/work.ts";

const at = (text: string): Temporal.Instant => Temporal.Instant.from(text);
const isAfter = (a: Temporal.Instant, b: Temporal.Instant): boolean =>
  Temporal.Instant.compare(a, b) > 0;
const day = (text: string): Temporal.Instant => at(`${text.length > 10 ? text : `${text}T00:00`}Z`);
const starts = (intervals: readonly Interval[]): string[] =>
  intervals.map(({ start }) => start.toInstant().toString().replace(/T00:00:00Z$/, ""));

interface Case {
  readonly schedule?: Policy["schedule"];
  readonly options?: ScheduleOptions;
  readonly catchup?: Policy["catchup"];
  readonly window?: Temporal.DurationLike;
  /** Where the last run ended. */
  readonly cursor?: string;
  readonly now: string;
  readonly maxActiveRuns?: number;
  readonly active?: number;
  /** How many are due. */
  readonly due: number;
  readonly create: readonly string[];
  readonly next?: string;
}

const from2024 = { start: "2024-01-01" };

const cases: Readonly<Record<string, Case>> = {
  "all missed intervals, when all are made up for": {
    catchup: "all",
    now: "2024-01-04T12:00",
    due: 3,
    create: ["2024-01-01", "2024-01-02", "2024-01-03"],
    next: "2024-01-05",
  },
  "as many as may be under way, the oldest first": {
    catchup: true,
    now: "2024-01-10",
    maxActiveRuns: 4,
    active: 1,
    due: 9,
    create: ["2024-01-01", "2024-01-02", "2024-01-03"],
  },
  "none while as many are under way as may be": {
    catchup: true,
    now: "2024-01-10",
    maxActiveRuns: 4,
    active: 6,
    due: 9,
    create: [],
  },
  "only the newest complete interval by default": {
    now: "2024-01-04T12:00",
    due: 1,
    create: ["2024-01-03"],
    next: "2024-01-05",
  },
  "nothing that is complete already, when nothing is made up for": {
    catchup: "none",
    now: "2024-01-04T12:00",
    due: 0,
    create: [],
    next: "2024-01-05",
  },
  "what was missed since the last run": {
    catchup: "all",
    cursor: "2024-01-03",
    now: "2024-01-05T12:00",
    due: 2,
    create: ["2024-01-03", "2024-01-04"],
    next: "2024-01-06",
  },
  "the newest one missed since the last run": {
    catchup: "latest",
    cursor: "2024-01-03",
    now: "2024-01-08",
    due: 1,
    create: ["2024-01-07"],
    next: "2024-01-09",
  },
  "nothing twice": {
    catchup: "latest",
    cursor: "2024-01-08",
    now: "2024-01-08T12:00",
    due: 0,
    create: [],
    next: "2024-01-09",
  },
  "nothing when the clock went back": {
    catchup: "latest",
    cursor: "2024-01-08",
    now: "2024-01-03T12:00",
    due: 0,
    create: [],
    next: "2024-01-09",
  },
  "what lies within the window": {
    catchup: "all",
    window: { days: 2 },
    now: "2024-01-08T12:00",
    due: 2,
    create: ["2024-01-06", "2024-01-07"],
    next: "2024-01-09",
  },
  "no more than there is, when the window is wider than that": {
    catchup: "all",
    window: { years: 3 },
    now: "2024-01-03T12:00",
    due: 2,
    create: ["2024-01-01", "2024-01-02"],
    next: "2024-01-04",
  },
  "not even the newest one, when that lies before the window": {
    schedule: "@monthly",
    window: { days: 2 },
    now: "2024-03-08",
    due: 0,
    create: [],
    next: "2024-04-01",
  },
  "the last of them at an inclusive end": {
    options: { ...from2024, end: "2024-01-03" },
    catchup: "all",
    cursor: "2024-01-03",
    now: "2024-03-01",
    due: 1,
    create: ["2024-01-03"],
  },
  "nothing behind the end, not even the newest": {
    options: { ...from2024, end: "2024-01-03" },
    now: "2024-03-01",
    due: 0,
    create: [],
  },
  "nothing before the start": {
    options: { start: "2034-01-01" },
    now: "2024-03-01",
    due: 0,
    create: [],
    next: "2034-01-02",
  },
  "from where the last one ended, aligned down, after a change of schedule": {
    schedule: "@weekly",
    options: { start: "2023-12-01" },
    catchup: "all",
    cursor: "2024-01-03",
    now: "2024-01-15",
    due: 2,
    create: ["2023-12-31", "2024-01-07"],
    next: "2024-01-21",
  },
  "the moments up to now in mode trigger": {
    options: { ...from2024, mode: "trigger" },
    catchup: "all",
    now: "2024-01-03",
    due: 3,
    create: ["2023-12-31", "2024-01-01", "2024-01-02"],
    next: "2024-01-04",
  },
  "the next moment in mode trigger, when nothing is made up for": {
    options: { ...from2024, mode: "trigger" },
    catchup: "none",
    now: "2024-01-03T01:00",
    due: 0,
    create: [],
    next: "2024-01-04",
  },
  "the one run of @once": {
    schedule: "@once",
    now: "2024-01-03",
    due: 1,
    create: ["2024-01-01"],
  },
  "the one run of @once when its time comes": {
    schedule: "@once",
    catchup: "none",
    now: "2023-12-03",
    due: 0,
    create: [],
    next: "2024-01-01",
  },
  "no run of @once that was missed, when nothing is made up for": {
    schedule: "@once",
    catchup: "none",
    now: "2024-01-03",
    due: 0,
    create: [],
  },
  "no second run of @once": {
    schedule: "@once",
    cursor: "2024-01-01",
    now: "2024-01-03",
    due: 0,
    create: [],
  },
  "the time since the last run with @continuous": {
    schedule: "@continuous",
    cursor: "2024-01-02",
    now: "2024-01-03",
    due: 1,
    create: ["2024-01-02"],
  },
  "one run at a time with @continuous": {
    schedule: "@continuous",
    cursor: "2024-01-02",
    now: "2024-01-03",
    active: 1,
    due: 1,
    create: [],
  },
  "a moment later, when no time has passed with @continuous": {
    schedule: "@continuous",
    cursor: "2024-01-02",
    now: "2024-01-02",
    due: 0,
    create: [],
    next: "2024-01-02T00:00:00.001",
  },
  "nothing before the start of @continuous": {
    schedule: "@continuous",
    now: "2023-12-01",
    due: 0,
    create: [],
    next: "2024-01-01T00:00:00.001",
  },
  "nothing behind the end of @continuous": {
    schedule: "@continuous",
    options: { ...from2024, end: "2024-01-05" },
    cursor: "2024-01-06",
    now: "2024-01-09",
    due: 0,
    create: [],
  },
  "what a function says": {
    schedule: (after) => ({ start: after, end: after.add({ hours: 36 }) }),
    catchup: "all",
    now: "2024-01-04",
    due: 2,
    create: ["2024-01-01", "2024-01-02T12:00:00Z"],
    next: "2024-01-05T12:00",
  },
  "the newest of what a function says": {
    schedule: (after) => ({ start: after, end: after.add({ hours: 36 }) }),
    now: "2024-01-04",
    due: 1,
    create: ["2024-01-02T12:00:00Z"],
    next: "2024-01-05T12:00",
  },
};

/** Activates a DAG, and asks what it owes. */
function look(timetable: Timetable, policy: Policy, the: Omit<Case, "due" | "create">) {
  const now = day(the.now);
  const cursor = the.cursor === undefined ? undefined : day(the.cursor).toString();
  const activation = activate(policy, timetable, { now, cursor });
  const { due: _, ...rest } = activation;
  const record = { paused: false, ...rest };
  return { activation, ...owed(policy, timetable, { now, record, active: the.active ?? 0 }) };
}

for (const [name, the] of Object.entries(cases)) {
  Deno.test(`a DAG owes ${name}`, () => {
    const { schedule = "@daily", catchup, window, maxActiveRuns = 16 } = the;
    const timetable = parseSchedule(schedule as string, the.options ?? from2024);
    const policy: Policy = {
      schedule,
      maxActiveRuns,
      ...catchup === undefined ? {} : { catchup },
      ...window ? { catchupWindow: window } : {},
    };
    const { activation, create, next } = look(timetable, policy, the);
    assert.deepEqual(starts(create), the.create);
    assert.equal(activation.due, the.due);
    assert.equal(next?.toString(), the.next && day(the.next).toString());
  });
}

Deno.test("a DAG without a schedule owes nothing, and passes nothing over", () => {
  const timetable = parseSchedule(undefined);
  const now = day("2024-01-01");
  assert.deepEqual(activate({ catchup: "all" }, timetable, { now }), { due: 0 });
  assert.deepEqual(owed({}, timetable, { now, record: { paused: false }, active: 0 }), {
    create: [],
  });
});

Deno.test("a DAG that is paused, or held, owes nothing", () => {
  const timetable = parseSchedule("@daily", from2024);
  const options = { now: day("2024-01-05"), active: 0 };
  for (const record of [{ paused: true }, { paused: false, held: "too many" }]) {
    assert.deepEqual(owed({}, timetable, { ...options, record }), { create: [] });
  }
});

Deno.test("all can only be made up for since a start", () => {
  const now = day("2024-01-05");
  const timetable = parseSchedule("@daily");
  assert.throws(
    () => activate({ schedule: "@daily", catchup: "all" }, timetable, { now }),
    /no start/,
  );
});

Deno.test("an interval that has a run already is not due", () => {
  const timetable = parseSchedule("@daily", from2024);
  const made = new Set(["2024-01-02T00:00:00Z", "2024-01-04T00:00:00Z", "2023-01-01T00:00:00Z"]);
  const now = day("2024-01-05");
  for (const [catchup, due] of [["all", 2], ["latest", 0], ["none", 0]] as const) {
    assert.equal(activate({ schedule: "@daily", catchup }, timetable, { now, made }).due, due);
  }
});

Deno.test("more than 1000 runs at once are held until they are confirmed, or a window is set", () => {
  const timetable = parseSchedule("@hourly", from2024);
  const policy: Policy = { schedule: "@hourly", catchup: "all" };
  const thousandth = at("2024-02-11T16:00Z");
  assert.equal(activate(policy, timetable, { now: thousandth }).held, undefined);
  const now = thousandth.add({ hours: 1 });
  const { due, held } = activate(policy, timetable, { now });
  assert.equal(due, 1001);
  assert.match(
    held!,
    /^1,001 runs are due at once: none starts until .*unpause --all.*catchupWindow/,
  );
  const confirmed = now.toString();
  assert.deepEqual(activate(policy, timetable, { now, confirmed }), { due: 1001 });
  // Once confirmed, they go on after a restart; only what came to be due since then counts.
  const after = { now: now.add({ hours: 900 }), confirmed };
  assert.deepEqual(activate(policy, timetable, after), { due: 1901 });
  assert.ok(activate(policy, timetable, { ...after, now: now.add({ hours: 1001 }) }).held);
  const window = { ...policy, catchupWindow: { hours: 1000 } };
  assert.deepEqual(activate(window, timetable, { now }), {
    cursor: "2024-01-01T01:00:00Z",
    due: 1000,
  });
  const many = activate(policy, timetable, { now: at("2034-01-01T00:00Z") });
  assert.match(many.held!, /^More than 10,000 runs/);
});

Deno.test("what is not made up for is not walked over", () => {
  const timetable = parseSchedule("* * * * *", { start: "1994-01-01", timezone: "Europe/Paris" });
  const now = at("2024-01-01T00:00Z");
  const began = performance.now();
  for (const catchup of ["latest", "none"] as const) {
    for (const cursor of [undefined, "2000-01-01T00:00:00Z"]) {
      const policy: Policy = { schedule: "* * * * *", catchup };
      const activation = activate(policy, timetable, { now, cursor });
      assert.equal(activation.due, catchup === "latest" ? 1 : 0);
    }
  }
  // Walking over 15 million ticks takes minutes.
  assert.ok(performance.now() - began < 10_000);
});

const schedules = fc.constantFrom<NonNullable<Policy["schedule"]>>(
  "@hourly",
  "@daily",
  "*/20 * * * *",
  "30 2 * * *",
  "15 */5 * * 1-5",
  "0 0 1,15 * 5",
  { hours: 7 },
  { days: 1 },
  (after) => ({ start: after.add({ hours: 1 }), end: after.add({ hours: 5 }) }),
);
const zones = fc.constantFrom("UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo");

/** What happens to an engine, and how many minutes later than what happened before. */
const life = fc.array(
  fc.record({
    wait: fc.oneof(fc.integer({ min: 0, max: 90 }), fc.integer({ min: 0, max: 3000 })),
    what: fc.constantFrom("look", "look", "look", "end", "end", "pause", "unpause", "restart"),
  }),
  { minLength: 5, maxLength: 40 },
);

/** The schedule's intervals between two others. */
function passedOver(
  { next, start: origin }: Timetable,
  from: Interval["end"] | undefined,
  to: Interval["start"],
): Interval[] {
  const passed: Interval[] = [];
  let interval = next(from ?? origin!);
  while (interval && isAfter(to.toInstant(), interval.start.toInstant())) {
    passed.push(interval);
    interval = next(interval.end);
  }
  return passed;
}

for (const catchup of ["all", "latest", "none"] as const) {
  Deno.test(`each interval is run once through pauses and restarts, catchup ${catchup}`, () => {
    fc.assert(
      fc.property(
        schedules,
        zones,
        fc.constantFrom("interval" as const, "trigger" as const),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 400 }),
        life,
        (schedule, timezone, mode, maxActiveRuns, from, events) => {
          const start = Temporal.Instant.from("2024-01-01T00:00Z").add({ hours: 24 * from });
          const options = { timezone, mode, start: start.toString() };
          const timetable = parseSchedule(schedule as string, options);
          const policy: Policy = { schedule, catchup, maxActiveRuns };
          const made: Interval[] = [];
          let now = start;
          let active = 0;
          let paused = false;
          let cursor: string | undefined;
          /** Since when nothing may be left out: the last activation. */
          let since = start;
          const wake = (): void => {
            const activation = activate(policy, timetable, { now, cursor });
            // The same again changes nothing.
            const { cursor: again } = activation;
            assert.deepEqual(activate(policy, timetable, { now, cursor: again }), activation);
            if (activation.cursor !== cursor) since = now;
            ({ cursor } = activation);
          };
          const look = (): void => {
            const record = { paused, ...cursor === undefined ? {} : { cursor } };
            const { create, next } = owed(policy, timetable, { now, record, active });
            if (paused) return assert.deepEqual(create, []);
            if (next) assert.ok(isAfter(next, now));
            active += create.length;
            assert.ok(create.length === 0 || active <= maxActiveRuns);
            for (const interval of create) {
              const before = made.at(-1);
              if (before) assert.ok(!isAfter(before.end.toInstant(), interval.start.toInstant()));
              const passed = passedOver(timetable, before?.end, interval.start);
              // What came to be due since the last activation waits for its turn, and is never left out.
              assert.ok(passed.every(({ end }) => !isAfter(end.toInstant(), since)));
              if (catchup === "all") assert.deepEqual(passed, []);
              made.push(interval);
              cursor = interval.end.toInstant().toString();
            }
          };
          wake();
          for (const { wait, what } of events) {
            now = now.add({ minutes: wait });
            if (what === "end") active = Math.max(0, active - 1);
            if (what === "pause") paused = true;
            if (what === "unpause" && paused || what === "restart") {
              paused = paused && what === "restart";
              wake();
            }
            look();
          }
          if (catchup !== "all") return;
          // When all have ended, nothing was left out.
          paused = false;
          for (let count = -1; count < made.length;) {
            count = made.length;
            active = 0;
            look();
          }
          const present = now.toZonedDateTimeISO(timezone);
          assert.deepEqual(starts(made), starts([...due(timetable, { now: present, catchup })]));
        },
      ),
      { numRuns: catchup === "all" ? 60 : 100 },
    );
  });
}
