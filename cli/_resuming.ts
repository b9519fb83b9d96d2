import { join, resolve } from "node:path";
import type { KeptSource } from "../engine/mod.ts";
import { homeFolder, type PlaceFlags } from "./database.ts";
import { type World } from "./world.ts";

/** Keeps what a load reads for the next process that is to do the same. @throws {Error} when another is at it now */
export async function keepFor(
  world: World,
  options: PlaceFlags & { readonly into: string },
  source: string,
): Promise<KeptSource> {
  const { keepSource } = await import("../engine/mod.ts");
  const place = URL.canParse(source) ? source : resolve(world.cwd, source);
  const folder = join(homeFolder(world, options), "loads");
  const { into } = options;
  const kept = keepSource(folder, JSON.stringify([place, into]), { what: into });
  if (kept) return kept;
  throw new Error(`Cannot load into "${into}": another process loads this source into it`);
}

/** How often a source may change, or turn out to have changed, while it is loaded. */
const MAX_CHANGES = 3;

/** Does something again when its source changed meanwhile. */
export async function persist<T>(
  work: () => Promise<T>,
  say: (message: string) => void,
): Promise<T> {
  const { SourceChanged } = await import("../engine/mod.ts");
  for (let changes = 1;; changes++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof SourceChanged) || changes > MAX_CHANGES) throw error;
      say(`${error.message}; trying again`);
    }
  }
}
