/** Bytes on their way from one stage to the next. */
export type Bytes = ReadableStream<Uint8Array<ArrayBuffer>>;

/** Where a stream of bytes comes from, so that what was kept of it can be found, continued and shared. */
export interface Origin {
  /** Names what was asked for, before redirects: equal keys are the same request. */
  readonly key: string;
  /** Tells versions of the source apart, e.g. a strong ETag; without one nothing is ever continued or shared. */
  readonly validator?: string;
  /** Bytes of the whole source, when it says so. */
  readonly length?: number;
  /** The first byte of this stream within the source: 0 for a new file, or where the kept part ends. */
  readonly offset: number;
  /** True when the kept file is still the right one: the stream is then empty. */
  readonly kept?: boolean;
  /** True when nothing tells where it ends: should it break off, what came looks whole. */
  readonly unverified?: boolean;
}

/** What is kept of a source. */
export interface Kept {
  /** Of which version it is. */
  readonly validator?: string;
  /** How many bytes, from the first one on. */
  readonly bytes: number;
  /** Whether that is all of them. */
  readonly whole: boolean;
}

/** A byte stream that knows its {@linkcode Origin}. */
export class Source extends ReadableStream<Uint8Array<ArrayBuffer>> {
  /** Where it comes from. */
  readonly origin: Origin;

  /** Like a `ReadableStream`, with its origin first. Nothing is pulled before it is read. */
  constructor(origin: Origin, source: UnderlyingDefaultSource<Uint8Array<ArrayBuffer>>) {
    super(source, { highWaterMark: 0 });
    this.origin = origin;
  }
}

/** A byte stream from one task to another. */
export class Edge extends ReadableStream<Uint8Array<ArrayBuffer>> {
  /** How many bytes it will have in all; null where nobody knows. */
  length: number | null = null;
  /** Where they came from, as far as that is known. */
  origin: Partial<Pick<Origin, "key" | "validator" | "unverified">> = {};
}

/** Thrown by a source that finds, in the middle of reading, that another version took its place. */
export class SourceChanged extends Error {
  /** As `error.name` has it. */
  override name = "SourceChanged";
}
