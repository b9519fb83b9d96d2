import { GiveUp } from "../engine/mod.ts";
import type { Fields } from "./_block.ts";
import { option } from "./_option.ts";
import { type Dialect, endOfLine, type Fault, Malformed, QUOTED } from "./_tokenizer.ts";

/** What a value of JSON is, as {@linkcode JsonFields.quoted} has it; 0 is null, or not there. */
export const STRING = QUOTED, NUMBER = 4, TRUTH = 8, NESTED = 16;

const LF = 10, CR = 13, TAB = 9, SPACE = 32, QUOTE = 34, BACKSLASH = 92, COLON = 58, COMMA = 44;
const OPEN = 123, CLOSE = 125, LIST = 91, END_LIST = 93;

/** No byte of text is one of these: what is read has no quotes or escapes left. */
export const BARE: Dialect = { delimiter: -1, quote: -1, escape: -1 };

/** The most columns, and the most fields that are held at once: a line of each new key would else be a square of them. */
const MOST_KEYS = 1 << 13, MOST_FIELDS = 1 << 20;

/** What a key is that no line had before: a column, a fault of its line, or left out. */
type UnknownKeys = "column" | "error" | "ignore";

const NUMBERS = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/;

/**
 * Finds the values of JSON objects (RFC 8259), one to a line, by their keys, as offsets, so that the readers of CSV
 * read them. A string with escapes is written anew into {@linkcode JsonFields.bytes}, behind the lines.
 */
export class JsonFields implements Fields {
  starts: Int32Array = new Int32Array(1 << 12);
  ends: Int32Array = new Int32Array(1 << 12);
  /** The kind of each value. */
  quoted: Uint8Array = new Uint8Array(1 << 12);
  /** How many fields a record has room for, at least one for each key. */
  width = 0;
  records = 0;
  readonly dialect = BARE;
  /** The lines of the last {@linkcode scan}, and behind them what was written anew. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** The line of each record, and where it lies. */
  lines: number[] = [];
  froms: number[] = [];
  tos: number[] = [];
  /** Takes the lines of the last {@linkcode scan} that cannot be read, instead of the first one being thrown. */
  faults: Fault[] | undefined;
  /** Whether the bytes to come still belong to a line that was refused. */
  #refusing = false;
  /** The line on which the next block begins. */
  line = 1;
  readonly keys: string[] = [];
  /** The line on which each key first came. */
  readonly firstLines: number[] = [];
  readonly #columns = new Map<string, number>();
  /** The keys' bytes, as they are mostly written. */
  #written: (Uint8Array | undefined)[] = [];
  /** What a key is that is new. */
  #unknown: UnknownKeys = "column";
  readonly #maxLineBytes: number;
  #free = 0;
  #at = 0;
  #end = 0;

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** Adds columns to those that were found; no record has a value in them yet. */
  append(keys: readonly string[]): void {
    for (const key of keys) this.#add(key);
  }

  /** Says what a key is from now on that no line had before. */
  expect(unknown: UnknownKeys): void {
    this.#unknown = unknown;
  }

  /**
   * Finds the whole lines in `bytes[from, to)`, or as many of them as there is room for; returns where the rest begins.
   *
   * @throws {Malformed} for a bad line
   */
  scan(bytes: Uint8Array<ArrayBuffer>, from: number, to: number, last: boolean): number {
    this.bytes = bytes;
    this.#free = to;
    this.#reset();
    let begin = from, end = to;
    if (this.#refusing) {
      begin = endOfLine(bytes, from, to, last);
      if (begin < 0) return to;
      this.#refusing = false;
      this.line++;
    }
    if (!last) { while (end > begin && bytes[end - 1] !== LF) end--; }
    if (end === begin && to - begin > this.#maxLineBytes) {
      const message = `line ${this.line} does not end within ${this.#maxLineBytes} bytes ` +
        `(maxLineBytes)`;
      this.#refuse(begin, to, "length", new Malformed(message));
      this.#refusing = true;
      return to;
    }
    let at = begin;
    for (; at < end && this.records * this.width < MOST_FIELDS; this.line++) {
      let stop = bytes.indexOf(LF, at);
      if (stop < 0 || stop > end) stop = end;
      this.#at = at;
      this.#end = stop;
      if (this.#space() < stop) this.#record(stop);
      at = stop + 1;
    }
    return Math.min(at, end);
  }

  /** Reads the object on a line. */
  #record(stop: number): void {
    const from = this.#at, known = this.keys.length;
    const to = this.bytes[stop - 1] === CR ? stop - 1 : stop;
    try {
      this.#object();
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.#refuse(from, to, "json", error);
      this.#forget(known);
      return;
    }
    this.lines.push(this.line);
    this.froms.push(from);
    this.tos.push(to);
    this.records++;
  }

  #refuse(from: number, to: number, rule: Fault["rule"], error: Malformed): void {
    if (!this.faults) throw new Malformed(error.message, { cause: error.cause, rule });
    const { records: before, line } = this;
    this.faults.push({ before, from, to, line, rule, message: error.message });
  }

  /** Forgets what was read of a record that was refused, and the columns that it brought. */
  #forget(known: number): void {
    const { width, records } = this;
    for (const array of [this.starts, this.ends, this.quoted]) {
      array.fill(0, records * width, (records + 1) * width);
    }
    for (const key of this.keys.splice(known)) this.#columns.delete(key);
    this.#written.length = this.firstLines.length = known;
  }

  #reset(): void {
    this.records = 0;
    this.width = this.keys.length;
    this.lines = [];
    this.froms = [];
    this.tos = [];
    if (this.faults) this.faults.length = 0;
    this.quoted.fill(0);
    this.starts.fill(0);
    this.ends.fill(0);
  }

  /** Goes to what is no white space; returns where that is. */
  #space(): number {
    const { bytes } = this;
    let c: number;
    while (
      this.#at < this.#end &&
      ((c = bytes[this.#at]!) === SPACE || c === TAB || c === CR)
    ) this.#at++;
    return this.#at;
  }

  /** The next byte that is no white space; 0 at the end of the line. */
  #next(): number {
    return this.#space() < this.#end ? this.bytes[this.#at]! : 0;
  }

  #object(): void {
    if (this.#next() !== OPEN) this.#fail("is no JSON object");
    this.#room((this.records + 1) * this.width);
    const seen = new Set<number>();
    this.#at++;
    if (this.#next() === CLOSE) this.#at++;
    else {
      for (let expected = 0;;) {
        if (this.#next() !== QUOTE) this.#fail("has no key where one is expected");
        const column = this.#key(expected);
        expected = column + 1;
        if (this.#next() !== COLON) this.#fail("has no colon behind a key");
        this.#at++;
        this.#next();
        if (column >= 0) {
          if (seen.has(column)) {
            this.#fail(`has the key ${JSON.stringify(this.keys[column])} twice`);
          }
          seen.add(column);
        }
        this.#value(column);
        const c = this.#next();
        this.#at++;
        if (c === CLOSE) break;
        if (c !== COMMA) {
          this.#at--;
          this.#fail(c === 0 ? "ends within an object" : "has no comma between two values");
        }
      }
    }
    if (this.#next() !== 0) this.#fail("has more than one object");
  }

  /** Reads a key; returns its column, most likely the one expected, or -1. */
  #key(expected: number): number {
    const likely = this.#written[expected];
    const start = this.#at + 1;
    if (
      likely && this.bytes[start + likely.length] === QUOTE && start + likely.length < this.#end &&
      likely.every((c, i) => this.bytes[start + i] === c)
    ) {
      this.#at = start + likely.length + 1;
      return expected;
    }
    const [from, to] = this.#string();
    let key: string;
    try {
      key = strict.decode(this.bytes.subarray(from, to));
    } catch {
      return this.#fail("has a key that is not valid UTF-8");
    }
    const column = this.#columns.get(key);
    if (column !== undefined) return column;
    if (this.#unknown === "ignore") return -1;
    const shown = JSON.stringify(key);
    if (this.#unknown === "error") {
      return this.#fail(
        `has the key ${shown}, which the first lines had not; declare its type to have a column for it, ` +
          `e.g. ${option("types", { [key]: "text" })}, take all as columns: ` +
          `${option("unknownKeys", "column")}, or leave such keys out: ${
            option("unknownKeys", "ignore")
          }`,
      );
    }
    if (this.keys.length === MOST_KEYS) {
      throw new GiveUp(
        `Cannot read JSON lines: line ${this.line} has the key ${shown}, and ${MOST_KEYS} others came before: ` +
          `such keys are values rather than columns; have them within another object, whose column is its JSON`,
      );
    }
    return this.#add(key);
  }

  #add(key: string): number {
    if (this.keys.length === this.width) this.#widen();
    this.#columns.set(key, this.keys.length);
    const bytes = encoder.encode(key);
    // What must be escaped is not found by its bytes.
    const plain = bytes.every((c) => c >= SPACE && c !== QUOTE && c !== BACKSLASH);
    this.#written.push(plain ? bytes : undefined);
    this.firstLines.push(this.line);
    return this.keys.push(key) - 1;
  }

  #value(column: number): void {
    const c = this.bytes[this.#at] ?? 0;
    let start = this.#at, end: number, kind: number;
    if (this.#at >= this.#end) this.#fail("ends where a value is expected");
    if (c === QUOTE) {
      [start, end] = this.#string();
      kind = STRING;
    } else if (c === OPEN || c === LIST) {
      end = this.#nested();
      kind = NESTED;
    } else {
      while (this.#at < this.#end && !isBoundary(this.bytes[this.#at]!)) this.#at++;
      end = this.#at;
      const text = String.fromCharCode(...this.bytes.subarray(start, Math.min(end, start + 4000)));
      if (text === "null") return;
      if (text === "true" || text === "false") kind = TRUTH;
      else if (NUMBERS.test(text) && end - start < 4000) kind = NUMBER;
      else this.#fail(`has ${JSON.stringify(text.slice(0, 40))} where a value is expected`);
    }
    if (column < 0) return;
    const k = this.records * this.width + column;
    this.starts[k] = start;
    this.ends[k] = end;
    this.quoted[k] = kind;
  }

  /** Reads a string; returns where its text lies. */
  #string(): [from: number, to: number] {
    const { bytes } = this;
    const start = ++this.#at;
    let escaped = false;
    for (;; this.#at++) {
      if (this.#at >= this.#end) this.#fail("has a string that does not end");
      const c = bytes[this.#at]!;
      if (c === QUOTE) break;
      if (c === BACKSLASH) {
        escaped = true;
        this.#at++;
      } else if (c < SPACE) this.#fail("has a control character in a string");
    }
    const end = this.#at++;
    if (!escaped) return [start, end];
    let text: string;
    try {
      text = JSON.parse(strict.decode(bytes.subarray(start - 1, end + 1)));
    } catch (cause) {
      return this.#fail("has a string that is no JSON", cause);
    }
    if (!text.isWellFormed()) this.#fail("has a string with half a character (a lone surrogate)");
    return this.#put(encoder.encode(text));
  }

  /** Reads an object or a list; returns where it ends. */
  #nested(): number {
    const { bytes } = this;
    const start = this.#at;
    let depth = 0;
    for (; this.#at < this.#end;) {
      const c = bytes[this.#at]!;
      if (c === QUOTE) {
        for (this.#at++; this.#at < this.#end && bytes[this.#at] !== QUOTE; this.#at++) {
          if (bytes[this.#at] === BACKSLASH) this.#at++;
        }
      } else if (c === OPEN || c === LIST) depth++;
      else if (c === CLOSE || c === END_LIST) depth--;
      this.#at++;
      if (depth === 0) break;
    }
    const end = Math.min(this.#at, this.#end);
    this.#at = end;
    try {
      JSON.parse(strict.decode(bytes.subarray(start, end)));
    } catch (cause) {
      this.#fail("has a value that is no JSON", cause);
    }
    return end;
  }

  /** Puts bytes behind the lines; returns where they lie. */
  #put(text: Uint8Array): [from: number, to: number] {
    const from = this.#free;
    if (from + text.length > this.bytes.length) {
      const wider = new Uint8Array((from + text.length) * 2);
      wider.set(this.bytes.subarray(0, from));
      this.bytes = wider;
    }
    this.bytes.set(text, from);
    return [from, this.#free += text.length];
  }

  #room(fields: number): void {
    if (fields <= this.starts.length) return;
    const grown = <T extends Int32Array | Uint8Array>(array: T, old: T): T => {
      array.set(old);
      return array;
    };
    this.starts = grown(new Int32Array(fields * 2), this.starts);
    this.ends = grown(new Int32Array(fields * 2), this.ends);
    this.quoted = grown(new Uint8Array(fields * 2), this.quoted);
  }

  /** Makes room for more values in each record read so far. */
  #widen(): void {
    const { width, records } = this;
    const wide = width + (width >> 2) + 1;
    this.#room((records + 1) * wide);
    for (const array of [this.starts, this.ends, this.quoted]) {
      for (let r = records; r >= 0; r--) {
        array.copyWithin(r * wide, r * width, r * width + width);
        array.fill(0, r * wide + width, (r + 1) * wide);
      }
    }
    this.width = wide;
  }

  #fail(what: string, cause?: unknown): never {
    throw new Malformed(`line ${this.line} ${what}`, { cause });
  }
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

function isBoundary(c: number): boolean {
  return c === COMMA || c === CLOSE || c === SPACE || c === TAB || c === CR;
}
