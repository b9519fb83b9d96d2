import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { GiveUp } from "../engine/mod.ts";

/**
 * What of IPv4 is not the internet's: https://www.iana.org/assignments/iana-ipv4-special-registry, multicast, and the
 * address at which Azure has services for each machine.
 */
const RESERVED_V4: readonly [string, number][] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["168.63.129.16", 32],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];

/** What of the global part of IPv6 is not: https://www.iana.org/assignments/iana-ipv6-special-registry. */
const RESERVED_V6: readonly [string, number][] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];

/** Where an IPv4 address may stand within one of IPv6: mapped, and translated (RFC 6052). */
const EMBEDDED = ["::ffff:", "64:ff9b::"];

const reserved = new BlockList();
for (const [net, bits] of RESERVED_V6) reserved.addSubnet(net, bits, "ipv6");
for (const [net, bits] of RESERVED_V4) {
  reserved.addSubnet(net, bits, "ipv4");
  for (const prefix of EMBEDDED) reserved.addSubnet(prefix + net, 96 + bits, "ipv6");
}

const routed = new BlockList();
routed.addSubnet("0.0.0.0", 0, "ipv4");
routed.addSubnet("2000::", 3, "ipv6");
for (const prefix of EMBEDDED) routed.addSubnet(`${prefix}0.0.0.0`, 96, "ipv6");

/** Whether an IP address is not one of the public internet; what is none at all is not, either. */
export function isPrivate(address: string): boolean {
  const [plain = ""] = address.split("%"); // behind it, the interface
  const version = isIP(plain);
  if (version === 0) return true;
  const family = version === 6 ? "ipv6" : "ipv4";
  return !routed.check(plain, family) || reserved.check(plain, family);
}

/** Finds all addresses of a name. */
export type LookUp = (host: string) => Promise<readonly { readonly address: string }[]>;

/**
 * Asks a URL, as `fetch` does, if its host is a public address, or has nothing but such: that one is asked which was
 * looked at, whatever a DNS server says a moment later.
 *
 * By `https:` the name is looked up again: a private server has no certificate for it. A proxy is told the address, too.
 *
 * @throws {GiveUp} which begins with `cannot`, when it is, or has, a private one
 * @throws {Error} when the name cannot be looked up
 */
export async function fetchPublic(
  url: string,
  init: RequestInit & { readonly signal: AbortSignal },
  cannot: string,
  lookUp: LookUp = (host) => lookup(host, { all: true }),
): Promise<Response> {
  const { protocol, host, hostname } = new URL(url);
  const name = hostname.replace(/^\[|\]$/g, "");
  const addresses = isIP(name) === 0 ? await soon(lookUp(name), init.signal) : [{ address: name }];
  const found = addresses.find(({ address }) => isPrivate(address))?.address;
  if (found !== undefined) {
    const is = name === found ? `"${name}" is` : `"${name}" is ${found},`;
    throw new GiveUp(
      `${cannot}: ${is} a private address, and others may start runs here, who could have chosen it; if this task is ` +
        `to go there, say \`network: "any"\` among its options, or start \`serve\` with --private-network`,
    );
  }
  const [first] = addresses;
  if (!first) throw new Error(`"${name}" has no address`);
  if (protocol === "https:" || first.address === name) return await fetch(url, init);
  const there = new URL(url);
  there.hostname = isIP(first.address) === 6 ? `[${first.address}]` : first.address;
  const headers = new Headers(init.headers);
  headers.set("host", host);
  using client = Deno.createHttpClient({ allowHost: true });
  return await fetch(there, { ...init, headers, client });
}

/** What comes, unless the signal is aborted before. */
async function soon<T>(what: Promise<T>, signal: AbortSignal): Promise<T> {
  const stopped = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => stopped.reject(signal.reason), { once: true });
  return await Promise.race([what, stopped.promise]);
}
