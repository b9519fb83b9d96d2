/** The most that wait. */
const MOST = 4;

/**
 * What has memory of its own, and is used by nobody now: to make another takes some milliseconds, and the collector knows
 * little of such memory.
 */
export class Idle<T> {
  readonly #waiting: T[] = [];

  /** One for which something holds. */
  take(fits: (one: T) => boolean = () => true): T | undefined {
    const at = this.#waiting.findIndex(fits);
    return at < 0 ? undefined : this.#waiting.splice(at, 1)[0];
  }

  /** Leaves one to whoever takes it next. */
  leave(one: T): void {
    if (this.#waiting.push(one) > MOST) this.#waiting.shift();
  }
}
