/** Whether there is time for hundreds of faults where otherwise some dozens have to do: with SLUICE_SOAK=1. */
export const soak: boolean = Deno.env.get("SLUICE_SOAK") === "1";

/** Numbers in [0, 1) that look random, and are the same each time for the same seed. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    // Mulberry32.
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
