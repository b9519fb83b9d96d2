import type { JSX } from "preact";
import { base } from "../api.ts";
import type { GridRun } from "../documents.ts";
import { date, duration } from "../format.ts";
import { now } from "../parts/time.tsx";
import { isOver, secondsOf } from "../runs.ts";
import type { Sizes } from "./grid_row.tsx";

/** Its height: bars, and dates below. */
export const HEAD = 88;
const BARS = 58;
/** How far apart dates stand at least. */
const APART = 90;

/** What the head is given. */
export interface GridHeadProps {
  readonly dag: string;
  readonly runs: readonly GridRun[];
  /** Which of them can be seen. */
  readonly from: number;
  readonly to: number;
  /** The width of the names beside them. */
  readonly names: number;
  readonly sizes: Sizes;
}

/** The runs: how long each took, as a bar, and when it was for. */
export function GridHead({ dag, runs, from, to, names, sizes }: GridHeadProps): JSX.Element {
  const isActive = runs.some((run) => !isOver(run));
  const time = isActive ? now.value : 0;
  const seconds = runs.map((run) => secondsOf(run, time) ?? 0);
  const longest = Math.max(0.001, ...seconds);
  return (
    <div class="grid-head">
      <div class="grid-corner" style={{ width: `${names}px` }}>
        <span class="faint">{runs.length === 0 ? "no runs yet" : duration(longest)}</span>
      </div>
      {runs.slice(from, to).map((run, i) => {
        const place = from + i;
        return (
          <a
            key={run.run_id}
            class="bar-place"
            href={`${base}/dags/${dag}/grid?run=${run.run_id}`}
            style={{ left: `${names + place * sizes.cell}px` }}
            data-run={run.run_id}
            data-kind={run.kind}
            aria-label={`Run of ${date(run.logical_date)}: ${run.state}`}
            tabIndex={-1}
            onClick={(event) => event.preventDefault()}
          >
            <i
              class="run-bar"
              data-state={run.state}
              style={{ height: `${Math.max(3, BARS * (seconds[place]! / longest))}px` }}
            />
          </a>
        );
      })}
      {labels(runs, sizes).filter(({ place }) => place >= from - 8 && place < to).map((
        { place, text },
      ) => (
        <span
          key={place}
          class="grid-date"
          style={{ left: `${names + place * sizes.cell}px` }}
        >
          {text}
        </span>
      ))}
    </div>
  );
}

/** Dates that leave room for each other, from the first run on. */
function labels(runs: readonly GridRun[], { cell }: Sizes): { place: number; text: string }[] {
  const found: { place: number; text: string }[] = [];
  let free = -Infinity;
  const times = runs.map(({ logical_date }) => Date.parse(logical_date));
  // The time of day says nothing where there is one run a day at most.
  const isDaily = times.every((time, i) => i === 0 || time - times[i - 1]! >= 23 * 3_600_000);
  for (const [place, { logical_date }] of runs.entries()) {
    if (place * cell < free) continue;
    const text = isDaily ? logical_date.slice(0, 10) : date(logical_date).slice(5);
    found.push({ place, text });
    free = place * cell + APART;
  }
  return found;
}
