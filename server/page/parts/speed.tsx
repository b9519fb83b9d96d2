import type { JSX } from "preact";
import type { Meter } from "../documents.ts";
import { bytes, count, duration } from "../format.ts";
import { meterKey, meters } from "../live.ts";
import { movedBy, rateOf } from "../throughput.ts";

/** What stands on the meters of an attempt; undefined when it is not under way. */
export function meterOf(run: string, task: string, index?: number): Meter | undefined {
  return meters.value.get(meterKey(run, task, index));
}

/** How far an attempt has come, from 0 to 1; undefined where nobody knows. */
export function progressOf(meter: Pick<Meter, "readings"> | undefined): number | undefined {
  const source = meter?.readings.find(({ length }) => length !== null && length > 0);
  return source && source.bytes / source.length!;
}

/** How many records an attempt has refused so far. */
export function rejectedBy(readings: Meter["readings"]): number {
  return readings.reduce((sum, { rejected = 0 }) => sum + rejected, 0);
}

/** How fast an attempt is, in one line: rows, rejects, bytes, bytes each second, what is left, who sets the pace. */
export function Speed(
  { run, task, index }: {
    readonly run: string;
    readonly task: string;
    readonly index?: number;
  },
): JSX.Element | null {
  const meter = meterOf(run, task, index);
  if (!meter) return null;
  const { readings, seconds_left: left } = meter;
  const rows = Math.max(0, ...readings.map((reading) => reading.rows));
  const rejected = rejectedBy(readings);
  const moved = movedBy(meter);
  if (moved === 0 && rows === 0) return null;
  const rate = rateOf(meterKey(run, task, index));
  return (
    <span class="speed-line">
      {rows > 0 && <span>{count(rows)} rows</span>}
      {rejected > 0 && <span>{count(rejected)} rejected</span>}
      {moved > 0 && <span>{bytes(moved)}</span>}
      {rate > 0 && <strong>{bytes(rate)}/s</strong>}
      {left !== null && <span>{duration(left)} left</span>}
    </span>
  );
}
