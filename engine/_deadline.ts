/** Resolves after some milliseconds; rejects when aborted. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

/** Longer timers fire at once. */
const MAX_TIMER = 2 ** 31 - 1;

/** Sleeps on the system's timers. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  for (let left = ms; left > 0; left -= MAX_TIMER) {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        signal.aborted ? reject(signal.reason) : resolve();
      };
      const timer = setTimeout(end, Math.min(left, MAX_TIMER));
      signal.addEventListener("abort", end);
    });
  }
}

/** A timeout that does not count the time in which it is paused. */
export class Deadline implements Disposable {
  readonly #sleep: Sleep;
  readonly #clock: () => number;
  #left: number | undefined;
  #onEnd: () => void = () => {};
  #running: { readonly since: number; readonly stop: AbortController } | undefined;
  #pauses = 0;

  constructor(time: { readonly sleep: Sleep; readonly clock: () => number }) {
    this.#sleep = time.sleep;
    this.#clock = time.clock;
  }

  /** Calls `onEnd` once, after so many milliseconds. */
  start(ms: number, onEnd: () => void): void {
    this.#left = ms;
    this.#onEnd = onEnd;
    this.#run();
  }

  /** Stops the clock until {@linkcode resume} was called as often. */
  pause(): void {
    if (++this.#pauses === 1) this.#halt();
  }

  resume(): void {
    if (--this.#pauses === 0) this.#run();
  }

  [Symbol.dispose](): void {
    this.#halt();
    this.#left = undefined;
  }

  #run(): void {
    if (this.#left === undefined) return;
    const stop = new AbortController();
    this.#running = { since: this.#clock(), stop };
    this.#sleep(this.#left, stop.signal).then(() => {
      if (!stop.signal.aborted) this.#onEnd();
    }, () => {});
  }

  #halt(): void {
    if (!this.#running || this.#left === undefined) return;
    this.#left = Math.max(0, this.#left - (this.#clock() - this.#running.since));
    this.#running.stop.abort();
    this.#running = undefined;
  }
}
