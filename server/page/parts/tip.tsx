import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

/** What is told of the thing that is pointed at. */
interface Tip {
  readonly at: DOMRect;
  readonly content: ComponentChildren;
}

const tip = signal<Tip | undefined>(undefined);

/** Tells something of an element that is pointed at. */
export function showTip(element: Element, content: ComponentChildren): void {
  tip.value = { at: element.getBoundingClientRect(), content };
}

/** Nothing is pointed at. */
export function hideTip(): void {
  if (tip.peek()) tip.value = undefined;
}

/** Where it is told: beside what is pointed at, and on the screen. */
export function TipHost(): JSX.Element | null {
  const box = useRef<HTMLDivElement>(null);
  const shown = tip.value;
  useLayoutEffect(() => {
    if (!box.current || !shown) return;
    const { left, top, bottom, width } = shown.at;
    const own = box.current.getBoundingClientRect();
    const x = Math.min(Math.max(8, left + width / 2 - own.width / 2), innerWidth - own.width - 8);
    const above = top - own.height - 8;
    box.current.style.left = `${x}px`;
    box.current.style.top = `${above > 8 ? above : bottom + 8}px`;
  });
  if (!shown) return null;
  return <div ref={box} class="tip" role="tooltip">{shown.content}</div>;
}
