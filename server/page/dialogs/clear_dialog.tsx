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
import { Check } from "../parts/field.tsx";
import { useResource } from "../resource.ts";
import { type Instance, InstanceList } from "./instance_list.tsx";

/** What is asked about: a run, or only these tasks of it. */
export interface ClearDialogProps {
  readonly run: string;
  readonly tasks?: readonly string[];
}

const CHOICES = [
  { id: "downstream", label: "And those behind them", hint: "all that comes after" },
  { id: "upstream", label: "And those before them", hint: "all that they come after" },
  { id: "past", label: "In earlier runs, too" },
  { id: "future", label: "In later runs, too" },
  { id: "only_failed", label: "Only what failed" },
  { id: "fresh", label: "Download anew", hint: "whatever is kept in the spool" },
] as const;

type Choice = typeof CHOICES[number]["id"];

/** Asks which tasks are to run again, and lists them, before they do. */
export function ClearDialog({ run, tasks }: ClearDialogProps): JSX.Element {
  const chosen = useSignal<Readonly<Partial<Record<Choice, boolean>>>>({ downstream: true });
  const order = useOrder();
  const path = `/api/runs/${run}/clear`;
  const body = { ...chosen.value, ...tasks ? { tasks } : {} };
  const { data, error } = useResource(
    () => post<{ instances: Instance[] }>(path, { ...body, dry_run: true }),
    [run, JSON.stringify(body)],
  );
  const instances = data.value?.instances ?? [];
  const clear = (): Promise<void> =>
    order.run(async () => {
      const { instances } = await post<{ instances: Instance[] }>(path, body);
      notify(`${plural(instances.length, "task")} cleared: they run again.`, "good");
    });
  const choices = tasks ? CHOICES : CHOICES.filter(({ id }) => !/stream/.test(id));
  return (
    <Dialog
      title={`Clear ${tasks?.join(", ") ?? run}`}
      onSubmit={clear}
      actions={
        <>
          <Button onClick={closeDialog}>Cancel</Button>
          <Button
            kind="primary"
            type="submit"
            disabled={instances.length === 0 || order.busy.value}
          >
            {instances.length === 0 ? "Clear" : `Clear ${plural(instances.length, "task")}`}
          </Button>
        </>
      }
    >
      <p class="muted">
        What is cleared runs again, and with it what reads what it puts out. Streams are read from
        the spool: nothing is downloaded twice.
      </p>
      <div class="checks">
        {choices.map(({ id, label, ...rest }) => (
          <Check
            key={id}
            label={label}
            {...rest}
            checked={chosen.value[id] ?? false}
            onChange={(checked) => chosen.value = { ...chosen.value, [id]: checked }}
          />
        ))}
      </div>
      {(order.error.value ?? error.value) && (
        <ErrorBox error={(order.error.value ?? error.value)!} />
      )}
      {data.value
        ? <InstanceList instances={instances} verb="cleared" />
        : !error.value && <Bones height={80} />}
    </Dialog>
  );
}
