import type { JSX } from "preact";

/** Lines on a field of 16 × 16. */
const PATHS = {
  play: "M5 3.5v9l7-4.5z",
  clock: "M8 4.5V8l2.2 1.6M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2z",
  search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.4 10.4l3.1 3.1",
  close: "M4 4l8 8M12 4l-8 8",
  check: "M3 8.5l3.2 3.2L13 5",
  alert: "M8 2.2l6.2 11H1.8zM8 6.4v3.2M8 11.4v.2",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  sun:
    "M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6zM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9",
  moon: "M13 9.6A5.5 5.5 0 0 1 6.4 3 5.5 5.5 0 1 0 13 9.6z",
  system: "M2 3h12v8H2zM5.5 13.5h5M8 11v2.5",
  keys: "M1.5 4h13v8h-13zM4 6.5h.01M6.7 6.5h.01M9.4 6.5h.01M12 6.5h.01M5 9.5h6",
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  left: "M10 4L6 8l4 4",
  flow: "M1.5 6q3.2-3 6.5 0t6.5 0M1.5 10.5q3.2-3 6.5 0t6.5 0",
  table: "M2 3h12v10H2zM2 6.5h12M6.5 6.5V13",
  again: "M13 8a5 5 0 1 1-1.6-3.7M11.8 1.6v2.9H8.9",
} as const;

/** The name of an icon. */
export type IconName = keyof typeof PATHS;

/** A small picture that goes with words, or with a name for those who do not see it. */
export function Icon({ name }: { readonly name: IconName }): JSX.Element {
  return (
    <svg
      class="icon"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width={name === "more" ? 2 : 1.4}
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
