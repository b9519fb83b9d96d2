import assert from "node:assert/strict";
import { drawTasks } from "../../cli/_drawing.ts";
import { all, dag, dataset, file, operator, pipe } from "../../engine/mod.ts";
import { document, refusal, Sluice } from "./_sluice.ts";

const write = operator("write", () => new ReadableStream<Uint8Array>());
const read = operator(
  "read",
  (_: Record<never, never>, __, input: ReadableStream<Uint8Array>) => input.cancel(),
);
const add = operator("add", ({ to }: { to: unknown }) => to);

Deno.test("a DAG is drawn as a tree, each task once, by what flows", () => {
  const d = dag("d");
  const file = d.task("file", write());
  const load = d.task("load", pipe(file, read()), { retries: 1 });
  d.task("parquet", pipe(file, read()), { retries: 2, pool: "disk" });
  const more = d.task("more", add({ to: all(load, load) }));
  d.task("tidy", () => 1, { after: [more, file], when: "all_done" });
  d.task("report", add({ to: load }), { after: more });
  d.task("alone", () => 1);
  assert.deepEqual(drawTasks(d), [
    "file             write",
    "├═ load          read (1 retry)",
    "│  └─ more       add",
    "│     ├╌ tidy    function (all_done)  ╌ file",
    "│     └╌ report  add  ─ load",
    "└═ parquet       read (2 retries, pool disk)",
    "alone            function",
    "",
    "═ reads its stream while that is written",
    "─ reads what it puts out",
    "╌ only comes after it",
  ]);
});

Deno.test("a drawing tells what is mapped, what tears down, and what writes datasets", () => {
  const d = dag("d");
  const list = d.task("list", () => [1, 2]);
  const start = d.task("start", () => 1, { setup: true });
  const square = d.each("square", list, (item) => add({ to: item }), { after: start });
  d.each("next", square, (item) => add({ to: item }));
  d.task("stop", () => 1, { teardown: start, after: square, writes: [dataset("trips")] });
  assert.deepEqual(drawTasks(d).slice(0, 5), [
    "list        function",
    "start       function",
    "└╌ square   add (each of list)  ─ list",
    "   ├─ next  add (each of square)",
    "   └╌ stop  function (tears down start, writes trips)  ╌ start",
  ]);
});

Deno.test("a DAG without tasks is drawn as nothing", () => {
  assert.deepEqual(drawTasks(dag("d")), []);
});

const DAGS = `
  import { dag, dataset } from "sluice";
  const d = dag("paris", {
    schedule: "0 6 2 * *", start: "2021-01-01", timezone: "Europe/Paris",
    params: { base: "http://x", limit: 5, deep: { a: [1] } },
  });
  const t = d.task("extract", () => 1);
  d.task("load", () => 2, { after: t, writes: [dataset("trips")] });
  export const report = dag("report", { schedule: [dataset("trips"), dataset("zones")] });
  export default d;
`;

Deno.test("show tells of a DAG's tasks, params and next runs", async () => {
  await using sluice = new Sluice();
  sluice.file("dags/paris.ts", DAGS);
  const { stdout, code } = await sluice.run(["show", "paris"]);
  assert.equal(code, 0);
  for (
    const part of [
      /^paris\n/,
      /^ {2}schedule {2}at 06:00 on the 2nd of each month, Europe\/Paris$/m,
      /^ {2}file {6}\S+dags\/paris\.ts$/m,
      /^ {2}extract {2}function\n {2}└╌ load {2}function \(writes trips\)$/m,
      /^ {2}base {3}string {2}= "http:\/\/x"\n {2}limit {2}number {2}= 5\n {2}deep {3}object {2}= \{"a":\[1\]\}$/m,
      /^next runs\n {2}due +\w{3} \d{4}-\d\d-02 06:00 Europe\/Paris {2}for \w{3} \S+-02 06:00 to \w{3} \S+-02 06:00$/m,
    ]
  ) assert.match(stdout, part);

  const shown = document(await sluice.here(["show", "paris", "--json"]));
  assert.equal(shown.id, "paris");
  assert.deepEqual(shown.tasks, [
    { id: "extract", writes: [], operators: ["function"], upstream: [] },
    {
      id: "load",
      writes: ["trips"],
      operators: ["function"],
      upstream: [{ id: "extract", edge: "order" }],
    },
  ]);
  assert.deepEqual(shown.params.properties.limit, { type: "number", default: 5 });
  assert.equal(shown.next_runs.length, 5);
  assert.deepEqual(shown.next_runs[0], shown.next_run);
  for (const [i, { interval }] of shown.next_runs.entries()) {
    if (i > 0) assert.equal(interval.start, shown.next_runs[i - 1].interval.end);
    const start = Temporal.Instant.from(interval.start).toZonedDateTimeISO("Europe/Paris");
    assert.deepEqual([start.day, start.hour], [2, 6]);
  }
});

Deno.test("show tells which datasets a DAG waits for, and which were written", async () => {
  await using sluice = new Sluice();
  sluice.file("dags/paris.ts", DAGS);
  const at = "2021-01-01T00:00:00Z";
  const interval = { start: at, end: at };
  const trips = { dataset: "trips", dag: "writer", run: "r", task: "load", at, seq: 1, interval };
  {
    await using store = await file(sluice.home);
    const writes = { seen: 1, since: { trips }, due: [] };
    await store.setDag({ id: "report", version: 0, paused: false, writes });
  }
  const { stdout } = await sluice.here(["show", "report"]);
  assert.match(stdout, /^ {2}schedule {2}when "trips" and "zones" are written$/m);
  assert.match(stdout, /^ {2}written {3}trips$/m);
});

Deno.test("show draws the edge that is a stream, and answers for no other DAG", async () => {
  await using sluice = new Sluice();
  const { stdout } = await sluice.here(["show", "yellow_taxi"]);
  assert.match(stdout, /^ {2}download {2}http .*\n {2}└═ load {3}decompress → csv → copy/m);
  assert.match(stdout, /^ {2}end {7}2021-03-28$/m);
  const refused = await sluice.here(["show", "nope", "--json"]);
  assert.match(refusal(refused, 2), /Cannot find DAG "nope"; there are: "hello", "yellow_taxi"/);
});
