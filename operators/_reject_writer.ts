import { type Block, fieldText } from "./_block.ts";
import type { Plan } from "./_columns.ts";
import type { Reject, RejectRule } from "./_reject.ts";
import { joined } from "./_window.ts";

/** Where a record lies, in bytes and in the source. */
export interface Place {
  readonly line: number;
  readonly from: number;
  readonly to: number;
  readonly offsetOf: ((at: number) => number) | undefined;
}

const encoder = new TextEncoder(), decoder = new TextDecoder();

const QUOTE = 34, COMMA = 44, ZERO = 48, BACKSLASH = 92, OPEN = 123, CLOSE = 125;

/** Of each byte, whether JSON has it between quotes as it is, and it is a character. */
const BARE = Uint8Array.from(
  { length: 256 },
  (_, c) => c >= 32 && c < 127 && c !== QUOTE && c !== BACKSLASH ? 1 : 0,
);

/** The same of a text. */
const PLAIN = /^[ !#-\[\]-~]*$/;

/** Whether JSON has bytes between quotes as they are. */
export function isBare(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (BARE[bytes[i]!] === 0) return false;
  return true;
}

/**
 * Writes rejects as JSON objects, one behind the other, into bytes of their own: a load may have very many of them, and
 * strings, of which each would be several, take much longer and are left to the collector.
 */
export class RejectWriter {
  #bytes = new Uint8Array(1 << 12);
  #at = 0;
  #begin = 0;
  #batch: { bytes: Uint8Array } = { bytes: this.#bytes };
  /** The names of the columns as keys of JSON, of the plan that was last. */
  #plan: Plan | undefined;
  #keys: readonly Uint8Array[] = [];

  /** Begins an object; its message is to come. */
  begin(
    record: number,
    { line, from, to, offsetOf }: Place,
    column: string | null,
    rule: RejectRule,
  ): void {
    this.#begin = this.#at;
    this.#ascii('{"record":');
    this.#number(record);
    this.#ascii(',"line":');
    this.#number(line);
    this.#ascii(',"from_byte":');
    this.#number(offsetOf?.(from));
    this.#ascii(',"to_byte":');
    this.#number(offsetOf?.(to));
    this.#ascii(',"column_name":');
    this.#json(column);
    this.#ascii(`,"rule":"`);
    this.#ascii(rule);
    this.#ascii('","message":');
  }

  /** A message. */
  message(text: string): void {
    this.#json(text);
  }

  /** A message that begins with bare bytes in quotes. */
  quoting(bytes: Uint8Array, from: number, to: number, rest: string): void {
    this.#ascii('"\\"');
    this.#copy(bytes, from, to);
    this.#ascii('\\"');
    this.#ascii(rest);
    this.#byte(QUOTE);
  }

  /** How the record is written: bare bytes, */
  bare(bytes: Uint8Array, from: number, to: number): void {
    this.#ascii(',"raw":"');
    this.#copy(bytes, from, to);
    this.#ascii('","bytes":null,"row":');
  }

  /** or a text, and what is no text in base64. */
  raw(text: string, bytes: string | null): void {
    this.#ascii(',"raw":');
    this.#json(text);
    this.#ascii(',"bytes":');
    this.#json(bytes);
    this.#ascii(',"row":');
  }

  /** Its values by column, each as text that Postgres reads, if it is any of its type. */
  row(plan: Plan, block: Block, row: number): void {
    const { bytes, fields: { starts, ends, quoted, width } } = block;
    if (plan !== this.#plan) {
      this.#plan = plan;
      this.#keys = plan.columns.map(({ name }) => encoder.encode(`${JSON.stringify(name)}:`));
    }
    for (let c = 0, k = row * width; c < this.#keys.length; c++, k++) {
      this.#byte(c === 0 ? OPEN : COMMA);
      const key = this.#keys[c]!, { spelling } = plan.columns[c]!;
      const start = starts[k]!, end = ends[k]!;
      this.#copy(key, 0, key.length);
      if (start === end && !quoted[k]) this.#ascii("null");
      else if (!spelling && !quoted[k] && isBare(bytes, start, end)) {
        this.#byte(QUOTE);
        this.#copy(bytes, start, end);
        this.#byte(QUOTE);
      } else {
        const text = fieldText(block, k).replaceAll("\0", "\ufffd");
        this.#json(spelling?.(text) ?? text);
      }
    }
    this.#byte(CLOSE);
  }

  /** Ends the object. */
  end(record: number, rule: RejectRule, hasRow: boolean): WrittenReject {
    if (!hasRow) this.#ascii("null");
    this.#byte(CLOSE);
    return new WrittenReject(record, rule, this.#batch, this.#begin, this.#at);
  }

  /** Gives those that were written since the last time what they are to have for themselves. */
  flush(): void {
    if (this.#at === 0) return;
    this.#batch.bytes = this.#bytes.slice(0, this.#at);
    this.#batch = { bytes: this.#bytes };
    this.#at = 0;
  }

  #room(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    this.#bytes = joined(this.#bytes, new Uint8Array(this.#bytes.length + more));
  }

  #byte(c: number): void {
    this.#room(1);
    this.#bytes[this.#at++] = c;
  }

  #ascii(text: string): void {
    this.#room(text.length);
    const to = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < text.length; i++) to[at++] = text.charCodeAt(i);
    this.#at = at;
  }

  #copy(bytes: Uint8Array, from: number, end: number): void {
    this.#room(end - from);
    const to = this.#bytes;
    let at = this.#at;
    for (let i = from; i < end; i++) to[at++] = bytes[i]!;
    this.#at = at;
  }

  #number(n: number | undefined): void {
    if (n === undefined) return this.#ascii("null");
    this.#room(16);
    const to = this.#bytes, begin = this.#at;
    let at = begin;
    for (let rest = n; at === begin || rest > 0; rest = Math.floor(rest / 10)) {
      to[at++] = ZERO + rest % 10;
    }
    this.#at = at;
    for (let i = begin; i < --at; i++) {
      const digit = to[i]!;
      to[i] = to[at]!;
      to[at] = digit;
    }
  }

  #json(text: string | null): void {
    if (text === null) return this.#ascii("null");
    if (PLAIN.test(text)) {
      this.#byte(QUOTE);
      this.#ascii(text);
      return this.#byte(QUOTE);
    }
    const json = JSON.stringify(text);
    this.#room(json.length * 3);
    this.#at += encoder.encodeInto(json, this.#bytes.subarray(this.#at)).written;
  }
}

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
