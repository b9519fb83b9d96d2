import type { Sleep } from "./_deadline.ts";

/** However long there is nothing to do: the clock may have been set meanwhile. */
const MAX_SLEEP = 60_000;

/** What an alarm goes by. */
export interface AlarmOptions {
  readonly now: () => Temporal.Instant;
  readonly sleep: Sleep;
}

/** One timer for what is next due. */
export class Alarm {
  readonly #options: AlarmOptions;
  readonly #ring: () => void;
  #set: { readonly due: Temporal.Instant; readonly stop: AbortController } | undefined;

  constructor(options: AlarmOptions, ring: () => void) {
    this.#options = options;
    this.#ring = ring;
  }

  /** Rings once, at a moment or somewhat sooner, instead of when it was to ring before. */
  set(due: Temporal.Instant | undefined): void {
    if (due && this.#set?.due.equals(due)) return;
    this.#set?.stop.abort();
    this.#set = undefined;
    if (!due) return;
    const set = this.#set = { due, stop: new AbortController() };
    const { now, sleep } = this.#options;
    const ms = Math.max(0, Math.ceil(now().until(due).total("milliseconds")));
    sleep(Math.min(ms, MAX_SLEEP), set.stop.signal).then(() => {
      if (this.#set !== set) return;
      this.#set = undefined;
      this.#ring();
    }, () => {});
  }
}
