import { z } from "zod";
import type { RenderedStep } from "../engine/mod.ts";
import { Id, Moment, named, Span, spanDocument, whole } from "./_documents.ts";
import { type Route, route } from "./_route.ts";
import { definedOf, TriggerBody, wanted } from "./_runs.ts";
import { findDag, findRun, type Site, tell } from "./_site.ts";
import { byRequest } from "./_trigger.ts";
import { isSecretName, mask } from "./mask.ts";

const Option = z.union([
  z.strictObject({ value: z.unknown() }),
  z.strictObject({ reads: z.array(z.string()) })
    .meta({ description: "it is what these tasks put out" }),
  z.strictObject({ unknown: z.string() }).meta({ description: "why it cannot be told" }),
]).register(named, { id: "RenderedOption" });

export const StepSchema = z.strictObject({
  operator: z.string(),
  options: z.record(z.string(), Option),
})
  .register(named, { id: "RenderedStep" });

export const PreviewSchema = z.strictObject({
  dag: z.string(),
  logical_date: Moment,
  interval: Span,
  params: z.record(z.string(), z.unknown()),
  paused: z.boolean().meta({ description: "whether the run would wait, since its DAG is paused" }),
  tasks: z.array(z.strictObject({ id: z.string(), steps: z.array(StepSchema) })),
}).register(named, { id: "Preview" });

export const RenderedSchema = z.strictObject({
  steps: z.array(StepSchema),
  current: z.boolean().meta({
    description: "whether the DAG is as it was when the run began; else these may be others",
  }),
}).register(named, { id: "Rendered" });

/** What operators would be, or were, given. */
export function previewRoutes(site: Site): Route[] {
  const { engine } = site;
  return [
    route({
      method: "post",
      path: "/api/dags/{id}/preview",
      access: "runner",
      summary: "Show what a trigger would make, and what its tasks would be given; nothing starts",
      parameters: z.object({ id: Id }),
      body: TriggerBody,
      answers: { 200: { description: "What it would make", schema: PreviewSchema } },
      handle: async ({ c, path, body }) => {
        const dag = findDag(site, path.id);
        const { interval, params, tasks } = await byRequest(() =>
          engine.preview(dag, definedOf(wanted(dag, body)))
        );
        const span = spanDocument(interval);
        return tell(site, c, {
          dag: dag.id,
          logical_date: span.start,
          interval: span,
          params,
          paused: engine.status(dag.id).paused,
          tasks: tasks.map(({ id, steps }) => ({ id, steps: withoutSecrets(steps, params) })),
        });
      },
    }),
    route({
      method: "get",
      path: "/api/runs/{id}/tasks/{task}/attempts/{attempt}/options",
      access: "viewer",
      summary: "Show what a task's operators were given in an attempt, or will be in the next",
      parameters: z.object({ id: Id, task: Id, attempt: whole(1, 1e9) }),
      query: z.strictObject({ index: whole(0, 1e6).optional() }),
      answers: { 200: { description: "Its operators in their order", schema: RenderedSchema } },
      handle: async ({ c, path, query: { index } }) => {
        const { id, params } = await findRun(site, path.id);
        const name = index === undefined ? path.task : `${path.task}[${index}]`;
        const { steps, current } = await byRequest(() => engine.rendered(id, name, path.attempt));
        return tell(site, c, { steps: withoutSecrets(steps, params), current });
      },
    }),
  ];
}

/** Steps without the values of params that are named like secrets: they may stand within others. */
function withoutSecrets(
  steps: readonly RenderedStep[],
  params: Readonly<Record<string, unknown>>,
): z.input<typeof StepSchema>[] {
  const secrets = Object.entries(params).flatMap(([name, value]) =>
    isSecretName(name) && typeof value === "string" ? [value] : []
  );
  const hide = mask(() => secrets);
  return steps.map(({ operator, options }) => {
    const told = Object.entries(options).map(([name, option]) => {
      // An option is told within an object of its own: there its name would not give it away.
      const { [name]: value } = hide.json({ [name]: "value" in option ? option.value : null }) as {
        [name: string]: unknown;
      };
      return [name, "value" in option ? { value } : hide.json(option)];
    });
    return { operator, options: Object.fromEntries(told) };
  });
}
