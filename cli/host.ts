import type { Engine, LogFiles, LogLine, Network, Store } from "../engine/mod.ts";
import { openExecutors } from "./attempt.ts";
import { dagsFolder, loadDags } from "./dags.ts";
import { type DagFiles, watchDags } from "./dag_files.ts";
import { Database, homeFolder, type PlaceFlags } from "./database.ts";
import { messageOf, tell, type World } from "./world.ts";

/** What an engine of a home folder is made with. */
export interface HostOptions extends PlaceFlags {
  /** Where DAGs are. */
  readonly dags?: string;
  /** Whether DAGs that are new start out paused. */
  readonly startPaused?: boolean;
  /** Whether a paused DAG's runs wait. @default {true} */
  readonly obeyPauses?: boolean;
  /** Whether it goes on with what is not over. @default {true} */
  readonly resume?: boolean;
  /** Whether it tells what may not be meant so in a DAG. @default {true} */
  readonly warns?: boolean;
  /** How long runs that are over are kept, and their logs. @default {for ever} */
  readonly keep?: Temporal.Duration;
  /** Where requests of tasks may go. @default {"any"} */
  readonly network?: Network;
  /** Takes the lines that attempts have to say. */
  readonly log?: (line: LogLine) => void;
}

/** An engine of a home folder, and what it was made of. */
export interface Host extends AsyncDisposable {
  readonly engine: Engine;
  readonly store: Store;
  readonly logs: LogFiles;
  readonly home: string;
  readonly database: Database;
  /** Where its DAGs come from, and what is wrong with their files, as they were last read. */
  readonly files: () => DagFiles;
  /** Takes DAGs as they are changed in their folder, until the signal is aborted. */
  follow(signal: AbortSignal): Promise<void>;
}

/**
 * Opens the engine of a home folder, with the DAGs there are.
 *
 * @throws {Error} when another process holds the folder, naming it
 */
export async function openHost(world: World, options: HostOptions): Promise<Host> {
  const { engine, file, logFiles } = await import("../engine/mod.ts");
  const home = homeFolder(world, options);
  await using opening = new AsyncDisposableStack();
  const found = await loadDags(world, options.dags);
  let latest = found;
  for (const fault of found.faults) tell(world, fault);
  if (options.warns ?? true) { for (const warning of found.warnings) tell(world, warning); }
  const database = opening.use(await Database.from(world, options));
  const store = opening.use(await file(home));
  const logs = logFiles(home);
  const executors = await openExecutors(options.dags, opening);
  const etl = opening.use(
    await engine({
      dags: [...found.dags.values()],
      home,
      store,
      logs,
      executors,
      connections: database.connections,
      ...options.startPaused === undefined ? {} : { startPaused: options.startPaused },
      ...options.obeyPauses === undefined ? {} : { obeyPauses: options.obeyPauses },
      ...options.resume === undefined ? {} : { resume: options.resume },
      ...options.keep === undefined ? {} : { retention: options.keep },
      ...options.network === undefined ? {} : { network: options.network },
      ...options.log ? { log: options.log } : {},
      onError: (error) => tell(world, messageOf(error)),
    }),
  );
  const resources = opening.move();
  return {
    engine: etl,
    store,
    logs,
    home,
    database,
    files: () => latest,
    async follow(signal) {
      let told = [...found.faults, ...found.warnings];
      for await (const files of watchDags(dagsFolder(world, options.dags), signal)) {
        const lines = [...files.faults, ...files.warnings];
        for (const line of lines) if (!told.includes(line)) tell(world, line);
        told = lines;
        latest = files;
        try {
          if (files.dags.size > 0 || options.dags !== undefined) {
            await etl.replace([...files.dags.values()]);
          }
        } catch (error) {
          tell(world, `The DAGs stay as they were: ${messageOf(error)}`);
        }
      }
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
