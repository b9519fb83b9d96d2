import assert from "node:assert/strict";
import { keepSource, type Kept, perform, Source, type Work } from "../../engine/mod.ts";
import { folder } from "./_folder.ts";

const bytes = Uint8Array.from({ length: 1_000_000 }, (_, i) => i * i >> 3);

interface Origin {
  validator?: string;
  key?: string;
  /** Where it breaks. */
  breaks?: number;
}

/** A source that answers as `http` does, and what it was asked for. */
function source({ validator = '"v1"', key = "https://example.com/file", breaks }: Origin = {}) {
  const asked: (Kept | undefined)[] = [];
  const work: Work<ReadableStream<Uint8Array<ArrayBuffer>>> = {
    steps: [],
    async run(_, ctx) {
      const kept = await ctx.kept?.(key);
      asked.push(kept);
      const same = kept?.validator === validator;
      let at = same ? kept.bytes : 0;
      const origin = { key, validator, length: bytes.length, offset: at };
      return new Source({ ...origin, ...same && kept.whole && { kept: true } }, {
        pull(controller) {
          if (breaks !== undefined && at >= breaks) throw new Error("the line was cut");
          if (at >= bytes.length) return controller.close();
          controller.enqueue(bytes.slice(at, at += 100_000));
        },
      });
    },
  };
  return { work, asked };
}

async function read(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).bytes();
}

Deno.test("a source that is kept is read whole, and asked for what is missing of it alone", async () => {
  await using home = await folder();
  const pass = async (origin: Origin = {}) => {
    using kept = keepSource(home.path, "a load")!;
    const { work, asked } = source(origin);
    const stream = await perform(kept.through(work));
    const got = await read(stream).catch((error: Error) => error.message);
    if (typeof got !== "string") assert.deepEqual(got, bytes);
    const { validator } = (stream as Source).origin;
    return { id: kept.id, validator, asked: asked[0], got };
  };
  const first = await pass({ breaks: 400_000 });
  assert.deepEqual([first.asked, first.got], [undefined, "the line was cut"]);
  const second = await pass({ breaks: 700_000 });
  assert.deepEqual(second.asked, { validator: '"v1"', bytes: 400_000, whole: false });
  assert.equal(second.got, "the line was cut");
  const third = await pass();
  assert.deepEqual(third.asked, { validator: '"v1"', bytes: 700_000, whole: false });
  assert.deepEqual([third.id, third.validator], [first.id, '"v1"']);
  assert.deepEqual((await pass()).asked, { validator: '"v1"', bytes: 1_000_000, whole: true });
  // Another version takes its place.
  const other = await pass({ validator: '"v2"', breaks: 300_000 });
  assert.equal(other.validator, '"v2"');
  assert.deepEqual((await pass({ validator: '"v2"' })).asked?.bytes, 300_000);
});

Deno.test("what cannot be told from another version, and what is a file already, is not kept", async () => {
  for (const origin of [{ validator: 'W/"v1"' }, { key: "file:///etc/passwd" }]) {
    await using home = await folder();
    for (let pass = 0; pass < 2; pass++) {
      using kept = keepSource(home.path, "a load")!;
      const { work, asked } = source(origin);
      assert.deepEqual(await read(await perform(kept.through(work))), bytes);
      assert.deepEqual(asked, [undefined]);
    }
  }
});

Deno.test("one that stops reading leaves what came as a part", async () => {
  await using home = await folder();
  {
    using kept = keepSource(home.path, "a load")!;
    const reader = (await perform(kept.through(source().work))).getReader();
    await reader.read();
    await reader.cancel();
  }
  using kept = keepSource(home.path, "a load")!;
  const { work, asked } = source();
  assert.deepEqual(await read(await perform(kept.through(work))), bytes);
  assert.ok(asked[0]!.bytes > 0);
  assert.equal(asked[0]!.whole, asked[0]!.bytes === bytes.length);
});

Deno.test("after a loss of power only what is safe on the disk counts", async () => {
  await using home = await folder();
  {
    using kept = keepSource(home.path, "a load")!;
    await read(await perform(kept.through(source({ breaks: 400_000 }).work))).catch(() => {});
  }
  const [{ name }] = [...Deno.readDirSync(home.path)] as [Deno.DirEntry];
  const note = `${home.path}/${name}/kept.json`;
  Deno.writeTextFileSync(note, Deno.readTextFileSync(note).replace(/"boot":"[^"]*"/, '"boot":"x"'));
  using kept = keepSource(home.path, "a load")!;
  const { work, asked } = source();
  assert.deepEqual(await read(await perform(kept.through(work))), bytes);
  assert.deepEqual(asked, [undefined]);
});

Deno.test("a name is one process's at a time, is forgotten when it is done, and after a day", async () => {
  await using home = await folder();
  const names = () => [...Deno.readDirSync(home.path)].length;
  {
    using kept = keepSource(home.path, "a load")!;
    assert.equal(keepSource(home.path, "a load"), undefined);
    using other = keepSource(home.path, "another load")!;
    assert.notEqual(other.id, kept.id);
    kept.forget();
    assert.equal(names(), 1);
  }
  const later = (hours: number) => () => Temporal.Now.instant().add({ hours });
  keepSource(home.path, "a third", { now: later(23) })![Symbol.dispose]();
  assert.equal(names(), 2);
  using living = keepSource(home.path, "a fourth")!;
  keepSource(home.path, "a fifth", { now: later(25) })![Symbol.dispose]();
  assert.equal(names(), 2, "who lives keeps its own");
  living.forget();
});
