import type { ComponentChildren, JSX } from "preact";

/** Stands where there is nothing, and says what would be there. */
export function Empty(
  { title, children }: { readonly title: string; readonly children?: ComponentChildren },
): JSX.Element {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {children}
    </div>
  );
}

/** Stands where something is on its way: as high as that will be. */
export function Bones({ height = 120 }: { readonly height?: number }): JSX.Element {
  return <div class="bones" style={{ height: `${height}px` }} aria-label="Loading" role="status" />;
}
