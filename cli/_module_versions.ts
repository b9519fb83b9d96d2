import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { ModuleGraph } from "./_module_graph.ts";
import { NotTypeScript, plainScript } from "./_plain_script.ts";
import { messageOf } from "./world.ts";

/**
 * What was in the files when the runtime loaded them from where they are. It loads no file twice, and forgets none: so
 * there is one such memory in a process, and it only grows.
 */
const loaded = new Map<string, string>();

const TYPESCRIPT = /\.m?tsx?$/;

async function plain(path: string, bytes: Uint8Array): Promise<Uint8Array> {
  try {
    return new TextEncoder().encode(await plainScript(new TextDecoder().decode(bytes)));
  } catch (error) {
    if (!(error instanceof NotTypeScript)) throw error;
    throw new ModuleFault(`Cannot load ${path}:${error.line}: ${error.message}`, { cause: error });
  }
}

/** A module that could not be imported: the sentence says where and why. */
export class ModuleFault extends Error {
  override name = "ModuleFault";
}

/**
 * Imports modules as they are now, also those it has imported before as they were then.
 *
 * The first version of a file is imported from where it is. A later one, which the runtime would not look at, is copied to a
 * temporary folder and imported from there; so is what imports it, and nothing else: what did not change stays the same
 * module. The runtime keeps all versions until the process ends. Where it knows no TypeScript, copies without types are
 * imported from the first.
 */
export class ModuleVersions implements AsyncDisposable {
  readonly #patience: number;
  readonly #typeless: boolean;
  #folder: string | undefined;
  /** The path of each copy's original, by the copy's address. */
  readonly #originals = new Map<string, string>();

  /**
   * @param patience for how many milliseconds a module may be at it until it counts as broken
   * @param typeless whether the runtime knows no TypeScript, as that of a standalone binary
   */
  constructor(patience = 10_000, typeless: boolean = Deno.build.standalone) {
    this.#patience = patience;
    this.#typeless = typeless;
  }

  /** Imports a module of a graph. @throws {ModuleFault} when it is broken */
  async import(graph: ModuleGraph, path: string): Promise<Record<string, unknown>> {
    const files = graph.reach(path);
    const isTyped = (file: string) => this.#typeless && TYPESCRIPT.test(file);
    const copied = files.filter((file) => !isFresh(graph, file) || graph.reach(file).some(isTyped));
    const addresses = new Map<string, string>();
    for (const file of copied) addresses.set(file, await this.#addressOf(graph, file));
    const address = (file: string): string => addresses.get(file) ?? pathToFileURL(file).href;
    for (const file of copied) {
      const copy = address(file);
      const bytes = this.#originals.has(copy) ? undefined : graph.rewrite(file, address);
      if (bytes) {
        await Deno.writeFile(new URL(copy), isTyped(file) ? await plain(file, bytes) : bytes);
      }
      this.#originals.set(copy, file);
    }
    for (const file of files) {
      if (!addresses.has(file)) loaded.set(file, graph.digest(file));
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      const why = `it waits for something at its top level for more than ${this.#patience} ms`;
      timer = setTimeout(() => reject(new Error(why)), this.#patience);
    });
    try {
      return await Promise.race([import(address(path)), late]);
    } catch (error) {
      throw new ModuleFault(this.#describe(error, graph, path), { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#folder !== undefined) await Deno.remove(this.#folder, { recursive: true });
  }

  /** Where a file's copy is. */
  async #addressOf(graph: ModuleGraph, file: string): Promise<string> {
    const id = createHash("sha256").update(`${file}\n${graph.version(file)}`).digest("hex");
    this.#folder ??= await Deno.makeTempDir({ prefix: "sluice-dags-" });
    const folder = join(this.#folder, id.slice(0, 16));
    await Deno.mkdir(folder, { recursive: true });
    return pathToFileURL(join(folder, basename(file))).href;
  }

  #describe(error: unknown, graph: ModuleGraph, path: string): string {
    const plain = (text: string): string => {
      // deno-lint-ignore no-control-regex -- the runtime colours what it says of imports
      const text_ = text.replaceAll(/\u001b\[\d*m/g, "");
      return [...this.#originals].reduce(
        (text, [copy, file]) => text.replaceAll(copy, pathToFileURL(file).href),
        text_,
      );
    };
    // Where it happened stands below; the lines of a syntax error that show the code are left out.
    const message = plain(messageOf(error)).replace(/(\n\s*\||\s+at file:\S+$)[^]*/m, "")
      .replaceAll(/\s*\n\s*/g, " ");
    const files = new Map(graph.reach(path).map((file) => [pathToFileURL(file).href, file]));
    const stack = plain(error instanceof Error ? error.stack ?? "" : "");
    for (const [, href, line] of stack.matchAll(/(file:\/\/[^\s()]+?):(\d+):\d+/g)) {
      const file = files.get(href!);
      if (file === path) return `Cannot load ${path}:${line}: ${message}`;
      if (file !== undefined) return `Cannot load ${path}: ${message} (${file}:${line})`;
    }
    return `Cannot load ${path}: ${message}`;
  }
}

/** Whether the runtime, asked for a file, gives what is in it and in all that it imports. */
function isFresh(graph: ModuleGraph, file: string): boolean {
  return graph.reach(file).every((one) => {
    const digest = graph.digest(one);
    return (loaded.get(one) ?? digest) === digest;
  });
}
