import { tell, type World } from "./world.ts";

/** Text that is drawn again and again in the same place. */
export interface Picture {
  /** All lines, for a terminal. */
  readonly lines: () => readonly string[];
  /** One line that says where things stand, for a log. */
  readonly line: () => string | undefined;
}

const FRAME = 100, LOG_EVERY = 5000;

/** Shows work as it goes on: a picture on a terminal, a line every few seconds elsewhere. */
export class LiveView implements Disposable {
  readonly #world: World;
  readonly #picture: Picture;
  readonly #timer: ReturnType<typeof setInterval>;
  #drawn = 0;

  /** Starts to draw. */
  constructor(world: World, picture: Picture) {
    this.#world = world;
    this.#picture = picture;
    this.#timer = world.screen() === undefined
      ? setInterval(() => this.#log(), LOG_EVERY)
      : setInterval(() => this.#draw(), FRAME);
  }

  /** Says something that stays, above the picture. */
  say(text: string): void {
    this.#erase();
    tell(this.#world, text);
    if (this.#world.screen()) this.#draw();
  }

  /** Draws for the last time. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#world.screen()) this.#draw();
  }

  #log(): void {
    const line = this.#picture.line();
    if (line) tell(this.#world, line);
  }

  #draw(): void {
    const { columns, rows } = this.#world.screen() ?? { columns: 0, rows: 0 };
    const lines = [...this.#picture.lines()];
    // What has left the screen at its top cannot be drawn over; some terminals do not tell their size.
    const room = (rows || 24) - 1;
    if (lines.length > room) {
      lines.splice(room - 1, Infinity, `… ${lines.length - room + 1} more lines`);
    }
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A\r` : "";
    // One write per frame, each line cleared as it is written: nothing flickers.
    const text = lines.map((line) => `${line.slice(0, (columns || 80) - 1)}\x1b[K\n`).join("");
    const below = lines.length < this.#drawn ? "\x1b[J" : "";
    this.#world.process.stderr.write(up + text + below);
    this.#drawn = lines.length;
  }

  #erase(): void {
    if (this.#drawn > 0) this.#world.process.stderr.write(`\x1b[${this.#drawn}A\r\x1b[J`);
    this.#drawn = 0;
  }
}
