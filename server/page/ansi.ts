/** A piece of a line that looks one way. */
export interface Span {
  readonly text: string;
  /** Classes of its looks: `bold`, `ink-1` … `ink-7`. */
  readonly looks: string;
}

/** What a terminal is told: colours and the like (ECMA-48, SGR); all else it is told is left out. */
const CODES =
  // deno-lint-ignore no-control-regex -- they are what it looks for
  /\u001b\[([\d;]*)m|\u001b(?:\[[\d;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|.?)/g;

/** A line with the colours that programs write for terminals, by a fixed set of looks. Nothing in it is ever markup. */
export function spans(line: string): Span[] {
  const found: Span[] = [];
  let ink: number | undefined;
  const styles = new Set<string>();
  let from = 0;
  const add = (text: string): void => {
    // What cannot be seen would only make lines look alike.
    // deno-lint-ignore no-control-regex -- as above
    const plain = text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "");
    if (plain === "") return;
    const looks = [...styles, ...ink === undefined ? [] : [`ink-${ink}`]].join(" ");
    found.push({ text: plain, looks });
  };
  for (const match of line.matchAll(CODES)) {
    add(line.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[1] === undefined) continue;
    const codes = match[1].split(";").map(Number);
    for (let i = 0; i < codes.length; i++) {
      const code = codes[i]!;
      // Of 256 colours and of all the others, the nearest is not looked for.
      if (code === 38 || code === 48) i += codes[i + 1] === 2 ? 4 : 2;
      else if (code === 0) {
        ink = undefined;
        styles.clear();
      } else if (code === 1) styles.add("bold");
      else if (code === 2) styles.add("dim");
      else if (code === 3) styles.add("italic");
      else if (code === 4) styles.add("underlined");
      else if (code === 22) {
        styles.delete("bold");
        styles.delete("dim");
      } else if (code === 23) styles.delete("italic");
      else if (code === 24) styles.delete("underlined");
      else if (code === 39) ink = undefined;
      else if (code >= 31 && code <= 37) ink = code - 30;
      else if (code >= 91 && code <= 97) ink = code - 90;
      else if (code === 30 || code === 90) ink = 0;
    }
  }
  add(line.slice(from));
  return found;
}
