/**
 * Compiles `kernel.as` to `_built.ts`: `deno task kernel`. AssemblyScript is TypeScript for WebAssembly; it is no
 * dependency of the project, which has what it makes.
 */
const COMPILER = "npm:assemblyscript@0.28.20/asc";
const folder = new URL(".", import.meta.url).pathname;

/** Compiles, and gives the module in base64. */
export async function compile(): Promise<string> {
  const work = await Deno.makeTempDir({ prefix: "sluice-kernel-" });
  try {
    await Deno.copyFile(`${folder}kernel.as`, `${work}/kernel.ts`);
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
  const lines = (await compile()).match(/.{1,96}/g)!.map((line) => `  "${line}"`);
  await Deno.writeTextFile(
    `${folder}_built.ts`,
    `/** What build.ts makes of kernel.as, in base64. */\nexport const KERNEL: string =\n${
      lines.join(" +\n")
    };\n`,
  );
}
