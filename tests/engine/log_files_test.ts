import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { type LogEntry, logFiles, type LogLine } from "../../engine/mod.ts";
import { folder, smallDisk } from "./_folder.ts";

const key = { dag: "taxi", run: "manual__20210102T000000Z", task: "load", attempt: 2 };

function line(message: string, more: Partial<LogLine> = {}): LogLine {
  return { at: "2021-01-03T00:00:00Z", level: "info", ...key, message, ...more };
}

function pathOf(home: string): string {
  return join(home, "logs", key.dag, key.run, key.task, `${key.attempt}.jsonl`);
}

const messages = (entries: readonly LogEntry[]): string[] =>
  entries.map((entry) => entry.line.message);

/** The messages of a log as they come, until one is the last. */
async function until(lines: AsyncIterable<LogEntry>, last?: string): Promise<string[]> {
  const seen: string[] = [];
  for await (const { line } of lines) {
    seen.push(line.message);
    if (line.message === last) break;
  }
  return seen;
}

const never = new AbortController().signal;

Deno.test("lines are read as they were written, from any of them on", async () => {
  await using home = await folder();
  const logs = logFiles(home.path);
  const odd = "\u0000 \n \u2028 ünï \u{1f9ea} \ud800";
  const lines = [line("one"), line(odd, { level: "warn", fields: { [odd]: [1, null] } }), line("")];
  {
    using log = logs.open(key);
    for (const line of lines) log.write(line);
  }
  const entries = await logs.read(key);
  assert.deepEqual(entries.map(({ line }) => line), lines);
  for (const [i, { next }] of entries.entries()) {
    assert.deepEqual(await logs.read(key, { offset: next }), entries.slice(i + 1));
    assert.deepEqual(await logs.read(key, { limit: i }), entries.slice(0, i));
  }
  assert.equal(Deno.statSync(pathOf(home.path)).mode! & 0o777, 0o600);
  assert.equal(Deno.statSync(dirname(pathOf(home.path))).mode! & 0o777, 0o700);
});

Deno.test("lines longer than any buffer are read, page by page", async () => {
  await using home = await folder();
  const logs = logFiles(home.path);
  const expected = [1, 65_000, 65_536, 3_000_000, 7, 131_072, 1].map((n) => "é".repeat(n));
  {
    using log = logs.open(key);
    for (const message of expected) log.write(line(message));
  }
  const found: string[] = [];
  for (let offset = 0;;) {
    const page = await logs.read(key, { offset, limit: 2 });
    if (page.length === 0) break;
    found.push(...messages(page));
    offset = page.at(-1)!.next;
  }
  assert.deepEqual(found, expected);
});

Deno.test("instances of a mapped task have logs of their own", async () => {
  await using home = await folder();
  const logs = logFiles(home.path);
  for (const index of [undefined, 0, 12]) {
    using log = logs.open({ ...key, index });
    log.write(line(`of ${index}`));
  }
  for (const index of [undefined, 0, 12]) {
    assert.deepEqual(messages(await logs.read({ ...key, index })), [`of ${index}`]);
  }
  for (const index of [-1, 0.5, NaN]) {
    await assert.rejects(logs.read({ ...key, index }), /instances count from 0/);
  }
});

Deno.test("lines are in the file soon, those of the end at once, and many before they are many more", async () => {
  await using home = await folder();
  const logs = logFiles(home.path);
  const log = logs.open(key);
  log.write(line("first"));
  assert.throws(() => Deno.statSync(pathOf(home.path)), Deno.errors.NotFound);
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.deepEqual(messages(await logs.read(key)), ["first"]);
  for (let i = 0; i < 1000; i++) log.write(line("x".repeat(1000)));
  const { size } = await Deno.stat(pathOf(home.path));
  assert.ok(size > 900_000, `only ${size} bytes were written`);
  log.write(line("last"));
  log[Symbol.dispose]();
  assert.deepEqual(messages(await logs.read(key, { limit: 2000 })).at(-1), "last");
});

Deno.test("a log is followed while it is written, from any line on, until it ends", async () => {
  await using home = await folder();
  const logs = logFiles(home.path);
  const log = logs.open(key);
  const following = until(logs.follow(key, never));
  for (let i = 0; i < 5; i++) {
    log.write(line(`${i}`));
    await new Promise((resolve) => setTimeout(resolve, i * 60));
  }
  const [, second] = await logs.read(key);
  const rest = until(logs.follow(key, never, second!.next));
  log.write(line("last"));
  log[Symbol.dispose]();
  assert.deepEqual(await following, ["0", "1", "2", "3", "4", "last"]);
  assert.deepEqual(await rest, ["2", "3", "4", "last"]);
  assert.deepEqual(await until(logs.follow(key, never)), await following);
});

Deno.test("who follows a log is not left waiting when it ends while it is read", async () => {
  await using home = await folder();
  const logs = logFiles(home.path);
  for (let i = 0; i < 50; i++) {
    const attempt = { ...key, attempt: i + 1 };
    const log = logs.open(attempt);
    const following = until(logs.follow(attempt, never));
    for (let turn = 0; turn < i % 10; turn++) await Promise.resolve();
    if (i % 3 === 0) await logs.read(attempt);
    log.write(line("last"));
    log[Symbol.dispose]();
    assert.deepEqual(await following, ["last"]);
  }
});

Deno.test("following ends when its signal is aborted", async () => {
  await using home = await folder();
  const logs = logFiles(home.path);
  using log = logs.open(key);
  log.write(line("one"));
  const stop = new AbortController();
  const seen: string[] = [];
  for await (const entry of logs.follow(key, stop.signal)) {
    seen.push(entry.line.message);
    setTimeout(() => stop.abort(), 10);
  }
  assert.deepEqual(seen, ["one"]);
});

Deno.test("a log that another process writes is followed", async () => {
  await using home = await folder();
  const script = `
    import { logFiles } from ${JSON.stringify(new URL("../../engine/mod.ts", import.meta.url))};
    const key = ${JSON.stringify(key)};
    using log = logFiles(${JSON.stringify(home.path)}).open(key);
    for (const message of ["one", "two", "three"]) {
      log.write({ at: "", level: "info", ...key, message });
      await new Promise((resolve) => setTimeout(resolve, 250));
    }`;
  const path = join(home.path, "writer.ts");
  await Deno.writeTextFile(path, script);
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const args = ["run", "-A", "--no-check", "--config", config, path];
  const child = new Deno.Command(Deno.execPath(), { args }).spawn();
  const logs = logFiles(home.path, { mode: "read" });
  assert.deepEqual(await until(logs.follow(key, never), "three"), ["one", "two", "three"]);
  assert.equal((await child.status).code, 0);
  const stop = new AbortController();
  const seen: string[] = [];
  for await (const { line: { message } } of logs.follow(key, stop.signal)) {
    // Nobody tells that it has ended.
    if (seen.push(message) === 3) setTimeout(() => stop.abort(), 50);
  }
  assert.deepEqual(seen, ["one", "two", "three"]);
  assert.throws(() => logs.open(key), /it was opened for reading/);
});

Deno.test("what a dead process left half written is passed over", async () => {
  await using home = await folder();
  const logs = logFiles(home.path);
  logs.open(key)[Symbol.dispose]();
  await Deno.mkdir(dirname(pathOf(home.path)), { recursive: true });
  const text = (message: string): string => JSON.stringify(line(message));
  await Deno.writeTextFile(
    pathOf(home.path),
    `${text("one")}\n{"at":"2021\n\n${text("two")}\n${text("half").slice(0, 30)}`,
  );
  const entries = await logs.read(key);
  assert.deepEqual(messages(entries), ["one", "two"]);
  assert.deepEqual(await logs.read(key, { offset: entries[1]!.next }), []);
});

Deno.test("fields that are not JSON do not lose the line", async () => {
  await using home = await folder();
  const logs = logFiles(home.path);
  {
    using log = logs.open(key);
    log.write(line("big", { fields: { n: 10n } }));
  }
  const [entry] = await logs.read(key);
  assert.equal(entry!.line.message, "big");
  assert.match(String(entry!.line.fields!.unwritable), /BigInt/);
});

Deno.test("lines that cannot be written are counted, and told of when there is room again", async () => {
  await using disk = await smallDisk(300_000);
  if (!disk) return;
  const logs = logFiles(disk.path);
  const ballast = join(disk.path, "ballast");
  await Deno.writeFile(ballast, new Uint8Array(120_000));
  {
    using log = logs.open(key);
    for (let i = 0; i < 3000; i++) log.write(line(`${i} ${"x".repeat(100)}`));
    await Deno.remove(ballast);
    log.write(line("last"));
  }
  const found = messages(await logs.read(key, { limit: 5000 }));
  const gap = found.findIndex((message) => message.startsWith("Cannot show"));
  const [, lost] = /^Cannot show (\d+) lines before this one: .*No space/.exec(found[gap]!)!;
  assert.ok(Number(lost) > 0);
  const numbers = found.map((message) => message.split(" ")[0]);
  const expected = Array.from({ length: 3000 }, (_, i) => `${i}`);
  expected.splice(gap, Number(lost), "Cannot");
  assert.deepEqual(numbers, [...expected, "last"]);
});

Deno.test("logs whose folder was deleted are written anew", async () => {
  await using home = await folder();
  const logs = logFiles(home.path);
  const log = logs.open(key);
  log.write(line("one"));
  await new Promise((resolve) => setTimeout(resolve, 300));
  await Deno.remove(join(home.path, "logs"), { recursive: true });
  log.write(line("two"));
  log[Symbol.dispose]();
  assert.deepEqual(messages(await logs.read(key)), ["two"]);
});

Deno.test("the logs of a run are removed, and no others", async () => {
  await using home = await folder();
  const logs = logFiles(home.path);
  const other = { ...key, run: "other" };
  for (const each of [key, other, { ...key, attempt: 1 }]) {
    using log = logs.open(each);
    log.write(line("one"));
  }
  await logs.remove({ dag: key.dag, id: key.run });
  await logs.remove({ dag: key.dag, id: key.run });
  assert.deepEqual(await logs.read(key), []);
  assert.deepEqual(await until(logs.follow(key, never)), []);
  assert.deepEqual(messages(await logs.read(other)), ["one"]);
  await assert.rejects(Deno.stat(dirname(dirname(pathOf(home.path)))), Deno.errors.NotFound);
});

for (
  const name of [
    "..",
    ".",
    "",
    "a/b",
    "../../etc",
    "/etc/passwd",
    "a\0",
    "a\n",
    "é",
    "-a",
    "x".repeat(201),
  ]
) {
  Deno.test(`nothing is read, written or removed by the name ${JSON.stringify(name).slice(0, 20)}`, async () => {
    await using home = await folder();
    const logs = logFiles(home.path);
    for (const part of ["dag", "run", "task"] as const) {
      const hostile = { ...key, [part]: name };
      assert.throws(() => logs.open(hostile), /Cannot name a (DAG|run|task)/);
      await assert.rejects(logs.read(hostile), /Cannot name a/);
      await assert.rejects(until(logs.follow(hostile, never)), /Cannot name a/);
    }
    await assert.rejects(logs.remove({ dag: name, id: "a" }), /Cannot name a DAG/);
    await assert.rejects(logs.remove({ dag: "a", id: name }), /Cannot name a run/);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(home.path)), []);
  });
}

for (const attempt of [-1, 0, 1.5, NaN, Infinity, 2 ** 53]) {
  Deno.test(`there is no attempt ${attempt}`, () => {
    assert.throws(() => logFiles("/nowhere").open({ ...key, attempt }), /attempts count from 1/);
  });
}

for (const what of ["dag", "file"] as const) {
  Deno.test(`a link in place of the ${what} leads nowhere`, async () => {
    await using home = await folder();
    await using outside = await folder();
    const inner = join(home.path, "logs", key.dag);
    await Deno.writeTextFile(join(outside.path, "secret"), `${JSON.stringify(line("secret"))}\n`);
    if (what === "dag") {
      await Deno.mkdir(dirname(inner), { recursive: true });
      await Deno.mkdir(join(outside.path, key.run, key.task), { recursive: true });
      await Deno.copyFile(
        join(outside.path, "secret"),
        join(outside.path, key.run, key.task, `${key.attempt}.jsonl`),
      );
      await Deno.symlink(outside.path, inner);
    } else {
      await Deno.mkdir(dirname(pathOf(home.path)), { recursive: true });
      await Deno.symlink(join(outside.path, "secret"), pathOf(home.path));
    }
    const before = await Deno.readTextFile(pathOf(home.path));
    const logs = logFiles(home.path);
    await assert.rejects(logs.read(key), /a link on the way to it leads elsewhere/);
    {
      using log = logs.open(key);
      log.write(line("one"));
    }
    assert.equal(await Deno.readTextFile(pathOf(home.path)), before);
    if (what === "dag") {
      await assert.rejects(logs.remove({ dag: key.dag, id: key.run }), /leads elsewhere/);
    }
    assert.ok((await Deno.stat(join(outside.path, "secret"))).isFile);
  });
}
