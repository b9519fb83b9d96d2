import assert from "node:assert/strict";
import zlib from "node:zlib";
import { zipSync } from "fflate";
import type { Bytes } from "../../engine/mod.ts";
import { decompress, type DecompressOptions } from "../../operators/decompress.ts";
import { perform, testContext } from "../_context.ts";

const text = new TextEncoder().encode("id,name\n" + '1,Zoë\n2,"a\nb"\n'.repeat(300));
const other = new TextEncoder().encode("3,more\n".repeat(50));
const both = join(text, other);

/** A stream of these chunks that counts how many were pulled. */
function streamOf(
  chunks: Iterable<Uint8Array>,
): { stream: Bytes; seen: { pulled: number; over: boolean } } {
  const iterator = chunks[Symbol.iterator]();
  const seen = { pulled: 0, over: false };
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      const { done, value } = iterator.next();
      if (done) {
        seen.over = true;
        return controller.close();
      }
      seen.pulled += value.length;
      controller.enqueue(new Uint8Array(value));
    },
    cancel() {
      seen.over = true;
    },
  }, { highWaterMark: 0 });
  return { stream, seen };
}

async function decode(
  chunks: Iterable<Uint8Array>,
  options: DecompressOptions = {},
): Promise<Uint8Array> {
  const { stream, seen } = streamOf(chunks);
  const output = await perform(decompress(options), testContext(), stream);
  const parts: Uint8Array[] = [];
  try {
    for await (const part of output) parts.push(part);
  } catch (error) {
    assert(seen.over, "the source is given up");
    throw error;
  }
  return join(...parts);
}

function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function pieces(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from(
    { length: Math.ceil(bytes.length / size) },
    (_, i) => bytes.subarray(i * size, (i + 1) * size),
  );
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[at < 0 ? copy.length + at : at]! ^= 0x40;
  return copy;
}

const one = new Uint8Array(zlib.gzipSync(text));
const two = new Uint8Array(zlib.gzipSync(other));
const empty = new Uint8Array(zlib.gzipSync(new Uint8Array(0)));
const zstd = new Uint8Array(zlib.zstdCompressSync(text));
const zstdSum = new Uint8Array(
  zlib.zstdCompressSync(text, { params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 } }),
);
const zstdSkip = new Uint8Array([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);

/** A gzip header with every optional field. */
function adorned(): Uint8Array {
  const head = [0x1f, 0x8b, 8, 2 + 4 + 8 + 16, 0, 0, 0, 0, 0, 3];
  const extra = [3, 0, 1, 0, 2], name = [97, 98, 0], comment = [99, 0], crc = [1, 2];
  return join(new Uint8Array([...head, ...extra, ...name, ...comment, ...crc]), one.subarray(10));
}

/** An archive written by a program that could not seek back: sizes follow the data. */
function described({ signature, wide }: { signature: boolean; wide: boolean }): Uint8Array {
  const data = new Uint8Array(zlib.deflateRawSync(text));
  const crc = zlib.crc32(text);
  const tail = new DataView(new ArrayBuffer(wide ? 24 : 16));
  tail.setUint32(0, 0x08074b50, true);
  tail.setUint32(4, crc, true);
  if (wide) {
    tail.setBigUint64(8, BigInt(data.length), true);
    tail.setBigUint64(16, BigInt(text.length), true);
  } else {
    tail.setUint32(8, data.length, true);
    tail.setUint32(12, text.length, true);
  }
  const local = new DataView(new ArrayBuffer(30));
  local.setUint32(0, 0x04034b50, true);
  local.setUint16(6, 8, true);
  local.setUint16(8, 8, true);
  local.setUint16(26, 1, true);
  const entry = new DataView(new ArrayBuffer(46));
  entry.setUint32(0, 0x02014b50, true);
  entry.setUint16(28, 1, true);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  const name = new Uint8Array([97]);
  const bytes = (view: DataView) => new Uint8Array(view.buffer);
  return join(
    bytes(local),
    name,
    data,
    bytes(tail).subarray(signature ? 0 : 4),
    bytes(entry),
    name,
    bytes(end),
  );
}

const good: Record<string, [Uint8Array, Uint8Array]> = {
  "one gzip member": [one, text],
  "two gzip members": [join(one, two), both],
  "an empty gzip member between two": [join(one, empty, two), both],
  "an empty gzip": [empty, new Uint8Array(0)],
  "gzip with every header field": [adorned(), text],
  "gzip and padding": [join(one, two, new Uint8Array(700)), both],
  "one zstd frame": [zstd, text],
  "zstd frames, skippable ones among them": [
    join(zstdSkip, zstd, zstdSkip, new Uint8Array(zlib.zstdCompressSync(other))),
    both,
  ],
  "zstd with a checksum": [zstdSum, text],
  "a zip with a deflated file": [zipSync({ "a.csv": text }), text],
  "a zip with a stored file": [zipSync({ "a.csv": [text, { level: 0 }] }), text],
  "a zip with a folder": [zipSync({ data: { "a.csv": text } }), text],
  "a zip that says sizes after the data": [described({ signature: true, wide: false }), text],
  "the same with wide sizes": [described({ signature: true, wide: true }), text],
  "the same without a signature": [described({ signature: false, wide: false }), text],
  "the same, wide and without": [described({ signature: false, wide: true }), text],
  "plain text, whatever it is named": [text, text],
  "nothing at all": [new Uint8Array(0), new Uint8Array(0)],
  "a single letter": [new Uint8Array([40]), new Uint8Array([40])],
};

for (const [name, [input, expected]] of Object.entries(good)) {
  Deno.test(`decompress reads ${name}, however it is cut into chunks`, async () => {
    for (const size of [1, 2, 3, 7, 64, Infinity]) {
      const chunks = size === Infinity ? [input] : pieces(input, size);
      assert.deepEqual(await decode(chunks), expected, `chunks of ${size}`);
    }
  });
}

Deno.test("decompress finds the next gzip member at every split of the file", async () => {
  const input = join(one, two);
  for (let at = 0; at <= input.length; at++) {
    assert.deepEqual(await decode([input.subarray(0, at), input.subarray(at)]), both, `at ${at}`);
  }
});

Deno.test("decompress refuses a gzip that is cut short at any byte", async () => {
  const input = join(one, two);
  for (let length = 1; length < input.length; length++) {
    if (length === one.length) continue;
    await assert.rejects(decode([input.subarray(0, length)]), (error: Error) => {
      assert.match(error.message, /^Cannot decompress gzip: at byte \d+, the data ends too early/);
      assert.ok(error.message.includes(`at byte ${length},`), error.message);
      return true;
    }, `${length} of ${input.length} bytes`);
  }
});

const cut: Record<string, Uint8Array> = {
  zstd,
  "zstd with a checksum": zstdSum,
  "skippable zstd": join(zstd, zstdSkip),
  zip: zipSync({ "a.csv": text }),
  "stored zip": zipSync({ "a.csv": [text, { level: 0 }] }),
  "described zip": described({ signature: true, wide: false }),
};

for (const [name, input] of Object.entries(cut)) {
  Deno.test(`decompress refuses a ${name} that is cut short at any byte`, async () => {
    for (
      let length = 5;
      length < input.length;
      length += length > 60 && length < input.length - 150 ? 17 : 1
    ) {
      if (name === "skippable zstd" && length === zstd.length) continue;
      await assert.rejects(
        decode([input.subarray(0, length)]),
        /ends too early/,
        `${length} of ${input.length} bytes`,
      );
    }
  });
}

const bad: Record<string, [Uint8Array, RegExp]> = {
  "a wrong CRC": [flipped(one, -8), /checksum \(CRC-32\) is wrong/],
  "a wrong CRC in the first of two members": [join(flipped(one, -6), two), /checksum/],
  "a wrong length": [flipped(one, -4), /the length is wrong/],
  "a damaged byte": [flipped(one, 30), /damaged/],
  "an unknown method": [flipped(one, 2), /header/],
  "an unknown flag": [flipped(one, 3), /header/],
  "garbage after gzip": [
    join(one, text),
    new RegExp(`at byte ${one.length}, something that is not gzip`),
  ],
  "one byte of garbage": [join(one, new Uint8Array([7])), /something that is not gzip follows/],
  "garbage after padding": [
    join(one, new Uint8Array(9), new Uint8Array([7])),
    new RegExp(`at byte ${one.length + 9},`),
  ],
  "a member after padding": [join(one, new Uint8Array(9), two), /something that is not gzip/],
  "garbage after zstd": [join(zstd, text), /something that is not zstd follows/],
  "a wrong zstd checksum": [flipped(zstdSum, -1), /damaged/],
  "a damaged zstd": [flipped(zstdSum, 20), /damaged|too early/],
  "a zip of two files": [zipSync({ "a.csv": text, "b.csv": other }), /"b.csv" follows "a.csv"/],
  "a workbook": [
    zipSync({ "[Content_Types].xml": text, "xl/workbook.xml": other }),
    /it is a workbook of Excel or the like; save its sheet as CSV/,
  ],
  "an empty zip": [zipSync({}), /holds no file/],
  "a zip with a wrong CRC": [flipped(zipSync({ "a.csv": text }), 14), /"a.csv" is wrong/],
  "a zip with a wrong length": [flipped(zipSync({ "a.csv": text }), 22), /"a.csv" is wrong/],
  "an encrypted zip": [
    flipped(zipSync({ "a.csv": text }), 6).map((b, i) => i === 6 ? 1 : b),
    /encrypted/,
  ],
  "a zip by another method": [
    zipSync({ "a.csv": text }).map((b, i) => i === 8 ? 14 : b),
    /method 14/,
  ],
  "garbage after a zip": [join(zipSync({ "a.csv": text }), text), /something follows the archive/],
  "xz": [new Uint8Array([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2]), /Cannot decompress xz/],
  "bzip2": [new TextEncoder().encode("BZh91AY&SY..."), /Cannot decompress bzip2/],
};

for (const [name, [input, message]] of Object.entries(bad)) {
  Deno.test(`decompress refuses ${name}, however it is cut into chunks`, async () => {
    for (const size of [1, 5, 64, Infinity]) {
      const chunks = size === Infinity ? [input] : pieces(input, size);
      await assert.rejects(decode(chunks), message, `chunks of ${size}`);
    }
  });
}

Deno.test("decompress refuses garbage on whichever border of a chunk it begins", async () => {
  for (const pad of [0, 1, 511]) {
    const input = join(one, new Uint8Array(pad), new Uint8Array([7, 7]));
    for (let at = one.length - 9; at <= input.length; at++) {
      await assert.rejects(decode([input.subarray(0, at), input.subarray(at)]), /not gzip/);
    }
  }
});

Deno.test("decompress keeps to maxBytes and maxRatio", async () => {
  const bomb = new Uint8Array(zlib.gzipSync(new Uint8Array(1 << 24)));
  await assert.rejects(decode([bomb], { maxBytes: 1e6 }), /makes more than maxBytes \(1000000\)/);
  await assert.rejects(decode([bomb], { maxRatio: 100 }), /makes more than maxRatio \(100\)/);
  assert.equal((await decode([bomb], { maxRatio: 1100, maxBytes: 1 << 24 })).length, 1 << 24);
});

Deno.test("decompress takes no more from its source than its reader asks for", async () => {
  const block = new Uint8Array(zlib.gzipSync(new Uint8Array(1 << 24)));
  function* blocks(): Generator<Uint8Array> {
    for (let i = 0; i < 64; i++) yield* pieces(block, 4096);
  }
  const { stream, seen } = streamOf(blocks());
  const reader = (await perform(decompress(), testContext(), stream)).getReader();
  let bytes = 0, most = 0;
  const before = Deno.memoryUsage().rss;
  while (true) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    most = Math.max(most, Deno.memoryUsage().rss);
    // Each byte that came in makes about a thousand: what was pulled shows how far ahead it ran.
    assert.ok(seen.pulled <= bytes / 1000 + 3 * 4096, `${seen.pulled} bytes in for ${bytes} out`);
    if (bytes % (1 << 28) === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(bytes, 2 ** 30);
  assert.ok(most - before < 100e6, `memory grew by ${most - before} bytes`);
});

Deno.test("decompress gives its source up when its reader stops", async () => {
  const { stream, seen } = streamOf(pieces(join(one, two), 16));
  const output = await perform(decompress(), testContext(), stream);
  const reader = output.getReader();
  await reader.read();
  await reader.cancel("enough");
  assert.ok(seen.over);
});
