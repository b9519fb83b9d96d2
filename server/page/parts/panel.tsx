import type { ComponentChildren, JSX } from "preact";
import { Button } from "./button.tsx";

/** What a panel is given. */
export interface PanelProps {
  readonly title: ComponentChildren;
  /** What stands below the title. */
  readonly subtitle?: ComponentChildren;
  /** Buttons beside the title. */
  readonly actions?: ComponentChildren;
  readonly onClose: () => void;
  readonly children?: ComponentChildren;
}

/** Tells more of one thing, beside what it is a part of; in front of it where there is no room. */
export function Panel({ title, subtitle, actions, onClose, children }: PanelProps): JSX.Element {
  return (
    <aside class="panel">
      <header>
        <div>
          <h2>{title}</h2>
          {subtitle && <div class="muted">{subtitle}</div>}
        </div>
        {actions}
        <Button kind="quiet" icon="close" label="Close the panel" onClick={onClose} />
      </header>
      <div class="body">{children}</div>
    </aside>
  );
}
