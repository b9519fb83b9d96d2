import type { Writable } from "node:stream";
declare const copyStreams: { from(sql: string): Writable & { rowCount: number } };
export default copyStreams;
