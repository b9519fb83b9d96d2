import { Malformed } from "./_tokenizer.ts";
import type { Window } from "./_window.ts";

/** What a file of Arrow IPC begins and ends with; a stream has no such mark. */
export const MAGIC: Uint8Array = new TextEncoder().encode("ARROW1");

/** How many bytes of a message are passed on at once. */
const PIECE = 1 << 18;

/** Larger than any metadata is, so that no damaged length fills the memory. */
const MOST_METADATA = 1 << 28;

/**
 * Passes on the messages of Arrow IPC, file or stream, as a stream, and checks that they end as they must: by the mark
 * of their end, with nothing behind it but a file's footer (Arrow columnar format, "IPC Streaming Format").
 */
export class Messages {
  readonly #window: Window;
  #isFile = false;
  #ended = false;

  constructor(window: Window) {
    this.#window = window;
  }

  /** The messages' bytes. @throws {Malformed} where they are cut or cannot be */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    const window = this.#window;
    await window.fill(8);
    this.#isFile = startsWith(window, MAGIC);
    if (this.#isFile) {
      const schema = await lateSchema(window);
      if (schema) yield schema;
      window.from += 8; // the mark is padded
    }
    for (;;) {
      let length = (await take(window, 4)).getInt32(0, true);
      // Before version 0.15 the length came first.
      const marked = length === -1;
      if (marked) length = (await take(window, 4)).getInt32(0, true);
      if (length === 0) {
        this.#ended = true;
        return yield words([-1, 0]);
      }
      if (length < 0 || length > MOST_METADATA) throw damaged();
      const metadata = await take(window, length);
      const body = sound(() => checkedBody(metadata));
      yield words(marked ? [-1, length] : [length]);
      yield new Uint8Array(metadata.buffer);
      for (let left = body; left > 0;) {
        if (window.from === window.to) await window.fill(Math.min(left, PIECE));
        const piece = window.bytes.slice(window.from, Math.min(window.to, window.from + left));
        if (piece.length === 0) throw cut();
        window.from += piece.length;
        left -= piece.length;
        yield piece;
      }
    }
  }

  /** Reads what is behind the last message. @throws {Malformed} for what must not be there, or for what is missing */
  async finish(): Promise<void> {
    const window = this.#window;
    let tail: number[] = [];
    for (;;) {
      const from = Math.max(window.from, window.to - MAGIC.length);
      tail = [...tail, ...window.bytes.subarray(from, window.to)].slice(-MAGIC.length);
      window.from = window.to;
      if (window.ended) break;
      await window.fill(PIECE);
    }
    if (!this.#ended) throw damaged();
    if (!this.#isFile && tail.length > 0) {
      throw new Malformed(
        "more follows behind the end of its stream; it is read one stream to a file",
      );
    }
    if (this.#isFile && !MAGIC.every((c, i) => tail[i] === c)) throw cut();
  }
}

/** The most of a file that is held at once. */
const MOST_HELD = 1 << 30;

/** The kinds of a message's header (Message.fbs). */
const SCHEMA = 1, DICTIONARY = 2, BATCH = 3;

/**
 * The schema as a message, of a file that has it at its end alone, as Arrow's own JavaScript writes them; undefined for
 * any other. Only such a file must be held to be read.
 *
 * @throws {Malformed} where it is too large for that, or cut
 */
async function lateSchema(window: Window): Promise<Uint8Array<ArrayBuffer> | undefined> {
  await window.fill(PIECE);
  const view = new DataView(window.bytes.buffer, window.from, window.to - window.from);
  if (view.byteLength < 24) throw cut();
  const at = view.getInt32(8, true) === -1 ? 16 : 12;
  const length = view.getInt32(at - 4, true);
  // What is longer than all that was read is no batch without a schema before it.
  if (length > 0 && at + length > view.byteLength) return undefined;
  if (length > 0) {
    const metadata = new DataView(view.buffer, view.byteOffset + at, length);
    const place = sound(() => slot(metadata, 1));
    if (place !== 0 && metadata.getUint8(place) === SCHEMA) return undefined;
  }
  while (!window.ended) {
    if (window.to > MOST_HELD) {
      throw new Malformed(
        `it has its schema at its end, and more than ${MOST_HELD} bytes; write it as a stream`,
      );
    }
    await window.fill(window.more(PIECE));
  }
  const end = window.to - MAGIC.length;
  if (!MAGIC.every((c, i) => window.bytes[end + i] === c)) throw cut();
  const size = new DataView(window.bytes.buffer).getInt32(end - 4, true);
  if (size <= 0 || size > end - 4) throw damaged();
  return sound(() => asMessage(window.bytes.slice(end - 4 - size, end - 4)));
}

/** A message before a footer, whose header is the footer's schema: flatbuffers point forward, wherever they lie. */
function asMessage(footer: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const view = new DataView(footer.buffer);
  const version = slot(view, 0), schema = slot(view, 1);
  if (schema === 0) throw damaged();
  const HEAD = 40;
  const metadata = new DataView(new ArrayBuffer(HEAD + Math.ceil(footer.length / 8) * 8));
  const put16 = (values: readonly number[], at: number) =>
    values.forEach((value, i) => metadata.setUint16(at + i * 2, value, true));
  metadata.setUint32(0, 16, true); // where the table is
  put16([12, 24, 4, 6, 8, 16], 4); // sizes of its slots and of itself, and where its fields are
  metadata.setInt32(16, 12, true); // how far before it its slots are
  metadata.setInt16(20, version === 0 ? 0 : view.getInt16(version, true), true);
  metadata.setUint8(22, SCHEMA);
  metadata.setUint32(24, HEAD + schema + view.getUint32(schema, true) - 24, true);
  new Uint8Array(metadata.buffer).set(footer, HEAD);
  const message = new Uint8Array(8 + metadata.byteLength);
  message.set(words([-1, metadata.byteLength]));
  message.set(new Uint8Array(metadata.buffer), 8);
  return message;
}

/** Where a field of a flatbuffer's table lies, the root one if no other is told; 0 where it is left out. */
function slot(buffer: DataView, field: number, table = buffer.getUint32(0, true)): number {
  const slots = table - buffer.getInt32(table, true);
  const at = 4 + field * 2;
  const offset = buffer.getUint16(slots, true) > at ? buffer.getUint16(slots + at, true) : 0;
  return offset === 0 ? 0 : table + offset;
}

/** Follows an offset. */
function follow(buffer: DataView, place: number): number {
  return place + buffer.getUint32(place, true);
}

/** The length of a message's body, once what the message says of its columns' lengths may be true. */
function checkedBody(metadata: DataView): number {
  const body = bodyLength(metadata);
  const kind = slot(metadata, 1), header = slot(metadata, 2);
  if (kind === 0 || header === 0) throw damaged();
  let table = follow(metadata, header);
  const is = metadata.getUint8(kind);
  if (is === DICTIONARY) table = follow(metadata, slot(metadata, 1, table));
  else if (is !== BATCH) return body;
  // A value takes a bit at least, but for those of columns that hold nothing, and of bodies that are compressed.
  const most = slot(metadata, 3, table) > 0 ? MOST_ROWS : Math.max(body * 8, FEW_ROWS);
  const lengths = [slot(metadata, 0, table)].filter((place) => place > 0);
  // A node has a length and a count of nulls; so has a buffer two numbers.
  const nodes = pairs(metadata, slot(metadata, 1, table));
  pairs(metadata, slot(metadata, 2, table));
  for (let n = nodes.count * 2 - 1; n >= 0; n--) lengths.push(nodes.from + n * 8);
  for (const place of lengths) {
    const length = metadata.getBigInt64(place, true);
    if (length < 0n || length > most) throw damaged();
  }
  return body;
}

/** Where a list of pairs of 64 bits begins, and how many it has; all of them within the message. */
function pairs(metadata: DataView, place: number): { from: number; count: number } {
  if (place === 0) return { from: 0, count: 0 };
  const list = follow(metadata, place), from = list + 4;
  const count = metadata.getUint32(list, true);
  if (from + count * 16 > metadata.byteLength) throw damaged();
  return { from, count };
}

/** How long a batch may be (Arrow columnar format, "Array lengths"). */
const MOST_ROWS = 0x7fff_ffff, FEW_ROWS = 1 << 20;

/** The fourth field of the table Message (Arrow's Message.fbs). */
function bodyLength(metadata: DataView): number {
  const place = slot(metadata, 3);
  if (place === 0) return 0;
  const length = Number(metadata.getBigInt64(place, true));
  if (length < 0 || !Number.isSafeInteger(length)) throw damaged();
  return length;
}

/** Looks into a flatbuffer, of which an offset that is damaged may point beyond the end. */
function sound<T>(look: () => T): T {
  try {
    return look();
  } catch (cause) {
    throw cause instanceof RangeError ? damaged(cause) : cause;
  }
}

function damaged(cause?: unknown): Malformed {
  return new Malformed("it holds a message that cannot be: it is damaged or no Arrow IPC", {
    cause,
  });
}

function cut(): Malformed {
  return new Malformed("it ends too early: it was cut short on its way or when it was written");
}

/** Whether the first bytes are those of a stream: the mark of a message, and a length that may be. */
export function isContinued(head: readonly number[]): boolean {
  const view = new DataView(Uint8Array.from(head.slice(0, 8)).buffer);
  return head.length >= 8 && view.getInt32(0, true) === -1 && view.getInt32(4, true) > 0 &&
    view.getInt32(4, true) < MOST_METADATA;
}

function startsWith({ bytes, from, to }: Window, mark: Uint8Array): boolean {
  return to - from >= 8 && mark.every((c, i) => bytes[from + i] === c);
}

function words(values: readonly number[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  values.forEach((value, i) => view.setInt32(i * 4, value, true));
  return new Uint8Array(view.buffer);
}

async function take(window: Window, count: number): Promise<DataView<ArrayBuffer>> {
  if (window.to - window.from < count) await window.fill(count);
  if (window.to - window.from < count) throw cut();
  const bytes = window.bytes.slice(window.from, window.from += count);
  return new DataView(bytes.buffer);
}
