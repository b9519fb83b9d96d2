import type { JSX } from "preact";
import type { Task } from "../documents.ts";
import { bytes } from "../format.ts";
import { type Point, smooth } from "../graph_layout.ts";
import { meterKey } from "../live.ts";
import { meterOf } from "../parts/speed.tsx";
import { rateOf } from "../throughput.ts";
import type { Channel } from "../graph_picture.ts";

/** What an edge is given. */
export interface GraphEdgeProps {
  readonly edge: Channel;
  readonly points: readonly Point[];
  readonly run: string | undefined;
  /** The tasks at its ends, in the run. */
  readonly from: Task | undefined;
  readonly to: Task | undefined;
}

/** What lies between two tasks: an order, a value, or a channel that bytes flow through. */
export function GraphEdge({ edge, points, run, from, to }: GraphEdgeProps): JSX.Element {
  const line = smooth(points);
  if (edge.kind !== "stream") return <path class="edge" data-kind={edge.kind} d={line} />;
  const writer = run === undefined ? undefined : meterOf(run, edge.from);
  const reader = run === undefined ? undefined : meterOf(run, edge.to);
  const moved = writer?.readings.at(-1)?.bytes ?? from?.stream?.bytes ??
    from?.readings.at(-1)?.bytes ?? 0;
  const flows = writer !== undefined || reader !== undefined;
  const rate = run === undefined
    ? 0
    : rateOf(meterKey(run, edge.from)) || rateOf(meterKey(run, edge.to));
  const [start, end] = [points[0]!, points.at(-1)!];
  // Near the reader, and on the side from which the line does not come: several may leave one writer.
  const x = end.x - Math.min(32, (end.x - start.x) / 2);
  const [above, beyond] = end.y > start.y ? [18, 31] : [-12, -25];
  return (
    <g
      class="channel"
      data-from={edge.from}
      data-to={edge.to}
      data-flows={flows && rate > 0 ? "" : undefined}
      data-filled={from?.state === "success" && to?.state === "success" ? "" : undefined}
      data-bytes={moved}
    >
      <path class="banks" d={line} />
      <path class="bed" d={line} />
      <path class="water" d={line} />
      {moved > 0 && <text x={x} y={end.y + above}>{bytes(moved)}</text>}
      {rate > 0 && (
        <text class="rate" x={x} y={end.y + beyond}>
          {bytes(rate)}/s
        </text>
      )}
    </g>
  );
}
