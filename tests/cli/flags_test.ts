import assert from "node:assert/strict";
import { duration } from "../../cli/flags.ts";
import { refusal, Sluice } from "./_sluice.ts";

const durations = {
  "90d": "P90D",
  "36h": "PT36H",
  "2w": "P2W",
  "1d12h": "P1DT12H",
  "1h30m15s": "PT1H30M15S",
  "P3M": "P3M",
  "PT5M": "PT5M",
} as const;

for (const [text, read] of Object.entries(durations)) {
  Deno.test(`${text} is a duration`, () => assert.equal(String(duration(text)), read));
}

for (const text of ["", "90", "d", "0d", "-P1D", "-1d", "1.5d", "12h1d", "1d 2h", "soon"]) {
  Deno.test(`"${text}" is no duration to go by`, () => {
    assert.throws(() => duration(text), {
      name: "SyntaxError",
      message: /write a duration as 90d/,
    });
  });
}

Deno.test("a flag or a verb that is none is answered with the one that was meant", async () => {
  await using sluice = new Sluice();
  const cases: [args: string[], says: string][] = [
    [["load", "a.csv", "--table", "t"], "there is no flag --table; did you mean --into?"],
    [
      ["load", "a.csv", "--delimeter", ";"],
      "there is no flag --delimeter; did you mean --delimiter?",
    ],
    [["load", "a.csv"], "--into is missing, or has no value"],
    [["lst"], 'there is no verb "lst"; did you mean `list`?'],
    [["-x"], 'there is no verb "-x"'],
  ];
  for (const [args, says] of cases) assert.equal(refusal(await sluice.run(args), 2), says);
});
