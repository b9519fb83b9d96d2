import { type Dialect, isEnd, Malformed, miscount, Tokenizer, trimmed } from "./_tokenizer.ts";

const LF = 10, CR = 13;

/** What a {@linkcode LooseTokenizer} lets pass. */
export interface Looseness {
  /** The byte that begins a line to skip, or -1. */
  readonly comment: number;
  /** Whether records may have fewer fields than the first, or more that are empty. */
  readonly pad: boolean;
}

/**
 * A {@linkcode Tokenizer} that skips comments and takes ragged records, one by one, which is slower.
 *
 * A comment begins a line outside of quotes. A record that is too short is filled up with fields that are empty; one
 * that is too long is cut where all that is cut off is empty and not quoted.
 */
export class LooseTokenizer extends Tokenizer {
  readonly #one: Tokenizer;
  readonly #comment: number;
  readonly #pad: boolean;
  #used = 0;

  constructor(dialect: Dialect, maxFieldBytes: number, { comment, pad }: Looseness) {
    super(dialect, maxFieldBytes);
    this.#one = new Tokenizer(dialect, maxFieldBytes);
    this.#comment = comment;
    this.#pad = pad;
  }

  override scan(
    bytes: Uint8Array,
    from: number,
    to: number,
    last: boolean,
    limit = Infinity,
  ): number {
    this.quoted.fill(0, 0, this.#used);
    this.#used = this.records = 0;
    const one = this.#one;
    if (this.faults) {
      this.faults.length = 0;
      one.faults ??= [];
    }
    let i = from;
    while (i < to && this.records < limit) {
      const end = this.#skip(bytes, i, to, last);
      if (end !== i) {
        if (end < 0) break;
        i = end;
        continue;
      }
      // A record alone may be of any width; where one field is all, an empty line is one.
      one.width = isEnd(bytes[i]!) ? 1 : 0;
      one.line = this.line;
      const next = one.scan(bytes, i, to, last, 1);
      const before = this.records;
      this.faults?.push(...one.faults!.map((fault) => ({ ...fault, before })));
      if (one.records === 0 && next === i) break;
      if (one.records > 0) this.#take(bytes, i, next);
      this.line = one.line;
      i = next;
    }
    return i;
  }

  override markQuoted(k: number): void {
    super.markQuoted(k);
    this.#used = Math.max(this.#used, k + 1);
  }

  /** Where the line behind a comment or an empty line begins; `at` where there is none, -1 where more is needed. */
  #skip(bytes: Uint8Array, at: number, to: number, last: boolean): number {
    let i = at;
    if (bytes[i] === this.#comment) { while (i < to && !isEnd(bytes[i]!)) i++; }
    else if (!isEnd(bytes[i]!) || this.width === 1) return at;
    if (i + (bytes[i] === CR ? 1 : 0) >= to && !last) return -1;
    this.line++;
    if (i >= to) return to;
    return bytes[i] === CR && i + 1 < to && bytes[i + 1] === LF ? i + 2 : i + 1;
  }

  /** Adds the one record that was read to those there are, or to the faults. */
  #take(bytes: Uint8Array, from: number, to: number): void {
    const { starts, ends, quoted, width: found } = this.#one;
    const at = this.records * this.width;
    const width = this.width ||= found;
    let kept = found;
    if (found > width && this.#pad) {
      while (kept > width && starts[kept - 1] === ends[kept - 1] && !quoted[kept - 1]) kept--;
    }
    if (kept > width || (kept < width && !this.#pad)) {
      const message = `line ${this.line} ${miscount(found, width)}` +
        (this.#pad ? `; what is too much is not empty` : "");
      if (!this.faults) throw new Malformed(message, { rule: "fields" });
      const { records: before, line } = this;
      const end = trimmed(bytes, from, to);
      return void this.faults.push({ before, from, to: end, line, rule: "fields", message });
    }
    if (at + width > this.starts.length) this.#room(at + width);
    const place = ends[found - 1]!;
    for (let f = 0; f < width; f++) {
      this.starts[at + f] = f < kept ? starts[f]! : place;
      this.ends[at + f] = f < kept ? ends[f]! : place;
      this.quoted[at + f] = f < kept ? quoted[f]! : 0;
    }
    this.#used = at + width;
    this.records++;
  }

  #room(fields: number): void {
    const wide = <T extends Int32Array | Uint8Array>(array: T, old: T): T => {
      array.set(old);
      return array;
    };
    const length = fields * 2;
    this.starts = wide(new Int32Array(length), this.starts);
    this.ends = wide(new Int32Array(length), this.ends);
    this.quoted = wide(new Uint8Array(length), this.quoted);
  }
}
