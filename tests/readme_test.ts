import assert from "node:assert/strict";

const root = new URL("../", import.meta.url);

/** Rows of the README's table of options, and where the options are declared. */
const DECLARED:
  readonly (readonly [row: string, places: readonly (readonly [string, string])[]])[] = [
    ["dag(id, …)", [["engine/dag.ts", "DagOptions"]]],
    ["dag.task(id, work, …)", [["engine/task.ts", "TaskOptions"], [
      "engine/task.ts",
      "EachOptions",
    ]]],
    ["http", [["operators/http.ts", "HttpOptions"]]],
    ["csv", [["operators/_csv_options.ts", "CsvOptions"], [
      "operators/_spelling.ts",
      "SpellingOptions",
    ]]],
    ["copy", [["operators/_copy_options.ts", "CopyOptions"]]],
  ];

for (const [row, places] of DECLARED) {
  Deno.test(`the README names all options of ${row}`, async () => {
    const readme = await Deno.readTextFile(new URL("README.md", root));
    const line = readme.split("\n").find((line) =>
      line.startsWith(`| \`${row}\` `) && !/\(\{/.test(line)
    );
    assert.ok(line, "it has no such row");
    const [, ...told] = Array.from(
      line.replace("; `each` has", "").matchAll(/`([^`]+)`/g),
      ([, name]) => name,
    );
    const declared: string[] = [];
    for (const [path, name] of places) {
      const source = await Deno.readTextFile(new URL(path, root));
      const [, body] = new RegExp(`interface ${name}\\b[^{]*\\{\\n(.*?)\\n\\}`, "s").exec(source)!;
      // What is for the tests alone is marked as internal.
      const open = body!.replaceAll(/\/\*\*(?:(?!\*\/).)*@internal.*?\*\/\n.*?;\n/gs, "");
      declared.push(
        ...Array.from(open.matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm), ([, name]) => name!),
      );
    }
    assert.deepEqual(told.toSorted(), declared.toSorted());
  });
}
