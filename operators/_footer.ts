import { type Chunks, joined } from "./_window.ts";
import { Malformed } from "./_tokenizer.ts";

const LF = 10, CR = 13;

/** Leaves out the last lines that are not empty, and what empty lines are among and behind them. */
export async function* withoutFooter(
  chunks: Chunks,
  lines: number,
  maxBytes: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  let held = new Uint8Array(0);
  for await (const chunk of chunks) {
    held = joined(held, chunk);
    const from = footer(held, lines);
    if (held.length - from > maxBytes) {
      throw new Malformed(
        `its last ${lines} lines (skipFooter) do not fit into ${maxBytes} bytes (maxFieldBytes)`,
      );
    }
    if (from > 0) yield held.slice(0, from);
    held = held.slice(from);
  }
}

/** Where the last lines begin. */
function footer(bytes: Uint8Array, lines: number): number {
  const isEnd = (c: number | undefined) => c === LF || c === CR;
  let i = bytes.length;
  for (let n = 0; n < lines && i > 0; n++) {
    while (i > 0 && isEnd(bytes[i - 1])) i--;
    while (i > 0 && !isEnd(bytes[i - 1])) i--;
  }
  return i;
}

/** Leaves out the bytes that are zero. */
export async function* withoutNuls(
  chunks: Chunks,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  for await (const chunk of chunks) yield chunk.includes(0) ? chunk.filter((c) => c !== 0) : chunk;
}
