import assert from "node:assert/strict";
import {
  dag,
  type DagOptions,
  dataset,
  parseSchedule,
  scheduleInWords,
  upcoming,
} from "../../engine/mod.ts";

type Case = [schedule: DagOptions<unknown>["schedule"], words: string];

const CASES: readonly Case[] = [
  [undefined, "only when triggered"],
  ["0 6 2 * *", "at 06:00 on the 2nd of each month, UTC"],
  ["@hourly", "every hour, UTC"],
  ["@daily", "at 00:00 each day, UTC"],
  ["@weekly", "at 00:00 on Sundays, UTC"],
  ["@quarterly", "at 00:00 on the 1st of January, April, July and October, UTC"],
  ["@yearly", "at 00:00 on the 1st of January, UTC"],
  ["* * * * *", "every minute, UTC"],
  ["*/15 * * * *", "every 15 minutes, UTC"],
  ["*/7 * * * *", "at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour, UTC"],
  ["5 * * * *", "every hour, 5 min past, UTC"],
  ["30 */2 * * *", "every 2 hours, 30 min past, UTC"],
  ["0 6,18 * * *", "at 06:00 and 18:00 each day, UTC"],
  ["*/10 9-16 * * 1-5", "every 10 minutes from 09:00 to 16:50 on Monday to Friday, UTC"],
  ["0 9-17 * * MON-FRI", "every hour from 09:00 to 17:00 on Monday to Friday, UTC"],
  ["0 0 1,2,3,11,22 * *", "at 00:00 on the 1st to 3rd, 11th and 22nd of each month, UTC"],
  ["0 0 13 * 5", "at 00:00 on the 13th of each month or on Fridays, UTC"],
  ["0 12 * * 6,7", "at 12:00 on Sundays and Saturdays, UTC"],
  ["0 12 * jan,jul *", "at 12:00 in January and July, UTC"],
  ["30 0 6 * * *", "30 s later than at 06:00 each day, UTC"],
  ["*/10 * * * * *", "at seconds 0, 10, 20, 30, 40 and 50 of the minute, every minute, UTC"],
  ["0 0 L * *", 'by the cron expression "0 0 L * *", UTC'],
  [{ minutes: 5 }, "every 5 minutes from 2021-01-01 on"],
  [{ days: 1 }, "every day from 2021-01-01 on"],
  [{ hours: 1, minutes: 30 }, "every 1 hour and 30 minutes from 2021-01-01 on"],
  ["@once", "once, at 2021-01-01"],
  ["@continuous", "one run after the other from 2021-01-01 on"],
  [() => undefined, "as a function of its own says, UTC"],
];

for (const [schedule, words] of CASES) {
  Deno.test(`the schedule ${JSON.stringify(schedule) ?? typeof schedule} is ${words}`, () => {
    const options = { start: "2021-01-01" };
    parseSchedule(schedule, options);
    assert.equal(scheduleInWords(schedule, options), words);
  });
}

Deno.test("words name the zone, and what a schedule on data waits for", () => {
  assert.match(scheduleInWords("@daily", { timezone: "Europe/Paris" }), /, Europe\/Paris$/);
  const [a, b] = [dataset("a"), dataset("b")];
  assert.equal(scheduleInWords([a, b]), 'when "a" and "b" are written');
  assert.equal(scheduleInWords(a), 'when "a" is written');
});

/** The first dates of what is to come. */
function dates(options: DagOptions<unknown>, now: string, lastEnd?: string): string[] {
  const { options: { schedule, catchup } } = dag("d", options);
  const at = (text: string) => Temporal.Instant.from(text).toZonedDateTimeISO("UTC");
  const progress = { now: at(now), catchup, ...lastEnd && { lastEnd: at(lastEnd) } };
  return [...upcoming(parseSchedule(schedule, options), progress).take(3)]
    .map(({ start }) => start.toPlainDate().toString());
}

Deno.test("what is to come begins with what is due, and goes on with what will be", () => {
  const daily = { schedule: "@daily", start: "2021-01-01" };
  const now = "2021-01-03T12:00:00Z";
  assert.deepEqual(dates(daily, now), ["2021-01-02", "2021-01-03", "2021-01-04"]);
  assert.deepEqual(dates({ ...daily, catchup: true }, now), [
    "2021-01-01",
    "2021-01-02",
    "2021-01-03",
  ]);
  assert.deepEqual(dates({ ...daily, catchup: "none" }, now), [
    "2021-01-03",
    "2021-01-04",
    "2021-01-05",
  ]);
  assert.deepEqual(dates(daily, now, "2021-01-03T00:00:00Z").at(0), "2021-01-03");
  assert.deepEqual(dates({ ...daily, end: "2021-01-02" }, now), ["2021-01-02"]);
  assert.deepEqual(dates({ ...daily, schedule: "@once" }, now), ["2021-01-01"]);
  assert.deepEqual(dates({ ...daily, schedule: "@once" }, now, "2021-01-01T00:00:00Z"), []);
  assert.deepEqual(dates({}, now), []);
});
