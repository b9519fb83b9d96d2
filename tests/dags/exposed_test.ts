import assert from "node:assert/strict";
import * as dags from "../../dags/mod.ts";
import { engine, paramsSchema, type RenderedStep } from "../../mod.ts";

/** What somebody may send who would rather run something else. */
const hostile = [
  "$(touch /tmp/owned)",
  "`id`",
  "'; DROP TABLE trips; --",
  '"; rm -rf / #',
  "{{ constructor.constructor('return Deno')() }}",
  "../../../etc/passwd",
  "<script>alert(1)</script>",
];

/** The options whose text is run: what was sent must never be in them. */
const RUN = /^(command|statement|file)$/;

for (const dag of Object.values(dags)) {
  Deno.test(`${dag.id}, which comes along, runs the same whatever it is sent`, async () => {
    await using etl = await engine({ dags: [dag] });
    const names = Object.keys(paramsSchema(dag).properties);
    const steps = async (text?: string): Promise<RenderedStep[]> => {
      const params = Object.fromEntries(
        text === undefined ? [] : names.map((name) => [name, text]),
      );
      const { tasks } = await etl.preview(dag.id, { date: "2021-01-02", params });
      return tasks.flatMap(({ steps }) => steps);
    };
    const run = (steps: RenderedStep[]) =>
      steps.map(({ operator, options }) => [
        operator,
        ...Object.entries(options).filter(([name]) => RUN.test(name)),
      ]);
    const usual = run(await steps());
    for (const text of hostile) {
      const sent = await steps(text).catch(() => undefined);
      if (!sent) continue;
      assert.deepEqual(run(sent), usual, text);
      // Nor does it come into the name of a table.
      assert.doesNotMatch(JSON.stringify(sent.map(({ options }) => options["table"])), /DROP|\$\(/);
    }
  });

  Deno.test(`${dag.id}, which comes along, has no door that is open to anyone`, () => {
    assert.equal(dag.options.webhook, undefined);
  });
}
