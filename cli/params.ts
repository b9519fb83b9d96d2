import type { ParamsSchema } from "../engine/mod.ts";
import { messageOf, UsageError } from "./world.ts";

/**
 * Reads what was given as `--param name=value` as the params' schema has it: text as it stands, all else as JSON.
 *
 * @throws {UsageError} for a param that is not there, or cannot be read
 */
export function readParams(
  dag: string,
  { properties }: ParamsSchema,
  given: readonly (readonly [string, string])[],
): Record<string, unknown> {
  return Object.fromEntries(given.map(([name, text]) => {
    if (!Object.hasOwn(properties, name)) {
      const known = Object.keys(properties).map((known) => `"${known}"`).join(", ");
      throw new UsageError(
        `Cannot set param "${name}" of "${dag}": ` +
          (known ? `its params are ${known}` : "it has none"),
      );
    }
    return [name, read(properties[name]!, name, text)];
  }));
}

function read(schema: Readonly<Record<string, unknown>>, name: string, text: string): unknown {
  const { type, enum: values } = schema;
  // What is listed is meant as it is written there.
  const listed = Array.isArray(values)
    ? values.find((value) => value === text || JSON.stringify(value) === text)
    : undefined;
  if (listed !== undefined) return listed;
  const types = [type].flat();
  if (types.includes("string")) return text;
  try {
    return JSON.parse(text);
  } catch (error) {
    // It may be any, or only its library knows what.
    if (type === undefined) return text;
    throw new UsageError(
      `Cannot read param ${name}=${text}: it is to be of type ${types.join(" or ")} ` +
        `(${messageOf(error)})`,
    );
  }
}
