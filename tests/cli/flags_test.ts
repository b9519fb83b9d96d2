import assert from "node:assert/strict";
import { duration } from "../../cli/flags.ts";

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
