import assert from "node:assert/strict";
import { type Browser, chromium, type Page } from "playwright-core";

/** Debian's. */
const PATH = "/usr/bin/chromium";

/** Whether there is a browser to look with. */
export const hasBrowser: boolean = await Deno.stat(PATH).then(() => true, () => false);

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

/** Opens a page of its own. Whatever it complains of fails the test that disposes of it. */
export async function look(
  browser: Browser,
  url: string,
  { width = 1280, height = 800 } = {},
): Promise<Look> {
  const context = await browser.newContext({ viewport: { width, height } });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const complaints: string[] = [];
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
