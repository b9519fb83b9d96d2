import { createHash } from "node:crypto";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** A file that is a module, or that one imports. */
interface SourceFile {
  /** What is in it; undefined when it is not there. */
  readonly bytes: Uint8Array | undefined;
  /** Tells what is in it from anything else. */
  readonly digest: string;
  /** The files it imports, by how it names them. */
  readonly imports: ReadonlyMap<string, string>;
}

const CODE = /\.m?[jt]sx?$/;
/**
 * What a module imports by a relative path. It is no parser: what looks like an import in a comment or a text is taken for
 * one as well, which does no harm, since that file is there or is not.
 */
const IMPORT = /(\bfrom\s*|\bimport\s*\(?\s*)(["'])(\.{1,2}\/[^"'\n]+)\2/g;

/** Modules as they are on disk at one time, with the files they import by relative paths. */
export class ModuleGraph {
  readonly #files = new Map<string, SourceFile>();

  /** All files there are in it. */
  get paths(): Iterable<string> {
    return this.#files.keys();
  }

  /** Takes in a module, and whatever it imports. */
  async add(path: string): Promise<void> {
    if (this.#files.has(path)) return;
    const bytes = await read(path);
    const imports = new Map<string, string>();
    if (bytes && CODE.test(path)) {
      const base = pathToFileURL(path);
      for (const [, , , specifier] of decode(bytes).matchAll(IMPORT)) {
        imports.set(specifier!, resolve(fileURLToPath(new URL(specifier!, base))));
      }
    }
    const digest = bytes ? createHash("sha256").update(bytes).digest("hex") : "";
    this.#files.set(path, { bytes, digest, imports });
    for (const target of imports.values()) await this.add(target);
  }

  /** Tells what is in a file from anything else; empty when it is not there. */
  digest(path: string): string {
    return this.#files.get(path)?.digest ?? "";
  }

  /** A module and all that it imports, by way of others too, in order of their paths. */
  reach(path: string): readonly string[] {
    const found = new Set([path]);
    for (const one of found) {
      for (const target of this.#files.get(one)?.imports.values() ?? []) found.add(target);
    }
    return [...found].sort();
  }

  /** SHA-256 over the text of a module and of all that it imports; the same wherever the folder is. */
  version(path: string): string {
    const hash = createHash("sha256");
    for (const one of this.reach(path)) {
      hash.update(`${relative(dirname(path), one)}\n${this.digest(one)}\n`);
    }
    return hash.digest("hex");
  }

  /** What is in a file, its imports named as `rename` says, which is given their paths. */
  rewrite(path: string, rename: (path: string) => string): Uint8Array | undefined {
    const { bytes, imports } = this.#files.get(path)!;
    if (!bytes || !CODE.test(path)) return bytes;
    const text = decode(bytes).replaceAll(IMPORT, (whole, before, quote, specifier) => {
      const target = imports.get(specifier)!;
      return this.digest(target) === "" ? whole : `${before}${quote}${rename(target)}${quote}`;
    });
    return new TextEncoder().encode(at(path) + text.replace(/^#!/, "//"));
  }
}

/** Code that makes a module believe that it is at a path; in one line, so that lines keep their numbers. */
function at(path: string): string {
  const href = JSON.stringify(pathToFileURL(path).href);
  return `Object.assign(import.meta, { url: ${href}, filename: ${JSON.stringify(path)}, ` +
    `dirname: ${JSON.stringify(dirname(path))} }); `;
}

async function read(path: string): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(path);
  } catch {
    // Whoever imports it is told why.
    return undefined;
  }
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
