import { signal } from "@preact/signals";

/** As the system has it, or as it was chosen here. */
export type Theme = "system" | "light" | "dark";

const KEY = "sluice_theme";

/** What was chosen. */
export const theme = signal<Theme>(read());

function read(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

/** Puts the choice on the document, where the style sheet sees it, and keeps it. */
export function applyTheme(choice: Theme = theme.value): void {
  theme.value = choice;
  const { dataset } = document.documentElement;
  if (choice === "system") {
    delete dataset["theme"];
    localStorage.removeItem(KEY);
  } else {
    dataset["theme"] = choice;
    localStorage.setItem(KEY, choice);
  }
}

/** The next choice: system, light, dark. */
export function turnTheme(): void {
  const order: readonly Theme[] = ["system", "light", "dark"];
  applyTheme(order[(order.indexOf(theme.value) + 1) % order.length]!);
}
