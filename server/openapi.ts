import { z } from "zod";
import { named } from "./_documents.ts";
import type { Access, Answer, Route } from "./_route.ts";

type Json = Record<string, unknown>;

const ERROR = {
  type: "object",
  properties: {
    error: {
      type: "object",
      properties: { message: { type: "string" } },
      required: ["message"],
      additionalProperties: false,
    },
  },
  required: ["error"],
  additionalProperties: false,
};

const SECURITY: Readonly<Record<Access, unknown>> = {
  anyone: [],
  signature: [],
  viewer: [{ token: [] }],
  runner: [{ token: [] }],
  admin: [{ token: [] }],
};

/** Describes routes as OpenAPI 3.1, out of the schemas that check what they are asked. */
export function openApi(routes: readonly Route[], version: string): Json {
  const schemas: Json = { Error: ERROR };

  /** A schema, what it refers to being put among the components. */
  function toSchema(schema: z.ZodType, io: "input" | "output"): unknown {
    const made = z.toJSONSchema(schema, {
      io,
      metadata: named,
      unrepresentable: "any",
      override: ({ zodSchema, jsonSchema }) => {
        Object.assign(jsonSchema, z.globalRegistry.get(zodSchema));
      },
    });
    const { $schema: _, $defs = {}, id: __, ...rest } = JSON.parse(
      JSON.stringify(made).replaceAll('"#/$defs/', '"#/components/schemas/'),
    );
    for (const [name, { id: _, ...one }] of Object.entries($defs as Record<string, Json>)) {
      schemas[name] = one;
    }
    const name = named.get(schema)?.id;
    if (name === undefined) return rest;
    // One that has a name may be told by it even here.
    if (!("$ref" in rest)) schemas[name] = rest;
    return { $ref: `#/components/schemas/${name}` };
  }

  function toAnswer({ description, schema, lines, events, text }: Answer): Json {
    const content = {
      ...schema ? { "application/json": { schema: toSchema(schema, "output") } } : {},
      ...lines ? { "application/x-ndjson": { schema: toSchema(lines, "output") } } : {},
      ...events ? { "text/event-stream": { schema: toSchema(events, "output") } } : {},
      ...text === undefined ? {} : { [text]: { schema: { type: "string" } } },
    };
    return { description, ...Object.keys(content).length > 0 ? { content } : {} };
  }

  function parameters(schema: z.ZodObject, where: "path" | "query"): Json[] {
    const { properties = {}, required = [] } = toSchema(schema, "input") as {
      properties?: Record<string, Json>;
      required?: string[];
    };
    return Object.entries(properties).map(([name, { description, ...schema }]) => ({
      name,
      in: where,
      required: where === "path" || required.includes(name),
      ...description === undefined ? {} : { description },
      schema,
    }));
  }

  const paths: Record<string, Json> = {};
  for (const { path, method, access, summary, body, answers, ...asked } of routes) {
    const error = {
      description: "Why not",
      content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
    };
    const told = Object.entries(answers).map(([status, answer]) => [
      status,
      Number(status) < 400 ? toAnswer(answer) : { ...error, description: answer.description },
    ]);
    (paths[path] ??= {})[method] = {
      summary,
      description: access === "anyone"
        ? "For anyone."
        : access === "signature"
        ? "For whoever signs it."
        : `For the role ${access}.`,
      security: SECURITY[access],
      parameters: [...parameters(asked.parameters, "path"), ...parameters(asked.query, "query")],
      ...body
        ? { requestBody: { content: { "application/json": { schema: toSchema(body, "input") } } } }
        : {},
      responses: { ...Object.fromEntries(told), default: error },
    };
  }
  return {
    openapi: "3.1.0",
    info: { title: "Sluice", version, license: { name: "MIT", identifier: "MIT" } },
    paths,
    components: {
      schemas,
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
  };
}
