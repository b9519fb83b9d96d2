import type { Recorded, Run } from "../engine/mod.ts";
import type { Site } from "./_site.ts";

/**
 * What happened to a run, in order; nothing where no store tells.
 *
 * A run's version is the number of its events: when so many were seen, there are no more.
 */
export async function historyOf({ store }: Site, run: Run): Promise<Recorded[]> {
  const found: Recorded[] = [];
  if (!store) return found;
  const end = new AbortController();
  let seen = 0;
  for await (const event of store.watch(end.signal, 0)) {
    // Others have their turn in between.
    if (++seen % 1000 === 0) await new Promise((resolve) => setTimeout(resolve));
    if (event.run === run.id) found.push(event);
    if (found.length === run.version) end.abort();
  }
  return found;
}
