import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { pause, unpause } from "../dialogs/unpause_dialog.tsx";

/** Whether a DAG starts by itself, to be switched. */
export function PauseSwitch(
  { dag, paused }: { readonly dag: string; readonly paused: boolean },
): JSX.Element {
  const busy = useSignal(false);
  return (
    <button
      type="button"
      class="switch"
      role="switch"
      aria-checked={!paused}
      aria-label={`${dag} starts by itself`}
      title={paused ? "Paused: turn it on" : "On: pause it"}
      disabled={busy.value}
      onClick={async (event) => {
        event.preventDefault();
        busy.value = true;
        const asked = paused ? unpause(dag) : pause(dag);
        // While it is asked in front, the switch itself has nothing to do.
        busy.value = false;
        await asked;
      }}
    />
  );
}
