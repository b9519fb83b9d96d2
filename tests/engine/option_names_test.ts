import assert from "node:assert/strict";
import { dag, operator, param, sensor } from "../../engine/mod.ts";

const idle = (): number => 1;
const greet = operator("greet", ({ name }: { name?: string }) => `Hello, ${name}!`, {
  options: { name: true },
});
const asked = sensor("asked", ({ when }: { when?: string }) => when !== undefined, {
  options: { when: true },
});

/** A misspelt option is no type error where it comes in an object that was made elsewhere. */
const given = (options: Record<string, unknown>): object => options;

const cases: readonly [name: string, define: () => unknown, refusal: string][] = [
  [
    "of a task",
    () => dag("d").task("load", idle, given({ retrys: 3 })),
    'task "load" has no option "retrys"; did you mean "retries"?',
  ],
  [
    "of a task, as Python has it",
    () => dag("d").task("load", idle, given({ retry_delay: { seconds: 1 } })),
    'task "load" has no option "retry_delay"; did you mean "retryDelay"?',
  ],
  [
    "of a task that is not mapped",
    () => dag("d").task("load", idle, given({ limit: 3 })),
    'task "load" has no option "limit"; it has "after", "when", ',
  ],
  [
    "of a mapped task",
    () => dag("d").each("load", [1], () => idle, given({ limit: 1, pol: "default" })),
    'task "load" has no option "pol"; did you mean "pool"?',
  ],
  [
    "of a DAG",
    () => dag("d", given({ catchUp: true })),
    '"d" has no option "catchUp"; did you mean "catchup"?',
  ],
  [
    "of a DAG, as Python has it",
    () => dag("d", given({ max_active_runs: 1 })),
    '"d" has no option "max_active_runs"; did you mean "maxActiveRuns"?',
  ],
  [
    "of a DAG's defaults",
    () => dag("d", { defaults: given({ retires: 1 }) }),
    'the defaults of "d" has no option "retires"; did you mean "retries"?',
  ],
  [
    "of a webhook",
    () => dag("d", { webhook: { secret: "", ...given({ mapp: 1 }) } }),
    'the webhook of "d" has no option "mapp"; did you mean "map"?',
  ],
  [
    "of a param",
    () => param(given({ defualt: 1 }) as { type: "integer" }),
    'param has no option "defualt"; did you mean "default"?',
  ],
  [
    "of an operator of one's own",
    () => greet(given({ nme: "you" })),
    'greet has no option "nme"; did you mean "name"?',
  ],
  [
    "of a sensor of one's own",
    () => asked(given({ whatever: 1 })),
    'asked has no option "whatever"; it has "when"',
  ],
];

for (const [name, define, refusal] of cases) {
  Deno.test(`an option ${name} that there is not is refused when it is defined`, () => {
    assert.throws(define, (error: Error) => {
      assert.ok(error instanceof TypeError);
      assert.equal(error.message.slice(0, refusal.length), refusal);
      return true;
    });
  });
}

Deno.test("an operator that does not name its options takes any", () => {
  const any = operator("any", (options: Record<string, number>) => options);
  assert.deepEqual(any({ a: 1, b: 2 }).steps[0]!.inputs, { a: 1, b: 2 });
});
