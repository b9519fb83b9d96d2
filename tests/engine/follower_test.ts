import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Followed, Follower } from "../../engine/_follower.ts";

const never = new AbortController().signal;

async function withFile(test: (path: string, file: Followed) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "follower_" });
  try {
    const path = join(folder, "file");
    await Deno.writeFile(path, new Uint8Array(1000));
    const sha256 = createHash("sha256").update(new Uint8Array(1000)).digest("hex");
    await test(path, {
      path: join(folder, "before"),
      bytes: 1000,
      sha256,
      committed: true,
      after: () => Promise.resolve(),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a file that was moved before it was opened is looked for again", () =>
  withFile(async (path, file) => {
    let looks = 0;
    const moved = { ...file };
    await using follower = new Follower(() => {
      if (++looks === 2) moved.path = path;
      return Promise.resolve(moved);
    }, never);
    const bytes = await new Response(follower.stream).bytes();
    assert.equal(bytes.length, 1000);
    assert.equal(looks, 2);
    assert.equal(follower.damaged, false);
  }));

Deno.test("a file that is gone is damaged", () =>
  withFile(async (_, file) => {
    await using follower = new Follower(() => Promise.resolve(file), never);
    await assert.rejects(new Response(follower.stream).bytes(), /before": it is gone/);
    assert.equal(follower.damaged, true);
  }));

Deno.test("a file is told of once it has come farther, or has ended, and no more when nobody asks", () =>
  withFile(async (path, file) => {
    const waits: boolean[] = [];
    const grown = Promise.withResolvers<void>();
    const growing: Followed & { bytes: number } = {
      ...file,
      path,
      committed: false,
      sha256: undefined,
      async after(_, signal) {
        const gone = new Promise<never>((_, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
        });
        await Promise.race([grown.promise, gone]);
      },
    };
    await using follower = new Follower(
      () => Promise.resolve(growing),
      never,
      (waiting) => waits.push(waiting),
    );
    assert.equal((await follower.after(-1, never)).bytes, 1000);
    assert.deepEqual(waits, []);
    const stop = new AbortController();
    const stopped = follower.after(1000, stop.signal);
    const told = follower.after(1000, never);
    await new Promise((resolve) => setTimeout(resolve));
    stop.abort(new Error("never mind"));
    await assert.rejects(stopped, { message: "never mind" });
    growing.bytes = 1500;
    grown.resolve();
    assert.deepEqual(await told, { path, bytes: 1500, sha256: undefined, committed: false });
    assert.deepEqual(waits, [true, true, false, false]);
  }));
