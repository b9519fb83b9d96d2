// Keeps the floor plan true: who may import whom, by which door, no cycles, no long files.

/** Folders and single files, and what each may import. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "engine": [],
  "operators": ["engine"],
  "adapters": ["engine"],
  "server": ["engine"],
  "dags": ["mod.ts"],
  "examples": ["mod.ts"],
  "mod.ts": ["engine", "operators", "adapters", "server"],
  "cli": ["engine", "operators", "adapters", "server", "dags"],
  "main.ts": ["cli"],
};

/** The packages the engine may use, beside the runtime's own. */
const ENGINE_PACKAGES = ["croner"];
const MAX_LINES = 400;
/** Nobody reads it. */
const GENERATED = "server/page/_built.ts";

interface Module {
  readonly path: string;
  readonly text: string;
  /** Paths of what it imports of the project, and names of what it does not. */
  readonly local: readonly string[];
  readonly packages: readonly string[];
}

const root = new URL("..", import.meta.url);

function* files(path: string): Generator<string> {
  if (path === GENERATED) return;
  if (/\.tsx?$/.test(path)) return yield path;
  for (const { name, isDirectory } of Deno.readDirSync(new URL(`${path}/`, root))) {
    if (isDirectory || /\.tsx?$/.test(name)) yield* files(`${path}/${name}`);
  }
}

function read(path: string): Module {
  const text = Deno.readTextFileSync(new URL(path, root));
  const code = text.replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
  const names = [...code.matchAll(/(?:\bfrom\s+|\bimport\s+|\bimport\s*\(\s*)"([^"]+)"/g)].map((
    match,
  ) => match[1]!);
  const local = names.flatMap((name) => {
    if (name === "sluice") return ["mod.ts"];
    return name.startsWith(".") ? [new URL(name, `file:///${path}`).pathname.slice(1)] : [];
  });
  const packages = names.filter((name) => !name.startsWith(".") && name !== "sluice");
  return { path, text, local, packages };
}

const modules = Object.keys(MAY_IMPORT).flatMap((folder) => [...files(folder)].map(read));

/** The room a file is in: its top folder, or itself. */
function roomOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : path;
}

for (const [room, allowed] of Object.entries(MAY_IMPORT)) {
  Deno.test(`${room} imports only ${[...allowed, "itself"].join(", ")}`, () => {
    for (const { path, local } of modules.filter((module) => roomOf(module.path) === room)) {
      for (const target of local) {
        const other = roomOf(target);
        if (other !== room && !allowed.includes(other)) {
          throw new Error(`Cannot import "${target}" in "${path}": ${room} may import ${allowed}`);
        }
      }
    }
  });
}

Deno.test("a folder is entered by its mod.ts", () => {
  for (const { path, local } of modules) {
    for (const target of local) {
      if (roomOf(target) === roomOf(path) || !target.includes("/")) continue;
      // A DAG is a door of its own: people copy it as it is.
      if (target.endsWith("/mod.ts") || roomOf(target) === "dags") continue;
      throw new Error(`Cannot import "${target}" in "${path}": use "${roomOf(target)}/mod.ts"`);
    }
  }
});

Deno.test("the engine needs nothing but the runtime and a cron library", () => {
  for (const { path, packages } of modules.filter((module) => roomOf(module.path) === "engine")) {
    for (const name of packages) {
      if (name.startsWith("node:") || ENGINE_PACKAGES.includes(name)) continue;
      throw new Error(`Cannot import "${name}" in "${path}": engine has no dependencies`);
    }
  }
});

Deno.test("only main.ts reads the environment and the arguments", () => {
  for (const { path, text } of modules) {
    if (path === "main.ts" || !/\bDeno\.(env|args)\b/.test(text)) continue;
    throw new Error(`Cannot read Deno.env or Deno.args in "${path}": main.ts alone does`);
  }
});

Deno.test("packages come by their names in the import map", () => {
  for (const { path, packages } of modules) {
    const strange = packages.find((name) => /^(npm|jsr|https?):/.test(name));
    if (strange) throw new Error(`Cannot import "${strange}" in "${path}": name it in deno.json`);
  }
});

Deno.test(`no source file is longer than ${MAX_LINES} lines`, () => {
  for (const { path, text } of modules) {
    const lines = text.split("\n").length;
    if (lines > MAX_LINES) throw new Error(`"${path}" has ${lines} lines`);
  }
});

Deno.test("no module imports itself through others", () => {
  const graph = new Map(modules.map(({ path, local }) => [path, local]));
  const done = new Set<string>();
  function visit(path: string, trail: readonly string[]): void {
    if (trail.includes(path)) {
      throw new Error(`Cycle: ${[...trail.slice(trail.indexOf(path)), path].join(" → ")}`);
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  }
  for (const path of graph.keys()) visit(path, []);
});
