import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { get } from "../api.ts";
import type { Calendar, RunState, WholeDag } from "../documents.ts";
import { plural } from "../format.ts";
import { onEvent } from "../live.ts";
import { Bones, Empty } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { useResource } from "../resource.ts";
import { goBeside } from "../router.ts";
import { soon } from "../soon.ts";

type Day = Calendar["days"][number];

const DAY = 86_400_000;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Years of days, each as its runs ended; those that are to come are outlined. */
export function CalendarView({ dag }: { readonly dag: WholeDag }): JSX.Element {
  const { data, error, reload } = useResource(
    (signal) => get<Calendar>(`/api/dags/${dag.id}/calendar`, {}, signal),
    [dag.id],
  );
  useEffect(() => {
    const reloadSoon = soon(reload, 50);
    return onEvent(({ dag: of, state }) => {
      if (of === dag.id && state !== undefined) reloadSoon();
    });
  }, [reload]);
  if (error.value) {
    return (
      <div class="pad">
        <ErrorBox error={error.value} retry={reload} />
      </div>
    );
  }
  if (!data.value) return <Bones height={200} />;
  const days = new Map(data.value.days.map((day) => [day.day, day]));
  const coming = new Set(dag.next_runs.map(({ logical_date }) => logical_date.slice(0, 10)));
  const years = new Set([...days.keys(), ...coming].map((day) => Number(day.slice(0, 4))));
  if (years.size === 0) {
    return (
      <Empty title="It has not run yet">
        <p>Each day gets a square here, as its runs ended.</p>
      </Empty>
    );
  }
  return (
    <div class="pad calendar">
      {[...years].sort((a, b) => b - a).map((year) => (
        <Year key={year} year={year} days={days} coming={coming} />
      ))}
    </div>
  );
}

function Year(
  { year, days, coming }: {
    readonly year: number;
    readonly days: ReadonlyMap<string, Day>;
    readonly coming: ReadonlySet<string>;
  },
): JSX.Element {
  const first = Date.UTC(year, 0, 1);
  const count = (Date.UTC(year + 1, 0, 1) - first) / DAY;
  // Weeks begin on Monday.
  const skipped = (new Date(first).getUTCDay() + 6) % 7;
  const all = Array.from({ length: count }, (_, i) => new Date(first + i * DAY));
  return (
    <section>
      <h2>{year}</h2>
      <div class="year">
        <div class="months" aria-hidden="true">
          {MONTHS.map((name, month) => {
            const place = (Date.UTC(year, month, 1) - first) / DAY + skipped;
            return <span key={name} style={{ gridColumn: Math.floor(place / 7) + 1 }}>{name}</span>;
          })}
        </div>
        <div class="days">
          {all.map((date, i) => {
            const day = date.toISOString().slice(0, 10);
            const known = days.get(day);
            const state = known ? stateOf(known) : undefined;
            const text = known
              ? `${day}: ${told(known)}`
              : coming.has(day)
              ? `${day}: to come`
              : day;
            const place = {
              gridColumn: Math.floor((i + skipped) / 7) + 1,
              gridRow: (i + skipped) % 7 + 1,
            };
            return known
              ? (
                <button
                  key={day}
                  type="button"
                  class="square"
                  data-day={day}
                  data-state={state}
                  aria-label={text}
                  title={text}
                  style={place}
                  onClick={() => goBeside(known.last)}
                />
              )
              : (
                <i
                  key={day}
                  class="square"
                  title={text}
                  data-coming={coming.has(day) ? "" : undefined}
                  style={place}
                />
              );
          })}
        </div>
      </div>
    </section>
  );
}

function stateOf({ failed, running, queued }: Day): RunState {
  if (failed > 0) return "failed";
  if (running > 0) return "running";
  return queued > 0 ? "queued" : "success";
}

function told(day: Day): string {
  return (["success", "failed", "running", "queued"] as const)
    .filter((state) => day[state] > 0)
    .map((state) => `${plural(day[state], "run")} ${state}`).join(", ");
}
