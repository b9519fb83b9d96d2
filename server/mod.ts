export { guard } from "./guard.ts";
export type { GuardOptions } from "./guard.ts";
export type { Env } from "./_route.ts";
export type { DagSource } from "./_site.ts";
export type { Load, LoadsQuery } from "./loads.ts";
export { runDocument } from "./run_document.ts";
export type { RunDocument } from "./run_document.ts";
export { server } from "./server.ts";
export type { ServerOptions } from "./server.ts";
export type {
  RefusedRow,
  RefusedTable,
  Rejects,
  RejectsQuery,
  ReplayOrder,
  ReplayOutcome,
} from "./rejects.ts";
export { openReceipts } from "./receipts.ts";
export type { Asking, Receipt, Receipts } from "./receipts.ts";
export { Refusal } from "./refusal.ts";
export { mask } from "./mask.ts";
export type { Mask } from "./mask.ts";
export { sign, verify } from "./signature.ts";
export type { Signed } from "./signature.ts";
export { makeToken, openTokens, ROLES } from "./tokens.ts";
export type { NewToken, Role, TokenEntry, Tokens, TokensOptions } from "./tokens.ts";
export { listen } from "./listen.ts";
export type { Listener, ListenOptions } from "./listen.ts";
export { announce, announced } from "./announce.ts";
export type { Announcement } from "./announce.ts";
