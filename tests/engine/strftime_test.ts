import assert from "node:assert/strict";
import { strftime } from "../../engine/strftime.ts";

const table: [date: string, pattern: string, text: string][] = [
  ["2021-01-02T06:07:08.123456789[UTC]", "%Y_%m", "2021_01"],
  [
    "2021-01-02T06:07:08.123456789[UTC]",
    "yellow_tripdata_%Y-%m.csv.gz",
    "yellow_tripdata_2021-01.csv.gz",
  ],
  ["2021-01-02T06:07:08.123456789[UTC]", "%d|%e|%-d|%-e|%j|%-j", "02| 2|2|2|002|2"],
  ["2021-01-02T06:07:08.123456789[UTC]", "%H %I %M %S %f %p", "06 06 07 08 123456 AM"],
  ["2021-01-02T06:07:08.123456789[UTC]", "%-H %-I %-M %-S %-m %-y", "6 6 7 8 1 21"],
  ["2021-01-02T06:07:08.123456789[UTC]", "%B %b %A %a %u %w", "January Jan Saturday Sat 6 6"],
  ["2021-01-02T06:07:08.123456789[UTC]", "%F %T %D", "2021-01-02 06:07:08 01/02/21"],
  ["2021-01-02T06:07:08.123456789[UTC]", "%s %z %Z", "1609567628 +0000 UTC"],
  ["2021-01-02T06:07:08.123456789[UTC]", "100%% %%Y", "100% %Y"],
  ["2021-01-02T06:07:08.123456789[UTC]", "", ""],
  ["2021-12-05T00:00[UTC]", "%a %u %w", "Sun 7 0"],
  ["2021-12-05T00:00[UTC]", "%-H:%-M %I %p %-f", "0:0 12 AM 0"],
  ["2021-12-05T12:30[UTC]", "%I %-I %p", "12 12 PM"],
  ["2021-12-05T23:30[UTC]", "%I %-I %p", "11 11 PM"],
  ["2021-12-31T00:00[UTC]", "%j", "365"],
  ["2024-12-31T00:00[UTC]", "%j", "366"],
  ["2024-07-01T00:00[America/New_York]", "%z %Z", "-0400 EDT"],
  ["2024-01-01T00:00[America/New_York]", "%z %Z", "-0500 EST"],
  ["2024-01-01T00:00[Asia/Kathmandu]", "%z", "+0545"],
  ["1969-12-31T23:59:59.5[UTC]", "%s", "-1"],
  ["0987-01-01T00:00[UTC]", "%Y %y %-Y", "0987 87 987"],
  // The weeks are those of Python's datetime.
  ["2021-01-01T00:00[UTC]", "%G %V %U %W", "2020 53 00 00"],
  ["2021-01-03T00:00[UTC]", "%G %V %U %W", "2020 53 01 00"],
  ["2021-01-04T00:00[UTC]", "%G %V %U %W", "2021 01 01 01"],
  ["2024-12-30T00:00[UTC]", "%G %V %U %W", "2025 01 52 53"],
  ["2024-12-31T00:00[UTC]", "%G %V %U %W", "2025 01 52 53"],
  ["2023-01-01T00:00[UTC]", "%G %V %U %W", "2022 52 01 00"],
  ["2026-12-31T00:00[UTC]", "%G %V %U %W", "2026 53 52 52"],
];

for (const [date, pattern, text] of table) {
  Deno.test(`"${pattern}" of ${date} is "${text}"`, () => {
    assert.equal(strftime(Temporal.ZonedDateTime.from(date), pattern), text);
  });
}

for (
  const [pattern, named] of [["%Q", "%Q"], ["%Y%", "%"], ["%-", "%-"], ["%é", "%é"], ["% d", "% "]]
) {
  Deno.test(`"${pattern}" is refused, naming the directive`, () => {
    assert.throws(
      () => strftime(Temporal.ZonedDateTime.from("2021-01-02T00:00[UTC]"), pattern!),
      (error: Error) => {
        assert.ok(error instanceof TypeError);
        assert.ok(error.message.includes(`"${pattern}": there is no directive "${named}"`));
        return true;
      },
    );
  });
}
