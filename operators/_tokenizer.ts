import { type Kernel, type Misshape, MOST_FIELDS } from "./_kernel.ts";

/** How a CSV file marks its fields, as bytes. */
export interface Dialect {
  /** What stands between fields. */
  readonly delimiter: number;
  /** -1 when nothing is quoted. */
  readonly quote: number;
  /** The byte that makes a quote within quotes literal; RFC 4180 doubles the quote itself. */
  readonly escape: number;
}

/** What is wrong with the shape of a file, and on which line. */
export class Malformed extends Error {
  override name = "Malformed";
  /** What a record broke, where the fault is its own. */
  readonly rule: Fault["rule"] | undefined;

  constructor(
    message: string,
    { rule, ...options }: ErrorOptions & Partial<Pick<Fault, "rule">> = {},
  ) {
    super(message, options);
    this.rule = rule;
  }
}

/** A record, or a line, that was refused for its shape. */
export interface Fault {
  /** How many whole records the same scan had found before it. */
  readonly before: number;
  /** Where it lies in the bytes, without its line end. */
  readonly from: number;
  readonly to: number;
  readonly line: number;
  readonly rule: "fields" | "quotes" | "length" | "json";
  readonly message: string;
}

/** How many faults come before a record. */
export function countBefore(faults: readonly Fault[], record: number): number {
  let low = 0, high = faults.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (faults[middle]!.before <= record) low = middle + 1;
    else high = middle;
  }
  return low;
}

const decoder = new TextDecoder();

const LF = 10;
const CR = 13;

/** A field is {@linkcode Tokenizer.quoted}: not at all, plainly, or with escapes inside. */
export const QUOTED = 1, ESCAPED = 2;

/**
 * Finds the fields of CSV records in a block of bytes, as offsets only.
 *
 * RFC 4180, and beyond it: records end with LF, CRLF or CR in any mixture; a quote inside an unquoted field is
 * literal; empty lines are skipped, except where a record has one field. Field `f` of record `r` lies at index
 * `r * width + f` of {@linkcode starts}, {@linkcode ends} and {@linkcode quoted}.
 */
export class Tokenizer {
  /** The offset of each field's first byte, behind an opening quote. */
  starts: Int32Array = new Int32Array(1 << 16);
  /** The offset behind each field's last byte. */
  ends: Int32Array = new Int32Array(1 << 16);
  /** 0, {@linkcode QUOTED} or {@linkcode ESCAPED}, per field. */
  quoted: Uint8Array = new Uint8Array(1 << 16);
  /** Fields of a record; 0 until the first one is read. */
  width = 0;
  /** Whole records found by the last {@linkcode scan}. */
  records = 0;
  /** The line, from 1, on which the next block begins. */
  line = 1;
  /** Takes what is wrong in the bytes of the last {@linkcode scan}, instead of its being thrown. */
  faults: Fault[] | undefined;
  readonly dialect: Dialect;
  readonly #maxFieldBytes: number;
  readonly #kernel: Kernel | undefined;
  #usedQuotes = 0;
  /** Whether the bytes to come still belong to a line that was refused. */
  #refusing = false;

  /** With a kernel, for bytes that lie there, its fields do, too. */
  constructor(dialect: Dialect, maxFieldBytes: number, kernel?: Kernel) {
    this.dialect = dialect;
    this.#maxFieldBytes = maxFieldBytes;
    this.#kernel = kernel;
    if (kernel) ({ starts: this.starts, ends: this.ends, quoted: this.quoted } = kernel);
  }

  /**
   * Finds the whole records in `bytes[from, to)`, at most `limit`, and returns where the rest begins. Writes a
   * sentinel to `bytes[to]`, so the array must be longer than that. `last` says that no more bytes follow.
   *
   * @throws {Malformed} for a record of another width, bytes behind a closing quote, a quote never closed, a field
   * that is too long, a record without end; all but the last are {@linkcode faults}, where these are wanted
   */
  scan(bytes: Uint8Array, from: number, to: number, last: boolean, limit = Infinity): number {
    if (this.#usedQuotes > 0) this.quoted.fill(0, 0, this.#usedQuotes);
    this.#usedQuotes = 0;
    this.records = 0;
    if (this.faults) this.faults.length = 0;
    for (let at = this.#refusing ? this.#goOn(bytes, from, to, last) : from;;) {
      try {
        return this.#findAll(bytes, at, to, last, limit);
      } catch (error) {
        if (!(error instanceof Misshapen)) throw error;
        if (!this.faults) throw new Malformed(error.message, { rule: error.rule });
        this.quoted.fill(0, this.records * this.width, this.#usedQuotes);
        at = this.#refuse(error, bytes, to, last);
        if (at < 0) return error.begin;
        if (limit < Infinity) return at;
      }
    }
  }

  /** What is plain is found in the kernel, if there is one, and each other record here. */
  #findAll(bytes: Uint8Array, from: number, to: number, last: boolean, limit: number): number {
    const kernel = this.#kernel;
    const refuse = this.faults && limit === Infinity
      ? (found: Misshape) => this.#refused(found, bytes, to)
      : undefined;
    // The kernel does not look how long a field is, and need not where none can be too long.
    const bounded = to - from > this.#maxFieldBytes;
    for (let at = from;;) {
      if (bounded || kernel?.bytes !== bytes || kernel.starts !== this.starts) {
        return this.#find(bytes, at, to, last, limit);
      }
      if (this.width > 0) {
        at = kernel.find(this, this.dialect, at, to, limit, refuse);
        this.#usedQuotes = Math.max(this.#usedQuotes, kernel.run.used.value);
        if (this.records >= limit || at >= to) return Math.min(at, to);
        if (kernel.cut && !last) return at;
      }
      const before = this.records;
      const next = this.#find(bytes, at, to, last, before + 1);
      if (next >= to || this.records === before || this.records >= limit) return next;
      at = next;
    }
  }

  /** Takes a record that the kernel has refused for a fault. */
  #refused(found: Misshape, bytes: Uint8Array, end: number): void {
    const { before, from, to, line, fields, junk } = found;
    const rule = fields > 0 ? "fields" : "quotes";
    const what = fields > 0 ? miscount(fields, this.width) : this.#behind(bytes, junk, end);
    this.faults!.push({ before, from, to, line, rule, message: `line ${line} ${what}` });
  }

  #find(bytes: Uint8Array, from: number, to: number, last: boolean, limit: number): number {
    const { delimiter, quote } = this.dialect, most = this.#maxFieldBytes;
    let { starts, ends, width } = this;
    // The longest run of bytes is that of plain ones: one comparison tells them from all that may end a field.
    const top = Math.max(delimiter, CR);
    bytes[to] = LF;
    let first = this.records * width; // the first field of this record
    let n = first; // fields so far
    let begin = from; // the first byte of this record
    let line = this.line; // the line of this record
    let inner = 0; // line ends within quotes in this record
    let i = from;
    while (i < to || (n > first && last)) {
      if (n >= starts.length) {
        if (n === MOST_FIELDS) {
          if (first > 0) break; // what more there is, is left for the next call
          throw new Malformed(`line ${line} has more than ${MOST_FIELDS} fields`);
        }
        this.#grow();
        ({ starts, ends } = this);
      }
      let c = bytes[i]!;
      if (c === quote && i < to) {
        const close = this.#close(bytes, i + 1, to, n);
        if (close < 0) {
          if (-close - 1 > most) this.#unclosed(begin, i, line, inner, false);
          if (last) this.#unclosed(begin, i, line, inner, true);
          break;
        }
        if (close - i - 1 > most) this.#unclosed(begin, i, line, inner, false);
        inner += this.#innerLines;
        starts[n] = i + 1;
        ends[n++] = close;
        i = close + 1;
        if (i >= to && !last) break; // a second quote may follow
        c = bytes[i]!;
        if (c !== delimiter && c !== LF && c !== CR) this.#junk(bytes, begin, i, to, line, inner);
      } else {
        const start = i;
        while (c > top || (c !== delimiter && c !== LF && c !== CR)) c = bytes[++i]!;
        starts[n] = start;
        ends[n++] = i;
        if (i - start > most) this.#endless(begin, i, line, inner);
      }
      if (c === delimiter && i < to) {
        i++;
        continue;
      }
      // The end of a record, or of the bytes.
      if (i >= to && !last) break;
      if (c === CR) {
        if (i + 1 >= to && !last) break; // a line feed may follow
        if (bytes[i + 1] === LF && i + 1 < to) i++;
      }
      i++;
      const fields = n - first;
      if (
        fields === 1 && ends[first] === starts[first] && width !== 1 && this.quoted[first] === 0
      ) {
        n = first; // an empty line
      } else if (fields !== width && width > 0) {
        throw new Misshapen("fields", miscount(fields, width), begin, i, line, inner, true);
      } else {
        this.width = width = fields;
        first = n;
        this.records++;
      }
      line += 1 + inner;
      inner = 0;
      begin = i;
      if (this.records >= limit) break;
    }
    this.line = line;
    return Math.min(begin, to);
  }

  #innerLines = 0;

  /** Finds the quote that closes field `n`; minus the bytes looked at when it is not there. */
  #close(bytes: Uint8Array, from: number, to: number, n: number): number {
    const { quote, escape } = this.dialect;
    const doubled = escape === quote;
    let flag = QUOTED;
    let lines = 0;
    for (let j = from; j < to; j++) {
      const c = bytes[j]!;
      if (c === LF) {
        if (bytes[j - 1] !== CR || j === from) lines++;
      } else if (c === CR) lines++;
      else if (c === quote) {
        if (doubled && j + 1 < to && bytes[j + 1] === quote) {
          flag = ESCAPED;
          j++;
          continue;
        }
        this.quoted[n] = flag;
        this.#usedQuotes = n + 1;
        this.#innerLines = lines;
        return j;
      } else if (c === escape && (bytes[j + 1] === quote || bytes[j + 1] === escape)) {
        flag = ESCAPED;
        j++;
      }
    }
    return from - to - 1;
  }

  /** Makes field `k` of the last {@linkcode scan} count as quoted. */
  markQuoted(k: number): void {
    this.quoted[k] = QUOTED;
    this.#usedQuotes = Math.max(this.#usedQuotes, k + 1);
  }

  #grow(): void {
    const grow = <T extends Int32Array | Uint8Array>(old: T, make: (n: number) => T): T => {
      const wide = make(old.length * 2);
      wide.set(old);
      return wide;
    };
    this.starts = grow(this.starts, (n) => new Int32Array(n));
    this.ends = grow(this.ends, (n) => new Int32Array(n));
    this.quoted = grow(this.quoted, (n) => new Uint8Array(n));
  }

  #unclosed(begin: number, at: number, line: number, inner: number, last: boolean): never {
    const where = last ? "is never closed" : `is not closed within ${this.#maxFieldBytes} bytes ` +
      `(maxFieldBytes)`;
    throw new Misshapen("quotes", where, begin, at, line, inner, false, "the quote opened on ");
  }

  #endless(begin: number, at: number, line: number, inner: number): never {
    const what = `does not end within ${this.#maxFieldBytes} bytes (maxFieldBytes)`;
    throw new Misshapen("length", what, begin, at, line, inner, false, "a field on ");
  }

  #junk(
    bytes: Uint8Array,
    begin: number,
    at: number,
    to: number,
    line: number,
    inner: number,
  ): never {
    throw new Misshapen("quotes", this.#behind(bytes, at, to), begin, at, line, inner, false);
  }

  /** Says what stands behind a closing quote. */
  #behind(bytes: Uint8Array, at: number, to: number): string {
    const text = decoder.decode(bytes.subarray(at, Math.min(to, at + 20)));
    return `has ${JSON.stringify(text)} behind a closing quote, expected ` +
      `${JSON.stringify(String.fromCharCode(this.dialect.delimiter))} or the end of the line`;
  }

  /** Takes a record for a fault, and returns where the next one begins; -1 where that is not there yet. */
  #refuse(
    { rule, message, begin, at, line, inner, whole }: Misshapen,
    bytes: Uint8Array,
    to: number,
    last: boolean,
  ): number {
    const end = whole ? at : endOfLine(bytes, at, to, last);
    if (end < 0 && to - begin <= this.#maxFieldBytes) {
      this.line = line;
      return -1;
    }
    const before = this.records;
    const add = (from: number, to: number, line: number) => {
      to = trimmed(bytes, from, to);
      if (to > from) this.faults!.push({ before, from, to, line, rule, message });
    };
    if (whole) add(begin, end, line);
    // Where quotes cannot be trusted, each line is refused, as it may have been a record of its own.
    for (let from = begin, n = line; !whole && from >= 0 && from < to && from !== end; n++) {
      const next = endOfLine(bytes, from, to, true);
      add(from, next, n);
      from = next;
    }
    this.#refusing = end < 0;
    this.line = line + inner + (end < 0 ? 0 : 1);
    return end < 0 ? to : end;
  }

  /** Passes over the rest of a line that was refused. */
  #goOn(bytes: Uint8Array, from: number, to: number, last: boolean): number {
    const end = endOfLine(bytes, from, to, last);
    if (end < 0) return to;
    this.#refusing = false;
    this.line++;
    return end;
  }
}

/** Thrown, without the cost of a stack, for a record that cannot be read. */
class Misshapen {
  readonly message: string;

  constructor(
    readonly rule: Fault["rule"],
    what: string,
    /** Where the record begins, and where its fault shows; behind it, where it is whole. */
    readonly begin: number,
    readonly at: number,
    /** The line on which it begins, and the line ends up to its fault. */
    readonly line: number,
    readonly inner: number,
    readonly whole: boolean,
    subject = "",
  ) {
    this.message = `${subject}line ${whole ? line : line + inner} ${what}`;
  }
}

/** Says that a record has not as many fields as the first. */
export function miscount(fields: number, width: number): string {
  return `has ${fields} field${fields === 1 ? "" : "s"}, expected ${width}`;
}

/** Where the line behind that of `at` begins; -1 where that is not there yet. */
export function endOfLine(bytes: Uint8Array, at: number, to: number, last: boolean): number {
  let i = at;
  while (i < to && !isEnd(bytes[i]!)) i++;
  if (i >= to) return last ? to : -1;
  if (bytes[i] === LF) return i + 1;
  if (i + 1 >= to && !last) return -1; // a line feed may follow
  return i + 1 < to && bytes[i + 1] === LF ? i + 2 : i + 1;
}

/** Where bytes end without the line ends behind them. */
export function trimmed(bytes: Uint8Array, from: number, to: number): number {
  while (to > from && isEnd(bytes[to - 1]!)) to--;
  return to;
}

/** Whether a byte ends a line. */
export function isEnd(c: number): boolean {
  return c === LF || c === CR;
}
