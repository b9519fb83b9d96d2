import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Bytes, dag, type Kept, pipe, Source, SourceChanged } from "../../engine/mod.ts";
import { type File, open, save } from "../../operators/file.ts";
import { http } from "../../operators/http.ts";
import { perform, testContext } from "../_context.ts";

const content = crypto.getRandomValues(new Uint8Array(60_000));

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function read(stream: Bytes): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

Deno.test("open gives the bytes of a file, by path, URL or what save gave", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a b%.csv");
    await Deno.writeFile(path, content);
    for (const file of [path, pathToFileURL(path).href, { path, bytes: content.length }]) {
      assert.deepEqual(await read(await perform(open({ file }))), content);
    }
    assert.deepEqual(await read(await perform(http({ url: path }))), content);
    assert.deepEqual(await read(await perform(http({ url: pathToFileURL(path).href }))), content);
  }));

Deno.test("open says how long the file is and reads as it is asked", () =>
  withFolder(async (folder) => {
    const path = join(folder, "large");
    await Deno.writeFile(path, new Uint8Array(3_000_000));
    const ctx = testContext();
    const reader = (await perform(open({ file: path }), ctx)).getReader();
    assert.equal((await reader.read()).value!.length, 256 * 1024);
    const { length, bytes } = ctx.meters.read().at(-1)!;
    assert.deepEqual({ length, bytes }, { length: 3_000_000, bytes: 256 * 1024 });
    await reader.cancel();
  }));

Deno.test("open refuses what it cannot read, and says why", () =>
  withFolder(async (folder) => {
    const table: [string, RegExp][] = [
      [join(folder, "none.csv"), /^Cannot open ".*none\.csv": there is no such file or folder/],
      [folder, /^Cannot open ".*": it is a directory/],
      ["ftp://user:secret@example.org/x", /begins with "ftp:": use http, https or file$/],
      ["file://elsewhere/x", /names no file on this machine/],
    ];
    for (const [file, message] of table) {
      await assert.rejects(perform(open({ file })), { name: "GiveUp", message });
    }
  }));

Deno.test("a file over an edge is a source that can be kept and continued", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.csv");
    await Deno.writeFile(path, content);
    const first = await perform(open({ file: path }));
    assert.ok(first instanceof Source);
    await first.cancel();
    const { key, validator = "" } = first.origin;
    assert.equal(key, pathToFileURL(path).href);
    assert.match(validator, /^\d+-60000-\d+$/);

    async function ask(
      kept: Kept,
      cache: "off" | "revalidate" = "revalidate",
    ): Promise<[Source, Uint8Array]> {
      const ctx = testContext({
        kept: (asked) => Promise.resolve(asked === key ? kept : undefined),
      });
      const source = await perform(http({ url: path, cache }), ctx);
      assert.ok(source instanceof Source);
      return [source, await read(source)];
    }
    const [whole, none] = await ask({ validator, bytes: 60_000, whole: true });
    assert.deepEqual([whole.origin.kept, whole.origin.offset, none.length], [true, 60_000, 0]);
    const [part, rest] = await ask({ validator, bytes: 1000, whole: false });
    assert.deepEqual([part.origin.kept, part.origin.offset], [undefined, 1000]);
    assert.deepEqual(rest, content.subarray(1000));
    const [other, all] = await ask({ validator: "1-2-3", bytes: 1000, whole: false });
    assert.deepEqual([other.origin.offset, all.length], [0, 60_000]);
    const [off] = await ask({ validator, bytes: 60_000, whole: true }, "off");
    assert.deepEqual([off.origin.kept, off.origin.offset], [undefined, 0]);
  }));

Deno.test("a file that changes while it is read is not taken for whole", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.csv");
    await Deno.writeFile(path, new Uint8Array(400_000));
    const reader = (await perform(open({ file: path }))).getReader();
    await reader.read();
    await Deno.writeFile(path, content, { append: true });
    await assert.rejects(async () => {
      while (!(await reader.read()).done);
    }, SourceChanged);
  }));

Deno.test("save writes a file that appears when it is whole", () =>
  withFolder(async (folder) => {
    const path = join(folder, "out.csv");
    await Deno.writeTextFile(path, "old");
    let halfway: string | undefined;
    const input: Bytes = new ReadableStream({
      async pull(controller) {
        if (halfway === undefined) controller.enqueue(content);
        else controller.close();
        halfway ??= await Deno.readTextFile(path);
      },
    }, { highWaterMark: 0 });
    const file = await perform(save({ path }), testContext(), input);
    assert.deepEqual(file, { path, bytes: content.length });
    assert.equal(halfway, "old");
    assert.deepEqual(await Deno.readFile(path), content);
    assert.deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name), ["out.csv"]);
  }));

Deno.test("save leaves nothing behind when its input fails", () =>
  withFolder(async (folder) => {
    const path = join(folder, "out.csv");
    const input: Bytes = new ReadableStream({
      start: (controller) => controller.enqueue(content),
      pull: (controller) => controller.error(new Error("the source broke")),
    });
    await assert.rejects(perform(save({ path }), testContext(), input), /the source broke/);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  }));

Deno.test("save stops when it is told to, though no byte comes", () =>
  withFolder(async (folder) => {
    const stop = new AbortController();
    let cancelled: unknown;
    const input: Bytes = new ReadableStream({
      start: (controller) => controller.enqueue(content),
      cancel: (reason) => void (cancelled = reason),
    });
    const path = join(folder, "out.csv");
    const saving = perform(save({ path }), testContext({ signal: stop.signal }), input);
    setTimeout(() => stop.abort(new Error("stopped by hand")), 20);
    await assert.rejects(saving, /stopped by hand/);
    assert.equal((cancelled as Error).message, "stopped by hand");
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  }));

Deno.test("save gives its input up when it cannot write, and says why", () =>
  withFolder(async (folder) => {
    let cancelled = false;
    const input: Bytes = new ReadableStream({ cancel: () => void (cancelled = true) });
    const path = join(folder, "no", "such", "folder");
    await assert.rejects(
      perform(save({ path }), testContext(), input),
      /^Error: Cannot save ".*folder": there is no such file or folder/,
    );
    assert.ok(cancelled);
  }));

Deno.test("- is standard input", async () => {
  const program = `
    import { open } from ${JSON.stringify(import.meta.resolve("../../operators/file.ts"))};
    import { perform } from ${JSON.stringify(import.meta.resolve("../_context.ts"))};
    for (const _ of [1, 2]) {
      let bytes = 0;
      for await (const chunk of await perform(open({ file: "-" }))) bytes += chunk.length;
      console.log(bytes);
    }`;
  await withFolder(async (folder) => {
    const path = join(folder, "program.ts");
    await Deno.writeTextFile(path, program);
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--config", config, path],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    for (let i = 0; i < 5; i++) await writer.write(content);
    await writer.close();
    assert.equal(new TextDecoder().decode((await child.output()).stdout), "300000\n0\n");
  });
});

// Types: what save puts out is what open takes, and a number is not.
const d = dag("files", { params: { name: "a" } });
const saved = d.task("save", pipe(http({ url: (c) => c.params.name }), save({ path: "x" })));
d.task(
  "open",
  pipe(open({ file: saved }), save({ path: saved.map((file: File) => basename(file.path)) })),
);
// @ts-expect-error a number is no file
d.task("wrong", open({ file: d.task("number", () => 1) }));
