import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { closeDialog, dialog } from "../overlay.ts";
import { Button } from "./button.tsx";

/** What a dialog is given. */
export interface DialogProps {
  readonly title: string;
  /** Its buttons; by default none but the one that closes it. */
  readonly actions?: ComponentChildren;
  readonly wide?: boolean;
  /** What Enter does in a field of it. */
  readonly onSubmit?: () => void;
  readonly children?: ComponentChildren;
}

/** Asks something in front of everything else. Esc, and a click beside it, close it. */
export function Dialog({ title, actions, wide, onSubmit, children }: DialogProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  // Before it is painted: a key pressed as soon as it is seen is its own.
  useLayoutEffect(() => {
    const self = box.current!, before = document.activeElement;
    const first = self.querySelector<HTMLElement>(
      "[autofocus], .body input, .body select, .body textarea, footer button[data-kind=primary]",
    );
    (first ?? self).focus();
    const keep = (event: KeyboardEvent): void => keepFocus(event, self);
    document.addEventListener("keydown", keep);
    return () => {
      document.removeEventListener("keydown", keep);
      (before as HTMLElement | null)?.focus?.();
    };
  }, []);
  return (
    <div
      ref={box}
      class="dialog"
      role="dialog"
      aria-modal="true"
      aria-label={title}
      data-wide={wide ? "" : undefined}
      tabIndex={-1}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          onSubmit?.();
        }}
      >
        <header>
          <h2>{title}</h2>
          <Button kind="quiet" icon="close" label="Close" onClick={closeDialog} />
        </header>
        <div class="body">{children}</div>
        {actions && <footer>{actions}</footer>}
      </form>
    </div>
  );
}

/** Where the dialog is, when there is one. */
export function DialogHost(): JSX.Element | null {
  if (dialog.value === null) return null;
  return (
    <div
      class="veil"
      onMouseDown={(event) => event.target === event.currentTarget && closeDialog()}
    >
      {dialog.value}
    </div>
  );
}

/** Tab goes round inside, and back into it when what had the focus is gone or disabled. */
function keepFocus(event: KeyboardEvent, box: HTMLElement): void {
  if (event.key !== "Tab") return;
  const all = [
    ...box.querySelectorAll<HTMLElement>(
      "a[href], button:not(:disabled), input:not(:disabled), select, textarea, [tabindex='0']",
    ),
  ];
  const at = all.indexOf(document.activeElement as HTMLElement);
  const edge = event.shiftKey ? 0 : all.length - 1;
  if (at >= 0 && at !== edge) return;
  event.preventDefault();
  (event.shiftKey ? all.at(-1) : all[0])?.focus();
}
