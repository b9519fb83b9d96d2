// @ts-types="@types/pg"
import pg from "pg";
import { embeddedPostgres } from "../adapters/mod.ts";

/** A server to measure loads with. */
export interface BenchServer extends AsyncDisposable {
  readonly url: string;
  /** The postmaster's process id. */
  pid(): number;
  query<T = Record<string, unknown>>(sql: string): Promise<T[]>;
}

/** The Postgres that is used when no other is named, in a home folder of its own. */
export async function embedded(home: string): Promise<BenchServer> {
  const server = await embeddedPostgres(home);
  return {
    url: server.url,
    pid: () => parseInt(Deno.readTextFileSync(`${server.data}/postmaster.pid`)),
    async query(sql) {
      const client = new pg.Client({ connectionString: server.url });
      await client.connect();
      try {
        return (await client.query(sql)).rows;
      } finally {
        await client.end();
      }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
