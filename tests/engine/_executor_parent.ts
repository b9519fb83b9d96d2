// A process that dies while its subprocess executor makes an attempt: says what that says, and waits.
import { subprocess } from "../../engine/subprocess.ts";
import { Stage } from "./_executor_stage.ts";

const child = new URL("_executor_child.ts", import.meta.url).pathname;
const command = () => ({ path: Deno.execPath(), args: ["run", "-A", "--no-check", child] });
const stage = await Stage.open(subprocess({ command }), "single", Deno.args[0]);
stage.begin("breeds", {
  around: {
    log: (line) => console.log(JSON.stringify({ ...line.fields, home: stage.home })),
  },
});
