import { closeDialog, dialog } from "./overlay.ts";
import { go } from "./router.ts";

/** What a key does, and what to say of it. */
export interface Shortcut {
  /** As `event.key` has it, or two of them one after the other: `"g h"`. */
  readonly keys: string;
  readonly does: string;
  readonly run: () => void;
}

const everywhere: readonly Shortcut[] = [
  { keys: "g h", does: "Go to all DAGs", run: () => go("/") },
  { keys: "g d", does: "Go to the datasets", run: () => go("/datasets") },
  { keys: "/", does: "Search", run: () => focusSearch() },
  { keys: "j", does: "Next row", run: () => step(1) },
  { keys: "k", does: "Previous row", run: () => step(-1) },
];

let local: readonly Shortcut[] = [];

/** Adds what keys do while a view is there, until what it answers is called. Later ones win. */
export function addShortcuts(shortcuts: readonly Shortcut[]): () => void {
  local = [...shortcuts, ...local];
  return () => local = local.filter((one) => !shortcuts.includes(one));
}

/** What keys do here. */
export function allShortcuts(): readonly Shortcut[] {
  const seen = new Set<string>();
  return [...local, ...everywhere].filter(({ keys }) => !seen.has(keys) && seen.add(keys));
}

let before = "";
let timer: ReturnType<typeof setTimeout> | undefined;

/** Does what a key is for, unless somebody is writing. */
export function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
  const { key } = event;
  const target = event.target as HTMLElement;
  const writes = /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  if (key === "Escape") {
    if (dialog.value !== null) return closeDialog();
    if (writes) return target.blur();
  }
  if (writes || dialog.value !== null) return;
  const both = `${before} ${key}`;
  const all = allShortcuts();
  const found = all.find(({ keys }) => keys === both) ?? all.find(({ keys }) => keys === key);
  before = key;
  clearTimeout(timer);
  timer = setTimeout(() => before = "", 1000);
  if (!found) return;
  event.preventDefault();
  before = "";
  found.run();
}

function focusSearch(): void {
  const search = document.querySelector<HTMLInputElement>("input[type=search]");
  search?.focus();
  search?.select();
}

/** Moves the focus among what has `data-row`. */
function step(by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")];
  if (rows.length === 0) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by;
  const row = rows[Math.max(0, Math.min(rows.length - 1, next))]!;
  row.focus();
  row.scrollIntoView({ block: "nearest" });
}
