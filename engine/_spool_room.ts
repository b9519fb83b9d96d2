import { statfsSync } from "node:fs";
import { locked, removeStored, storedFiles, usedPaths, wholePath } from "./_spool_folder.ts";

/** How much of the disk a spool may take. */
export interface SpoolLimits {
  /** Bytes of all its files. @default {20e9} */
  readonly cap?: number;
  /** The part of the disk that stays free, from 0 to 1. @default {0.1} */
  readonly keepFree?: number;
}

/** The version of a source that a run needs. */
export interface Need {
  /** Names the source. */
  readonly key: string;
  /** Tells its versions apart. */
  readonly validator: string;
}

/** Whom room is for. */
export interface Guest {
  readonly path: string;
  /** How errors call it. */
  readonly name: string;
  /** Bytes that are set aside for it by now. */
  readonly size: number;
  /** Sets bytes of the disk aside for it. */
  resize(size: number): void;
}

/** While more bytes than this are left … */
const PLENTY = 4e9;
/** … nobody counts again before so many were given out: others do the same meanwhile. */
const UNCOUNTED = 1e9;

/** Gives the files of a spool room within its limits: the whole files that were used the longest ago have to go. */
export class Room {
  readonly #root: string;
  readonly #cap: number;
  readonly #keepFree: number;
  readonly #needed: () => Promise<Iterable<Need>>;
  /** Bytes to give out before files are counted again. */
  #uncounted = 0;

  constructor(root: string, limits: SpoolLimits, needed: () => Promise<Iterable<Need>>) {
    const { cap = 20e9, keepFree = 0.1 } = limits;
    if (!(cap >= 0)) throw new RangeError(`The spool's "cap" is a number of bytes, not ${cap}`);
    if (!(keepFree >= 0 && keepFree < 1)) {
      throw new RangeError(`The spool's "keepFree" is from 0 to less than 1, not ${keepFree}`);
    }
    this.#root = root;
    this.#cap = cap;
    this.#keepFree = keepFree;
    this.#needed = needed;
  }

  /**
   * Makes room for a file of at least `least` bytes, and of `most` if it can be; resolves with its new size.
   *
   * @throws {Error} when there is no room, though all went that may go; nothing was removed then
   */
  async claim(guest: Guest, least: number, most: number = least): Promise<number> {
    const more = most - guest.size;
    if (more <= this.#uncounted) {
      this.#uncounted -= more;
      guest.resize(most);
      return most;
    }
    return locked(this.#root, () => this.#fit(guest, least, most)) ??
      await this.#evict(guest, least, most);
  }

  async #evict(guest: Guest, least: number, most: number): Promise<number> {
    const needed = new Set<string>();
    for (const { key, validator } of await this.#needed()) {
      needed.add(wholePath(this.#root, key, validator));
    }
    return locked(this.#root, () => this.#fit(guest, least, most, needed))!;
  }

  /** Undefined when others have to go, and it does not say who may not. */
  #fit(guest: Guest, least: number, most: number, needed?: Set<string>): number | undefined {
    const files = storedFiles(this.#root);
    const others = files.filter(({ path }) => path !== guest.path);
    const own = files.find(({ path }) => path === guest.path);
    const byCap = this.#cap - sum(others.map(({ size }) => size));
    const byDisk = this.#free() + (own ? own.size - own.ahead : 0) -
      sum(others.map(({ ahead }) => ahead));
    let room = Math.min(byCap, byDisk);
    if (room < least) {
      if (!needed) return undefined;
      const used = usedPaths(this.#root);
      const idle = others.filter(({ path, whole }) => whole && !used.has(path) && !needed.has(path))
        .sort((a, b) => a.used - b.used);
      const reach = room + sum(idle.map(({ size }) => size));
      if (reach < least) throw this.#full(guest, least, reach, byDisk < byCap);
      for (const { path, size } of idle) {
        if (room >= most) break;
        removeStored(path);
        room += size;
      }
    }
    const size = Math.min(most, room);
    guest.resize(size);
    this.#uncounted = room - size > PLENTY ? UNCOUNTED : 0;
    return size;
  }

  /** Bytes of the disk that may be taken. */
  #free(): number {
    try {
      const { bsize, blocks, bavail } = statfsSync(this.#root);
      return bsize * (bavail - this.#keepFree * blocks);
    } catch {
      // Where the system does not tell, or may not be asked, the cap alone holds.
      return Infinity;
    }
  }

  #full(guest: Guest, needs: number, room: number, disk: boolean): Error {
    const left = bytes(Math.max(0, Math.floor(room)));
    const why = disk
      ? `on the disk of "${this.#root}" there is room for ${left}, as ${+(this.#keepFree * 100)
        .toFixed(2)} % of it stay free; make room there, or lower the spool's option "keepFree"`
      : `under the cap of ${bytes(this.#cap)} there is room for ${left}` +
        `${
          room < this.#cap ? ", as unfinished runs need the rest" : ""
        }; raise the spool's option ` +
        `"cap"`;
    return new Error(`Cannot keep ${guest.name}: it needs ${bytes(needs)}, and ${why}`);
  }
}

/** Whether an error says that the disk is full. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && "code" in error &&
    (error.code === "ENOSPC" || error.code === "EDQUOT");
}

/** What is thrown when the disk is full although there should have been room. */
export function diskFull(name: string, path: string, needs: number, cause: unknown): Error {
  return new Error(
    `Cannot keep ${name}: it needs ${bytes(needs)}, and the disk of "${path}" is full; make room ` +
      `there, or raise the spool's option "keepFree"`,
    { cause },
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

function bytes(n: number): string {
  return `${n.toLocaleString("en-US")} bytes`;
}
