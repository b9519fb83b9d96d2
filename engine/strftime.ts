const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

type Directive = (date: Temporal.ZonedDateTime) => string;

/** The directives of C and Python that do not depend on a language; names are English. */
const DIRECTIVES: Readonly<Record<string, Directive>> = {
  Y: (date) => pad(date.year, 4),
  y: (date) => pad(modulo(date.year, 100), 2),
  m: (date) => pad(date.month, 2),
  d: (date) => pad(date.day, 2),
  e: (date) => String(date.day).padStart(2),
  j: (date) => pad(date.dayOfYear, 3),
  H: (date) => pad(date.hour, 2),
  I: (date) => pad((date.hour + 11) % 12 + 1, 2),
  M: (date) => pad(date.minute, 2),
  S: (date) => pad(date.second, 2),
  f: (date) => pad(date.millisecond * 1000 + date.microsecond, 6),
  p: (date) => date.hour < 12 ? "AM" : "PM",
  B: (date) => MONTHS[date.month - 1]!,
  b: (date) => MONTHS[date.month - 1]!.slice(0, 3),
  A: (date) => WEEKDAYS[date.dayOfWeek - 1]!,
  a: (date) => WEEKDAYS[date.dayOfWeek - 1]!.slice(0, 3),
  u: (date) => String(date.dayOfWeek),
  w: (date) => String(date.dayOfWeek % 7),
  G: (date) => pad(thursday(date).year, 4),
  V: (date) => pad(Math.ceil(thursday(date).dayOfYear / 7), 2),
  U: (date) => pad(week(date, date.dayOfWeek % 7), 2),
  W: (date) => pad(week(date, date.dayOfWeek - 1), 2),
  Z: (date) => name(date),
  z: (date) => date.offset.replaceAll(":", ""),
  s: (date) => String(Math.floor(date.epochMilliseconds / 1000)),
  F: (date) => strftime(date, "%Y-%m-%d"),
  T: (date) => strftime(date, "%H:%M:%S"),
  D: (date) => strftime(date, "%m/%d/%y"),
  "%": () => "%",
};

/**
 * Formats a moment: `%Y %y %m %d %e %j` for the date, `%H %I %M %S %f %p` for the time, `%B %b %A %a %u %w` for names and
 * days of the week, `%G %V` for ISO weeks, `%U %W` for weeks from Sunday and from Monday, `%Z %z %s` for the zone and
 * the seconds since 1970, `%F %T %D` for the usual three together, `%%` for itself. A `-` as in `%-d` leaves the padding out.
 *
 * ```ts
 * strftime(Temporal.ZonedDateTime.from("2021-01-02T06:00[UTC]"), "%Y_%m"); // "2021_01"
 * ```
 *
 * @throws {TypeError} naming a directive it does not know
 */
export function strftime(date: Temporal.ZonedDateTime, pattern: string): string {
  return pattern.replace(/%(-?)(.?)/gsu, (text, bare: string, letter: string) => {
    const directive = Object.hasOwn(DIRECTIVES, letter) ? DIRECTIVES[letter] : undefined;
    if (!directive) {
      throw new TypeError(
        `Cannot format a date as "${pattern}": there is no directive "${text}"` +
          (letter ? "" : `; a percent sign is written "%%"`),
      );
    }
    const formatted = directive(date);
    return bare ? formatted.replace(/^[0 ]+(?=\d)/, "") : formatted;
  });
}

function pad(value: number, length: number): string {
  return value < 0 ? `-${pad(-value, length)}` : String(value).padStart(length, "0");
}

function modulo(value: number, by: number): number {
  return (value % by + by) % by;
}

/** The Thursday of a date's ISO week, which says what year and what week of it that is. */
function thursday(date: Temporal.ZonedDateTime): Temporal.PlainDate {
  return date.toPlainDate().add({ days: 4 - date.dayOfWeek });
}

/** The week of the year, `past` days after the day it began with; before the first such day it is week 0. */
function week(date: Temporal.ZonedDateTime, past: number): number {
  return Math.floor((date.dayOfYear + 6 - past) / 7);
}

/** A zone's name as people write it: UTC, EST, or the offset where no letters are in use. */
function name(date: Temporal.ZonedDateTime): string {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: date.timeZoneId,
    timeZoneName: "short",
  });
  return format.formatToParts(date.epochMilliseconds)
    .find(({ type }) => type === "timeZoneName")!.value;
}
