/** What can be kept and sent as it is. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/**
 * Takes a value as JSON: plain objects, arrays, strings, booleans, null and finite numbers. Undefined counts as null, and
 * as absent in an object.
 *
 * @throws {TypeError} naming what is none by its path, which begins with `name`
 */
export function toJson(value: unknown, name: string): Json {
  return convert(value, name, new Set());
}

function convert(value: unknown, path: string, within: Set<unknown>): Json {
  if (value === undefined || value === null) return null;
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (typeof value !== "object" || !(Array.isArray(value) || isPlain(value))) {
    throw new TypeError(`Cannot keep "${path}" as JSON: it is ${describe(value)}`);
  }
  if (within.has(value)) throw new TypeError(`Cannot keep "${path}" as JSON: it contains itself`);
  within.add(value);
  const json: Json = Array.isArray(value)
    ? value.map((item, i) => convert(item, `${path}[${i}]`, within))
    : Object.fromEntries(
      Object.entries(value)
        .filter(([, item]) => item !== undefined)
        .map(([key, item]) => [key, convert(item, `${path}.${key}`, within)]),
    );
  within.delete(value);
  return json;
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function describe(value: unknown): string {
  if (typeof value === "number") return String(value);
  if (typeof value !== "object" || value === null) return `a ${typeof value}`;
  return `of class ${value.constructor?.name ?? "unknown"}`;
}
