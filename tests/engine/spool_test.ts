import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Bytes, Origin } from "../../engine/mod.ts";
import { openSpool, type Spool } from "../../engine/spool.ts";
import { laterOnDisk } from "./_folder.ts";

const clock = (): number => performance.now();
const owner = { run: "r", task: "file" };
const never = new AbortController().signal;
const noReplace = (): Promise<void> => Promise.reject(new Error("nothing was to be replaced"));
const text = (chunk: Uint8Array): string => new TextDecoder().decode(chunk);
const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const sha256 = (data: string | Uint8Array): string =>
  createHash("sha256").update(data).digest("hex");
const v = (validator: string, offset = 0): Origin => ({ key: "http://x/a", validator, offset });

async function withHome(test: (home: string) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "spool_" });
  try {
    await test(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

async function read(stream: Bytes): Promise<string> {
  let all = "";
  for await (const chunk of stream) all += text(chunk);
  return all;
}

/** Writes a file whole and commits it. */
async function put(spool: Spool, content: string, origin?: Origin, by = owner): Promise<string> {
  const file = await spool.open(by, origin, () => Promise.resolve());
  await file.write(bytes(content));
  await spool.finish(file);
  spool.commit(by);
  return file.path;
}

async function files(home: string): Promise<string[]> {
  const found: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory) await walk(join(folder, name));
      else if (!/^lock/.test(name)) found.push(name);
    }
  };
  await walk(join(home, "spool"));
  return found.sort();
}

Deno.test("a reader sees each chunk as soon as it is written, and the end when it is committed", () =>
  withHome(async (home) => {
    await using spool = await openSpool(home, { clock });
    const file = await spool.open(owner, undefined, noReplace);
    const reader = spool.follow(owner, file.state, never).stream.getReader();
    await file.write(bytes("one"));
    assert.equal(text((await reader.read()).value!), "one");
    const two = reader.read();
    await file.write(bytes("two"));
    assert.equal(text((await two).value!), "two");
    let ended = false;
    const end = reader.read().then(({ done }) => ended = done);
    await spool.finish(file);
    // One that comes only now must not see it either.
    const late = read(spool.follow(owner, file.state, never).stream).finally(() => ended = true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(ended, false, "it ended before the commit");
    spool.commit(owner);
    await end;
    assert.equal(await late, "onetwo");
    assert.equal(ended, true);
    assert.equal(file.sha256, sha256("onetwo"));
    assert.equal(await read(spool.follow(owner, file.state, never).stream), "onetwo");
  }));

Deno.test("a reader reads in pieces of 256 KiB, only when asked", () =>
  withHome(async (home) => {
    await using spool = await openSpool(home, { clock });
    const file = await spool.open(owner, undefined, noReplace);
    await file.write(new Uint8Array(600 * 1024));
    await spool.finish(file);
    spool.commit(owner);
    let waits = 0;
    const { stream } = spool.follow(owner, file.state, never, () => waits++);
    const sizes: number[] = [];
    for await (const chunk of stream) sizes.push(chunk.length / 1024);
    assert.deepEqual([sizes, waits], [[256, 256, 88], 0]);
  }));

Deno.test("a reader that has read enough is done only when the writer is", () =>
  withHome(async (home) => {
    await using spool = await openSpool(home, { clock });
    const file = await spool.open(owner, undefined, noReplace);
    await file.write(bytes("one"));
    let cancelled = false;
    const { stream } = spool.follow(owner, file.state, never);
    const early = (async () => {
      for await (const _ of stream) break;
      cancelled = true;
    })();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(cancelled, false);
    await spool.finish(file);
    spool.commit(owner);
    await early;
  }));

Deno.test("a reader can be stopped while it waits", () =>
  withHome(async (home) => {
    await using spool = await openSpool(home, { clock });
    const file = await spool.open(owner, undefined, noReplace);
    const stop = new AbortController();
    const waits: boolean[] = [];
    const { stream } = spool.follow(owner, file.state, stop.signal, (on) => waits.push(on));
    const reading = stream.getReader().read();
    setTimeout(() => stop.abort(new Error("enough")), 10);
    await assert.rejects(reading, /enough/);
    assert.deepEqual(waits, [true, false]);
    await file.rest();
  }));

Deno.test("a whole file with a validator is found by its key from other runs and processes", () =>
  withHome(async (home) => {
    await using spool = await openSpool(home, { clock });
    await using second = await openSpool(home, { clock });
    const path = await put(spool, "first", v("1"));
    assert.match(path, new RegExp(`whole/${sha256("http://x/a")}/${sha256("1")}$`));
    const other = { run: "other", task: "file" };
    assert.deepEqual(await second.kept(other, "http://x/a"), {
      validator: "1",
      bytes: 5,
      whole: true,
    });
    assert.equal(await second.kept(other, "http://x/b"), undefined);
    const taken = await second.open(other, { ...v("1"), kept: true }, noReplace);
    assert.deepEqual([taken.sha256, taken.bytes], [sha256("first"), 5]);
    second.commit(other);
    assert.equal(await read(second.follow(other, taken.state, never).stream), "first");

    await laterOnDisk();
    await put(spool, "second", v("2"));
    assert.equal((await second.kept(other, "http://x/a"))?.validator, "2");
    assert.equal(await read(second.follow(other, taken.state, never).stream), "first");
    await spool.release("r");
    await second.release("other");
    assert.equal((await files(home)).length, 4);
  }));

Deno.test("a whole file without key or validator belongs to its run and goes with it", () =>
  withHome(async (home) => {
    await using spool = await openSpool(home, { clock });
    await put(spool, "plain");
    await put(spool, "keyed", { key: "k", offset: 0 }, { run: "s", task: "file" });
    assert.equal(await spool.kept({ run: "s", task: "file" }, "k"), undefined);
    await spool.release("r");
    assert.equal((await files(home)).length, 1);
    await spool.release("s");
    assert.deepEqual(await files(home), []);
  }));

Deno.test("the next attempt goes on in the same file, and readers notice nothing", () =>
  withHome(async (home) => {
    await using spool = await openSpool(home, { clock });
    const file = await spool.open(owner, v("1"), noReplace);
    const reading = read(spool.follow(owner, file.state, never).stream);
    await file.write(bytes("one"));
    await file.rest();
    assert.deepEqual(await spool.kept(owner, "http://x/a"), {
      validator: "1",
      bytes: 3,
      whole: false,
    });
    assert.equal(await spool.kept({ run: "s", task: "file" }, "http://x/a"), undefined);
    for (
      const [origin, error] of [[v("1", 2), /3 bytes are kept/], [
        v("2", 3),
        /nothing of that/,
      ]] as const
    ) {
      await assert.rejects(spool.open(owner, origin, noReplace), error);
    }
    const again = await spool.open(owner, v("1", 3), noReplace);
    await again.write(bytes("two"));
    await spool.finish(again);
    spool.commit(owner);
    assert.equal(await reading, "onetwo");
    assert.equal(again.sha256, sha256("onetwo"));
  }));

Deno.test("another version is a new file, once the readers of the old one are gone", () =>
  withHome(async (home) => {
    await using spool = await openSpool(home, { clock });
    const old = await spool.open(owner, v("1"), noReplace);
    await old.write(bytes("old"));
    await old.rest();
    const stop = new AbortController();
    const reading = read(spool.follow(owner, old.state, stop.signal).stream);
    const file = await spool.open(owner, v("2"), async () => {
      stop.abort(new Error("replaced"));
      await assert.rejects(reading, /replaced/);
    });
    assert.notEqual(file.path, old.path);
    await assert.rejects(Deno.stat(old.path), Deno.errors.NotFound);
    await file.rest();
  }));

Deno.test("a file that was damaged shows before its end, and so does one that is gone", () =>
  withHome(async (home) => {
    await using spool = await openSpool(home, { clock });
    const path = await put(spool, "whole", v("1"));
    const state = { key: "http://x/a", validator: "1", bytes: 5, whole: true };
    await Deno.writeTextFile(path, "wholf");
    const changed = spool.follow(owner, state, never);
    await assert.rejects(read(changed.stream), /not those that were written/);
    assert.equal(changed.damaged, true);
    await Deno.writeTextFile(path, "who");
    await assert.rejects(read(spool.follow(owner, state, never).stream), /ends after 3 of 5 bytes/);
    assert.equal(await spool.kept(owner, "http://x/a"), undefined);
    await spool.drop(owner, true);
    assert.deepEqual(await files(home), []);
    const gone = spool.follow(owner, state, never);
    await assert.rejects(read(gone.stream), /it is gone/);
    assert.equal(gone.damaged, true);
  }));

Deno.test("who wants it fresh is told only of what he began himself", () =>
  withHome(async (home) => {
    await using spool = await openSpool(home, { clock });
    await put(spool, "whole", v("1"), { run: "s", task: "file" });
    assert.equal((await spool.kept(owner, "http://x/a"))?.whole, true);
    assert.equal(await spool.kept(owner, "http://x/a", true), undefined);
    const file = await spool.open(owner, v("2"), noReplace);
    await file.write(bytes("new"));
    await file.rest();
    assert.deepEqual(await spool.kept(owner, "http://x/a", true), {
      validator: "2",
      bytes: 3,
      whole: false,
    });
  }));

Deno.test("what is gone or damaged when it is to be taken or gone on with counts as a change of the source", () =>
  withHome(async (home) => {
    const live = (): Promise<boolean> => Promise.resolve(true);
    const changed = { name: "SourceChanged" };
    for (const damage of [Deno.remove, (path: string) => Deno.truncate(path, 2)]) {
      let path: string;
      {
        await using spool = await openSpool(home, { clock, live });
        await assert.rejects(spool.open(owner, { ...v("1", 3), kept: true }, noReplace), changed);
        const file = await spool.open(owner, v("1"), noReplace);
        await file.write(bytes("one"));
        path = file.path;
      }
      await using spool = await openSpool(home, { clock, live });
      await damage(path);
      await assert.rejects(spool.open(owner, v("1", 3), noReplace), changed);
      await spool.drop(owner);
      assert.equal(await spool.kept(owner, "http://x/a"), undefined);
    }
  }));

/** Writes 3 bytes that are recorded and 6 that are not, then dies. */
const CRASH = `
  import { openSpool } from ${JSON.stringify(new URL("../../engine/spool.ts", import.meta.url))};
  const spool = await openSpool(Deno.args[0], { clock: () => performance.now() });
  const origin = { key: "http://x/a", validator: "1" };
  const owner = { run: "r", task: "file" };
  let file = await spool.open(owner, { ...origin, offset: 0 });
  await file.write(new TextEncoder().encode("one"));
  await file.rest();
  file = await spool.open(owner, { ...origin, offset: 3 });
  await file.write(new TextEncoder().encode("xyzxyz"));
  const plain = await spool.open({ run: "r", task: "plain" });
  await plain.write(new TextEncoder().encode("plain"));
  Deno.kill(Deno.pid, "SIGKILL");
`;

async function crash(home: string): Promise<void> {
  const script = join(home, "crash.ts");
  await Deno.writeTextFile(script, CRASH);
  const { signal, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--unstable-temporal", script, home],
  }).output();
  assert.equal(signal, "SIGKILL", text(stderr));
}

Deno.test("after a crash a partial file counts up to its recorded length, and its run goes on there", () =>
  withHome(async (home) => {
    await crash(home);
    const live = (run: string): Promise<boolean> => Promise.resolve(run === "r");
    {
      await using spool = await openSpool(home, { clock, live });
      assert.equal((await spool.kept(owner, "http://x/a"))?.bytes, 3);
    }
    await using spool = await openSpool(home, { clock, live });
    const file = await spool.open(owner, v("1", 3), noReplace);
    const reading = read(spool.follow(owner, file.state, never).stream);
    await file.write(bytes("two"));
    await spool.finish(file);
    spool.commit(owner);
    assert.equal(await reading, "onetwo");
    assert.equal(file.sha256, sha256("onetwo"));
    assert.equal(await Deno.readTextFile(file.path), "onetwo");
  }));

Deno.test("what dead runs left is cleared when the spool is opened, what live processes write is not", () =>
  withHome(async (home) => {
    await crash(home);
    assert.equal((await files(home)).filter((name) => name !== "crash.ts").length, 3);
    await using first = await openSpool(home, { clock });
    assert.deepEqual(await files(home), []);
    const file = await first.open(owner, v("1"), noReplace);
    await file.write(bytes("one"));
    {
      await using _second = await openSpool(home, { clock });
      assert.equal((await files(home)).length, 2);
    }
    await file.write(bytes("two"));
    await first.finish(file);
    assert.equal(await Deno.readTextFile(file.path), "onetwo");
  }));

Deno.test("what is on disk is recorded every 32 MB and every 5 seconds", () =>
  withHome(async (home) => {
    let now = 0;
    await using spool = await openSpool(home, { clock: () => now });
    const file = await spool.open(owner, v("1"), noReplace);
    const recorded = async (): Promise<number> => {
      try {
        return JSON.parse(await Deno.readTextFile(`${file.path}.json`)).bytes;
      } catch {
        return 0;
      }
    };
    await file.write(new Uint8Array(31 * 2 ** 20));
    assert.equal(await recorded(), 0);
    await file.write(new Uint8Array(2 ** 20));
    assert.equal(await recorded(), 32 * 2 ** 20);
    now = 4999;
    await file.write(new Uint8Array(1));
    assert.equal(await recorded(), 32 * 2 ** 20);
    now = 5000;
    await file.write(new Uint8Array(1));
    assert.equal(await recorded(), 32 * 2 ** 20 + 2);
    await file.rest();
  }));
