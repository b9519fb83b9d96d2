/** A script that cannot be read, and the line that shows it. */
export class NotTypeScript extends Error {
  override name = "NotTypeScript";

  constructor(message: string, readonly line: number, options?: ErrorOptions) {
    super(message, options);
  }
}

/**
 * TypeScript as JavaScript, for a runtime that knows no types, as that of a standalone binary. Types become blanks, so that
 * lines and columns keep their numbers; where there is more than types, such as an enum, all of it is rewritten.
 *
 * @throws {NotTypeScript} for what cannot be read
 */
export async function plainScript(source: string): Promise<string> {
  const { transformSync } = await import("amaro");
  const transform = (mode: "strip-only" | "transform"): string | Complaint => {
    try {
      return transformSync(source, { mode }).code;
    } catch (error) {
      if (!isComplaint(error)) throw error;
      return error;
    }
  };
  let plain = transform("strip-only");
  if (typeof plain !== "string" && plain.code === "UnsupportedSyntax") {
    plain = transform("transform");
  }
  if (typeof plain === "string") return plain;
  throw new NotTypeScript(plain.message, plain.startLine, { cause: plain });
}

/** What the compiler throws: it is no Error. */
interface Complaint {
  readonly code: string;
  readonly message: string;
  readonly startLine: number;
}

function isComplaint(error: unknown): error is Complaint {
  return typeof (error as Complaint | null)?.startLine === "number";
}
