// A real Chromium that looks at a real server.

/// <reference lib="dom" />
import assert from "node:assert/strict";
import { type Browser, chromium, type Page } from "playwright-core";
import {
  type AnyDag,
  type Engine,
  engine,
  type EngineOptions,
  file,
  logFiles,
  type Store,
} from "../../engine/mod.ts";
import { listen, type ServerOptions } from "../../server/mod.ts";
import { server } from "./_checked.ts";

/** Debian's. */
const PATH = "/usr/bin/chromium";

/** Whether there is a browser to look with. */
export const hasBrowser: boolean = await Deno.stat(PATH).then(() => true, () => false);
if (!hasBrowser) console.log(`no ${PATH} here: tests of the page in a browser are left out`);

/** The browser that the tests of a file share: to start one takes longer than many tests. */
let shared: Promise<Browser & AsyncDisposable> | undefined;
Deno.test.afterAll(async () => await (await shared)?.close());

/** A test that looks at pages. The browser has timers and pipes of its own. */
export function pageTest(
  name: string,
  what: (browser: Browser, t: Deno.TestContext) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore: !hasBrowser,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn(t) {
      await what(await (shared ??= openBrowser()), t);
    },
  });
}

/** A page of a browser, and what it complained of. */
export interface Look extends AsyncDisposable {
  readonly page: Page;
  /** Errors on its console, and those nobody caught; those of requests that are refused do not count. */
  readonly complaints: readonly string[];
}

/** Opens a browser that is closed when disposed of. */
export async function openBrowser(): Promise<Browser & AsyncDisposable> {
  const browser = await chromium.launch({ executablePath: PATH, args: ["--no-sandbox"] });
  return Object.assign(browser, { [Symbol.asyncDispose]: () => browser.close() });
}

/** Opens a page of its own. Whatever it complains of, and whom else it asks, fails the test that disposes of it. */
export async function look(
  browser: Browser,
  url: string,
  { width = 1440, height = 900 } = {},
): Promise<Look> {
  const context = await browser.newContext({ viewport: { width, height } });
  const page = await context.newPage();
  // However slow the machine is: who waits in vain waits once.
  page.setDefaultTimeout(30_000);
  const complaints: string[] = [];
  page.on("request", (request) => {
    const { host } = new URL(request.url());
    if (host !== new URL(url).host) complaints.push(`it asked ${host}`);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !/Failed to load resource/.test(text)) complaints.push(text);
  });
  await page.goto(url);
  return {
    page,
    complaints,
    async [Symbol.asyncDispose]() {
      await context.close();
      assert.deepEqual(complaints, []);
    },
  };
}

/** An engine with a server of its own, as `serve` makes them; goes when disposed of. */
export interface Served extends AsyncDisposable {
  readonly etl: Engine;
  readonly store: Store;
  readonly url: string;
  readonly port: number;
}

/** What is served. */
export interface ServeOptions extends Partial<EngineOptions> {
  readonly dags: readonly AnyDag[];
  /** A folder that outlives it. @default {one that goes with it} */
  readonly home?: string;
  readonly port?: number;
  readonly server?: ServerOptions;
}

/** Serves DAGs. */
export async function serve(options: ServeOptions): Promise<Served> {
  const { port = 0, server: more = {}, ...rest } = options;
  await using opening = new AsyncDisposableStack();
  const home = options.home ?? await Deno.makeTempDir({ prefix: "sluice-page-" });
  if (!options.home) opening.defer(() => Deno.remove(home, { recursive: true }));
  const store = opening.use(await file(home));
  const logs = logFiles(home);
  const etl = opening.use(await engine({ ...rest, home, store, logs }));
  await etl.start();
  const app = server(etl, { store, logs, home, onError: () => {}, ...more });
  const http = opening.use(await listen(app.fetch, { port }));
  const resources = opening.move();
  return {
    etl,
    store,
    url: http.url,
    port: http.port,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
