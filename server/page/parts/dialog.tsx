import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
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
  useEffect(() => {
    const before = document.activeElement;
    const first = box.current?.querySelector<HTMLElement>(
      "[autofocus], .body input, .body select, .body textarea, footer button[data-kind=primary]",
    );
    (first ?? box.current)?.focus();
    return () => (before as HTMLElement | null)?.focus?.();
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
      onKeyDown={keepFocus}
      onMouseDown={(event) => event.target === event.currentTarget && closeDialog()}
    >
      {dialog.value}
    </div>
  );
}

/** Tab goes round inside. */
function keepFocus(event: KeyboardEvent): void {
  if (event.key !== "Tab") return;
  const all = [
    ...(event.currentTarget as Element).querySelectorAll<HTMLElement>(
      "a[href], button:not(:disabled), input:not(:disabled), select, textarea, [tabindex='0']",
    ),
  ];
  const edge = event.shiftKey ? all[0] : all.at(-1);
  if (document.activeElement !== edge) return;
  event.preventDefault();
  (event.shiftKey ? all.at(-1) : all[0])?.focus();
}
