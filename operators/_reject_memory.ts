import { aligned, BASE, GrowingMemory } from "./_growing_memory.ts";
import { REJECTS } from "./kernel/_built.ts";

/** What rejects.as exports. */
interface Exports {
  readonly at: WebAssembly.Global;
  place(texts: number): void;
  keys(first: number, step: number): void;
  put(text: number): void;
  numbers(record: number, line: number, from: number, to: number): void;
  quoted(from: number, to: number): number;
  members(
    column: number,
    columns: number,
    fields: number,
    shift: number,
    end: number,
  ): number;
  rows(from: number, to: number, head: number, before: number): void;
}

const encoder = new TextEncoder();

/** Memory in which rejects are written, as kernel/rejects.as does it: texts, then what it reads, then what it writes. */
export class RejectMemory extends GrowingMemory<Exports> {
  /** Where what is read may lie. */
  input = BASE;
  #output = BASE;

  constructor() {
    super(REJECTS);
  }

  /**
   * Takes texts that come again and again, and leaves room for what is read; what was written is gone. Gives how long
   * the texts are.
   */
  layOut(texts: readonly (string | Uint8Array)[], room: number): number {
    const encoded = texts.map((text) => typeof text === "string" ? encoder.encode(text) : text);
    const table = BASE + encoded.length * 8;
    const length = encoded.reduce((sum, text) => sum + text.length, 0);
    this.input = aligned(table + length);
    this.run.at.value = this.#output = aligned(this.input + room);
    this.room(0);
    let at = table;
    for (const [n, text] of encoded.entries()) {
      this.bytes.set(text, at);
      this.ints.set([at, text.length], (BASE >> 2) + n * 2);
      at += text.length;
    }
    this.run.place(BASE);
    return length;
  }

  /** Sees that there is room for so many bytes to be written. */
  room(more: number): void {
    this.reach(this.run.at.value + more);
  }

  /** Writes a text as it is. */
  write(text: string): void {
    this.room(text.length * 3);
    const { at } = this.run;
    at.value += encoder.encodeInto(text, this.bytes.subarray(at.value)).written;
  }

  /** How many bytes were written. */
  get written(): number {
    return this.run.at.value - this.#output;
  }

  /** What was written; it is gone with what is written next. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.bytes.subarray(this.#output, this.run.at.value);
    this.run.at.value = this.#output;
    return taken;
  }
}
