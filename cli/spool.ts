import { buildCommand, buildRouteMap } from "@stricli/core";
import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { ClearedSpool, SpoolEntry } from "../engine/mod.ts";
import { homeFolder } from "./database.ts";
import * as flags from "./flags.ts";
import { bytes, several, table } from "./format.ts";
import { print, tell, verb, type World } from "./world.ts";

interface SpoolFlags {
  readonly home?: string;
  readonly json: boolean;
}

interface ClearFlags extends SpoolFlags {
  readonly key?: string;
}

const list = buildCommand<SpoolFlags, [], World>({
  func: verb(async (world, options) => {
    const { listSpool } = await import("../engine/mod.ts");
    const files = listSpool(homeFolder(world, options));
    if (options.json) {
      print(world, JSON.stringify({ bytes: sum(files), files: files.map(document) }));
    } else if (files.length === 0) print(world, "Nothing is kept.");
    else {
      print(world, table([["bytes", "", "last used", "run", "what"], ...files.map(row)]));
      print(world, said(files));
      if (files.some(({ load }) => load !== undefined)) {
        tell(
          world,
          `What a load keeps goes with it, or after a day; \`${world.command} spool clear --key URL\` removes it now.`,
        );
      }
    }
    return 0;
  }),
  parameters: { flags: { home: flags.home, json: flags.json } },
  docs: {
    brief: "List what is kept of downloads and between tasks, the last used first",
    fullDescription: [
      "Lists the files that are kept of downloads and between tasks, the last used first; then those of",
      "loads that were stopped and can go on (`load --resume`).",
    ].join("\n"),
  },
});

const clear = buildCommand<ClearFlags, [], World>({
  func: verb(async (world, options) => {
    const home = homeFolder(world, options);
    const { key } = options;
    const { removed, kept } = await cleared(home, key === undefined ? {} : nameOf(world, key));
    if (key !== undefined && removed.length + kept.length === 0) {
      throw new Error(`Nothing is kept of "${key}"; \`${world.command} spool list\` tells of what`);
    }
    if (options.json) {
      print(
        world,
        JSON.stringify({
          freed: sum(removed),
          removed: removed.map(document),
          kept: kept.map(document),
        }),
      );
    } else {
      if (removed.length > 0) print(world, table(removed.map(row)));
      print(world, `Freed ${bytes(sum(removed))} of ${said([...removed, ...kept])}`);
    }
    if (kept.length > 0) {
      tell(world, `Kept, as what is not over needs it:\n${table(kept.map(row), "  ")}`);
    }
    return 0;
  }),
  parameters: {
    flags: {
      key: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "URL",
        brief: "Remove only what is kept of this address or path",
      },
      home: flags.home,
      json: flags.json,
    },
  },
  docs: {
    brief: "Remove what no unfinished run needs; it is downloaded again when asked for",
    fullDescription: [
      "Removes files that are kept of downloads: all of them, or those of one address. What a run needs",
      "that is not over stays; what a load keeps that was stopped (`load --resume`) goes by its address",
      "only. Also while another process uses the home folder.",
      "",
      "Examples:",
      "  sluice spool clear",
      "  sluice spool clear --key https://example.com/trips.csv.gz",
    ].join("\n"),
  },
});

/** `sluice spool list|clear`: the files that are kept of downloads. */
export const spool = buildRouteMap({
  routes: { list, clear },
  docs: { brief: "List or remove the files that are kept of downloads" },
});

/** Clears, minding the runs of the folder's state. */
async function cleared(home: string, key: { readonly key?: string }): Promise<ClearedSpool> {
  const { clearSpool, file, unfinished } = await import("../engine/mod.ts");
  if (!existsSync(join(home, "state.db"))) return await clearSpool(home, key);
  await using store = await file(home, { mode: "read" });
  return await clearSpool(home, { ...unfinished(store), ...key });
}

/** What somebody calls a file; a path is kept as the URL of it. */
function nameOf(world: World, text: string): { readonly key: string } {
  if (URL.canParse(text)) return { key: text };
  return { key: pathToFileURL(isAbsolute(text) ? text : join(world.cwd, text)).href };
}

function document(entry: SpoolEntry): Record<string, unknown> {
  const { used, ...rest } = entry;
  return { ...rest, last_used: used };
}

function row({ key, bytes: n, whole, used, run, task, busy, load }: SpoolEntry): string[] {
  const state = [whole ? "whole" : "partial", ...busy ? ["in use"] : []].join(", ");
  const name = key ??
    (load !== undefined
      ? "no bytes, but which load it was"
      : task === null
      ? "a stream of a task"
      : `what task "${task}" puts out`);
  const whose = load === undefined ? run ?? "-" : `load into ${load}`;
  return [bytes(n), state, used.replace(/\.\d+Z$/, "Z"), whose, name];
}

function sum(files: readonly SpoolEntry[]): number {
  return files.reduce((total, file) => total + file.bytes, 0);
}

function said(files: readonly SpoolEntry[]): string {
  return `${bytes(sum(files))} in ${several(files.length, "file")}.`;
}
