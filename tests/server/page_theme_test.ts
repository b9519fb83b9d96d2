import assert from "node:assert/strict";

const css = await Deno.readTextFile(
  new URL("../../server/page/styles/theme.css", import.meta.url),
);

type Theme = Readonly<Record<string, string>>;

/** What a rule says of tokens. */
function tokens(selector: string): Theme {
  const start = css.indexOf(`${selector} {`);
  assert.notEqual(start, -1, `there is no ${selector}`);
  const rule = css.slice(start, css.indexOf("}", start));
  return Object.fromEntries([...rule.matchAll(/--([\w-]+):\s*([^;]+);/g)].map(([, name, value]) => [
    name!,
    value!,
  ]));
}

const light = tokens(":root");
const chosen = tokens(':root[data-theme="dark"]');
const dark = { ...light, ...chosen };

/** How far apart two colours are in brightness, as WCAG 2 counts. */
function contrast(theme: Theme, a: string, b: string): number {
  const [x, y] = [brightness(theme[a]!), brightness(theme[b]!)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

function brightness(colour: string): number {
  assert.match(colour, /^#[0-9a-f]{6}$/);
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const grounds = ["page", "surface", "sunken", "hover"];
const pairs: [what: string, grounds: readonly string[], least: number][] = [
  ...["text", "text-2", "text-3", "accent-text"].map((text) =>
    [text, grounds, 4.5] as [string, string[], number]
  ),
  ["success-text", ["page", "surface", "success-soft"], 4.5],
  ["failed-text", ["page", "surface", "failed-soft"], 4.5],
  ["retry-text", ["page", "surface", "retry-soft"], 4.5],
  ["accent-text", ["accent-soft"], 4.5],
  ["on-accent", ["accent"], 4.5],
  ...["success", "failed", "running", "waiting", "upstream", "retry"].map((state) =>
    [state, ["page", "surface"], 3] as [string, string[], number]
  ),
];

for (const [name, theme] of Object.entries({ light, dark })) {
  for (const [what, grounds, least] of pairs) {
    Deno.test(`${what} can be read in the ${name} theme`, () => {
      for (const ground of grounds) {
        const found = contrast(theme, what, ground);
        assert.ok(found >= least, `on ${ground} it has a contrast of ${found.toFixed(2)}`);
      }
    });
  }
}

Deno.test("dark is the same, chosen or as the system has it", () => {
  assert.deepEqual(tokens(':root:not([data-theme="light"])'), chosen);
});

Deno.test("colours are said by the theme alone", async () => {
  const folder = new URL("../../server/page/styles/", import.meta.url);
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".css") || name === "theme.css") continue;
    const text = await Deno.readTextFile(new URL(name, folder));
    const strange = text.match(/#[0-9a-f]{6}\b/gi) ?? [];
    assert.deepEqual(strange, [], name);
  }
});
