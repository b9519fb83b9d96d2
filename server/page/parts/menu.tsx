import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { Button } from "./button.tsx";

/** Something that can be chosen. */
export interface Choice {
  readonly label: string;
  readonly onChoose: () => void;
  readonly kind?: "danger";
}

/** More that can be done, behind a button. */
export function Menu(
  { label, choices }: { readonly label: string; readonly choices: readonly Choice[] },
): JSX.Element {
  const open = useSignal(false);
  const root = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (!open.value) return;
    const close = (event: Event): void => {
      if (!root.current?.contains(event.target as Element)) open.value = false;
    };
    document.addEventListener("pointerdown", close);
    root.current?.querySelector<HTMLElement>("li button")?.focus();
    return () => document.removeEventListener("pointerdown", close);
  }, [open.value]);
  return (
    <div
      class="menu"
      ref={root}
      onKeyDown={(event) => {
        if (event.key === "Escape" && open.value) {
          event.stopPropagation();
          open.value = false;
          root.current?.querySelector("button")?.focus();
        }
        if (event.key === "ArrowDown" || event.key === "ArrowUp") move(event);
      }}
    >
      <Button icon="more" label={label} onClick={() => open.value = !open.value} />
      {open.value && (
        <ul role="menu">
          {choices.map(({ label, onChoose, kind }) => (
            <li key={label} role="none">
              <button
                type="button"
                role="menuitem"
                data-kind={kind}
                onClick={() => {
                  open.value = false;
                  onChoose();
                }}
              >
                {label}
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function move(event: KeyboardEvent): void {
  event.preventDefault();
  const all = [...(event.currentTarget as Element).querySelectorAll<HTMLElement>("li button")];
  const at = all.indexOf(document.activeElement as HTMLElement);
  all[(at + (event.key === "ArrowDown" ? 1 : all.length - 1)) % all.length]?.focus();
}
