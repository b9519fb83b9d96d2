import type { Executor } from "../engine/mod.ts";
import { loadDags } from "./dags.ts";
import type { EXECUTORS } from "./executors.ts";
import type { World } from "./world.ts";

/** The verb of {@linkcode serveAttempt}; it is not for people. */
export const ATTEMPT = "_attempt";

/** Makes the executors, the one of processes of their own for tasks of DAGs in a folder; they end with what is opening. */
export async function openExecutors(
  dags: string | undefined,
  opening: AsyncDisposableStack,
): Promise<Record<typeof EXECUTORS[number], Executor>> {
  const { inProcess } = await import("../engine/mod.ts");
  return { inProcess: opening.use(inProcess()), subprocess: opening.use(await ownProcess(dags)) };
}

/** The executor of tasks that ask for a process of their own: this program, as its child. */
async function ownProcess(dags: string | undefined): Promise<Executor> {
  const { subprocess } = await import("../engine/mod.ts");
  const words = [ATTEMPT, ...dags === undefined ? [] : [dags]];
  return subprocess({
    command: () => {
      if (Deno.build.standalone) return { path: Deno.execPath(), args: words };
      const config = new URL("deno.json", Deno.mainModule).pathname;
      const args = ["run", "-A", "--config", config, Deno.mainModule, ...words];
      return { path: Deno.execPath(), args };
    },
  });
}

/** Does the one job for which such an executor started this process, with the DAGs of a folder. */
export async function serveAttempt(world: World, dags: string | undefined): Promise<never> {
  const { serveAttempt } = await import("../engine/mod.ts");
  return await serveAttempt({
    dags: async (id, hash) => {
      const found = (await loadDags(world, dags)).dags.get(id);
      if (found && hash !== undefined && found.hash !== hash) {
        console.warn(
          `The definition of "${id}" has changed since the run began: here it is the new one`,
        );
      }
      return found?.dag;
    },
  });
}
