import assert from "node:assert/strict";

Deno.test({
  name: "the page that is kept is the one that its source makes (else: deno task page)",
  // esbuild's process is stopped, and ends a little later.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { buildPage } = await import("../../server/page/build.ts");
    const esbuild = await import("esbuild");
    try {
      await esbuild.transform("");
    } catch (error) {
      console.log(
        `esbuild does not run here, so nobody knows whether the page is as its source: ${error}`,
      );
      return;
    }
    const kept = await Deno.readTextFile(new URL("../../server/page/_built.ts", import.meta.url));
    const made = await buildPage();
    await esbuild.stop();
    assert.ok(kept === made, "server/page/_built.ts is stale: run `deno task page`");
  },
});

Deno.test("nothing in the page asks another host", async () => {
  const { assets, html } = await import("../../server/page/_built.ts");
  const texts = [html, ...Object.values(assets)];
  // Names of namespaces, which nobody asks.
  const known = /^http:\/\/www\.w3\.org\/(2000\/svg|1999\/xhtml|1998\/Math\/MathML|1999\/xlink)$/;
  for (const text of texts) {
    const urls = text.match(/https?:\/\/[\w./-]+/g) ?? [];
    assert.deepEqual(urls.filter((url) => !known.test(url)), []);
  }
});
