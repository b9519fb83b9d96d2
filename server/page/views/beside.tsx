import type { ComponentChildren, JSX } from "preact";
import { useRef } from "preact/hooks";

const KEY = "sluice_beside";
const LEAST = 340;

/** Holds a panel beside a view, as wide as its edge was dragged to. */
export function Beside({ children }: { readonly children: ComponentChildren }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const kept = Number(localStorage.getItem(KEY));
  const drag = (event: PointerEvent): void => {
    const edge = event.currentTarget as HTMLElement;
    if (!edge.hasPointerCapture(event.pointerId)) return;
    const width = Math.max(LEAST, Math.min(innerWidth - 320, innerWidth - event.clientX));
    box.current!.style.setProperty("--beside", `${width}px`);
    localStorage.setItem(KEY, String(width));
  };
  return (
    <div
      ref={box}
      class="dag-beside"
      style={kept >= LEAST ? { "--beside": `${Math.min(kept, innerWidth - 320)}px` } : {}}
    >
      <div
        class="dag-edge"
        onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
        onPointerMove={drag}
      />
      {children}
    </div>
  );
}
