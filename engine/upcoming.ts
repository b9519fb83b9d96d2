import { due, next, type Progress, type Timetable } from "./schedule.ts";
import type { Interval } from "./work.ts";

/** The intervals that are to run from now on, oldest first: what is due by now, then one after the other as time goes by. */
export function* upcoming(timetable: Timetable, progress: Progress): Generator<Interval, void> {
  let { now, lastEnd } = progress;
  for (const interval of due(timetable, progress)) {
    yield interval;
    lastEnd = interval.end;
  }
  for (;;) {
    const interval = next(timetable, { now, lastEnd });
    // What is over at once, as @once is, would come again for ever.
    if (!interval || lastEnd && !isAfter(interval.end, lastEnd)) return;
    yield interval;
    now = lastEnd = interval.end;
  }
}

function isAfter(a: Temporal.ZonedDateTime, b: Temporal.ZonedDateTime): boolean {
  return Temporal.ZonedDateTime.compare(a, b) > 0;
}
