import assert from "node:assert/strict";
import { userInfo } from "node:os";
import { connectionUrl, maskUrl, withPassfile } from "../../adapters/mod.ts";

const ENV = { PGHOST: "env.host", PGUSER: "env user", PGDATABASE: "env-db" };

const GOOD: [dsn: string, url: string, env?: Record<string, string>][] = [
  ["postgres://u:p@h:1/d", "postgres://u:p@h:1/d"],
  ["postgresql://u:p@h:1/d", "postgres://u:p@h:1/d"],
  ["postgres://u@h/d", "postgres://u@h:5432/d"],
  ["postgres://", "postgres://env%20user@env.host:5432/env-db"],
  ["postgres:///d", "postgres://env%20user@env.host:5432/d"],
  ["postgres://h", "postgres://env%20user@h:5432/env-db"],
  ["postgres://u@", "postgres://u@env.host:5432/env-db"],
  ["", "postgres://env%20user@env.host:5432/env-db"],
  ["postgres://u@h", "postgres://u@h:5432/u", {}],
  ["postgres://u:p%40ss%2Fw%3Ard%2521@h/d", "postgres://u:p%40ss%2Fw%3Ard%2521@h:5432/d"],
  ["postgres://u:p@ss:w#rd@h/d", "postgres://u:p%40ss%3Aw%23rd@h:5432/d"],
  ["postgres://%C3%BC:%F0%9F%92%A7@h/a%20b", "postgres://%C3%BC:%F0%9F%92%A7@h:5432/a%20b"],
  ["postgres://u@[::1]:7/d", "postgres://u@[::1]:7/d"],
  ["postgres://u@%2Frun%2Fpg/d", "postgres://u@localhost:5432/d?host=%2Frun%2Fpg"],
  ["postgres:///d?host=/run/pg&user=u&port=7", "postgres://u@localhost:7/d?host=%2Frun%2Fpg"],
  ["postgres://u:x@h/d?password=y&dbname=e", "postgres://u:y@h:5432/e"],
  [
    "postgres://u@h/d?sslmode=verify-full&sslrootcert=/a%20b&connect_timeout=3",
    "postgres://u@h:5432/d?sslmode=verify-full&sslrootcert=%2Fa%20b&connect_timeout=3",
  ],
  ["host=h port=7 user=u dbname='a b'", "postgres://u@h:7/a%20b"],
  ["host = h user= u dbname =d password='it''s'", "error: neither a URI"],
  [
    String.raw`host=h user=u dbname=d password='it\'s \\ = fine' `,
    "postgres://u:it's%20%5C%20%3D%20fine@h:5432/d",
  ],
  [String.raw`host=h user=u dbname=d password=a\ b`, "postgres://u:a%20b@h:5432/d"],
  ["host=/run/pg user=u dbname=d", "postgres://u@localhost:5432/d?host=%2Frun%2Fpg"],
  ["host=::1 user=u dbname=d", "postgres://u@[::1]:5432/d"],
  ["host='' user=u", "postgres://u@env.host:5432/env-db"],
  [
    "",
    "postgres://u:p@h:7/d?sslmode=require&sslrootcert=r&sslcert=c&sslkey=k&connect_timeout=9&options=-e&application_name=a&" +
    "channel_binding=prefer&passfile=f",
    {
      PGHOST: "h",
      PGPORT: "7",
      PGUSER: "u",
      PGPASSWORD: "p",
      PGDATABASE: "d",
      PGSSLMODE: "require",
      PGSSLROOTCERT: "r",
      PGSSLCERT: "c",
      PGSSLKEY: "k",
      PGCONNECT_TIMEOUT: "9",
      PGOPTIONS: "-e",
      PGAPPNAME: "a",
      PGCHANNELBINDING: "prefer",
      PGPASSFILE: "f",
    },
  ],
  ["postgres://u:own@h/d", "postgres://u:own@h:5432/d", { PGPASSWORD: "p", PGHOST: "x" }],
  [
    "postgres://u@h/d",
    "postgres://u@h:5432/d?options=-c%20search_path%3Ds1%2Cs2",
    { PGOPTIONS: "-c search_path=s1,s2" },
  ],
  [
    "postgres://u@h/d?options=-c%20work_mem%3D8MB",
    "postgres://u@h:5432/d?options=-c%20work_mem%3D8MB",
    { PGOPTIONS: "-c search_path=s1" },
  ],
  [
    String.raw`host=h user=u dbname=d options='-c a.b=\'c\''`,
    "postgres://u@h:5432/d?options=-c%20a.b%3D'c'",
  ],
  ["postgres://u@h/d", "error: PGSERVICE is set, which is not known here. Put", { PGSERVICE: "s" }],
  [
    "postgres://u@h/d",
    "error: PGHOSTADDR is set, which is not known here. Put the address into the DSN as its host",
    { PGHOSTADDR: "127.0.0.1" },
  ],
  ["postgres://u@h/d", "postgres://u@h:5432/d", { PGSERVICE: "", PGHOSTADDR: "" }],
  ["postgres://u@h/d?ssl=true", 'error: parameter "ssl" is not known here. Known are host, port'],
  ["host=h foo=bar", 'error: parameter "foo" is not known'],
  ["postgres://u:p@h:70000/d", "error: port is not a number"],
  ["postgres://u:p@h:0/d", "error: port is not a number"],
  ["postgres://h/d", "error: port is not a number", { PGPORT: "x" }],
  ["postgres://u:p@h,i/d", "error: several hosts"],
  ["postgres://u:p@h:1,i:2/d", "error: several hosts"],
  ["postgres://u:p@h,i:2/d", "error: several hosts"],
  ["host=h,i port=1,2", "error: several hosts"],
  ["postgres://u:p@h:1a,i/d", "error: port is not a number"],
  [
    "postgres://u:p@h/d?sslmode=require&channel_binding=require",
    "postgres://u:p@h:5432/d?sslmode=require&channel_binding=require",
  ],
  ["postgres://u:p@h/d?channel_binding=on", "error: channel_binding is not one of disable, prefer"],
  ["postgres://u@h/d?application_name=a%20b", "postgres://u@h:5432/d?application_name=a%20b"],
  [
    "postgres://u@h/d?target_session_attrs=any&keepalives=1&keepalives_idle=9&keepalives_interval=1&" +
    "keepalives_count=2&tcp_user_timeout=5&gssencmode=disable&fallback_application_name=x",
    "postgres://u@h:5432/d",
  ],
  ["host=h user=u dbname=d target_session_attrs=read-write", "postgres://u@h:5432/d"],
  ["postgres://u@h/d?target_session_attrs=read-only", "error: target_session_attrs is one that"],
  ["postgres://u@h/d?gssencmode=require", "error: gssencmode is one that does not work here"],
  ["postgres://u:p@h/d?sslmode=on", "error: sslmode is not one of disable, allow"],
  ["postgres://u:p@h/d?connect_timeout=soon", "error: connect_timeout is not a number"],
  ["postgres://u:p%@h/d", 'error: a "%" in it is not followed by'],
  ["postgres://u:p@h/d?sslmode", 'error: what follows "?"'],
  ["postgres://u:p@h h/d", "postgres://u:p@h%20h:5432/d"],
  ["postgres:u@h/d", "error: does not read as postgres://"],
  ["mysql://u:p@h/d", "error: neither a URI"],
  ["mydb", "error: neither a URI"],
  ["host=h user", "error: neither a URI"],
  ["host=h password='open", "error: neither a URI"],
];

Deno.test("a DSN is completed from the environment, or refused in a sentence", () => {
  for (const [dsn, expected, env = ENV] of GOOD) {
    if (expected.startsWith("error: ")) {
      assert.throws(() => connectionUrl(dsn, env), (error: Error) => {
        assert.ok(error instanceof TypeError, dsn);
        assert.match(error.message, /^Cannot read the address of the database: /);
        assert.ok(error.message.includes(expected.slice(7)), `${dsn}: ${error.message}`);
        return true;
      });
    } else {
      assert.equal(connectionUrl(dsn, env), expected, dsn);
    }
  }
});

Deno.test("a malformed DSN is refused without a word of its password", () => {
  const dsns = [
    "postgres://user:Hunter2",
    "postgres://user:Hunter2/more@h/d",
    "postgres://user:a?Hunter2@h/d",
    "postgres://user:Hunter2%zz@h/d",
    "postgres://user:Hunter2@h:x/d",
    "postgres://user:x@h/d?Hunter2@y=3",
    "host=h password=a Hunter2",
    "host=h password='Hunter2",
    "mysql://user:Hunter2@h/d",
  ];
  for (const dsn of dsns) {
    assert.throws(() => connectionUrl(dsn, ENV), (error: Error) => {
      assert.ok(!/Hunter2/.test(Deno.inspect(error)), Deno.inspect(error));
      return true;
    }, dsn);
  }
});

Deno.test("without host, user and database: libpq's defaults", () => {
  const me = encodeURIComponent(userInfo().username);
  // Nobody has a socket for this port.
  assert.equal(connectionUrl("port=1", {}), `postgres://${me}@localhost:1/${me}`);
});

Deno.test("a unix socket that is there is the default host", () => {
  // No server has the port of this process' number, and nobody else looks for one there.
  const port = 1 + Deno.pid % 1000;
  const path = `/tmp/.s.PGSQL.${port}`;
  using _listener = Deno.listen({ transport: "unix", path });
  try {
    const url = connectionUrl(`user=u port=${port}`, {});
    assert.equal(url, `postgres://u@localhost:${port}/u?host=%2Ftmp`);
    assert.equal(connectionUrl(`user=u port=${port} host=h`, {}), `postgres://u@h:${port}/u`);
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("a URL is shown without its password", () => {
  const table: [string, string][] = [
    ["postgres://u:p%40ss@h:1/d?sslmode=require", "postgres://u:***@h:1/d?sslmode=require"],
    ["postgres://u@h:1/d", "postgres://u@h:1/d"],
    ["postgres://u:secret@h h", "postgres://…"],
  ];
  for (const [url, shown] of table) assert.equal(maskUrl(url), shown);
});

const PASSFILE = String.raw`# host:5432:db:user:comment
h:5432:d:u:first
h:5432:d:u:second
h:*:other:u:any port
*:*:*:wild:*
a\:b:5432:d:u:pass\:word\\
/run/pg:5432:d:u:socket
localhost:5432:d:u:local
h:5432:d:colons:a:b:c
too:few:fields
h:5432:d:empty:
h:5432:d:u*:star
`;

const PASSWORDS: [url: string, password: string][] = [
  ["postgres://u@h:5432/d", "first"],
  ["postgres://u@h:9/other", "any port"],
  ["postgres://u@h:9/d", ""],
  ["postgres://wild@anything:1/x", "*"],
  ["postgres://u@localhost:5432/d?host=%2Frun%2Fpg", "socket"],
  ["postgres://u@localhost:5432/d?host=%2Fvar%2Frun%2Fpostgresql", "local"],
  ["postgres://u@localhost:5432/d", "local"],
  ["postgres://colons@h:5432/d", "a:b:c"],
  ["postgres://empty@h:5432/d", ""],
  ["postgres://u2@h:5432/d", ""],
  ["postgres://u:own@h:5432/d", "own"],
];

Deno.test("a password file is read as libpq reads it", async () => {
  const home = await Deno.makeTempDir();
  const warnings: string[] = [];
  const options = { home, warn: (message: string) => void warnings.push(message) };
  const passwordOf = async (url: string) =>
    decodeURIComponent(new URL(await withPassfile(url, options)).password);
  try {
    assert.equal(await passwordOf("postgres://u@h:5432/d"), "", "no file");
    await Deno.writeTextFile(`${home}/.pgpass`, PASSFILE, { mode: 0o600 });
    for (const [url, password] of PASSWORDS) assert.equal(await passwordOf(url), password, url);
    await Deno.writeTextFile(`${home}/other`, "*:*:*:*:p@ss/w:rd%21", { mode: 0o600 });
    const other = encodeURIComponent(`${home}/other`);
    const url = `postgres://u@localhost:1/d?host=%2Fa%20b&sslmode=require&passfile=${other}`;
    assert.equal(
      await withPassfile(url, options),
      "postgres://u:p%40ss%2Fw%3Ard%2521@localhost:1/d?host=%2Fa%20b&sslmode=require",
    );
    assert.deepEqual(warnings, []);
    await Deno.chmod(`${home}/.pgpass`, 0o640);
    assert.equal(await passwordOf("postgres://u@h:5432/d"), "");
    assert.match(warnings.join(), /^Passing over the password file .*\.pgpass: others may read it/);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
