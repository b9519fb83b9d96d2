import assert from "node:assert/strict";
import fc from "fast-check";
import {
  all,
  branch,
  chain,
  type Dag,
  dag,
  type DagOptions,
  dataset,
  fn,
  type Params,
  pipe,
  type Ref,
  type Scope,
  type TaskOptions,
  tee,
} from "../../engine/mod.ts";
import { decompress, empty, http, open, save } from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";

const order = (d: Dag): string[] => [...d.tasks.keys()];
const upstream = (d: Dag): Record<string, readonly string[]> =>
  Object.fromEntries([...d.tasks.values()].map(({ id, upstream }) => [id, upstream]));

/** A DAG of empty tasks. */
function tasks(...ids: string[]) {
  const d = dag("d");
  return { d, made: ids.map((id) => d.task(id, empty())) };
}

Deno.test("edges come of what is read and of what is waited for, once each", () => {
  const d = dag("d");
  const a = d.task("a", () => 1);
  const b = d.task("b", () => 1);
  const c = d.task("c", () => 1);
  const read = { pair: all(a, b.map((n) => n + 1)), again: a };
  const sum = d.task("sum", fn(read, ({ pair, again }) => pair[0] + pair[1] + again), {
    after: [c, a],
  });
  assert.deepEqual(sum.reads, ["a", "b"]);
  assert.deepEqual(sum.upstream, ["a", "b", "c"]);
});

Deno.test("fn gives a function what it reads, and the run", async () => {
  const d = dag("d", { params: { n: 3 } });
  const a = d.task("a", () => 2);
  const work = fn({ a, b: 5, c: (run) => run.attempt }, ({ a, b, c }, run) => [a, b, c, run.task]);
  assert.deepEqual(await work.run({ output: (id) => `<${id}>` }, testContext()), [
    "<a>",
    5,
    1,
    "test",
  ]);
  assert.equal(await perform(fn({}, () => Promise.resolve("x"))), "x");
  function named() {}
  assert.equal(fn({}, named).steps[0]!.name, "named");
});

Deno.test("after puts a task behind others later on, and tasks stay sorted", () => {
  const { d, made: [a, b, c] } = tasks("a", "b", "c");
  assert.equal(a!.after(c!, [b!]), a);
  c!.after(b!);
  assert.deepEqual(upstream(d), { b: [], c: ["b"], a: ["c", "b"] });
  assert.deepEqual(order(d), ["b", "c", "a"]);
  d.task("e", empty(), { after: a! });
  assert.deepEqual(order(d), ["b", "c", "a", "e"]);
});

Deno.test("a circle is refused, naming the way, and nothing is changed", () => {
  const { d, made: [a, b, c] } = tasks("a", "b", "c");
  chain(a!, b!, c!);
  assert.throws(
    () => a!.after(c!),
    /Cannot put "a" behind "c": that closes the circle a -> b -> c -> a$/,
  );
  assert.throws(() => chain(b!, a!), /the circle a -> b -> a$/);
  assert.throws(() => b!.after(b!), /the circle b -> b$/);
  assert.deepEqual(upstream(d), { a: [], b: ["a"], c: ["b"] });
  assert.deepEqual(order(d), ["a", "b", "c"]);
});

Deno.test("whatever edges are added in whatever order: no circle, upstream first, and none refused without one", () => {
  const edge = fc.tuple(fc.nat(7), fc.nat(7));
  fc.assert(fc.property(fc.array(edge, { maxLength: 40 }), (edges) => {
    const { d, made } = tasks(..."01234567");
    const accepted: [number, number][] = [];
    const reaches = (from: number, to: number): boolean =>
      from === to || accepted.some(([a, b]) => a === from && reaches(b, to));
    for (const [from, to] of edges) {
      const closes = reaches(to, from);
      if (closes) assert.throws(() => made[to]!.after(made[from]!), /closes the circle/);
      else {
        made[to]!.after(made[from]!);
        accepted.push([from, to]);
      }
      const sorted = order(d);
      assert.equal(sorted.length, 8);
      for (const [a, b] of accepted) assert.ok(sorted.indexOf(`${a}`) < sorted.indexOf(`${b}`));
    }
  }));
});

Deno.test("ten thousand tasks in a row are no matter, nor is one behind them all", () => {
  const d = dag("d");
  const made = Array.from({ length: 10_000 }, (_, i) => d.task(`t${i}`, empty()));
  const began = performance.now();
  chain(...made);
  const first = d.task("first", empty());
  const last = d.task("last", empty(), { after: made });
  made[0]!.after(first);
  assert.equal(last.upstream.length, 10_000);
  assert.equal(order(d)[0], "first");
  assert.throws(() => first.after(last), /closes the circle/);
  assert.ok(performance.now() - began < 10_000);
});

Deno.test("chain orders tasks, lists and pairs of lists as Airflow's does", () => {
  const { d, made: [a, b, c, e, f, g] } = tasks("a", "b", "c", "e", "f", "g");
  chain(a!, [b!, c!], [e!, f!], g!);
  assert.deepEqual(upstream(d), { a: [], b: ["a"], c: ["a"], e: ["b"], f: ["c"], g: ["e", "f"] });
  assert.throws(() => chain([a!, b!], [e!, f!, g!]), /a list of 2 tasks and one of 3.*paired/);
  assert.throws(() => chain(a!, [], g!), /list 2 is empty/);
});

Deno.test("groups prefix ids, nest, and are ordered by their first and last tasks", () => {
  const d = dag("d");
  const start = d.task("start", empty());
  const extract = d.group("extract", (group) => {
    const a = group.task("a", empty());
    group.group("deep", (deep) => {
      deep.task("b", empty(), { after: a });
      deep.task("c", empty());
    });
  });
  const load = d.group("load");
  load.task("d", empty());
  d.task("end", empty(), { after: [extract, load] });
  chain(start, extract, load);
  assert.deepEqual(upstream(d), {
    "start": [],
    "extract.a": ["start"],
    "extract.deep.c": ["start"],
    "extract.deep.b": ["extract.a"],
    "load.d": ["extract.deep.b", "extract.deep.c"],
    "end": ["extract.deep.b", "extract.deep.c", "load.d"],
  });
  assert.equal(d.tasks.get("extract.deep.b")!.group, "extract.deep");
  assert.equal(d.tasks.get("end")!.group, undefined);
});

Deno.test("a group that others were ordered by is complete; an empty one orders nothing", () => {
  const d = dag("d");
  const outer = d.group("outer");
  const inner = outer.group("inner");
  assert.throws(() => d.task("x", empty(), { after: outer }), /by group "outer": it has none yet/);
  inner.task("a", empty());
  d.task("x", empty(), { after: outer });
  assert.throws(
    () => inner.task("b", empty()),
    /"outer.inner.b".*group "outer.inner", so it is complete/,
  );
  assert.throws(() => outer.group("more"), /Cannot add group "outer.more" to "d"/);
  d.task("y", empty());
});

const T = (options: TaskOptions | object) => (d: Dag) => d.task("t", empty(), options);
const refused: [what: string, make: (d: Dag) => unknown, error: RegExp][] = [
  [
    "a misspelt trigger rule",
    T({ when: "all_succes" }),
    /"all_succes" as `when` of task "t": it is one of "all_success", "all_failed"/,
  ],
  [
    "a misspelt duration",
    T({ timeout: { minute: 5 } }),
    /\{"minute":5\} as `timeout` of task "t": it is a duration like/,
  ],
  ["a number for a duration", T({ retryDelay: 5 }), /5 as `retryDelay`/],
  ["a negative wait", T({ retryDelay: { seconds: -1 } }), /and not negative/],
  ["a timeout of nothing", T({ timeout: { seconds: 0 } }), /and longer than none/],
  ["half a retry", T({ retries: 0.5 }), /0.5 as `retries`.*whole number, 0 or more/],
  ["no slots", T({ slots: 0 }), /`slots` of task "t": it is a whole number, 1 or more/],
  ["a priority that is none", T({ priority: NaN }), /`priority`/],
  ["another backoff", T({ backoff: "linear" }), /one of "fixed", "exponential"/],
  [
    "a callback that is none",
    T({ onFailure: "mail" }),
    /`onFailure` of task "t": it is a function/,
  ],
  [
    "a limit of none",
    (d) => d.each("t", ["a"], () => empty(), { limit: 0 }),
    /0 as `limit` of task "t"/,
  ],
  ["failsRun without setups", T({ failsRun: true }), /`failsRun` is for a teardown/],
  ["an id with a space", (d) => d.task("a b", empty()), /Cannot name a task "a b"/],
  ["a group's id with a slash", (d) => d.group("a/b"), /Cannot name a group "a\/b"/],
  [
    "an id too long in its group",
    (d) => d.group("g".repeat(150)).task("t".repeat(100), empty()),
    /Cannot name a task "g+\.t+"/,
  ],
  [
    "a group named like a task",
    (d) => [d.task("a", empty()), d.group("a")],
    /group "a" to "d": the id is taken/,
  ],
  [
    "a task named like a group",
    (d) => [d.group("a"), d.task("a", empty())],
    /task "a" to "d": the id is taken/,
  ],
  ["the same task twice", (d) => [d.task("a", empty()), d.task("a", empty())], /the id is taken/],
  [
    "a task of another DAG",
    (d) => d.task("t", empty(), { after: tasks("a").made[0]! }),
    /upstream "a" is not in it/,
  ],
  [
    "one of the same id, even",
    (d) => [d.task("a", empty()), d.task("t", empty(), { after: tasks("a").made[0]! })],
    /upstream "a" is not in it/,
  ],
  [
    "another DAG's, later on",
    (d) => d.task("t", empty()).after(tasks("a").made[0]!),
    /Cannot put "t" behind "a": it is not in its DAG/,
  ],
];

for (const [what, make, error] of refused) {
  Deno.test(`${what} is refused when it is added`, () => {
    assert.throws(() => make(dag("d")), (thrown) => {
      assert.ok(thrown instanceof TypeError);
      assert.match(thrown.message, error);
      return true;
    });
  });
}

const options: [options: object, error: RegExp][] = [
  [{ maxActiveRuns: 0 }, /0 as `maxActiveRuns` of "d": it is a whole number, 1 or more/],
  [{ catchup: "newest" }, /one of true, false, "all", "latest", "none"/],
  [{ mode: "cron" }, /"cron" as `mode`/],
  [{ deadline: "soon" }, /"soon" as `deadline`/],
  [{ failWhen: "all" }, /one of "leaf", "any"/],
  [{ schedule: [] }, /`schedule` of "d": a list is one of datasets/],
  [{ schedule: ["@daily"] }, /a list is one of datasets/],
  [{ defaults: { retries: -1 } }, /-1 as `retries` of the defaults of "d"/],
];

Deno.test("options that a DAG cannot have are refused", () => {
  for (const [given, error] of options) {
    assert.throws(() => dag("d", given as DagOptions<Params>), error);
  }
});

Deno.test("a task has the DAG's defaults where it says nothing else", () => {
  const d = dag("d", { defaults: { retries: 3, retryDelay: { seconds: 1 }, pool: "slow" } });
  const task = d.group("g").task("t", empty(), { retries: 1, priority: 2 });
  assert.deepEqual(task.options, {
    retries: 1,
    retryDelay: { seconds: 1 },
    pool: "slow",
    priority: 2,
  });
});

Deno.test("who comes after a group of teardowns alone comes after those", () => {
  const d = dag("d");
  const setup = d.task("setup", empty(), { setup: true });
  const group = d.group("down", (group) => {
    const one = group.task("one", empty(), { teardown: setup });
    group.task("two", empty(), { teardown: setup, after: one });
  });
  assert.deepEqual(d.task("x", empty(), { after: group }).upstream, ["down.two"]);
});

Deno.test("a teardown comes after its setups, and groups end before it", () => {
  const d = dag("d", { defaults: { when: "all_done" } });
  const work = d.group("work");
  const create = work.task("create", () => "cluster", { setup: true });
  const use = work.task("use", empty(), { after: create });
  const drop = work.task("drop", fn({ id: create }, ({ id }) => id), {
    teardown: [create],
    failsRun: true,
  });
  chain(use, drop);
  d.task("next", empty(), { after: work });
  assert.deepEqual(drop.setups, ["work.create"]);
  assert.deepEqual(upstream(d), {
    "work.create": [],
    "work.use": ["work.create"],
    "work.drop": ["work.create", "work.use"],
    "next": ["work.use"],
  });
  assert.throws(
    () => d.task("x", empty(), { teardown: create, when: "all_success" }),
    /a teardown has no `when`/,
  );
  assert.throws(() => d.task("x", empty(), { teardown: create, setup: true }), /either a setup or/);
});

/** What an instance's work reads, with `item` and `outputs` as they stand. */
function at(item: unknown, outputs: Record<string, unknown> = {}): Scope {
  return { item: () => item, output: (id) => outputs[id] };
}

Deno.test("a mapped task knows its list, its limit, and what an instance reads", async () => {
  const d = dag("d");
  const list = d.task("list", () => ({ names: ["a", "b"] }));
  const other = d.task("other", () => 5);
  const mapped = d.each(
    "mapped",
    list.map(({ names }) => names),
    (name) => fn({ name, shout: name.map((n) => n.toUpperCase()), other }, (inputs) => inputs),
    { limit: 2, retries: 1 },
  );
  assert.deepEqual([mapped.reads, mapped.upstream], [["list", "other"], ["list", "other"]]);
  const { list: ref, ...each } = mapped.each!;
  assert.deepEqual(each, { reads: ["list"], limit: 2 });
  assert.deepEqual(ref.read({ output: () => ({ names: ["x"] }) }), ["x"]);
  assert.deepEqual(mapped.options, { retries: 1 });
  const output = await mapped.work.run(at("a", { other: 5 }), testContext());
  assert.deepEqual(output, { name: "a", shout: "A", other: 5 });
  const join = d.task("join", fn({ all: mapped }, ({ all }) => all.length));
  assert.deepEqual(join.reads, ["mapped"]);
});

Deno.test("a list may be given as it is, and an instance may be a plain function", async () => {
  const d = dag("d");
  const mapped = d.each("mapped", [1, 2], () => (run) => run.index);
  assert.deepEqual([mapped.reads, mapped.each!.reads], [[], []]);
  assert.deepEqual(mapped.each!.list.read({ output: () => 0 }), [1, 2]);
  assert.equal(await mapped.work.run(at(1), { ...testContext(), index: 1 }), 1);
});

Deno.test("mapped over a mapped task, each instance follows the one of its index", () => {
  const d = dag("d");
  const files = d.each("files", ["a", "b"], (name) => http({ url: name }));
  const load = d.each("load", files, (file) => pipe(file, decompress(), save({ path: "x" })));
  assert.equal(load.each!.over, "files");
  assert.deepEqual(load.each!.reads, ["files"]);
  assert.deepEqual(d.each("again", load, (saved) => open({ file: saved })).each!.over, "load");
  assert.equal(d.each("apart", load.map((all) => all), () => empty()).each!.over, undefined);
});

const mapped: [what: string, make: (d: Dag) => unknown, error: RegExp][] = (() => {
  const files = (d: Dag) =>
    d.each("files", ["a"], (name) => pipe(http({ url: name }), decompress()));
  const many = /"files" puts out many streams, which can only be read one by one: map this task/;
  return [
    ["read as one", (d) => d.task("t", fn({ all: files(d) }, () => 1)), many],
    ["read in part", (d) => d.task("t", fn({ one: files(d).map((all) => all[0]) }, () => 1)), many],
    [
      "read with others",
      (d) => d.task("t", fn({ both: all(files(d), d.task("o", () => 1)) }, () => 1)),
      many,
    ],
    [
      "read as a list made of it",
      (d) => d.each("t", files(d).map((all) => all), () => empty()),
      many,
    ],
    ["read whole by an instance", (d) => {
      const all = files(d);
      return d.each("t", all, (file) => fn({ file, all }, () => 1));
    }, many],
    ["read by instances of another list", (d) => {
      const all = files(d);
      return d.each("t", ["x"], () => fn({ all }, () => 1));
    }, many],
  ];
})();

for (const [what, make, error] of mapped) {
  Deno.test(`a mapped task of streams is refused where it is ${what}`, () => {
    assert.throws(() => make(dag("d")), error);
  });
}

Deno.test("what is not known to be a stream, and waiting for streams, is not refused", () => {
  const d = dag("d");
  const saved = d.each(
    "saved",
    ["a"],
    (name) =>
      pipe(http({ url: name }), tee({ one: save({ path: "x" }), two: decompress() as never })),
  );
  d.task("read", fn({ saved }, ({ saved }) => saved));
  const files = d.each("files", ["a"], (name) => http({ url: name }));
  d.task("wait", empty(), { after: files });
});

Deno.test("an item belongs to its task, a branch cannot be mapped, a stream is no list", () => {
  const d = dag("d");
  let kept: Ref<string>;
  d.each("a", ["x"], (item) => fn({ item: kept = item }, () => 1));
  assert.throws(
    () => d.task("b", fn({ kept }, () => 1)),
    /it reads the item of "a", which has one only there/,
  );
  assert.throws(() => d.each("c", ["y"], () => fn({ kept }, () => 1)), /reads the item of "a"/);
  assert.throws(() => d.each("e", kept!.map((x) => [x]), () => empty()), /reads the item of "a"/);
  assert.throws(() => d.each("f", ["x"], () => branch(() => "a")), /a branch cannot be mapped/);
  const stream = d.task("stream", http({ url: "http://x" }));
  assert.throws(
    () => d.each("g", stream as never, () => empty()),
    /"stream" is a stream, and no list/,
  );
  assert.throws(
    () => kept.read({ output: () => 1 }),
    /item of task "a": no instance of it is at work/,
  );
});

Deno.test("a dataset is known by an id or a URI", () => {
  assert.deepEqual(dataset("s3://bucket/trips.parquet"), { name: "s3://bucket/trips.parquet" });
  assert.ok(Object.isFrozen(dataset("trips")));
  for (const name of ["", "a b", "ä", "/x", "x".repeat(1001), 5 as never]) {
    assert.throws(() => dataset(name), /Cannot name a dataset/);
  }
});

Deno.test("a task can be told as JSON, and by its DAG", () => {
  const { d, made: [a] } = tasks("a");
  assert.equal(d.tasks.get("a"), a);
  assert.equal(JSON.parse(JSON.stringify(a)).id, "a");
});
