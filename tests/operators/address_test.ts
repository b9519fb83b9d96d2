import assert from "node:assert/strict";
import { GiveUp, NotYet } from "../../engine/mod.ts";
import { http, httpReady, request } from "../../operators/mod.ts";
import { fetchPublic, isPrivate } from "../../operators/_address.ts";
import { perform, testContext } from "../_context.ts";

/** Addresses on either side of the borders of what is private. */
const addresses: Record<"private" | "public", readonly string[]> = {
  private: [
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.0",
    "169.254.169.254",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.0.0",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:a9fe:a9fe",
    "::FFFF:10.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::c0a8:101",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "4000::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "",
    "localhost",
    "127.1",
    "1.2.3.4.5",
  ],
  public: [
    "1.0.0.0",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "3ffe::1",
  ],
};

for (const [kind, list] of Object.entries(addresses)) {
  for (const address of list) {
    Deno.test(`"${address}" is taken for ${kind}`, () => {
      assert.equal(isPrivate(address), kind === "private");
    });
  }
}

/** A server of this machine, which nobody is to ask. */
class Inside implements AsyncDisposable {
  asked = 0;
  readonly #server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
    this.asked++;
    return new Response("secret", { headers: { etag: '"1"' } });
  });

  get port(): number {
    return this.#server.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

type Fetches = (
  options: { url: string; network?: "any" | "public" },
) => Parameters<typeof perform>[0];

const operators: Record<string, Fetches> = { http, request, httpReady };

/** What a host may be called that is this machine, and what of it is told. */
const hosts: Record<string, string> = {
  "127.0.0.1": '"127.0.0.1" is a private',
  "127.1": '"127.0.0.1" is a private',
  "2130706433": '"127.0.0.1" is a private',
  "017700000001": '"127.0.0.1" is a private',
  "0x7f.0.0x1": '"127.0.0.1" is a private',
  "１２７.0.0.1": '"127.0.0.1" is a private',
  "%31%32%37.0.0.1": '"127.0.0.1" is a private',
  "127.0.0.1.": '"127.0.0.1" is a private',
  "user:word@127.0.0.1": '"127.0.0.1" is a private',
  "0": '"0.0.0.0" is a private',
  "[::1]": '"::1" is a private',
  "[::ffff:127.0.0.1]": '"::ffff:7f00:1" is a private',
  "localhost": '"localhost" is (127.0.0.1|::1), a private',
  "LocalHost": '"localhost" is (127.0.0.1|::1), a private',
  "169.254.169.254": '"169.254.169.254" is a private',
};

for (const [name, operator] of Object.entries(operators)) {
  Deno.test(`${name} asks no private address, whatever it is called, where others start runs`, async () => {
    await using inside = new Inside();
    const ctx = testContext({ network: "public" });
    for (const [host, told] of Object.entries(hosts)) {
      await assert.rejects(
        perform(operator({ url: `http://${host}:${inside.port}/x` }), ctx),
        (error) => {
          assert(error instanceof GiveUp);
          assert.match(
            error.message,
            new RegExp(`^Cannot .* "http://.*": ${told} address, and .* \`network: "any"\``),
          );
          return true;
        },
        host,
      );
    }
    assert.equal(inside.asked, 0);
  });

  Deno.test(`${name} goes where its own option lets it, whatever the engine says`, async () => {
    await using inside = new Inside();
    const url = `http://localhost:${inside.port}/x`;
    const take = async (network: "any" | "public", option?: "any" | "public"): Promise<void> => {
      const options = option === undefined ? { url } : { url, network: option };
      const output = await perform(operator(options), testContext({ network }));
      if (output instanceof ReadableStream) await new Response(output).text();
    };
    await take("any");
    await take("public", "any");
    await assert.rejects(take("any", "public"), /a private address/);
    assert.equal(inside.asked, 2);
  });
}

/** Has what is asked from here go by a proxy, which is told what was to be asked. */
async function byProxy(what: (asked: [url: string, host: string][]) => Promise<void>) {
  const asked: [string, string][] = [];
  const { addr, shutdown } = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    ({ url, headers }) => {
      asked.push([url, headers.get("host")!]);
      return new Response("from outside");
    },
  );
  Deno.env.set("HTTP_PROXY", `http://127.0.0.1:${addr.port}`);
  try {
    await what(asked);
  } finally {
    Deno.env.delete("HTTP_PROXY");
    await shutdown();
  }
}

for (
  const [public_, host] of [["8.8.8.8", "8.8.8.8"], [
    "2001:4860:4860::8888",
    "[2001:4860:4860::8888]",
  ]] as const
) {
  Deno.test(`a name that is ${public_} when it is looked at, and this machine a moment later, leads to the former`, () =>
    byProxy(async (asked) => {
      const answers = [public_, "127.0.0.1"];
      const lookUp = (name: string) => {
        assert.equal(name, "rebound.example");
        return Promise.resolve([{ address: answers.shift()! }]);
      };
      const ask = () => {
        const headers = { "x-kept": "yes", host: "elsewhere.example" };
        const { signal } = new AbortController();
        return fetchPublic(
          "http://rebound.example:81/a?b=c",
          { headers, signal },
          "Cannot",
          lookUp,
        );
      };
      assert.equal(await (await ask()).text(), "from outside");
      assert.deepEqual(asked, [[`http://${host}:81/a?b=c`, "rebound.example:81"]]);
      await assert.rejects(ask(), /^GiveUp: Cannot: "rebound\.example" is 127\.0\.0\.1, a private/);
      assert.deepEqual([asked.length, answers.length], [1, 0]);
    }));
}

Deno.test("a name with a public address and a private one is not asked, nor one with none", () =>
  byProxy(async (asked) => {
    for (
      const [addresses, says] of [
        [["8.8.8.8", "10.0.0.1"], /10\.0\.0\.1, a private/],
        [[], /has no address/],
      ] as const
    ) {
      const lookUp = () => Promise.resolve(addresses.map((address) => ({ address })));
      const { signal } = new AbortController();
      await assert.rejects(fetchPublic("http://two.example/", { signal }, "Cannot", lookUp), says);
    }
    assert.deepEqual(asked, []);
  }));

Deno.test("a name that cannot be looked up is asked for again", async () => {
  await assert.rejects(
    perform(httpReady({ url: "http://nobody.invalid/" }), testContext({ network: "public" })),
    (error) => error instanceof NotYet && /nobody\.invalid/.test(error.message),
  );
});

Deno.test("http opens no file where others start runs, but for its own option", async () => {
  const ctx = testContext({ network: "public" });
  const path = new URL(import.meta.url).pathname;
  for (const url of [path, `file://${path}`, ` http://x`, "-"]) {
    await assert.rejects(
      perform(http({ url }), ctx),
      (error) => error instanceof GiveUp && /a file of this machine.*`open`/.test(error.message),
      url,
    );
  }
  const output = await perform(http({ url: path, network: "any" }), ctx);
  assert.match(await new Response(output).text(), /^import/);
});
