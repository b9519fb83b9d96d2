import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { post } from "../api.ts";
import { plural } from "../format.ts";
import { attempt, closeDialog, notify, openDialog } from "../overlay.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";

/** What the server says of the end of a pause. */
interface Unpaused {
  readonly due: number;
  readonly held: string | null;
}

/** Pauses a DAG. */
export async function pause(dag: string): Promise<boolean> {
  return await attempt(async () => {
    await post(`/api/dags/${dag}/pause`);
  }, `${dag} is paused: it starts nothing by itself, and what runs finishes`);
}

/** Ends a DAG's pause; where runs start at once by that, it is asked before. */
export async function unpause(dag: string): Promise<boolean> {
  let due = 0;
  let held: string | null = null;
  const known = await attempt(async () => {
    ({ due, held } = await post<Unpaused>(`/api/dags/${dag}/unpause`, { dry_run: true }));
  });
  if (!known) return false;
  if (due === 0) return await confirm(dag, false);
  return await new Promise((resolve) =>
    openDialog(<UnpauseDialog dag={dag} due={due} held={held} onDone={resolve} />)
  );
}

async function confirm(dag: string, all: boolean): Promise<boolean> {
  return await attempt(async () => {
    const { due } = await post<Unpaused>(`/api/dags/${dag}/unpause`, { all });
    notify(due === 0 ? `${dag} is on` : `${dag} is on: ${plural(due, "run")} to start`, "good");
  });
}

/** Says how many runs start before they do. */
function UnpauseDialog(
  { dag, due, held, onDone }: Unpaused & {
    readonly dag: string;
    readonly onDone: (done: boolean) => void;
  },
): JSX.Element {
  const busy = useSignal(false);
  const end = async (): Promise<void> => {
    busy.value = true;
    const done = await confirm(dag, held !== null);
    busy.value = false;
    if (done) closeDialog();
    onDone(done);
  };
  return (
    <Dialog
      title={`Turn ${dag} on?`}
      onSubmit={end}
      actions={
        <>
          <Button kind="quiet" onClick={closeDialog}>Leave it paused</Button>
          <Button kind="primary" type="submit" disabled={busy.value}>
            Start {plural(due, "run")}
          </Button>
        </>
      }
    >
      <p>
        <strong>{plural(due, "run")}</strong> {due === 1 ? "is" : "are"} due and{" "}
        {due === 1 ? "starts" : "start"}{" "}
        at once, as many at a time as the DAG allows. From then on it starts by its schedule.
      </p>
      {held !== null && <p class="muted">{held}</p>}
    </Dialog>
  );
}
