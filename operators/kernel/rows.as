// Rows of Postgres' binary COPY, in AssemblyScript; `deno task kernel` compiles it. A row is the number of its fields and
// each of them its length, -1 for NULL, and its bytes; all numbers are big-endian (Postgres manual, COPY).

/** What a column's values are: bits, 32 or 64 bits less an epoch, 16 bytes, or bytes of which offsets tell the ends. */
const BITS: u32 = 0, INTS: u32 = 1, LONGS: u32 = 2, UUIDS: u32 = 3;

// A column: what it is, where its values and their offsets lie, and the bits of those that are there, 0 where all are;
// which of the bits is the first; its epoch, and the least value that has one.
const VALUES: usize = 4, OFFSETS: usize = 8, VALID: usize = 12, FIRST: usize = 16, EPOCH: usize = 24, LEAST: usize = 32,
  COLUMN: usize = 40;

/** From here on bytes are moved at once, not eight by eight. */
const LONG: i32 = 256;

@inline
function bit(bits: usize, n: i32): u32 {
  return <u32>load<u8>(bits + (n >> 3)) >> (n & 7) & 1;
}

/**
 * Writes rows, of which there is room for seven bytes more than all; returns where they end, 0 where a value is below the
 * least of its column.
 */
export function rows(columns: usize, width: i32, count: i32, at: usize): usize {
  const behind = columns + <usize>width * COLUMN, fields = bswap<u16>(<u16>width);
  for (let r = 0; r < count; r++) {
    store<u16>(at, fields);
    at += 2;
    for (let c = columns; c < behind; c += COLUMN) {
      const valid = load<u32>(c, VALID);
      if (valid != 0 && bit(valid, load<i32>(c, FIRST) + r) == 0) {
        store<i32>(at, -1);
        at += 4;
        continue;
      }
      const kind = load<u32>(c), values = <usize>load<u32>(c, VALUES);
      if (kind == LONGS) {
        const value = load<i64>(values + (<usize>r << 3));
        if (value < load<i64>(c, LEAST)) return 0;
        store<u32>(at, 0x8000000);
        store<u64>(at, bswap<u64>(<u64>(value - load<i64>(c, EPOCH))), 4);
        at += 12;
      } else if (kind == INTS) {
        const value = load<i32>(values + (<usize>r << 2)) - load<i32>(c, EPOCH);
        store<u64>(at, <u64>bswap<u32>(<u32>value) << 32 | 0x4000000);
        at += 8;
      } else if (kind == BITS) {
        store<u32>(at, 0x1000000);
        store<u8>(at, <u8>bit(values, load<i32>(c, FIRST) + r), 4);
        at += 5;
      } else if (kind == UUIDS) {
        const value = values + (<usize>r << 4);
        store<u32>(at, 0x10000000);
        store<u64>(at, load<u64>(value), 4);
        store<u64>(at, load<u64>(value, 8), 12);
        at += 20;
      } else {
        const ends = <usize>load<u32>(c, OFFSETS) + (<usize>r << 2), from = load<i32>(ends), size = load<i32>(ends, 4) - from;
        store<u32>(at, bswap<u32>(<u32>size));
        at += 4;
        copy(at, values + <usize>from, size);
        at += <usize>size;
      }
    }
  }
  return at;
}

/** Copies bytes; what is written beyond them is written over. */
@inline
function copy(to: usize, from: usize, size: i32): void {
  if (size >= LONG) memory.copy(to, from, size);
  else for (let i: usize = 0; i < <usize>size; i += 8) store<u64>(to + i, load<u64>(from + i));
}
