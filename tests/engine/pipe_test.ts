import assert from "node:assert/strict";
import {
  type Bytes,
  dag,
  engine,
  GiveUp,
  operator,
  pipe,
  ReadAgain,
  Source,
  tee,
  type Work,
} from "../../engine/mod.ts";
import { perform, testContext } from "../_context.ts";
import { type Folder, folder } from "./_folder.ts";
import { download, fileServer, soon } from "./_origin.ts";

const BODY = new Uint8Array(100_000).map((_, i) => (i * i) >> 3);

/** What happened to the source of a pipe. */
interface Told {
  opened: number;
  /** Why it was cancelled; undefined while it is not. */
  cancelled: unknown;
}

/** Bytes in chunks of 1,000, once or as often as they are asked for; of one version, or of one each time. */
function bytes(told: Told, validator?: string | ((opened: number) => string)): Work<Bytes> {
  return operator("bytes", (): Bytes => {
    told.opened++;
    let at = 0;
    const source: UnderlyingDefaultSource<Uint8Array<ArrayBuffer>> = {
      pull(controller) {
        if (at === BODY.length) return controller.close();
        controller.enqueue(BODY.slice(at, at += 1000));
      },
      cancel: (reason) => void (told.cancelled = reason),
    };
    if (validator === undefined) return new ReadableStream(source, { highWaterMark: 0 });
    const version = typeof validator === "string" ? validator : validator(told.opened);
    return new Source({ key: "x", validator: version, offset: 0 }, source);
  })();
}

/** Passes bytes on, asking to read again after so many of them, once for each of `stops`. */
function again(stops: number[]): Work<Bytes, Bytes> {
  return operator("again", (_: object, ctx, input: Bytes): Bytes => {
    assert.equal(ctx.learnt, again.learnt);
    const stop = stops.shift() ?? Infinity;
    let n = 0;
    return input.pipeThrough(
      new TransformStream(
        {
          transform(chunk, controller) {
            n += chunk.length;
            if (n <= stop) return controller.enqueue(chunk);
            again.learnt = stop;
            throw new ReadAgain("declare it", stop);
          },
        },
        { highWaterMark: 1 },
        { highWaterMark: 0 },
      ),
    );
  }, { rereads: true })();
}
again.learnt = undefined as unknown;

const collect = operator("collect", async (_: object, _ctx, input: Bytes) => {
  return new Uint8Array(await new Response(input).arrayBuffer());
});

/** Has temporary files made in a folder of our own, where other processes make none. */
async function ownTemporary(): Promise<Folder> {
  const before = Deno.env.get("TMPDIR");
  const { path, ...own } = await folder();
  Deno.env.set("TMPDIR", path);
  return {
    path,
    async [Symbol.asyncDispose]() {
      before === undefined ? Deno.env.delete("TMPDIR") : Deno.env.set("TMPDIR", before);
      await own[Symbol.asyncDispose]();
    },
  };
}

const SOURCES: readonly [what: string, validator: string | undefined, opened: number][] = [
  ["of no known version", undefined, 1],
  ["of a version that is weakly known", 'W/"1"', 1],
  ["of a known version", '"1"', 4],
];

for (const [what, validator, opened] of SOURCES) {
  Deno.test(`a source ${what} is read again from its start, with what was learnt`, async () => {
    again.learnt = undefined;
    const told: Told = { opened: 0, cancelled: undefined };
    const ctx = testContext();
    await using own = await ownTemporary();
    const work = pipe(bytes(told, validator), again([40_000, 90_500, 10_000]), collect());
    assert.deepEqual(await perform(work, ctx), BODY);
    assert.equal(told.opened, opened);
    const stages = ctx.meters.read().map(({ stage, bytes }) => [stage, bytes]);
    assert.deepEqual(stages.slice(1), [["bytes", 100_000], ["again", 100_000], ["collect", 0]]);
    assert.deepEqual([...Deno.readDirSync(own.path)], []);
  });
}

/** How a source is told apart each time it is opened, and how often that is. */
const CHANGES: readonly [what: string, validator: (opened: number) => string, opened: number][] = [
  ["is another one each time", (opened) => `"${opened}"`, 2],
  ["is another one the third time", (opened) => opened < 3 ? '"1"' : '"2"', 3],
  ["cannot be told apart the second time", (opened) => opened < 2 ? '"1"' : 'W/"1"', 2],
];

for (const [what, validator, opened] of CHANGES) {
  Deno.test(`of a source that ${what} nothing learnt is taken for another, and the other one is kept`, async () => {
    const told: Told = { opened: 0, cancelled: undefined };
    const learnt: unknown[] = [];
    const stops = [40_000, 90_500, 10_000];
    const ask = operator("ask", async (_: object, ctx, input: Bytes): Promise<number> => {
      learnt.push(ctx.learnt);
      let n = 0;
      for await (const chunk of input) n += chunk.length;
      if (stops.length > 0) {
        throw new ReadAgain("declare it", `of ${told.opened}: ${stops.shift()}`);
      }
      return n;
    }, { rereads: true });
    await using own = await ownTemporary();
    const ctx = testContext();
    assert.equal(await perform(pipe(bytes(told, validator), ask()), ctx), BODY.length);
    assert.equal(told.opened, opened);
    assert.deepEqual(
      learnt,
      opened === 2
        ? [undefined, undefined, "of 2: 90500", "of 2: 10000"]
        : [undefined, "of 1: 40000", undefined, "of 3: 10000"],
    );
    const stages = ctx.meters.read().map(({ stage, bytes }) => [stage, bytes]);
    assert.deepEqual(stages.slice(1), [["bytes", 100_000], ["ask", 0]]);
    assert.deepEqual([...Deno.readDirSync(own.path)], []);
  });
}

Deno.test("what nobody may ask for again is not kept, and pipes in pipes are one", async () => {
  again.learnt = undefined;
  const told: Told = { opened: 0, cancelled: undefined };
  const inner = pipe(bytes(told), again([50_000]));
  assert.deepEqual(await perform(pipe(inner, collect())), BODY);
  assert.equal(told.opened, 1);
});

Deno.test("a pipe whose output is a stream gives up, and lets go of its source", async () => {
  again.learnt = undefined;
  const told: Told = { opened: 0, cancelled: undefined };
  const stream = await perform(pipe(bytes(told), again([50_000])));
  await assert.rejects(new Response(stream).arrayBuffer(), (error) => {
    assert.ok(error instanceof ReadAgain && error instanceof GiveUp);
    return true;
  });
  await stream.cancel().catch(() => {});
  assert.ok(told.cancelled instanceof ReadAgain);
});

Deno.test("a stream that is put out whole leaves nothing open", async () => {
  again.learnt = undefined;
  const told: Told = { opened: 0, cancelled: undefined };
  const stream = await perform(pipe(bytes(told), again([])));
  assert.deepEqual(new Uint8Array(await new Response(stream).arrayBuffer()), BODY);
});

Deno.test("a failure cancels the source, whether it is kept or not", async () => {
  for (const validator of [undefined, '"1"']) {
    again.learnt = undefined;
    const told: Told = { opened: 0, cancelled: undefined };
    const fail = operator("fail", async (_: object, _ctx, input: Bytes) => {
      const reader = input.getReader();
      await reader.read();
      const error = new Error("no more");
      await reader.cancel(error);
      throw error;
    });
    const work = pipe(bytes(told, validator), again([]), fail());
    await assert.rejects(perform(work), new Error("no more"));
    assert.equal((told.cancelled as Error)?.message, "no more");
  }
});

Deno.test("who never has enough gives up", async () => {
  again.learnt = undefined;
  const told: Told = { opened: 0, cancelled: undefined };
  const work = pipe(bytes(told), again(Array(20).fill(10)), collect());
  await assert.rejects(perform(work), { name: "ReadAgain", message: "declare it" });
  assert.ok(told.cancelled instanceof ReadAgain);
});

Deno.test("chunks that are no bytes cannot be read again", async () => {
  const texts = operator("texts", () => ReadableStream.from(["a", "b"]));
  const fussy = operator("fussy", async (_: object, _ctx, input: ReadableStream<string>) => {
    for await (const text of input) if (text === "b") throw new ReadAgain("declare it", 1);
  }, { rereads: true });
  await assert.rejects(perform(pipe(texts(), fussy())), { message: "declare it" });
});

Deno.test("the ends of a tee begin anew together", async () => {
  again.learnt = undefined;
  const told: Told = { opened: 0, cancelled: undefined };
  const ends = tee({ a: pipe(again([50_000]), collect()), b: collect() });
  const { a, b } = await perform(pipe(bytes(told), ends));
  assert.deepEqual([a, b], [BODY, BODY]);
  assert.equal(told.opened, 1);
});

Deno.test("a task that reads a stream reads the spool again, without a retry and while it is still written", async () => {
  again.learnt = undefined;
  await using server = fileServer(BODY);
  const learnt = Promise.withResolvers<void>();
  // The second half comes when the first was read twice.
  server.gate = { at: 50_000, until: soon(learnt.promise) };
  let begun = 0;
  const count = operator("count", async (_: object, ctx, input: Bytes) => {
    begun++;
    const reader = input.getReader();
    for (let n = 0;;) {
      const { done, value } = await reader.read();
      if (done) return { n, learnt: String(ctx.learnt) };
      n += value.length;
      if (ctx.learnt === undefined && n >= 40_000) {
        const error = new ReadAgain("declare it", "it");
        await reader.cancel(error);
        throw error;
      }
      if (n >= 50_000) learnt.resolve();
    }
  }, { rereads: true });
  const d = dag("edge", { params: { url: server.url } });
  const file = d.task("download", download({ url: (run) => run.params.url }));
  d.task("load", pipe(file, count()));
  await using etl = await engine({ dags: [d] });
  const { state, tasks } = await (await etl.trigger(d)).done;
  assert.equal(state, "success");
  const { attempt, retries, output } = tasks.load!;
  assert.deepEqual({ attempt, retries, output }, {
    attempt: 1,
    retries: 0,
    output: { n: 100_000, learnt: "it" },
  });
  assert.deepEqual([begun, server.requests.length], [2, 1]);
});

Deno.test("a reader that began anew and has enough still ends after its writer", async () => {
  await using server = fileServer(BODY);
  const done = Promise.withResolvers<void>();
  server.gate = { at: 50_000, until: soon(done.promise) };
  const some = operator("some", async (_: object, ctx, input: Bytes) => {
    const reader = input.getReader();
    await reader.read();
    if (ctx.learnt === undefined) {
      const error = new ReadAgain("declare it", "it");
      await reader.cancel(error);
      throw error;
    }
    setTimeout(done.resolve, 20);
    await reader.cancel();
    return "enough";
  }, { rereads: true });
  const d = dag("edge", { params: { url: server.url } });
  const file = d.task("download", download({ url: (run) => run.params.url }));
  d.task("load", pipe(file, some()));
  await using etl = await engine({ dags: [d] });
  const { tasks } = await (await etl.trigger(d)).done;
  const { load, download: writer } = tasks;
  assert.deepEqual([load!.state, load!.attempt, load!.output], ["success", 1, "enough"]);
  assert.ok(load!.ended! >= writer!.ended!);
});
