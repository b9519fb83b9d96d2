import assert from "node:assert/strict";
import { admit, admitRuns, type Candidate, type Limits } from "../../engine/mod.ts";

Deno.test("waiting runs start in order, as many as their group has room for, groups in turn", () => {
  const waiting = [
    { id: "3", group: "a", order: 30 },
    { id: "1", group: "a", order: 10 },
    { id: "2", group: "a", order: 20 },
    { id: "4", group: "b", order: 0 },
    { id: "5", group: "c", order: 40 },
  ];
  const admitted = (room: Record<string, number>, all?: number): string =>
    admitRuns(waiting, room, all).map(({ id }) => id).join(" ");
  assert.equal(admitted({ a: 2, b: 0 }), "1 2");
  assert.equal(admitted({ a: 1, b: 1, c: 1 }), "4 1 5");
  assert.equal(admitted({ a: 9, b: 9, c: -1 }), "4 1 2 3");
  assert.equal(admitted({ a: 9, b: 9, c: 9 }, 3), "4 1 5");
  assert.equal(admitted({ a: 9 }, 0), "");
});

const task = (name: string, more: Partial<Candidate> = {}): Candidate => ({
  run: "r",
  task: name,
  pool: "default",
  slots: 1,
  executor: "inProcess",
  priority: 0,
  follows: false,
  holds: false,
  age: 0,
  ...more,
});

const limits = (more: Partial<Limits> = {}): Limits => ({
  pools: { default: 9, small: 2 },
  executors: { inProcess: 9, subprocess: 1 },
  instances: () => 0,
  ...more,
});

const cases: [what: string, candidates: Candidate[], limits: Limits, expected: string][] = [
  ["all that fit", [task("a"), task("b")], limits(), "a b"],
  [
    "priority first, then readers of what is written, then age",
    [
      task("old"),
      task("young", { age: 1 }),
      task("reader", { age: 2, follows: true }),
      task("urgent", { age: 3, priority: 1 }),
    ],
    limits({ pools: { default: 3 } }),
    "urgent reader old",
  ],
  [
    "one takes all its slots or none",
    [task("a", { slots: 3 })],
    limits({ pools: { default: 2 } }),
    "",
  ],
  [
    "the small do not overtake the large, which would wait for ever",
    [task("large", { slots: 3 }), task("small", { age: 1 }), task("other", { pool: "small" })],
    limits({ pools: { default: 2, small: 1 } }),
    "other",
  ],
  [
    "pool and executor are taken together or not at all",
    [
      task("a", { executor: "subprocess" }),
      task("b", { executor: "subprocess", age: 1 }),
      task("c", { pool: "small", slots: 2, age: 2 }),
    ],
    limits(),
    "a c",
  ],
  [
    "a writer between two attempts has its slots",
    [task("writer", { holds: true, age: 5 }), task("a")],
    limits({ pools: { default: 0 } }),
    "writer",
  ],
  [
    "as many instances as the mapped task's limit allows",
    [0, 1, 2, 3].map((index) => task("m", { index, limit: 3 })).concat(task("n", { age: 1 })),
    limits({ instances: (run, task) => run === "r" && task === "m" ? 1 : 0 }),
    "m m n",
  ],
  ["an unknown pool has nothing", [task("a", { pool: "other" })], limits(), ""],
];

for (const [what, candidates, limits, expected] of cases) {
  Deno.test(`of the tasks that are ready start: ${what}`, () => {
    assert.equal(admit(candidates, limits).map(({ task }) => task).join(" "), expected);
  });
}
