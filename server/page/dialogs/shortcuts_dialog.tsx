import type { JSX } from "preact";
import { Dialog } from "../parts/dialog.tsx";
import { allShortcuts } from "../shortcuts.ts";

/** Tells what keys do. */
export function shortcutsDialog(): JSX.Element {
  return (
    <Dialog title="Shortcuts">
      <dl class="facts keys">
        {[...allShortcuts(), { keys: "Enter", does: "Open what has the focus" }, {
          keys: "Esc",
          does: "Close what is in front",
        }].map(({ keys, does }) => (
          <>
            <dt>{keys.split(" ").map((key) => <kbd key={key}>{key}</kbd>)}</dt>
            <dd>{does}</dd>
          </>
        ))}
      </dl>
    </Dialog>
  );
}
