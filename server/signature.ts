import { createHmac, timingSafeEqual } from "node:crypto";
import { Refusal } from "./refusal.ts";

/** How far the clocks may be apart, or a delivery late, in seconds. */
const TOLERANCE = 300;
/** More signatures than a sender has secrets are no honest ones. */
const MOST = 8;

/** A delivery whose signature is right. */
export interface Signed {
  /** `timestamp` when the time of its making is signed, too; else it could be sent again at any later time. */
  readonly form: "timestamp" | "github";
  /** What was signed. */
  readonly text: Uint8Array<ArrayBuffer>;
}

/**
 * Signs a body: the value of `X-Sluice-Signature`, good for five minutes.
 *
 * It is `t=<seconds since 1970>,v1=<HMAC-SHA256 of "<t>.<body>" in hex>`, as Stripe has it.
 */
export function sign(secret: string, body: string | Uint8Array, now: Temporal.Instant): string {
  const at = String(Math.floor(now.epochMilliseconds / 1000));
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return `t=${at},v1=${hmac(secret, dated(at, bytes)).toString("hex")}`;
}

/**
 * Checks the signature of a body, by any of the secrets: `X-Sluice-Signature` as {@linkcode sign} makes it, with one `v1`
 * for each secret that the sender has; or GitHub's `X-Hub-Signature-256: sha256=<HMAC-SHA256 of the body in hex>`.
 *
 * @throws {Refusal} 401 when there is none, it is wrong, or it is older or newer than five minutes
 */
export function verify(
  headers: Headers,
  body: Uint8Array<ArrayBuffer>,
  secrets: readonly string[],
  now: Temporal.Instant,
): Signed {
  const own = headers.get("x-sluice-signature");
  const hub = headers.get("x-hub-signature-256");
  if (own !== null && hub !== null) throw refusal("there are two signatures, of two forms");
  if (own !== null) {
    const { at, signatures } = parse(own);
    const late = Math.abs(now.epochMilliseconds / 1000 - Number(at));
    const text = dated(at, body);
    // First who it is from, then when: what is wrong is told to whoever knows the secret alone.
    if (!isSigned(text, signatures, secrets)) throw refusal("the signature is wrong");
    if (late > TOLERANCE) throw refusal(`it was signed ${Math.round(late)} s from now`);
    return { form: "timestamp", text };
  }
  if (hub !== null) {
    const [, signature] = /^sha256=([0-9a-f]{64})$/.exec(hub) ?? [];
    if (signature === undefined || !isSigned(body, [signature], secrets)) {
      throw refusal("the signature is wrong");
    }
    return { form: "github", text: body };
  }
  throw refusal("it is not signed: X-Sluice-Signature, or X-Hub-Signature-256, is missing");
}

function parse(header: string): { at: string; signatures: string[] } {
  const fields = header.split(",").map((field) => field.trim().split("="));
  const at = fields.flatMap(([name, value]) => name === "t" ? [value ?? ""] : []);
  const signatures = fields.flatMap(([name, value]) => name === "v1" ? [value ?? ""] : []);
  const isHex = signatures.every((signature) => /^[0-9a-f]{64}$/.test(signature));
  if (at.length !== 1 || !/^[1-9]\d{0,11}$/.test(at[0]!) || !isHex || signatures.length > MOST) {
    throw refusal("the signature is not t=<seconds>,v1=<hex>");
  }
  return { at: at[0]!, signatures };
}

/** Compares all with all, so that the time it takes says nothing. */
function isSigned(text: Uint8Array, signatures: readonly string[], secrets: readonly string[]) {
  let found = false;
  for (const secret of secrets) {
    const right = hmac(secret, text);
    for (const signature of signatures) {
      const given = Uint8Array.from(signature.match(/../g)!, (pair) => parseInt(pair, 16));
      if (timingSafeEqual(right, given)) found = true;
    }
  }
  return found;
}

function dated(at: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = new TextEncoder().encode(`${at}.`);
  const text = new Uint8Array(head.length + body.length);
  text.set(head);
  text.set(body, head.length);
  return text;
}

function hmac(
  secret: string,
  text: Uint8Array,
): Uint8Array & { toString(encoding: "hex"): string } {
  return createHmac("sha256", secret).update(text).digest();
}

function refusal(why: string): Refusal {
  return new Refusal(401, `Cannot take this delivery: ${why}`);
}
