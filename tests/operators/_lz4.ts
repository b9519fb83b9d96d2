const HEAD = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73];

/** Bytes as one LZ4 frame, of blocks by themselves of at most `most` bytes, without checksums. */
export function lz4(bytes: Uint8Array, most = 1 << 16): Uint8Array {
  const frame = [...HEAD];
  for (let from = 0; from < bytes.length; from += most) {
    const block = bytes.subarray(from, from + most), packed = pack(block);
    const stored = packed.length >= block.length;
    const chosen = stored ? block : packed;
    put32(frame, (chosen.length | (stored ? 0x8000_0000 : 0)) >>> 0);
    for (const byte of chosen) frame.push(byte);
  }
  put32(frame, 0);
  return Uint8Array.from(frame);
}

function put32(frame: number[], value: number): void {
  frame.push(value & 255, value >>> 8 & 255, value >>> 16 & 255, value >>> 24);
}

/** A block that takes the last place where four bytes came before. */
function pack(block: Uint8Array): number[] {
  const packed: number[] = [], places = new Map<string, number>();
  let literals = 0;
  const sequence = (at: number, distance: number, match: number): void => {
    const count = at - literals;
    packed.push(Math.min(count, 15) << 4 | Math.max(0, Math.min(match - 4, 15)));
    more(packed, count);
    for (; literals < at; literals++) packed.push(block[literals]!);
    if (match === 0) return;
    packed.push(distance & 255, distance >> 8);
    more(packed, match - 4);
    literals += match;
  };
  for (let at = 0; at < block.length - 12;) {
    const four = String(block.subarray(at, at + 4)), place = places.get(four);
    places.set(four, at);
    if (place === undefined || at - place > 0xffff) at++;
    else {
      let match = 4;
      // A block ends in five literals.
      while (at + match < block.length - 5 && block[place + match] === block[at + match]) match++;
      sequence(at, at - place, match);
      at += match;
    }
  }
  sequence(block.length, 0, 0);
  return packed;
}

function more(packed: number[], count: number): void {
  if (count < 15) return;
  for (count -= 15; count >= 255; count -= 255) packed.push(255);
  packed.push(count);
}
