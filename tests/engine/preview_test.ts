import assert from "node:assert/strict";
import {
  type Context,
  dag,
  engine,
  fn,
  operator,
  param,
  pipe,
  type Ref,
  template,
} from "../../engine/mod.ts";

let done: string[] = [];
const fetch = operator("fetch", (options: { url: string; headers?: unknown; each?: unknown }) => {
  done.push(options.url);
  return options.url.length;
});
const put = operator("put", (options: { table: string; rows?: unknown }) => options.table);

const month = dag("month", {
  schedule: "@monthly",
  start: "2021-01-01",
  paused: true,
  params: { base: "https://example.com", color: param({ enum: ["yellow", "green"] }) },
});
const file = month.task(
  "file",
  fetch({
    url: (run) => `${run.params.base}/${run.params.color}_${run.strftime("%Y-%m")}.csv`,
    headers: { accept: "text/csv" },
  }),
);
const load = month.task(
  "load",
  put({ table: template("trips_{{ strftime('%Y_%m') }}"), rows: file }),
);
month.task("words", fn({ table: load }, ({ table }) => [table, "two"]));
month.task(
  "late",
  put({
    table: async (run: Context) => (await run.connection()).url,
    rows: () => {
      throw new TypeError("it depends");
    },
  } as unknown as { table: string }),
);

const previewed = (date: string, params: Record<string, unknown> = { color: "green" }) =>
  engine({ dags: [month] }).then(async (etl) => {
    await using host = etl;
    done = [];
    const preview = await host.preview("month", { date, params });
    assert.deepEqual([done, await host.runs()], [[], []]);
    return preview;
  });

Deno.test("a preview tells what a run would be for and its tasks be given, and starts nothing", async () => {
  const { interval, params, tasks } = await previewed("2021-02-01");
  assert.equal(interval.start.toPlainDate().toString(), "2021-02-01");
  assert.equal(interval.end.toPlainDate().toString(), "2021-03-01");
  assert.deepEqual(params, { base: "https://example.com", color: "green" });
  const [file, load, words, late] = tasks;
  assert.deepEqual(file, {
    id: "file",
    steps: [{
      operator: "fetch",
      options: {
        url: { value: "https://example.com/green_2021-02.csv" },
        headers: { value: { accept: "text/csv" } },
      },
    }],
  });
  assert.deepEqual(load!.steps[0]!.options, {
    table: { value: "trips_2021_02" },
    rows: { reads: ["file"] },
  });
  assert.deepEqual(words!.steps[0]!.options, { table: { reads: ["load"] } });
  assert.deepEqual(late!.steps[0]!.options, {
    table: { unknown: "it is known when the task runs" },
    rows: { unknown: "it depends" },
  });
});

Deno.test("a preview refuses what a trigger would", async () => {
  await assert.rejects(previewed("2021-02-01", { color: "red" }), /color/);
  await assert.rejects(previewed("2021-02-01", {}), /color/);
  await assert.rejects(previewed("2021-02-02"), RangeError);
  await using etl = await engine({ dags: [month] });
  await assert.rejects(etl.preview("nope"), /there is no such DAG/);
});

Deno.test("what a task of a run was given is told with what it read, as far as that is known", async () => {
  const etl = dag("etl");
  const list = etl.task("list", () => ["a", "b"]);
  const broken = etl.task("broken", (): string => {
    throw new Error("no");
  });
  etl.each(
    "each",
    list,
    (item: Ref<string>) => fetch({ url: item, each: (run: Context) => run.index }),
  );
  etl.task("after", put({ table: broken }));
  etl.task("flow", pipe(fetch({ url: (run) => `${run.run}/${run.attempt}` }), words()));
  await using host = await engine({ dags: [etl] });
  const { id, done } = await host.trigger(etl);
  await done;
  const options = async (task: string, attempt?: number) => {
    const { steps, current } = await host.rendered(id, task, attempt);
    assert.ok(current);
    return steps.map(({ options }) => options);
  };
  assert.deepEqual(await options("each[1]"), [{ url: { value: "b" }, each: { value: 1 } }]);
  assert.deepEqual(await options("after"), [{ table: { reads: ["broken"] } }]);
  assert.deepEqual(await options("flow", 3), [{ url: { value: `${id}/3` } }, {}]);
  await assert.rejects(options("each[2]"), /each\[0\] to each\[1\]/);
  await assert.rejects(host.rendered("nope", "each"), /there is none/);
});

Deno.test("a run that began with another version of its DAG says so", async () => {
  const version = (table: string) => {
    const one = dag("one");
    one.task("put", put({ table }));
    return one;
  };
  await using host = await engine({ dags: [{ dag: version("old"), hash: "1" }] });
  const { id, done } = await host.trigger("one");
  await done;
  assert.ok((await host.rendered(id, "put")).current);
  await host.replace([{ dag: version("new"), hash: "2" }]);
  const { current, steps } = await host.rendered(id, "put");
  assert.deepEqual([current, steps[0]!.options], [false, { table: { value: "new" } }]);
  await host.replace([]);
  await assert.rejects(host.rendered(id, "put"), /not here any more/);
});

Deno.test("what is no JSON, or is long, is told in words", async () => {
  const odd = dag("odd");
  const circle: unknown[] = [];
  circle.push(circle);
  const values: Record<string, [value: unknown, shown: unknown]> = {
    fn: [{ expect: () => true }, { expect: "(a function)" }],
    headers: [new Headers({ a: "b" }), { a: "b" }],
    bytes: [new Uint8Array(3), "(3 bytes)"],
    big: [12n, "12"],
    long: ["x".repeat(20_000), /^x{10000} … \(20000 characters\)$/],
    list: [Array(20_000).fill(0), /^\(JSON of 40001 characters\)$/],
    stream: [new ReadableStream(), "(a stream)"],
    none: [() => undefined, null],
  };
  const given = Object.fromEntries(Object.entries(values).map(([name, [value]]) => [name, value]));
  odd.task("odd", operator("odd", () => 1)({ ...given, circle } as never));
  await using host = await engine({ dags: [odd] });
  const { tasks: [task] } = await host.preview("odd");
  const { circle: loop, ...options } = task!.steps[0]!.options;
  assert.match((loop as { unknown: string }).unknown, /circular/);
  for (const [name, [, shown]] of Object.entries(values)) {
    const { value } = options[name] as { value: unknown };
    if (shown instanceof RegExp) assert.match(String(value), shown);
    else assert.deepEqual(value, shown, name);
  }
});

function words() {
  return operator("words", (_: Record<never, never>, __, input: number) => input)();
}
