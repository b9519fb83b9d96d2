import { join } from "node:path";
import type { Store } from "../engine/mod.ts";
import { homeFolder, type PlaceFlags } from "./database.ts";
import type { World } from "./world.ts";

/**
 * What has happened in the home folder, to be looked at, also while another process writes to it; undefined when nothing
 * has.
 */
export async function openHistory(world: World, flags: PlaceFlags): Promise<Store | undefined> {
  const home = homeFolder(world, flags);
  try {
    await Deno.stat(join(home, "state.db"));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const { file } = await import("../engine/mod.ts");
  return await file(home, { mode: "read" });
}
