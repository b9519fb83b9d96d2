import { dirname, join, relative, sep } from "node:path";

/** So many milliseconds after the first change it is looked at: by then an editor has written all of it. */
const SETTLE = 100;
/** Where the system cannot watch any more, it is looked at as often, in milliseconds. */
const POLL = 900;

/** Tells when something changes in a folder, be it there yet or not, and in files elsewhere. */
export class FolderWatch implements Disposable {
  readonly #folder: string;
  readonly #watchers = new Map<string, Deno.FsWatcher>();
  #files: ReadonlySet<string> = new Set();
  #stirred = Promise.withResolvers<void>();
  /** Whether there is something that the system does not watch. */
  #blind = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Watches these files as well, and what of the folder it does not yet; true when there was any such. */
  async extend(files: ReadonlySet<string>): Promise<boolean> {
    this.#files = files;
    const wanted = new Map<string, () => Deno.FsWatcher>();
    const want = async (path: string, recursive: boolean): Promise<boolean> => {
      const found = await Deno.stat(path).catch(() => undefined);
      // Of a folder that is gone and came back, it is another one.
      if (found) {
        const key = `${found.dev}:${found.ino} ${path}`;
        wanted.set(key, () => Deno.watchFs(path, { recursive }));
      }
      return found !== undefined;
    };
    await want(this.#folder, true);
    for (const path of files) {
      if (!isWithin(this.#folder, path)) await want(dirname(path), false);
    }
    // What stands above tells when the folder comes or goes.
    for (
      let above = dirname(this.#folder);
      !await want(above, false) && above !== dirname(above);
    ) {
      above = dirname(above);
    }
    for (const [key, watcher] of this.#watchers) {
      if (wanted.has(key)) continue;
      this.#watchers.delete(key);
      watcher.close();
    }
    this.#blind = false;
    let grown = false;
    for (const [key, open] of wanted) {
      if (this.#watchers.has(key)) continue;
      try {
        this.#listen(key, open());
        grown = true;
      } catch {
        // It went at this moment, or the system's watches are used up.
        this.#blind = true;
      }
    }
    return grown;
  }

  /** Resolves a moment after something has changed since this was last called, or when the signal is aborted. */
  async changed(signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<void>();
    const stop = (): void => aborted.resolve();
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    const look = this.#blind ? setTimeout(() => this.#stirred.resolve(), POLL) : undefined;
    await Promise.race([this.#stirred.promise, aborted.promise]);
    clearTimeout(look);
    const settled = Promise.withResolvers<void>();
    const timer = setTimeout(settled.resolve, SETTLE);
    await Promise.race([settled.promise, aborted.promise]);
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    this.#stirred = Promise.withResolvers();
  }

  [Symbol.dispose](): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  async #listen(key: string, watcher: Deno.FsWatcher): Promise<void> {
    this.#watchers.set(key, watcher);
    try {
      for await (const { kind, paths } of watcher) {
        // To read a file is no change of it.
        if (kind !== "access" && paths.some((path) => this.#matters(path))) this.#stirred.resolve();
      }
    } catch {
      // It is opened anew when the folders are looked at.
      this.#watchers.delete(key);
      this.#stirred.resolve();
    }
  }

  #matters(path: string): boolean {
    if (this.#files.has(path) || isWithin(path, this.#folder)) return true;
    if (!isWithin(this.#folder, path)) return false;
    // The home folder may be in it, where something changes all the time.
    return !relative(this.#folder, path).split(sep)
      .some((name) => name === "node_modules" || /^\.(?!\.data)/.test(name));
  }
}

/** Whether a path is a folder's, or in it. */
function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(join(folder, sep));
}
