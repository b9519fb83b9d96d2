import { type Block, fieldText } from "./_block.ts";
import type { Plan } from "./_columns.ts";
import { isUtf8 } from "./_read_text.ts";
import type { Reject, RejectRule } from "./_reject.ts";
import { RejectMemory } from "./_reject_memory.ts";

/** Where a record lies, in bytes and in the source. */
export interface Place {
  readonly line: number;
  readonly from: number;
  readonly to: number;
  readonly offsetOf: ((at: number) => number) | undefined;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** How much of a refused record is kept. */
const MAX_RAW = 1 << 16;

/** Texts that are the same in each reject; then come, for each column, what is before and behind a misfit, and its key. */
const TEXTS = [
  ...['{"record":', ',"line":', ',"from_byte":', ',"to_byte":'],
  ...[',"raw":"', '","bytes":null,"row":', "null}", "}}"],
];
const RAW = 4, BYTES = 5, NO_ROW = 6, END = 7, COLUMNS = TEXTS.length;

/**
 * Room for all of an object but its texts and what it has of the record, as far as that is kept: thrice, each byte as up
 * to six.
 */
const ROOM = 1 << 10, TIMES = 18;

/**
 * Writes rejects as JSON objects, one behind the other, into bytes of their own: a load may have very many of them, and
 * strings, of which each would be several, take much longer and are left to the collector.
 */
export class RejectWriter {
  readonly #memory = new RejectMemory();
  #batch: { bytes: Uint8Array } = { bytes: new Uint8Array(0) };
  #begin = 0;
  /** The plan whose columns the memory knows, how long a record it has room for, and how long all its texts are. */
  #plan: Plan | undefined;
  #longest = 0;
  #texts = 0;
  /** The record as it is written; it lies in the memory so much behind where it was, up to there. */
  #bytes: Uint8Array = new Uint8Array(0);
  #raw: Uint8Array = this.#bytes;
  #shift = 0;
  #end = 0;

  /** Begins an object, of a record that would be a row of a plan; why it is none is to come. */
  begin(plan: Plan, bytes: Uint8Array, record: number, { line, from, to, offsetOf }: Place): void {
    this.#bytes = bytes;
    this.#raw = bytes.subarray(from, Math.min(to, from + MAX_RAW));
    const { length } = this.#raw, memory = this.#memory;
    if (plan !== this.#plan || length > this.#longest) this.#layOut(plan, length);
    memory.room(ROOM + this.#texts + TIMES * length);
    const at = memory.input + fieldBytes(plan);
    memory.bytes.set(this.#raw, at);
    this.#shift = at - from;
    this.#end = at + length;
    this.#begin = memory.written;
    memory.run.numbers(record, line, offsetOf?.(from) ?? NaN, offsetOf?.(to) ?? NaN);
  }

  /** Whether bytes are at hand in the memory. */
  has(bytes: Uint8Array, end: number): boolean {
    return bytes === this.#bytes && end + this.#shift <= this.#end;
  }

  /** Says that a field is not of the type of its column: one that is written as it is, and lies in the memory. */
  misfit(column: number, from: number, to: number): void {
    const { run } = this.#memory, text = COLUMNS + column * 3;
    run.put(text);
    run.quoted(from + this.#shift, to + this.#shift);
    run.put(text + 1);
  }

  /** Says why the record is refused. */
  reason(column: string | null, rule: RejectRule, message: string): void {
    const name = column === null ? "null" : JSON.stringify(column);
    this.#memory.write(
      `,"column_name":${name},"rule":"${rule}","message":${JSON.stringify(message)}`,
    );
  }

  /** Ends an object without values. */
  endWithout(record: number, rule: RejectRule): WrittenReject {
    this.#record();
    this.#memory.run.put(NO_ROW);
    return this.#written(record, rule);
  }

  /** Ends an object, with the values of a row by column, each as text that Postgres reads, if it is any of its type. */
  end(record: number, rule: RejectRule, block: Block, row: number): WrittenReject {
    this.#record();
    const { bytes, fields: { starts, ends, quoted, width } } = block, first = row * width;
    const memory = this.#memory, { run, input } = memory, { columns } = this.#plan!;
    const { length } = columns, flags = input + length * 8;
    const near = this.#bytes === bytes;
    if (near) {
      const { ints, bytes: all } = memory;
      for (let c = 0, k = first, at = input >> 2; c < length; c++, k++, at++) {
        ints[at] = starts[k]!;
        ints[at + length] = ends[k]!;
        all[flags + c] = columns[c]!.spelling ? 255 : quoted[k]!;
      }
    }
    for (let c = 0; c < length; c++) {
      if (near) c = run.members(c, length, input, this.#shift, this.#end);
      if (c === length) break;
      const k = first + c, nothing = starts[k] === ends[k] && !quoted[k];
      const text = nothing ? null : fieldText(block, k).replaceAll("\0", "\ufffd");
      run.put(COLUMNS + c * 3 + 2);
      memory.write(JSON.stringify(text && (columns[c]!.spelling?.(text) ?? text)));
      // It may be of the part of the record that is not kept.
      memory.room(ROOM + this.#texts + TIMES * this.#raw.length);
    }
    run.put(END);
    return this.#written(record, rule);
  }

  /** Gives those that were written since the last time what they are to have for themselves. */
  flush(): void {
    this.#batch.bytes = this.#memory.take().slice();
    this.#batch = { bytes: new Uint8Array(0) };
  }

  #layOut(plan: Plan, longest: number): void {
    this.flush();
    this.#plan = plan;
    this.#longest = Math.max(this.#longest, longest);
    const texts = plan.columns.flatMap(({ name, type }, c) => {
      const json = JSON.stringify(name);
      return [
        `,"column_name":${json},"rule":"type","message":"\\"`,
        `\\" is not of type ${type}"`,
        `${c === 0 ? "{" : ","}${json}:`,
      ];
    });
    this.#texts = this.#memory.layOut(
      [...TEXTS, ...texts],
      fieldBytes(plan) + this.#longest,
    );
    this.#memory.run.keys(COLUMNS + 2, 3);
  }

  /** Writes the record as it is: as text, and what is no text in base64, too. */
  #record(): void {
    const { run } = this.#memory, { at } = run, end = this.#end, before = at.value;
    run.put(RAW);
    if (run.quoted(end - this.#raw.length, end)) return run.put(BYTES);
    at.value = before;
    const text = decoder.decode(this.#raw);
    const isText = !text.includes("\0") && (!text.includes("\ufffd") || isUtf8(this.#raw));
    const shown = JSON.stringify(isText ? text : text.replaceAll("\0", "\ufffd"));
    const bytes = isText ? null : `"${btoa(String.fromCharCode.apply(null, this.#raw as never))}"`;
    this.#memory.write(`,"raw":${shown},"bytes":${bytes},"row":`);
  }

  #written(record: number, rule: RejectRule): WrittenReject {
    const { written } = this.#memory;
    return new WrittenReject(record, rule, this.#batch, this.#begin, written);
  }
}

/** What it takes to say where the fields of a record lie. */
const fieldBytes = ({ columns }: Plan): number => (columns.length * 9 + 7) & ~7;

/** A reject that is JSON already. */
export class WrittenReject implements Reject {
  readonly #in: { readonly bytes: Uint8Array };
  readonly #from: number;
  readonly #to: number;
  #read: Reject | undefined;

  constructor(
    readonly record: number,
    readonly rule: RejectRule,
    within: { readonly bytes: Uint8Array },
    from: number,
    to: number,
  ) {
    this.#in = within;
    this.#from = from;
    this.#to = to;
  }

  get json(): Uint8Array {
    return this.#in.bytes.subarray(this.#from, this.#to);
  }

  get #all(): Reject {
    if (this.#read) return this.#read;
    const text = decoder.decode(this.json), before = ',"row":';
    // What comes before it has its quotes escaped.
    const at = text.indexOf(before), row = text.slice(at + before.length, -1);
    return this.#read = {
      ...JSON.parse(`${text.slice(0, at)}}`),
      row: row === "null" ? null : row,
    };
  }

  get line(): number | null {
    return this.#all.line;
  }

  get from_byte(): number | null {
    return this.#all.from_byte;
  }

  get to_byte(): number | null {
    return this.#all.to_byte;
  }

  get column_name(): string | null {
    return this.#all.column_name;
  }

  get message(): string {
    return this.#all.message;
  }

  get raw(): string {
    return this.#all.raw;
  }

  get bytes(): string | null {
    return this.#all.bytes;
  }

  get row(): string | null {
    return this.#all.row;
  }
}
