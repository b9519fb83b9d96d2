import { setImmediate } from "node:timers";
import type { Sleep } from "../../engine/mod.ts";

/** A clock that goes on only when told to, and whose wall time can be set. */
export class SimulatedTime {
  /** Milliseconds of the clock that never goes back. */
  elapsed = 0;
  /** When the wall clock was set last, by the other one. */
  jumped = -Infinity;
  #wall: number;
  readonly #sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();

  constructor(start: string) {
    this.#wall = Temporal.Instant.from(start).epochMilliseconds;
  }

  now = (): Temporal.Instant => Temporal.Instant.fromEpochMilliseconds(this.#wall + this.elapsed);
  clock = (): number => this.elapsed;
  sleep: Sleep = (ms, signal) =>
    new Promise((resolve, reject) => {
      const sleeper = { at: this.elapsed + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      signal.addEventListener("abort", () => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason);
      });
    });

  /** Sets the wall clock. */
  jump(ms: number): void {
    this.#wall += ms;
    this.jumped = this.elapsed;
  }

  /** Goes on, waking who is due on the way, each at its moment. */
  async advance(ms: number, settle: () => Promise<void>): Promise<void> {
    const end = this.elapsed + ms;
    for (;;) {
      let next: { readonly at: number; readonly wake: () => void } | undefined;
      for (const sleeper of this.#sleepers) {
        if (sleeper.at <= end && (!next || sleeper.at < next.at)) next = sleeper;
      }
      if (!next) break;
      this.#sleepers.delete(next);
      this.elapsed = Math.max(this.elapsed, next.at);
      next.wake();
      await settle();
    }
    this.elapsed = end;
  }
}

/** One turn of the event loop: all that waits for nothing else happens in it. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(() => resolve()));
}

/**
 * Has files read and written at once, without leaving the turn: so a turn is all it takes to settle, and a seed always gives
 * the same order of things.
 */
export function immediateFiles(): Disposable {
  const { open } = Deno;
  const file = Deno.FsFile.prototype;
  const { read, write, truncate, seek, syncData } = file;
  // deno-lint-ignore require-await -- so that they reject instead of throwing
  Deno.open = async (path, options) => Deno.openSync(path, options);
  // deno-lint-ignore require-await
  file.read = async function (buffer) {
    return this.readSync(buffer);
  };
  // deno-lint-ignore require-await
  file.write = async function (bytes) {
    return this.writeSync(bytes);
  };
  // deno-lint-ignore require-await
  file.truncate = async function (length) {
    this.truncateSync(length);
  };
  // deno-lint-ignore require-await
  file.seek = async function (offset, whence) {
    return this.seekSync(offset, whence);
  };
  file.syncData = async function () {};
  return {
    [Symbol.dispose]() {
      Deno.open = open;
      Object.assign(file, { read, write, truncate, seek, syncData });
    },
  };
}
