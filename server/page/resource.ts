import { type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { onEpoch } from "./live.ts";

/** Something read from the server, and read again when something may have been missed. */
export interface Resource<T> {
  /** The last that came; kept while it is read again. */
  readonly data: ReadonlySignal<T | undefined>;
  /** Why the last attempt to read it failed. */
  readonly error: ReadonlySignal<Error | undefined>;
  /** Reads it again. */
  readonly reload: () => Promise<void>;
  /** Puts something else there, such as what an event says. */
  readonly set: (value: T) => void;
}

/** Reads something while a component is there; `keys` say what, and others read anew. */
export function useResource<T>(
  load: (signal: AbortSignal) => Promise<T>,
  keys: readonly unknown[],
): Resource<T> {
  const resource = useMemo(() => make(load), keys);
  useEffect(() => {
    const unsubscribe = onEpoch(() => void resource.reload());
    return () => {
      unsubscribe();
      resource.stop();
    };
  }, [resource]);
  return resource;
}

function make<T>(load: (signal: AbortSignal) => Promise<T>): Resource<T> & { stop: () => void } {
  const data = signal<T | undefined>(undefined);
  const error = signal<Error | undefined>(undefined);
  let current = new AbortController();
  let isReading = false;

  async function reload(): Promise<void> {
    current.abort();
    const mine = current = new AbortController();
    isReading = true;
    try {
      const value = await load(mine.signal);
      if (mine.signal.aborted) return;
      data.value = value;
      error.value = undefined;
    } catch (reason) {
      if (!mine.signal.aborted) error.value = reason as Error;
    } finally {
      if (mine === current) isReading = false;
    }
  }

  return {
    data,
    error,
    reload,
    set(value) {
      data.value = value;
      // What is being read may be from before that.
      if (isReading) reload();
    },
    stop: () => current.abort(),
  };
}
