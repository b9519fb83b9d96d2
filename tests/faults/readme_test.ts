import assert from "node:assert/strict";

const here = new URL("./", import.meta.url);

Deno.test("each row of the README names tests that there are", async () => {
  const text = await Deno.readTextFile(new URL("README.md", here));
  const rows = text.slice(0, text.indexOf("## Not here")).split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| (fault|-+) /.test(line));
  assert.ok(rows.length > 40, `${rows.length} rows`);
  for (const row of rows) {
    const files = [...row.matchAll(/`([\w/]+_test\.ts)` ((?:"[^"]+"(?:, )?)+)/g)];
    assert.ok(files.length > 0, row);
    for (const [, file, names] of files) {
      const source = await Deno.readTextFile(
        new URL(file!.includes("/") ? `../${file}` : file!, here),
      );
      for (const [, name] of names!.matchAll(/"([^"]+)"/g)) {
        assert.ok(source.includes(name!), `${file} has no "${name}"`);
      }
    }
  }
});

Deno.test("each test file of this folder is in the README", async () => {
  const text = await Deno.readTextFile(new URL("README.md", here));
  for await (const { name } of Deno.readDir(here)) {
    if (name.endsWith("_test.ts")) assert.ok(text.includes(`\`${name}\``), name);
  }
});
