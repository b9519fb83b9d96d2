const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes for people, three digits at least: `33.4 MB`. Units are powers of 1000. */
export function bytes(n: number): string {
  let unit = 0;
  while (n >= 999.5 && unit < UNITS.length - 1) {
    n /= 1000;
    unit++;
  }
  return `${unit === 0 || n >= 99.5 ? Math.round(n) : n.toFixed(1)} ${UNITS[unit]}`;
}

/** A whole number with its thousands apart: `1,369,765`. */
export function count(n: number): string {
  // Not toLocaleString: it brings 5 MB of what is known of languages into memory.
  return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A number of things: `1 row`, `2,000 rows`; `many` of them where another word is needed. */
export function several(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** Milliseconds for people: `1.9 s`, `2 min 05 s`. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** A number, and its unit if it has one. */
const QUANTITY = /^([\d.,]+( \S+)?)?$/;

/**
 * Rows as lines with their cells aligned: to the right where all of a column are quantities. Columns with nothing in
 * them are left out.
 */
export function table(rows: readonly (readonly string[])[], indent = ""): string {
  const columns = Array.from({ length: Math.max(0, ...rows.map((row) => row.length)) }, (_, i) => {
    const cells = rows.map((row) => row[i] ?? "");
    const width = Math.max(...cells.map((cell) => cell.length));
    const right = cells.every((cell) => QUANTITY.test(cell));
    return cells.map((cell) => right ? cell.padStart(width) : cell.padEnd(width));
  }).filter((cells) => cells[0] !== "");
  return rows.map((_, n) => `${indent}${columns.map((cells) => cells[n]).join("  ").trimEnd()}`)
    .join("\n");
}
