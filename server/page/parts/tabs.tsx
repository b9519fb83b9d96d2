import type { JSX } from "preact";
import { base } from "../api.ts";

/** Views of the same thing: each a link. */
export function Tabs(
  { tabs, current }: {
    readonly tabs: readonly { readonly id: string; readonly label: string; readonly to: string }[];
    readonly current: string;
  },
): JSX.Element {
  return (
    <nav class="tabs" aria-label="Views">
      {tabs.map(({ id, label, to }) => (
        <a key={id} href={base + to} aria-current={id === current ? "page" : undefined}>{label}</a>
      ))}
    </nav>
  );
}
