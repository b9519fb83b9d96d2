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

/** What is wrong with what stands in a field; undefined where nothing is, as far as the form can tell. */
export function faultOf(schema: ParamSchema, text: string): string | undefined {
  if (text.trim() === "") return undefined;
  const kind = kindOf(schema);
  if (kind === "json" && !isJson(text)) return `no JSON: write text in quotes, as "like this"`;
  if (kind !== "number") return undefined;
  const { minimum = -Infinity, maximum = Infinity } = schema, value = Number(text);
  if (Number.isNaN(value)) return "no number";
  if (value < minimum) return `less than ${minimum}`;
  return value > maximum ? `more than ${maximum}` : undefined;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * The params that the fields of a form say; those left as they were are left out, so that the default holds, which for a
 * secret the server does not even tell.
 *
 * @throws {SyntaxError} naming the fields that cannot be read
 */
export function paramsOf(
  { properties = {} }: ParamsSchema,
  texts: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const faults = Object.entries(properties).flatMap(([name, schema]) => {
    const fault = texts[name] === undefined ? undefined : faultOf(schema, texts[name]);
    return fault === undefined ? [] : [`${name} is ${fault}`];
  });
  if (faults.length > 0) throw new SyntaxError(faults.join("; "));
  const changed = Object.entries(properties).filter(([name, schema]) =>
    texts[name] !== undefined && texts[name] !== textOf(schema)
  );
  return Object.fromEntries(
    changed.map(([name, schema]) => [name, valueOf(schema, texts[name]!)]),
  );
}

function valueOf(schema: ParamSchema, text: string): unknown {
  if (kindOf(schema) === "text") return text;
  if (text.trim() === "") return undefined;
  return kindOf(schema) === "number" ? Number(text) : JSON.parse(text);
}
