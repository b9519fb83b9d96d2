import {
  type Bytes,
  type Context,
  GiveUp,
  type Kept,
  type Network,
  type Operator,
  operator,
  Source,
  SourceChanged,
} from "../engine/mod.ts";
import { Beginning } from "./_beginning.ts";
import { openFile } from "./_open_file.ts";
import { aim, type Answer, Broken, Patience, request, type Target } from "./_request.ts";

/** Options for {@linkcode http}. */
export interface HttpOptions {
  /** An http, https or file URL, the path of a file, or `-` for standard input. */
  url: string;
  /** Sent along with each request; `Authorization` and `Cookie` never reach another host. */
  headers?: HeadersInit;
  /**
   * Where it may lead, redirects and all: to any address, files of this machine among them, or to the public internet
   * alone. What is said here is the code's, and holds whatever the engine says.
   *
   * @default {as the engine's `network` says}
   */
  network?: Network;
  /**
   * What to do with what was kept of an earlier download: ask whether it is still right, take it without asking, or
   * download anew.
   *
   * @default {"revalidate"}
   */
  cache?: "revalidate" | "trust" | "off";
  /**
   * How long to wait for an answer's headers; connecting counts, since `fetch` does not tell the two apart.
   *
   * @default {{ seconds: 30 }}
   */
  headerTimeout?: Temporal.DurationLike;
  /**
   * How long to wait for the next byte of a body.
   *
   * @default {{ seconds: 60 }}
   */
  idleTimeout?: Temporal.DurationLike;
  /**
   * How many bytes are to come, at the least, in the time of one `idleTimeout`; only the time counts in which they are
   * waited for. A connection that brings fewer is given up for another.
   *
   * @default {1024}
   */
  minBytes?: number;
}

/**
 * Opens a URL as a stream of bytes, and goes on where it stopped when the connection breaks.
 *
 * Tries again on 408, 425, 429, 5xx and broken connections, with growing pauses or as long as `Retry-After` says, five
 * times in a row without a new byte. Two versions of a file are never put together: without a strong validator it comes anew
 * from its start, and has to begin with the bytes that came before. The file is asked for as it is; when
 * it comes encoded all the same it is passed on so, for `decompress` to read.
 *
 * @throws {GiveUp} when the address is wrong or the server refuses, as with 404
 * @throws {SourceChanged} from the stream, when another version took the file's place
 */
export const http: Operator<HttpOptions, Bytes> = operator(
  "http",
  async (options: HttpOptions, ctx): Promise<Bytes> => {
    const { url, network = ctx.network, cache = "revalidate" } = options;
    if (!/^https?:/i.test(url)) {
      if (network === "public") throw fileRefused(url);
      return await openFile(url, ctx, cache === "off");
    }
    const target = await aim(options, ctx);
    const kept = cache === "off" ? undefined : await ctx.kept?.(target.key);
    if (kept?.whole && cache === "trust") return take(target.key, kept);
    return await new Download(target, options, ctx).open(kept);
  },
  {
    stream: true,
    options: {
      url: true,
      headers: true,
      network: true,
      cache: true,
      headerTimeout: true,
      idleTimeout: true,
      minBytes: true,
    },
  },
);

/** One version of what stands at a URL, on its way. */
class Download {
  readonly #target: Target;
  readonly #ctx: Context;
  readonly #headerTimeout: number;
  readonly #idleTimeout: number;
  readonly #minBytes: number;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #patience: Patience;
  #validator: string | undefined;
  #length: number | undefined;
  /** Whether the server answers the range it was asked for. */
  #ranges = true;
  /** What came so far, where it is all there is to tell one version from another. */
  #beginning: Beginning | undefined;
  #answer: Answer | undefined;
  /** The next byte of the answer, counted within the whole. */
  #at = 0;
  /** The next byte to hand out. */
  #position = 0;

  constructor(target: Target, options: HttpOptions, ctx: Context) {
    const { headerTimeout = { seconds: 30 }, idleTimeout = { seconds: 60 }, minBytes = 1024 } =
      options;
    this.#target = target;
    this.#ctx = ctx;
    this.#headerTimeout = Temporal.Duration.from(headerTimeout).total("milliseconds");
    this.#idleTimeout = Temporal.Duration.from(idleTimeout).total("milliseconds");
    this.#minBytes = minBytes;
    this.#signal = AbortSignal.any([ctx.signal, this.#stop.signal]);
    this.#patience = new Patience(ctx, this.#signal, target);
  }

  /** Waits for the first answer, and makes a source of it. */
  async open(kept: Kept | undefined): Promise<Source> {
    let answer = await this.#first(conditions(kept));
    if (kept && answer.status === 304) {
      answer.close();
      return take(this.#target.key, kept);
    }
    if (kept && (answer.status === 416 || answer.status === 206 && !continues(answer, kept))) {
      answer.close();
      answer = await this.#first({});
    }
    this.#validator = answer.validator;
    this.#length = answer.length;
    this.#answer = answer;
    if (!strong(answer.validator)) this.#beginning = new Beginning();
    this.#at = this.#position = answer.start;
    if (answer.length !== undefined) this.#ctx.meter.length = answer.length - answer.start;
    if (!answer.bounded) {
      this.#ctx.log.warn(
        `The server does not say how long "${this.#target.url}" is: should the connection break, what came looks whole`,
      );
    }
    return new Source({
      key: this.#target.key,
      // What may be cut off is never taken for another's whole.
      ...answer.bounded
        ? this.#validator !== undefined && { validator: this.#validator }
        : { unverified: true },
      ...this.#length !== undefined && { length: this.#length },
      offset: answer.start,
    }, {
      pull: (controller) => this.#pull(controller),
      cancel: (reason) => {
        this.#stop.abort(reason);
        this.#answer?.close();
      },
    });
  }

  async #first(conditions: Record<string, string>): Promise<Answer> {
    while (true) {
      try {
        return await this.#ask(conditions);
      } catch (error) {
        await this.#patience.wait(error, 0);
      }
    }
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> {
    while (true) {
      try {
        this.#answer ??= await this.#resume();
        const chunk = await this.#answer.read(this.#idleTimeout, this.#minBytes);
        if (chunk === undefined) {
          if (this.#at < Math.max(this.#position, this.#length ?? 0)) {
            throw new Broken("the body ended too early");
          }
          return controller.close();
        }
        const known = Math.min(Math.max(this.#position - this.#at, 0), chunk.length);
        this.#at += chunk.length;
        if (known > 0) this.#compare(chunk.subarray(0, known));
        if (known === chunk.length) continue;
        this.#position = this.#at;
        if (this.#answer.received >= this.#minBytes) this.#patience.reset();
        const news = known === 0 ? chunk : chunk.subarray(known);
        this.#beginning?.add(news);
        return controller.enqueue(news);
      } catch (error) {
        this.#answer?.close();
        this.#answer = undefined;
        this.#signal.throwIfAborted();
        await this.#patience.wait(error, this.#position);
      }
    }
  }

  /** Looks at bytes that were handed out before. @throws {SourceChanged} when they were others then */
  #compare(bytes: Uint8Array): void {
    this.#beginning?.repeat(bytes);
    if (this.#at < this.#position || (this.#beginning?.isSame() ?? true)) return;
    throw new SourceChanged(
      `"${this.#target.url}" changed while it was downloaded: its first ${this.#position} bytes are not what they were`,
    );
  }

  /** Asks for the bytes from the position on, or for all of them when the server cannot do better. */
  async #resume(): Promise<Answer> {
    this.#beginning?.rewind();
    const from = this.#position > 0 && this.#ranges && !this.#beginning;
    const answer = await this.#ask(from ? rangeFrom(this.#position, this.#validator!) : {});
    const { status, start, validator, length } = answer;
    // A server may know ranges and not If-Range: a 206 that does not say its version may be of any.
    if (status === 416 || status === 206 && (start !== this.#position || validator === undefined)) {
      answer.close();
      this.#ranges = false;
      throw new Broken("the server does not answer with the range it was asked for");
    }
    const isOther = !this.#beginning && validator !== this.#validator;
    if (isOther || (length ?? this.#length) !== (this.#length ?? length)) {
      answer.close();
      throw new SourceChanged(
        `"${this.#target.url}" changed while it was downloaded: it was version ` +
          `${describe(this.#validator, this.#length)}, now it is ${describe(validator, length)}`,
      );
    }
    this.#length ??= length;
    this.#at = start;
    return answer;
  }

  /** Asks once, and lets only those answers pass that fit the conditions. */
  async #ask(conditions: Record<string, string>): Promise<Answer> {
    const { url } = this.#target;
    const answer = await request(this.#target, conditions, this.#headerTimeout, this.#signal);
    const { status, statusText, retryAfter } = answer;
    if (status === 200 || status === 203) return answer;
    if ((status === 206 || status === 416) && "range" in conditions) return answer;
    if (status === 304 && !("range" in conditions) && Object.keys(conditions).length > 0) {
      return answer;
    }
    answer.close();
    const says = `the server answers ${`${status} ${statusText}`.trim()}`;
    if ([408, 425, 429].includes(status) || status >= 500) throw new Broken(says, { retryAfter });
    throw new GiveUp(`Cannot download "${url}": ${says}; check the address and the rights to it`);
  }
}

/** What to throw for what is no URL of the web where others may have chosen it. */
function fileRefused(place: string): GiveUp {
  return new GiveUp(
    `Cannot open "${place}": it is no http or https URL, and others may start runs here, who could have chosen ` +
      `a file of this machine; use \`open\` for files, or say \`network: "any"\` among the options of \`http\``,
  );
}

/** The source that says: what is kept is all of it. */
function take(key: string, { bytes, validator }: Kept): Source {
  const version = validator === undefined ? {} : { validator };
  return new Source({ key, ...version, length: bytes, offset: bytes, kept: true }, {
    pull: (controller) => controller.close(),
  });
}

/** What to ask so that what is kept need not come again. */
function conditions(kept: Kept | undefined): Record<string, string> {
  if (kept?.validator === undefined) return {};
  const { validator, bytes, whole } = kept;
  if (!whole) return bytes > 0 && strong(validator) ? rangeFrom(bytes, validator) : {};
  if (validator.endsWith('"')) return { "if-none-match": validator };
  return { "if-modified-since": validator.replace(/^W\//, "") };
}

function rangeFrom(position: number, validator: string): Record<string, string> {
  return { range: `bytes=${position}-`, "if-range": validator };
}

function continues({ start, validator }: Answer, kept: Kept): boolean {
  return start === kept.bytes && validator === kept.validator;
}

function strong(validator: string | undefined): boolean {
  return validator !== undefined && !validator.startsWith("W/");
}

function describe(validator: string | undefined, length: number | undefined): string {
  return `${validator ?? "unnamed"} (${length === undefined ? "unknown size" : `${length} bytes`})`;
}
