/** What JSON Schema says of a param, as far as a form can show it. */
export interface ParamSchema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
}

/** All params of a DAG. */
export interface ParamsSchema {
  readonly properties?: Readonly<Record<string, ParamSchema>>;
  readonly required?: readonly string[];
}

/** How a param is asked for. */
export type FieldKind = "choice" | "switch" | "number" | "text" | "json";

/** How a param is asked for. */
export function kindOf(schema: ParamSchema): FieldKind {
  if (schema.enum) return "choice";
  switch (schema.type) {
    case "boolean":
      return "switch";
    case "number":
    case "integer":
      return "number";
    case "string":
      return "text";
    default:
      return "json";
  }
}

/** What stands in a field at first: the default. */
export function textOf(schema: ParamSchema): string {
  const { default: preset } = schema;
  if (preset === undefined) return "";
  if (kindOf(schema) === "choice") return JSON.stringify(preset);
  return typeof preset === "string" && kindOf(schema) !== "json" ? preset : JSON.stringify(preset);
}

/**
 * The params that the fields of a form say; those left as they were are left out, so that the default holds, which for a
 * secret the server does not even tell.
 *
 * @throws {SyntaxError} naming the field that is no JSON
 */
export function paramsOf(
  { properties = {} }: ParamsSchema,
  texts: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const changed = Object.entries(properties).filter(([name, schema]) =>
    texts[name] !== undefined && texts[name] !== textOf(schema)
  );
  return Object.fromEntries(
    changed.map(([name, schema]) => [name, valueOf(name, schema, texts[name]!)]),
  );
}

function valueOf(name: string, schema: ParamSchema, text: string): unknown {
  if (kindOf(schema) === "text") return text;
  if (kindOf(schema) === "number") return text.trim() === "" ? undefined : Number(text);
  try {
    return text.trim() === "" ? undefined : JSON.parse(text);
  } catch (cause) {
    throw new SyntaxError(`${name} is no JSON: write text in quotes, as "like this"`, { cause });
  }
}
