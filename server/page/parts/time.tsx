import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { date, distance, duration, moment } from "../format.ts";

/** The time, each second; all that counts reads it. */
export const now = signal(Date.now());
setInterval(() => now.value = Date.now(), 1000);

/** A moment as its distance from now, counting; the moment itself is told when pointed at. */
export function Ago({ at }: { readonly at: string }): JSX.Element {
  return (
    <time dateTime={at} title={`${moment(at)} UTC`}>{distance(Date.parse(at) - now.value)}</time>
  );
}

/** A moment to the second, in UTC. */
export function Moment({ at }: { readonly at: string }): JSX.Element {
  return <time dateTime={at} title={`${at} (UTC)`}>{moment(at)}</time>;
}

/** A logical date, in UTC. */
export function LogicalDate({ at }: { readonly at: string }): JSX.Element {
  return <time dateTime={at} title={`${moment(at)} UTC`}>{date(at)}</time>;
}

/** How long something took, or has taken. */
export function Took(
  { from, to }: { readonly from: string | null; readonly to: string | null },
): JSX.Element | null {
  if (from === null) return null;
  const end = to === null ? now.value : Date.parse(to);
  return <span>{duration(Math.max(0, end - Date.parse(from)) / 1000)}</span>;
}
