/** The months there are, and the rows of each, as many as the real files have. */
export const MONTHS = {
  "2021-01": 1_369_765,
  "2021-02": 1_371_708,
  "2021-03": 1_925_152,
} as const;

/** Changes whenever the same month and rows give other bytes. */
export const VERSION = 1;

const HEADER =
  "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance," +
  "RatecodeID,store_and_fwd_flag,PULocationID,DOLocationID,payment_type,fare_amount,extra,mta_tax," +
  "tip_amount,tolls_amount,improvement_surcharge,total_amount,congestion_surcharge\n";

const CHUNK = 256 * 1024;
const LONGEST_ROW = 200;
const DAY = 86_400;
const EXTRAS = Uint8Array.of(0, 0, 0, 50, 50, 100, 100, 250);
/** Three of four trips begin and end in one of these zones, the first of them most often. */
const BUSY = Uint8Array.of(
  ...[236, 237, 161, 141, 162, 186, 142, 239, 170, 48, 230],
  ...[75, 238, 234, 140, 79, 68, 163, 132, 138, 107, 229],
);

/**
 * Makes one month of yellow taxi trips as CSV, in chunks of up to 256 KiB: the same bytes each time.
 *
 * Header and value shapes are those of the TLC's files of 2021: the last 7 % of the rows, which the vendors sent in late,
 * have no vendor, passengers, rate code, flag and payment; refunds are negative; money has no trailing zeros.
 */
export function* demoMonth(
  month: keyof typeof MONTHS,
  rows: number = MONTHS[month],
): Generator<Uint8Array<ArrayBuffer>, void> {
  const trips = new Trips(Number(month.slice(0, 4)), Number(month.slice(5)), rows);
  let out = new Uint8Array(CHUNK);
  let at = new TextEncoder().encodeInto(HEADER, out).written;
  do {
    at = trips.write(out, at);
    yield out.subarray(0, at);
    out = new Uint8Array(CHUNK);
    at = 0;
  } while (!trips.done);
}

/** The trips of a month, row after row. Numbers only, and no text: this runs as fast as gzip can follow. */
class Trips {
  readonly #year: number;
  readonly #month: number;
  readonly #days: number;
  readonly #rows: number;
  #row = 0;
  #seed: number;

  constructor(year: number, month: number, rows: number) {
    this.#year = year;
    this.#month = month;
    this.#days = new Date(Date.UTC(year, month, 0)).getUTCDate();
    this.#rows = rows;
    this.#seed = year * 100 + month;
  }

  get done(): boolean {
    return this.#row >= this.#rows;
  }

  /** Fills a chunk with whole rows, from a position on; answers with the position it came to. */
  write(out: Uint8Array, at: number): number {
    const year = this.#year;
    const days = this.#days;
    const rows = this.#rows;
    const whole = rows - Math.round(rows * 0.07);
    let row = this.#row;
    let seed = this.#seed;

    /** 32 bits, by the generator known as mulberry32. */
    function random(): number {
      seed = seed + 0x6D2B79F5 | 0;
      let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
      t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
      return t ^ t >>> 14;
    }

    /** Seconds since the month began; the next month may have begun. */
    const month = this.#month;
    function moment(at: number, second: number): number {
      const day = second / DAY | 0;
      const rest = second - day * DAY;
      const hour = rest / 3600 | 0;
      const minute = (rest - hour * 3600) / 60 | 0;
      at = two(out, two(out, at, year / 100 | 0), year % 100);
      out[at++] = 45;
      at = two(out, at, day < days ? month : month + 1);
      out[at++] = 45;
      at = two(out, at, day < days ? day + 1 : day + 1 - days);
      out[at++] = 32;
      at = two(out, at, hour);
      out[at++] = 58;
      at = two(out, at, minute);
      out[at++] = 58;
      return two(out, at, rest - hour * 3600 - minute * 60);
    }

    for (; row < rows && at <= out.length - LONGEST_ROW; row++) {
      const late = row >= whole;
      // Bits of three draws, each used once.
      const a = random();
      const b = random();
      const c = random();
      const vendor = (a & 7) < 3 ? 1 : 2;
      // Short trips are the most: a product of two numbers, in hundredths of a mile; vendor 1 gives tenths.
      let distance = (1 + (a >>> 3 & 31)) * (1 + (a >>> 8 & 31));
      if (vendor === 1) distance -= distance % 10;
      let seconds = 60 + distance * 2 + (a >>> 13 & 255);
      const rate = (a >>> 21 & 63) === 0 ? 2 + (a >>> 27 & 3) : 1;
      const payment = (b & 3) > 0 ? 1 : (b >>> 2 & 31) > 0 ? 2 : 3 + (b >>> 7 & 1);
      const passengers = (b >>> 8 & 3) > 0 ? 1 : (b >>> 10 & 7) % 7;
      const stored = (b >>> 13 & 63) === 0;
      const congestion = late || (b >>> 19 & 15) === 0 ? 0 : 250;
      const tolls = !late && (b >>> 23 & 31) === 0 ? 612 : 0;
      const sign = !late && payment > 2 && (b >>> 28 & 1) === 0 ? -1 : 1;
      // Vendor 1 counts the congestion surcharge among the extras as well.
      const shared = vendor === 1 && !late ? congestion : 0;
      const extra = late ? 275 : EXTRAS[b >>> 29 & 7]! + shared;
      const fare = late ? 1000 + distance * 2 : 250 + 50 * (distance / 20 + seconds / 120 | 0);
      const sum = fare + extra + 50 + tolls + 30 + congestion - shared;
      // A quarter, a fifth or nothing, as the screen in the cab offers.
      const tip = late || payment !== 1 || (c & 3) === 0 ? 0 : sum / ((c & 3) < 3 ? 5 : 4) | 0;
      const pickup = (c >>> 2 & 3) > 0 ? BUSY[(c >>> 4 & 7) * (c >>> 7 & 3)]! : 1 + (c >>> 4 & 255);
      const dropoff = (c >>> 12 & 3) > 0
        ? BUSY[(c >>> 14 & 7) * (c >>> 17 & 3)]!
        : 10 + (c >>> 14 & 255);
      // Nearly in order; the late ones begin again, and know minutes only.
      const place = late ? (row - whole) / (rows - whole) : row / whole;
      let start = place * (days * DAY - 128) + (c >>> 22 & 127) | 0;
      if (late) {
        start -= start % 60;
        seconds -= seconds % 60;
      }

      if (!late) out[at++] = 48 + vendor;
      out[at++] = 44;
      at = moment(at, start);
      out[at++] = 44;
      at = moment(at, start + seconds);
      out[at++] = 44;
      if (!late) out[at++] = 48 + passengers;
      out[at++] = 44;
      at = integer(out, at, distance / 100 | 0);
      out[at++] = 46;
      at = two(out, at, distance % 100);
      out[at++] = 44;
      if (!late) out[at++] = 48 + rate;
      out[at++] = 44;
      if (!late) out[at++] = stored ? 89 : 78;
      out[at++] = 44;
      at = integer(out, at, pickup);
      out[at++] = 44;
      at = integer(out, at, dropoff);
      out[at++] = 44;
      if (!late) out[at++] = 48 + payment;
      at = money(out, at, sign * fare);
      at = money(out, at, sign * extra);
      at = money(out, at, sign * 50);
      at = money(out, at, sign * tip);
      at = money(out, at, sign * tolls);
      at = money(out, at, sign * 30);
      at = money(out, at, sign * (sum + tip));
      at = money(out, at, sign * congestion);
      out[at++] = 10;
    }
    this.#row = row;
    this.#seed = seed;
    return at;
  }
}

function two(out: Uint8Array, at: number, n: number): number {
  const tens = n / 10 | 0;
  out[at] = 48 + tens;
  out[at + 1] = 48 + n - tens * 10;
  return at + 2;
}

/** Up to three digits. */
function integer(out: Uint8Array, at: number, n: number): number {
  if (n < 10) {
    out[at] = 48 + n;
    return at + 1;
  }
  if (n < 100) return two(out, at, n);
  out[at] = 48 + n / 100;
  return two(out, at + 1, n % 100);
}

/** Cents, with a comma first: 250 is ",2.5". */
function money(out: Uint8Array, at: number, cents: number): number {
  out[at++] = 44;
  if (cents < 0) {
    out[at++] = 45;
    cents = -cents;
  }
  const units = cents / 100 | 0;
  const rest = cents - units * 100;
  at = integer(out, at, units);
  if (rest === 0) return at;
  out[at++] = 46;
  if (rest % 10 > 0) return two(out, at, rest);
  out[at] = 48 + rest / 10;
  return at + 1;
}
