import { join } from "node:path";
import { file } from "../../engine/mod.ts";
import { storeConformance } from "./_store_conformance.ts";

storeConformance("file", async () => {
  const home = await Deno.makeTempDir({ prefix: "sluice_store_" });
  const store = await file(home);
  return {
    ...store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await Deno.remove(home, { recursive: true }).catch(() => {});
    },
  };
});
void join;
