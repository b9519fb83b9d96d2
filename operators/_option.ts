/** What in code is a value that a flag has a word for. */
const CODE: Readonly<Record<string, string>> = { onReject: "{ limit: 100 }" };

/** How an option is given, by a flag and in code: `--encoding latin1 (in code encoding: "latin1")`. */
export function option(
  name: string,
  value: string | boolean | Readonly<Record<string, string>>,
): string {
  const flag = `--${value === false ? "no-" : ""}${name.replace(/[A-Z]/g, "-$&").toLowerCase()}`;
  if (typeof value === "boolean") return `${flag} (in code ${name}: ${value})`;
  if (typeof value === "string") {
    return `${flag} ${value} (in code ${name}: ${CODE[name] ?? JSON.stringify(value)})`;
  }
  const pairs = Object.entries(value);
  const one = flag.replace(/s$/, ""); // such a flag is given once for each
  const flags = pairs.map(([key, of]) => `${one} ${/\W/.test(key) ? `'${key}'` : key}=${of}`);
  const code = pairs.map(([key, of]) => `${JSON.stringify(key)}: ${JSON.stringify(of)}`);
  return `${flags.join(" ")} (in code ${name}: { ${code.join(", ")} })`;
}
