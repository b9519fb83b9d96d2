import type { JSX } from "preact";
import { base } from "../api.ts";
import type { Dag, RunHead } from "../documents.ts";
import { LAST } from "../fleet.ts";
import { bytes, date, duration, words } from "../format.ts";
import { PauseSwitch } from "../parts/pause_switch.tsx";
import { Square } from "../parts/square.tsx";
import { Ago, now } from "../parts/time.tsx";
import { goQuery } from "../router.ts";
import { isOver, secondsOf } from "../runs.ts";
import { throughput } from "../throughput.ts";

/** A DAG in the list of all. */
export function DagRow({ dag }: { readonly dag: Dag }): JSX.Element {
  const { id, description, tags, paused, runs } = dag;
  return (
    <li class="dag-row" data-dag={id} data-paused={paused ? "" : undefined}>
      <PauseSwitch dag={id} paused={paused} />
      <div class="dag-name">
        <div class="line">
          <a class="clip cover" data-row href={`${base}/dags/${id}`} title={id}>{id}</a>
          <span class="tags">
            {tags.slice(0, 3).map((tag) => (
              <button
                key={tag}
                type="button"
                class="tag"
                title={`Only DAGs tagged ${tag}`}
                onClick={() => goQuery({ tag })}
              >
                {tag}
              </button>
            ))}
          </span>
        </div>
        {description !== null && <div class="clip faint" title={description}>{description}</div>}
      </div>
      <div class="runs" aria-label={runs.length === 0 ? "No runs yet" : "Last runs"}>
        {Array.from({ length: LAST - runs.length }, (_, i) => <span key={i} class="hole" />)}
        {runs.map((run) => <RunSquare key={run.run_id} dag={id} run={run} />)}
      </div>
      <div class="flow number">
        <Flow dag={dag} />
      </div>
      <div class="schedule" title={dag.schedule_in_words}>{dag.schedule_in_words}</div>
      <div class="next number">
        <Next dag={dag} />
      </div>
    </li>
  );
}

/** A run as a square that leads to it. */
function RunSquare({ dag, run }: { readonly dag: string; readonly run: RunHead }): JSX.Element {
  const label = `${date(run.logical_date)}: ${words(run.state)}`;
  return (
    <a
      href={`${base}/dags/${dag}/grid?run=${run.run_id}`}
      title={label}
      tabIndex={-1}
      data-run={run.run_id}
    >
      <Square state={run.state} label={label} />
    </a>
  );
}

/** What flows in a DAG now, or how its last run went. */
function Flow({ dag: { id, runs } }: { readonly dag: Dag }): JSX.Element | null {
  const rate = throughput.value.dags.get(id) ?? 0;
  if (rate > 0) return <span class="flowing">{bytes(rate)}/s</span>;
  const last = runs.at(-1);
  if (!last) return <span class="faint">no runs</span>;
  if (last.state === "queued") return <span class="faint">queued</span>;
  const seconds = secondsOf(last, isOver(last) ? 0 : now.value) ?? 0;
  return (
    <span class={isOver(last) ? "faint" : undefined} title="How long the last run took">
      {duration(seconds)}
    </span>
  );
}

function Next({ dag: { paused, held, next_run } }: { readonly dag: Dag }): JSX.Element {
  if (held !== null) return <span class="held" title={held}>to be confirmed</span>;
  if (paused) return <span class="faint">paused</span>;
  if (!next_run) return <span class="faint">–</span>;
  return Date.parse(next_run.run_after) <= now.value
    ? <span class="faint">due</span>
    : <Ago at={next_run.run_after} />;
}
