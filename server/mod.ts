export { guard } from "./guard.ts";
export type { GuardOptions } from "./guard.ts";
export { runDocument } from "./run_document.ts";
export type { RunDocument } from "./run_document.ts";
export { server } from "./server.ts";
export type { ServerOptions } from "./server.ts";
