import type { ComponentChildren, JSX } from "preact";
import { Icon, type IconName } from "./icon.tsx";

/** What a button is given. */
export interface ButtonProps {
  readonly onClick?: (event: MouseEvent) => void;
  readonly kind?: "plain" | "primary" | "danger" | "quiet";
  readonly type?: "button" | "submit";
  readonly icon?: IconName;
  /** What it does, where there are no words on it. */
  readonly label?: string;
  readonly disabled?: boolean;
  readonly children?: ComponentChildren;
}

/** A button: an icon, words, or both. */
export function Button(
  { onClick, kind = "plain", type = "button", icon, label, disabled, children }: ButtonProps,
): JSX.Element {
  return (
    <button
      type={type}
      class="button"
      data-kind={kind}
      data-icon={children === undefined ? "" : undefined}
      aria-label={label}
      title={label}
      disabled={disabled}
      onClick={onClick}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}
