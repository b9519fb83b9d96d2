/** Flags that several verbs have, as stricli wants them. */
export const database = {
  kind: "parsed",
  parse: String,
  optional: true,
  placeholder: "DSN",
  brief: "The Postgres to use [else DATABASE_URL, else one of our own in the home folder]",
} as const;

/** `--home`. */
export const home = {
  kind: "parsed",
  parse: String,
  optional: true,
  placeholder: "DIR",
  brief: "Where Sluice keeps its files [else SLUICE_HOME, else .sluice]",
} as const;

/** `--json`. */
export const json = {
  kind: "boolean",
  default: false,
  withNegated: false,
  brief: "Print exactly one JSON document on stdout, everything else on stderr",
} as const;

/** `--dags`. */
export const dags = {
  kind: "parsed",
  parse: String,
  optional: true,
  placeholder: "DIR",
  brief: "The folder with the DAGs [dags, else those that come with Sluice]",
} as const;

/** `--param`, several of them. */
export const param = {
  kind: "parsed",
  parse: pair,
  variadic: true,
  optional: true,
  placeholder: "NAME=VALUE",
  brief: "Set one of the DAG's params; may be given again",
} as const;

/** `--wait`. */
export const wait = {
  kind: "boolean",
  default: false,
  withNegated: false,
  brief: "Wait for the end; when no `serve` holds the home folder, run it here",
} as const;

/** `--dry-run`. */
export const dryRun = {
  kind: "boolean",
  default: false,
  withNegated: false,
  brief: "Only tell what would be done",
} as const;

/** `--yes`. */
export const yes = {
  kind: "boolean",
  default: false,
  withNegated: false,
  brief: "Do it without asking",
} as const;

/** Reads `name=value`. @throws {SyntaxError} when there is no `=` */
export function pair(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new SyntaxError("write it as name=value");
}

const UNITS = { w: "weeks", d: "days", h: "hours", m: "minutes", s: "seconds" } as const;

/** Reads `90d`, `36h`, `1d12h` or, as ISO 8601 has it, `P3M`. @throws {SyntaxError} when it is none of that, or nothing */
export function duration(text: string): Temporal.Duration {
  const fields = Array.from(text.matchAll(/(\d+)([wdhms])/g), ([, count, unit]) => {
    return [UNITS[unit as keyof typeof UNITS], Number(count)] as const;
  });
  const isShort = /^(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?$/.test(text) && fields.length > 0;
  try {
    const read = Temporal.Duration.from(isShort ? Object.fromEntries(fields) : text);
    if (read.sign > 0) return read;
  } catch {
    // Told below.
  }
  throw new SyntaxError("write a duration as 90d, 36h or 1d12h");
}
