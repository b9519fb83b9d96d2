/** Quotes a text so that a shell takes it for one word, as it stands. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
