import assert from "node:assert/strict";
import type { Happening, Node, RunHead } from "../../server/page/documents.ts";
import { bytes, date, distance, duration } from "../../server/page/format.ts";
import { layOut, smooth } from "../../server/page/graph_layout.ts";
import { stateOfAll } from "../../server/page/grid_state.ts";
import { afterEvent } from "../../server/page/runs.ts";
import { groupsOf, treeRows } from "../../server/page/task_tree.ts";

const sayings: [said: string, wanted: string][] = [
  [bytes(0), "0 B"],
  [bytes(999), "999 B"],
  [bytes(33_354_129), "33.4 MB"],
  [bytes(999_600), "1.0 MB"],
  [duration(0.035), "35 ms"],
  [duration(1.94), "1.9 s"],
  [duration(59.6), "1 min 00 s"],
  [duration(3725), "1 h 02 min"],
  [duration(90_000), "1 d 1 h"],
  [distance(-3 * 3_600_000), "3 h ago"],
  [distance(90_000), "in 1 min"],
  [distance(10), "now"],
  [date("2021-01-02T00:00:00Z"), "2021-01-02"],
  [date("2021-01-02T06:30:00Z"), "2021-01-02 06:30"],
];
for (const [said, wanted] of sayings) {
  Deno.test(`"${wanted}" is said`, () => assert.equal(said, wanted));
}

function chain(...ids: string[]): { from: string; to: string }[] {
  return ids.slice(1).map((to, i) => ({ from: ids[i]!, to }));
}

Deno.test("a graph is laid out in layers, nothing on top of anything", () => {
  const ids = ["a", "b", "c", "d", "e", "f"];
  const boxes = ids.map((id) => ({ id, width: 100, height: 40 }));
  const arrows = [
    ...chain("a", "b", "d"),
    ...chain("a", "c", "d"),
    ...chain("a", "e"),
    ...chain("a", "d"),
    ...chain("d", "f"),
  ];
  const { places, lines, width, height } = layOut(boxes, arrows);
  for (const { from, to } of arrows) assert.ok(places.get(from)!.x + 100 < places.get(to)!.x);
  for (const one of ids) {
    const { x, y } = places.get(one)!;
    assert.ok(x >= 0 && y >= 0 && x + 100 <= width && y + 40 <= height, one);
    for (const other of ids.filter((id) => id > one)) {
      const there = places.get(other)!;
      assert.ok(x !== there.x || Math.abs(y - there.y) >= 40, `${one} lies on ${other}`);
    }
  }
  lines.forEach((line, i) => {
    const { from, to } = arrows[i]!;
    assert.deepEqual(line[0], { x: places.get(from)!.x + 100, y: places.get(from)!.y + 20 });
    assert.deepEqual(line.at(-1), { x: places.get(to)!.x, y: places.get(to)!.y + 20 });
  });
  // The line that skips a layer goes through it.
  assert.equal(lines[5]!.length, 4);
});

Deno.test("a chain is laid out straight", () => {
  const boxes = ["a", "b", "c"].map((id) => ({ id, width: 50, height: 30 }));
  const { places, lines } = layOut(boxes, chain("a", "b", "c"));
  assert.equal(new Set([...places.values()].map(({ y }) => y)).size, 1);
  assert.match(smooth(lines[0]!), /^M50,15L\d+,15$/);
});

Deno.test("a thousand nodes are laid out at once", () => {
  const boxes = Array.from({ length: 1000 }, (_, i) => ({ id: `${i}`, width: 100, height: 40 }));
  const arrows = boxes.slice(40).map(({ id }) => ({ from: `${Number(id) - 40}`, to: id }));
  const start = performance.now();
  const { places } = layOut(boxes, arrows);
  assert.equal(places.size, 1000);
  assert.ok(performance.now() - start < 10_000);
});

Deno.test("groups fold, and stand where the first of their tasks does", () => {
  const tasks = [["a", null], ["g.x", "g"], ["g.h.y", "g.h"], ["b", null], ["g.z", "g"]] as const;
  const nodes = new Map(tasks.map(([id, group]) => [id, { id, group } as Node]));
  const ids = tasks.map(([id]) => id);
  const said = (folded: string[]) =>
    treeRows(ids, nodes, new Set(folded)).map(({ label, depth, inside }) =>
      `${"  ".repeat(depth)}${label}${inside ? ` (${inside.length})` : ""}`
    );
  assert.deepEqual([...groupsOf(nodes.values())], ["g", "g.h"]);
  assert.deepEqual(said([]), ["a", "g (3)", "  x", "  h (1)", "    y", "  z", "b"]);
  assert.deepEqual(said(["g.h"]), ["a", "g (3)", "  x", "  h (1)", "  z", "b"]);
  assert.deepEqual(said(["g"]), ["a", "g (3)", "b"]);
});

const manyStates: [states: Parameters<typeof stateOfAll>[0], all: ReturnType<typeof stateOfAll>][] =
  [
    [["success", "success"], "success"],
    [["success", "skipped"], "success"],
    [["skipped", "skipped"], "skipped"],
    [["success", "failed", "running"], "failed"],
    [["success", "none"], "running"],
    [["queued", "none"], "queued"],
    [["none", "none"], "none"],
    [["up_for_retry", "success"], "up_for_retry"],
    [["upstream_failed", "success"], "upstream_failed"],
    [[], "none"],
  ];
for (const [states, all] of manyStates) {
  Deno.test(`${[...states].join(" and ") || "nothing"} is ${all}`, () => {
    assert.equal(stateOfAll(states), all);
  });
}

function run(id: string, logical_date: string): RunHead {
  return {
    run_id: id,
    kind: "scheduled",
    state: "queued",
    logical_date,
    created: logical_date,
    started: null,
    ended: null,
  };
}

Deno.test("events keep runs in order, and what is known of them", () => {
  const base = { dag: "d", at: "2021-02-01T00:00:00Z" };
  const options = { limit: 3, make: (head: RunHead) => head };
  let runs: readonly RunHead[] = [run("b", "2021-01-02"), run("d", "2021-01-04")];
  const take = (event: Omit<Happening, "dag" | "at">): void => {
    runs = afterEvent(runs, { ...base, ...event }, options);
  };
  const made = run("c", "2021-01-03");
  take({ type: "run_created", run_id: "c", state: "queued", run: made });
  take({ type: "run_created", run_id: "c", state: "queued", run: made });
  assert.deepEqual(runs.map(({ run_id }) => run_id), ["b", "c", "d"]);
  take({ type: "run_created", run_id: "e", state: "queued", run: run("e", "2021-01-05") });
  assert.deepEqual(runs.map(({ run_id }) => run_id), ["c", "d", "e"]);
  take({ type: "run_changed", run_id: "c", state: "running" });
  assert.deepEqual([runs[0]!.state, runs[0]!.started], ["running", base.at]);
  take({ type: "run_changed", run_id: "c", state: "success" });
  assert.deepEqual([runs[0]!.state, runs[0]!.ended], ["success", base.at]);
  take({ type: "run_cleared", run_id: "c", state: "queued" });
  assert.deepEqual([runs[0]!.started, runs[0]!.ended], [null, null]);
  const before = runs;
  take({ type: "run_changed", run_id: "nobody knows it", state: "failed" });
  assert.equal(runs, before);
});
