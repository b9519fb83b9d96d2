import { type Json, toJson } from "./json.ts";
import { checkOptionNames, type OptionNames } from "./option_names.ts";

/** Anything that checks values as https://standardschema.dev has it: what Zod, Valibot, ArkType and others make. */
export interface StandardSchema<I = unknown, O = I> {
  /** The interface itself. */
  readonly "~standard": {
    /** Of the interface. */
    readonly version: 1;
    /** Whose it is. */
    readonly vendor: string;
    /** Takes a value, or says what is wrong with it. */
    validate(value: unknown): SchemaResult<O> | Promise<SchemaResult<O>>;
    /** The types that go in and come out; never there at run time. */
    readonly types?: { readonly input: I; readonly output: O } | undefined;
    /** Tells it as JSON Schema, where the library can. */
    readonly jsonSchema?: { input(options: { target: string }): Record<string, unknown> };
  };
}

/** What a {@linkcode StandardSchema} says of a value. */
export type SchemaResult<O> =
  | { readonly value: O; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** Something wrong with a value. */
export interface SchemaIssue {
  /** What is to be read. */
  readonly message: string;
  /** Where in the value it is. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The params a run has, by how they were declared: as plain defaults or as schemas. */
export type ParamsOf<P> = {
  readonly [K in keyof P]: P[K] extends StandardSchema<infer _, infer O> ? O : P[K];
};

/** The params a trigger gives: those that have a default may be left out. */
export type GivenParams<P> =
  & {
    readonly [K in keyof P as undefined extends GivenParam<P[K]> ? never : K]: GivenParam<P[K]>;
  }
  & {
    readonly [K in keyof P as undefined extends GivenParam<P[K]> ? K : never]?: GivenParam<P[K]>;
  };

/** What a trigger gives for one param. */
export type GivenParam<D> = D extends StandardSchema<infer I, infer _> ? I : D | undefined;

/** The names of JSON's types, and what they are here. */
export interface ParamTypes {
  /** Text. */
  string: string;
  /** Any finite number. */
  number: number;
  /** A whole one. */
  integer: number;
  /** True or false. */
  boolean: boolean;
  /** A list. */
  array: readonly Json[];
  /** An object. */
  object: { readonly [key: string]: Json };
}

/** What a param must be like. */
export interface ParamRules<T> {
  /** What it must be. @default {that of the default; without one, any JSON will do} */
  type?: keyof ParamTypes;
  /** The values it can have. */
  enum?: readonly T[];
  /** What it is for; shown beside its field. */
  description?: string;
  /** The least it can be, for a number. */
  minimum?: number;
  /** The most it can be, for a number. */
  maximum?: number;
  /** What must be found in it, for text: a regular expression. */
  pattern?: string;
}

/** Options for {@linkcode param}. */
export interface ParamOptions<T> extends ParamRules<T> {
  /** Its value when none is given. Without one it is required. */
  default?: T;
}

/** A param that was declared by {@linkcode param}. */
export type Param<I, O = I> = StandardSchema<I, O>;

/**
 * Declares a param that needs more than a default: a type, values to choose from, a description. Without a default it is
 * required: a run cannot be triggered without it.
 *
 * ```ts
 * const taxi = dag("taxi", {
 *   params: {
 *     base: "https://example.com", // a plain default
 *     color: param({ enum: ["yellow", "green"], default: "yellow", description: "Which cabs" }),
 *     month: param({ type: "string", pattern: "^\\d{4}-\\d{2}$" }), // required
 *     limit: z.number().int().optional(), // a schema of any library
 *   },
 * });
 * ```
 *
 * @throws {TypeError} when the default is not one of the values it takes
 */
export function param<const T>(
  options: ParamRules<T> & { enum: readonly T[]; default: NoInfer<T> },
): Param<T | undefined, T>;
/** One of the values listed; required. */
export function param<const T>(
  options: ParamOptions<T> & { enum: readonly T[]; default?: never },
): Param<T>;
/** Of a type, with a default. */
export function param<N extends keyof ParamTypes>(
  options: ParamOptions<ParamTypes[N]> & { type: N; default: ParamTypes[N] },
): Param<ParamTypes[N] | undefined, ParamTypes[N]>;
/** Of a type; required. */
export function param<N extends keyof ParamTypes>(
  options: ParamOptions<ParamTypes[N]> & { type: N; default?: never },
): Param<ParamTypes[N]>;
/** Of its default's type. */
export function param<T>(
  options: ParamOptions<T> & { default: T; type?: never; enum?: never },
): Param<T | undefined, T>;
/** Whatever is given; required. */
export function param<T = unknown>(options?: ParamOptions<T> & { default?: never }): Param<T>;
export function param(options: ParamOptions<unknown> = {}): Param<unknown> {
  checkOptionNames("param", options, PARAM_OPTIONS);
  const { default: preset, type = preset === undefined ? undefined : typeOf(preset) } = options;
  const schema = { ...type && type !== "null" ? { type } : {}, ...options };
  const validate = (value: unknown): SchemaResult<unknown> => {
    const chosen = value === undefined ? preset : value;
    const message = complain(schema, chosen);
    return message === undefined ? { value: chosen } : { issues: [{ message }] };
  };
  const { issues } = preset === undefined ? {} : validate(preset);
  if (issues) {
    throw new TypeError(`Cannot declare a param with this default: ${issues[0]!.message}`);
  }
  return {
    "~standard": { version: 1, vendor: "sluice", validate, jsonSchema: { input: () => schema } },
  };
}

const PARAM_OPTIONS: OptionNames<ParamOptions<unknown>> = {
  default: true,
  type: true,
  enum: true,
  description: true,
  minimum: true,
  maximum: true,
  pattern: true,
};

/** What is wrong with a value; undefined when nothing is. */
function complain(options: ParamOptions<unknown>, value: unknown): string | undefined {
  const { type, enum: values, minimum, maximum, pattern } = options;
  if (value === undefined) return "it is required";
  const shown = JSON.stringify(value);
  const kind = typeOf(value);
  if (type && kind !== type && !(type === "integer" && Number.isInteger(value))) {
    return `it is to be of type ${type}, but it is ${shown}`;
  }
  if (values && !values.some((known) => JSON.stringify(known) === shown)) {
    return `it is to be one of ${
      values.map((v) => JSON.stringify(v)).join(", ")
    }, but it is ${shown}`;
  }
  if (minimum !== undefined && !(value as number >= minimum)) {
    return `it is to be ${minimum} or more, but it is ${shown}`;
  }
  if (maximum !== undefined && !(value as number <= maximum)) {
    return `it is to be ${maximum} or less, but it is ${shown}`;
  }
  if (pattern !== undefined && !new RegExp(pattern, "u").test(String(value))) {
    return `it is to match ${pattern}, but it is ${shown}`;
  }
  return undefined;
}

/** What has params: a DAG, as far as they go. */
export interface Parametrized {
  /** Unique within an engine. */
  readonly id: string;
  /** Where they are declared. */
  readonly options: { readonly params?: unknown };
}

/**
 * All params of a run: those given, checked, and the defaults of the others.
 *
 * @throws {TypeError} when one is given that the DAG does not have or that is not as declared, or a required one is missing
 */
export async function resolveParams(
  dag: Parametrized,
  given: object = {},
): Promise<Record<string, Json>> {
  const declared = declaredBy(dag);
  const known = Object.keys(declared).map((name) => `"${name}"`).join(", ");
  const fail = (why: string): TypeError => new TypeError(`Cannot trigger "${dag.id}": ${why}`);
  const values: Record<string, unknown> = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
  for (const name of Object.keys(values)) {
    if (Object.hasOwn(declared, name)) continue;
    throw fail(
      `it has no param "${name}"; ` + (known ? `its params are ${known}` : "it has none"),
    );
  }
  const chosen: [string, unknown][] = [];
  const missing: string[] = [];
  for (const [name, declaration] of Object.entries(declared)) {
    const isGiven = Object.hasOwn(values, name);
    if (!isSchema(declaration)) {
      const value = isGiven ? values[name] : declaration;
      const type = typeOf(declaration);
      if (type !== "null" && typeOf(value) !== type) {
        throw fail(
          `param "${name}" is to be of type ${type}, like its default ` +
            `${JSON.stringify(declaration)}, but it is ${JSON.stringify(value)}`,
        );
      }
      chosen.push([name, value]);
      continue;
    }
    const result = await declaration["~standard"].validate(values[name]);
    if (!result.issues) chosen.push([name, result.value]);
    else if (isGiven) {
      throw fail(`param "${name}" is refused: ${result.issues.map(text).join("; ")}`);
    } else missing.push(`"${name}"`);
  }
  if (missing.length > 0) {
    const which = missing.length === 1 ? `param ${missing}` : `the params ${missing.join(", ")}`;
    throw fail(`it needs ${which}, without a default; its params are ${known}`);
  }
  return toJson(Object.fromEntries(chosen), "params") as Record<string, Json>;
}

/** JSON Schema of what a trigger may give, for forms and APIs; `{}` stands where a library cannot tell. */
export interface ParamsSchema {
  /** All of them together are an object. */
  readonly type: "object";
  /** Each by its name. */
  readonly properties: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Those without a default. */
  readonly required: readonly string[];
  /** There are no others. */
  readonly additionalProperties: false;
}

/** What a trigger may give a DAG, as JSON Schema (2020-12). */
export function paramsSchema(dag: Parametrized): ParamsSchema {
  const properties: [string, Record<string, unknown>][] = [];
  const required: string[] = [];
  for (const [name, declaration] of Object.entries(declaredBy(dag))) {
    if (!isSchema(declaration)) {
      const type = typeOf(declaration);
      properties.push([name, { ...type === "null" ? {} : { type }, default: declaration }]);
      continue;
    }
    const schema = describe(declaration);
    const left = declaration["~standard"].validate(undefined);
    // One that takes its time is asked again at each trigger; here its own word must do.
    if (left instanceof Promise) left.catch(() => {});
    const isRequired = left instanceof Promise ? !("default" in schema) : left.issues;
    if (isRequired) required.push(name);
    properties.push([name, schema]);
  }
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    required,
    additionalProperties: false,
  };
}

function describe(declaration: StandardSchema): Record<string, unknown> {
  try {
    const { jsonSchema } = declaration["~standard"];
    const { $schema: _, ...schema } = jsonSchema?.input({ target: "draft-2020-12" }) ?? {};
    return schema;
  } catch {
    // Libraries throw at what JSON Schema has no word for, as a date is.
    return {};
  }
}

/** Refuses declarations that no run could have. @throws {TypeError} naming the param */
export function checkParams(dag: Parametrized): void {
  for (const [name, declaration] of Object.entries(declaredBy(dag))) {
    if (!isSchema(declaration)) toJson(declaration, `params.${name}`);
  }
}

function declaredBy(dag: Parametrized): Record<string, unknown> {
  return dag.options.params as Record<string, unknown> | undefined ?? {};
}

function isSchema(declaration: unknown): declaration is StandardSchema {
  const isObject = typeof declaration === "object" || typeof declaration === "function";
  return isObject && declaration !== null && "~standard" in declaration;
}

function typeOf(value: unknown): keyof ParamTypes | "null" {
  if (value === null || value === undefined) return "null";
  return Array.isArray(value) ? "array" : typeof value as keyof ParamTypes;
}

function text({ message, path = [] }: SchemaIssue): string {
  const place = path.map((part) => String(typeof part === "object" ? part.key : part)).join(".");
  return place ? `${message} (at ${place})` : message;
}
