export { sluice } from "./app.ts";
export type { World } from "./world.ts";
