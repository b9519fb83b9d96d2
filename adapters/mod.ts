export { connectionUrl, maskUrl, withPassfile } from "./connections.ts";
export type { Environment, PassfileOptions } from "./connections.ts";
export { embeddedPostgres, findEmbedded, hasEmbedded, stopEmbedded } from "./embedded_postgres.ts";
export type {
  EmbeddedPostgres,
  EmbeddedPostgresOptions,
  RunningPostgres,
} from "./embedded_postgres.ts";
export { shellWord } from "./shell_word.ts";
