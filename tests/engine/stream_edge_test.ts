import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  type Bytes,
  dag,
  engine,
  GiveUp,
  memory,
  operator,
  pipe,
  type Run,
} from "../../engine/mod.ts";
import { download, fileServer, soon } from "./_origin.ts";
import { time, until } from "./_rig.ts";

const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

function random(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(length);
  for (let i = 0; i < length; i++) data[i] = seed = (seed * 1103515245 + 12345) & 0x7fffffff;
  return data;
}

/** What the readers of a test do: they hash, and call back. */
interface Reads {
  onBytes?: (bytes: number, attempt: number) => void;
  onEnd?: (how: "whole" | "rolled back") => void;
  stopAt?: number;
}

const load = operator("load", async (options: Reads, ctx, bytes: Bytes) => {
  const hash = createHash("sha256");
  let n = 0;
  let how: "whole" | "rolled back" = "rolled back";
  try {
    for await (const chunk of bytes) {
      hash.update(chunk);
      n += chunk.length;
      options.onBytes?.(n, ctx.attempt);
      if (n >= (options.stopAt ?? Infinity)) break;
    }
    how = "whole";
  } finally {
    options.onEnd?.(how);
  }
  return { bytes: n, sha256: hash.digest("hex") };
});

/** Functions as options would be called; these are to be passed on. */
const fixed = <T>(value: T): () => T => () => value;

async function files(home: string): Promise<string[]> {
  const found: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory) await walk(join(folder, name));
      else if (!/^lock/.test(name)) found.push(join(folder, name));
    }
  };
  await walk(home);
  return found;
}

async function withHome(test: (home: string) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "edge_" });
  try {
    await test(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

/** Each task as `state attempt/retries`. */
const short = ({ tasks }: Run): Record<string, string> =>
  Object.fromEntries(
    Object.entries(tasks).map(([id, { state, attempt, retries }]) => {
      return [id, `${state} ${attempt}/${retries}`];
    }),
  );

Deno.test("a task that reads a stream runs while it is written, retries without a second request, and ends after its writer", async () => {
  await using server = fileServer(random(20_000, 1));
  const read = Promise.withResolvers<void>();
  // Half of it comes only when that was read: without an overlap nothing goes on.
  server.gate = { at: 10_000, until: soon(read.promise) };
  let failures = 1;
  const d = dag("edge", { params: { url: server.url } });
  const file = d.task("download", download({ url: (run) => run.params.url }));
  d.task(
    "load",
    pipe(
      file,
      load({
        onBytes: fixed((n: number) => {
          if (n === 10_000) read.resolve();
          if (n > 10_000 && failures-- > 0) throw new Error("lost");
        }),
      }),
    ),
    { retries: 1, retryDelay: { milliseconds: 1 } },
  );
  d.task("audit", pipe(file, load({})));
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  assert.equal(run.state, "success");
  assert.deepEqual(short(run), {
    download: "success 1/0",
    load: "success 2/1",
    audit: "success 1/0",
  });
  const { download: writer, load: reader, audit } = run.tasks;
  const whole = { bytes: 20_000, sha256: sha256(server.body) };
  assert.deepEqual(reader!.output, whole);
  assert.deepEqual(audit!.output, whole);
  assert.deepEqual(writer!.output, {
    url: server.url,
    ...whole,
    downloaded: 20_000,
    validator: '"1"',
  });
  assert.equal(server.requests.length, 1);
  assert.ok(audit!.started! < writer!.ended!, "it waited for the download");
  assert.ok(audit!.ended! >= writer!.ended!, "it ended before its source was whole");
  assert.deepEqual(writer!.readings!.map(({ stage, bytes, done }) => ({ stage, bytes, done })), [
    { stage: "download", bytes: 20_000, done: true },
  ]);
});

Deno.test("a second run asks whether the file is still the same, and downloads 0 bytes", () =>
  withHome(async (home) => {
    await using server = fileServer(random(5000, 2));
    const d = dag("twice");
    d.task("load", pipe(d.task("download", download({ url: server.url })), load({})));
    for (const [downloaded, statuses] of [[5000, [200]], [0, [200, 304]]] as const) {
      // A new engine each time: what is kept is in the folder.
      await using etl = await engine({ dags: [d], home });
      const run = await (await etl.trigger(d)).done;
      assert.equal(run.state, "success");
      assert.equal((run.tasks.download!.output as { downloaded: number }).downloaded, downloaded);
      assert.deepEqual(run.tasks.load!.output, { bytes: 5000, sha256: sha256(server.body) });
      assert.deepEqual(server.requests.map((request) => request.status), statuses);
    }
    assert.equal((await files(home)).length, 2);
  }));

Deno.test("a connection that is cut again and again: each byte is sent once, and readers notice nothing", async () => {
  await using server = fileServer(random(50_000, 3));
  server.cuts = [1, 999, 1000, 5500, 20_000, 20_001, 49_999];
  const d = dag("cuts");
  const file = d.task("download", download({ url: server.url }), {
    retries: 7,
    retryDelay: { milliseconds: 1 },
  });
  d.task("load", pipe(file, load({})));
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  assert.deepEqual(short(run), { download: "success 8/7", load: "success 1/0" });
  assert.deepEqual(run.tasks.load!.output, { bytes: 50_000, sha256: sha256(server.body) });
  assert.equal(server.requests.reduce((sum, { sent }) => sum + sent, 0), 50_000);
});

Deno.test("a source that is another one at the retry: readers start over once, and use no retry", async () => {
  await using server = fileServer(random(20_000, 4));
  const other = random(15_000, 5);
  server.cuts = [10_000];
  const d = dag("changed");
  const file = d.task("download", download({ url: server.url }), {
    retries: 1,
    retryDelay: { milliseconds: 1 },
  });
  const ends: string[] = [];
  d.task(
    "load",
    pipe(
      file,
      load({
        onBytes: fixed((n: number, attempt: number) => {
          if (attempt > 1 || n < 10_000) return;
          server.body = other;
          server.etag = '"2"';
        }),
        onEnd: fixed((how: string) => ends.push(how)),
      }),
    ),
  );
  // The connection breaks only when the reader has come as far.
  const read = Promise.withResolvers<void>();
  server.gate = { at: 10_000, until: soon(read.promise) };
  const etag = setInterval(() => server.etag === '"2"' && read.resolve(), 1);
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  clearInterval(etag);
  assert.deepEqual(short(run), { download: "success 2/1", load: "success 2/0" });
  assert.deepEqual(run.tasks.load!.output, { bytes: 15_000, sha256: sha256(other) });
  assert.deepEqual(ends, ["rolled back", "whole"]);
});

Deno.test("a source that changes within an attempt is begun anew, at most 3 times", async () => {
  for (const [changes, expected] of [[3, "success"], [4, "failed"]] as const) {
    await using server = fileServer(random(5000, 6));
    let left: number = changes;
    let pieces = 0;
    const d = dag("changing");
    const file = d.task(
      "download",
      download({ url: server.url, changes: fixed(() => ++pieces % 3 === 0 && left-- > 0) }),
    );
    d.task("load", pipe(file, load({})));
    await using etl = await engine({ dags: [d] });
    const { tasks } = await (await etl.trigger(d)).done;
    assert.equal(tasks.download!.state, expected);
    assert.equal(tasks.download!.attempt, 1);
    assert.equal(server.requests.length, 4);
    if (expected === "failed") {
      assert.match(tasks.download!.error!.message, /its source changed 4 times meanwhile/);
      assert.match(tasks.download!.error!.cause!.message, /changed/);
    } else assert.deepEqual(tasks.load!.output, { bytes: 5000, sha256: sha256(server.body) });
    assert.equal(tasks.load!.retries, 0);
  }
});

Deno.test("a writer that fails for good: its reader is rolled back and is upstream_failed, and nothing is left", () =>
  withHome(async (home) => {
    await using server = fileServer(random(5000, 7));
    server.cuts = [3000, 3000];
    const ends: string[] = [];
    const d = dag("broken");
    const file = d.task("download", download({ url: server.url }), {
      retries: 1,
      retryDelay: { milliseconds: 1 },
    });
    const read = Promise.withResolvers<void>();
    server.gate = { at: 3000, until: soon(read.promise) };
    d.task(
      "load",
      pipe(
        file,
        load({
          onBytes: fixed((n: number) => n === 3000 && read.resolve()),
          onEnd: fixed((how: string) => ends.push(how)),
        }),
      ),
      { retries: 5 },
    );
    await using etl = await engine({ dags: [d], home });
    const run = await (await etl.trigger(d)).done;
    assert.equal(run.state, "failed");
    assert.deepEqual(short(run), { download: "failed 2/1", load: "upstream_failed 1/0" });
    assert.deepEqual(ends, ["rolled back"]);
    assert.deepEqual(await files(home), []);
  }));

Deno.test("a cancelled run: what ran has stopped and is rolled back, and no file is left", () =>
  withHome(async (home) => {
    await using server = fileServer(random(50_000, 8));
    const read = Promise.withResolvers<void>();
    const never = Promise.withResolvers<void>();
    server.gate = { at: 20_000, until: never.promise };
    const ends: string[] = [];
    const d = dag("cancelled");
    const file = d.task("download", download({ url: server.url }), { retries: 3 });
    const reader = d.task(
      "load",
      pipe(
        file,
        load({
          onBytes: fixed((n: number) => n === 20_000 && read.resolve()),
          onEnd: fixed((how: string) => ends.push(how)),
        }),
      ),
      { retries: 3 },
    );
    d.task("after", () => 1, { after: reader });
    await using etl = await engine({ dags: [d], home });
    const { id, done } = await etl.trigger(d);
    await soon(read.promise);
    assert.equal(etl.readings(id).download![0]!.bytes, 20_000);
    await etl.cancel(id);
    never.resolve();
    assert.deepEqual(ends, ["rolled back"]);
    const run = await done;
    assert.deepEqual([run.state, run.reason], ["failed", "cancelled"]);
    assert.deepEqual(short(run), {
      download: "failed 1/0",
      load: "failed 1/0",
      after: "skipped 0/0",
    });
    assert.equal(run.tasks.load!.reason, "cancelled");
    assert.deepEqual(await files(home), []);
  }));

Deno.test("a kept file that was damaged is found out before a reader commits, and downloaded again", () =>
  withHome(async (home) => {
    await using server = fileServer(random(300_000, 9));
    const d = dag("damaged");
    const file = d.task("download", download({ url: server.url }));
    const ends: string[] = [];
    d.task("load", pipe(file, load({ onEnd: fixed((how: string) => ends.push(how)) })));
    await using etl = await engine({ dags: [d], home });
    await (await etl.trigger(d)).done;
    const [path] = (await files(home)).filter((path) => !path.endsWith(".json"));
    const bytes = await Deno.readFile(path!);
    bytes[299_999]! ^= 1;
    await Deno.writeFile(path!, bytes);
    const run = await (await etl.trigger(d)).done;
    assert.deepEqual(server.requests.map((request) => request.status), [200, 304, 200]);
    assert.deepEqual(short(run), { download: "success 2/0", load: "success 2/0" });
    assert.deepEqual(run.tasks.load!.output, { bytes: 300_000, sha256: sha256(server.body) });
    assert.deepEqual(ends, ["whole", "rolled back", "whole"]);
  }));

Deno.test("a reader that stops early is done only when the writer is", async () => {
  await using server = fileServer(random(20_000, 10));
  const read = Promise.withResolvers<void>();
  server.gate = { at: 10_000, until: soon(read.promise) };
  const d = dag("limit");
  const file = d.task("download", download({ url: server.url }));
  let ended = 0;
  d.task(
    "load",
    pipe(
      file,
      load({
        stopAt: 5000,
        onBytes: fixed((n: number) => n >= 5000 && read.resolve()),
        onEnd: fixed(() => ended = server.requests[0]!.sent),
      }),
    ),
  );
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  assert.equal(run.state, "success");
  assert.equal(ended, 20_000);
  assert.ok(run.tasks.load!.ended! >= run.tasks.download!.ended!);
});

Deno.test("a reader that does not even close its stream succeeds only when the writer has", async () => {
  await using server = fileServer(random(20_000, 14));
  const read = Promise.withResolvers<void>();
  server.gate = { at: 10_000, until: soon(read.promise) };
  const peek = operator("peek", async (_: { x?: 1 }, __, bytes: Bytes) => {
    const { value } = await bytes.getReader().read();
    setTimeout(read.resolve, 20);
    return value!.length > 0;
  });
  const d = dag("peek");
  d.task("peek", pipe(d.task("download", download({ url: server.url })), peek()));
  await using etl = await engine({ dags: [d] });
  const { tasks } = await (await etl.trigger(d)).done;
  assert.ok(tasks.peek!.ended! >= tasks.download!.ended!);
});

Deno.test("a reader sees the end only when the writer's success is durable", async () => {
  await using server = fileServer(random(5000, 15));
  const ends: string[] = [];
  const d = dag("durable");
  const file = d.task("download", download({ url: server.url }));
  d.task("load", pipe(file, load({ onEnd: fixed((how: string) => ends.push(how)) })));
  const store = memory();
  let before: number | undefined;
  await using etl = await engine({
    dags: [d],
    store: {
      ...store,
      async append(run, version, events) {
        const success = events.some((event) => {
          return event.type === "task_changed" && event.task === "download" &&
            event.to.state === "success";
        });
        if (success) {
          await new Promise((resolve) => setTimeout(resolve, 50));
          before = ends.length;
        }
        return await store.append(run, version, events);
      },
    },
  });
  assert.equal((await (await etl.trigger(d)).done).state, "success");
  assert.deepEqual([before, ends], [0, ["whole"]]);
});

Deno.test("a stream through three tasks: each reads what the one before it writes", async () => {
  await using server = fileServer(random(20_000, 11));
  const read = Promise.withResolvers<void>();
  server.gate = { at: 10_000, until: soon(read.promise) };
  const flip = operator("flip", (_: { x?: 1 }, __, bytes: Bytes) => {
    return bytes.pipeThrough(
      new TransformStream({
        transform: (chunk, controller) => controller.enqueue(chunk.map((byte) => byte ^ 255)),
      }),
    ) as Bytes;
  });
  const d = dag("chain");
  const file = d.task("download", download({ url: server.url }));
  const flipped = d.task("flip", pipe(file, flip()));
  const onBytes = fixed((n: number) => n === 10_000 && read.resolve());
  d.task("load", pipe(flipped, load({ onBytes })));
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  assert.equal(run.state, "success");
  assert.deepEqual(run.tasks.load!.output, {
    bytes: 20_000,
    sha256: sha256(server.body.map((byte) => byte ^ 255)),
  });
  assert.equal((run.tasks.flip!.output as { validator: null }).validator, null);
});

Deno.test("a stream without a key is written anew by the retry, and its readers start over", async () => {
  const read = Promise.withResolvers<void>();
  const plain = operator("plain", (_: { x?: 1 }, ctx) => {
    let n = 0;
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      async pull(controller) {
        if (++n === 3) {
          await soon(read.promise);
          if (ctx.attempt === 1) throw new Error("lost");
          return controller.close();
        }
        controller.enqueue(new Uint8Array(100).fill(ctx.attempt));
      },
    }, { highWaterMark: 0 });
  });
  const d = dag("plain");
  const file = d.task("plain", plain(), { retries: 1, retryDelay: { milliseconds: 1 } });
  d.task("load", pipe(file, load({ onBytes: fixed((n: number) => n === 200 && read.resolve()) })));
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  assert.deepEqual(short(run), { plain: "success 2/1", load: "success 2/0" });
  assert.deepEqual(run.tasks.load!.output, {
    bytes: 200,
    sha256: sha256(new Uint8Array(200).fill(2)),
  });
});

Deno.test("the timeout of a reader does not count the time in which no bytes come", async () => {
  await using server = fileServer(random(2000, 12));
  const rest = Promise.withResolvers<void>();
  server.gate = { at: 1000, until: soon(rest.promise) };
  const clock = time();
  const d = dag("patient");
  const file = d.task("download", download({ url: server.url }));
  let read = 0;
  const reading = load({ onBytes: fixed((n: number) => read = n) });
  d.task("load", pipe(file, reading), { timeout: { milliseconds: 300 } });
  await using etl = await engine({ dags: [d], ...clock });
  const { done } = await etl.trigger(d);
  // Its timeout stands still once it has read what there is.
  await until(() => read === 1000 && clock.sleepers() === 0);
  await clock.advance({ minutes: 1 });
  rest.resolve();
  assert.equal((await done).state, "success");
});

Deno.test("a source that fails before its first byte never starts a reader", async () => {
  const d = dag("absent");
  const absent = operator("absent", (_: { x?: 1 }): Bytes => {
    throw new GiveUp(`Cannot download "x": status is 404`);
  });
  d.task("load", pipe(d.task("absent", absent(), { retries: 3 }), load({})));
  await using etl = await engine({ dags: [d] });
  const run = await (await etl.trigger(d)).done;
  assert.deepEqual(short(run), { absent: "failed 1/0", load: "upstream_failed 0/0" });
});

Deno.test("two runs at once each download, and share what they have in the end", () =>
  withHome(async (home) => {
    await using server = fileServer(random(20_000, 13));
    const both = Promise.withResolvers<void>();
    server.gate = { at: 10_000, until: soon(both.promise) };
    server.onPiece = () => server.requests.length === 2 && both.resolve();
    const d = dag("two");
    d.task("load", pipe(d.task("download", download({ url: server.url })), load({})));
    await using etl = await engine({ dags: [d], home });
    const handles = [await etl.trigger(d), await etl.trigger(d)];
    for (const { done } of handles) {
      assert.deepEqual((await done).tasks.load!.output, {
        bytes: 20_000,
        sha256: sha256(server.body),
      });
    }
    assert.equal((await files(home)).length, 2);
  }));
