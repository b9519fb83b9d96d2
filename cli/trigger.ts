import { buildCommand } from "@stricli/core";
import { checkWait, ended, openControl, whenItStarts } from "./control.ts";
import type { PlaceFlags } from "./database.ts";
import * as flags from "./flags.ts";
import { readParams } from "./params.ts";
import { endedRun } from "./run_view.ts";
import { print, tell, UsageError, verb, type World } from "./world.ts";

interface TriggerFlags extends PlaceFlags {
  readonly date?: string;
  readonly from?: string;
  readonly to?: string;
  readonly param?: readonly (readonly [string, string])[];
  readonly wait: boolean;
  readonly dags?: string;
  readonly json: boolean;
}

/** `sluice trigger DAG`: a run of a DAG, made by hand. */
export const trigger = buildCommand<TriggerFlags, [string], World>({
  func: verb(async (world, options, id) => {
    const { wait, json } = options;
    const which = chooseRun(options);
    await using control = await openControl(world, { ...options, does: wait ? "work" : "note" });
    const dag = await control.dag(id);
    if (wait) checkWait(world, control, dag);
    const params = readParams(id, dag.params, options.param ?? []);
    const run = await control.trigger(id, { ...which, params });
    const note = wait && !control.serves ? undefined : whenItStarts(world, control, dag);
    if (note !== undefined) tell(world, note);
    if (!wait) {
      const { run_id, state, logical_date, interval } = run;
      if (!json) print(world, `${run_id}  ${state}`);
      else {
        const made = { run_id, dag: id, state, logical_date, interval, note: note ?? null };
        print(world, JSON.stringify(made));
      }
      return 0;
    }
    tell(world, `${run.run_id} is made`);
    const [over] = await ended(world, control, [run.run_id], () => {});
    print(world, json ? JSON.stringify(over) : endedRun(over!));
    return over!.state === "success" ? 0 : 1;
  }),
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ parse: String, placeholder: "DAG", brief: "The id of the DAG" }],
    },
    flags: {
      date: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "D",
        brief: "The run is for the interval that starts on that day, or at that moment",
      },
      from: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "A",
        brief: "The run is for a slice of time of its own, from A …",
      },
      to: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "B",
        brief: "… up to B, exclusive",
      },
      param: flags.param,
      wait: flags.wait,
      dags: flags.dags,
      database: flags.database,
      home: flags.home,
      json: flags.json,
    },
  },
  docs: {
    brief: "Make a run of a DAG",
    fullDescription: [
      "Makes one run of DAG: for the last complete interval of its schedule, unless --date or --from and",
      "--to say another. The `serve` that holds the home folder starts it. When none does, the run waits",
      "for the next one; with --wait it is run here. A run of a paused DAG waits until that is unpaused.",
      "",
      "Examples:",
      "  sluice trigger yellow_taxi",
      "  sluice trigger yellow_taxi --date 2021-02-02 --param base=http://localhost:8000",
      "  sluice trigger yellow_taxi --from 2021-01-01 --to 2021-04-01",
      "  sluice trigger yellow_taxi --wait --json",
    ].join("\n"),
  },
});

/** What the run is to be for. */
function chooseRun(
  { date, from, to }: Pick<TriggerFlags, "date" | "from" | "to">,
): { date?: string; interval?: { start: string; end: string } } {
  if (date !== undefined && (from !== undefined || to !== undefined)) {
    throw new UsageError("Give either --date or --from and --to");
  }
  if (date !== undefined) return { date };
  if (from === undefined && to === undefined) return {};
  if (from !== undefined && to !== undefined) return { interval: { start: from, end: to } };
  throw new UsageError(
    `--${from === undefined ? "from" : "to"} is missing: an interval has both ends`,
  );
}
