import type { Context, Hono } from "hono";
import type { Env } from "./_route.ts";
import { assets, html } from "./page/_built.ts";

/** Where the page may be asked for: it finds its way from there by itself. */
const PLACES = ["/", "/dags/*", "/runs/*", "/runs", "/datasets", "/loads", "/loads/*", "/system"];

const TYPES: Readonly<Record<string, string>> = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** Serves the page to whoever asks: what it shows, it has to ask for itself. */
export function servePage(app: Hono<Env>): void {
  for (const place of PLACES) {
    app.get(place, (c) => c.html(html.replaceAll("{base}", baseOf(c, place))));
  }
  app.get("/assets/:name", (c, next) => {
    const name = c.req.param("name");
    const body = Object.hasOwn(assets, name) ? assets[name]! : undefined;
    if (body === undefined) return next();
    // Its name says what is in it.
    return c.body(body, 200, {
      "content-type": TYPES[name.slice(name.lastIndexOf(".") + 1)]!,
      "cache-control": "public, max-age=31536000, immutable",
    });
  });
}

/** The path under which a host's app has mounted this. */
function baseOf(c: Context, place: string): string {
  const own = c.req.routePath;
  return place === "/" ? own.replace(/\/$/, "") : own.slice(0, -place.length);
}
