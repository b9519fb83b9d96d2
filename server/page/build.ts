/**
 * Builds the page into `_built.ts`: `deno task page`.
 *
 * What is built is kept with the source, so that whoever serves it needs no build step.
 */
import * as esbuild from "esbuild";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";

const here = new URL(".", import.meta.url);

/** Builds the page; resolves with the text of the module that has it in it. */
export async function buildPage(): Promise<string> {
  const { outputFiles } = await esbuild.build({
    entryPoints: [fileURLToPath(new URL("main.tsx", here))],
    outdir: fileURLToPath(here),
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    target: ["chrome111", "firefox113", "safari16.4"],
    charset: "utf8",
    legalComments: "none",
    jsx: "automatic",
    jsxImportSource: "preact",
    loader: { ".svg": "dataurl" },
    tsconfigRaw: "{}",
    plugins: [await packages("main.tsx")],
    logLevel: "silent",
  });
  const text = (end: string): string => outputFiles.find(({ path }) => path.endsWith(end))!.text;
  const assets = {
    script: asset("app", "js", text(".js")),
    style: asset("app", "css", text(".css")),
    icon: asset("icon", "svg", read("icon.svg")),
  };
  const names = Object.entries(assets).map(([key, { name }]) => [`{${key}}`, name] as const);
  const html = names.reduce((html, [mark, name]) => html.replace(mark, name), read("index.html"));
  return [
    "// Built by `deno task page` from the files beside it; not to be edited.",
    `export const html: string = ${JSON.stringify(html)};`,
    `export const assets: Readonly<Record<string, string>> = {`,
    ...Object.values(assets).map(({ name, body }) => `  "${name}": ${JSON.stringify(body)},`),
    "};",
    "",
  ].join("\n");
}

/** Named by its content, so that browsers may keep it for ever. */
function asset(name: string, type: string, body: string): { name: string; body: string } {
  const hash = createHash("sha256").update(body).digest("hex").slice(0, 10);
  return { name: `${name}-${hash}.${type}`, body };
}

function read(name: string): string {
  return Deno.readTextFileSync(new URL(name, here));
}

interface Package {
  readonly name: string;
  readonly localPath: string;
}

/** Has esbuild find packages where Deno keeps them, in the versions of the import map. */
async function packages(entry: string): Promise<esbuild.Plugin> {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", fileURLToPath(new URL(entry, here))],
  }).output();
  if (!success) {
    throw new Error(`Cannot find the page's packages: ${new TextDecoder().decode(stderr)}`);
  }
  const { npmPackages } = JSON.parse(new TextDecoder().decode(stdout));
  const known = new Map(
    (Object.values(npmPackages) as Package[]).map(({ name, localPath }) => [name, localPath]),
  );
  return {
    name: "packages",
    setup(build): void {
      build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
        if (kind === "entry-point") return;
        const [, name = "", rest = ""] = /^(@[^/]+\/[^/]+|[^/]+)(\/.*)?$/.exec(path) ?? [];
        const folder = known.get(name);
        if (folder === undefined) return { errors: [{ text: `There is no package "${name}"` }] };
        const { exports } = JSON.parse(Deno.readTextFileSync(`${folder}/package.json`));
        const { browser, import: module, default: any } = exports[`.${rest}`];
        return { path: `${folder}/${(browser ?? module ?? any).slice(2)}` };
      });
    },
  };
}

if (import.meta.main) {
  const text = await buildPage();
  await Deno.writeTextFile(new URL("_built.ts", here), text);
  const { assets } = await import("./_built.ts");
  for (const [name, body] of Object.entries(assets)) {
    const zipped = new Response(
      new Blob([body]).stream().pipeThrough(new CompressionStream("gzip")),
    );
    const { size } = await zipped.blob();
    console.log(`${name}  ${body.length} bytes, ${size} in gzip`);
  }
  await esbuild.stop();
}
