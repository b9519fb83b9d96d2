export { connectionUrl, maskUrl, withPassfile } from "./connections.ts";
export type { Environment, PassfileOptions } from "./connections.ts";
