import type { Reading } from "./meter.ts";

/** Whom a stage waits for. */
export interface Wait {
  /** The stage before or behind it, or what is outside: `"the database"`. */
  readonly for: string;
  /** Which part of its time so far, from 0 to 1. */
  readonly share: number;
}

/** How far a pipe has come. */
export interface Headway {
  /** Bytes of the source that came. */
  readonly bytes: number;
  /** How many it has. */
  readonly length: number;
  /** Milliseconds it will go on at this pace. */
  readonly left: number;
}

/** How fast a pipe is, and why not faster. */
export interface Pace {
  /** Whom each stage waits for, the longest first. */
  readonly waits: readonly (readonly Wait[])[];
  /** The stage, or what is outside of it, that the others waited for longest. */
  readonly setBy?: string;
  /** Not there where nobody knows the length of the source, or when all of it came. */
  readonly progress?: Headway;
}

/** Tells of the meters of an attempt what sets its pace. */
export function pace(readings: readonly Reading[]): Pace {
  const setBy = bottleneck(readings);
  const coming = progress(readings);
  return {
    waits: readings.map((_, i) => waits(readings, i)),
    ...setBy === undefined ? {} : { setBy },
    ...coming ? { progress: coming } : {},
  };
}

function waits(readings: readonly Reading[], i: number): Wait[] {
  const { elapsed, starved, blocked, outside } = readings[i]!;
  const all: [string | undefined, number][] = [
    [readings[i - 1]?.stage, starved],
    [readings[i + 1]?.stage, blocked],
    [outside?.name, outside?.waited ?? 0],
  ];
  return all
    .flatMap(([whom, time]) => {
      const share = Math.min(1, time / Math.max(elapsed, 1));
      return whom === undefined || share <= 0 ? [] : [{ for: whom, share }];
    })
    .sort((a, b) => b.share - a.share);
}

function bottleneck(readings: readonly Reading[]): string | undefined {
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

function progress(readings: readonly Reading[]): Headway | undefined {
  const source = readings.find(({ length }) => length !== null && length > 0);
  if (!source || source.bytes === 0 || source.done) return undefined;
  const { bytes, elapsed } = source;
  const length = source.length!;
  if (bytes >= length) return undefined;
  return { bytes, length, left: (length - bytes) * elapsed / bytes };
}
