/**
 * Compiles the sources here to `_built.ts`: `deno task kernel`. AssemblyScript is TypeScript for WebAssembly; it is no
 * dependency of the project, which has what it makes.
 */
const COMPILER = "npm:assemblyscript@0.28.20/asc";
const folder = new URL(".", import.meta.url).pathname;

/** What becomes of each source, by the name it has there. */
export const SOURCES = { KERNEL: "kernel.as", REJECTS: "rejects.as", ROWS: "rows.as" } as const;

/** Compiles a source, and gives the module in base64. */
export async function compile(source: string): Promise<string> {
  const work = await Deno.makeTempDir({ prefix: "sluice-kernel-" });
  try {
    await Deno.copyFile(`${folder}${source}`, `${work}/kernel.ts`);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-config", "--no-lock", "--allow-all", COMPILER, "kernel.ts"],
        ...["-O3", "--noAssert", "--runtime", "stub", "--importMemory", "--initialMemory", "1"],
        ...["--enable", "simd", "--enable", "bulk-memory", "--outFile", "kernel.wasm"],
      ],
      cwd: work,
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return (await Deno.readFile(`${work}/kernel.wasm`)).toBase64();
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

if (import.meta.main) {
  const parts: string[] = [];
  for (const [name, source] of Object.entries(SOURCES)) {
    const lines = (await compile(source)).match(/.{1,96}/g)!.map((line) => `  "${line}"`);
    parts.push(
      `/** What build.ts makes of ${source}, in base64. */\nexport const ${name}: string =\n${
        lines.join(" +\n")
      };\n`,
    );
  }
  await Deno.writeTextFile(`${folder}_built.ts`, parts.join("\n"));
}
