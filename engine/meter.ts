import { setImmediate } from "node:timers/promises";
import { Edge, Source } from "./source.ts";

/** After how many bytes a stage lets timers and sockets have their turn: some milliseconds' work of those behind it. */
const TURN = 1 << 20;

/** What a stage has moved so far, in numbers that can be sent and kept. */
export interface Reading {
  /** The operator's name. */
  readonly stage: string;
  /** Rows put out so far; 0 where they are not counted. */
  readonly rows: number;
  /** Bytes put out so far. */
  readonly bytes: number;
  /** Records refused so far; not there where none are. */
  readonly rejected?: number | undefined;
  /** Bytes to expect in all, when known. */
  readonly length: number | null;
  /** Milliseconds since the stage was opened, until now or its end. */
  readonly elapsed: number;
  /** Milliseconds it waited for the stage before it. */
  readonly starved: number;
  /** Milliseconds it waited for the stage after it to ask for more. */
  readonly blocked: number;
  /** Whether it has ended. */
  readonly done: boolean;
  /** Whom it waits for outside the pipe, e.g. `"the database"`, and for how many milliseconds so far. */
  readonly outside: { readonly name: string; readonly waited: number } | null;
}

/** Counts what one stage of a pipe puts out, and how long it waits and for whom. */
export class Meter {
  /** The operator's name. */
  readonly stage: string;
  /** Rows put out so far. */
  rows = 0;
  /** Bytes put out so far. */
  bytes = 0;
  /** Records refused so far. */
  rejected = 0;
  /** Bytes to expect in all, when the source says so. */
  length: number | null = null;
  readonly #before: Meter | undefined;
  readonly #now: () => number;
  readonly #opened: number;
  #ended: number | undefined;
  /** How many bytes there were when others last had their turn. */
  #turned = 0;
  #delivering = 0;
  #blocked = 0;
  #since: { readonly state: "delivering" | "blocked"; readonly at: number } | undefined;
  #outside: { name: string; waited: number; since: number | undefined } | null = null;

  /** Opens it; `before` is the meter of the stage it reads from, `now` gives milliseconds. */
  constructor(stage: string, before: Meter | undefined, now: () => number) {
    this.stage = stage;
    this.#before = before;
    this.#now = now;
    this.#opened = now();
  }

  /** Passes a stream on, chunk by chunk as it is asked for, and counts. */
  through<T>(stream: ReadableStream<T>): ReadableStream<T> {
    const reader = stream.getReader();
    const source: UnderlyingDefaultSource<T> = {
      pull: async (controller) => {
        this.#turn("delivering");
        await this.#makeWay();
        const { done, value } = await reader.read();
        if (done) {
          this.end();
          return controller.close();
        }
        this.#turn("blocked");
        this.#count(value);
        controller.enqueue(value);
      },
      cancel: (reason) => {
        this.end();
        return reader.cancel(reason);
      },
    };
    // A source stays one, and an edge, too: what they know of their origin is read behind them.
    if (stream instanceof Source) return new Source(stream.origin, source as never) as never;
    if (!(stream instanceof Edge)) return new ReadableStream(source, { highWaterMark: 0 });
    const { length, origin } = stream;
    const edge = new Edge(source as never, { highWaterMark: 0 });
    return Object.assign(edge, { length, origin }) as never;
  }

  /** Waits for something outside the pipe, on this stage's account. */
  async wait<T>(name: string, what: Promise<T>): Promise<T> {
    const outside = this.#outside ??= { name, waited: 0, since: undefined };
    const nested = outside.since !== undefined;
    if (!nested) outside.since = this.#now();
    try {
      return await what;
    } finally {
      if (!nested) {
        outside.waited += this.#now() - outside.since!;
        outside.since = undefined;
      }
    }
  }

  /** Says that the stage is done. */
  end(): void {
    this.#turn(undefined);
    this.#ended ??= this.#now();
  }

  /** What stands on the meter now. */
  read(): Reading {
    const at = this.#ended ?? this.#now();
    const outside = this.#outside;
    return {
      stage: this.stage,
      rows: this.rows,
      bytes: this.bytes,
      ...this.rejected > 0 && { rejected: this.rejected },
      length: this.length,
      elapsed: at - this.#opened,
      starved: this.#before?.delivering(at) ?? 0,
      blocked: this.#blocked + this.#running("blocked", at),
      done: this.#ended !== undefined,
      outside: outside && {
        name: outside.name,
        waited: outside.waited + (outside.since === undefined ? 0 : at - outside.since),
      },
    };
  }

  /** Where all bytes are at hand, promises alone would go on to the end, and whoever is due meanwhile would wait for it. */
  async #makeWay(): Promise<void> {
    if (this.bytes - this.#turned < TURN) return;
    this.#turned = this.bytes;
    await setImmediate();
  }

  /** Milliseconds the next stage has waited for this one. */
  private delivering(at: number): number {
    return this.#delivering + this.#running("delivering", at);
  }

  #running(state: "delivering" | "blocked", at: number): number {
    return this.#since?.state === state ? Math.max(0, at - this.#since.at) : 0;
  }

  #turn(state: "delivering" | "blocked" | undefined): void {
    const at = this.#now();
    if (this.#since?.state === "delivering") this.#delivering += at - this.#since.at;
    if (this.#since?.state === "blocked") this.#blocked += at - this.#since.at;
    this.#since = state && { state, at };
  }

  #count(chunk: unknown): void {
    if (chunk instanceof Uint8Array) this.bytes += chunk.length;
    else if (typeof chunk === "object" && chunk !== null && "numRows" in chunk) {
      this.rows += Number(chunk.numRows);
    }
  }
}

/** The meters of one attempt, in the order in which its stages were opened. */
export class Meters {
  readonly #all: Meter[] = [];
  readonly #now: () => number;

  /** `now` gives milliseconds of a clock that never goes back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Adds the meter of the next stage. */
  open(stage: string): Meter {
    const meter = new Meter(stage, this.#all.at(-1), this.#now);
    this.#all.push(meter);
    return meter;
  }

  /** How many stages there are. */
  get count(): number {
    return this.#all.length;
  }

  /** Forgets all but the first `count`: what comes behind those begins anew. */
  rewind(count: number): void {
    this.#all.length = count;
  }

  /** What stands on all of them now. */
  read(): Reading[] {
    return this.#all.map((meter) => meter.read());
  }
}
