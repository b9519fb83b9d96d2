/** A folder that is removed at the end. */
export interface Folder {
  readonly path: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Makes an empty folder. */
export async function folder(): Promise<Folder> {
  const path = await Deno.makeTempDir({ prefix: "sluice_test_" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Waits until what is written has another time than what was: how often its clock ticks is the system's affair. */
export async function laterOnDisk(): Promise<void> {
  const probe = await Deno.makeTempFile({ prefix: "sluice_test_" });
  const touch = async (): Promise<number> => {
    await Deno.writeTextFile(probe, "x");
    return (await Deno.stat(probe)).mtime!.getTime();
  };
  for (const now = await touch(); await touch() === now;) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Deno.remove(probe);
}

/** Makes one on a disk of its own that holds so many bytes; undefined where that is not allowed. */
export async function smallDisk(bytes: number): Promise<Folder | undefined> {
  const { path, ...rest } = await folder();
  const run = async (command: string, ...args: string[]): Promise<boolean> => {
    const options = { args, stdout: "null", stderr: "null" } as const;
    return await new Deno.Command(command, options).output()
      .then(({ success }) => success, () => false);
  };
  if (!await run("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "none", path)) {
    console.log("Not tested, for no disk can be mounted: a disk that is full");
    await rest[Symbol.asyncDispose]();
    return undefined;
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      await run("umount", path);
      await rest[Symbol.asyncDispose]();
    },
  };
}
