// Appends to a store until it is killed: `+ run version` before each append, `= run version` when it is acknowledged, `! why`
// when it is refused. Arguments: the home folder, a name for its runs, how many appenders, how many appends each.
import { file } from "../../engine/mod.ts";
import { attempted, created } from "./_store_conformance.ts";

const [home, name, appenders, appends] = Deno.args as [string, string, string, string];
const encoder = new TextEncoder();
const say = (line: string): void => void Deno.stdout.writeSync(encoder.encode(`${line}\n`));

await using store = await file(home);
say("open");
await Promise.all(Array.from({ length: Number(appenders) }, async (_, i) => {
  const run = `${name}_${i}`;
  let version = 0;
  for (let n = 0; n < Number(appends); n++) {
    const events = version === 0
      ? [created(run, { tasks: ["a", "b"] })]
      : ["a", "b", "a"].map((task, i) => attempted(run, task, version + i + 1));
    const next = version + events.length;
    say(`+ ${run} ${next}`);
    try {
      await store.append(run, version, events);
      say(`= ${run} ${next}`);
      version = next;
    } catch (error) {
      say(`! ${(error as Error).message}`);
    }
    // Now and then nothing is under way.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 12));
  }
}));
