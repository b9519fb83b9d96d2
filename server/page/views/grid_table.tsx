import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { GridModel } from "../grid_model.ts";
import { hideTip, showTip } from "../parts/tip.tsx";
import { goBeside, place } from "../router.ts";
import { isOver } from "../runs.ts";
import type { TreeRow } from "../task_tree.ts";
import { GridHead, HEAD } from "./grid_head.tsx";
import { GridRow, type Sizes } from "./grid_row.tsx";
import { CellTip, RunTip } from "./grid_tip.tsx";

/** How many more rows and columns there are than can be seen, on each side. */
const BEYOND = 6;
/** Where there is little to see, it is shown larger. */
const SMALL: Sizes = { row: 24, cell: 18 }, LARGE: Sizes = { row: 36, cell: 30 };
/** What stands above the grid, about, and the steps in which its size is looked at. */
const ABOVE = 260, STEP = 256;
/** Room beside the last run for what flows now. */
const SPEEDS = 330;

/** What the table is given. */
export interface GridTableProps {
  readonly dag: string;
  readonly grid: GridModel;
  readonly rows: readonly TreeRow[];
  readonly onFold: (group: string) => void;
}

/** The squares. Only those that can be seen are in the document, so that there may be very many. */
export function GridTable({ dag, grid, rows, onFold }: GridTableProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const strip = useRef<HTMLDivElement>(null);
  const sight = useSignal({ top: 0, left: 0, ...sizeOf(innerWidth, innerHeight - ABOVE) });
  const isAtEnd = useRef(true);
  const runs = grid.runs.value;
  const sizes = runs.length <= 24 && rows.length <= 14 ? LARGE : SMALL;
  const { row: rowHeight, cell } = sizes;
  const names = nameWidth(rows, sight.value.width);
  const isActive = runs.some((run) => !isOver(run));
  const width = names + runs.length * cell + (isActive ? SPEEDS : 16);
  const { query } = place.value;
  const chosen = runs.findIndex((run) => run.run_id === query.get("run"));

  function look(): void {
    const { scrollTop: top, scrollLeft: left, clientWidth: width, clientHeight: height } = box
      .current!;
    const last = sight.peek();
    // In steps, so that scrolling a little draws nothing.
    const next = {
      top: step(top, rowHeight * 3),
      left: isAtEnd.current ? 0 : step(left, cell * 5),
      ...sizeOf(width, height),
    };
    if (Object.entries(next).some(([key, value]) => value !== last[key as keyof typeof last])) {
      sight.value = next;
    }
    hideTip();
  }
  useLayoutEffect(() => {
    if (isAtEnd.current) box.current!.scrollLeft = width;
    look();
  }, [runs.length, width]);
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      // It may be told of its own end.
      if (!box.current) return;
      if (isAtEnd.current) box.current.scrollLeft = box.current.scrollWidth;
      look();
    });
    observer.observe(box.current!);
    return () => {
      observer.disconnect();
      hideTip();
    };
  }, []);

  function point(event: PointerEvent): void {
    const found = (event.target as Element).closest<HTMLElement>("[data-run]");
    const column = found ? runs.findIndex((run) => run.run_id === found.dataset["run"]) : -1;
    strip.current!.style.opacity = column < 0 ? "0" : "1";
    if (!found || column < 0) return hideTip();
    strip.current!.style.transform = `translateX(${names + column * cell}px)`;
    const { task } = found.dataset;
    const run = runs[column]!;
    showTip(
      found,
      task === undefined
        ? <RunTip run={run} />
        : <CellTip run={run} task={task} state={grid.state(run.run_id, task)} />,
    );
  }

  function choose(event: MouseEvent): void {
    const found = (event.target as Element).closest<HTMLElement>("[data-run]");
    if (!found) return;
    const { run, task, group } = found.dataset;
    goBeside(run!, group === undefined ? task : null);
  }

  /** Arrows go from square to square. */
  function move(event: KeyboardEvent): void {
    const steps: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const [dx, dy] = steps[event.key] ?? [0, 0];
    if (event.target !== event.currentTarget || dx === 0 && dy === 0) return;
    event.preventDefault();
    const tasks = rows.filter((row) => !row.inside);
    const row = tasks.findIndex((row) => row.id === query.get("task"));
    const x = chosen < 0 ? runs.length - 1 : clamp(chosen + dx, runs.length);
    const y = row < 0 ? 0 : clamp(row + dy, tasks.length);
    const [run, task] = [runs[x], tasks[y]];
    if (!run || !task) return;
    goBeside(run.run_id, task.id, { replace: true });
    const top = rows.indexOf(task) * rowHeight;
    const { scrollTop, clientHeight } = box.current!;
    const isSeen = top >= scrollTop && top + rowHeight + HEAD <= scrollTop + clientHeight;
    if (!isSeen) box.current!.scrollTop = top - clientHeight / 2;
  }

  const { top, height, width: seen } = sight.value;
  // The end is where it is, before anybody has looked.
  const left = isAtEnd.current ? Math.max(0, width - seen) : sight.value.left;
  const first = Math.max(0, Math.floor(top / rowHeight) - BEYOND);
  const last = Math.min(rows.length, Math.ceil((top + height) / rowHeight) + BEYOND);
  const from = Math.max(0, Math.floor(left / cell) - BEYOND);
  const to = Math.min(runs.length, Math.ceil((left + seen - names) / cell) + BEYOND);
  return (
    <div
      ref={box}
      class="grid"
      style={{ "--row": `${rowHeight}px`, "--cell": `${cell}px` }}
      tabIndex={0}
      role="group"
      aria-label="Runs and tasks; arrows go from square to square"
      onScroll={({ currentTarget: { scrollLeft, clientWidth, scrollWidth } }) => {
        // It may be told so when it is gone.
        if (!box.current) return;
        isAtEnd.current = scrollLeft + clientWidth >= scrollWidth - cell;
        look();
      }}
      onPointerOver={point}
      onPointerLeave={point}
      onClick={choose}
      onKeyDown={move}
    >
      <div
        class="grid-size"
        style={{ width: `${width}px`, height: `${HEAD + rows.length * rowHeight}px` }}
      >
        <GridHead dag={dag} runs={runs} from={from} to={to} names={names} sizes={sizes} />
        <div class="grid-strip" ref={strip} />
        {chosen >= 0 && (
          <div
            class="grid-strip"
            data-chosen
            style={{ transform: `translateX(${names + chosen * cell}px)` }}
          />
        )}
        {rows.slice(first, last).map((row, i) => (
          <GridRow
            key={row.id}
            row={row}
            top={HEAD + (first + i) * rowHeight}
            grid={grid}
            runs={runs}
            from={from}
            to={to}
            names={names}
            sizes={sizes}
            chosen={query.get("task") === row.id ? query.get("run") : null}
            onFold={onFold}
          />
        ))}
      </div>
    </div>
  );
}

/** What can be seen of it, in steps: what is guessed before it is there need not be drawn again. */
function sizeOf(width: number, height: number): { width: number; height: number } {
  return { width: Math.ceil(width / STEP) * STEP, height: Math.ceil(height / STEP) * STEP };
}

function step(n: number, size: number): number {
  return Math.floor(n / size) * size;
}

function clamp(n: number, length: number): number {
  return Math.max(0, Math.min(length - 1, n));
}

/** Wide enough for the names, and not wider than leaves room for squares. */
function nameWidth(rows: readonly TreeRow[], width: number): number {
  const longest = Math.max(0, ...rows.map(({ label, depth }) => label.length * 7.2 + depth * 14));
  return Math.round(Math.min(Math.max(150, longest + 64), 340, Math.max(140, width * 0.42)));
}
