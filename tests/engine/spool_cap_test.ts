import assert from "node:assert/strict";
import { join } from "node:path";
import type { Origin } from "../../engine/mod.ts";
import { openSpool, type Spool, type SpoolOptions } from "../../engine/spool.ts";
import { folder, laterOnDisk, smallDisk } from "./_folder.ts";

const clock = (): number => performance.now();
const noReplace = (): Promise<void> => Promise.resolve();
const key = (name: string): string => `http://x/${name}`;
const owner = (run: string) => ({ run, task: "file" });
const from = (name: string, length?: number): Origin => ({
  key: key(name),
  validator: "1",
  offset: 0,
  ...length === undefined ? {} : { length },
});

/** Keeps a whole file, by a run of the same name; with `over`, that run is over then. */
async function put(spool: Spool, name: string, bytes: number, over = true): Promise<void> {
  await spool.makeRoom(owner(name), from(name, bytes));
  const file = await spool.open(owner(name), from(name, bytes), noReplace);
  await file.write(new Uint8Array(bytes));
  await spool.finish(file);
  spool.commit(owner(name));
  if (over) await spool.release(name);
  await laterOnDisk();
}

async function take(spool: Spool, name: string, run: string): Promise<void> {
  const origin = { ...from(name), offset: 1000, kept: true };
  await spool.open(owner(run), origin, noReplace);
  await laterOnDisk();
}

/** Which of the files are kept. */
async function kept(spool: Spool, ...names: string[]): Promise<string> {
  const found = await Promise.all(names.map((name) => spool.kept(owner("none"), key(name))));
  return names.filter((_, i) => found[i]).join("");
}

/** Bytes of all files in a spool, as a stranger counts them. */
function size(path: string): number {
  return [...Deno.readDirSync(path)].map(({ name, isDirectory }) => {
    if (isDirectory) return size(join(path, name));
    return /\.|^lock/.test(name) ? 0 : Deno.statSync(join(path, name)).size;
  }).reduce((a, b) => a + b, 0);
}

async function withSpool(
  options: Omit<SpoolOptions, "clock">,
  test: (spool: Spool, home: string) => Promise<void>,
): Promise<void> {
  await using home = await folder();
  await using spool = await openSpool(home.path, { clock, keepFree: 0, ...options });
  await test(spool, home.path);
}

Deno.test("the files that were used the longest ago go first, and no more than have to", () =>
  withSpool({ cap: 4000 }, async (spool, home) => {
    for (const name of "abcd") await put(spool, name, 1000);
    await take(spool, "a", "later");
    await spool.release("later");
    assert.equal(await kept(spool, ..."abcd"), "abcd");
    await put(spool, "e", 500);
    assert.equal(await kept(spool, ..."abcde"), "acde");
    await put(spool, "f", 1500);
    assert.equal(await kept(spool, ..."abcdef"), "adef");
    assert.equal(size(join(home, "spool")), 4000);
  }));

Deno.test("a file that a run uses never goes, nor one that an unfinished run will need", async () => {
  const needed = [{ key: key("b"), validator: "1" }, { key: key("gone"), validator: "1" }];
  let asked = 0;
  await withSpool({
    cap: 4000,
    needed: () => {
      asked++;
      return Promise.resolve(needed);
    },
  }, async (spool, home) => {
    await put(spool, "a", 1000, false);
    await put(spool, "b", 1000);
    await put(spool, "c", 1000);
    await put(spool, "d", 1000);
    assert.equal(asked, 0, "it need not be asked while there is room");
    // One of another process.
    await using other = await openSpool(home, { clock, cap: 4000, keepFree: 0 });
    await take(other, "c", "other");
    await put(spool, "e", 1000);
    assert.equal(await kept(spool, ..."abcde"), "abce");
    // Now there is nothing that may go but the last one, and nothing goes in vain.
    const larger = from("f", 2000);
    await assert.rejects(
      spool.makeRoom(owner("f"), larger),
      /^Error: Cannot keep "http:\/\/x\/f": it needs 2,000 bytes, and under the cap of 4,000 bytes there is room for 1,000 bytes, as unfinished runs need the rest; raise the spool's option "cap"$/,
    );
    await assert.rejects(spool.open(owner("f"), larger, noReplace), /it needs 2,000 bytes/);
    assert.equal(await kept(spool, ..."abcde"), "abce");
    assert.equal(size(join(home, "spool")), 4000);
    await spool.release("a");
    await put(spool, "f", 2000);
    assert.equal(await kept(spool, ..."abcef"), "bcf");
  });
});

Deno.test("a file that is larger than the cap is refused before a byte of it is written", () =>
  withSpool({ cap: 1000 }, async (spool, home) => {
    await put(spool, "a", 900);
    await assert.rejects(
      spool.makeRoom(owner("b"), {
        ...from("b", 1001),
        key: "http://me:secret@x/b?token=secret 0f3a",
      }),
      /"http:\/\/x\/b\?token=xxx": it needs 1,001 bytes, and under the cap of 1,000 bytes there is room for 1,000 bytes; raise/,
    );
    assert.equal(await kept(spool, "a"), "a");
    assert.equal(size(join(home, "spool")), 900);
  }));

Deno.test("a file of unknown length fails while it is written, and can go on when there is room", () =>
  withSpool({ cap: 5000 }, async (spool, home) => {
    await put(spool, "a", 2000, false);
    await put(spool, "b", 2000);
    const file = await spool.open(owner("c"), from("c"), noReplace);
    for (let i = 0; i < 3; i++) await file.write(new Uint8Array(1000).fill(i));
    assert.equal(await kept(spool, ..."ab"), "a", "what had to go is gone");
    await assert.rejects(
      file.write(new Uint8Array(1000)),
      /"http:\/\/x\/c": it needs 4,000 bytes, and .* there is room for 3,000 bytes/,
    );
    await file.rest();
    assert.equal(size(join(home, "spool")), 5000);
    await spool.release("a");
    const again = await spool.open(owner("c"), { ...from("c"), offset: 3000 }, noReplace);
    assert.equal(again, file);
    await file.write(new Uint8Array(2000).fill(3));
    await spool.finish(file);
    const bytes = await Deno.readFile(file.path);
    assert.deepEqual([bytes.length, bytes[999], bytes[1000], bytes[3000]], [5000, 0, 1, 3]);
    assert.equal(await kept(spool, ..."abc"), "c");
  }));

Deno.test("a stream without a key has its place under the cap, too", () =>
  withSpool({ cap: 1000 }, async (spool) => {
    const file = await spool.open(owner("r"), undefined, noReplace);
    await file.write(new Uint8Array(1000));
    await assert.rejects(
      file.write(new Uint8Array(1)),
      /Cannot keep what task "file" puts out: it needs 1,001 bytes/,
    );
    await file.rest();
  }));

Deno.test("two processes at once are given no more room together than there is", () =>
  withSpool({ cap: 5000 }, async (spool, home) => {
    await using other = await openSpool(home, { clock, cap: 5000, keepFree: 0 });
    const [a, b] = [from("a", 3000), from("b", 3000)];
    const file = await spool.open(owner("a"), a, noReplace);
    await file.write(new Uint8Array(1));
    // Of which only a byte was written.
    await assert.rejects(other.open(owner("b"), b, noReplace), /there is room for 2,000 bytes/);
    await put(other, "c", 2000);
    await spool.drop(owner("a"));
    await put(other, "b", 3000);
    assert.equal(await kept(spool, ..."abc"), "bc");
  }));

Deno.test("what ends early, or is shorter than it said, gives the rest of its room back", () =>
  withSpool({ cap: 5000 }, async (spool, home) => {
    const early = await spool.open(owner("a"), from("a", 5000), noReplace);
    await early.write(new Uint8Array(100));
    assert.equal(size(join(home, "spool")), 5000);
    await early.rest();
    assert.equal(size(join(home, "spool")), 100);
    const short = await spool.open(owner("b"), from("b"), noReplace);
    await short.write(new Uint8Array(100));
    await spool.finish(short);
    assert.equal(size(join(home, "spool")), 200);
  }));

Deno.test("many small streams do not count all files each time", async () => {
  await using home = await folder();
  await using spool = await openSpool(home.path, { clock, keepFree: 0 });
  const { statSync } = Deno;
  let looks = 0;
  Deno.statSync = (path) => {
    looks++;
    return statSync(path);
  };
  try {
    for (let i = 0; i < 500; i++) {
      const file = await spool.open({ run: "r", task: `t${i}` }, undefined, noReplace);
      await file.write(new Uint8Array(10));
      await spool.finish(file);
    }
  } finally {
    Deno.statSync = statSync;
  }
  // Were all counted each time, it would be more than 100,000.
  assert.ok(looks < 1000, `it looked at ${looks} files`);
  assert.equal(size(join(home.path, "spool")), 5000);
});

Deno.test("limits that are none are refused", async () => {
  await using home = await folder();
  for (const limits of [{ cap: NaN }, { cap: -1 }, { keepFree: 1 }, { keepFree: -0.1 }]) {
    await assert.rejects(openSpool(home.path, { clock, ...limits }), RangeError);
  }
});

Deno.test("a part of the disk stays free, and one that is full says so", async () => {
  await using disk = await smallDisk(8_000_000);
  if (!disk) return;
  const { path } = disk;
  {
    await using spool = await openSpool(path, { clock, keepFree: 0.25 });
    await put(spool, "a", 4_000_000);
    await assert.rejects(
      spool.makeRoom(owner("b"), from("b", 7_000_000)),
      /"http:\/\/x\/b": it needs 7,000,000 bytes, and on the disk of ".*spool" there is room for [56],\d{3},\d{3} bytes, as 25 % of it stay free; make room there, or lower the spool's option "keepFree"$/,
    );
    // What is set aside counts, though it is not on the disk yet.
    const file = await spool.open(owner("b"), from("b", 5_000_000), noReplace);
    assert.equal(await kept(spool, "a"), "");
    await assert.rejects(spool.makeRoom(owner("c"), from("c", 2_000_000)), /on the disk of/);
    await file.rest();
    await spool.drop(owner("b"));
  }
  await using spool = await openSpool(path, { clock, keepFree: 0 });
  const file = await spool.open(owner("d"), from("d", 5_000_000), noReplace);
  await file.write(new Uint8Array(1_000_000));
  // Somebody else fills the disk meanwhile.
  const filler = join(path, "filler");
  await Deno.writeFile(filler, new Uint8Array(8_000_000)).catch(() => {});
  const full = await file.write(new Uint8Array(4_000_000)).catch((error) => error);
  assert.match(
    full.message,
    /^Cannot keep "http:\/\/x\/d": it needs 5,000,000 bytes, and the disk of ".*" is full; make room there/,
  );
  assert.match(full.cause.message, /No space left/);
  await file.rest();
  await Deno.remove(filler);
  const offset = file.bytes;
  const again = await spool.open(owner("d"), { ...from("d", 5_000_000), offset }, noReplace);
  await again.write(new Uint8Array(5_000_000 - offset));
  await spool.finish(again);
  assert.equal((await Deno.stat(again.path)).size, 5_000_000);
});

Deno.test("whatever runs do, the cap holds and nothing goes that one of them uses", async () => {
  for (let seed = 1; seed <= 15; seed++) {
    let state = seed;
    const random = (
      n: number,
    ): number => (state = (state * 1103515245 + 12345) & 0x7fffffff, (state >> 8) % n);
    await using home = await folder();
    const options = { clock, cap: 10_000, keepFree: 0 };
    await using one = await openSpool(home.path, options);
    await using two = await openSpool(home.path, options);
    /** By run: which spool it is in, and which file it uses. */
    const using = new Map<string, { spool: Spool; path: string; bytes: number }>();
    let refused = 0;
    for (let step = 0; step < 40; step++) {
      const spool = random(2) ? one : two;
      const run = `r${random(6)}`;
      const name = `f${random(8)}`;
      const known = using.get(run);
      if (known || random(3) === 0) {
        await (known?.spool ?? spool).release(run);
        using.delete(run);
      } else {
        const bytes = 500 + random(4000);
        const there = await spool.kept(owner(run), key(name));
        const origin = there
          ? { ...from(name), offset: there.bytes, kept: true }
          : from(name, random(2) ? bytes : undefined);
        try {
          const file = await spool.open(owner(run), origin, noReplace);
          if (!there) {
            for (let n = 0; n < bytes; n += 500) {
              await file.write(new Uint8Array(Math.min(500, bytes - n)));
            }
            await spool.finish(file);
          }
          using.set(run, { spool, path: file.path, bytes: file.bytes });
        } catch (error) {
          assert.match(String(error), /raise the spool's option "cap"/, `seed ${seed}`);
          refused++;
          await spool.release(run);
        }
      }
      assert.ok(size(join(home.path, "spool")) <= 10_000, `seed ${seed}, step ${step}`);
      for (const { path, bytes } of using.values()) {
        const stat = await Deno.stat(path).catch(() => undefined);
        assert.ok(stat && stat.size >= Math.min(bytes, 500), `seed ${seed}, step ${step}: ${path}`);
      }
    }
    assert.ok(refused < 40);
  }
});
