import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { post } from "../api.ts";
import type { BackfillPlan } from "../documents.ts";
import { count, plural } from "../format.ts";
import { useOrder, useSettled } from "../order.ts";
import { closeDialog, notify } from "../overlay.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Bones } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { Check, Field } from "../parts/field.tsx";
import { LogicalDate } from "../parts/time.tsx";
import { useResource } from "../resource.ts";

const REPROCESS = [
  { id: "none", label: "Leave them as they are" },
  { id: "failed", label: "Run those again that failed" },
  { id: "completed", label: "Run all again that are over" },
] as const;

/** How many intervals are listed; of more, only how many. */
const LISTED = 200;

/** Asks for a range, and lists the runs that would be made for it, before they are. */
export function BackfillDialog({ dag }: { readonly dag: string }): JSX.Element {
  const from = useSignal("");
  const to = useSignal("");
  const reprocess = useSignal<string>("none");
  const reverse = useSignal(false);
  const most = useSignal("");
  const order = useOrder();
  const path = `/api/dags/${dag}/backfills`;
  const body = {
    from: from.value,
    to: to.value,
    reprocess: reprocess.value,
    reverse: reverse.value,
    ...most.value === "" ? {} : { max_active_runs: Number(most.value) },
  };
  const isAsked = from.value !== "" && to.value !== "";
  const settled = useSettled(isAsked ? body : undefined);
  const { data, error } = useResource<BackfillPlan | undefined>(
    async () => settled && await post(path, { ...settled, dry_run: true }),
    [dag, JSON.stringify(settled)],
  );
  const plan = isAsked ? data.value : undefined;
  const runs = plan ? plan.create.length + plan.clear.length : 0;
  const start = (): Promise<void> =>
    order.run(async () => {
      const made = await post<BackfillPlan>(path, body);
      notify(`${plural(made.runs.length, "run")} of ${dag} in a backfill.`, "good", {
        label: "See them",
        to: `/dags/${dag}/grid`,
      });
    });
  return (
    <Dialog
      title={`Backfill ${dag}`}
      onSubmit={start}
      actions={
        <>
          <Button onClick={closeDialog}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={runs === 0 || order.busy.value}>
            {runs === 0 ? "Start" : `Start ${plural(runs, "run")}`}
          </Button>
        </>
      }
    >
      <div class="pair">
        <Field label="From" hint="the first logical date">
          <input
            class="input"
            type="date"
            name="from"
            value={from.value}
            onInput={(event) => from.value = event.currentTarget.value}
          />
        </Field>
        <Field label="To" hint="the last one, inclusive">
          <input
            class="input"
            type="date"
            name="to"
            value={to.value}
            onInput={(event) => to.value = event.currentTarget.value}
          />
        </Field>
      </div>
      <Field label="Runs that exist">
        <select
          class="input"
          value={reprocess.value}
          onChange={(event) => reprocess.value = event.currentTarget.value}
        >
          {REPROCESS.map(({ id, label }) => <option key={id} value={id}>{label}</option>)}
        </select>
      </Field>
      <div class="pair">
        <Field label="At once" hint="the DAG's own limit, when empty">
          <input
            class="input"
            type="number"
            min={1}
            value={most.value}
            onInput={(event) => most.value = event.currentTarget.value}
          />
        </Field>
        <Check
          label="Latest first"
          checked={reverse.value}
          onChange={(checked) => reverse.value = checked}
        />
      </div>
      {(order.error.value ?? error.value) && (
        <ErrorBox error={(order.error.value ?? error.value)!} />
      )}
      {!isAsked
        ? <p class="faint">Choose a range to see the runs that it would make.</p>
        : plan
        ? <Planned plan={plan} />
        : !error.value && <Bones height={80} />}
    </Dialog>
  );
}

function Planned({ plan: { create, clear, skip } }: { readonly plan: BackfillPlan }): JSX.Element {
  const parts = [
    create.length > 0 && `makes ${plural(create.length, "run")}`,
    clear.length > 0 && `runs ${count(clear.length)} again`,
    skip.length > 0 && `leaves ${count(skip.length)} as they are`,
  ].filter(Boolean);
  return (
    <section class="listing" aria-label="What it would do">
      <p>
        {parts.length === 0 ? "There is no interval in that range." : `It ${parts.join(", ")}.`}
      </p>
      <ul tabIndex={0} aria-label="Intervals">
        {create.slice(0, LISTED).map(({ start }) => (
          <li key={start}>
            <LogicalDate at={start} />
            <span class="muted">new</span>
          </li>
        ))}
        {clear.slice(0, LISTED).map((run) => (
          <li key={run}>
            <span class="clip">{run}</span>
            <span class="muted">again</span>
          </li>
        ))}
        {skip.slice(0, LISTED).map(({ interval, reason }) => (
          <li key={interval.start}>
            <LogicalDate at={interval.start} />
            <span class="faint">{reason}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
