/** Parts of a query that are likely to be secrets. */
const SECRET = /token|key|sig|secret|pass|pwd|auth|credential|session|code/i;

/** A key of the spool for people: a URL without user and password, other secrets, and the hash of its headers. */
export function shownKey(key: string): string {
  const address = key.split(" ")[0]!;
  if (!URL.canParse(address)) return key;
  const url = new URL(address);
  url.username = url.password = "";
  for (const name of [...url.searchParams.keys()]) {
    if (SECRET.test(name)) url.searchParams.set(name, "xxx");
  }
  return url.href;
}
