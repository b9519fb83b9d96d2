import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

/** A message that goes away by itself. */
export interface Notice {
  readonly id: number;
  readonly tone: "good" | "bad" | "plain";
  readonly text: string;
  /** Where more of it is told. */
  readonly link?: Link;
}

/** A place in the page, and what it is called. */
export interface Link {
  readonly label: string;
  /** Below the page's own base. */
  readonly to: string;
}

/** What is asked in front of everything else; null: nothing. */
export const dialog = signal<ComponentChildren>(null);
/** The messages on screen. */
export const notices = signal<readonly Notice[]>([]);

/** Puts a dialog in front: an element of `Dialog`. The one before it is closed. */
export function openDialog(content: ComponentChildren): void {
  dialog.value = content;
}

/** Takes the dialog away. */
export function closeDialog(): void {
  dialog.value = null;
}

let count = 0;
/** For how many milliseconds; where there is something to do about it, longer. */
const STAY = { good: 5000, plain: 5000, bad: 12_000 };

/** Says something in a corner of the screen, for a while. */
export function notify(text: string, tone: Notice["tone"] = "plain", link?: Link): void {
  const notice = { id: ++count, tone, text, ...link ? { link } : {} };
  notices.value = [...notices.value.slice(-3), notice];
  setTimeout(() => dismiss(notice.id), link ? STAY.bad : STAY[tone]);
}

/** Takes a message away. */
export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

/** Does something, and says so, or why not. True when it was done. */
export async function attempt(what: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await what();
    if (done !== undefined) notify(done, "good");
    return true;
  } catch (error) {
    notify((error as Error).message, "bad");
    return false;
  }
}
