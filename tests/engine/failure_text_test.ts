import assert from "node:assert/strict";
import { failureText } from "../../engine/_failure_text.ts";
import type { Failure } from "../../engine/state.ts";

const at = (path: string): string => new URL(`../../${path}`, import.meta.url).href;
const OURS = `    at Parser.next (${at("operators/csv.ts")}:1:2)`;
const USERS = `    at step (${at("dags/mine.ts")}:3:4)`;
const RUNTIME = "    at Object.open (ext:deno_fs/30_fs.js:1:7242)";
const PACKAGE = "    at parse (file:///cache/npm/csv/1.0.0/index.js:5:6)";

function failure(name: string, message: string, frames: string[], cause?: Failure): Failure {
  const stack = [`${name}: ${message}`, ...frames].join("\n");
  return { name, message, stack, ...cause && { cause } };
}

/** What is told of a failure, by what it was. */
const TOLD: Readonly<Record<string, readonly [Failure, string]>> = {
  "a sentence of ours needs no place": [
    failure("GiveUp", "Cannot read CSV: line 3", [OURS]),
    "Cannot read CSV: line 3",
  ],
  "an error of ours that is no sentence has the place where it was thrown": [
    failure("TypeError", "x is undefined", [OURS, RUNTIME]),
    `TypeError: x is undefined\n${OURS}`,
  ],
  "a sentence of ours thrown below the user's code has the place there": [
    failure("GiveUp", "Cannot", [OURS, USERS]),
    `GiveUp: Cannot\n${USERS}`,
  ],
  "an error of a package has the place where it was thrown": [
    failure("Error", "odd", [PACKAGE, RUNTIME]),
    `odd\n${PACKAGE}`,
  ],
  "where in the runtime it was thrown helps nobody": [
    failure("NotFound", "no such file", [RUNTIME]),
    "NotFound: no such file",
  ],
  "a cause that a sentence tells is not told twice, but one behind it is": [
    failure(
      "Error",
      "Cannot download: dns error",
      [OURS],
      failure("Broken", "dns error", [OURS], failure("TypeError", "fetch failed", [RUNTIME])),
    ),
    "Cannot download: dns error\ncaused by: TypeError: fetch failed",
  ],
  "a cause from the user's code is told, whatever says it already": [
    failure("Error", "Cannot load: odd", [OURS], failure("Error", "odd", [USERS])),
    `Cannot load: odd\ncaused by: odd\n${USERS}`,
  ],
};

for (const [what, [told, text]] of Object.entries(TOLD)) {
  Deno.test(what, () => assert.equal(failureText(told), text));
}
