/** Below this the compiler may have something of its own. */
export const BASE: number = 1 << 10;
/** What may be written beyond an end, as bytes are copied eight at once. */
const SLACK = 8;
/** What memory is measured in, and the most there is of it. */
export const WASM_PAGE: number = 1 << 16;
const MOST_PAGES = 1 << 16;

const compiled = new Map<string, WebAssembly.Module>();

/**
 * An instance of what kernel/build.ts made of a source, with a memory.
 *
 * @throws {WebAssembly.CompileError} where the source has vectors, and the machine none
 */
export function instantiate<Exports>(code: string, memory: WebAssembly.Memory): Exports {
  let module = compiled.get(code);
  if (!module) {
    module = new WebAssembly.Module(Uint8Array.from(atob(code), (c) => c.charCodeAt(0)));
    compiled.set(code, module);
  }
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
}

/** An instance whose memory grows as it needs. */
export class GrowingMemory<Exports> {
  readonly run: Exports;
  /** All of it; another array when it has grown. */
  bytes!: Uint8Array<ArrayBuffer>;
  ints!: Int32Array<ArrayBuffer>;
  readonly #memory = new WebAssembly.Memory({ initial: 1 });

  constructor(code: string) {
    this.run = instantiate(code, this.#memory);
    this.#look();
  }

  /** Sees that it goes on up to there, at least. @throws {RangeError} where there is no such memory */
  reach(end: number): void {
    const { length } = this.bytes, lacking = Math.ceil((end + SLACK - length) / WASM_PAGE);
    if (lacking <= 0) return;
    const pages = length / WASM_PAGE, more = lacking + Math.ceil(pages / 2);
    this.#memory.grow(Math.max(lacking, Math.min(more, MOST_PAGES - pages)));
    this.#look();
  }

  #look(): void {
    const buffer = this.#memory.buffer as ArrayBuffer;
    this.bytes = new Uint8Array(buffer);
    this.ints = new Int32Array(buffer);
  }
}

/** Where something of eight bytes may lie; not by bits, of which numbers have but 31 for this. */
export function aligned(at: number): number {
  return Math.ceil(at / 8) * 8;
}
