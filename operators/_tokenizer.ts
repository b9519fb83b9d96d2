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
}

const LF = 10;
const CR = 13;

/** The most fields to find at once, so that a file without line ends cannot fill the memory. */
const MOST_FIELDS = 1 << 20;

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
  readonly dialect: Dialect;
  readonly #maxFieldBytes: number;
  #usedQuotes = 0;

  constructor(dialect: Dialect, maxFieldBytes: number) {
    this.dialect = dialect;
    this.#maxFieldBytes = maxFieldBytes;
  }

  /**
   * Finds the whole records in `bytes[from, to)`, at most `limit`, and returns where the rest begins. Writes a
   * sentinel to `bytes[to]`, so the array must be longer than that. `last` says that no more bytes follow.
   *
   * @throws {Malformed} for a record of another width, bytes behind a closing quote, a quote never closed, a field
   * or record without end
   */
  scan(bytes: Uint8Array, from: number, to: number, last: boolean, limit = Infinity): number {
    const { delimiter, quote } = this.dialect;
    if (this.#usedQuotes > 0) this.quoted.fill(0, 0, this.#usedQuotes);
    this.#usedQuotes = 0;
    let { starts, ends, width } = this;
    // The longest run of bytes is that of plain ones: one comparison tells them from all that may end a field.
    const top = Math.max(delimiter, CR);
    bytes[to] = LF;
    let n = 0; // fields so far
    let first = 0; // the first field of this record
    let begin = from; // the first byte of this record
    let line = this.line; // the line of this record
    let inner = 0; // line ends within quotes in this record
    let i = from;
    this.records = 0;
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
          if (last || -close > this.#maxFieldBytes) this.#unclosed(line + inner, last);
          break;
        }
        inner += this.#innerLines;
        starts[n] = i + 1;
        ends[n++] = close;
        i = close + 1;
        if (i >= to && !last) break; // a second quote may follow
        c = bytes[i]!;
        if (c !== delimiter && c !== LF && c !== CR) this.#junk(bytes, i, to, line + inner);
      } else {
        const start = i;
        while (c > top || (c !== delimiter && c !== LF && c !== CR)) c = bytes[++i]!;
        starts[n] = start;
        ends[n++] = i;
        if (i >= to && i - start > this.#maxFieldBytes) this.#endless(line + inner);
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
        throw new Malformed(
          `line ${line} has ${fields} field${fields === 1 ? "" : "s"}, expected ${width}`,
        );
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

  #unclosed(line: number, last: boolean): never {
    throw new Malformed(
      last
        ? `the quote opened on line ${line} is never closed`
        : `the quote opened on line ${line} is not closed within ${this.#maxFieldBytes} bytes ` +
          `(maxFieldBytes)`,
    );
  }

  #endless(line: number): never {
    throw new Malformed(
      `a field on line ${line} does not end within ${this.#maxFieldBytes} bytes (maxFieldBytes)`,
    );
  }

  #junk(bytes: Uint8Array, at: number, to: number, line: number): never {
    const text = new TextDecoder().decode(bytes.subarray(at, Math.min(to, at + 20)));
    throw new Malformed(
      `line ${line} has ${JSON.stringify(text)} behind a closing quote, expected ` +
        `${JSON.stringify(String.fromCharCode(this.dialect.delimiter))} or the end of the line`,
    );
  }
}
