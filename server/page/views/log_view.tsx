import { useComputed, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { spans } from "../ansi.ts";
import { count, plural } from "../format.ts";
import { LogFeed, type LogOf, type LogRow } from "../log_feed.ts";
import { Button } from "../parts/button.tsx";
import { Bones, Empty } from "../parts/empty.tsx";
import { goQuery, place } from "../router.ts";

/** The height of a row, as `task.css` has it: only the rows in sight are there. */
const ROW = 19;
/** How many more are there above and below. */
const MARGIN = 20;

const LEVELS = ["info", "warn", "error"] as const;

/** The log of an attempt: follows it while it grows, as long as its end is in sight. Another attempt's has another key. */
export function LogView(of: LogOf): JSX.Element {
  const feed = useMemo(() => new LogFeed(of), []);
  useEffect(() => () => feed.stop(), [feed]);
  const search = useSignal("");
  const hidden = useSignal<readonly string[]>([]);
  const shown = useComputed(() => {
    const { all } = feed.rows.value;
    const wanted = search.value.toLowerCase();
    if (wanted === "" && hidden.value.length === 0) return { rows: all };
    const rows = all.filter(({ level, text }) =>
      !hidden.value.includes(level) && (wanted === "" || text.toLowerCase().includes(wanted))
    );
    return { rows };
  });
  const { all } = feed.rows.value;
  const { rows } = shown.value;
  const turn = (level: string): void => {
    const is = hidden.value.includes(level);
    hidden.value = is ? hidden.value.filter((one) => one !== level) : [...hidden.value, level];
  };
  if (all.length === 0) {
    return feed.open.value
      ? <Bones height={ROW * 6} />
      : <Empty title="It said nothing">What it logs is here.</Empty>;
  }
  return (
    <section class="log" aria-label="Log">
      <div class="log-bar">
        <input
          class="input"
          type="search"
          placeholder="Search the log"
          aria-label="Search the log"
          value={search.value}
          onInput={(event) => search.value = event.currentTarget.value}
        />
        <div class="line" role="group" aria-label="Levels">
          {LEVELS.map((level) => (
            <button
              key={level}
              type="button"
              class="tag"
              data-level={level}
              aria-pressed={!hidden.value.includes(level)}
              onClick={() => turn(level)}
            >
              {level}
            </button>
          ))}
        </div>
        <span class="faint" role="status">
          {rows.length === all.length
            ? plural(all.length, "line")
            : `${count(rows.length)} of ${plural(all.length, "line")}`}
          {feed.open.value && <span class="live">following</span>}
        </span>
      </div>
      <Rows shown={shown.value} last={all.at(-1)!.number} search={search.value} />
    </section>
  );
}

/** The rows in sight, of as many as there are. */
function Rows(
  { shown: { rows }, last: most, search }: {
    /** Another object each time: the list itself only grows. */
    readonly shown: { readonly rows: readonly LogRow[] };
    /** The number of the last row of all. */
    readonly last: number;
    readonly search: string;
  },
): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(400);
  const follows = useSignal(true);
  const line = Number(place.value.query.get("line") ?? 0);

  useLayoutEffect(() => {
    const element = box.current!;
    const watch = new ResizeObserver(() => height.value = element.clientHeight);
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  // To the line that the address names, once it is there.
  const found = line > 0 ? rows.findIndex(({ number }) => number === line) : -1;
  useLayoutEffect(() => {
    if (found < 0) return;
    follows.value = false;
    box.current!.scrollTop = Math.max(0, found * ROW - height.value / 3);
  }, [line, found < 0]);
  useLayoutEffect(() => {
    if (follows.value) box.current!.scrollTop = rows.length * ROW;
  }, [rows.length]);

  const first = Math.max(0, Math.floor(top.value / ROW) - MARGIN);
  const last = Math.min(rows.length, Math.ceil((top.value + height.value) / ROW) + MARGIN);
  const digits = String(most).length;
  return (
    <div class="log-frame">
      <div
        ref={box}
        class="log-rows"
        tabIndex={0}
        role="log"
        aria-label="Lines"
        onScroll={(event) => {
          const { scrollTop, clientHeight, scrollHeight } = event.currentTarget;
          // Only who scrolls up wants to stay: that there is more below may just have come.
          if (scrollTop + clientHeight >= scrollHeight - ROW) follows.value = true;
          else if (scrollTop < top.value) follows.value = false;
          top.value = scrollTop;
        }}
      >
        <ol style={{ height: `${rows.length * ROW}px`, "--digits": digits }}>
          {rows.slice(first, last).map((row, i) => (
            <Row
              key={first + i}
              row={row}
              top={(first + i) * ROW}
              search={search}
              marked={row.number === line}
            />
          ))}
        </ol>
      </div>
      {!follows.value && rows.length * ROW > height.value && (
        <Button
          icon="down"
          onClick={() => {
            if (line > 0) goQuery({ line: null }, { replace: true });
            box.current!.scrollTop = rows.length * ROW;
          }}
        >
          To the end
        </Button>
      )}
    </div>
  );
}

function Row(
  { row: { number, at, level, text }, top, search, marked }: {
    readonly row: LogRow;
    readonly top: number;
    readonly search: string;
    readonly marked: boolean;
  },
): JSX.Element {
  return (
    <li data-level={level} data-marked={marked ? "" : undefined} style={{ top: `${top}px` }}>
      <a
        href={`?${withLine(number)}`}
        aria-label={`Line ${number}`}
        data-number={at === undefined ? undefined : number}
        onClick={(event) => {
          event.preventDefault();
          goQuery({ line: marked ? null : String(number) }, { replace: true });
        }}
      />
      <time dateTime={at} title={at}>{at?.slice(11, 23)}</time>
      <span class="said">
        {spans(text).map(({ text, looks }, i) => (
          <span key={i} class={looks}>{marks(text, search)}</span>
        ))}
      </span>
    </li>
  );
}

function withLine(number: number): string {
  const query = new URLSearchParams(place.value.query);
  query.set("line", String(number));
  return query.toString();
}

/** A text with what was searched for marked in it. */
function marks(text: string, search: string): (string | JSX.Element)[] | string {
  if (search === "") return text;
  const parts: (string | JSX.Element)[] = [];
  const low = text.toLowerCase();
  const wanted = search.toLowerCase();
  let from = 0;
  for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, from)) {
    parts.push(text.slice(from, at));
    from = at + wanted.length;
    parts.push(<mark key={at}>{text.slice(at, from)}</mark>);
  }
  return [...parts, text.slice(from)];
}
