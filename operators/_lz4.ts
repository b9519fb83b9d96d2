import { Malformed } from "./_tokenizer.ts";

const MAGIC = 0x184d2204;

/** What the second byte of a frame says, beside its version (LZ4 frame format 1.6, "Frame Descriptor"). */
const BLOCK_CHECKSUM = 16, SIZE = 8, CHECKSUM = 4, DICTIONARY = 1;

/** What a block's length says when it is stored as it is. */
const STORED = 0x8000_0000;

/** A byte of a block stands for no more bytes than this. */
const MOST_RATIO = 255;

/**
 * Decompresses one LZ4 frame (LZ4 frame format 1.6), of so many bytes where that is known, and checks all that it says of
 * itself.
 *
 * Our own, since those there are either take whatever comes, beyond the ends of buffers, or read nothing any more after
 * one frame that was damaged.
 *
 * @throws {Malformed} for what is damaged, of another size, or needs a dictionary
 */
export function unlz4(frame: Uint8Array, size?: number): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  try {
    return read(view, frame, size);
  } catch (cause) {
    if (cause instanceof RangeError) throw damaged("it is cut", cause);
    throw cause;
  }
}

/** What reads beyond the end throws a RangeError. */
function read(view: DataView, frame: Uint8Array, size?: number): Uint8Array {
  if (view.getUint32(0, true) !== MAGIC) throw damaged("it does not begin as one");
  const flags = frame[4]!;
  if (flags >> 6 !== 1) throw damaged("it is of a version that is not known");
  if (flags & DICTIONARY) throw damaged("it needs a dictionary");
  let at = 6;
  if (flags & SIZE) {
    const told = Number(view.getBigUint64(at, true));
    if (told !== (size ??= told)) throw damaged("it says another size");
    at += 8;
  }
  if (view.getUint8(at) !== (xxh32(frame.subarray(4, at)) >>> 8 & 255)) {
    throw damaged("its head has another checksum");
  }
  at++;
  const most = frame.length * MOST_RATIO;
  if (size !== undefined && size > most) throw damaged("it is too short for its size");
  let into = new Uint8Array(size ?? Math.min(most, mostOf(view, at)));
  let end = 0;
  for (;;) {
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) break;
    const length = word & ~STORED, next = at + length;
    if (next > frame.length) throw damaged("it is cut");
    const block = frame.subarray(at, next);
    if (word & STORED) {
      if (end + length > into.length) throw damaged("it holds more than its size");
      into.set(block, end);
      end += length;
    } else end = unpack(block, into, end);
    at = next;
    if (flags & BLOCK_CHECKSUM) {
      if (view.getUint32(at, true) !== xxh32(block)) throw damaged("a block has another checksum");
      at += 4;
    }
  }
  if (end !== (size ?? end)) throw damaged("it holds less than its size");
  into = into.subarray(0, end);
  if (flags & CHECKSUM) {
    if (view.getUint32(at, true) !== xxh32(into)) throw damaged("it has another checksum");
    at += 4;
  }
  // Some writers count in what fills up to eight bytes.
  const rest = frame.subarray(at);
  if (rest.length > 7 || rest.some((byte) => byte !== 0)) throw damaged("something follows it");
  return into;
}

/** The most bytes that the blocks from one on may hold. */
function mostOf(view: DataView, from: number): number {
  const each = 1 << 8 + 2 * (view.getUint8(5) >> 4 & 7);
  const extra = view.getUint8(4) & BLOCK_CHECKSUM ? 8 : 4;
  let most = 0;
  for (let at = from, word: number; (word = view.getUint32(at, true)) !== 0; most += each) {
    at += (word & ~STORED) + extra;
  }
  return most;
}

/** Below this many bytes a loop copies faster than `set`. */
const SHORT = 32;

/** Unpacks a block behind what is there; returns where it ends (LZ4 block format). */
function unpack(block: Uint8Array, into: Uint8Array, end: number): number {
  const { length } = block, size = into.length;
  let at = 0;
  for (;;) {
    if (at >= length) throw damaged("a block ends too early");
    const token = block[at++]!;
    let literals = token >> 4;
    if (literals === 15) {
      let more: number;
      do {
        if (at >= length) throw damaged("a block ends too early");
        literals += more = block[at++]!;
      } while (more === 255);
    }
    if (at + literals > length || end + literals > size) throw damaged("a block is too long");
    if (literals < SHORT) { for (const to = at + literals; at < to;) into[end++] = block[at++]!; }
    else {
      into.set(block.subarray(at, at + literals), end);
      at += literals;
      end += literals;
    }
    // The last sequence has no match.
    if (at === length) return end;
    if (at + 2 > length) throw damaged("a block ends too early");
    const distance = block[at]! | block[at + 1]! << 8;
    at += 2;
    let count = (token & 15) + 4;
    if (count === 19) {
      let more: number;
      do {
        if (at >= length) throw damaged("a block ends too early");
        count += more = block[at++]!;
      } while (more === 255);
    }
    if (distance === 0 || distance > end) throw damaged("a block points before its start");
    if (end + count > size) throw damaged("a block is too long");
    if (count >= SHORT && distance >= count) {
      into.copyWithin(end, end - distance, end - distance + count);
      end += count;
    } else for (const to = end + count; end < to; end++) into[end] = into[end - distance]!;
  }
}

const P1 = 0x9e3779b1, P2 = 0x85ebca77, P3 = 0xc2b2ae3d, P4 = 0x27d4eb2f, P5 = 0x165667b1;

/** The checksum of LZ4 (XXH32, with the seed 0). */
function xxh32(bytes: Uint8Array): number {
  const { length } = bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  let at = 0, hash = P5;
  if (length >= 16) {
    let a = P1 + P2 | 0, b = P2 | 0, c = 0, d = -P1 | 0;
    for (; at + 16 <= length; at += 16) {
      a = Math.imul(rotate(a + Math.imul(view.getInt32(at, true), P2), 13), P1);
      b = Math.imul(rotate(b + Math.imul(view.getInt32(at + 4, true), P2), 13), P1);
      c = Math.imul(rotate(c + Math.imul(view.getInt32(at + 8, true), P2), 13), P1);
      d = Math.imul(rotate(d + Math.imul(view.getInt32(at + 12, true), P2), 13), P1);
    }
    hash = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
  }
  hash = hash + length | 0;
  for (; at + 4 <= length; at += 4) {
    hash = Math.imul(rotate(hash + Math.imul(view.getInt32(at, true), P3), 17), P4);
  }
  for (; at < length; at++) {
    hash = Math.imul(rotate(hash + Math.imul(bytes[at]!, P5), 11), P1);
  }
  hash = Math.imul(hash ^ hash >>> 15, P2);
  hash = Math.imul(hash ^ hash >>> 13, P3);
  return (hash ^ hash >>> 16) >>> 0;
}

function rotate(value: number, bits: number): number {
  return value << bits | (value | 0) >>> 32 - bits;
}

function damaged(why: string, cause?: unknown): Malformed {
  return new Malformed(`it holds an LZ4 frame that cannot be read: ${why}`, { cause });
}
