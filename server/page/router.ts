import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { base } from "./api.ts";

/** Where we are: the path below {@linkcode base}, and what stands behind the question mark. */
export interface Place {
  readonly path: string;
  readonly query: URLSearchParams;
}

const here = signal(read());

/** Where we are. */
export const place: ReadonlySignal<Place> = computed(() => here.value);

function read(): Place {
  const { pathname, search } = location;
  const path = pathname.slice(base.length).replace(/\/+$/, "") || "/";
  return { path, query: new URLSearchParams(search) };
}

globalThis.addEventListener("popstate", () => here.value = read());

/** Goes somewhere. `replace`: without a step in the browser's history. */
export function go(to: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, "", base + to);
  else history.pushState(null, "", base + to);
  here.value = read();
}

/** Changes values behind the question mark; null takes one away. */
export function goQuery(
  changes: Readonly<Record<string, string | null>>,
  options?: { replace?: boolean },
): void {
  const query = new URLSearchParams(here.peek().query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(here.peek().path + (text ? `?${text}` : ""), options);
}

/** Opens a run beside what is shown, or a task of it, or nothing; what was looked at of another one is let go. */
export function goBeside(
  run: string | null,
  task: string | null = null,
  options?: Parameters<typeof goQuery>[1],
): void {
  goQuery({ run, task, index: null, attempt: null, line: null }, options);
}

/** Follows links inside this page without loading it anew. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element).closest?.("a[href]");
  if (!(link instanceof HTMLAnchorElement) || link.target || link.origin !== location.origin) {
    return;
  }
  if (!link.pathname.startsWith(base) || link.hasAttribute("download")) return;
  if (/^\/(api|assets|hooks|metrics)\b/.test(link.pathname.slice(base.length))) return;
  event.preventDefault();
  go(link.pathname.slice(base.length) + link.search);
}

/** What a pattern such as `/dags/:dag/:tab` finds in a path; undefined when it does not fit. */
export function match(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split("/");
  const parts = path.split("/");
  if (wanted.length !== parts.length) return undefined;
  const found: Record<string, string> = {};
  for (const [i, part] of wanted.entries()) {
    if (part.startsWith(":")) found[part.slice(1)] = decodeURIComponent(parts[i]!);
    else if (part !== parts[i]) return undefined;
  }
  return found;
}
