/** Takes secrets out of what is told. */
export interface Mask {
  /** A text without them. */
  text(text: string): string;
  /** JSON without them, in keys and values; what is named like a secret is hidden whole. */
  json(value: unknown): unknown;
}

/** What stands where a secret was. */
export const HIDDEN = "***";
/** What is shorter would be found everywhere. */
const SHORTEST = 4;
/** Names of what is likely to be a secret, as a whole word of theirs: `db_password`, `apiKey`, but not `tokens`. */
const NAME =
  /(^|[_\-.\s]|[a-z](?=[A-Z])|^pg)(password|passwd|pwd|passphrase|secret|token|credentials?|authorization|api[_-]?key|private[_-]?key|access[_-]?key|cookie)$/i;
/** A URL's user and password, the password to be hidden. All is bounded: else looking for it could take for ever. */
const LOGIN = /\b([a-z][a-z0-9+.-]{0,30}:\/\/[^\s:@/?#"']{0,256}):[^\s/?#"']{1,512}@/gi;
/** A parameter in a URL that is likely to be a secret. */
const PARAMETER =
  /([?&](?:[\w.-]{0,64}(?:token|secret|password|signature|credential)|sig|pwd|api[_-]?key)=)[^&\s"'#]+/gi;

/** Hides these secrets, as they are and as they are often written: percent-encoded, in base64, in JSON. */
export function mask(secrets: () => Iterable<string> = () => []): Mask {
  let known = "";
  let pattern: RegExp | undefined;

  function find(): RegExp | undefined {
    const now = [...new Set(secrets())].filter((secret) => secret.length >= SHORTEST);
    const key = now.join("\n");
    if (key !== known) {
      known = key;
      const forms = new Set(now.flatMap(formsOf));
      const longest = [...forms].sort((a, b) => b.length - a.length);
      pattern = longest.length === 0 ? undefined : new RegExp(longest.map(escape).join("|"), "g");
    }
    return pattern;
  }

  function hide(text: string, pattern: RegExp | undefined): string {
    const hidden = pattern ? text.replace(pattern, HIDDEN) : text;
    // Most of what is told is neither an address nor has one in it.
    if (!/:\/\/|[?&]/.test(hidden)) return hidden;
    return hidden.replace(LOGIN, `$1:${HIDDEN}@`).replace(PARAMETER, `$1${HIDDEN}`);
  }

  function json(value: unknown): unknown {
    const pattern = find();
    const keys = new Map<string, { readonly told: string; readonly isSecret: boolean }>();
    const known = (key: string): { readonly told: string; readonly isSecret: boolean } => {
      let known = keys.get(key);
      if (!known) keys.set(key, known = { told: hide(key, pattern), isSecret: isSecretName(key) });
      return known;
    };
    const masked = (value: unknown): unknown => {
      if (typeof value === "string") return hide(value, pattern);
      if (Array.isArray(value)) return value.map(masked);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(
        Object.entries(value).map(([key, inner]) => {
          const { told, isSecret } = known(key);
          const hides = isSecret && typeof inner === "string" && inner !== "";
          return [told, hides ? HIDDEN : masked(inner)];
        }),
      );
    };
    return masked(value);
  }

  return { text: (text) => hide(text, find()), json };
}

/** Whether what has this name is likely to be a secret. */
export function isSecretName(name: string): boolean {
  return NAME.test(name);
}

function escape(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

/** How a secret may be written. Its base64 in a longer text shifts by what comes before it: three ways. */
function formsOf(secret: string): string[] {
  const bytes = new TextEncoder().encode(secret);
  const base64 = [0, 1, 2].flatMap((shift) => {
    const shifted = new Uint8Array(shift + bytes.length);
    shifted.set(bytes, shift);
    const text = btoa(String.fromCharCode(...shifted));
    // What also holds bits of its neighbours is left out.
    const first = [0, 2, 3][shift]!;
    const last = Math.floor((shift + bytes.length) * 8 / 6);
    const inner = text.slice(first, last);
    return inner.length < 6 ? [] : [inner, inner.replaceAll("+", "-").replaceAll("/", "_")];
  });
  const json = JSON.stringify(secret).slice(1, -1);
  return [secret, encodeURIComponent(secret), json, ...base64];
}
