// Refused records as JSON, and such JSON as rows of Postgres' binary COPY, in AssemblyScript; `deno task kernel` compiles
// it. What is written is written at `at`, behind which there has to be room, and for seven bytes more.

const QUOTE: u8 = 34, COMMA: u8 = 44, MINUS: u8 = 45, SLASH: u8 = 47, ZERO: u8 = 48, COLON: u8 = 58, EQUALS: u8 = 61,
  BACKSLASH: u8 = 92, B: u8 = 98, F: u8 = 102, N: u8 = 110, R: u8 = 114, T: u8 = 116, U: u8 = 117, OPEN: u8 = 123,
  LF: u8 = 10;

/** Where the next byte goes. */
export let at: usize = 0;

/** Texts that come again and again, each as where it lies and how long it is. */
let texts: usize = 0;
/** Which of them are the keys of an object: the first, and each so many. */
let firstKey = 0, keyStep = 0;

export function place(where: usize): void {
  texts = where;
}

export function keys(first: i32, step: i32): void {
  firstKey = first;
  keyStep = step;
}

@inline
function byte(c: u8): void {
  store<u8>(at++, c);
}

/** Copies bytes, eight at once: what is written beyond them is written over. */
@inline
function copy(from: usize, length: usize): void {
  for (let i: usize = 0; i < length; i += 8) store<u64>(at + i, load<u64>(from + i));
  at += length;
}

/** Writes one of the texts. */
export function put(n: i32): void {
  const text = texts + (<usize>n << 3);
  copy(load<u32>(text), load<u32>(text, 4));
}

/** Writes a whole number, and null for NaN. */
function number(n: f64): void {
  if (n != n) {
    store<u32>(at, 0x6c6c756e); // null
    at += 4;
    return;
  }
  const from = at;
  let rest = <u64>n;
  do {
    byte(ZERO + <u8>(rest % 10));
    rest /= 10;
  } while (rest > 0);
  for (let i = from, j = at - 1; i < j; i++, j--) {
    const digit = load<u8>(i);
    store<u8>(i, load<u8>(j));
    store<u8>(j, digit);
  }
}

/** Writes four numbers, each behind one of the first four texts. */
export function numbers(record: f64, line: f64, from: f64, to: f64): void {
  put(0);
  number(record);
  put(1);
  number(line);
  put(2);
  number(from);
  put(3);
  number(to);
}

/** Writes text as JSON has it between quotes; returns whether it is of ASCII without NUL, as text must be that nobody checked. */
export function quoted(from: usize, to: usize): bool {
  let all: u8 = 0, nul = false;
  for (; from < to; from++) {
    const c = load<u8>(from);
    all |= c;
    if (c >= 32 && c != QUOTE && c != BACKSLASH) {
      byte(c);
      continue;
    }
    byte(BACKSLASH);
    if (c >= 32) byte(c);
    else if (c == 8) byte(B);
    else if (c == 9) byte(T);
    else if (c == 10) byte(N);
    else if (c == 12) byte(F);
    else if (c == 13) byte(R);
    else {
      nul = nul || c == 0;
      byte(U);
      byte(ZERO);
      byte(ZERO);
      byte(ZERO + (c >> 4));
      byte(digit(c & 15));
    }
  }
  return all < 128 && !nul;
}

@inline
function digit(n: u8): u8 {
  return n < 10 ? ZERO + n : n + 87;
}

/**
 * Writes fields of a record as members of an object, from column `c` on; returns the first column whose field is not
 * plain, or lies beyond `end`. Where they begin and end lies at `fields`, and whether they are quoted; `shift` is what
 * makes an address of that.
 */
export function members(c: i32, columns: i32, fields: usize, shift: i32, end: usize): i32 {
  const ends = fields + (<usize>columns << 2), flags = ends + (<usize>columns << 2);
  for (; c < columns; c++) {
    const from = <usize>(load<i32>(fields + (<usize>c << 2)) + shift), to = <usize>(load<i32>(ends + (<usize>c << 2)) + shift);
    const flag = load<u8>(flags + c), before = at;
    if (flag > 1 || to > end) return c;
    put(firstKey + c * keyStep);
    if (from == to && flag == 0) number(NaN);
    else {
      byte(QUOTE);
      if (!quoted(from, to)) {
        at = before;
        return c;
      }
      byte(QUOTE);
    }
  }
  return c;
}

// From here on, rows of COPY: a field is its length and its bytes, -1 for NULL, all big-endian (Postgres manual, COPY).

@inline
function length(n: i32): void {
  store<u32>(at, bswap<u32>(<u32>n));
  at += 4;
}

@inline
function int64(n: i64): void {
  length(8);
  store<u64>(at, bswap<u64>(<u64>n));
  at += 8;
}

/** The number that digits stand for. */
function digits(from: usize, to: usize): i64 {
  const negative = load<u8>(from) == MINUS;
  let n: i64 = 0;
  for (let i = negative ? from + 1 : from; i < to; i++) n = n * 10 + <i64>(load<u8>(i) - ZERO);
  return negative ? -n : n;
}

/** The code that four hexadecimal digits stand for. */
function code(from: usize): u32 {
  let n: u32 = 0;
  for (let i: usize = 0; i < 4; i++) {
    const c = <u32>load<u8>(from + i);
    n = n << 4 | (c < 58 ? c - 48 : (c | 32) - 87);
  }
  return n;
}

function utf8(c: u32): void {
  if (c < 0x80) return byte(<u8>c);
  if (c < 0x800) byte(<u8>(0xc0 | c >> 6));
  else {
    if (c < 0x10000) byte(<u8>(0xe0 | c >> 12));
    else {
      byte(<u8>(0xf0 | c >> 18));
      byte(<u8>(0x80 | (c >> 12 & 63)));
    }
    byte(<u8>(0x80 | (c >> 6 & 63)));
  }
  byte(<u8>(0x80 | (c & 63)));
}

/** Writes what a text of JSON says, from behind its quote on; returns where its last quote is. */
function unquoted(i: usize): usize {
  for (let c = load<u8>(i); c != QUOTE; c = load<u8>(++i)) {
    if (c != BACKSLASH) {
      byte(c);
      continue;
    }
    c = load<u8>(++i);
    if (c == U) {
      let unit = code(i + 1);
      i += 4;
      if ((unit & 0xf800) == 0xd800) { // half a character: alone it is none
        const next = load<u8>(i + 1) == BACKSLASH && load<u8>(i + 2) == U ? code(i + 3) : 0;
        if ((unit & 0x400) == 0 && (next & 0xfc00) == 0xdc00) {
          unit = 0x10000 + ((unit & 0x3ff) << 10) + (next & 0x3ff);
          i += 6;
        } else unit = 0xfffd;
      }
      utf8(unit);
    } else byte(c == B ? 8 : c == T ? 9 : c == N ? 10 : c == F ? 12 : c == R ? 13 : c);
  }
  return i;
}

/** What a digit of base64 stands for. */
function sextet(c: u8): u32 {
  return c == 43 ? 62 : c == SLASH ? 63 : c < 58 ? c + 4 : c < 91 ? c - 65 : c - 71;
}

/** Writes the bytes that base64 stands for, from behind its quote on; returns where its last quote is. */
function base64(i: usize): usize {
  let held: u32 = 0, bits = 0;
  for (let c = load<u8>(i); c != QUOTE; c = load<u8>(++i)) {
    if (c == EQUALS) continue;
    held = held << 6 | sextet(c);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      byte(<u8>(held >> bits));
    }
  }
  return i;
}

/** Microseconds since 2000 of `YYYY-MM-DDTHH:MM:SS[.f…]Z`. */
function micros(p: usize): i64 {
  const year = digits(p, p + 4), month = digits(p + 5, p + 7), day = digits(p + 8, p + 10);
  // Days of the proleptic Gregorian calendar, years counted from March (Hinnant, chrono-compatible date algorithms).
  const y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
  const days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 730426;
  let n = ((days * 24 + digits(p + 11, p + 13)) * 60 + digits(p + 14, p + 16)) * 60 + digits(p + 17, p + 19);
  let i = p + 19;
  if (load<u8>(i) != 46) return n * 1000000;
  for (let place = 0; place < 6; place++) {
    const c = load<u8>(i + 1) - ZERO;
    n = n * 10 + (c <= 9 ? <i64>c : 0);
    if (c <= 9) i++;
  }
  return n;
}

/** Which of an object's members are not as the others: */
const TABLE = 1, REFUSED = 3, BYTES = 12, MEMBERS = 14;

/**
 * Writes lines of a file of rejects as rows, each behind text `head`. The file is of our own making: its members are
 * known, and there are no spaces between them. Before the last, which is an object, comes text `before`.
 */
export function rows(from: usize, to: usize, head: i32, before: i32): void {
  for (let i = from; i < to; i++) {
    put(head);
    for (let member = 0; member < MEMBERS; member++) {
      while (load<u8>(i) != COLON) i++;
      const c = load<u8>(++i), start = at;
      if (c == N) {
        length(-1);
        i += 4;
      } else if (c == OPEN) {
        at += 4;
        put(before);
        let end = i;
        while (load<u8>(end) != LF) end++;
        const size = end - 1 - i;
        memory.copy(at, i, size);
        at += size;
        i = end - 1;
        fill(start);
      } else if (c != QUOTE) {
        const from = i;
        while (load<u8>(i) != COMMA) i++;
        int64(digits(from, i));
      } else if (member == REFUSED) {
        int64(micros(++i));
        while (load<u8>(i) != QUOTE) i++;
        i++;
      } else {
        at += 4;
        i = (member == BYTES ? base64(i + 1) : unquoted(i + 1)) + 1;
        if (member == TABLE) at = start;
        else fill(start);
      }
    }
    i++; // the brace
  }
}

/** Says how long the field is that was written from behind there on. */
function fill(start: usize): void {
  store<u32>(start, bswap<u32>(<u32>(at - start - 4)));
}
