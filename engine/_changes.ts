import { Bell } from "./_bell.ts";
import { follow } from "./store.ts";

/** A DAG that is not as it was. */
export interface DagChange {
  /** Of the DAG. */
  readonly id: string;
  /** Whether it was added, replaced by another version, or removed; else only its status is another. */
  readonly defined: boolean;
}

/** When a DAG changed last, and when its definition did, by number. */
interface Noted {
  readonly seq: number;
  readonly defined: number;
}

/** Keeps which DAGs changed, for those who watch: each once, however often. */
export class Changes implements Disposable {
  readonly #bell = new Bell();
  readonly #closed = new AbortController();
  /** Those that changed last are last. */
  readonly #noted = new Map<string, Noted>();
  #seq = 0;

  /** A DAG is not as it was. */
  note(id: string, defined = false): void {
    const seq = ++this.#seq;
    const before = this.#noted.get(id);
    this.#noted.delete(id);
    this.#noted.set(id, { seq, defined: defined ? seq : before?.defined ?? 0 });
    this.#bell.ring();
  }

  /** The changes from now on. */
  watch(signal: AbortSignal): AsyncIterable<DagChange> {
    const stop = AbortSignal.any([signal, this.#closed.signal]);
    const read = (after: number) =>
      [...this.#noted].filter(([, { seq }]) => seq > after)
        .map(([id, { seq, defined }]) => ({ id, seq, defined: defined > after }));
    return follow({ read, wait: () => this.#bell.wait(stop) }, this.#seq, stop);
  }

  /** Ends those who watch. */
  [Symbol.dispose](): void {
    this.#closed.abort();
  }
}
