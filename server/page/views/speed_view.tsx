import type { JSX } from "preact";
import type { Meters, Reading } from "../documents.ts";
import { bytes, count, duration } from "../format.ts";
import { rejectedBy } from "../parts/speed.tsx";

/** What stands on the meters of an attempt. */
type Pace = Pick<Meters["attempts"][number], "readings" | "set_by" | "seconds_left">;

/** What is shown of the pace of an attempt. */
export interface SpeedProps extends Pace {
  /** Bytes each second at this moment; undefined when it is over. */
  readonly rate?: number;
}

/** How fast an attempt is, stage by stage, and for whom each of them waits. */
export function SpeedView(
  { readings, set_by, seconds_left, rate }: SpeedProps,
): JSX.Element | null {
  // A plain function moves nothing.
  if (!readings.some(({ bytes, rows }) => bytes > 0 || rows > 0)) return null;
  const source = readings.find(({ length }) => length !== null && length > 0);
  const part = source ? Math.min(1, source.bytes / source.length!) : undefined;
  const rows = Math.max(0, ...readings.map(({ rows }) => rows));
  const rejected = rejectedBy(readings);
  const elapsed = Math.max(1, ...readings.map(({ elapsed }) => elapsed)) / 1000;
  const moved = readings.find(({ bytes }) => bytes > 0)?.bytes ?? 0;
  return (
    <section class="speedometer" aria-label="Speed">
      <dl class="dials">
        {rows > 0 && <Dial label="rows" value={count(rows)} more={`${count(rows / elapsed)}/s`} />}
        {rejected > 0 && <Dial label="rejected" value={count(rejected)} more="kept aside" />}
        {moved > 0 && (
          <Dial
            label={source ? `of ${bytes(source.length!)}` : "read"}
            value={bytes(moved)}
            more={`${bytes(rate ?? moved / elapsed)}/s`}
          />
        )}
        {rate !== undefined && seconds_left !== null && (
          <Dial label="left" value={duration(seconds_left)} more={`${Math.floor(100 * part!)} %`} />
        )}
      </dl>
      {rate !== undefined && part !== undefined && (
        <div
          class="progress"
          role="progressbar"
          aria-label="Read of the source"
          aria-valuenow={Math.floor(100 * part)}
        >
          <i style={{ transform: `scaleX(${part})` }} />
        </div>
      )}
      <ol class="stages">
        {readings.map((reading, i) => (
          <Stage key={i} reading={reading} setsPace={reading.stage === set_by} />
        ))}
      </ol>
      {set_by !== null && readings.length > 1 && <p class="muted">{verdict(readings, set_by)}</p>}
    </section>
  );
}

function Dial(
  { label, value, more }: { readonly label: string; readonly value: string; readonly more: string },
): JSX.Element {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{value}</dd>
      <dd class="muted">{more}</dd>
    </div>
  );
}

/** A stage: what it moved, and its time as a bar of work and of waits. */
function Stage(
  { reading: { stage, rows, bytes: moved, waits }, setsPace }: {
    readonly reading: Reading;
    readonly setsPace: boolean;
  },
): JSX.Element {
  const waited = Math.min(1, waits.reduce((sum, { share }) => sum + share, 0));
  const shown = waits.filter(({ share }) => percent(share) > 0);
  const waiting = shown.map((wait) => `${percent(wait.share)} % for ${wait.for}`).join(", ");
  const said = shown.length === 0 ? "waits for nobody" : `waits ${waiting}`;
  return (
    <li data-pace={setsPace ? "" : undefined}>
      <strong class="clip" title={stage}>{stage}</strong>
      <span class="number muted">
        {[rows > 0 && `${count(rows)} rows`, moved > 0 && bytes(moved)].filter(Boolean).join(" · ")}
      </span>
      <div
        class="shares"
        role="img"
        aria-label={`${stage} works ${percent(1 - waited)} %, ${said}`}
      >
        <i class="works" style={{ flexGrow: Math.max(0, 1 - waited) }} />
        {shown.map((wait) => <i key={wait.for} class="waits" style={{ flexGrow: wait.share }} />)}
      </div>
      <span class="faint">{said}</span>
    </li>
  );
}

/** In words, what keeps it from going faster. */
function verdict(readings: readonly Reading[], setBy: string): string {
  const waiting = readings
    .flatMap(({ stage, waits }) => waits.map((wait) => ({ stage, ...wait })))
    .filter((wait) =>
      wait.for === setBy || setBy === "the source" && wait.for === readings[0]!.stage
    )
    .sort((a, b) => b.share - a.share)[0];
  const why = waiting && percent(waiting.share) > 0
    ? `: ${waiting.stage} waits for ${waiting.for} ${percent(waiting.share)} % of its time`
    : "";
  return `The pace is set by ${setBy}${why}.`;
}

function percent(share: number): number {
  return Math.round(100 * share);
}
