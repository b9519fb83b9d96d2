import { instantiate, WASM_PAGE } from "./_growing_memory.ts";
import { Idle } from "./_idle.ts";
import { KERNEL } from "./kernel/_built.ts";

/** What kernel.as exports. */
interface Exports {
  readonly records: WebAssembly.Global;
  readonly line: WebAssembly.Global;
  readonly width: WebAssembly.Global;
  readonly used: WebAssembly.Global;
  readonly nulls: WebAssembly.Global;
  readonly plain: WebAssembly.Global;
  readonly high: WebAssembly.Global;
  readonly split: WebAssembly.Global;
  readonly length: WebAssembly.Global;
  readonly cut: WebAssembly.Global;
  readonly faults: WebAssembly.Global;
  readonly mostFaults: WebAssembly.Global;
  place(
    bytes: number,
    starts: number,
    ends: number,
    quoted: number,
    valid: number,
    out: number,
    offsets: number,
    known: number,
    refused: number,
    capacity: number,
  ): void;
  find(
    from: number,
    to: number,
    most: number,
    delimiter: number,
    quote: number,
    escape: number,
  ): number;
  begin(records: number, width: number): void;
  clear(record: number): void;
  integers(column: number, record: number): number;
  bigints(column: number, record: number): number;
  doubles(column: number, record: number): number;
  timestamps(column: number, record: number): number;
  texts(column: number, quote: number, escape: number): void;
}

/** The most fields to find at once, so that a file without line ends cannot fill the memory. */
export const MOST_FIELDS: number = 1 << 20;

/** A record, of one line, that is misshapen. */
export interface Misshape {
  /** How many records the same scan had found before it. */
  readonly before: number;
  /** Where it lies, without its line end. */
  readonly from: number;
  readonly to: number;
  readonly line: number;
  /** How many it has; 0 where quotes cannot be trusted: */
  readonly fields: number;
  /** where what stands behind one that closes a field. */
  readonly junk: number;
}

/** Below this the compiler has its constants. */
const BASE = 1 << 12;
/** What it remembers of numbers. */
const KNOWN = 24 << 12;
/** How many records it refuses at once, and how many numbers it tells of each. */
const MOST_FAULTS = 1 << 10, FAULT = 6;

const idle = new Idle<Kernel>();

/**
 * The loops over each byte of a CSV file, compiled from kernel/kernel.as, with memory of their own: to be used for
 * blocks that lie in {@linkcode bytes} and whose fields lie, as `Fields` has them, in {@linkcode starts}, {@linkcode ends} and
 * {@linkcode quoted}. They take what is plain and stop at what is not; whoever calls them goes on behind it.
 */
export class Kernel {
  /** Room for a block. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where fields lie. */
  readonly starts: Int32Array<ArrayBuffer>;
  readonly ends: Int32Array<ArrayBuffer>;
  readonly quoted: Uint8Array<ArrayBuffer>;
  /** The values of the column that was read last, and where its texts end. */
  readonly ints: Int32Array<ArrayBuffer>;
  readonly bigints: BigInt64Array<ArrayBuffer>;
  readonly doubles: Float64Array<ArrayBuffer>;
  readonly text: Uint8Array<ArrayBuffer>;
  readonly offsets: Int32Array<ArrayBuffer>;
  readonly run: Exports;
  readonly #valid: Uint8Array<ArrayBuffer>;
  readonly #refused: Int32Array<ArrayBuffer>;
  #records = 0;

  private constructor(room: number) {
    let at = BASE;
    const take = (bytes: number): number => {
      const place = at;
      at += (bytes + 15) & ~15;
      return place;
    };
    const bytes = take(room), starts = take(MOST_FIELDS * 4), ends = take(MOST_FIELDS * 4);
    const quoted = take(MOST_FIELDS), valid = take((MOST_FIELDS + 7) >> 3);
    const outBytes = Math.max(room, MOST_FIELDS * 8), out = take(outBytes);
    const offsets = take((MOST_FIELDS + 1) * 4), known = take(KNOWN);
    const refused = take(MOST_FAULTS * FAULT * 4);
    const memory = new WebAssembly.Memory({ initial: Math.ceil(at / WASM_PAGE) });
    this.run = instantiate(KERNEL, memory);
    const places = [bytes, starts, ends, quoted, valid, out, offsets, known, refused] as const;
    this.run.place(...places, MOST_FIELDS);
    const buffer = memory.buffer as ArrayBuffer;
    this.bytes = new Uint8Array(buffer, bytes, room);
    this.starts = new Int32Array(buffer, starts, MOST_FIELDS);
    this.ends = new Int32Array(buffer, ends, MOST_FIELDS);
    this.quoted = new Uint8Array(buffer, quoted, MOST_FIELDS);
    this.#valid = new Uint8Array(buffer, valid, (MOST_FIELDS + 7) >> 3);
    this.ints = new Int32Array(buffer, out, MOST_FIELDS);
    this.bigints = new BigInt64Array(buffer, out, MOST_FIELDS);
    this.doubles = new Float64Array(buffer, out, MOST_FIELDS);
    this.text = new Uint8Array(buffer, out, outBytes);
    this.offsets = new Int32Array(buffer, offsets, MOST_FIELDS + 1);
    this.#refused = new Int32Array(buffer, refused, MOST_FAULTS * FAULT);
  }

  /** With room for a block of so many bytes; undefined where the machine has no room for it, or no vectors. */
  static open(room: number): Kernel | undefined {
    const kernel = idle.take(({ bytes }) => bytes.length === room);
    if (kernel) {
      kernel.quoted.fill(0);
      return kernel;
    }
    try {
      return new Kernel(room);
    } catch (error) {
      if (error instanceof RangeError || error instanceof WebAssembly.CompileError) {
        return undefined;
      }
      throw error;
    }
  }

  /** Leaves it to whoever opens one next. */
  close(): void {
    idle.leave(this);
  }

  /**
   * Finds whole plain records as `Tokenizer.scan` does; returns where the first begins that is none. With `refuse` it is
   * told of those that are misshapen, and goes on behind them.
   */
  find(
    found: { records: number; width: number; line: number },
    { delimiter, quote, escape }: { delimiter: number; quote: number; escape: number },
    from: number,
    to: number,
    limit: number,
    refuse?: (fault: Misshape) => void,
  ): number {
    const { records, width, line, used, find, faults, mostFaults } = this.run;
    records.value = found.records;
    width.value = found.width;
    line.value = found.line;
    used.value = faults.value = 0;
    mostFaults.value = refuse ? MOST_FAULTS : 0;
    const next = find(from, to, Math.min(limit, MOST_FIELDS), delimiter, quote, escape);
    found.records = records.value;
    found.line = line.value;
    const told = this.#refused;
    for (let at = 0, end = faults.value * FAULT; at < end; at += FAULT) {
      refuse!({
        before: told[at]!,
        from: told[at + 1]!,
        to: told[at + 2]!,
        line: told[at + 3]!,
        fields: told[at + 4]!,
        junk: told[at + 5]!,
      });
    }
    return next;
  }

  /** Whether what {@linkcode find} found last is followed by a record whose end is not there. */
  get cut(): boolean {
    return this.run.cut.value !== 0;
  }

  /** Begins to read a column. */
  begin({ records, width }: { records: number; width: number }): this {
    this.#records = records;
    this.run.begin(records, width);
    return this;
  }

  /** Which records of the column have a value. */
  get nulls(): { nullBitmap: Uint8Array<ArrayBuffer> | undefined; nullCount: number } {
    const nullCount = this.run.nulls.value, bytes = (this.#records + 7) >> 3;
    return { nullBitmap: nullCount > 0 ? this.#valid.slice(0, bytes) : undefined, nullCount };
  }

  /** Says that a record has no value. */
  clear(record: number): void {
    this.run.clear(record);
  }
}
