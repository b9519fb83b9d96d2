import assert from "node:assert/strict";
import fc from "fast-check";
import {
  between,
  due,
  next,
  on,
  parseSchedule,
  type Progress,
  type ScheduleOptions,
  type Timetable,
} from "../../engine/schedule.ts";
import type { Interval } from "../../engine/work.ts";
import golden from "../golden/schedules.json" with { type: "json" };

type Moment = Temporal.ZonedDateTime;

const utc = (instant: string): Moment => Temporal.Instant.from(instant).toZonedDateTimeISO("UTC");
const seconds = (moment: Moment): number => moment.epochMilliseconds / 1000;
const instant = (moment: Moment): string => moment.toInstant().toString();
const pair = (interval: Interval): string[] => [instant(interval.start), instant(interval.end)];
const starts = (intervals: Iterable<Interval>): string[] =>
  [...intervals].map(({ start }) => instant(start));

for (const the of golden.schedules) {
  Deno.test(`golden schedule ${the.name}, mode ${the.mode}`, () => {
    const timetable = parseSchedule(the.cron, {
      timezone: the.tz,
      start: the.start ?? undefined,
      end: the.end ?? undefined,
      mode: the.mode as "interval" | "trigger",
    });
    const progress: Progress = {
      now: utc(the.now),
      lastEnd: the.lastEnd === null ? undefined : utc(the.lastEnd),
      catchup: the.catchup,
    };
    // In mode trigger the cases give the moment a run starts, twice.
    const seen = (interval: Interval): string[] =>
      the.mode === "trigger" ? [instant(interval.end), instant(interval.end)] : pair(interval);
    assert.deepEqual([...due(timetable, progress)].map(seen), the.runs);
    const coming = next(timetable, progress);
    assert.deepEqual(coming ? seen(coming) : null, the.next);
  });
}

Deno.test("golden cron expressions tick when they should", () => {
  for (const { cron, from_, next } of golden.cron) {
    const timetable = parseSchedule(cron);
    const ticks: string[] = [];
    let at = utc(from_).add({ seconds: 1 });
    while (ticks.length < next.length) {
      const interval = timetable.next(at)!;
      ticks.push(instant(interval.start));
      at = interval.end;
    }
    assert.deepEqual(ticks, next, cron);
  }
});

const refused: [schedule: Parameters<typeof parseSchedule>[0], options: ScheduleOptions, RegExp][] =
  [
    ["60 * * * *", {}, /"60 \* \* \* \*": its minute "60" is not valid/],
    ["* * * *", {}, /has 5 fields .* this one has 4/],
    ["0 0 1-5-7 * *", {}, /its day of month "1-5-7"/],
    ["0 22-2 * * *", {}, /its hour "22-2"/],
    ["0 0 * * 8", {}, /its day of week "8"/],
    ["0 0 * 13 *", {}, /its month "13"/],
    ["61 0 0 * * *", {}, /its second "61"/],
    ["0 0 0 1 1 * 2024", {}, /this one has 7/],
    ["", {}, /this one has 1/],
    ["2024-01-01T00:00:00", {}, /this one has 1/],
    ["0 0 30 2 *", {}, /no date has day of month "30" in month "2"/],
    ["0 0 31 4,6,9,11 *", {}, /no date has day of month "31" in month "4,6,9,11"/],
    ["@fortnightly", {}, /the names are @hourly, .*@once, @continuous/],
    ["@once", {}, /it counts from the DAG's start/],
    ["@continuous", {}, /it counts from the DAG's start/],
    ["@daily", { timezone: "Mars/Phobos" }, /time zone "Mars\/Phobos"/],
    ["@daily", { start: "tomorrow" }, /Cannot read the start "tomorrow"/],
    ["@daily", { end: "2021-02-30" }, /Cannot read the end "2021-02-30"/],
    [{ minutes: 0 }, {}, /at least one second/],
    [{ minutes: -5 }, {}, /at least one second/],
    [{ milliseconds: 1500 }, {}, /at least one second, and whole ones/],
    [{ minutes: 0.5 }, {}, /not a duration like/],
  ];

for (const [schedule, options, message] of refused) {
  const given = JSON.stringify([schedule, options]);
  Deno.test(`the schedule ${given} is refused, and the error says why`, () => {
    assert.throws(() => parseSchedule(schedule, options), (error: Error) => {
      assert.ok(error instanceof TypeError);
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("golden bad crons are refused", () => {
  for (const cron of golden.badCron) assert.throws(() => parseSchedule(cron), TypeError, cron);
});

Deno.test("the names of schedules mean their cron expressions", () => {
  const table: Record<string, string[]> = {
    "@hourly": ["2024-01-30T13:00:00Z", "2024-01-30T14:00:00Z"],
    "@daily": ["2024-01-31T00:00:00Z", "2024-02-01T00:00:00Z"],
    "@midnight": ["2024-01-31T00:00:00Z", "2024-02-01T00:00:00Z"],
    "@weekly": ["2024-02-04T00:00:00Z", "2024-02-11T00:00:00Z"],
    "@monthly": ["2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"],
    "@quarterly": ["2024-04-01T00:00:00Z", "2024-07-01T00:00:00Z"],
    "@yearly": ["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"],
    "@annually": ["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"],
  };
  for (const [name, interval] of Object.entries(table)) {
    assert.deepEqual(pair(parseSchedule(name).next(utc("2024-01-30T12:30:00Z"))!), interval, name);
  }
});

/** The wall-clock times of a schedule's starts within a range. */
function clock(cron: string, timezone: string, from: string, to: string): string {
  const timetable = parseSchedule(cron, { timezone });
  return [...between(timetable, from, to)].map(({ start, end }) => {
    assert.equal(instant(timetable.next(end)!.start), instant(end));
    return `${start.toPlainTime().toString().slice(0, 5)}${start.offset.slice(0, 3)}`;
  }).join(" ");
}

Deno.test("when clocks change, no tick is lost and none comes twice", () => {
  const ny = "America/New_York";
  const table: [cron: string, zone: string, day: string, ticks: string][] = [
    // The gap, 02:00 to 03:00.
    [
      "0 */2 * * *",
      ny,
      "2024-03-10",
      "00:00-05 03:00-04 04:00-04 06:00-04 08:00-04 10:00-04 12:00-04 " +
      "14:00-04 16:00-04 18:00-04 20:00-04 22:00-04",
    ],
    ["30 2 * * *", ny, "2024-03-10", "03:30-04"],
    ["0,30 2,3 * * *", ny, "2024-03-10", "03:00-04 03:30-04"],
    ["10 3 * * *", ny, "2024-03-10", "03:10-04"],
    ["15,45 2 * * *", ny, "2024-03-10", "03:15-04 03:45-04"],
    ["0 1-4 * * *", ny, "2024-03-10", "01:00-05 03:00-04 04:00-04"],
    ["30 0-3,4-23 * * 0", ny, "2024-03-10T00:00", "00:30-05 01:30-05 03:30-04"],
    // The overlap, 01:00 to 02:00.
    ["30 1 * * *", ny, "2024-11-03", "01:30-05"],
    ["0 0-3 * * *", ny, "2024-11-03", "00:00-04 01:00-05 02:00-05 03:00-05"],
    ["30 */1 * * 0", ny, "2024-11-03T00:00", "00:30-04 01:30-04 01:30-05 02:30-05 03:30-05"],
    // The overlap goes back to the month before.
    ["59 23 * 9 *", "Asia/Damascus", "1992-09-30", "23:59+02"],
    ["30 * * 1-9 *", "Asia/Damascus", "1992-09-30T22:00", "22:30+03 23:30+03 23:30+02"],
    // Half an hour, and a whole day that never was.
    ["15 2 * * *", "Australia/Lord_Howe", "2024-10-06", "02:45+11"],
    ["45 1 * * *", "Australia/Lord_Howe", "2024-04-07", "01:45+10"],
    ["0 0 * * *", "America/Sao_Paulo", "2018-11-04", "01:00-02"],
  ];
  for (const [cron, zone, day, ticks] of table) {
    // A day, or the four hours from a time on.
    const to = day.includes("T") ? String(Temporal.PlainDateTime.from(day).add({ hours: 4 })) : day;
    assert.equal(clock(cron, zone, day, to), ticks, `${cron} in ${zone} on ${day}`);
  }
  const apia = parseSchedule("0 12 * * *", { timezone: "Pacific/Apia" });
  assert.deepEqual(
    starts(between(apia, "2011-12-29", "2011-12-31")),
    ["2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z"],
  );
});

Deno.test("a date means that whole day in the DAG's zone, at both ends of a range", () => {
  const hourly = parseSchedule("@hourly", { timezone: "Asia/Kolkata" });
  const day = starts(between(hourly, "2024-01-30", "2024-01-30"));
  assert.equal(day.length, 24);
  assert.equal(day[0], "2024-01-29T18:30:00Z");
  assert.equal(day[23], "2024-01-30T17:30:00Z");
  assert.equal(starts(between(hourly, "2024-01-30T05:00", "2024-01-30T07:00")).length, 3);
  assert.equal(starts(between(hourly, "2024-01-29T23:30:00Z", "2024-01-30T05:00+05:30")).length, 1);
  assert.equal(
    starts(between(hourly, "2024-01-30T00:00+01:00[Europe/Paris]", "2024-01-30")).length,
    19,
  );
  assert.throws(() => between(hourly, "2024-01-31", "2024-01-30"), /the range ends first/);
  assert.throws(() => between(hourly, "soon", "2024-01-30"), /Cannot read the date "soon"/);
});

Deno.test("a range holds the intervals within the DAG's start and end, oldest first, each once", () => {
  const bounds = { start: "2021-01-01", end: "2021-03-28" };
  const monthly = parseSchedule("0 6 2 * *", bounds);
  const three = ["2021-01-02T06:00:00Z", "2021-02-02T06:00:00Z", "2021-03-02T06:00:00Z"];
  assert.deepEqual(starts(between(monthly, "2021-01-01", "2021-03-28")), three);
  assert.deepEqual(starts(between(monthly, "2000-01-01", "2100-01-01")), three);
  const trigger = parseSchedule("0 6 2 * *", { ...bounds, mode: "trigger" });
  assert.deepEqual(starts(between(trigger, "2000-01-01", "2100-01-01")), [
    "2020-12-02T06:00:00Z",
    "2021-01-02T06:00:00Z",
    "2021-02-02T06:00:00Z",
  ]);
});

Deno.test("a date finds the one run of that day, or the error names its neighbours", () => {
  const monthly = parseSchedule("0 6 2 * *", { start: "2021-01-01", end: "2021-03-28" });
  assert.equal(instant(on(monthly, "2021-02-02").start), "2021-02-02T06:00:00Z");
  assert.equal(instant(on(monthly, "2021-02-02T06:00").start), "2021-02-02T06:00:00Z");
  const trigger = parseSchedule("0 6 2 * *", { end: "2021-03-28", mode: "trigger" });
  const none: [Timetable, date: string, RegExp][] = [
    [monthly, "2021-02-03", /before starts at 2021-02-02T06:00.*after at 2021-03-02T06:00/],
    [monthly, "2020-05-05", /: no interval of the schedule starts then; the one after at 2021-01/],
    [monthly, "2024-05-05", /starts then; the one before starts at 2021-03-02T06:00:00\+00:00$/],
    [parseSchedule("@hourly"), "2021-02-03", /T00:00:00\+00:00, 2021-02-03T01:00.*give the time/],
    [trigger, "2024-05-05", /starts then; the one before starts at 2021-02-02T06:00:00\+00:00$/],
    [parseSchedule(undefined), "2021-02-03", /it has none at all/],
  ];
  for (const [timetable, date, message] of none) {
    assert.throws(() => on(timetable, date), (error: Error) => {
      assert.ok(error instanceof RangeError);
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("catching up takes all, the latest or none of what was missed", () => {
  const daily = parseSchedule("@daily", { start: "2024-01-01" });
  const now = utc("2024-01-04T12:00:00Z");
  const first = ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z"];
  assert.deepEqual(starts(due(daily, { now, catchup: "all" })), first);
  assert.deepEqual(starts(due(daily, { now, catchup: true })), first);
  assert.deepEqual(starts(due(daily, { now, catchup: "latest" })), first.slice(2));
  assert.deepEqual(starts(due(daily, { now, catchup: false })), first.slice(2));
  assert.deepEqual(starts(due(daily, { now })), first.slice(2));
  assert.deepEqual(starts(due(daily, { now, catchup: "none" })), []);
  const coming = ["2024-01-04T00:00:00Z", "2024-01-05T00:00:00Z"];
  assert.deepEqual(pair(next(daily, { now, catchup: "none" })!), coming);
  assert.throws(() => [...due(parseSchedule("@daily"), { now, catchup: true })], /has no start/);
  assert.deepEqual(starts(due(parseSchedule("@daily"), { now })), first.slice(2));
});

Deno.test("a thousand and more runs are made one by one, as they are asked for", () => {
  const every = parseSchedule("* * * * * *", { start: "1970-01-01" });
  const runs = due(every, { now: utc("2024-01-01T00:00:00Z"), catchup: true });
  assert.equal(instant(runs.next().value!.end), "1970-01-01T00:00:01Z");
  const [latest] = due(every, { now: utc("2024-01-01T00:00:00Z") });
  assert.equal(instant(latest!.end), "2024-01-01T00:00:00Z");
});

Deno.test("after a change of schedule the next run starts at the tick before the last end", () => {
  const weekly = parseSchedule("@weekly", { start: "2024-01-01" });
  const progress = { now: utc("2024-02-01T00:00:00Z"), lastEnd: utc("2024-01-17T00:00:00Z") };
  assert.deepEqual(starts(due(weekly, { ...progress, catchup: true })), [
    "2024-01-14T00:00:00Z",
    "2024-01-21T00:00:00Z",
  ]);
});

Deno.test("a duration is counted from the start, in wall-clock days", () => {
  const five = parseSchedule({ minutes: 5 }, { start: "2024-01-01T00:02" });
  assert.deepEqual(
    starts(due(five, { now: utc("2024-01-01T00:14:00Z"), catchup: true })),
    ["2024-01-01T00:02:00Z", "2024-01-01T00:07:00Z"],
  );
  const [newest] = due(five, { now: utc("2030-01-01T00:00:00Z") });
  assert.deepEqual(pair(newest!), ["2029-12-31T23:52:00Z", "2029-12-31T23:57:00Z"]);
  const months = parseSchedule({ months: 1 }, { start: "2024-01-31" });
  assert.deepEqual(
    starts(between(months, "2024-01-01", "2024-04-30")),
    ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"].map((day) => `${day}T00:00:00Z`),
  );
  const days = parseSchedule({ days: 1 }, { timezone: "America/New_York" });
  assert.deepEqual(
    starts(between(days, "2024-03-09", "2024-03-11")),
    ["2024-03-09T05:00:00Z", "2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z"],
  );
});

Deno.test("@once runs one time, at the start", () => {
  const once = parseSchedule("@once", { start: "2024-01-01" });
  const start = utc("2024-01-01T00:00:00Z");
  const before = utc("2023-12-31T00:00:00Z");
  const after = utc("2024-06-01T00:00:00Z");
  for (const catchup of [true, false]) {
    assert.deepEqual(starts(due(once, { now: before, catchup })), []);
    assert.deepEqual(starts(due(once, { now: start, catchup })), [instant(start)]);
    assert.deepEqual(starts(due(once, { now: after, catchup })), [instant(start)]);
    assert.deepEqual(starts(due(once, { now: after, lastEnd: start, catchup })), []);
  }
  assert.equal(instant(next(once, { now: before })!.start), instant(start));
  assert.equal(next(once, { now: after }), undefined);
  assert.equal(instant(on(once, "2024-01-01").start), instant(start));
});

Deno.test("@continuous goes on from the last end to now", () => {
  const on = parseSchedule("@continuous", { start: "2024-01-01" });
  const now = utc("2024-01-02T00:00:00Z");
  const [first, second] = due(on, { now });
  assert.deepEqual(pair(first!), ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"]);
  assert.equal(second, undefined);
  assert.deepEqual([...due(on, { now, lastEnd: now })], []);
  const later = now.add({ minutes: 1 });
  assert.deepEqual([...due(on, { now: later, lastEnd: now })].map(pair), [
    [instant(now), instant(later)],
  ]);
});

Deno.test("a function decides from the end of one interval on the next", () => {
  const doubling = (after: Moment): Interval | undefined => {
    const hours = Math.max(1, after.hour);
    return after.day > 1 ? undefined : { start: after, end: after.add({ hours }) };
  };
  const timetable = parseSchedule(doubling, { start: "2024-01-01" });
  const now = utc("2024-01-01T09:00:00Z");
  const ticks = [0, 1, 2, 4].map((hour) => `2024-01-01T0${hour}:00:00Z`);
  assert.deepEqual(starts(due(timetable, { now, catchup: true })), ticks);
  assert.deepEqual(starts(due(timetable, { now })), ticks.slice(3));
  assert.equal(instant(next(timetable, { now })!.start), "2024-01-01T08:00:00Z");
  assert.equal(starts(between(timetable, "2024-01-01", "2024-12-31")).length, 6);
  assert.throws(() => on(timetable, "2024-01-01T03:00"), /T02:00.*T04:00/);
  const stuck = parseSchedule((after) => ({ start: after, end: after }), { start: "2024-01-01" });
  assert.throws(() => [...due(stuck, { now })], /Cannot go on from 2024-01-01T00:00/);
});

Deno.test("without a schedule nothing is due", () => {
  const nothing = parseSchedule(undefined, { start: "2024-01-01" });
  const now = utc("2024-06-01T00:00:00Z");
  assert.deepEqual([...due(nothing, { now, catchup: true })], []);
  assert.equal(next(nothing, { now }), undefined);
  assert.deepEqual([...between(nothing, "2024-01-01", "2024-02-01")], []);
});

// Properties. The oracle knows nothing of croner: it tries every minute on the wall clock.

const ranges = [[0, 59], [0, 23], [1, 31], [1, 12], [0, 6]] as const;

/** One field, as text and as the values it covers. */
function field(index: number): fc.Arbitrary<{ text: string; values: Set<number> }> {
  const [low, high] = ranges[index]!;
  const all = Array.from({ length: high - low + 1 }, (_, at) => low + at);
  const value = fc.integer({ min: low, max: high });
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant({ text: "*", values: new Set(all) }) },
    fc.integer({ min: 1, max: Math.min(12, high) }).map((step) => ({
      text: `*/${step}`,
      values: new Set(all.filter((n) => (n - low) % step === 0)),
    })),
    fc.uniqueArray(value, { minLength: 1, maxLength: 4 })
      .map((list) => ({ text: list.join(","), values: new Set(list) })),
    fc.tuple(value, value).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
      .map(([a, b]) => ({
        text: `${a}-${b}`,
        values: new Set(all.filter((n) => a <= n && n <= b)),
      })),
  );
}

const crons = fc.tuple(field(0), field(1), field(2), field(3), field(4))
  // Days that some months lack may never come.
  .filter(([, , day]) => Math.min(...day.values) < 29);

const zones = fc.oneof(
  fc.constantFrom(
    "UTC",
    "America/New_York",
    "Europe/Dublin",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Asia/Tehran",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "Africa/Monrovia",
  ),
  fc.constantFrom(...Intl.supportedValuesOf("timeZone")),
);

/** A zone and a moment, most often within two days of a change of its clocks. */
const places = fc.tuple(
  zones,
  fc.integer({ min: 0, max: 2_200_000_000 }),
  fc.integer({ min: -172_800, max: 86_400 }),
  fc.boolean(),
).map(([zone, second, shift, near]) => {
  const at = Temporal.Instant.fromEpochMilliseconds(second * 1000).toZonedDateTimeISO(zone);
  const change = near ? at.getTimeZoneTransition("next") : null;
  return (change ?? at).add({ seconds: shift });
});

const DAYS = 2;

Deno.test("every cron in every zone ticks as the wall clock says, and its intervals tile time", () => {
  fc.assert(
    fc.property(crons, places, (fields, from) => {
      const zone = from.timeZoneId;
      const to = from.add({ hours: 24 * DAYS });
      const timetable = parseSchedule(fields.map(({ text }) => text).join(" "), { timezone: zone });
      const expected = tried(fields, from, to);
      const seen: number[] = [];
      let interval = timetable.next(from);
      while (interval && seconds(interval.start) < seconds(to)) {
        seen.push(seconds(interval.start));
        const after: Interval | undefined = timetable.next(interval.end);
        if (
          seconds(interval.end) <= seen.at(-1)! || seconds(after!.start) !== seconds(interval.end)
        ) {
          assert.fail(`${pair(interval)} and ${pair(after!)} leave a hole or overlap`);
        }
        interval = after;
      }
      assert.deepEqual(seen, expected);
    }),
    { numRuns: 250 },
  );
});

Deno.test("looking back finds the interval that looking forward came from", () => {
  fc.assert(
    fc.property(crons, places, fc.integer({ min: 0, max: 999_999 }), (fields, from, part) => {
      const cron = fields.map(({ text }) => text).join(" ");
      const timetable = parseSchedule(cron, { timezone: from.timeZoneId });
      const { start, end } = timetable.next(from)!;
      const length = end.epochMilliseconds - start.epochMilliseconds;
      const inside = start.add({ milliseconds: Math.floor(length * part / 1e6) });
      const found = timetable.last!(inside)!;
      assert.equal(instant(found.start), instant(start));
      assert.equal(instant(found.end), instant(end));
    }),
    { numRuns: 150 },
  );
});

Deno.test("what is due by now and what comes next tile time, whatever ran last", () => {
  const catchups = fc.constantFrom("all", "latest", "none") as fc.Arbitrary<Progress["catchup"]>;
  const modes = fc.constantFrom("interval", "trigger") as fc.Arbitrary<"interval" | "trigger">;
  const hours = fc.integer({ min: 0, max: 100 });
  fc.assert(
    fc.property(
      crons,
      places,
      catchups,
      modes,
      hours,
      fc.option(hours),
      (fields, at, catchup, mode, wait, ran) => {
        const now = at.add({ hours: wait });
        const timetable = parseSchedule(fields.map(({ text }) => text).join(" "), {
          timezone: at.timeZoneId,
          start: at.toString(),
          mode,
        });
        const lastEnd = ran === null ? undefined : timetable.next(at.subtract({ hours: ran }))?.end;
        if (lastEnd && Temporal.ZonedDateTime.compare(lastEnd, now) > 0) return;
        const progress = { now, lastEnd, catchup };
        const all = [...due(timetable, progress)];
        const coming = next(timetable, progress);
        if (coming) all.push(coming);
        const edge = mode === "trigger" ? "end" : "start";
        all.forEach((interval, index) => {
          assert.ok(interval[edge].epochMilliseconds >= at.epochMilliseconds - 1);
          if (index > 0) assert.equal(instant(interval.start), instant(all[index - 1]!.end));
          assert.equal(interval === coming, Temporal.ZonedDateTime.compare(interval.end, now) > 0);
        });
        if (catchup !== "all") assert.ok(all.length <= (catchup === "none" ? 1 : 2));
        // Once all ran, nothing is due and the same comes next.
        const last = all.filter((interval) => interval !== coming).at(-1);
        if (!last) return;
        const done = { now, lastEnd: last.end, catchup };
        assert.deepEqual([...due(timetable, done)], []);
        const again = next(timetable, done);
        assert.deepEqual(again && pair(again), coming && pair(coming));
      },
    ),
    { numRuns: 300 },
  );
});

/** The ticks in [from, to), in seconds, by trying every minute of the wall clock. */
function tried(
  fields: readonly { text: string; values: Set<number> }[],
  from: Moment,
  to: Moment,
): number[] {
  const [minutes, hours, days, months, weekdays] = fields as [
    typeof fields[0],
    typeof fields[0],
    typeof fields[0],
    typeof fields[0],
    typeof fields[0],
  ];
  const either = days.text !== "*" && weekdays.text !== "*";
  const ticks = new Set<number>();
  let day = from.toPlainDate().subtract({ days: 1 });
  for (let count = 0; count < DAYS + 3; count++, day = day.add({ days: 1 })) {
    const isDay = days.values.has(day.day);
    const isWeekday = weekdays.values.has(day.dayOfWeek % 7);
    if (!months.values.has(day.month)) continue;
    if (!(either ? isDay || isWeekday : isDay && isWeekday)) continue;
    for (const hour of hours.values) {
      for (const minute of minutes.values) {
        const wall = day.toPlainDateTime({ hour, minute });
        const zone = from.timeZoneId;
        const earlier = wall.toZonedDateTime(zone, { disambiguation: "earlier" });
        const later = wall.toZonedDateTime(zone, { disambiguation: "later" });
        if (hours.values.size < 24) ticks.add(seconds(later));
        else if (later.toPlainDateTime().equals(wall)) {
          ticks.add(seconds(earlier)).add(seconds(later));
        }
      }
    }
  }
  const [low, high] = [seconds(from), seconds(to)];
  return [...ticks].filter((tick) => low <= tick && tick < high).sort((a, b) => a - b);
}
