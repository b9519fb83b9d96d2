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

/** Below this the compiler may have something of its own. */
const BASE = 1 << 10;
const PAGE = 1 << 16;
/** What is written beyond an end, as bytes are copied eight at once. */
const SLACK = 8;

let compiled: WebAssembly.Module | undefined;
const encoder = new TextEncoder();

/** Memory in which rejects are written, as kernel/rejects.as does it: texts, then what it reads, then what it writes. */
export class RejectMemory {
  readonly run: Exports;
  /** All of it. */
  bytes!: Uint8Array<ArrayBuffer>;
  ints!: Int32Array<ArrayBuffer>;
  readonly #memory = new WebAssembly.Memory({ initial: 1 });
  /** Where what is read may lie. */
  input = BASE;
  #output = BASE;

  constructor() {
    compiled ??= new WebAssembly.Module(Uint8Array.from(atob(REJECTS), (c) => c.charCodeAt(0)));
    const instance = new WebAssembly.Instance(compiled, { env: { memory: this.#memory } });
    this.run = instance.exports as unknown as Exports;
    this.#look();
  }

  /**
   * Takes texts that come again and again, and leaves room for what is read; what was written is gone. Gives how long
   * the texts are.
   */
  layOut(texts: readonly (string | Uint8Array)[], room: number): number {
    const encoded = texts.map((text) => typeof text === "string" ? encoder.encode(text) : text);
    const table = BASE + encoded.length * 8;
    const length = encoded.reduce((sum, text) => sum + text.length, 0);
    this.input = (table + length + SLACK + 7) & ~7;
    this.run.at.value = this.#output = (this.input + room + SLACK + 7) & ~7;
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
    const lacking = this.run.at.value + more + SLACK - this.bytes.length;
    if (lacking <= 0) return;
    this.#memory.grow(Math.ceil((lacking + this.bytes.length / 2) / PAGE));
    this.#look();
  }

  /** Writes a text as it is. */
  write(text: string): void {
    this.room(text.length * 3);
    const { at } = this.run;
    at.value += encoder.encodeInto(text, this.bytes.subarray(at.value)).written;
  }

  #look(): void {
    const buffer = this.#memory.buffer as ArrayBuffer;
    this.bytes = new Uint8Array(buffer);
    this.ints = new Int32Array(buffer);
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
