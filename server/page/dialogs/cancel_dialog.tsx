import type { JSX } from "preact";
import { get, post } from "../api.ts";
import type { Run } from "../documents.ts";
import { plural, words } from "../format.ts";
import { useOrder } from "../order.ts";
import { closeDialog, notify } from "../overlay.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { Square } from "../parts/square.tsx";
import { useResource } from "../resource.ts";

/** Asks whether a run is to end, and lists what is stopped. */
export function CancelDialog({ run }: { readonly run: string }): JSX.Element {
  const order = useOrder();
  const { data } = useResource((signal) => get<Run>(`/api/runs/${run}`, {}, signal), [run]);
  const open =
    data.value?.tasks.filter(({ state }) =>
      !/^(success|failed|skipped|upstream_failed|removed)$/.test(state)
    ) ?? [];
  const running = open.filter(({ state }) => state === "running").length;
  const cancel = (): Promise<void> =>
    order.run(async () => {
      const { state } = await post<{ state: string }>(`/api/runs/${run}/cancel`);
      notify(state === "failed" ? `${run} was cancelled.` : `${run} is being stopped.`, "good");
    });
  return (
    <Dialog
      title={`Cancel ${run}`}
      onSubmit={cancel}
      actions={
        <>
          <Button onClick={closeDialog}>Leave it</Button>
          <Button kind="danger" type="submit" disabled={order.busy.value}>Cancel the run</Button>
        </>
      }
    >
      <p class="muted">
        {`It ends as failed: ${plural(running, "task")} that ${
          running === 1 ? "runs is" : "run are"
        } stopped, the others do not begin. What a load had not committed is as if it had never been. Teardowns still run.`}
      </p>
      {order.error.value && <ErrorBox error={order.error.value} />}
      {open.length > 0 && (
        <section class="listing" aria-label="What is stopped">
          <ul tabIndex={0} aria-label="Tasks">
            {open.slice(0, 200).map(({ id, state }) => (
              <li key={id}>
                <span class="line">
                  <Square state={state} /> <strong class="clip">{id}</strong>
                </span>
                <span class="faint">{words(state)}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
    </Dialog>
  );
}
