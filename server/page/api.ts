import { signal } from "@preact/signals";

/** What the server refused, in its own words. */
export class Refused extends Error {
  /** As `error.name` has it. */
  override name = "Refused";
  /** The status of the answer; 0 when none came. */
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** Where this is mounted: `""`, or such as `"/etl"`. */
export const base: string = new URL(import.meta.url).pathname.replace(/\/assets\/[^/]*$/, "");

const KEY = "sluice_token";

/** Whether the server wants a token that we do not have. */
export const wantsToken = signal(false);

/** Keeps the token for as long as this tab lives. */
export function setToken(token: string): void {
  sessionStorage.setItem(KEY, token);
  wantsToken.value = false;
}

/** A request, as the server lets it in. @throws {Refused} when it does not */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const token = sessionStorage.getItem(KEY);
  if (token !== null) headers.set("authorization", `Bearer ${token}`);
  let response: Response;
  try {
    response = await fetch(base + path, { ...init, headers });
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new Refused(0, "The server does not answer.", { cause });
  }
  if (response.ok) return response;
  if (response.status === 401) wantsToken.value = true;
  const text = await response.text();
  throw new Refused(response.status, messageIn(text) ?? `The server answered ${response.status}.`);
}

/** What the server says, as a sentence begins. */
function messageIn(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text).error;
    return message[0].toUpperCase() + message.slice(1);
  } catch {
    return undefined;
  }
}

/** Values for a query; undefined ones are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** A path with a query behind it. */
export function withQuery(path: string, query: Query = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)]]
  );
  return pairs.length === 0 ? path : `${path}?${new URLSearchParams(pairs)}`;
}

/** Reads a document. @throws {Refused} */
export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  const response = await ask(withQuery(path, query), signal ? { signal } : {});
  return await response.json();
}

/** Has something done. @throws {Refused} */
export async function post<T>(
  path: string,
  body: unknown = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<T> {
  const response = await ask(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return await response.json();
}
