// The loops that see each byte of a CSV file, in AssemblyScript; `deno task kernel` compiles them.
//
// They take what is plain, which is nearly all, and stop at what is not: that is looked at in _tokenizer.ts and in
// the readers, which go on here behind it. Records lie as _block.ts has them.

const LF: i32 = 10, CR: i32 = 13, QUOTED: u8 = 1, ESCAPED: u8 = 2;

/** Where what is read lies, and what is made of it; all set once. */
let bytes: usize, starts: usize, ends: usize, quoted: usize, valid: usize, out: usize, offsets: usize, known: usize,
  refused: usize, capacity: i32;

/** What the last calls found. */
export let records: i32 = 0;
export let line: i32 = 0;
export let width: i32 = 0;
/** Behind the last field that was quoted. */
export let used: i32 = 0;
/** How many records have no value. */
export let nulls: i32 = 0;
/** Whether each value prints back as it is written. */
export let plain: i32 = 1;
/** Of a text: all of its bytes, and the first record that begins in the middle of a character. */
export let high: i32 = 0;
export let split: i32 = -1;
/** Behind the last byte of a text. */
export let length: i32 = 0;
/** 1 where the bytes ended within a record. */
export let cut: i32 = 0;
/** How many records were refused for their shape, and how many may be at most. */
export let faults: i32 = 0;
export let mostFaults: i32 = 0;

export function place(
  b: usize, s: usize, e: usize, q: usize, v: usize, o: usize, f: usize, n: usize, r: usize, fields: i32,
): void {
  bytes = b; starts = s; ends = e; quoted = q; valid = v; out = o; offsets = f; known = n; refused = r; capacity = fields;
}

@inline
function marks16(at: i32, d: v128, lf: v128, cr: v128): u64 {
  const v = v128.load(bytes + at);
  return <u64><u32>i8x16.bitmask(v128.or(v128.or(i8x16.eq(v, d), i8x16.eq(v, lf)), i8x16.eq(v, cr)));
}

/** One bit for each of 64 bytes, 1 for what may end a field. */
@inline
function marks(at: i32, d: v128, lf: v128, cr: v128): u64 {
  return marks16(at, d, lf, cr) | marks16(at + 16, d, lf, cr) << 16 | marks16(at + 32, d, lf, cr) << 32 |
    marks16(at + 48, d, lf, cr) << 48;
}

// A record that was refused: how many were found before it, where it begins and ends, its line, how many fields it has, or
// 0 where there is text behind a closing quote, and where that begins.
const FAULT: usize = 24;

/** Refuses a record for its shape; returns where the next begins, 0 for one that is not whole or has more than one line. */
function refuse(from: i32, to: i32, delimiter: i32, quote: i32, escape: i32): i32 {
  if (faults >= mostFaults) return 0;
  let i = from, count = 0, junk = 0, c: i32;
  for (;;) {
    c = <i32>load<u8>(bytes + i);
    if (c == quote) {
      for (i++;; i++) {
        if (i >= to) return 0;
        c = <i32>load<u8>(bytes + i);
        if (c == LF || c == CR) return 0; // more than one line
        const next = <i32>load<u8>(bytes + i + 1);
        if (c == quote) {
          if (escape != quote || next != quote) break;
          i++;
        } else if (c == escape && (next == quote || next == escape)) i++;
      }
      c = <i32>load<u8>(bytes + ++i);
      if (c != delimiter && c != LF && c != CR && junk == 0) junk = i;
    }
    while ((c != delimiter || junk > 0) && c != LF && c != CR) c = <i32>load<u8>(bytes + ++i);
    if (i >= to) return 0;
    count++;
    if (c != delimiter || junk > 0) break;
    i++;
  }
  const end = i++;
  if (c == CR) {
    if (i >= to) return 0; // a line feed may follow
    if (<i32>load<u8>(bytes + i) == LF) i++;
  }
  const fault = refused + <usize>faults * FAULT;
  faults++;
  store<i32>(fault, records);
  store<i32>(fault, from, 4);
  store<i32>(fault, end, 8);
  store<i32>(fault, line++, 12);
  store<i32>(fault, junk > 0 ? 0 : count, 16);
  store<i32>(fault, junk, 20);
  return i;
}

/** Finds whole records of `width` fields from `from` on, and returns where the first begins that is none. */
export function find(from: i32, to: i32, most: i32, delimiter: i32, quote: i32, escape: i32): i32 {
  const d = i8x16.splat(<i8>delimiter), lf = i8x16.splat(10), cr = i8x16.splat(13);
  const doubled = escape == quote;
  cut = 0;
  store<u8>(bytes + to, LF);
  let first = records * width, n = first, begin = from, start = from, inner = 0;
  let base = from, mask = marks(base, d, lf, cr);
  while (begin < to && records < most && first + width <= capacity) {
    let i: i32, c: i32, misshapen = false;
    if (<i32>load<u8>(bytes + start) == quote) {
      let j = start + 1, lines = 0, flag = QUOTED;
      for (;; j++) {
        if (j >= to) {
          cut = 1;
          return begin;
        }
        const c = <i32>load<u8>(bytes + j);
        if (c == LF) {
          if (<i32>load<u8>(bytes + j - 1) != CR || j == start + 1) lines++;
        } else if (c == CR) lines++;
        else if (c == quote) {
          if (!doubled || <i32>load<u8>(bytes + j + 1) != quote || j + 1 >= to) break;
          flag = ESCAPED;
          j++;
        } else if (c == escape) {
          const next = <i32>load<u8>(bytes + j + 1);
          if (next == quote || next == escape) {
            flag = ESCAPED;
            j++;
          }
        }
      }
      store<i32>(starts + (<usize>n << 2), start + 1);
      store<i32>(ends + (<usize>n << 2), j);
      store<u8>(quoted + n, flag);
      used = n + 1;
      inner += lines;
      i = j + 1;
      c = <i32>load<u8>(bytes + i);
      misshapen = c != delimiter && c != LF && c != CR;
      base = i;
      mask = marks(base, d, lf, cr);
      mask &= mask - 1;
    } else {
      do {
        while (mask == 0) mask = marks(base += 64, d, lf, cr);
        i = base + <i32>ctz(mask);
        mask &= mask - 1;
      } while (i < start); // the line feed behind a carriage return
      store<i32>(starts + (<usize>n << 2), start);
      store<i32>(ends + (<usize>n << 2), i);
      c = <i32>load<u8>(bytes + i);
    }
    if (i >= to) {
      cut = 1;
      return begin;
    }
    n++;
    if (c == delimiter) {
      if (n - first < width) {
        start = i + 1;
        continue;
      }
      misshapen = true;
    }
    if (!misshapen) {
      if (c == CR) {
        if (i + 1 >= to) {
          cut = 1;
          return begin; // a line feed may follow
        }
        if (<i32>load<u8>(bytes + i + 1) == LF) i++;
      }
      i++;
      if (
        n - first == 1 && width != 1 && load<i32>(starts + (<usize>first << 2)) == load<i32>(ends + (<usize>first << 2)) &&
        load<u8>(quoted + first) == 0
      ) {
        n = first; // an empty line
      } else if (n - first != width) misshapen = true;
      else {
        first = n;
        records++;
      }
    }
    if (misshapen) {
      i = refuse(begin, to, delimiter, quote, escape);
      if (i == 0) return begin;
      memory.fill(quoted + first, 0, width);
      n = first;
      base = i;
      mask = marks(base, d, lf, cr);
    } else line += 1 + inner;
    inner = 0;
    begin = start = i;
  }
  return begin;
}

/** Begins with a column. */
export function begin(r: i32, w: i32): void {
  records = r;
  width = w;
  nulls = 0;
  plain = 1;
}

export function clear(r: i32): void {
  if (nulls++ == 0) memory.fill(valid, 255, (records + 7) >> 3);
  const at = valid + (r >> 3);
  store<u8>(at, load<u8>(at) & ~(<u8>1 << <u8>(r & 7)));
}

// Each returns the first record from `r` on whose field is not plain, and the number of records where all are.

/** A whole number of at most 15 digits without a leading zero; i64.MIN_VALUE for anything else. */
@inline
function whole(p: usize, end: usize): i64 {
  const negative = load<u8>(p) == 45;
  if (negative) p++;
  const digits = end - p;
  if (digits - 1 >= 15 || (load<u8>(p) == 48 && (digits > 1 || negative))) return i64.MIN_VALUE;
  let value: i64 = 0;
  for (; p < end; p++) {
    const digit = <u32>load<u8>(p) - 48;
    if (digit > 9) return i64.MIN_VALUE;
    value = value * 10 + digit;
  }
  return negative ? -value : value;
}

const POWERS = memory.data<f64>([
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
]);

/** A decimal of at most 15 digits without a leading zero or an exponent; NaN for anything else. */
function decimal(p: usize, end: usize): f64 {
  const negative = load<u8>(p) == 45;
  if (negative) p++;
  const from = p;
  let mantissa: i64 = 0, point: usize = 0;
  for (; p < end; p++) {
    const c = <u32>load<u8>(p), digit = c - 48;
    if (digit <= 9) mantissa = mantissa * 10 + digit;
    else if (c == 46 && point == 0) point = p;
    else return NaN;
  }
  const fraction: usize = point == 0 ? 0 : p - point - 1;
  const digits: usize = p - from - (point == 0 ? 0 : 1);
  // Up to 15 digits the mantissa and the power are exact, so their quotient is rounded once (Clinger, 1990).
  if (digits - 1 >= 15 || (load<u8>(from) == 48 && digits - fraction > 1)) return NaN;
  const value = <f64>mantissa / load<f64>(POWERS + (fraction << 3));
  return negative ? -value : value;
}

/** Whether Postgres prints a decimal as it is written. */
function printsBack(start: usize, end: usize): bool {
  const first = load<u8>(start), last = load<u8>(end - 1);
  if (first > 48 && last > 48) return true;
  const from = first == 45 ? start + 1 : start;
  const head = load<u8>(from);
  if (head == 46 || last == 46) return false;
  if (head == 48) {
    if (end - from == 1) return from == start; // as numeric there is no -0
    if (last == 48) return false;
    // What is less than 0.0001 gets an exponent.
    for (let p = from + 2; p < end && p < from + 6; p++) if (load<u8>(p) != 48) return true;
    return false;
  }
  // A fraction does not end in zeros.
  if (last == 48) { for (let p = start; p < end; p++) if (load<u8>(p) == 46) return false; }
  return true;
}

// Numbers of a table are short and come again and again: what up to eight bytes stand for is remembered. An entry is
// the bytes (8), the decimal (8), their number (4), and whether it prints back (1).
const ENTRY: usize = 24, SLOTS: u64 = 12;

/** The entry of 1 to 8 bytes. */
@inline
function remembered(start: usize, end: usize): usize {
  const length = end - start;
  const key = load<u64>(end - 8) >> <u64>((8 - length) << 3);
  const entry = known + <usize>((key * 0x9e3779b97f4a7c15) >> (64 - SLOTS)) * ENTRY; // multiplicative hashing (Knuth)
  if (load<u64>(entry) != key || load<u32>(entry, 16) != <u32>length) remember(entry, key, start, end);
  return entry;
}

function remember(entry: usize, key: u64, start: usize, end: usize): void {
  store<u64>(entry, key);
  store<f64>(entry, decimal(start, end), 8);
  store<u32>(entry, <u32>(end - start), 16);
  store<u8>(entry, <u8>printsBack(start, end), 20);
}

export function integers(column: i32, r: i32): i32 {
  let k = <usize>(r * width + column);
  for (; r < records; r++, k += width) {
    const start = load<i32>(starts + (k << 2)), end = load<i32>(ends + (k << 2));
    let value: i64 = 0;
    if (start == end) {
      if (load<u8>(quoted + k)) return r;
      clear(r);
    } else {
      value = whole(bytes + start, bytes + end);
      if (value < i32.MIN_VALUE || value > i32.MAX_VALUE) return r;
    }
    store<i32>(out + (<usize>r << 2), <i32>value);
  }
  return r;
}

export function bigints(column: i32, r: i32): i32 {
  let k = <usize>(r * width + column);
  for (; r < records; r++, k += width) {
    const start = load<i32>(starts + (k << 2)), end = load<i32>(ends + (k << 2));
    let value: i64 = 0;
    if (start == end) {
      if (load<u8>(quoted + k)) return r;
      clear(r);
    } else {
      value = whole(bytes + start, bytes + end);
      if (value == i64.MIN_VALUE) return r;
    }
    store<i64>(out + (<usize>r << 3), value);
  }
  return r;
}

export function doubles(column: i32, r: i32): i32 {
  let k = <usize>(r * width + column);
  for (; r < records; r++, k += width) {
    const start = load<i32>(starts + (k << 2)), end = load<i32>(ends + (k << 2));
    let value: f64 = 0;
    if (start == end) {
      if (load<u8>(quoted + k)) return r;
      clear(r);
    } else if (end - start <= 8) {
      const entry = remembered(bytes + start, bytes + end);
      value = load<f64>(entry, 8);
      plain &= <i32>load<u8>(entry, 20);
    } else {
      value = decimal(bytes + start, bytes + end);
      if (plain && !printsBack(bytes + start, bytes + end)) plain = 0;
    }
    if (value != value) return r;
    store<f64>(out + (<usize>r << 3), value);
  }
  return r;
}

/** Two digits as a number, at least 100 for anything else. */
@inline
function pair(p: usize): u32 {
  const tens = <u32>load<u8>(p) - 48, ones = <u32>load<u8>(p, 1) - 48;
  return tens <= 9 && ones <= 9 ? tens * 10 + ones : 1000;
}

const MONTH_DAYS = memory.data<u8>([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]);

/** Days since 1970 of `YYYY-MM-DD`; i32.MIN_VALUE for anything else. */
function days(p: usize): i32 {
  if (load<u8>(p, 4) != 45 || load<u8>(p, 7) != 45) return i32.MIN_VALUE;
  const century = pair(p), years = pair(p + 2), month = pair(p + 5), day = pair(p + 8);
  if (century > 99 || years > 99) return i32.MIN_VALUE;
  const year = century * 100 + years;
  if (year < 1 || month < 1 || month > 12 || day < 1) return i32.MIN_VALUE;
  const leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  if (day > <u32>load<u8>(MONTH_DAYS + month) + (leap ? 1 : 0)) return i32.MIN_VALUE;
  // Days of the proleptic Gregorian calendar, years counted from March (Hinnant, chrono-compatible date algorithms).
  const y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
  return <i32>(365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day) - 719469;
}

export function timestamps(column: i32, r: i32): i32 {
  let k = <usize>(r * width + column);
  let date: u64 = 0, tail: u16 = 0, day: i32 = i32.MIN_VALUE;
  for (; r < records; r++, k += width) {
    const start = load<i32>(starts + (k << 2)), end = load<i32>(ends + (k << 2));
    const length = end - start;
    if (length == 0) {
      if (load<u8>(quoted + k)) return r;
      clear(r);
      store<i64>(out + (<usize>r << 3), 0);
      continue;
    }
    if (length < 19 || length > 26 || length == 20) return r;
    const p = bytes + start;
    // Rows in a row are mostly of one day.
    if (load<u64>(p) != date || load<u16>(p, 8) != tail) {
      day = days(p);
      date = load<u64>(p);
      tail = load<u16>(p, 8);
    }
    if (day == i32.MIN_VALUE) return r;
    const between = load<u8>(p, 10);
    if ((between != 32 && between != 84) || load<u8>(p, 13) != 58 || load<u8>(p, 16) != 58) return r;
    const hour = pair(p + 11), minute = pair(p + 14), second = pair(p + 17);
    if (hour > 23 || minute > 59 || second > 59) return r;
    let micros: i64 = 0;
    if (length > 19) {
      if (load<u8>(p, 19) != 46) return r;
      for (let i = 20; i < 26; i++) {
        const digit = i < length ? <u32>load<u8>(p + i) - 48 : 0;
        if (digit > 9) return r;
        micros = micros * 10 + digit;
      }
    }
    const seconds = <i64>day * 86400 + <i64>(hour * 3600 + minute * 60 + second);
    store<i64>(out + (<usize>r << 3), seconds * 1000000 + micros);
    if (between != 32 || (length > 19 && load<u8>(bytes + end - 1) == 48)) plain = 0;
  }
  return r;
}

/** Copies texts without their escapes, and says where each ends. */
export function texts(column: i32, quote: i32, escape: i32): void {
  let k = <usize>column, at: usize = out;
  high = 0;
  split = -1;
  for (let r = 0; r < records; r++, k += width) {
    const start = load<i32>(starts + (k << 2)), end = load<i32>(ends + (k << 2));
    const flag = load<u8>(quoted + k);
    if (start == end) {
      if (flag == 0) clear(r);
    } else {
      if (split < 0 && (load<u8>(bytes + start) & 0xc0) == 0x80) split = r;
      if (flag == ESCAPED) {
        for (let i = start; i < end; i++) {
          let c = <i32>load<u8>(bytes + i);
          // An escape before anything else stands for itself.
          if (c == escape && i + 1 < end) {
            const next = <i32>load<u8>(bytes + i + 1);
            if (next == quote || next == escape) {
              c = next;
              i++;
            }
          }
          store<u8>(at++, <u8>c);
        }
        high = 128;
      } else if (end - start < 24) {
        for (let i = start; i < end; i++) {
          const c = load<u8>(bytes + i);
          high |= c;
          store<u8>(at++, c);
        }
      } else {
        memory.copy(at, bytes + start, end - start);
        at += end - start;
        high = 128;
      }
    }
    store<i32>(offsets + (<usize>(r + 1) << 2), <i32>(at - out));
  }
  length = <i32>(at - out);
}
