import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { openSpool } from "../../engine/spool.ts";
import { folder } from "./_folder.ts";

const owner = { run: "r", task: "file" };
const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url));

/** Downloads a URL into a spool with what is kept, and says which file it is; its clock runs 500 times as fast as ours. */
const DOWNLOAD = `
  import { openSpool } from ${url("../../engine/spool.ts")};
  import { download } from ${url("./_origin.ts")};
  import { perform, testContext } from ${url("../_context.ts")};
  const [home, url] = Deno.args;
  const clock = () => performance.now() * 500;
  await using spool = await openSpool(home, { clock, live: (run) => Promise.resolve(run === "r") });
  const owner = ${JSON.stringify(owner)};
  const kept = (key) => spool.kept(owner, key);
  const source = await perform(download({ url }), testContext({ kept }));
  const reader = source.getReader();
  let next = await reader.read();
  const file = await spool.open(owner, source.origin, () => Promise.resolve());
  for (; !next.done; next = await reader.read()) await file.write(next.value);
  await spool.finish(file);
  console.log(file.sha256 + " " + file.path);
`;

/** The partial file in a home folder, and what of it counts. */
async function partial(home: string): Promise<{ path: string; recorded: number } | undefined> {
  const parts = join(home, "spool", "parts");
  const found: { path: string; recorded: number }[] = [];
  for (const folder of Deno.readDirSync(parts)) {
    for (const { name } of Deno.readDirSync(join(parts, folder.name))) {
      if (!name.endsWith(".json")) continue;
      const path = join(parts, folder.name, name);
      const { bytes } = JSON.parse(await Deno.readTextFile(path));
      found.push({ path: path.slice(0, -".json".length), recorded: bytes });
    }
  }
  assert.ok(found.length <= 1, JSON.stringify(found));
  return found[0];
}

Deno.test("a download whose process is killed again and again ends with the same bytes, and asks only for those that were not recorded", async () => {
  const seed = 20210102;
  let state = seed;
  const random = (
    n: number,
  ): number => (state = (state * 1103515245 + 12345) & 0x7fffffff, (state >> 8) % n);
  const length = 3_000_000;
  const body = new Uint8Array(length).map(() => random(256));
  const requests: { from: number; sent: number }[] = [];
  /** Kills the downloader when that much was sent to it. */
  let killAt = Infinity;
  let kill = (): void => {};
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const from = Number(request.headers.get("range")?.match(/^bytes=(\d+)-$/)?.[1] ?? 0);
    const log = { from, sent: 0 };
    requests.push(log);
    const stream = new ReadableStream({
      async pull(controller) {
        const at = from + log.sent;
        if (at >= length) return controller.close();
        if (log.sent >= killAt) return kill();
        const piece = body.slice(at, at + 10_000);
        log.sent += piece.length;
        controller.enqueue(piece);
        await new Promise((resolve) => setTimeout(resolve, 1));
      },
    }, { highWaterMark: 0 });
    const headers = { etag: '"1"', "x-length": String(length) };
    return new Response(stream, { status: from > 0 ? 206 : 200, headers });
  });
  await using home = await folder();
  const script = join(home.path, "download.ts");
  await Deno.writeTextFile(script, DOWNLOAD);
  let crashes = 0, recorded = 0;
  for (;;) {
    // Together less than there is: however much of it is recorded, the last is still killed.
    killAt = crashes < 12 ? 10_000 * random(25) : Infinity;
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--config",
        new URL("../../deno.json", import.meta.url).pathname,
        script,
        home.path,
        `http://127.0.0.1:${server.addr.port}/file`,
      ],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    kill = () => child.kill("SIGKILL");
    const before = requests.length;
    const { code, signal, stdout, stderr } = await child.output();
    const said = new TextDecoder().decode(stdout).trim();
    assert.equal(requests.length, before + 1, new TextDecoder().decode(stderr));
    assert.equal(requests.at(-1)!.from, recorded, `seed ${seed}, crash ${crashes}`);
    if (signal === null) {
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      const [sha256, path] = said.split(" ");
      assert.equal(sha256, createHash("sha256").update(body).digest("hex"));
      const file = await Deno.readFile(path!);
      assert.equal(createHash("sha256").update(file).digest("hex"), sha256);
      break;
    }
    assert.equal(signal, "SIGKILL");
    crashes++;
    const left = await partial(home.path);
    const sent = recorded + requests.at(-1)!.sent;
    if (left) {
      assert.ok(left.recorded >= recorded && left.recorded <= sent, `seed ${seed}`);
      recorded = left.recorded;
      const kept = (await Deno.readFile(left.path)).subarray(0, recorded);
      assert.ok(kept.every((byte, i) => byte === body[i]), "what is recorded is what was sent");
    }
  }
  assert.equal(crashes, 12);
  assert.ok(recorded > 0, "something was recorded, and gone on with");
  // What came twice is what was sent behind the last record.
  const sent = requests.reduce((sum, { sent }) => sum + sent, 0);
  const again = requests.slice(1).reduce((sum, { from }, i) => {
    return sum + requests[i]!.from + requests[i]!.sent - from;
  }, 0);
  assert.equal(sent - again, length);
});

Deno.test("whenever a process ends, what it leaves can be gone on with, and the rest is cleared", async () => {
  const clock = (): number => performance.now();
  const body = new Uint8Array(50_000).map((_, i) => (i * i) >> 3);
  const sha256 = createHash("sha256").update(body).digest("hex");
  const live = (run: string): Promise<boolean> => Promise.resolve(run === "r");
  const origin = { key: "http://x/a", validator: "1", length: body.length };
  /** A home folder as it stands, without the locks of the living: as its process leaves it when it dies now. */
  async function copyOf(home: string): Promise<string> {
    const copy = await Deno.makeTempDir({ prefix: "sluice_test_" });
    const walk = async (path: string): Promise<void> => {
      await Deno.mkdir(join(copy, path), { recursive: true });
      for await (const { name, isDirectory } of Deno.readDir(join(home, path))) {
        if (isDirectory) await walk(join(path, name));
        else await Deno.copyFile(join(home, path, name), join(copy, path, name));
      }
    };
    await walk("spool");
    return copy;
  }
  await using home = await folder();
  let now = 0;
  await using spool = await openSpool(home.path, { clock: () => now, live });
  const copies: { home: string; whole: boolean }[] = [];
  const note = async (whole = false): Promise<void> => {
    copies.push({ home: await copyOf(home.path), whole });
  };
  const plain = await spool.open({ run: "r", task: "plain" }, undefined, () => Promise.resolve());
  await plain.write(body);
  await note();
  let file = await spool.open(owner, { ...origin, offset: 0 }, () => Promise.resolve());
  for (let at = 0; at < body.length; at += 5000) {
    await note();
    // Some are recorded, others not.
    now += at % 3 * 5000;
    await file.write(body.subarray(at, at + 5000));
    if (at === 20_000) {
      await file.rest();
      await note();
      file = await spool.open(owner, { ...origin, offset: file.bytes }, () => Promise.resolve());
    }
  }
  await note();
  await spool.finish(file);
  await note(true);
  for (const { home, whole } of copies) {
    {
      await using spool = await openSpool(home, { clock, live });
      const kept = await spool.kept(owner, origin.key);
      assert.equal(kept?.whole ?? false, whole);
      const offset = kept?.bytes ?? 0;
      const file = await spool.open(owner, { ...origin, offset, kept: whole }, async () => {});
      if (!whole) {
        await file.write(body.subarray(offset));
        await spool.finish(file);
      }
      assert.equal(file.sha256, sha256);
      assert.equal(
        createHash("sha256").update(await Deno.readFile(file.path)).digest("hex"),
        sha256,
      );
      const parts = [...Deno.readDirSync(join(home, "spool", "parts"))].flatMap(({ name }) => {
        return [...Deno.readDirSync(join(home, "spool", "parts", name))].map(({ name }) => name);
      });
      assert.deepEqual(parts.filter((name) => !/^lock|^use\./.test(name)), []);
    }
    assert.deepEqual([...Deno.readDirSync(join(home, "spool", "parts"))], []);
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("what was left half made among the whole files is cleared, what is whole stays", async () => {
  await using home = await folder();
  const shelf = join(home.path, "spool", "whole", "0".repeat(64));
  const lone = join(home.path, "spool", "whole", "1".repeat(64));
  const put = (name: string, text: string, path = shelf) =>
    Deno.writeTextFileSync(join(path, name), text);
  Deno.mkdirSync(shelf, { recursive: true });
  Deno.mkdirSync(lone);
  const good = { key: "k", validator: "1", length: 3, bytes: 3, whole: true, sha256: "" };
  put("a", "abc");
  put("a.json", JSON.stringify(good));
  put("a.6b1f", "{");
  put("no-sidecar", "abc");
  put("no-file.json", JSON.stringify(good));
  put("too-short", "ab");
  put("too-short.json", JSON.stringify(good));
  put("not-json", "abc");
  put("not-json.json", "{");
  put("no-sidecar", "abc", lone);
  await using _spool = await openSpool(home.path, { clock: () => 0 });
  assert.deepEqual([...Deno.readDirSync(shelf)].map(({ name }) => name).sort(), ["a", "a.json"]);
  assert.throws(() => Deno.statSync(lone), Deno.errors.NotFound);
});
