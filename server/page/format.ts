const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes in powers of 1000: `33.4 MB`. */
export function bytes(n: number): string {
  let unit = 0;
  while (n >= 999.5 && unit < UNITS.length - 1) {
    n /= 1000;
    unit++;
  }
  return `${unit === 0 || n >= 99.5 ? Math.round(n) : n.toFixed(1)} ${UNITS[unit]}`;
}

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** A whole number with its thousands apart: `1,369,765`. */
export function count(n: number): string {
  return whole.format(n);
}

/** `1 run`, `3 runs`. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** Seconds for people: `35 ms`, `1.9 s`, `2 min 05 s`, `3 d 4 h`. */
export function duration(seconds: number): string {
  if (seconds < 0.095) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const all = Math.round(seconds);
  const two = (n: number): string => String(n).padStart(2, "0");
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min ${two(all % 60)} s`;
  if (all < 86_400) return `${Math.floor(all / 3600)} h ${two(Math.floor(all / 60) % 60)} min`;
  return `${Math.floor(all / 86_400)} d ${Math.floor(all / 3600) % 24} h`;
}

/** How long until or since a moment, roughly: `in 4 min`, `3 h ago`. */
export function distance(ms: number): string {
  const [n, unit] = roughly(Math.abs(ms) / 1000);
  if (n === 0) return "now";
  return ms > 0 ? `in ${n} ${unit}` : `${n} ${unit} ago`;
}

function roughly(seconds: number): readonly [number, string] {
  if (seconds < 1) return [0, "s"];
  if (seconds < 60) return [Math.floor(seconds), "s"];
  if (seconds < 3600) return [Math.floor(seconds / 60), "min"];
  if (seconds < 2 * 86_400) return [Math.floor(seconds / 3600), "h"];
  if (seconds < 365 * 86_400) return [Math.floor(seconds / 86_400), "d"];
  return [Math.floor(seconds / (365.25 * 86_400)), "y"];
}

/** A moment to the second, in UTC: `2021-01-02 06:00:00`. */
export function moment(instant: string): string {
  return instant.slice(0, 19).replace("T", " ");
}

/** A logical date as short as it can be said, in UTC: `2021-01-02`, `2021-01-02 06:00`. */
export function date(instant: string): string {
  return moment(instant).replace(/:00$/, "").replace(/ 00:00$/, "");
}

/** A state for people: `upstream failed`. */
export function words(state: string): string {
  return state.replaceAll("_", " ");
}
