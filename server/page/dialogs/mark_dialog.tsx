import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { post } from "../api.ts";
import { plural } from "../format.ts";
import { useOrder } from "../order.ts";
import { closeDialog, notify } from "../overlay.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Bones } from "../parts/empty.tsx";
import { ErrorBox } from "../parts/error_box.tsx";
import { Segments } from "../parts/field.tsx";
import { useResource } from "../resource.ts";
import { type Instance, InstanceList } from "./instance_list.tsx";

/** What is asked about: a run, or only these tasks of it. */
export interface MarkDialogProps {
  readonly run: string;
  readonly tasks?: readonly string[];
}

type Mark = "success" | "failed";

/** Asks what tasks, or a run, are to be taken for, whatever became of them. */
export function MarkDialog({ run, tasks }: MarkDialogProps): JSX.Element {
  const state = useSignal<Mark>("success");
  const order = useOrder();
  const path = `/api/runs/${run}/mark`;
  const body = { state: state.value, ...tasks ? { tasks } : {} };
  const { data, error } = useResource(
    () => post<{ instances: Instance[] }>(path, { ...body, dry_run: true }),
    [run, JSON.stringify(body)],
  );
  const what = tasks?.join(", ") ?? run;
  const mark = (): Promise<void> =>
    order.run(async () => {
      const { instances } = await post<{ instances: Instance[] }>(path, body);
      const told = tasks ? plural(instances.length, "task") : run;
      notify(`Marked ${told} as ${state.value}.`, "good");
    });
  return (
    <Dialog
      title={`Mark ${what}`}
      onSubmit={mark}
      actions={
        <>
          <Button onClick={closeDialog}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={order.busy.value || !data.value}>
            Mark as {state.value}
          </Button>
        </>
      }
    >
      <Segments<Mark>
        label="As what"
        options={[{ id: "success", label: "A success" }, { id: "failed", label: "Failed" }]}
        value={state.value}
        onChange={(value) => state.value = value}
      />
      <p class="muted">
        Nothing runs for it. What is under way is stopped; what comes after goes by the mark.
      </p>
      {(order.error.value ?? error.value) && (
        <ErrorBox error={(order.error.value ?? error.value)!} />
      )}
      {data.value
        ? <InstanceList instances={data.value.instances} verb="marked" />
        : !error.value && <Bones height={60} />}
    </Dialog>
  );
}
