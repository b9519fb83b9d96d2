import { pace, type Reading } from "../engine/mod.ts";
import { bytes, count, duration, several } from "./format.ts";

/** How many records the stages of a pipe have refused, in words; nothing where none are. */
export function refused(readings: readonly Reading[]): string {
  const rejected = readings.reduce((sum, { rejected = 0 }) => sum + rejected, 0);
  return rejected > 0 ? `${count(rejected)} rejected` : "";
}

/** One stage of a pipe as cells: name, rows and rejects, bytes, rate, whom it waits for. */
export function stageRow(readings: readonly Reading[], i: number): string[] {
  const reading = readings[i]!;
  const seconds = Math.max(reading.elapsed, 1) / 1000;
  const rows = [reading.rows > 0 && several(reading.rows, "row"), refused([reading])]
    .filter(Boolean).join(", ");
  const moved = reading.bytes > 0 ? bytes(reading.bytes) : "";
  const rate = reading.bytes > 0
    ? `${bytes(reading.bytes / seconds)}/s`
    : reading.rows > 0
    ? `${count(reading.rows / seconds)} rows/s`
    : "";
  return [reading.stage, rows, moved, rate, waited(readings, i)];
}

/** Whom a stage waits for, and which share of its time. */
function waited(readings: readonly Reading[], i: number): string {
  return pace(readings).waits[i]!
    .map((wait) => ({ ...wait, percent: Math.round(100 * wait.share) }))
    .filter(({ percent }) => percent > 0)
    .map((wait) => `${wait.percent} % for ${wait.for}`)
    .map((text, n) => n === 0 ? `waited ${text}` : text)
    .join(", ");
}

/** How far it has come and how long it will go on, where the length of the source is known: `34 % of 35.2 MB, 3.1 s left`. */
export function remaining(readings: readonly Reading[]): string | undefined {
  const { progress: at } = pace(readings);
  return at &&
    `${Math.floor(100 * at.bytes / at.length)} % of ${bytes(at.length)}, ${duration(at.left)} left`;
}
