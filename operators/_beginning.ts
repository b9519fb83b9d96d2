import { createHash, type Hash } from "node:crypto";

/**
 * Tells whether a file that is downloaded anew begins with the bytes that came of it before, where its server names no
 * version. If so, it is as a whole what the new download brings.
 */
export class Beginning {
  readonly #before: Hash = createHash("sha256");
  #again: Hash = createHash("sha256");

  /** Notes bytes that came for the first time. */
  add(bytes: Uint8Array): void {
    this.#before.update(bytes);
  }

  /** Goes back to the file's start. */
  rewind(): void {
    this.#again = createHash("sha256");
  }

  /** Notes bytes that came again. */
  repeat(bytes: Uint8Array): void {
    this.#again.update(bytes);
  }

  /** Whether all that came again, once it is as much, is what came before. */
  isSame(): boolean {
    return this.#before.copy().digest("hex") === this.#again.copy().digest("hex");
  }
}
