import type { Context } from "hono";
import { Refusal } from "./refusal.ts";

/** The most bytes a request may bring. */
export const MAX_BODY: number = 1 << 20;

/** The bytes of a request's body; of one that is too long no more is read than that. @throws {Refusal} when it is */
export async function readBytes({ req }: Context): Promise<Uint8Array<ArrayBuffer>> {
  const tooLong = new Refusal(413, `the body is over ${MAX_BODY} bytes`);
  if (Number(req.header("content-length") ?? 0) > MAX_BODY) throw tooLong;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of req.raw.body ?? []) {
    length += chunk.length;
    if (length > MAX_BODY) throw tooLong;
    chunks.push(chunk);
  }
  return new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

/** The body of a request as JSON; `{}` when it has none. @throws {Refusal} when it is something else */
export async function readJson(c: Context): Promise<unknown> {
  const type = c.req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== undefined && type !== "application/json") throw notJson();
  const text = new TextDecoder().decode(await readBytes(c));
  // A page of another site can send a form, or nothing, but not JSON without asking first.
  if (type === undefined && text !== "") throw notJson();
  return parse(text);
}

/** Text as JSON; `{}` when it is empty. @throws {Refusal} when it is none */
export function parse(text: string): unknown {
  try {
    return text.trim() === "" ? {} : JSON.parse(text);
  } catch (cause) {
    throw new Refusal(400, `Cannot read the body as JSON: ${(cause as Error).message}`, { cause });
  }
}

function notJson(): Refusal {
  return new Refusal(415, "the body must be JSON, with content-type: application/json");
}
