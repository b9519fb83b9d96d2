/** The names of all options of `P`: the compiler says which is missing, and which is none. */
export type OptionNames<P> = { readonly [K in keyof P]-?: true };

/**
 * Refuses options whose names are not known: a misspelt one would be passed over, and its default hold.
 *
 * @throws {TypeError} naming it, and the known one that is meant, or all that there are
 */
export function checkOptionNames(
  what: string,
  given: object,
  names: Readonly<Record<string, unknown>>,
): void {
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(names, name)) continue;
    const known = Object.keys(names);
    const meant = nearestName(name, known);
    const hint = meant !== undefined
      ? `did you mean "${meant}"?`
      : known.length > 0
      ? `it has ${known.map((other) => `"${other}"`).join(", ")}`
      : "it has none";
    throw new TypeError(`${what} has no option "${name}"; ${hint}`);
  }
}

/** The one of the names that are known that was likely meant; undefined where none is near. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const meant = known.map((other) => ({ other, away: apart(plain(name), plain(other)) }))
    .sort((a, b) => a.away - b.away)[0];
  const { length } = plain(name);
  const isNear = meant && meant.away < length && meant.away <= Math.max(1, length / 3);
  return isNear ? meant.other : undefined;
}

/** A name as it sounds, whoever wrote it: `max_active_runs` is `maxActiveRuns`. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
}

/** How many letters have to be put in, left out or changed to make one name of another; a name cut short is one. */
function apart(a: string, b: string): number {
  if (a === b) return 0;
  if (a.length > 2 && b.length > 2 && (a.startsWith(b) || b.startsWith(a))) return 1;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
