import { setImmediate } from "node:timers/promises";
import type { Bytes } from "../../engine/mod.ts";

/** A text that no other row has, and that does not compress well. */
export function note(row: number): string {
  return [1, 2, 3, 4, 5, 6].map((i) => Math.imul(row * i, 2654435761).toString(36)).join("");
}

/** CSV with so many rows, made as it is asked for. */
export function made(count: number, chunkRows = 5000): Bytes {
  const encoder = new TextEncoder();
  let row = -1;
  return new ReadableStream({
    async pull(controller) {
      await setImmediate(); // a real source waits, which lets timers run
      if (row < 0) {
        row = 0;
        return controller.enqueue(encoder.encode("n,name,half,note\n"));
      }
      if (row >= count) return controller.close();
      let text = "";
      for (const end = Math.min(row + chunkRows, count); row < end; row++) {
        text += `${row},name ${row % 1000},${row / 2},${note(row)}\n`;
      }
      controller.enqueue(encoder.encode(text));
    },
  }, { highWaterMark: 0 });
}
