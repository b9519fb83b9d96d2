import type { JSX } from "preact";
import { useLayoutEffect } from "preact/hooks";
import { BackfillDialog } from "../dialogs/backfill_dialog.tsx";
import { TriggerDialog } from "../dialogs/trigger_dialog.tsx";
import type { WholeDag } from "../documents.ts";
import { bytes, plural } from "../format.ts";
import { openDialog } from "../overlay.ts";
import { Button } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { PauseSwitch } from "../parts/pause_switch.tsx";
import { Ago } from "../parts/time.tsx";
import { go } from "../router.ts";
import { addShortcuts } from "../shortcuts.ts";
import { throughput } from "../throughput.ts";

/** Names a DAG, says when it runs, and has it run. */
export function DagHead({ dag }: { readonly dag: WholeDag }): JSX.Element {
  const { id, description, tags, paused, held, next_run, schedule_in_words, warnings } = dag;
  const trigger = (): void => openDialog(<TriggerDialog dag={id} />);
  const backfill = (): void => openDialog(<BackfillDialog dag={id} />);
  useLayoutEffect(() =>
    addShortcuts([
      { keys: "t", does: "Trigger a run", run: trigger },
      { keys: "b", does: "Backfill", run: backfill },
    ]), [id]);
  const rate = throughput.value.dags.get(id) ?? 0;
  return (
    <header class="dag-head">
      <div class="dag-about">
        <div class="dag-title">
          <PauseSwitch dag={id} paused={paused} />
          <h1>{id}</h1>
          {tags.map((tag) => (
            <button
              key={tag}
              type="button"
              class="tag"
              onClick={() => go(`/?tag=${encodeURIComponent(tag)}`)}
            >
              {tag}
            </button>
          ))}
        </div>
        {description !== null && <p class="muted">{description}</p>}
        <div class="dag-facts">
          <span>{schedule_in_words}</span>
          {next_run && !paused && held === null && (
            <span>
              next run <Ago at={next_run.run_after} />
            </span>
          )}
          {paused && <span>paused</span>}
          <span>{plural(dag.tasks.length, "task")}</span>
          {rate > 0 && <span class="flowing">{bytes(rate)}/s</span>}
        </div>
        {held !== null && <p class="warning-line">{held}</p>}
        {warnings.length > 0 && (
          <details class="warnings">
            <summary>
              <Icon name="alert" /> {plural(warnings.length, "warning")}
            </summary>
            <ul>{warnings.map(({ message }) => <li key={message}>{message}</li>)}</ul>
          </details>
        )}
      </div>
      <div class="dag-actions">
        <Button onClick={backfill}>Backfill</Button>
        <Button kind="primary" icon="play" onClick={trigger}>Trigger</Button>
      </div>
    </header>
  );
}
