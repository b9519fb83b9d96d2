import { createHash } from "node:crypto";
import { z } from "zod";
import { type AnyDag, type Webhook, webhookSecrets } from "../engine/mod.ts";
import { parse, readBytes } from "./_body.ts";
import { Triggered } from "./_documents.ts";
import { type Asked, type Route, route } from "./_route.ts";
import { type Site, tell } from "./_site.ts";
import type { Desk } from "./_trigger.ts";
import { FOREVER } from "./receipts.ts";
import { Refusal } from "./refusal.ts";
import { verify } from "./signature.ts";

/** What other programs trigger DAGs by. */
export function hookRoutes(site: Site, desk: Desk): Route[] {
  return [
    route({
      method: "post",
      path: "/hooks/{name}",
      access: "signature",
      summary: "Trigger the DAG that declares this webhook; each delivery once",
      parameters: z.object({ name: z.string() }),
      answers: {
        201: { description: "The run that was made for this delivery", schema: Triggered },
        204: { description: "There is nothing to do for it" },
        401: { description: "The signature is missing, wrong, or too old" },
      },
      handle,
    }),
  ];

  async function handle(
    { c, path }: Asked<{ name: string }, unknown, undefined>,
  ): Promise<Response> {
    const [dag, ...others] = [...site.engine.dags.values()].filter((dag) =>
      hookName(dag) === path.name
    );
    if (others.length > 0) {
      throw new Refusal(409, `several DAGs have a webhook "${path.name}"; rename all but one`);
    }
    const webhook = dag?.options.webhook;
    // Who does not know the secret does not get to know either which webhooks there are.
    const secrets = webhook ? webhookSecrets(webhook).good : [];
    const body = await readBytes(c);
    const signed = verify(c.req.raw.headers, body, secrets, site.now());
    const text = new TextDecoder().decode(body);
    const headers = Object.fromEntries(c.req.raw.headers);
    const params = await mapped(webhook!, headers, parse(text));
    if (params === undefined) return c.body(null, 204);
    // GitHub signs no time: what it sent could come again at any later one.
    const digest = createHash("sha256").update(signed.text).digest("hex");
    const scope = signed.form === "github" ? FOREVER : "";
    const { run, repeated } = await desk.trigger({
      dag: dag!,
      kind: "webhook",
      params,
      key: `${scope}hook ${path.name} ${digest}`,
      content: digest,
    });
    return tell(site, c, { run_id: run.id, state: run.state }, 201, {
      location: `/api/runs/${run.id}`,
      ...repeated ? { "idempotency-replayed": "true" } : {},
    });
  }
}

/** What the webhook of a DAG is called, if it has one. */
function hookName({ id, options }: AnyDag): string | undefined {
  return options.webhook && (options.webhook.name ?? id);
}

/** The params of a delivery. @throws {Refusal} 400 when its body is not as it must be */
async function mapped(
  { body: schema, map }: Webhook,
  headers: Readonly<Record<string, string>>,
  given: unknown,
): Promise<Record<string, unknown> | undefined> {
  let body = given;
  if (schema) {
    const result = await schema["~standard"].validate(given);
    if (result.issues) {
      const issues = result.issues.map(({ message }) => message).join("; ");
      throw new Refusal(400, `Cannot use the body: ${issues}`);
    }
    body = result.value;
  }
  const params = map ? map(body, { headers }) : body;
  if (params === undefined) return undefined;
  if (typeof params === "object" && params !== null && !Array.isArray(params)) {
    return params as Record<string, unknown>;
  }
  throw new Refusal(400, "Cannot use the body: it must be a JSON object of params");
}
