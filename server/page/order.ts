import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { closeDialog } from "./overlay.ts";

/** What a dialog has done: while it is at it, and why it could not be. */
export interface Order {
  readonly busy: Signal<boolean>;
  readonly error: Signal<Error | undefined>;
  /** Has it done, and closes the dialog; what goes wrong is told in it. */
  readonly run: (what: () => Promise<void>) => Promise<void>;
}

/** Something that a dialog can have done. */
export function useOrder(): Order {
  const busy = useSignal(false);
  const error = useSignal<Error | undefined>(undefined);
  return {
    busy,
    error,
    async run(what) {
      if (busy.value) return;
      busy.value = true;
      try {
        await what();
        closeDialog();
      } catch (reason) {
        error.value = reason as Error;
      } finally {
        busy.value = false;
      }
    },
  };
}

/** A value when it has stood still for a moment: so that not each letter asks the server. */
export function useSettled<T>(value: T, ms = 250): T {
  const settled = useSignal(value);
  const key = JSON.stringify(value);
  useEffect(() => {
    const timer = setTimeout(() => settled.value = value, ms);
    return () => clearTimeout(timer);
  }, [key]);
  return settled.value;
}

/** A key that no other request has: asking again with it makes no other run. */
export function freshKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
