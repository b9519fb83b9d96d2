import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { unlz4 } from "../../operators/_lz4.ts";
import { lz4 } from "./_lz4.ts";

const LINES = new TextEncoder().encode(
  Array.from({ length: 5100 }, (_, i) => `${i % 7},2021-01-0${i % 7}\n`).join(""),
);
const NOISE = Uint8Array.from({ length: 300 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 24);

/** What the reference implementation (lz4 1.9.4) makes of bytes. */
const FRAMES: readonly (readonly [what: string, bytes: Uint8Array, base64: string])[] = [
  [
    "blocks that refer to those before",
    LINES,
    `BCJNGERAXjsBAADmMCwyMDIxLTAxLTAwCjENADYxCjINADYyCjMNADYzCjQNADY0CjUNADY1CjYNAC82ClsA${
      "/".repeat(341)
    }41QMAoxLDIMAAAAD1sA///mUDEtMDMKAAAAAF6vMD0=`,
  ],
  [
    "blocks by themselves, with checksums and their size",
    LINES,
    `BCJNGHxA/AIBAAAAAAChOwEAAOYwLDIwMjEtMDEtMDAKMQ0ANjEKMg0ANjIKMw0ANjMKNA0ANjQKNQ0ANjUKNg0ALzYKWwD${
      "/".repeat(341)
    }jVAwCjEsMtltULA/AAAAUDAyMS0wAwBECjIsMg0ANjIKMw0ANjMKNA0ANjQKNQ0ANjUKNg0ANjYKMA0ANjAKMQ0AD1sA//+DUDEtMDMKdawYxQAAAABerzA9`,
  ],
  [
    "no checksum at all",
    LINES,
    `BCJNGGBQ+z4BAADmMCwyMDIxLTAxLTAwCjENADYxCjINADYyCjMNADYzCjQNADY0CjUNADY1CjYNAC82ClsA${
      "/".repeat(345)
    }4xQMS0wMwoAAAAA`,
  ],
  [
    "bytes stored as they are",
    NOISE,
    `BCJNGGRApywBAICePNp4F7VT8Y8uzGoIp0XjgR++XPqYNtVzEa9O7IooxmUDoT/efBq4VvWTMc9tDKpI5oUjwV/9nDrYdhWzUe+NLMpoBqRD4X8dvFr4ljTTcQ+tS+qIJsRjAZ8923oYtlTzkS/NawqoRuSCIb9d+5o41nQSsU/tiyrIZgSiQd99G7lY9pQy0W8Nq0nohiTCYP+dO9l4FrRS8I8ty2kIpkTigB+9W/mXNtRyEK9N64knxmQCoD/dexm3VvSSMM5tC6lH5oQiwF79mznXdRSyUO6NK8lnBaRC4H4du1n3lTTScA6sS+mHJcRiAJ4823kXtVTykC7MawmnReOCIL5c+5k31XMSsE7siinHZQOiQN58GrlX9ZMy0G4MqknnhSPBYP6cOtl3FbNR8I4symkAAAAAG8P8rA==`,
  ],
  ["nothing", new Uint8Array(0), `BCJNGGRApwAAAAAFXcwC`],
];

const isSame = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;
const frameOf = (base64: string) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

for (const [what, bytes, base64] of FRAMES) {
  Deno.test(`an LZ4 frame of ${what} is read`, () => {
    const frame = frameOf(base64);
    assert.ok(isSame(unlz4(frame, bytes.length), bytes));
    assert.ok(isSame(unlz4(frame), bytes));
    // What fills it up to eight bytes is no part of it.
    assert.ok(isSame(unlz4(Uint8Array.from([...frame, 0, 0, 0]), bytes.length), bytes));
  });

  Deno.test(`an LZ4 frame of ${what} that is cut, longer or of another size is refused`, () => {
    const frame = frameOf(base64);
    for (let length = 0; length < frame.length; length++) {
      assert.throws(() => unlz4(frame.slice(0, length), bytes.length), { name: "Malformed" });
    }
    for (const size of [0, bytes.length - 1, bytes.length + 1, 2 ** 30, 2 ** 40]) {
      if (size === bytes.length || size < 0) continue;
      assert.throws(() => unlz4(frame, size), { name: "Malformed" });
    }
    const longer = Uint8Array.from([...frame, 1]);
    assert.throws(() => unlz4(longer, bytes.length), /something follows it/);
    const twice = Uint8Array.from([...frame, ...frame]);
    assert.throws(() => unlz4(twice, bytes.length), /something follows it/);
  });
}

Deno.test("a bit that is changed in an LZ4 frame with checksums is found, wherever it is", () => {
  for (const [what, bytes, base64] of FRAMES) {
    if (what === "no checksum at all") continue;
    const frame = frameOf(base64);
    for (let at = 0; at < frame.length; at++) {
      const damaged = frame.with(at, frame[at]! ^ 1 << at % 8);
      try {
        // What repeats may be taken from another place where it is the same.
        assert.ok(isSame(unlz4(damaged, bytes.length), bytes), `${what}: ${at}`);
      } catch (error) {
        assert.equal((error as Error).name, "Malformed", (error as Error).stack);
      }
    }
  }
});

/** Bytes that repeat, near and far, in short and in long stretches. */
const BYTES = fc.array(
  fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 60 })),
  { maxLength: 12 },
).map((parts) =>
  Uint8Array.from(parts.flatMap(([part, times]) => Array(times).fill([...part]).flat()))
);

Deno.test("what is packed is unpacked, and what is damaged is refused or as long as it says", () => {
  fc.assert(
    fc.property(BYTES, fc.integer({ min: 16, max: 3000 }), fc.nat(), (bytes, most, place) => {
      const frame = lz4(bytes, most);
      assert.deepEqual(unlz4(frame, bytes.length), bytes);
      assert.deepEqual(unlz4(frame), bytes);
      const at = place % frame.length;
      try {
        const read = unlz4(frame.with(at, frame[at]! ^ 1 << place % 8), bytes.length);
        assert.equal(read.length, bytes.length);
      } catch (error) {
        assert.equal((error as Error).name, "Malformed", (error as Error).stack);
      }
    }),
    { numRuns: 300 },
  );
});
