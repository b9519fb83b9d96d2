import type { Reading } from "../engine/mod.ts";
import { bytes, count, duration } from "./format.ts";

/** One stage of a pipe as cells: name, rows, bytes, rate, whom it waits for. */
export function stageRow(readings: readonly Reading[], i: number): string[] {
  const reading = readings[i]!;
  const seconds = Math.max(reading.elapsed, 1) / 1000;
  const rows = reading.rows > 0 ? `${count(reading.rows)} rows` : "";
  const moved = reading.bytes > 0 ? bytes(reading.bytes) : "";
  const rate = reading.bytes > 0
    ? `${bytes(reading.bytes / seconds)}/s`
    : reading.rows > 0
    ? `${count(reading.rows / seconds)} rows/s`
    : "";
  return [reading.stage, rows, moved, rate, waits(readings, i)];
}

/** Whom a stage waits for, and which share of its time: what keeps it from going faster. */
function waits(readings: readonly Reading[], i: number): string {
  const { elapsed, starved, blocked, outside } = readings[i]!;
  const parts: [string, number][] = [
    [readings[i - 1]?.stage ?? "", starved],
    [readings[i + 1]?.stage ?? "", blocked],
    [outside?.name ?? "", outside?.waited ?? 0],
  ];
  return parts
    .map(([whom, time]) =>
      [whom, Math.min(100, Math.round(100 * time / Math.max(elapsed, 1)))] as const
    )
    .filter(([whom, share]) => whom !== "" && share > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([whom, share]) => `${share} % for ${whom}`)
    .map((text, n) => n === 0 ? `waited ${text}` : text)
    .join(", ");
}

/** What sets the pace of a pipe: the stage, or what is outside of it, that the others waited for longest. */
export function bottleneck(readings: readonly Reading[]): string | undefined {
  const shares: [string, number][] = [];
  readings.forEach(({ stage, elapsed, starved, blocked, outside }, i) => {
    const waited = outside?.waited ?? 0;
    if (outside) shares.push([outside.name, waited]);
    // The first stage's own work is to wait for the source.
    const name = i === 0 ? "the source" : stage;
    shares.push([name, elapsed - starved - blocked - waited]);
  });
  return shares.sort(([, a], [, b]) => b - a)[0]?.[0];
}

/** How far it has come and how long it will go on, where the length of the source is known: `34 % of 35.2 MB, 3.1 s left`. */
export function remaining(readings: readonly Reading[]): string | undefined {
  const source = readings.find(({ length }) => length !== null && length > 0);
  if (!source || source.bytes === 0 || source.done) return undefined;
  const length = source.length!;
  const left = length - source.bytes;
  if (left <= 0) return undefined;
  return `${Math.floor(100 * source.bytes / length)} % of ${bytes(length)}, ` +
    `${duration(left * source.elapsed / source.bytes)} left`;
}
