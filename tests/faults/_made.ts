import { createHash } from "node:crypto";
import type { Bytes, Context } from "../../engine/mod.ts";
import {
  type Copied,
  copy,
  type CopyOptions,
  csv,
  decompress,
  type DecompressOptions,
  http,
  type HttpOptions,
} from "../../operators/mod.ts";
import { perform, testContext } from "../_context.ts";
import type { TestDatabase } from "../_postgres.ts";

/** A CSV file whose rows all say of which version they are, so that a table tells of which files it is made. */
export class Made {
  readonly text: string;
  /** Of all notes, in the order of the rows. */
  readonly md5: string;

  constructor(readonly version: number, readonly rows = 500 + version) {
    const note = (n: number): string => Math.imul(n + version, 2654435761).toString(36);
    const notes = Array.from({ length: rows }, (_, n) => note(n));
    this.text = `n,v,note\n${notes.map((text, n) => `${n},${version},${text}\n`).join("")}`;
    this.md5 = createHash("md5").update(notes.join()).digest("hex");
  }

  /** The name of its load in the ledger. */
  get key(): string {
    return `v${this.version}`;
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return new TextEncoder().encode(this.text);
  }

  /** Its bytes in chunks, as sources have them. */
  stream(size = 1 << 16): Bytes {
    const { bytes } = this;
    let at = 0;
    return new ReadableStream({
      async pull(controller) {
        await Promise.resolve();
        if (at >= bytes.length) return controller.close();
        controller.enqueue(bytes.slice(at, at += size));
      },
    }, { highWaterMark: 0 });
  }
}

/** Makes `t` a table of one file, and the first load that the ledger knows. */
export async function begin(database: TestDatabase, made: Made): Promise<void> {
  await database.query("DROP TABLE IF EXISTS t CASCADE; DROP SCHEMA IF EXISTS sluice CASCADE");
  await load(database.url, made);
}

/** Loads a file into `t`. */
export async function load(
  url: string,
  made: Made,
  options: Partial<CopyOptions> = {},
  said: string[] = [],
): Promise<Copied> {
  const ctx = context(url, said);
  const batches = await perform(csv(), ctx, made.stream());
  return await perform(copy({ table: "t", key: made.key, ...options }), ctx, batches);
}

/** Options of {@linkcode loadFrom}. */
export type Ways =
  & Omit<HttpOptions, "url">
  & DecompressOptions
  & Pick<CopyOptions, "minRows">;

/** Loads what stands at an address into `t`, as the file that should stand there. */
export async function loadFrom(
  source: string,
  database: string,
  { key }: Made,
  { maxBytes, maxRatio, minRows, ...options }: Ways = {},
  said: string[] = [],
): Promise<Copied> {
  const ctx = context(database, said);
  const limits = {
    ...maxBytes !== undefined && { maxBytes },
    ...maxRatio !== undefined && { maxRatio },
  };
  const bytes = await perform(http({ url: source, ...options }), ctx);
  const plain = await perform(decompress(limits), ctx, bytes);
  const batches = await perform(csv(), ctx, plain);
  const copying = copy({ table: "t", key, ...minRows !== undefined && { minRows } });
  return await perform(copying, ctx, batches);
}

function context(url: string, said: string[]): Context {
  const say = (message: string): void => void said.push(message);
  return testContext({
    connection: () => Promise.resolve({ url }),
    log: { info: say, warn: say, error: say },
  });
}
