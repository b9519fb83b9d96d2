import assert from "node:assert/strict";
import { spans } from "../../../server/page/ansi.ts";

const cases: [what: string, line: string, shown: [text: string, looks: string][]][] = [
  ["plain text", "just text", [["just text", ""]]],
  ["nothing", "", []],
  ["a colour", "\u001b[31mred\u001b[0m not", [["red", "ink-1"], [" not", ""]]],
  ["a bright colour", "\u001b[92mgreen\u001b[39m", [["green", "ink-2"]]],
  ["styles that add up", "\u001b[1m\u001b[4;33mx\u001b[22my", [
    ...[["x", "bold underlined ink-3"], ["y", "underlined ink-3"]] as [string, string][],
  ]],
  ["no number for a reset", "\u001b[1mx\u001b[my", [["x", "bold"], ["y", ""]]],
  ["256 colours", "\u001b[38;5;196mx\u001b[1my", [["x", ""], ["y", "bold"]]],
  ["all the colours there are", "\u001b[38;2;1;2;31mx", [["x", ""]]],
  ["a background", "\u001b[41mx", [["x", ""]]],
  ["the cursor moved", "a\u001b[2K\u001b[1Gb\u001b[?25l", [["a", ""], ["b", ""]]],
  ["a title set", "\u001b]0;title\u0007x", [["x", ""]]],
  ["a link", "\u001b]8;;javascript:alert(1)\u001b\\x", [["x", ""]]],
  ["an escape cut off", "x\u001b[31", [["x", ""], ["31", ""]]],
  ["an escape at the end", "x\u001b", [["x", ""]]],
  ["what cannot be seen", "a\u0000\u0008b\r", [["ab", ""]]],
  ["tabs", "a\tb", [["a\tb", ""]]],
  ["markup", "<b>\u001b[31m<script>", [["<b>", ""], ["<script>", "ink-1"]]],
];

for (const [what, line, shown] of cases) {
  Deno.test(`a line with ${what} is shown by a fixed set of looks`, () => {
    assert.deepEqual(spans(line).map(({ text, looks }) => [text, looks]), shown);
  });
}

Deno.test("a line is read in linear time, whatever stands in it", () => {
  const began = performance.now();
  for (const piece of ["\u001b[", "\u001b]", "\u001b[1;", "\u001b[31m", "\u001b[?"]) {
    spans(piece.repeat(100_000));
  }
  assert.ok(performance.now() - began < 10_000, `${performance.now() - began} ms`);
});
