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
  return Math.round(n).toLocaleString("en-US");
}

/** Milliseconds for people: `1.9 s`, `2 min 05 s`. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** A number, and its unit if it has one. */
const QUANTITY = /^([\d.,]+( \S+)?)?$/;

/** Rows as lines with their cells aligned: to the right where all of a column are quantities. */
export function table(rows: readonly (readonly string[])[], indent = ""): string {
  const widths: number[] = [];
  const numeric: boolean[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
      numeric[i] = (numeric[i] ?? true) && QUANTITY.test(cell);
    });
  }
  return rows.map((row) => {
    const cells = row.map((cell, i) =>
      numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)
    );
    return `${indent}${cells.join("  ").trimEnd()}`;
  }).join("\n");
}
